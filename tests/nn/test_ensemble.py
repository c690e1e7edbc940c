"""Members trained side by side are what each would be alone."""

import copy
import itertools

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from llmreg._utils._reproducibility import torch_seed
from llmreg.nn._attribution import ATTRIBUTIONS
from llmreg.nn._ensemble import is_batchable, train_members
from llmreg.nn._loss import AttributionAlignedLoss
from llmreg.nn._members import layers_of
from llmreg.nn._net import MLP, AlignedNet, BatchIterator, LinearModel, TableDataset
from tests.fakes import DropoutNet

N_ROWS, N_FEATURES, N_EPOCHS = 12, 4, 8
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


class Drawn(Wavy):
    """Knows how to draw all of its weights anew."""

    def reset_parameters(self):
        nn.init.normal_(self.scale)


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


def test_torch_dropout_is_drawn_for_every_member(rows):
    y, criterion, weight, n_outputs = make_case("binary")
    module = make_module(DropoutNet, n_outputs)
    assert is_batchable(module, rows)
    weight = torch.ones_like(weight)
    gamma = torch.full((3,), 2.0)
    members = train(module, rows, y, weight, criterion, gamma)
    first, second, _ = members.outputs(rows)
    assert not torch.allclose(first, second)
    again = train(module, rows, y, weight, criterion, gamma)
    assert torch.equal(members.outputs(rows), again.outputs(rows))


def test_numbers_drawn_otherwise_are_left_to_the_loop(rows):
    y, criterion, weight, n_outputs = make_case("binary")
    module = make_module(Noisy, n_outputs)
    assert not is_batchable(module, rows)
    members = train(module, rows, y, weight, criterion, seed=5)
    with torch_seed(6):
        net = train_alone(module, rows, y, weight[1], criterion, GAMMA[1], seed=6)
    assert_same_state(members.state_dict(1), net.module_.state_dict())


@pytest.mark.parametrize("kind", [LinearModel, MLP, Wavy, batch_normed])
def test_rows_without_weight_have_no_influence(rows, kind):
    y, criterion, weight, n_outputs = make_case("binary")
    module = make_module(kind, n_outputs)
    members = train(module, rows, y, weight, criterion)
    other = rows.clone()
    other[:4] = 5.0
    changed = train(module, other, 1 - y, weight, criterion)
    kept = train(module, other, torch.cat([1 - y[:4], y[4:]]), weight, criterion)
    assert_same_state(kept.state_dict(0), members.state_dict(0))
    assert not torch.allclose(changed.outputs(rows)[0], members.outputs(rows)[0])


@pytest.mark.parametrize(
    ("kind", "batch_size"),
    [(kind, size) for kind in (LinearModel, MLP, Drawn) for size in (None, 5)]
    + [(batch_normed, None)],
)
def test_a_member_alone_is_the_member_among_others(rows, kind, batch_size):
    y, criterion, weight, n_outputs = make_case("multiclass")
    module = make_module(kind, n_outputs)
    settings = {"batch_size": batch_size, "start": "varied", "seed": 3}
    members = train(module, rows, y, weight, criterion, **settings)
    alone = train(module, rows, y, weight[:1], criterion, GAMMA[:1], **settings)
    assert_same_state(alone.state_dict(0), members.state_dict(0))


def test_batches_are_those_of_the_net(rows):
    y, criterion, weight, n_outputs = make_case("binary")
    module = make_module(MLP, n_outputs)
    settings = {"batch_size": 5, "seed": 7}
    members = train(module, rows, y, weight[1:2], criterion, GAMMA[1:2], **settings)
    net = train_alone(module, rows, y, weight[1], criterion, GAMMA[1], **settings)
    assert_same_state(members.state_dict(0), net.module_.state_dict())
    np.testing.assert_allclose(members.history[:, 0], net.history[:, "train_loss"])


def test_a_member_without_rows_keeps_finite_weights(rows):
    y, criterion, weight, n_outputs = make_case("binary")
    weight[1] = 0
    for kind in (LinearModel, MLP, Wavy, batch_normed):
        module = make_module(kind, n_outputs)
        members = train(module, rows, y, weight, criterion)
        assert all(torch.isfinite(v).all() for v in members.state_dict(1).values())


def test_varied_starts_are_new_modules(rows):
    y, criterion, weight, n_outputs = make_case("binary")
    members = train(
        make_module(MLP, n_outputs, seed=99),
        *(rows, y, weight, criterion),
        max_iter=1,
        learning_rate=1e-12,
        start="varied",
        seed=4,
    )
    for k in range(3):
        expected = make_module(MLP, n_outputs, seed=4 + k).state_dict()
        assert_same_state(members.state_dict(k), expected)


def test_starts_that_cannot_be(rows):
    y, criterion, weight, n_outputs = make_case("binary")
    module = make_module(Wavy, n_outputs)
    with pytest.raises(ValueError, match=r"\['scale'\] belong to modules"):
        train(module, rows, y, weight, criterion, start="varied")
    with pytest.raises(ValueError, match="'same' or 'varied', got 'other'"):
        train(module, rows, y, weight, criterion, start="other")


