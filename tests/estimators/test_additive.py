"""Models with curves do what all models do: save, weigh rows, go on, are explained."""

import pickle
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone, is_classifier
from sklearn.model_selection import GridSearchCV

from llmreg import (
    FeaturePrior,
    LLMAttributionClassifier,
    LLMAttributionRegressor,
    ResponseCurve,
)
from llmreg.exceptions import CoefficientsError, PriorMismatchWarning
from llmreg.nn._additive import AdditiveModel
from tests.fakes import curved_prior

# Many columns have no curve, and no score.
pytestmark = pytest.mark.filterwarnings(
    f"ignore::{PriorMismatchWarning.__module__}.{PriorMismatchWarning.__name__}"
)

KINDS = {
    "two classes": (LLMAttributionClassifier, "illness", ["ill"]),
    "many classes": (LLMAttributionClassifier, "stage", ["early", "late", "middle"]),
    "regression": (LLMAttributionRegressor, "risk", ["risk"]),
}


@pytest.fixture
def table(table):
    table.loc[1::5, "bmi"] = 0.0
    table["constant"] = 3.0
    return table


@pytest.fixture(params=KINDS)
def problem(request):
    kind, target, outputs = KINDS[request.param]
    model = kind(curved_prior(*outputs), random_state=0, device="cpu")
    return model, request.getfixturevalue(target)


def train(table, y, **options):
    prior = curved_prior("ill")
    options = {"random_state": 0, "device": "cpu"} | options
    return LLMAttributionClassifier(prior, **options).fit(table, y)


def outputs(model, X):
    return model.predict_proba(X) if is_classifier(model) else model.predict(X)


def assert_same(model, X, other, other_X=None, **tolerance):
    tolerance = {"rtol": 1e-7, "atol": 1e-7} | tolerance
    other_X = X if other_X is None else other_X
    found = outputs(model, X), outputs(other, other_X)
    np.testing.assert_allclose(*found, **tolerance)


def test_saving_and_cloning(problem, table):
    model, y = problem
    model.fit(table, y)
    assert isinstance(model.net_.module_, AdditiveModel)
    for copy in pickle.loads(pickle.dumps(model)), clone(model).fit(table, y):
        np.testing.assert_array_equal(outputs(copy, table), outputs(model, table))


def test_weights_are_repeated_rows(problem, table, rng):
    model, y = problem
    weight = rng.integers(1, 4, len(table))
    rows = np.repeat(np.arange(len(table)), weight)
    other = clone(model).fit(table.iloc[rows], y.iloc[rows])
    assert_same(model.fit(table, y, sample_weight=weight), table, other)


def test_rows_and_columns_have_no_order(problem, table, rng):
    model, y = problem
    rows, columns = rng.permutation(len(table)), rng.permutation(table.columns)
    moved = table[columns]
    other = clone(model).fit(moved.iloc[rows], y.iloc[rows])
    assert_same(model.fit(table, y), table, other, moved)


def test_units_do_not_matter(problem, table):
    model, y = problem
    other = clone(model)
    other.set_params(prior=model.prior.convert_units({"age": 1000, "bmi": 0.001}))
    moved = table.assign(age=1000 * table["age"], bmi=table["bmi"] / 1000)
    assert_same(model.fit(table, y), table, other.fit(moved, y), moved)


def test_single_precision(problem, table):
    model, y = problem
    table = table[["age", "bmi", "constant"]]
    model.set_params(feature_names=list(table.columns), scaler="minmax")
    rows = table.to_numpy(np.float32)
    other = clone(model).fit(rows, y)
    assert_same(model.fit(rows.astype(np.float64), y), rows, other, rtol=1e-5)


def test_far_rows_are_those_at_the_end(problem, table):
    model, y = problem
    model.fit(table, y)
    far, further = (table.assign(age=age, bmi=-age) for age in (1e4, 1e12))
    assert_same(model, far, model, further)


@pytest.mark.parametrize("scaler", ["bounded", "minmax", "standard"])
def test_small_values_of_a_wide_column_are_no_code(scaler, rng):
    """Of 0, the code of a gap, and 1 to 1e9: 50 is as far from 0 as from 5."""
    revenue = np.where(rng.random(100) < 0.3, 0, np.exp(rng.uniform(0, 20, 100)))
    risk = np.where((revenue == 0) | (revenue > 1e6), 2.0, 0.0)
    curve = ResponseCurve([1, 1e6, 1e7, 1e9], [-3, -3, 3, 3], special={0: [3]})
    prior = replace(FeaturePrior.from_dict({"x": 0}), curves={"x": curve})
    options = {"scaler": scaler, "on_unit_mismatch": "keep", "device": "cpu"}
    model = LLMAttributionRegressor(prior, **options)
    model.fit(pd.DataFrame({"x": revenue}), risk)
    found = model.predict(pd.DataFrame({"x": [0.0, 5.0, 50.0, 500.0, 1e8]}))
    np.testing.assert_allclose(found, [2, 0, 0, 0, 2], atol=0.3)


def test_a_search_over_gamma_and_scaler(table, illness):
    model = LLMAttributionClassifier(curved_prior("ill"), device="cpu")
    grid = {"gamma": ["auto", 1.0], "scaler": ["bounded", "minmax", "standard", None]}
    search = GridSearchCV(model, grid, cv=2, error_score="raise").fit(table, illness)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


@pytest.mark.parametrize("hidden_layer_sizes", [(), (3,)])
def test_warm_start_has_no_effect(hidden_layer_sizes, table, illness):
    """Other rows have other segments, which last weights do not fit."""
    options = {"hidden_layer_sizes": hidden_layer_sizes, "max_iter": 5}
    rows = table["age"].between(30, 60)
    model = train(table[rows], illness[rows], warm_start=True, **options)
    other = train(table, illness, **options)
    assert_same(model.fit(table, illness), table, other)


@pytest.mark.parametrize("hidden_layer_sizes", [(), (3,)])
def test_shapes_go_on_learning(hidden_layer_sizes, table, illness):
    """Many later rows turn over what the curve of age says."""
    options = {"hidden_layer_sizes": hidden_layer_sizes, "max_iter": 5}
    model = train(table, illness, learning_rate_init=0.05, **options)
    later = pd.concat([table] * 40, ignore_index=True)
    labels = np.where(later["age"] < 45, "ill", "healthy")
    ends = pd.concat([table[:1]] * 2, ignore_index=True).assign(age=[25.0, 75.0])
    steps = getattr(model.net_.module_, "linear", model.net_.module_).steps
    before, said = steps.detach().clone(), np.diff(model.decision_function(ends))
    for _ in range(8):
        model.partial_fit(later, labels)
    assert said > 0 > np.diff(model.decision_function(ends))
    assert model.score(later, labels) > 0.8
    assert ((steps - before).abs() > 0.1).any()
    weight = getattr(model.net_.module_, "linear", model.net_.module_).weight
    assert not weight[0, :2].any(), "A column with a curve has no weight beside it."


def test_there_are_no_coefficients(table, illness):
    model = train(table[["age", "bmi"]], illness)
    with pytest.raises(CoefficientsError, match=r"AdditiveModel, whose shapes.*shap"):
        _ = model.coef_
    assert not hasattr(model, "coef_")


def test_attributions_are_slopes(table, illness):
    model = train(table, illness)
    assert model.attributions_.shape == (1, len(model.encoder_.columns_))
    assert model.alignment_[0] > 0.5
    rows = torch.tensor(model.encoder_.transform(table), requires_grad=True)
    model.net_.module_(rows).sum().backward()
    np.testing.assert_allclose(rows.grad.numpy().mean(0), model.attributions_[0])
