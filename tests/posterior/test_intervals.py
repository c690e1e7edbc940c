"""Intervals of probabilities."""

import numpy as np
import pytest
from scipy.special import expit, softmax

from llmreg.posterior._intervals import check_level, probability_interval


def test_two_classes_have_the_ends_of_the_logit():
    logits, deviation = np.array([[0.0], [2.0]]), np.array([[1.0], [0.5]])
    ends = probability_interval(logits, deviation, 0.9)
    assert ends.shape == (2, 2, 2)
    np.testing.assert_allclose(ends[0, 1], expit([-1.645, 1.645]), atol=1e-3)
    np.testing.assert_allclose(ends[:, 0], 1 - ends[:, 1, ::-1])


def test_many_classes_have_quantiles_that_do_not_depend_on_other_rows():
    logits = np.random.default_rng(0).normal(size=(600, 3))
    deviation = np.full_like(logits, 0.3)
    ends = probability_interval(logits, deviation, 0.9)
    np.testing.assert_array_equal(
        ends[7:9], probability_interval(logits[7:9], deviation[7:9], 0.9)
    )
    p = softmax(logits, axis=1)
    assert (ends[..., 0] < p).all() and (p < ends[..., 1]).all()
    sure = probability_interval(logits, 0 * deviation, 0.9)
    np.testing.assert_allclose(sure, np.stack([p, p], axis=-1))


@pytest.mark.parametrize("level", [0, 1, -0.1, 90])
def test_a_level_is_a_probability(level):
    with pytest.raises(ValueError, match="level"):
        check_level(level)
