"""Members trained side by side are what each would be alone."""

import copy
import itertools

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from llmreg.attribution import ATTRIBUTIONS
from llmreg.batched import train_members
from llmreg.batched_mlp import layers_of
from llmreg.batched_module import is_batchable
from llmreg.criterion import AttributionAlignedLoss
from llmreg.net import MLP, AlignedNet, BatchIterator, LinearModel, TableDataset
from llmreg.reproducibility import torch_seed

N_ROWS, N_FEATURES, N_EPOCHS = 12, 4, 12
TASKS = {"binary": 1, "multiclass": 3, "regression": 2}


class Wavy(nn.Module):
    """A user's module with a closed form that this package does not know."""

    def __init__(self, n_features, n_outputs):
        super().__init__()
        self.body = nn.Linear(n_features, 6)
        self.scale = nn.Parameter(torch.ones(6))
        self.head = nn.Linear(6, n_outputs, bias=False)

    def forward(self, X):
        return self.head(self.scale * torch.sin(self.body(X)) + self.body(X) ** 2)


class Branching(Wavy):
    """What the data decide cannot be mapped over members."""

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


def batch_normed(n_features, n_outputs):
    # No bias before the normalisation: its gradient is rounding, which Adam blows up.
    return nn.Sequential(
        nn.Linear(n_features, 5, bias=False),
        nn.BatchNorm1d(5),
        nn.Tanh(),
        nn.Linear(5, n_outputs),
    )


def make_module(kind, n_outputs, seed=0, **settings):
    with torch_seed(seed):
        return kind(N_FEATURES, n_outputs, **settings).double()


@pytest.fixture
def rows():
    rng = np.random.default_rng(0)
    return torch.as_tensor(rng.random((N_ROWS, N_FEATURES)))


def make_case(task, **settings):
    rng = np.random.default_rng(1)
    n_outputs = TASKS[task]
    y = {
        "binary": rng.integers(0, 2, N_ROWS).astype(float),
        "multiclass": rng.integers(0, 3, N_ROWS).astype(float),
        "regression": rng.normal(size=(N_ROWS, n_outputs)),
    }[task]
    scores = rng.integers(-10, 11, (n_outputs, N_FEATURES)).astype(float)
    scores[0, 1] = np.nan
    criterion = AttributionAlignedLoss(scores, task=task, n_steps=4, **settings)
    weight = torch.as_tensor(rng.uniform(0.5, 2.0, (3, N_ROWS)))
    weight[0, :4] = weight[2, 5:9] = 0
    return torch.as_tensor(y), criterion, weight, n_outputs


GAMMA = torch.tensor([0.0, 3.0, 100.0], dtype=torch.float64)


def train(module, X, y, weight, criterion, gamma=GAMMA, **settings):
    settings = {"l2": 0.1, "max_iter": N_EPOCHS} | settings
    return train_members(
        module, X, y, row_weight=weight, criterion=criterion, gamma=gamma, **settings
    )


def train_alone(module, X, y, weight, criterion, gamma, batch_size=None, seed=0):
    """Train a net as the estimators do, on the rows that have a weight."""
    present = weight > 0
    criterion = copy.deepcopy(criterion)
    criterion.gamma = float(gamma)
    with torch_seed(seed):
        net = AlignedNet(
            copy.deepcopy(module),
            criterion,
            n_features=N_FEATURES,
            n_outputs=len(criterion.direction),
            l2=0.1,
            optimizer=torch.optim.Adam,
            lr=0.01,
            max_epochs=N_EPOCHS,
            train_split=None,
            iterator_train=BatchIterator,
            iterator_train__shuffle=batch_size is not None,
            iterator_train__seed=seed,
            batch_size=batch_size or len(X),
            verbose=0,
        )
        net.partial_fit(TableDataset(X[present], y[present], weight[present]))
    return net


def assert_same_state(found, expected, atol=1e-8):
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=0, atol=atol)


def assert_same_as_alone(module, X, y, weight, criterion, **settings):
    members = train(module, X, y, weight, criterion, **settings)
    for k, gamma in enumerate(GAMMA):
        net = train_alone(module, X, y, weight[k], criterion, gamma)
        assert_same_state(members.state_dict(k), net.module_.state_dict())
        np.testing.assert_allclose(
            members.history[:, k], net.history[:, "train_loss"], rtol=1e-8
        )
        copied = copy.deepcopy(module)
        copied.load_state_dict(members.state_dict(k))
        with torch.no_grad():
            torch.testing.assert_close(members.outputs(X)[k], copied.eval()(X))
    return members


@pytest.mark.parametrize("kind", [LinearModel, MLP])
@pytest.mark.parametrize(
    ("task", "attribution", "score_transform", "penalty_on"),
    list(itertools.product(TASKS, ATTRIBUTIONS, ["identity", "exp"], ["mean", "row"])),
)
def test_members_are_what_the_net_alone_would_be(
    rows, kind, task, attribution, score_transform, penalty_on
):
    y, criterion, weight, n_outputs = make_case(
        task,
        attribution=attribution,
        score_transform=score_transform,
        penalty_on=penalty_on,
    )
    module = make_module(kind, n_outputs)
    assert_same_as_alone(module, rows, y, weight, criterion)


@pytest.mark.parametrize("attribution", ATTRIBUTIONS)
@pytest.mark.parametrize("penalty_on", ["mean", "row"])
@pytest.mark.parametrize("activation", ["relu", "tanh", "silu", "gelu"])
@pytest.mark.parametrize("hidden", [(7,), (5, 6), (4, 3, 5)])
def test_any_depth_and_activation(rows, attribution, penalty_on, activation, hidden):
    y, criterion, weight, n_outputs = make_case(
        "multiclass", attribution=attribution, penalty_on=penalty_on
    )
    module = make_module(
        MLP, n_outputs, hidden_layer_sizes=hidden, activation=activation
    )
    assert layers_of(module) == (activation,) * len(hidden)
    assert_same_as_alone(module, rows, y, weight, criterion)


@pytest.mark.parametrize("attribution", ATTRIBUTIONS)
@pytest.mark.parametrize("penalty_on", ["mean", "row"])
@pytest.mark.parametrize("task", TASKS)
def test_a_users_module(rows, task, attribution, penalty_on):
    y, criterion, weight, n_outputs = make_case(
        task, attribution=attribution, penalty_on=penalty_on
    )
    module = make_module(Wavy, n_outputs)
    assert is_batchable(module, rows)
    assert_same_as_alone(module, rows, y, weight, criterion)


@pytest.mark.parametrize("kind", [batch_normed, Normed, Branching])
def test_what_cannot_be_mapped_is_trained_in_a_loop(rows, kind):
    y, criterion, weight, n_outputs = make_case("binary")
    module = make_module(kind, n_outputs)
    assert is_batchable(module, rows) == (kind is Branching)
    before = copy.deepcopy(module.state_dict())
    assert_same_as_alone(module, rows, y, weight, criterion)
    assert_same_state(module.state_dict(), before, atol=0)
