"""Columns that are left out of the weighing of priors are fitted in the end."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from llmreg.linear_model._subspace import choose_columns
from llmreg.posterior._laplace import (
    Fits,
    GaussianPriors,
    fit_classifier,
    fit_regressor,
    follow_up,
)
from llmreg.preprocessing._sparse import SparseRows
from tests.linear_model.test_curve_space import make


@pytest.mark.parametrize("noise", [None, 0.3])
def test_the_rest_ends_where_all_columns_at_once_do(noise):
    rng = np.random.default_rng(0)
    n, n_told, n_rest, free = 400, 4, 50, 2.0
    level = rng.integers(0, n_rest, n)
    told = np.column_stack([rng.normal(size=(n, n_told - 1)), np.ones(n)])
    rest = np.eye(n_rest)[level]
    output = told @ [1.0, -1.0, 0.5, 0.2] + rng.normal(size=n_rest)[level]
    targets = (output + rng.logistic(size=n) > 0)[None].astype(float)
    if noise is not None:
        targets = (output + np.sqrt(noise) * rng.normal(size=n))[None]
    mean, precision = np.array([[1.0, 0, 0, 0]]), np.array([[1.0, 1, 1, 0.01]])
    of_told = GaussianPriors(mean, precision, np.array([noise or 1.0]))
    more = (0, 0), (0, n_rest)
    all_priors = GaussianPriors(
        np.pad(mean, more), np.pad(precision, more, constant_values=free), of_told.noise
    )
    fit = fit_classifier if noise is None else fit_regressor
    weight = np.ones(n)
    start: Fits = fit(told[None], targets, weight, of_told)
    maps = np.zeros((1, n_told, n_told))
    maps[0] = np.eye(n_told)
    found, variance, outputs = follow_up(
        *(told[:, :-1].T, maps, targets, weight, of_told, start),
        *(csr_array(rest.T), free, noise),
    )
    exact = fit(np.hstack([told, rest])[None], targets, weight, all_priors)
    np.testing.assert_allclose(found, exact.weights, atol=0.02)
    np.testing.assert_allclose(outputs[0], found[0, 0] @ np.hstack([told, rest]).T)
    # That of each weight with the others held.
    held = np.diagonal(np.linalg.inv(exact.covariance[0, 0]))[n_told:]
    np.testing.assert_allclose(variance[0], 1 / held, rtol=0.01)


def test_small_tables_are_taken_as_a_whole():
    X, basis, _ = make()
    columns = choose_columns(X, np.ones(len(X)), basis)
    assert columns.X is X and columns.rest is None
    columns = choose_columns(SparseRows(X), np.ones(len(X)), basis)
    assert columns.basis is basis and columns.rest is None
