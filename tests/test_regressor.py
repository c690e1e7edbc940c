import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_diabetes
from sklearn.linear_model import Ridge
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from llmreg import LLMAttributionRegressor
from llmreg.exceptions import PriorMismatchError
from tests.fakes import FakeProvider


def make(prior=None, **parameters):
    return LLMAttributionRegressor(
        prior, random_state=0, **{"device": "cpu"} | parameters
    )


@pytest.fixture
def two_targets(table, risk):
    return pd.DataFrame({"risk": risk, "cost": 1000 - 5 * table["age"]})


@pytest.mark.parametrize("n_targets", [1, 2])
def test_without_a_prior_it_is_ridge(n_targets):
    X, y = load_diabetes(return_X_y=True)
    y = y if n_targets == 1 else np.c_[y, 3 * X[:, 2] - 0.01 * y]
    weight = np.arange(len(y)) % 3
    scaled = MinMaxScaler().fit(X[weight > 0]).transform(X)
    scaler = StandardScaler().fit(y.reshape(len(y), -1), sample_weight=weight)
    z = scaler.transform(y.reshape(len(y), -1))
    theirs = Ridge(alpha=0.5).fit(scaled, z, sample_weight=weight)
    expected = scaler.inverse_transform(theirs.predict(scaled).reshape(len(y), -1))
    mine = make(alpha=0.5, scaler="minmax").fit(X, y, sample_weight=weight)
    assert mine.predict(X).shape == y.shape
    np.testing.assert_allclose(
        mine.predict(X), expected.reshape(y.shape), rtol=1e-4, atol=1e-6
    )
    linear = scaled @ mine.coef_.T + mine.intercept_
    np.testing.assert_allclose(linear, mine.predict(X))


def test_huge_gamma_makes_the_weights_parallel_to_the_prior(rng):
    X, scores = rng.random((50, 6)), rng.integers(-10, 11, 6).astype(float)
    model = make(scores, gamma=1e5, score_transform="identity").fit(
        X, rng.normal(size=50)
    )
    assert model.coef_.shape == (6,)
    w = model.coef_
    assert w @ scores / np.linalg.norm(w) / np.linalg.norm(scores) > 0.999


def test_several_targets_have_their_scores_by_name(table, two_targets):
    prior = {"cost": {"age": -9, "bmi": 0}, "risk": {"age": 6, "bmi": 5}}
    model = make(prior, gamma=10.0).fit(table, two_targets)
    assert model.prior_.outputs == ("risk", "cost")
    assert model.prior_.scores[:, 0].tolist() == [6, -9]
    assert model.predict(table).shape == (len(table), 2)
    assert (model.alignment_ > 0.9).all()
    with pytest.raises(PriorMismatchError, match="'price'"):
        make({"price": {"age": 1}, "risk": {"age": 2}}).fit(table, two_targets)


def test_nameless_targets(table, two_targets):
    model = make(FakeProvider()).fit(table, two_targets.to_numpy())
    assert model.prior_.outputs == ("y0", "y1")


@pytest.mark.parametrize("hidden_layer_sizes", [(), (20,)])
def test_units_of_the_target_do_not_matter(table, risk, prior, hidden_layer_sizes):
    model = make(prior, gamma=1.0, hidden_layer_sizes=hidden_layer_sizes)
    small = model.fit(table, risk).predict(table)
    large = model.fit(table, 1e6 * risk + 1e7).predict(table)
    np.testing.assert_allclose(large, 1e6 * small + 1e7, rtol=1e-6)


def test_constant_target(table):
    model = make({"age": 1, "bmi": 2}).fit(table, np.full(len(table), 3.0))
    np.testing.assert_allclose(model.predict(table), 3.0, atol=1e-3)


def test_partial_fit(table, risk, prior):
    model = make(prior, gamma=0.1, solver="adam", learning_rate_init=0.05)
    for _ in range(150):
        for piece in (slice(0, 30), slice(30, 60)):
            model.partial_fit(table[piece], risk[piece])
    assert model.score(table, risk) > 0.5


def test_early_stopping(table, risk, prior):
    model = make(
        prior,
        gamma=0.1,
        solver="adam",
        learning_rate_init=0.1,
        max_iter=3000,
        early_stopping=True,
    ).fit(table, risk)
    assert model.n_iter_ < 3000
    assert model.score(table, risk) > 0.3
