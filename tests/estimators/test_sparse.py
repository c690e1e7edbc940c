"""Tables that are mostly zeros: the same model, in the memory of their numbers."""

import tracemalloc

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from llmreg import LLMAttributionClassifier, LLMAttributionRegressor
from llmreg.exceptions import ExportError
from llmreg.export import to_sklearn
from llmreg.linear_model import _subspace
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
        prior = {"yes": prior, "far": {"town=t3": 8}, "no": {"age": -3}}
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


@pytest.mark.parametrize("scaler", ["bounded", "minmax", "standard", None])
@pytest.mark.parametrize("prior", [5, {"a": [(-2, -6), (3, 0), (9, 6)], "b": -2}])
def test_rows_may_be_sparse_where_training_rows_were_not(scaler, prior):
    """Of columns that do not begin at 0 zeros do not stay zeros."""
    X = words(40, 2)[0] + 1
    X[:, 1] -= 3
    y, later = X[:, 0] > X[:, 1] + 3, X * (X != 1)
    for estimator in (LLMAttributionClassifier, LLMAttributionRegressor):
        model = estimator(prior, scaler=scaler, feature_names=["a", "b"]).fit(X, y)
        for kind in KINDS:
            np.testing.assert_allclose(model.predict(kind(later)), model.predict(later))
            known, expected = model._uncertain(kind(later)), model._uncertain(later)
            np.testing.assert_allclose(known, expected)
    first, other = (
        estimator(prior, scaler=scaler, feature_names=["a", "b"]) for _ in "ab"
    )
    first.partial_fit(X, y).partial_fit(later, y)
    other.partial_fit(X, y).partial_fit(sp.csr_array(later), y)
    np.testing.assert_allclose(other.predict(later), first.predict(later))


def test_wide_sparse_rows_take_the_memory_of_their_numbers():
    n_rows, n_columns = 3_000, 6_000
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


def curves():
    return {"age": [(-2, -6), (0, 0), (2, 6)], "town=t3": 2}


@pytest.mark.parametrize("regression", [False, True])
def test_levels_beside_curves_end_where_all_are_weighed_at_once(
    regression, monkeypatch
):
    X, y = towns(600, 60)
    estimator = LLMAttributionRegressor if regression else LLMAttributionClassifier
    dense = estimator(curves(), random_state=0).fit(X, y)
    with monkeypatch.context() as patch:
        keep_few(patch)
        patch.setattr(_subspace, "_MOST_PLAIN", 20)
        sparse = estimator(curves(), random_state=0).fit(X, y)
        (found, known), (expected, other) = (
            (model._outputs(X), model._uncertain(X)[1]) for model in (sparse, dense)
        )
    # Levels that are left out tell nothing of how far to trust curves.
    assert np.corrcoef(found[:, 0], expected[:, 0])[0, 1] > 0.99
    np.testing.assert_allclose(found, expected, atol=0.5)
    assert np.abs(found - expected).mean() < 0.1
    np.testing.assert_allclose(known.mean(), other.mean(), rtol=0.25)
    np.testing.assert_allclose(sparse._outputs(X), found, atol=1e-6)
    trust = sparse.trust_
    assert trust.agreement.shape == dense.trust_.agreement.shape
    assert trust.shape_deviations.shape == dense.trust_.shape_deviations.shape
    columns = sparse._known(X)[1]
    factor = sparse.posterior_.factors(columns)[0]
    deviation = sparse.posterior_.moments(columns)[1][:, 0]
    np.testing.assert_allclose((factor**2).sum(axis=1), deviation**2, rtol=1e-3)


def test_a_level_that_no_row_shows_stays_at_its_prior(monkeypatch):
    X, y = towns(600, 60)
    X["town"] = X["town"].cat.add_categories(["nowhere"])
    keep_few(monkeypatch)
    monkeypatch.setattr(_subspace, "_MOST_PLAIN", 20)
    model = LLMAttributionClassifier(curves(), random_state=0).fit(X, y)
    place = list(model.encoder_.get_feature_names_out()).index("town=nowhere")
    assert model.net_.module_.weight[0, place] == 0
    later = X.iloc[[0, 0]].assign(town=["nowhere", "t1"])
    later["town"] = later["town"].astype(X["town"].dtype)
    _, deviation = model._uncertain(later)
    assert deviation[0] > deviation[1]


def test_negative_numbers_are_weighed_in_their_own_units_but_not_exported():
    X, y = words()
    X[0, 0] = -2.0
    model = LLMAttributionClassifier(scores(40), scaler="minmax", random_state=0)
    model.fit(sp.csr_array(X), y)
    found = X @ model.coef_.T + model.intercept_
    np.testing.assert_allclose(found[:, 0], model.decision_function(X), atol=1e-9)
    dense = LLMAttributionClassifier(scores(40), scaler="minmax", random_state=0)
    np.testing.assert_allclose(dense.fit(X, y).coef_, model.coef_, atol=1e-6)
    with pytest.raises(ExportError, match="zeros stay zeros"):
        to_sklearn(model)
    positive = LLMAttributionClassifier(scores(40)).fit(sp.csr_array(np.abs(X)), y)
    expected = positive.predict_proba(np.abs(X))
    exported = to_sklearn(positive).predict_proba(np.abs(X))
    np.testing.assert_allclose(exported, expected, atol=1e-9)
