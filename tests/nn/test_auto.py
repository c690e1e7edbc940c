"""gamma="auto" at work: which parameters leave the model to the search."""

import numpy as np
import pytest
import torch

from llmreg import LLMAttributionClassifier
from llmreg.exceptions import ModuleOutputError
from llmreg.nn._factory import CorrectedModel
from llmreg.nn._net import MLP, LinearModel
from tests.fakes import flat_module, lazy_module, small_module, wide_module


def fit(table, y, prior, **parameters):
    settings = {"random_state": 0, "device": "cpu", "max_iter": 20} | parameters
    return LLMAttributionClassifier(prior, **settings).fit(table, y)


@pytest.mark.parametrize(
    ("parameters", "kind"),
    [
        ({}, LinearModel),
        ({"solver": "lbfgs"}, LinearModel),
        ({"net__criterion__n_steps": 4}, LinearModel),
        ({"hidden_layer_sizes": 4}, CorrectedModel),
        ({"hidden_layer_sizes": 4, "solver": "adam"}, CorrectedModel),
        ({"module": small_module}, CorrectedModel),
        ({"module": lazy_module}, CorrectedModel),
    ],
)
def test_the_search_makes_the_model(table, illness, prior, parameters, kind):
    model = fit(table, illness, prior, **parameters)
    assert type(model.net_.module_) is kind
    assert model.trust_ is not None
    assert "train_loss" not in model.net_.history[-1]
    assert model.n_iter_ > 0


@pytest.mark.parametrize(
    ("parameters", "kind"),
    [
        ({"solver": "adam"}, LinearModel),
        ({"attribution": "input_x_gradient"}, LinearModel),
        ({"net__callbacks": [], "max_iter": 1000}, LinearModel),
        ({"hidden_layer_sizes": 4, "early_stopping": True}, MLP),
        ({"hidden_layer_sizes": 4, "solver": "sgd"}, MLP),
        ({"hidden_layer_sizes": 4, "attribution": "integrated_gradients"}, MLP),
        ({"hidden_layer_sizes": 4, "net__lr": 0.1}, MLP),
    ],
)
def test_elsewhere_it_chooses_gamma(table, illness, prior, parameters, kind):
    model = fit(table, illness, prior, **parameters)
    assert type(model.net_.module_) is kind
    assert model.net_.criterion_.gamma == model.gamma_ == model.trust_.gamma > 0
    assert "train_loss" in model.net_.history[-1]


def test_verbose_does_not_take_the_loop(table, illness, prior, capsys):
    model = fit(table, illness, prior, hidden_layer_sizes=4, verbose=1, max_iter=2)
    assert isinstance(model.net_.module_, CorrectedModel)
    assert "held out rows give" in capsys.readouterr().err


def test_the_linear_part_is_the_linear_model(table, illness, prior):
    linear = fit(table, illness, prior)
    deep = fit(table, illness, prior, hidden_layer_sizes=(4,))
    assert deep.gamma_ == linear.gamma_
    assert str(deep.trust_) == str(linear.trust_)
    np.testing.assert_array_equal(
        deep.net_.module_.linear.weight.detach().numpy(), linear.coef_
    )


def test_two_rows_leave_the_linear_model(table, illness, prior):
    rows = [int(np.flatnonzero(illness == name)[0]) for name in ("ill", "healthy")]
    few = table.iloc[rows], illness.iloc[rows]
    linear = fit(*few, prior)
    deep = fit(*few, prior, hidden_layer_sizes=(4,))
    assert not len(deep.net_.module_.corrections)
    np.testing.assert_allclose(deep.predict_proba(table), linear.predict_proba(table))


@pytest.mark.parametrize("module", [flat_module, wide_module])
def test_modules_that_do_not_fit_are_named(table, illness, prior, module):
    with pytest.raises(ModuleOutputError, match="for a trial input of shape"):
        fit(table, illness, prior, module=module)


def test_a_template_of_another_precision(table, illness, prior):
    n_columns = len(fit(table, illness, prior).encoder_.columns_)
    template = torch.nn.Linear(n_columns, 1).double()
    model = fit(table, illness, prior, module=template)
    assert model.score(table, illness) > 0.65
    assert template.weight.dtype == torch.float64
