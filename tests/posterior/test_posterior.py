"""The posterior that a fit leaves, beside closed forms and beside itself."""

import numpy as np
import pandas as pd
import pytest

from llmreg import LLMAttributionClassifier, LLMAttributionRegressor
from llmreg.linear_model import _averaging as averaging
from llmreg.linear_model._prior_grid import PriorGrid

CURVES = {"a": [(0, -5), (0.5, 0), (1, 5)], "b": [(0, 2), (1, -2)], "c": 1}


def table(n_rows, seed=0):
    rng = np.random.default_rng(seed)
    X = pd.DataFrame(rng.random((n_rows, 3)), columns=["a", "b", "c"])
    return X, X["a"] * 4 - X["b"] + rng.normal(0, 0.3, n_rows)


def known(model, X):
    posterior, columns = model._known(X)
    return posterior, columns


@pytest.mark.parametrize("prior", [CURVES, {"a": 5, "b": -2}])
@pytest.mark.parametrize("n_rows", [4, 60])
def test_factors_make_the_deviations(prior, n_rows):
    X, y = table(n_rows)
    posterior, columns = known(LLMAttributionRegressor(prior).fit(X, y), X)
    factors = posterior.factors(columns)
    _, deviation = posterior.moments(columns)
    assert factors.shape[:2] == (1, n_rows)
    np.testing.assert_allclose(np.sqrt((factors[0] ** 2).sum(axis=1)), deviation[:, 0])


def test_one_prior_gives_the_variance_of_a_ridge_regression(monkeypatch):
    """Ridge regression: the inverse of products and precisions, of all columns."""
    point = (-1, 2.0, 0.0, 0.0, 0.3, 0.0, np.nan)
    grid = PriorGrid(*(np.array([value]) for value in point))
    monkeypatch.setattr(averaging, "make_prior_grid", lambda *_: grid)
    # The second time there are fewer rows than columns.
    for n_rows in (30, 2):
        X, y = table(n_rows)
        model = LLMAttributionRegressor({"a": 5, "b": 3, "c": 3}, scaler=None)
        posterior, columns = known(model.fit(X, y), X)
        rows = np.column_stack([columns - columns.mean(axis=0), np.ones(n_rows)])
        precision = rows.T @ rows / 0.3 + np.diag([2, 2, 2, 0.01])
        far = np.vstack([columns, [[9, -9, 5]]])
        at = np.column_stack([far - columns.mean(axis=0), np.ones(n_rows + 1)])
        expected = np.einsum("np,pq,nq->n", at, np.linalg.inv(precision), at)
        _, deviation = posterior.moments(far)
        np.testing.assert_allclose(deviation[:, 0] ** 2, expected, rtol=1e-4)


def test_rows_make_it_surer_and_far_rows_are_less_sure():
    X, y = table(400)
    # Labels that are all but separated have weights of any size.
    y = y + np.random.default_rng(1).normal(0, 3, 400) > y.median()
    few, many = (
        LLMAttributionClassifier(CURVES).fit(X[:n], y[:n])._uncertain(X)[1].mean()
        for n in (20, 400)
    )
    assert many < few / 2
    wide = LLMAttributionClassifier({"a": 5, "b": -2}).fit(X[:50] / 2 + 0.25, y[:50])
    _, deviation = wide._uncertain(pd.DataFrame([[0.5] * 3, [5.0] * 3], columns=[*X]))
    assert deviation[1, 0] > 1.5 * deviation[0, 0]


def test_where_rows_tell_nothing_a_shape_is_as_uncertain_as_before():
    """All rows have one value of b; elsewhere its curve is only believed."""
    X, y = table(200)
    X["b"] = 0.0
    model = LLMAttributionRegressor(CURVES).fit(X, y)
    at = pd.DataFrame([[0.5, 0, 0.5], [0.5, 1, 0.5]], columns=[*X])
    _, deviation = model._uncertain(at)
    assert deviation[1, 0] > 2 * deviation[0, 0]


def test_very_many_rows_have_a_posterior_of_their_own():
    X, y = table(9_000)
    model = LLMAttributionClassifier(CURVES, random_state=0).fit(X, y > y.median())
    assert not model.posterior_.shift.any()
    assert model._uncertain(X[:100])[1].max() < 1
