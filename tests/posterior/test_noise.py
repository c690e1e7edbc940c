"""The noise, as far as rows tell it."""

import numpy as np
import pytest
from scipy.stats import norm

from llmreg.posterior._noise import Noise, learn_dispersion, learn_noise


def test_many_rows_tell_the_noise():
    gap = np.random.default_rng(0).normal(0, 0.5, size=20_000)
    found = learn_noise(gap, np.ones(20_000), np.full(20_000, 1e-4), 0.25)
    assert found.variance == pytest.approx(0.25, rel=0.02)
    assert found.quantile(0.9) == pytest.approx(norm.ppf(0.95), abs=0.001)


def test_rows_that_the_model_took_tell_nothing_of_the_noise():
    gap, weight = np.full(10, 0.1), np.ones(10)
    few = learn_noise(gap, weight, np.full(10, 0.001), 0.1)
    much = learn_noise(gap, weight, np.full(10, 0.09), 0.1)
    assert much.freedom < few.freedom and much.variance > few.variance


def test_rows_of_next_to_no_weight_leave_what_was_known():
    found = learn_noise(np.array([5.0]), np.array([1e-9]), np.array([0.3]), 0.2)
    assert found.freedom == pytest.approx(3) and found.variance == pytest.approx(0.9)


def test_an_interval_of_a_student_is_of_its_own_deviation():
    # The one of 3 degrees of freedom has a variance of 3.
    assert Noise(1.0, 3.0).quantile(0.9) == pytest.approx(2.353 / 3**0.5, abs=1e-3)


@pytest.mark.parametrize("dispersion", [1.0, 4.0])
def test_many_counts_tell_their_dispersion(dispersion):
    rng, exposure = np.random.default_rng(0), np.resize([0.5, 3.0], 20_000)
    excess = max(dispersion - 1, 1e-3)
    counts = rng.negative_binomial(2 * exposure / excess, 1 / (1 + excess))
    rows = counts / exposure, exposure, np.full(20_000, 2.0), np.full(20_000, 1e-4)
    found = learn_dispersion(*rows, Noise(dispersion, 3.0))
    assert found.variance == pytest.approx(dispersion, rel=0.05)


def test_counts_scatter_no_less_than_by_poissons_law():
    y, small = np.full(50, 3.0), np.zeros(50)
    assert learn_dispersion(y, np.ones(50), y, small, Noise(1.0, 0.0)).variance == 1


def test_next_to_no_counts_leave_what_was_known():
    y, weight = np.ones(30), np.full(30, 1e-6)
    found = learn_dispersion(y, weight, y, y, Noise(1.0, 0.0))
    assert found.variance == pytest.approx(2, rel=1e-3)
