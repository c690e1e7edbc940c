"""Training and predicting in blocks, and in pieces."""

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from llmreg import LLMAttributionClassifier, LLMAttributionRegressor
from llmreg.nn import _training


def make(kind, prior, **settings):
    settings = {"hidden_layer_sizes": (6,), "max_iter": 15} | settings
    return kind(prior, device="cpu", random_state=0, **settings)


@pytest.mark.parametrize("hidden_layer_sizes", [(), (5,)])
@pytest.mark.parametrize("batch_size", ["auto", 16])
def test_rows_in_single_precision(hidden_layer_sizes, batch_size):
    rng = np.random.default_rng(0)
    X = rng.random((50, 3)).astype(np.float32)
    y = (X[:, 0] > 0.5).astype(int)
    model = LLMAttributionClassifier(
        [3, 1, 1],
        gamma=1,
        solver="adam",
        hidden_layer_sizes=hidden_layer_sizes,
        batch_size=batch_size,
        max_iter=5,
        scaler=None,
        random_state=0,
    )
    single = model.fit(X, y).predict_proba(X)
    double = model.fit(X.astype(np.float64), y).predict_proba(X.astype(np.float64))
    np.testing.assert_allclose(single, double, atol=1e-5)


@pytest.mark.parametrize("settings", [{}, {"hidden_layer_sizes": (4,), "gamma": 1}])
def test_predictions_in_blocks(monkeypatch, table, illness, prior, settings):
    model = make(
        LLMAttributionClassifier, prior, **{"hidden_layer_sizes": ()} | settings
    )
    expected = model.fit(table, illness).predict_proba(table)
    monkeypatch.setattr(_training, "_PREDICT_ROWS", 7)
    np.testing.assert_allclose(model.predict_proba(table), expected)


WEIGHTS = np.array([4.0, -3.0, 2.0, 1.0])


def rows(n_samples, seed):
    rng = np.random.default_rng(seed)
    X = rng.uniform(size=(n_samples, 4))
    p = 1 / (1 + np.exp(-2 * (X - 0.5) @ WEIGHTS))
    return X, (rng.uniform(size=n_samples) < p).astype(int)


@pytest.mark.parametrize("gamma", ["auto", 0.0, 1.0])
def test_every_piece_has_a_say(gamma):
    model = LLMAttributionClassifier(
        [4, -3, 2, 1],
        gamma=gamma,
        score_transform="identity",
        learning_rate_init=0.05,
        random_state=0,
    )
    for seed in range(20):
        model.partial_fit(*rows(400, seed), classes=[0, 1])
    X, y = rows(2000, seed=99)
    whole = LLMAttributionClassifier(gamma=0, random_state=0).fit(*rows(8000, seed=7))
    streamed = roc_auc_score(y, model.decision_function(X))
    assert streamed > roc_auc_score(y, whole.decision_function(X)) - 0.01


def test_the_last_piece_does_not_wipe_out_the_others():
    model = LLMAttributionClassifier(gamma=0, learning_rate_init=0.05, random_state=0)
    for seed in range(10):
        model.partial_fit(*rows(400, seed), classes=[0, 1])
    before = model.coef_.copy()
    X, y = rows(20, seed=50)
    model.partial_fit(X, 1 - y)
    assert np.abs(model.coef_ - before).max() < 0.1


def test_what_rows_do_not_say_is_shared_out():
    model = LLMAttributionClassifier([4, -3, 2, 1], random_state=0)
    model.partial_fit(*rows(100, 0))
    first, l2 = model.gamma_, model.net_.l2
    model.partial_fit(*rows(300, 1))
    assert model.gamma_ == pytest.approx(first / 4)
    assert model.net_.l2 == pytest.approx(l2 / 4)


def test_a_fixed_gamma_stays():
    model = LLMAttributionClassifier([4, -3, 2, 1], gamma=10, random_state=0)
    model.partial_fit(*rows(100, 0)).partial_fit(*rows(300, 1))
    assert model.gamma_ == 10


def test_goes_on_after_fit():
    model = LLMAttributionClassifier([4, -3, 2, 1], random_state=0).fit(*rows(50, 0))
    before = model.coef_.copy()
    model.partial_fit(*rows(400, 1))
    assert isinstance(model.net_.optimizer_, torch.optim.Adam)
    assert 0 < np.abs(model.coef_ - before).max() < 1


def test_regression_streams():
    model = LLMAttributionRegressor(
        [4, -3, 2, 1], learning_rate_init=0.05, random_state=0
    )
    for seed in range(20):
        X, _ = rows(200, seed)
        model.partial_fit(X, X @ WEIGHTS)
    X, _ = rows(500, 99)
    assert model.score(X, X @ WEIGHTS) > 0.99
