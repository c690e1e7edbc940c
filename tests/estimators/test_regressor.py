import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_diabetes
from sklearn.linear_model import Ridge, RidgeCV
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from llmreg import LLMAttributionRegressor
from llmreg.exceptions import DataError, PriorMismatchError
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
    linear = X @ mine.coef_.T + mine.intercept_
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


@pytest.mark.parametrize("value", [0.1, -1e-30, 1e38, -1e200, 1e-200, 0.0])
@pytest.mark.parametrize("gamma", ["auto", 10.0, 0.0])
def test_a_constant_target_beside_another(table, risk, gamma, value):
    model = make({"risk": {"age": 3}, "same": {"bmi": 2}}, gamma=gamma)
    targets = pd.DataFrame({"risk": risk, "same": value})
    found = model.fit(table, targets, sample_weight=np.arange(1, 61)).predict(table)
    np.testing.assert_array_equal(found[:, 1], value)
    assert np.corrcoef(found[:, 0], risk)[0, 1] > 0.5


@pytest.mark.parametrize("unit", [1e-200, 1e-30, -1e38, 1e200])
@pytest.mark.parametrize("gamma", ["auto", 10.0])
def test_targets_of_any_unit(table, risk, gamma, unit):
    model = make({"age": 3, "bmi": 2}, gamma=gamma, alpha=0.5)
    expected = model.fit(table, risk).predict(table)
    turned = {"age": 3 * np.sign(unit), "bmi": 2 * np.sign(unit)}
    model = make(turned, gamma=gamma, alpha=0.5).fit(table, unit * risk)
    np.testing.assert_allclose(model.predict(table) / unit, expected, rtol=1e-6)


def test_a_target_that_moves_in_a_later_piece(table, risk):
    model = make({"age": 3}, solver="adam", learning_rate_init=0.2, gamma=0)
    model.partial_fit(table, np.full(len(table), 5.0))
    np.testing.assert_array_equal(model.predict(table), 5.0)
    for _ in range(60):
        model.partial_fit(table, risk)
    assert model.score(table, risk) > 0.5


def test_partial_fit(table, risk, prior):
    model = make(prior, gamma=0.1, solver="adam", learning_rate_init=0.2)
    for _ in range(30):
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


TRUE = np.array([6.0, -4.0, 2.0, 0.0, -1.0])


def rows(n_samples, noise=1.0):
    rng = np.random.default_rng(0)
    X = rng.random((n_samples, 5))
    return X, X @ TRUE + noise * rng.normal(size=n_samples)


def cosine(a, b):
    return a @ b / np.linalg.norm(a) / np.linalg.norm(b)


def test_by_default_few_rows_leave_the_prior_as_it_is():
    model = make(TRUE).fit(*rows(5))
    assert cosine(model.coef_, TRUE) > 0.95
    assert model.gamma_ > 1
    assert "the model follows it" in model.trust_.verdict


def test_by_default_many_rows_decide():
    X, y = rows(1000)
    model = make(5.0).fit(X, y)
    ridge = RidgeCV(np.logspace(-3, 3, 13)).fit(X, y)
    np.testing.assert_allclose(model.predict(X), ridge.predict(X), atol=0.1)
    assert {c.feature for c in model.trust_.contradictions} == {"x1", "x4"}
    assert 0 <= model.gamma_ < 0.1


def test_a_prior_of_the_wrong_sign_is_not_followed():
    model = make(-TRUE).fit(*rows(100))
    assert cosine(model.coef_, TRUE) > 0.9
    assert model.trust_.p_reversed + model.trust_.p_uninformative > 0.5


def test_every_target_has_its_own_trust(table, two_targets):
    prior = {"cost": {"age": -9, "bmi": 0}, "risk": {"age": 6, "bmi": 5}}
    model = make(prior).fit(table, two_targets)
    risk, cost = model.trust_
    assert risk.n_samples == cost.n_samples == len(table)
    assert cost.p_aligned > 0.9
    assert model.score(table, two_targets) > 0.7
    assert model.gamma_ == pytest.approx(np.mean([risk.gamma, cost.gamma]))


def test_a_hidden_layer_learns_what_the_line_leaves_over():
    rng = np.random.default_rng(0)
    X = rng.random((400, 3))
    y = 4 * np.abs(X[:, 0] - 0.5) + X[:, 1] + 0.1 * rng.normal(size=400)
    fit, held = slice(0, 300), slice(300, 400)
    line = make([0, 5, 0], trees=None).fit(X[fit], y[fit]).score(X[held], y[held])
    deep = make([0, 5, 0], hidden_layer_sizes=(32,), max_iter=300)
    assert deep.fit(X[fit], y[fit]).score(X[held], y[held]) > line + 0.3


def test_constant_target_of_a_hidden_layer(table):
    model = make({"age": 1, "bmi": 2}, hidden_layer_sizes=(4,), max_iter=20)
    model.fit(table, np.full(len(table), 3.0))
    np.testing.assert_allclose(model.predict(table), 3.0, atol=1e-2)


@pytest.mark.parametrize(("first", "then"), [(1, 2), (2, 1), (3, 2)])
def test_another_number_of_targets_is_an_error(table, risk, first, then):
    targets = np.column_stack([risk] * 3)
    model = LLMAttributionRegressor(5).partial_fit(table, targets[:, :first].squeeze())
    with pytest.raises(DataError, match=f"{then} targets.* further {first}"):
        model.partial_fit(table, targets[:, :then].squeeze())


@pytest.mark.filterwarnings("ignore:overflow", "ignore:invalid value")
def test_targets_beyond_numbers(table, risk):
    with pytest.raises(DataError, match="so large"):
        LLMAttributionRegressor(5).fit(table, 1.7e308 * np.sign(risk - risk.mean()))
