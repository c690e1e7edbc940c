"""shap and captum take the models as they are; of linear ones the answer is known."""

import warnings

import numpy as np
import pytest
import torch

from llmreg import LLMAttributionClassifier, LLMAttributionRegressor
from llmreg.export import to_sklearn

with warnings.catch_warnings():
    # What shap and captum say of others while they are imported is not ours.
    warnings.simplefilter("ignore")
    numba = pytest.importorskip("numba")
    # Compiling would take longer than what it speeds up.
    numba.config.DISABLE_JIT = True
    shap = pytest.importorskip("shap")
    attr = pytest.importorskip("captum.attr")


@pytest.fixture
def numbers(table):
    return table[["age", "bmi", "smoker"]].astype(float)


CURVES = {"age": [(20, -2), (45, -4), (80, 6)]}


@pytest.fixture(params=["linear", "mlp", "curves", "mlp, curves"])
def classifier(request, table, illness, prior):
    return LLMAttributionClassifier(
        prior | CURVES if "curves" in request.param else prior,
        hidden_layer_sizes=(4,) if "mlp" in request.param else (),
        max_iter=20,
        random_state=0,
        device="cpu",
    ).fit(table, illness)


@pytest.fixture
def linear(table, illness, prior):
    return LLMAttributionClassifier(prior, device="cpu").fit(table, illness)


def test_shap_explains_probabilities(numbers, illness):
    X = numbers.fillna(26)
    model = LLMAttributionClassifier({"age": 6, "smoker": 8}, device="cpu")
    model.fit(X, illness)
    explainer = shap.Explainer(model.predict_proba, X[:5], seed=0)
    found = explainer(X[10:12])
    assert found.feature_names == ["age", "bmi", "smoker"]
    assert found.values.shape == (2, 3, 2)
    np.testing.assert_allclose(
        found.values.sum(axis=1) + found.base_values, model.predict_proba(X[10:12])
    )


def test_shap_explains_a_raw_table(classifier, table):
    """Strings and gaps are for the explainer that swaps values, not subtracts them."""
    explainer = shap.KernelExplainer(classifier.predict_proba, table[:5])
    found = explainer.shap_values(table[10:12], silent=True)
    assert found.shape == (2, 5, 2)
    expected = classifier.predict_proba(table[10:12])
    np.testing.assert_allclose(found.sum(axis=1) + explainer.expected_value, expected)


def test_shap_explains_the_weights_of_encoded_columns(linear, table):
    rows = linear.encoder_.transform(table)
    layer = linear.net_.module_
    weight, bias = layer.weight[0].detach().numpy(), layer.bias.item()
    found = shap.LinearExplainer((weight, bias), rows)(rows)
    expected = weight * (rows - rows.mean(axis=0))
    np.testing.assert_allclose(found.values, expected, atol=1e-12)
    np.testing.assert_allclose(
        found.values.sum(axis=1) + found.base_values, linear.decision_function(table)
    )


def test_shap_explains_an_exported_pipeline(table, risk, prior):
    model = LLMAttributionRegressor(prior, device="cpu").fit(table, risk)
    pipeline = to_sklearn(model)
    rows = pipeline["table"].transform(table)
    found = shap.LinearExplainer(pipeline["model"], rows)(rows)
    assert found.values.shape == rows.shape
    np.testing.assert_allclose(
        found.values.sum(axis=1) + found.base_values, model.predict(table)
    )


METHODS = ["InputXGradient", "IntegratedGradients"]


@pytest.mark.parametrize("method", METHODS)
def test_captum_explains_a_linear_module(method, linear, table):
    rows = torch.tensor(linear.encoder_.transform(table), requires_grad=True)
    found = getattr(attr, method)(linear.net_.module_).attribute(rows, target=0)
    expected = (linear.net_.module_.weight * rows).detach().numpy()
    np.testing.assert_allclose(found.detach().numpy(), expected, atol=1e-6)


def test_captum_explains_every_module(classifier, table):
    module = classifier.net_.module_
    rows = torch.tensor(classifier.encoder_.transform(table[:20]))
    # The gradient of shapes jumps at their knots.
    found = attr.IntegratedGradients(module).attribute(
        rows, target=0, n_steps=1500, method="riemann_middle"
    )
    with torch.no_grad():
        difference = module(rows) - module(torch.zeros_like(rows[:1]))
    np.testing.assert_allclose(found.sum(axis=1), difference[:, 0], atol=2e-3)


def test_captum_finds_what_attributions_holds(table, risk, prior):
    """The mean over the training rows of the same attribution."""
    model = LLMAttributionRegressor(
        prior, attribution="input_x_gradient", gamma=1.0, device="cpu", max_iter=500
    ).fit(table, risk)
    rows = torch.tensor(model.encoder_.transform(table), requires_grad=True)
    found = attr.InputXGradient(model.net_.module_).attribute(rows, target=0)
    mean = found.detach().numpy().mean(axis=0)
    np.testing.assert_allclose(mean, model.attributions_[0])
