"""What a net learns beyond the linear model, and how far it is followed."""

import copy
import pickle

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression, Ridge

from llmreg.linear_model import _trees
from llmreg.nn._factory import CorrectedModel
from llmreg.nn._net import MLP
from llmreg.nn._residual import ResidualEnsemble, held_out_rows, train_residual
from tests.fakes import DropoutNet, small_module

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
        linear.append((np.atleast_2d(model.coef_), np.atleast_1d(model.intercept_)))
        return X @ linear[-1][0].T + linear[-1][1]

    linear = []
    of_all = fit_linear(np.ones(len(X), dtype=bool))
    if module is None:
        torch.manual_seed(0)
        module = MLP(X.shape[1], n_outputs, hidden_layer_sizes=(16,))
    settings = SETTINGS | changes
    found = train_residual(
        module, X, y, weight, fit_linear, of_all, task=task, **settings
    )

    def outputs(rows):
        total = rows @ linear[0][0].T + linear[0][1]
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


def some_rows(n_samples, n_classes=2, seed=0):
    rng = np.random.default_rng(seed)
    return rng.random((n_samples, 3)), np.arange(n_samples) % n_classes


@pytest.mark.parametrize(
    ("task", "n_samples", "n_folds"),
    [
        ("binary", 12, 5),
        ("binary", 300, 3),
        ("multiclass", 12, 4),
        ("multiclass", 60, 5),
        ("regression", 12, 5),
        ("regression", 300, 3),
    ],
)
def test_every_row_is_held_out_once(task, n_samples, n_folds):
    X, y = some_rows(n_samples, 3 if task == "multiclass" else 2)
    held_out = held_out_rows(X, X if task == "regression" else y, task, seed=0)
    assert held_out.shape == (n_folds, n_samples)
    assert (held_out.sum(axis=0) == 1).all()
    if task != "regression":
        assert all(set(y[~rows]) == set(y) for rows in held_out)


def test_copies_of_a_row_are_held_out_together():
    X, y = some_rows(30)
    rng = np.random.default_rng(1)
    rows = rng.permutation(np.append(np.arange(30), rng.integers(30, size=40)))
    once, copied = (
        held_out_rows(X[r], y[r], "binary", seed=3) for r in (range(30), rows)
    )
    np.testing.assert_array_equal(copied, once[:, rows])


@pytest.mark.parametrize("y", [[0, 1, 0], [0, 0, 0, 0, 1], [0, 2, 0, 2, 0, 2]])
def test_of_too_few_rows_none_is_held_out(y):
    y = np.array(y)
    X = np.arange(len(y) * 2.0).reshape(-1, 2)
    assert held_out_rows(X, y, "multiclass", seed=0) is None


def test_one_row_often_is_one_row():
    X, y = np.zeros((50, 2)), np.arange(50) % 2
    assert held_out_rows(X, y, "binary", seed=0) is None


@pytest.mark.parametrize("rare", [0, 1, 3, 50])
def test_where_rows_are_many_one_part_is_held_out(monkeypatch, rare):
    monkeypatch.setattr(_trees, "ONE_PART", 100)
    X, y = some_rows(150, 1)
    y[:rare] = 1
    held_out = held_out_rows(X, y, "binary", seed=0)
    if rare == 1:
        assert held_out is None
        return
    assert held_out.shape == (1, 150)
    assert held_out.sum() == 30
    if rare == 50:
        assert y[held_out[0]].sum() == 10
    assert held_out_rows(X, X, "regression", seed=0).sum() == 30


def factory():
    return small_module(3, 2)


def make_corrected(n_corrections=2):
    torch.manual_seed(0)
    model = CorrectedModel(factory, 3, 2, n_corrections)
    model.shares.copy_(torch.linspace(0.2, 0.5, n_corrections))
    return model


def test_outputs_are_the_weighted_sum():
    model, X = make_corrected(), torch.rand(4, 3)
    expected = model.linear(X)
    for share, correction in zip((0.2, 0.5), model.corrections, strict=True):
        expected = expected + share * correction(X)
    torch.testing.assert_close(model(X), expected)


def test_without_corrections_it_is_linear():
    model, X = make_corrected(0), torch.rand(4, 3)
    torch.testing.assert_close(model(X), model.linear(X))


def test_states_bring_everything(rng):
    model = make_corrected()
    states = [c.state_dict() for c in model.corrections]
    linear = model.linear.state_dict()
    state = ResidualEnsemble(states, model.shares.numpy(), 5).model_state(linear)
    other = CorrectedModel(factory, 3, 2, 2)
    other.load_state_dict(state)
    X = torch.rand(4, 3)
    torch.testing.assert_close(other(X), model(X))


def test_shares_are_saved_and_not_trained():
    model = make_corrected()
    assert "shares" in model.state_dict()
    assert "shares" not in dict(model.named_parameters())
    for copied in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        assert torch.equal(copied.shares, model.shares)


def test_evaluation_reaches_the_corrections():
    model = CorrectedModel(lambda: DropoutNet(3, 1), 3, 1, 2).eval()
    dropouts = [part for part in model.modules() if isinstance(part, torch.nn.Dropout)]
    assert len(dropouts) == 2
    assert not any(part.training for part in dropouts)
