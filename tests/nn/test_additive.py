import numpy as np
import pandas as pd
import pytest
import torch

from llmreg import FeaturePrior, LLMAttributionClassifier, ResponseCurve
from llmreg.nn import attribute


@pytest.fixture
def module():
    """Two columns: one with a curve and two codes, one without either."""
    X = pd.DataFrame({"x0": [0.0, 4.0, 9.0], "x1": [1.0, 2.0, 5.0]})
    curve = ResponseCurve([2, 4, 8], [-2, 6, 1], special={-1: [4.0], 4: [-3.0]})
    prior = FeaturePrior.from_dict({"x0": [(2, -2), (4, 6), (8, 1)], "x1": 3})
    prior.curves["x0"] = curve
    model = LLMAttributionClassifier(prior, device="cpu").fit(X, [0, 1, 1])
    module = model.net_.module_
    basis = module.basis
    weights = np.random.default_rng(0).normal(size=len(basis.low) + 3)
    module.load_state_dict(module.state_of(weights[None], np.array([0.5])))
    return module


def test_what_is_made_of_rows_once_is_the_same(module):
    """At knots, at codes and beyond the curve as well."""
    X = torch.tensor(np.random.default_rng(1).normal(0.5, 1, size=(40, 2)))
    codes = [value for _, value in module.basis.codes]
    edges = [*module.basis.low, *module.basis.high, *codes, -2.0, 3.0]
    X[: len(edges), 0] = torch.tensor(edges)
    outputs, gradients = module.on_rows(X)
    torch.testing.assert_close(outputs(), module(X))
    torch.testing.assert_close(gradients(), attribute(module, X))


def rows_of(values):
    return torch.tensor(np.column_stack([values, np.zeros(len(values))]))


def test_rows_are_those_of_the_basis(module):
    X = np.random.default_rng(1).normal(0.5, 1, size=(50, 2))
    X[:6, 0] = [0.0, 0.5, 0.3, 1.0, -2.0, 3.0]
    basis = module.basis
    weights = [module.steps, module.code_steps, module.weight[:, 1:]]
    expected = basis.design(X) @ torch.hstack(weights).detach().numpy().T + 0.5
    np.testing.assert_allclose(module(torch.tensor(X)).detach().numpy(), expected)


def test_a_shape_is_straight_between_its_bends(module):
    """Codes included, beside which nothing lies between two bends."""
    bends, heights = module.shape(0)
    assert heights.shape == (1, len(bends))
    codes = [value for _, value in module.basis.codes]
    values = np.concatenate([np.linspace(-0.5, 1.5, 101), bends, codes])
    found = module(rows_of(values)).detach().numpy()[:, 0] - 0.5
    expected = np.interp(values, bends, heights[0])
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_the_attribution_at_a_knot_is_that_of_one_side(module):
    knot = module.basis.low[1]
    values = np.array([knot - 1e-3, knot, knot + 1e-3])
    left, at, right = attribute(module, rows_of(values))[:, 0, 0]
    assert left != right
    assert at == pytest.approx(right)
