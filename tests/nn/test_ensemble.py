"""Copies trained side by side are what each would be alone."""

import copy

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from llmreg._utils._reproducibility import torch_seed
from llmreg.nn._ensemble import Rows, is_batchable, is_relu_mlp, train_copies
from llmreg.nn._loss import AttributionAlignedLoss
from llmreg.nn._net import MLP, AlignedNet, BatchIterator, LinearModel, TableDataset
from tests.fakes import DropoutNet

N_ROWS, N_FEATURES, N_EPOCHS = 12, 4, 8
TASKS = {"binary": 1, "multiclass": 3, "regression": 2, "poisson": 1}
L2 = torch.tensor([0.1, 0.0, 1.0]).double()


class Wavy(nn.Module):
    """A module of a user's own."""

    def __init__(self, n_features, n_outputs):
        super().__init__()
        self.body = nn.Linear(n_features, 6)
        self.scale = nn.Parameter(torch.ones(6))
        self.head = nn.Linear(6, n_outputs, bias=False)

    def forward(self, X):
        return self.head(self.scale * torch.sin(self.body(X)) + self.body(X) ** 2)


class Branching(Wavy):
    """What the data decide cannot be mapped over copies."""

    def forward(self, X):
        outputs = super().forward(X)
        return outputs if float(self.scale.detach().sum()) > 5.5 else 2 * outputs


class Normed(Wavy):
    """Batch normalisation by hand: no buffer tells that rows see one another."""

    def forward(self, X):
        return super().forward(X - X.mean(dim=0))


class Noisy(Wavy):
    def forward(self, X):
        return F.dropout(super().forward(X), 0.5, self.training)


class Negative(MLP):
    def forward(self, X):
        return -super().forward(X)


def smooth_mlp(n_features, n_outputs):
    return MLP(n_features, n_outputs, hidden_layer_sizes=(5, 4), activation="tanh")


def frozen_mlp(n_features, n_outputs):
    module = smooth_mlp(n_features, n_outputs)
    module[0].weight.requires_grad_(False)
    return module


def tied(n_features, n_outputs):
    module = nn.Sequential(
        nn.Linear(n_features, 5),
        nn.Linear(5, 5),
        nn.Linear(5, 5),
        nn.Linear(5, n_outputs),
    )
    module[2].weight = module[1].weight
    return module


def batch_normed(n_features, n_outputs):
    # No bias before the normalisation: its gradient is rounding, which Adam blows up.
    return nn.Sequential(
        nn.Linear(n_features, 5, bias=False),
        nn.BatchNorm1d(5),
        nn.Tanh(),
        nn.Linear(5, n_outputs),
    )


# In closed form, by torch.func, and in a plain loop.
CLOSED = [MLP]
BY_FUNC = [LinearModel, smooth_mlp, Negative, frozen_mlp, tied, Wavy, Branching]
LOOPED = [batch_normed, Normed]
EVERY_KIND = CLOSED + BY_FUNC + LOOPED


def make_module(kind, n_outputs):
    with torch_seed(0):
        return kind(N_FEATURES, n_outputs).double()


def make_rows(task):
    """Make rows that three copies see with weights and offsets of their own."""
    rng = np.random.default_rng(1)
    X, n_outputs = rng.random((N_ROWS, N_FEATURES)), TASKS[task]
    y = {
        "binary": rng.integers(0, 2, N_ROWS).astype(float),
        "multiclass": rng.integers(0, 3, N_ROWS).astype(float),
        "regression": rng.normal(size=(N_ROWS, n_outputs)),
        "poisson": rng.poisson(2.0, (N_ROWS, 1)).astype(float),
    }[task]
    weight = rng.uniform(0.5, 2.0, (3, N_ROWS))
    weight[0, :4] = weight[2, 5:9] = 0
    constants = np.linspace(-2, 3, 3 * n_outputs).reshape(3, 1, n_outputs)
    offset = np.repeat(constants, N_ROWS, axis=1)
    return Rows(*map(torch.as_tensor, (X, y, weight, offset)), L2)


def train(module, rows, task, batch_size=N_ROWS, seed=0):
    states, n_epochs = train_copies(
        module,
        rows,
        AttributionAlignedLoss(task=task, gamma=0.0),
        learning_rate=0.01,
        n_epochs=N_EPOCHS,
        batch_size=batch_size,
        seed=seed,
    )
    assert n_epochs == N_EPOCHS
    return states


class Shifted(nn.Module):
    """A module and a constant that is added to its outputs."""

    def __init__(self, inner, constant):
        super().__init__()
        self.inner, self.constant = inner, constant

    def forward(self, X):
        return self.inner(X) + self.constant


def train_alone(module, rows, k, task, batch_size=None, seed=0):
    """Train a net as the estimators do, on the rows that have a weight for copy k."""
    present = rows.weight[k] > 0
    with torch_seed(seed):
        net = AlignedNet(
            Shifted(copy.deepcopy(module), rows.offset[k, 0]),
            AttributionAlignedLoss,
            criterion__task=task,
            n_features=N_FEATURES,
            n_outputs=TASKS[task],
            l2=float(rows.l2[k]),
            optimizer=torch.optim.Adam,
            lr=0.01,
            max_epochs=N_EPOCHS,
            train_split=None,
            iterator_train=BatchIterator,
            iterator_train__shuffle=batch_size is not None,
            iterator_train__seed=seed,
            batch_size=batch_size or N_ROWS,
            verbose=0,
        )
        data = (rows.X[present], rows.y[present], rows.weight[k, present])
        net.partial_fit(TableDataset(*data))
    return net.module_.inner.state_dict()


