"""The factored Gaussian is the one that its parts say."""

import numpy as np
import pytest
from scipy.linalg import block_diag

from llmreg.posterior._posterior import make_gaussian


@pytest.fixture
def parts():
    rng = np.random.default_rng(0)
    root = rng.normal(size=(4, 6))
    # The last element is one that rows always tell.
    before = np.array([1.0, 2.0, 0.5, 3.0, 1.0, 0.0])
    lift = np.zeros((6, 3))
    lift[[0, 2, 5], range(3)] = 1
    # Of the first two no more is left than a part of what was there.
    added = np.diag([-0.4, -0.3, 0.7])
    spread = 0.1 * rng.normal(size=(5, 6))
    return root, before, lift, added, spread


def test_covariance_is_that_of_the_parts(parts):
    root, before, lift, added, spread = parts
    frame = np.hstack([lift, spread.T])
    gaussian = make_gaussian(root, before, frame, block_diag(added, np.eye(5)))
    elements = np.diag(before) + lift @ added @ lift.T + spread.T @ spread
    rows = np.random.default_rng(1).normal(size=(7, 4))
    expected = rows @ root @ elements @ root.T @ rows.T
    factor = gaussian.factor(rows)
    np.testing.assert_allclose(factor @ factor.T, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(gaussian.variance(rows), np.diag(expected), rtol=1e-5)


def test_what_no_row_tells_is_as_uncertain_as_before():
    frame, added = np.eye(2)[:, :1], np.array([[-4.0]])
    gaussian = make_gaussian(np.eye(2), np.array([4.0, 9.0]), frame, added)
    np.testing.assert_allclose(gaussian.variance(np.eye(2)), [0, 9], atol=1e-6)


def test_many_directions_are_kept_in_few_digits():
    n, rng = 2_000, np.random.default_rng(0)
    frame = np.linalg.qr(rng.normal(size=(n, 60)))[0]
    gaussian = make_gaussian(np.eye(n), np.ones(n), frame, -0.999 * np.eye(60))
    assert gaussian.told.dtype == np.float16
    rows = np.vstack([frame.T[:3], rng.normal(size=(3, n))])
    expected = (rows**2).sum(axis=1) - 0.999 * ((rows @ frame) ** 2).sum(axis=1)
    np.testing.assert_allclose(gaussian.variance(rows), expected, rtol=1e-3, atol=1e-5)


def test_wide_spaces_keep_a_few_directions():
    n = 3_000
    lift = np.linalg.qr(np.random.default_rng(0).normal(size=(n, 5)))[0]
    gaussian = make_gaussian(np.ones((1, n)), np.ones(n), lift, -0.9 * np.eye(5))
    assert gaussian.told.shape == (n, 5)
    one = np.ones(n)
    expected = n - 0.9 * np.sum((lift.T @ one) ** 2)
    np.testing.assert_allclose(gaussian.variance(np.ones((1, 1))), expected, rtol=1e-5)
