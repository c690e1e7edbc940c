"""Standard deviations and intervals of both estimators."""

import pickle

import numpy as np
import pandas as pd
import pytest

from llmreg import LLMAttributionClassifier, LLMAttributionRegressor
from llmreg.exceptions import LLMRegError, NoPosteriorError

PRIOR = {"a": 6, "b": -3}
CURVES = {"a": [(0, -5), (0.5, 1), (1, 5)], "b": [(0, 2), (1, -2)]}


def table(n_rows=300, seed=0):
    rng = np.random.default_rng(seed)
    X = pd.DataFrame(rng.random((n_rows, 2)), columns=["a", "b"])
    return X, 100 + 40 * X["a"] - 10 * X["b"] + rng.normal(0, 5, n_rows)


@pytest.mark.parametrize("prior", [PRIOR, CURVES])
@pytest.mark.parametrize("n_rows", [10, 25, 100])
def test_intervals_hold_nine_of_ten_outcomes(prior, n_rows):
    found = []
    for seed in range(5):
        X, y = table(seed=seed)
        model = LLMAttributionRegressor(prior).fit(X[:n_rows], y[:n_rows])
        low, high = model.predict_interval(X[n_rows:]).T
        found.append(((low < y[n_rows:]) & (y[n_rows:] < high)).mean())
    assert 0.84 < np.mean(found) < 0.97


def test_std_is_that_of_outcomes_in_units_of_the_target():
    X, y = table()
    model = LLMAttributionRegressor(PRIOR).fit(X, y)
    mean, std = model.predict(X, return_std=True)
    np.testing.assert_allclose(mean, model.predict(X))
    assert std == pytest.approx(5, rel=0.15)
    narrow, wide = (model.predict_interval(X, level) for level in (0.5, 0.95))
    assert (np.diff(narrow) < np.diff(wide)).all()
    np.testing.assert_allclose(wide.mean(axis=1), mean)


def test_several_targets_have_the_shapes_of_a_gaussian_process():
    X, y = table(40)
    y = np.column_stack([y, -3 * y])
    model = LLMAttributionRegressor({"y0": PRIOR, "y1": {"a": -6, "b": 3}}).fit(X, y)
    mean, std = model.predict(X, return_std=True)
    assert mean.shape == std.shape == (40, 2)
    assert model.predict_interval(X).shape == (40, 2, 2)
    assert std[:, 1] == pytest.approx(3 * std[:, 0], rel=0.2)


def test_a_constant_target_is_certain():
    X, _ = table(10)
    model = LLMAttributionRegressor(PRIOR).fit(X, np.full(10, 7.0))
    np.testing.assert_array_equal(model.predict_interval(X), 7.0)


@pytest.mark.parametrize("prior", [PRIOR, CURVES])
def test_probabilities_have_intervals_around_them(prior):
    X, y = table(60)
    model = LLMAttributionClassifier(prior).fit(X, y > y.median())
    ends, p = model.predict_proba_interval(X), model.predict_proba(X)
    assert ends.shape == (60, 2, 2)
    assert ((ends[..., 0] < p) & (p < ends[..., 1])).all()
    np.testing.assert_allclose(ends[:, 0], 1 - ends[:, 1, ::-1])
    closer = model.predict_proba_interval(X, level=0.5)
    assert (np.diff(closer) < np.diff(ends)).all()


def test_many_classes_have_intervals():
    X, y = table(90)
    y = pd.qcut(y, 3, labels=["low", "middle", "high"]).astype(str)
    prior = {"low": {"a": -6}, "middle": {"a": 0}, "high": {"a": 6}}
    ends = LLMAttributionClassifier(prior).fit(X, y).predict_proba_interval(X)
    assert ends.shape == (90, 3, 2) and (ends[..., 0] < ends[..., 1]).all()


def test_true_probabilities_are_within():
    rng, found = np.random.default_rng(0), []
    for seed in range(12):
        X, _ = table(400, seed)
        p = 1 / (1 + np.exp(-4 * X["a"] + 2 * X["b"] + 1))
        y = rng.random(400) < p
        model = LLMAttributionClassifier(PRIOR).fit(X[:60], y[:60])
        low, high = model.predict_proba_interval(X)[:, 1].T
        found.append(((low < p) & (p < high)).mean())
    assert np.mean(found) > 0.8


@pytest.mark.parametrize(
    "settings",
    [
        {"gamma": 1.0},
        {"prior": None},
        {"solver": "adam", "max_iter": 2},
        {"hidden_layer_sizes": 4, "early_stopping": True, "max_iter": 2},
        {"attribution": "input_x_gradient"},
    ],
)
def test_models_without_a_posterior_say_so(settings):
    X, y = table(40)
    model = LLMAttributionRegressor(**{"prior": PRIOR, **settings}).fit(X, y)
    assert model.posterior_ is None
    with pytest.raises(NoPosteriorError, match='gamma="auto"'):
        model.predict(X, return_std=True)
    with pytest.raises(LLMRegError):
        model.predict_interval(X)


def test_a_piece_more_makes_the_posterior_out_of_date():
    X, y = table(40)
    model = LLMAttributionClassifier(PRIOR).fit(X, y > y.median())
    model.partial_fit(X, y > y.median())
    with pytest.raises(NoPosteriorError, match="partial_fit"):
        model.predict_proba_interval(X)


def test_hidden_layers_have_the_uncertainty_of_what_they_correct():
    X, y = table(60)
    linear, corrected = (
        LLMAttributionRegressor(CURVES, hidden_layer_sizes=h, max_iter=20).fit(X, y)
        for h in ((), (4,))
    )
    mean, std = corrected.predict(X, return_std=True)
    np.testing.assert_allclose(mean, corrected.predict(X))
    np.testing.assert_allclose(std, linear.predict(X, return_std=True)[1])


def test_intervals_outlast_a_pickle_that_stays_small():
    rng = np.random.default_rng(0)
    X = rng.random((50, 2_000))
    model = LLMAttributionRegressor(5).fit(X, X[:, 0])
    again = pickle.loads(pickle.dumps(model))
    ends = model.predict_interval(X)
    np.testing.assert_array_equal(again.predict_interval(X), ends)
    assert len(pickle.dumps(model.posterior_)) < 2_000_000


def test_weights_of_one_tenth_make_wider_intervals():
    X, y = table(60)
    model, y = LLMAttributionClassifier(PRIOR), np.arange(60) % 3 == 0
    sure = model.fit(X, y)._uncertain(X)[1].mean()
    weak = model.fit(X, y, sample_weight=np.full(60, 0.1))._uncertain(X)[1]
    assert weak.mean() > 1.5 * sure