def assert_same_state(found, expected, atol=1e-7):
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=0, atol=atol)


@pytest.mark.parametrize("kind", EVERY_KIND)
@pytest.mark.parametrize("task", TASKS)
def test_copies_are_what_the_net_alone_would_be(kind, task):
    rows, module = make_rows(task), make_module(kind, TASKS[task])
    assert is_relu_mlp(module) == (kind in CLOSED)
    assert is_batchable(module, rows.X) == (kind not in LOOPED)
    before = copy.deepcopy(module.state_dict())
    states = train(module, rows, task)
    for k, state in enumerate(states):
        assert_same_state(state, train_alone(module, rows, k, task))
    assert_same_state(module.state_dict(), before, atol=0)


def test_torch_dropout_is_drawn_for_every_copy():
    rows, module = make_rows("binary"), make_module(DropoutNet, 1)
    assert is_batchable(module, rows.X)
    alike = {name: torch.ones_like(getattr(rows, name)) for name in rows._fields[2:]}
    rows = rows._replace(**alike)
    first, second, _ = train(module, rows, "binary")
    name = next(iter(first))
    assert not torch.allclose(first[name], second[name])
    again, *_ = train(module, rows, "binary")
    assert_same_state(again, first, atol=0)


def test_numbers_drawn_otherwise_are_left_to_the_loop():
    rows, module = make_rows("binary"), make_module(Noisy, 1)
    rows = rows._replace(offset=torch.zeros_like(rows.offset))
    assert not is_batchable(module, rows.X)
    state = train(module, rows, "binary", seed=5)[1]
    # The net makes a copy of its module and tries it out, before it trains.
    with torch_seed(6):
        expected = train_alone(module, rows, 1, "binary", seed=6)
    assert_same_state(state, expected)


@pytest.mark.parametrize("kind", [MLP, Wavy, batch_normed])
def test_rows_without_weight_have_no_influence(kind):
    rows, module = make_rows("binary"), make_module(kind, 1)
    other = rows.X.clone()
    other[:4] = 5.0
    changed = torch.cat([1 - rows.y[:4], rows.y[4:]])
    expected = train(module, rows, "binary")
    found = train(module, rows._replace(X=other, y=changed), "binary")
    assert_same_state(found[0], expected[0])
    name = next(iter(found[1]))
    assert not torch.allclose(found[1][name], expected[1][name])


@pytest.mark.parametrize("kind", [MLP, smooth_mlp, Wavy, Branching, batch_normed])
@pytest.mark.parametrize("batch_size", [N_ROWS, 5])
def test_offsets_by_row_are_taken_from_the_targets(monkeypatch, kind, batch_size):
    monkeypatch.setattr("llmreg.nn._ensemble._TILE", 700)
    if kind is batch_normed:
        batch_size = N_ROWS  # A copy may have one row of a batch, or none.
    rows, module = make_rows("regression"), make_module(kind, 2)
    offset = torch.as_tensor(np.random.default_rng(3).normal(size=rows.y.shape))
    none = rows._replace(y=rows.y - offset, offset=torch.zeros_like(rows.offset))
    rows = rows._replace(offset=offset.expand(3, -1, -1))
    found, expected = (train(module, r, "regression", batch_size) for r in (rows, none))
    for k in range(3):
        assert_same_state(found[k], expected[k])


@pytest.mark.parametrize("kind", [MLP, Wavy, Branching])
def test_batches_are_those_of_the_net(kind):
    rows, module = make_rows("binary"), make_module(kind, 1)
    state = train(module, rows, "binary", batch_size=5, seed=7)[1]
    expected = train_alone(module, rows, 1, "binary", batch_size=5, seed=7)
    assert_same_state(state, expected)


@pytest.mark.parametrize("kind", [MLP, Wavy, batch_normed])
def test_a_copy_without_rows_keeps_finite_weights(kind):
    rows = make_rows("binary")
    rows.weight[1] = 0
    state = train(make_module(kind, 1), rows, "binary")[1]
    assert all(torch.isfinite(values).all() for values in state.values())


@pytest.mark.parametrize("task", TASKS)
def test_copies_in_parts(monkeypatch, task):
    rows, module = make_rows(task), make_module(MLP, TASKS[task])
    expected = train(module, rows, task)
    monkeypatch.setattr("llmreg.nn._ensemble._TILE", 2500)
    for found, state in zip(train(module, rows, task), expected, strict=True):
        assert_same_state(found, state)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("kind", [MLP, Wavy, batch_normed])
def test_cuda_agrees_with_the_cpu(kind):
    rows, module = make_rows("multiclass"), make_module(kind, 3)
    states = [
        train(
            copy.deepcopy(module).to(device, torch.float32),
            Rows(*(part.to(device, torch.float32) for part in rows)),
            "multiclass",
        )
        for device in ("cpu", "cuda")
    ]
    for on_cpu, on_cuda in zip(*states, strict=True):
        found = {name: values.cpu() for name, values in on_cuda.items()}
        assert_same_state(found, on_cpu, atol=1e-2)
