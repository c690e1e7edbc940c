"""Tables that are mostly zeros: the same model, in the memory of their numbers."""

import tracemalloc

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from llmreg import LLMAttributionClassifier, LLMAttributionRegressor
from llmreg.preprocessing import _sparse
from llmreg.preprocessing._sparse import SparseRows

KINDS = (sp.csr_array, sp.csc_array, sp.csr_matrix, sp.csc_matrix)


def keep_few(monkeypatch):
    monkeypatch.setattr(_sparse, "_MOST_DENSE", 0)
    monkeypatch.setattr(_sparse, "_SHARE", 1)


def words(n_rows=60, n_columns=40, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.poisson(0.2, size=(n_rows, n_columns)).astype(float)
    y = (X[:, 0] - X[:, 1] + rng.normal(0, 0.5, n_rows) > 0).astype(int)
    return X, y


def towns(n_rows=80, n_levels=30, seed=0):
    rng = np.random.default_rng(seed)
    town = rng.integers(0, n_levels, n_rows)
    names = [f"t{k}" for k in range(n_levels)]
    X = pd.DataFrame(
        {
            "age": rng.normal(size=n_rows),
            "town": pd.Categorical.from_codes(town, names),
        }
    )
    y = (X["age"] + 0.1 * town + rng.normal(size=n_rows) > 1.5).astype(int)
    return X, y


def scores(n_columns):
    found = np.full(n_columns, np.nan)
    found[:3] = 5, -5, 1
    return found


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("gamma", ["auto", 0.0, 10.0])
def test_sparse_words_give_the_model_of_dense_ones(kind, gamma, monkeypatch):
    X, y = words()
    for estimator in (LLMAttributionClassifier, LLMAttributionRegressor):
        dense, sparse = (
            estimator(scores(40), gamma=gamma, random_state=0) for _ in range(2)
        )
        dense.fit(X, y)
        with monkeypatch.context() as patch:
            keep_few(patch)
            sparse.fit(kind(X), y)
            found = sparse.predict(kind(X))
        np.testing.assert_allclose(sparse.coef_, dense.coef_, atol=1e-6)
        np.testing.assert_allclose(sparse.intercept_, dense.intercept_, atol=1e-6)
        np.testing.assert_allclose(found, dense.predict(X), atol=1e-6)
        np.testing.assert_allclose(sparse.predict(X), found, atol=1e-9)


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_many_levels_give_the_model_of_few(task, monkeypatch):
    X, y = towns()
    estimator, prior = LLMAttributionClassifier, {"age": 5, "town=t3": 2}
    if task == "multiclass":
        y = np.array(["no", "yes", "far"])[np.where(X["town"].cat.codes < 6, 2, y)]
        prior = {"yes": prior, "far": {"town=t3": 8}}
    elif task == "regression":
        estimator = LLMAttributionRegressor
    dense = estimator(prior, random_state=0).fit(X, y)
    with monkeypatch.context() as patch:
        keep_few(patch)
        sparse = estimator(prior, random_state=0).fit(X, y)
        assert isinstance(sparse.encoder_.encode(X), SparseRows)
        known = sparse.posterior_.moments(sparse.encoder_.encode(X))
    np.testing.assert_allclose(sparse.coef_, dense.coef_, atol=1e-6)
    np.testing.assert_allclose(sparse.trust_.weights, dense.trust_.weights, atol=1e-6)
    expected = dense.posterior_.moments(dense.encoder_.encode(X))
    for one, other in zip(known, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    "settings",
    [
        {"hidden_layer_sizes": 4},
        {"hidden_layer_sizes": 4, "gamma": 1.0, "batch_size": 16},
        {"gamma": 1.0, "solver": "adam", "early_stopping": True},
        {"gamma": 1.0, "attribution": "input_x_gradient"},
    ],
    ids=str,
)
def test_other_models_take_sparse_rows(settings, monkeypatch):
    X, y = words()
    dense, sparse = (
        LLMAttributionClassifier(scores(40), max_iter=20, random_state=0, **settings)
        for _ in range(2)
    )
    dense.fit(X, y)
    keep_few(monkeypatch)
    sparse.fit(sp.csr_array(X), y)
    assert isinstance(sparse.encoder_.encode(sp.csr_array(X)), SparseRows)
    expected = dense.predict_proba(X)
    found = sparse.predict_proba(sp.csr_array(X))
    np.testing.assert_allclose(found, expected, atol=1e-4)
    np.testing.assert_allclose(sparse.attributions_, dense.attributions_, atol=1e-3)


def test_pieces_may_be_sparse(monkeypatch):
    X, y = words()
    models = [LLMAttributionClassifier(scores(40), random_state=0) for _ in range(2)]
    for rows in (slice(0, 30), slice(30, 60)):
        models[0].partial_fit(X[rows], y[rows], classes=[0, 1])
    keep_few(monkeypatch)
    for rows in (slice(0, 30), slice(30, 60)):
        models[1].partial_fit(sp.csr_array(X[rows]), y[rows], classes=[0, 1])
    np.testing.assert_allclose(models[1].coef_, models[0].coef_, atol=1e-6)


def test_wide_sparse_rows_take_the_memory_of_their_numbers():
    n_rows, n_columns = 1_500, 6_000
    generator = np.random.default_rng(0)
    X = sp.random(n_rows, n_columns, 0.005, "csr", rng=generator)
    X = sp.hstack([X, sp.csr_array(words(n_rows, 3)[0])]).tocsr()
    y = words(n_rows, 3)[1]
    prior = LLMAttributionClassifier(scores(n_columns + 3), random_state=0)
    tracemalloc.start()
    prior.fit(X, y).predict(X)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 0.75 * n_rows * n_columns * 8
