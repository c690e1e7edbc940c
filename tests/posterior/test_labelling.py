"""What labels tell, beside the Gaussian that is conditioned on them."""

import numpy as np
import pytest

from llmreg.posterior import _labelling
from llmreg.posterior._labelling import expected_reduction, pick


@pytest.fixture
def problem():
    """Factors, noise and slopes of 30 rows and two outputs."""
    rng = np.random.default_rng(0)
    return (
        rng.normal(size=(2, 30, 5)),
        rng.uniform(1, 3, size=(30, 2)),
        rng.uniform(0.1, 1, size=(30, 2)),
    )


def conditioned(factors, noise, rows):
    """Return the covariances of the outputs, given labels of some rows."""
    left = []
    for k, factor in enumerate(factors):
        covariance = factor @ factor.T
        told = covariance[np.ix_(rows, rows)] + np.diag(noise[rows, k])
        gain = covariance[:, rows] @ np.linalg.solve(told, covariance[rows])
        left.append(covariance - gain)
    return left


def mean_variance(covariances, slope):
    return sum(np.diag(c) @ slope[:, k] ** 2 for k, c in enumerate(covariances)) / 30


def test_reduction_is_that_of_a_gaussian_given_the_label(problem):
    factors, noise, slope = problem
    before = mean_variance([factor @ factor.T for factor in factors], slope)
    expected = [
        before - mean_variance(conditioned(factors, noise, [row]), slope)
        for row in range(30)
    ]
    np.testing.assert_allclose(expected_reduction(*problem), expected)


def test_each_pick_is_the_best_given_those_before_it(problem):
    factors, noise, slope = problem
    picked = []
    for row in pick(*problem, 6):
        left = {
            other: mean_variance(conditioned(factors, noise, [*picked, other]), slope)
            for other in set(range(30)) - set(picked)
        }
        assert row == min(left, key=left.get)
        picked.append(row)


def test_every_row_is_picked_once_even_where_nothing_is_uncertain(problem):
    _, noise, slope = problem
    assert sorted(pick(np.zeros((2, 30, 5)), noise, slope, 30)) == [*range(30)]


def test_a_large_pool_is_judged_by_a_sample_of_it(problem, monkeypatch):
    every = expected_reduction(*problem)
    monkeypatch.setattr(_labelling, "_N_SHOWN", 20)
    some = expected_reduction(*problem)
    np.testing.assert_array_equal(some, expected_reduction(*problem))
    assert np.corrcoef(every, some)[0, 1] > 0.8
    assert some.mean() == pytest.approx(every.mean(), rel=0.4)