@pytest.mark.parametrize("kind", [MLP, Wavy, batch_normed])
def test_directions_of_their_own(rows, kind):
    y, criterion, weight, n_outputs = make_case("binary")
    flipped = AttributionAlignedLoss(
        -np.where(criterion.known.bool(), criterion.direction, np.nan)
    )
    directions = torch.stack([criterion.direction, flipped.direction])
    module = make_module(kind, n_outputs)
    gamma = GAMMA[1:]
    both = train(module, rows, y, weight[1:], criterion, gamma, direction=directions)
    for k, own in enumerate((criterion, flipped)):
        alone = train(module, rows, y, weight[1:], own, gamma)
        assert_same_state(both.state_dict(k), alone.state_dict(k))


class Shifted(nn.Module):
    """A module and a constant that is added to its outputs."""

    def __init__(self, inner, constant):
        super().__init__()
        self.inner, self.constant = inner, constant

    def forward(self, X):
        return self.inner(X) + self.constant


def smooth_mlp(n_features, n_outputs):
    return MLP(n_features, n_outputs, hidden_layer_sizes=(5, 4), activation="tanh")


# The passes written out, those of any layers, of torch.func, and the plain loop.
EVERY_WAY = [LinearModel, MLP, smooth_mlp, Wavy, Branching, batch_normed]


@pytest.mark.parametrize("kind", EVERY_WAY)
@pytest.mark.parametrize("task", TASKS)
def test_an_offset_is_a_constant_in_the_module(rows, kind, task):
    y, criterion, weight, n_outputs = make_case(task)
    module = make_module(kind, n_outputs)
    constants = torch.linspace(-2, 3, 3 * n_outputs).double().view(3, n_outputs)
    offset = constants.unsqueeze(1).expand(-1, N_ROWS, -1)
    members = train(module, rows, y, weight, criterion, offset=offset)
    for k, gamma in enumerate(GAMMA):
        shifted = Shifted(module, constants[k])
        net = train_alone(shifted, rows, y, weight[k], criterion, gamma)
        assert_same_state(
            members.state_dict(k), net.module_.inner.state_dict(), atol=1e-7
        )


@pytest.mark.parametrize("kind", EVERY_WAY)
@pytest.mark.parametrize("batch_size", [None, 5])
def test_offsets_by_row_are_taken_from_the_targets(monkeypatch, rows, kind, batch_size):
    monkeypatch.setattr("llmreg.nn._ensemble._TILE", 700)
    monkeypatch.setattr("llmreg.nn._members._TILE", 700)
    if kind is batch_normed:
        batch_size = None  # A member may have one row of a batch, or none.
    y, criterion, weight, n_outputs = make_case("regression")
    module = make_module(kind, n_outputs)
    offset = torch.as_tensor(np.random.default_rng(3).normal(size=y.shape))
    settings = {"batch_size": batch_size, "seed": 2}
    found = train(
        *(module, rows, y, weight, criterion),
        offset=offset.expand(3, -1, -1),
        **settings,
    )
    expected = train(module, rows, y - offset, weight, criterion, **settings)
    for k in range(3):
        assert_same_state(found.state_dict(k), expected.state_dict(k), atol=1e-7)


@pytest.mark.parametrize("n_rows", [3, 300])
def test_members_in_parts_and_rows_in_blocks(monkeypatch, n_rows):
    rng = np.random.default_rng(2)
    X = torch.as_tensor(rng.random((n_rows, N_FEATURES)))
    _, criterion, _, n_outputs = make_case("binary")
    y = (X[:, 0] > 0.5).double()
    weight = torch.ones(3, n_rows).double()
    whole = train(make_module(MLP, n_outputs), X, y, weight, criterion)
    monkeypatch.setattr("llmreg.nn._ensemble._TILE", 700)
    monkeypatch.setattr("llmreg.nn._members._TILE", 700)
    for penalty_on in ("mean", "row"):
        criterion.penalty_on = penalty_on
        parts = train(make_module(MLP, n_outputs), X, y, weight, criterion)
        if penalty_on == "mean":
            assert_same_state(parts.state_dict(2), whole.state_dict(2))
    alone = train_alone(make_module(MLP, n_outputs), X, y, weight[1], criterion, 3.0)
    assert_same_state(parts.state_dict(1), alone.module_.state_dict())


def test_subclasses_and_hooks_have_no_closed_form(rows):
    class Own(MLP):
        def forward(self, X):
            return -super().forward(X)

    hooked, frozen = make_module(MLP, 1), make_module(MLP, 1)
    hooked.register_forward_hook(lambda module, inputs, output: 2 * output)
    frozen[0].weight.requires_grad_(False)
    y, criterion, weight, _ = make_case("binary")
    for module in (make_module(Own, 1), hooked, frozen):
        assert layers_of(module) is None
        assert_same_as_alone(module, rows, y, weight, criterion)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("kind", [LinearModel, MLP, Wavy, batch_normed])
def test_cuda_agrees_with_the_cpu(rows, kind):
    y, criterion, weight, n_outputs = make_case("multiclass")
    module = make_module(kind, n_outputs).float()
    where = [
        train(
            copy.deepcopy(module).to(device),
            rows.float().to(device),
            y.float().to(device),
            weight.float().to(device),
            criterion,
            GAMMA.to(device),
        )
        for device in ("cpu", "cuda")
    ]
    outputs = [
        members.outputs(rows.float().to(device)).cpu()
        for members, device in zip(where, ("cpu", "cuda"), strict=True)
    ]
    torch.testing.assert_close(outputs[1], outputs[0], rtol=1e-2, atol=1e-2)
