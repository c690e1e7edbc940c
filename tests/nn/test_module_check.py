"""Modules that do not fit, told in words before they are trained."""

import pytest
import torch
from torch import nn

from llmreg import LLMAttributionClassifier
from llmreg.exceptions import ModuleOutputError
from llmreg.nn._net import LinearModel, check_module


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (nn.Linear(3, 2), r"gave \(2, 2\) for a trial input of shape \(2, 3\)"),
        (nn.Linear(4, 1), "failed on a trial input"),
        (lambda X: X[:, 0], r"gave \(2,\)"),
        (lambda X: [X], "gave <class 'list'>"),
    ],
)
def test_modules_that_do_not_fit(module, message):
    if isinstance(module, nn.Module):
        module = module.double()
    with pytest.raises(ModuleOutputError, match=message) as caught:
        check_module(module, 3, 1, torch.float64)
    assert "(n_samples, 3)" in str(caught.value)
    assert "two classes take one output" in str(caught.value)


def test_checking_leaves_the_training_mode():
    module = LinearModel(3, 1).double()
    check_module(module, 3, 1, torch.float64)
    assert module.training


@pytest.mark.parametrize("gamma", [1.0, "auto"])
def test_what_is_no_module(table, illness, gamma):
    model = LLMAttributionClassifier(
        {"age": 3}, gamma=gamma, module=lambda n_features, n_outputs: "no module"
    )
    with pytest.raises(ModuleOutputError, match=r"must make a torch.nn.Module.* str"):
        model.fit(table, illness)
