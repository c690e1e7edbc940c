"""Intervals of probabilities."""

import numpy as np
import pytest
from scipy.special import expit, softmax
from scipy.stats import nbinom, poisson

from llmreg.posterior._intervals import (
    check_level,
    count_deviation,
    count_interval,
    probability_interval,
)


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


@pytest.mark.parametrize("dispersion", [1.0, 5.0])
def test_counts_of_a_mean_that_is_known_have_its_quantiles(dispersion):
    means = np.array([[1e-6], [0.3], [4.0], [1e3], [1e6]])
    ends = count_interval(np.log(means), 0 * means, dispersion, 0.8)
    for tail, found in zip((0.1, 0.9), ends[:, 0].T, strict=True):
        if dispersion == 1:
            exact = poisson.ppf(tail, means[:, 0])
        else:
            exact = nbinom.ppf(tail, means[:, 0] / 4, 1 / 5)
        np.testing.assert_allclose(found, exact, rtol=1e-3)


def test_counts_of_an_uncertain_mean_are_drawn():
    rng, deviation = np.random.default_rng(0), np.full((1, 1), 0.8)
    means = np.exp(1.0 + 0.8 * rng.normal(size=400_000))
    counts = rng.negative_binomial(means / 2, 1 / 3)
    ends = count_interval(np.ones((1, 1)), deviation, 3.0, 0.9)[0, 0]
    np.testing.assert_allclose(ends, np.quantile(counts, [0.05, 0.95]), atol=1)
    found = count_deviation(np.exp(np.ones((1, 1))), deviation, 3.0)
    assert found[0, 0] == pytest.approx(counts.std(), rel=0.02)


@pytest.mark.parametrize("level", [0, 1, -0.1, 90])
def test_a_level_is_a_probability(level):
    with pytest.raises(ValueError, match="level"):
        check_level(level)
