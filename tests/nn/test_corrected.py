"""A linear model and weighted corrections, as one module."""

import copy
import pickle

import torch
from torch import nn

from llmreg.nn._factory import CorrectedModel
from llmreg.nn._residual import Correction, describe_state
from tests.fakes import DropoutNet, small_module


def factory():
    return small_module(3, 2)


def make(n_corrections=2):
    torch.manual_seed(0)
    model = CorrectedModel(factory, 3, 2, n_corrections)
    model.shares.copy_(torch.linspace(0.2, 0.5, n_corrections))
    return model


def test_outputs_are_the_weighted_sum():
    model, X = make(), torch.rand(4, 3)
    expected = model.linear(X)
    for share, correction in zip((0.2, 0.5), model.corrections, strict=True):
        expected = expected + share * correction(X)
    torch.testing.assert_close(model(X), expected)


def test_without_corrections_it_is_linear():
    model, X = make(0), torch.rand(4, 3)
    torch.testing.assert_close(model(X), model.linear(X))


def test_states_bring_everything(rng):
    model = make()
    states = [c.state_dict() for c in model.corrections]
    linear = (
        model.linear.weight.detach().double().numpy(),
        model.linear.bias.detach().double().numpy(),
    )
    state = describe_state(linear, Correction(states, model.shares.numpy(), 5))
    other = CorrectedModel(factory, 3, 2, 2)
    other.load_state_dict(state)
    X = torch.rand(4, 3)
    torch.testing.assert_close(other(X), model(X))


def test_shares_are_saved_and_not_trained():
    model = make()
    assert "shares" in model.state_dict()
    assert "shares" not in dict(model.named_parameters())
    for copied in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        assert torch.equal(copied.shares, model.shares)


def test_evaluation_reaches_the_corrections():
    model = CorrectedModel(lambda: DropoutNet(3, 1), 3, 1, 2).eval()
    dropouts = [part for part in model.modules() if isinstance(part, nn.Dropout)]
    assert len(dropouts) == 2
    assert not any(part.training for part in dropouts)
