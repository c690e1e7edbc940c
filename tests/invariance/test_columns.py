"""What a model learns does not hang on how its columns are written down.

Columns have no order but that of their names, no unit and no sign of their own, and
one that is the same in all rows says nothing.
"""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.invariance.problems import (
    HIDDEN,
    LINEAR,
    NUMBERS,
    SCORES,
    any_model,
    assert_same,
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

# Decimal exponents of what a column is multiplied by.
FACTORS = {"tiny": (-30, -17), "others": (-14, 29)}


def factors(least=-30, most=29):
    mantissas = st.floats(1, 9.75)
    exponents = st.integers(least, most)
    return st.builds(lambda m, e: m * 10.0**e, mantissas, exponents)


# In units of the column: as far as double precision tells its values apart.
shifts = st.integers(-(10**6), 10**6)


@few
@given(problem=problems(gaps=True), data=st.data(), model=linear)
def test_columns_have_no_order(model, problem, data):
    kind, params = model
    order = list(data.draw(st.permutations(list(problem.X))))
    other = problem.with_tables(lambda X: X[order])
    one, two = fit(problem, kind, **params), fit(other, kind, **params)
    assert_same_models(problem, kind, one, two, other)


@any_model
@pytest.mark.parametrize("exponents", by_name(FACTORS))
@fewer
@given(problem=problems(gaps=True), data=st.data())
def test_columns_have_no_unit(models, exponents, problem, data):
    kind, params = data.draw(models)
    factor = {name: data.draw(factors(*exponents)) for name in NUMBERS}
    other = problem.with_tables(
        lambda X: X.assign(**{name: X[name] * factor[name] for name in NUMBERS})
    )
    one, two = fit(problem, kind, **params), fit(other, kind, **params)
    assert_same_models(problem, kind, one, two, other)


@pytest.mark.parametrize(
    "exponents", by_name(FACTORS | {"beyond squares": (-250, -200)})
)
@pytest.mark.parametrize("scaler", ["bounded", "minmax", "standard"])
@fewer
@given(problem=problems(levels=False), data=st.data(), kind=kinds)
def test_columns_have_no_unit_to_any_scaler(kind, scaler, exponents, problem, data):
    factor, name = data.draw(factors(*exponents)), data.draw(st.sampled_from(NUMBERS))
    other = problem.with_tables(lambda X: X.assign(**{name: X[name] * factor}))
    one = fit(problem, kind, scaler=scaler, gamma=10)
    two = fit(other, kind, scaler=scaler, gamma=10)
    assert_same_models(problem, kind, one, two, other)


@any_model
@fewer
@given(
    problem=problems(gaps=True), shift=shifts, factor=factors(-8, 20), data=st.data()
)
def test_columns_have_no_origin(models, problem, shift, factor, data):
    kind, params = data.draw(models)
    other = problem.with_tables(lambda X: X.assign(b=(X.b + shift) * factor))
    one, two = fit(problem, kind, **params), fit(other, kind, **params)
    assert_same_models(problem, kind, one, two, other)


@pytest.mark.parametrize("imputer", ["median", "mean", "most_frequent"])
@fewer
@given(problem=problems(gaps=True), shift=shifts, factor=factors(-8, 20), model=linear)
def test_gaps_have_no_unit(model, imputer, problem, shift, factor):
    kind, params = model
    other = problem.with_tables(lambda X: X.assign(a=(X.a + shift) * factor))
    one = fit(problem, kind, imputer=imputer, **params)
    two = fit(other, kind, imputer=imputer, **params)
    assert_same_models(problem, kind, one, two, other)


@pytest.mark.parametrize("params", by_name(LINEAR | HIDDEN))
@fewer
@given(problem=problems(gaps=True), shift=shifts, factor=factors())
def test_targets_have_no_unit(params, problem, shift, factor):
    other = replace(problem, target=(problem.target + shift) * factor)
    one, two = fit(problem, "regressor", **params), fit(other, "regressor", **params)
    for X in (problem.X, problem.new):
        expected = (one.predict(X) + shift) * factor
        assert_same(two.predict(X), expected, other.size("regressor"))


@fewer
@given(problem=problems(), factor=factors(), params=linear_params)
def test_a_target_turned_round_turns_the_prior(params, problem, factor):
    other = replace(problem, target=-problem.target * factor)
    turned = {name: -score for name, score in SCORES.items()}
    one = fit(problem, "regressor", **params)
    two = fit(other, "regressor", prior=turned, **params)
    expected = -one.predict(problem.new) * factor
    assert_same(two.predict(problem.new), expected, other.size("regressor"))


@pytest.mark.parametrize("scaler", ["bounded", "minmax", "standard"])
@few
@given(problem=problems(gaps=True), data=st.data(), model=linear)
def test_a_column_turned_round_turns_its_score(model, scaler, problem, data):
    kind, params = model
    name = data.draw(st.sampled_from(NUMBERS))
    other = problem.with_tables(lambda X: X.assign(**{name: -X[name]}))
    prior = problem.prior(kind)
    if kind == "regressor":
        turned = prior | {name: -prior[name]}
    else:
        turned = {c: row | {name: -row[name]} for c, row in prior.items()}
    one = fit(problem, kind, scaler=scaler, **params)
    two = fit(other, kind, prior=turned, scaler=scaler, **params)
    assert_same_models(problem, kind, one, two, other)


@pytest.mark.parametrize(
    ("gamma", "value"),
    [
        ("auto", 7.0),
        ("auto", -1e-30),
        ("auto", 1e30),
        ("fixed", 7.0),
        ("fixed", -1e-30),
        ("fixed", 1e30),
    ],
)
@fewer
@given(problem=problems())
def test_a_constant_target_is_predicted(gamma, value, problem):
    constant = replace(problem, target=np.full(len(problem.X), value))
    model = fit(constant, "regressor", **LINEAR[gamma])
    assert_same(model.predict(problem.new), np.full(6, value), abs(value))


CONSTANTS = {
    "numbers": [0, 1, 0.1, 3e-30, -7e30, True],
    "texts": ["only", ""],
    "gaps": [None, np.nan, pd.NA],
}


def overlapping(problem):
    """Repeat the rows, one copy of three with other labels: a best model exists."""
    n = len(problem.X)
    labels = np.tile(problem.labels, 3)
    target = np.tile(problem.target, 3)
    labels[:n], target[:n] = np.roll(labels[:n], 1), np.roll(target[:n], 1)
    return replace(problem.take(np.tile(np.arange(n), 3)), labels=labels, target=target)


def with_constants(problem, constants):
    """Append columns of one value, which numbers do not keep in the new rows."""
    columns = {f"d{i}": value for i, value in enumerate(constants)}
    later = {
        name: value if pd.isna(value) or isinstance(value, str) else 2 * value + 1
        for name, value in columns.items()
    }
    new = problem.new.assign(**{k: [v] * len(problem.new) for k, v in later.items()})
    X = problem.X.assign(**{k: [v] * len(problem.X) for k, v in columns.items()})
    return replace(problem, X=X, new=new)


@pytest.mark.parametrize("constants", by_name(CONSTANTS))
@few
@given(problem=problems(), model=linear)
def test_constant_columns_say_nothing(model, constants, problem):
    kind, params = model
    other = with_constants(problem, constants)
    one, two = fit(problem, kind, **params), fit(other, kind, **params)
    assert_same_models(problem, kind, one, two, other)


@pytest.mark.parametrize("constants", by_name(CONSTANTS))
@pytest.mark.parametrize("is_scored", [True, False])
@few
@given(problem=problems(levels=False, classes="pq"), model=linear)
def test_constant_columns_say_nothing_without_alpha(
    model, constants, is_scored, problem
):
    kind, params = model
    problem = overlapping(problem)
    other = with_constants(problem, constants)
    prior = problem.prior(kind) if is_scored else None
    one, two = (
        fit(told, kind, prior=prior, alpha=0.0, **params) for told in (problem, other)
    )
    assert_same_models(problem, kind, one, two, other)


@fewer
@given(problem=problems(), value=factors(), factor=factors(), model=linear)
def test_constant_columns_that_change_have_no_unit(model, problem, value, factor):
    kind, params = model
    one, two = (
        replace(
            problem,
            X=problem.X.assign(d=value * unit),
            new=problem.new.assign(d=value * unit * np.linspace(0, 4, 6)),
        )
        for unit in (1.0, factor)
    )
    prior = problem.prior(kind, SCORES | {"d": 8.0})
    models = [fit(told, kind, prior=prior, **params) for told in (one, two)]
    assert_same_models(one, kind, *models, two)


@pytest.mark.parametrize("alpha", [1.0, 0.0])
@few
@given(problem=problems(classes="pq"), is_scored=st.booleans(), model=linear)
def test_levels_without_rows_say_nothing(model, alpha, problem, is_scored):
    kind, params = model
    declared = pd.CategoricalDtype([*"tuvw", "unseen"])
    other = problem.with_tables(lambda X: X.assign(s=X["s"].astype(declared)))
    prior = problem.prior(kind) if is_scored else None
    one, two = (
        fit(told, kind, prior=prior, alpha=alpha, **params)
        for told in (overlapping(problem), overlapping(other))
    )
    assert_same_models(problem, kind, one, two, other)
