"""What a net learns beyond the linear model, and how far it is followed."""

import copy

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression, Ridge

from llmreg.nn._net import MLP
from llmreg.nn._residual import learn_correction
from tests.fakes import small_module

SETTINGS = {
    "alpha": 1.0,
    "learning_rate": 0.01,
    "max_iter": 150,
    "device": "cpu",
    "seed": 0,
}


def learn(X, y, task="binary", module=None, weight=None, **changes):
    weight = np.ones(len(X)) if weight is None else weight
    n_outputs = {"binary": 1, "multiclass": 3}.get(task, y.shape[-1])

    def fit_linear(rows):
        model = Ridge(0.1) if task == "regression" else LogisticRegression(C=30)
        model.fit(X[rows], y[rows], sample_weight=weight[rows])
        return np.atleast_2d(model.coef_), np.atleast_1d(model.intercept_)

    linear = fit_linear(np.ones(len(X), dtype=bool))
    if module is None:
        torch.manual_seed(0)
        module = MLP(X.shape[1], n_outputs, hidden_layer_sizes=(16,))
    settings = SETTINGS | changes
    found = learn_correction(
        module, X, y, weight, fit_linear, linear, task=task, **settings
    )

    def outputs(rows):
        total = rows @ linear[0].T + linear[1]
        net = copy.deepcopy(module).double()
        for share, state in zip(found.shares, found.states, strict=True):
            net.load_state_dict(state)
            with torch.no_grad():
                total = total + share * net(torch.as_tensor(rows)).numpy()
        return total

    return found, outputs


def crossed(n_samples, seed=0):
    """Rows of which no linear model knows more than nothing."""
    X = np.random.default_rng(seed).random((n_samples, 3))
    return X, ((X[:, 0] > 0.5) ^ (X[:, 1] > 0.5)).astype(float)


@pytest.mark.parametrize("n_samples", [150, 2500])
def test_an_interaction_is_picked_up(n_samples):
    X, y = crossed(n_samples)
    found, outputs = learn(X, y, max_iter=400 if n_samples < 1000 else 20)
    assert found.shares.sum() > 0.9
    held_X, held_y = crossed(500, seed=1)
    assert np.mean((outputs(held_X)[:, 0] > 0) == held_y) > 0.85


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_where_nothing_is_left_over_nothing_is_followed(task):
    rng = np.random.default_rng(0)
    X = rng.random((120, 4))
    score = X @ [3.0, -3.0, 1.0, 0.0] + rng.normal(size=120)
    y = {
        "binary": (score > 0.5).astype(float),
        "multiclass": np.digitize(score, [0, 1]).astype(float),
        "regression": ((score - score.mean()) / score.std())[:, None],
    }[task]
    found, _ = learn(X, y, task)
    # No more than before a row was seen: half, of next to no correction.
    assert found.shares.sum() < 0.55


def test_shares_are_probabilities():
    X, y = crossed(60)
    found, _ = learn(X, y)
    assert (found.shares > 0.02).all()
    assert found.shares.sum() <= 1 + 1e-12
    assert len(found.states) == len(found.shares) <= 3


@pytest.mark.parametrize("n_samples", [2, 3])
def test_too_few_rows_leave_the_linear_model(n_samples):
    X, y = crossed(40)
    rows = np.r_[np.flatnonzero(y)[:1], np.flatnonzero(y == 0)[: n_samples - 1]]
    found, _ = learn(X[rows], y[rows])
    assert not found.states
    assert found.n_epochs == 1


def test_the_module_is_not_changed():
    X, y = crossed(30)
    torch.manual_seed(0)
    for module in (MLP(3, 1, hidden_layer_sizes=(4,)), small_module(3, 1)):
        before = copy.deepcopy(module.state_dict())
        learn(X, y, module=module, max_iter=3)
        for name, value in module.state_dict().items():
            assert torch.equal(value, before[name])
            assert value.dtype == before[name].dtype


def test_a_weight_of_two_is_a_row_twice():
    X, y = crossed(20)
    weight = np.ones(20)
    weight[[3, 8]] = 2
    twice = np.append(np.arange(20), [3, 8])
    weighted, outputs = learn(X, y, weight=weight)
    doubled, doubled_outputs = learn(X[twice], y[twice])
    np.testing.assert_allclose(weighted.shares, doubled.shares, rtol=1e-5)
    np.testing.assert_allclose(outputs(X), doubled_outputs(X), rtol=1e-4, atol=1e-5)


def test_passes_are_fewer_where_rows_are_many():
    X, y = crossed(5000)
    found, _ = learn(X, y, max_iter=10)
    assert found.n_epochs == 8


def test_targets_without_error_are_not_infinitely_likely():
    X = np.random.default_rng(0).random((30, 2))
    found, _ = learn(X, np.zeros((30, 1)), "regression", max_iter=3)
    assert np.isfinite(found.shares).all()
