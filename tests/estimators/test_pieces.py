"""What the first piece of `partial_fit` does not show, the next ones do."""

import numpy as np
import pandas as pd
import pytest

from llmreg import LLMAttributionClassifier, LLMAttributionRegressor
from llmreg.preprocessing import TableEncoder

N = 40
A = np.random.default_rng(0).normal(size=N)
X = pd.DataFrame({"a": 1e6 * A + 3e6, "b": np.resize([0.0, 1.0], N), "s": "u"})


@pytest.mark.parametrize("scaler", ["bounded", "minmax", "standard"])
@pytest.mark.parametrize("hidden", [(), (4,)])
@pytest.mark.parametrize("first", [1, 2])
@pytest.mark.parametrize("kind", [LLMAttributionClassifier, LLMAttributionRegressor])
def test_a_first_piece_of_one_row(kind, first, hidden, scaler):
    """Its numeric columns are constant, and were so for good."""
    is_classifier = kind is LLMAttributionClassifier
    y = np.where(A > 0, "q", "p") if is_classifier else 100 * A
    params = {"hidden_layer_sizes": hidden, "learning_rate_init": 0.1}
    model = kind({"a": 5}, scaler=scaler, random_state=0, **params)
    classes = {"classes": ["p", "q"]} if is_classifier else {}
    model.partial_fit(X[:first], y[:first], **classes)
    for _ in range(30):
        model.partial_fit(X, y)
    assert model.score(X, y) > 0.75


@pytest.mark.parametrize("scaler", ["bounded", "minmax", "standard"])
@pytest.mark.parametrize("first", [5.0, 0.0, np.nan, 1e300])
def test_a_constant_gets_the_range_of_the_rows_where_it_moves(first, scaler):
    encoder = TableEncoder(scaler).fit(pd.DataFrame({"a": [first], "b": [1.0]}))
    rows = pd.DataFrame({"a": [15.0, -5.0, np.nan], "b": [1.0, 1.0, 1.0]})
    encoder.extend(pd.DataFrame({"a": [first, np.nan], "b": [1.0, np.nan]}))
    encoder.extend(rows)
    found = encoder.transform(rows)
    np.testing.assert_array_equal(found[:, 1], 0)
    assert np.isfinite(found).all()
    if first != 1e300:
        assert found[0, 0] - found[1, 0] == 1
    learnt = encoder.transform(rows)
    encoder.extend(10 * rows)
    np.testing.assert_array_equal(encoder.transform(rows)[:, 0], learnt[:, 0])
