"""The scaling of raw rows, taken into the weights of a linear model."""

import numpy as np
import pandas as pd
import pytest

from llmreg.preprocessing._encoder import TableEncoder
from llmreg.preprocessing._folding import Ranges, linear_outputs, raw_outputs


@pytest.fixture
def rows(rng):
    return rng.normal(5, 2, size=(30, 3))


WEIGHT, BIAS = np.array([[2.0, -1.0, 0.5], [0.0, 3.0, 1.0]]), np.array([1.0, -1.0])


@pytest.mark.parametrize("scaler", ["minmax", "bounded"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_outputs_of_raw_rows_are_those_of_encoded_ones(rng, rows, scaler, dtype):
    encoder = TableEncoder(scaler=scaler).fit(rows)
    new = rng.normal(5, 6, size=(40, 3)).astype(dtype)
    found = raw_outputs(new, WEIGHT, BIAS, encoder.ranges, encoder.encode)
    expected = encoder.transform(new) @ WEIGHT.T + BIAS
    np.testing.assert_allclose(
        found, expected, rtol=1e-5 if dtype == np.float32 else 1e-9
    )
    assert found.dtype == np.float64
    assert len(encoder.ranges.beyond(new)) == (0 if scaler == "minmax" else 38)


def test_gaps_are_left_to_the_encoder(rows):
    encoder = TableEncoder().fit(rows)
    rows[2, 1] = np.nan
    assert raw_outputs(rows, WEIGHT, BIAS, encoder.ranges, encoder.encode) is None


def test_far_from_zero_nothing_is_folded():
    ranges = Ranges(np.array([1e6]), np.array([0.5]), bounded=True)
    assert ranges.fold(np.ones((1, 1)), np.zeros(1)) is None
    assert (
        raw_outputs(np.ones((2, 1)), np.ones((1, 1)), np.zeros(1), ranges, None) is None
    )


def test_what_has_no_ranges(rows):
    assert TableEncoder(scaler="standard").fit(rows).ranges is None
    assert TableEncoder(scaler=None).fit(rows).ranges is None
    table = pd.DataFrame({"a": [1.0, 2.0], "b": ["u", "v"]})
    assert TableEncoder().fit(table).ranges is None


def test_single_precision_is_multiplied_in_double(rng):
    X = rng.random((5000, 3)).astype(np.float32)
    found = linear_outputs(X, WEIGHT, BIAS)
    np.testing.assert_allclose(found, X.astype(float) @ WEIGHT.T + BIAS, rtol=1e-12)
