"""Fits without skorch's loop leave the net that the loop leaves."""

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback

from llmreg import LLMAttributionClassifier, LLMAttributionRegressor


def make(kind, prior, **settings):
    settings = {"hidden_layer_sizes": (6,), "max_iter": 15} | settings
    return kind(prior, device="cpu", random_state=0, **settings)


@pytest.fixture
def calls(monkeypatch):
    """Count the fits that go without the loop."""
    from llmreg.nn import _training as training

    found = []
    real = training.train_at_once
    monkeypatch.setattr(
        training, "train_at_once", lambda *a: (found.append(1), real(*a))[1]
    )
    return found


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"batch_size": 16},
        {"hidden_layer_sizes": (5, 4), "activation": "gelu", "penalty_on": "row"},
        {"attribution": "integrated_gradients", "net__criterion__n_steps": 3},
    ],
)
@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_the_net_is_that_of_the_loop(
    table, illness, stage, prior, calls, task, settings
):
    kind = LLMAttributionRegressor if task == "regression" else LLMAttributionClassifier
    bmi = table["bmi"].fillna(26.0)
    y = {"binary": illness, "multiclass": stage, "regression": bmi / 10}[task]
    if task == "multiclass":
        prior = {"early": {"age": -5, "bmi": 1}, "late": prior, "middle": {"age": 2}}
    quick = make(kind, prior, gamma=3.0, **settings).fit(table, y)
    assert calls == [1]
    # A callback is a look inside.
    slow = make(kind, prior, gamma=3.0, net__callbacks=[Callback()], **settings)
    slow.fit(table, y)
    assert calls == [1]
    assert quick.n_iter_ == slow.n_iter_ == 15
    for model in (quick, slow):
        model.partial_fit(table, y)
    state = slow.net_.module_.state_dict()
    for name, value in quick.net_.module_.state_dict().items():
        torch.testing.assert_close(value, state[name], rtol=0, atol=1e-8)
    for column in ("epoch", "train_loss", "train_loss_best"):
        np.testing.assert_allclose(
            quick.net_.history[:, column], slow.net_.history[:, column], rtol=1e-7
        )


@pytest.mark.parametrize(
    "settings",
    [
        {"hidden_layer_sizes": ()},
        {"solver": "sgd"},
        {"solver": "lbfgs"},
        {"early_stopping": True},
        {"warm_start": True},
        {"net__optimizer": torch.optim.RMSprop},
        {"net__lr": 0.5},
    ],
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_what_needs_the_loop_gets_it(table, illness, prior, calls, settings):
    make(LLMAttributionClassifier, prior, **settings, max_iter=2).fit(table, illness)
    assert not calls


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
