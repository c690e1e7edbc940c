import pytest
import torch
from torch import nn

from llmreg.nn._attribution import ATTRIBUTIONS, attribute


@pytest.fixture
def module():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3)).double()


@pytest.fixture
def X():
    return torch.rand(5, 4, generator=torch.Generator().manual_seed(1)).double()


def test_gradient_is_the_difference_quotient(module, X):
    found = attribute(module, X, method="gradient")
    step = 1e-6
    for j in range(4):
        shift = torch.zeros_like(X)
        shift[:, j] = step
        quotient = (module(X + shift) - module(X - shift)) / (2 * step)
        torch.testing.assert_close(found[:, :, j], quotient.detach(), atol=1e-8, rtol=0)


def test_input_x_gradient_is_the_product(module, X):
    gradient = attribute(module, X, method="gradient")
    product = attribute(module, X, method="input_x_gradient")
    torch.testing.assert_close(product, gradient * X[:, None, :])


def test_integrated_gradients_add_up_to_the_change_of_the_output(module, X):
    # Completeness, proposition 1 of Sundararajan et al. (2017).
    found = attribute(module, X, method="integrated_gradients", n_steps=200)
    change = module(X) - module(torch.zeros_like(X))
    torch.testing.assert_close(found.sum(dim=2), change.detach(), atol=1e-5, rtol=0)


def test_integrated_gradients_of_a_linear_map_need_one_step(X):
    linear = nn.Linear(4, 2).double()
    found = attribute(linear, X, method="integrated_gradients", n_steps=1)
    torch.testing.assert_close(found, (linear.weight * X[:, None, :]).detach())


def test_outputs_at_hand_are_used(module, X):
    inputs = X.clone().requires_grad_(True)
    outputs = module(inputs)
    found = attribute(module, inputs, outputs=outputs)
    torch.testing.assert_close(found, attribute(module, X))


@pytest.mark.parametrize("method", ATTRIBUTIONS)
def test_attributions_reach_the_weights(module, X, method):
    # Without its graph kept, a method would train nothing, and say nothing.
    attributions = attribute(module, X, method=method, create_graph=True)
    attributions.square().sum().backward()
    for name, parameter in module.named_parameters():
        if name != "2.bias":
            assert parameter.grad is not None
            assert parameter.grad.abs().sum() > 0


def test_an_output_that_ignores_its_input_has_no_attribution(X):
    constant = nn.Parameter(torch.ones(1).double())
    found = attribute(lambda x: constant.expand(len(x), 1) + 0 * x[:, :1], X)
    assert not found.any()


def test_unknown_method(module, X):
    with pytest.raises(ValueError, match=r"must be one of .* got 'saliency'"):
        attribute(module, X, method="saliency")
