"""What a model learns does not hang on how its rows are written down.

Rows have no order, an integer weight is a number of copies, and a row of weight zero
is a row that is not there.
"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.invariance.problems import (
    HIDDEN,
    LINEAR,
    any_model,
    assert_same_models,
    by_name,
    few,
    fewer,
    fit,
    kinds,
    linear,
    linear_params,
    problems,
)


@any_model
@fewer
@given(problem=problems(gaps=True), data=st.data())
def test_rows_have_no_order(models, problem, data):
    kind, params = data.draw(models)
    order = data.draw(st.permutations(range(len(problem.X))))
    one = fit(problem, kind, **params)
    two = fit(problem.take(list(order)), kind, **params)
    assert_same_models(problem, kind, one, two)


def check_weights(problem, kind, data, least=1, **params):
    """Compare weights with repeated rows; those of weight zero are left out."""
    n, first = len(problem.X), 3
    weights = st.integers(least, 4)
    drawn = data.draw(st.lists(weights, min_size=n - first, max_size=n - first))
    # One row of each class, and of the levels u and v, stays.
    weight = np.array([2, 1, 3, *drawn])
    repeated = problem.take(np.repeat(np.arange(n), weight))
    one = fit(problem, kind, sample_weight=weight, **params)
    two = fit(repeated, kind, **params)
    assert_same_models(problem, kind, one, two)


@any_model
@fewer
@given(problem=problems(), data=st.data())
def test_weights_are_repeated_rows(models, problem, data):
    kind, params = data.draw(models)
    check_weights(problem, kind, data, **params)


@few
@given(problem=problems(), data=st.data(), model=linear)
def test_rows_of_weight_zero_are_absent(model, problem, data):
    kind, params = model
    check_weights(problem, kind, data, least=0, **params)


@fewer
@given(problem=problems(gaps=True), data=st.data(), model=linear)
def test_rows_of_weight_zero_are_absent_from_the_filling(model, problem, data):
    kind, params = model
    n = len(problem.X)
    kept = data.draw(st.lists(st.booleans(), min_size=n - 3, max_size=n - 3))
    weight = np.array([True, True, True, *kept])
    one = fit(problem, kind, sample_weight=weight.astype(float), **params)
    two = fit(problem.take(np.flatnonzero(weight)), kind, **params)
    assert_same_models(problem, kind, one, two)


@pytest.mark.parametrize("solver", ["lbfgs", "adam", "sgd"])
@pytest.mark.parametrize("gamma", ["auto", 10.0])
@fewer
@given(problem=problems(), data=st.data(), kind=kinds)
def test_weights_are_repeated_rows_to_every_solver(kind, solver, gamma, problem, data):
    steps = {} if solver == "lbfgs" else {"max_iter": 3}
    check_weights(problem, kind, data, 0, solver=solver, gamma=gamma, **steps)


@pytest.mark.parametrize("scaler", ["bounded", "minmax", "standard"])
@few
@given(problem=problems(), data=st.data(), model=linear)
def test_weights_are_repeated_rows_to_every_scaler(model, scaler, problem, data):
    kind, params = model
    check_weights(problem, kind, data, scaler=scaler, **params)


@pytest.mark.parametrize("imputer", ["median", "mean", "most_frequent"])
@few
@given(problem=problems(gaps=True), data=st.data(), model=linear)
def test_weights_are_repeated_rows_to_every_imputer(model, imputer, problem, data):
    kind, params = model
    check_weights(problem, kind, data, imputer=imputer, **params)


@pytest.mark.parametrize("params", by_name(LINEAR | HIDDEN))
@fewer
@given(problem=problems(), data=st.data())
def test_weights_are_repeated_rows_to_balanced_classes(params, problem, data):
    check_weights(problem, "classifier", data, class_weight="balanced", **params)


@fewer
@given(problem=problems(), data=st.data(), params=linear_params)
def test_weights_are_repeated_rows_to_classes_of_given_weight(params, problem, data):
    weights = {"p": 2.0, "q": 0.5, "r": 1.0}
    check_weights(problem, "classifier", data, class_weight=weights, **params)
