"""What a model learns does not hang on how values are spelled and stored."""

import warnings
from dataclasses import replace
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.invariance.problems import (
    SINGLE,
    TOLERANCE,
    assert_same_models,
    by_name,
    few,
    fewer,
    fit,
    hidden,
    linear,
    problems,
)

SPELLINGS = {
    "text": ("1", "0"),
    "integers": (1, 0),
    "floats": (1.0, 0.0),
    "booleans": (True, False),
    "numpy": (np.int8(1), np.float32(0)),
    "decimals": (Decimal("1.0"), Decimal(0)),
    "signed": (1.0, -0.0),
    "text of floats": ("1.0", "0.0"),
}
COLUMNS = {
    "objects": lambda values: pd.Series(values, dtype=object),
    "category": lambda values: pd.Series(values, dtype="category"),
}


def spell(problem, spelling, column):
    """Call the levels u, v and w of a problem 1, 0 and x."""
    called = dict(zip("uvw", (*SPELLINGS[spelling], "x"), strict=True))

    def respell(X):
        return X.assign(s=column([called.get(s, s) for s in X["s"]]))

    return problem.with_tables(respell)


columns = st.sampled_from([*COLUMNS.values()])


@pytest.mark.parametrize("spelling", SPELLINGS)
@few
@given(problem=problems(gaps=True), column=columns, model=linear)
def test_levels_have_no_spelling(model, spelling, problem, column):
    kind, params = model
    scores = {"a": 6.0, "s=1": 2.0, "s=0": -1.0}
    text, other = spell(problem, "text", column), spell(problem, spelling, column)
    one = fit(text, kind, prior=text.prior(kind, scores), **params)
    two = fit(other, kind, prior=text.prior(kind, scores), **params)
    assert_same_models(text, kind, one, two, other)


@pytest.mark.parametrize("before", SPELLINGS)
@fewer
@given(problem=problems(gaps=True), column=columns)
def test_levels_are_found_in_every_other_spelling(before, problem, column):
    spelled = {word: spell(problem, word, column) for word in SPELLINGS}
    mine = spelled[before]
    model = fit(mine, "regressor", prior={"a": 6.0})
    for other in spelled.values():
        assert_same_models(mine, "regressor", model, model, other)


TEXTS = ["", "nan", "None", "NaN", "<NA>", "a=b", "s=u", "True", "1", " u", "ü", "0x"]


def check_renamed(problem, kind, text, params):
    """Call the level w something else."""
    called = {"w": text}
    other = problem.with_tables(
        lambda X: X.assign(s=X["s"].map(lambda s: called.get(s, s)))
    )
    one, two = fit(problem, kind, **params), fit(other, kind, **params)
    assert_same_models(problem, kind, one, two, other)


@pytest.mark.parametrize("text", TEXTS)
@fewer
@given(problem=problems(gaps=True), model=linear)
def test_levels_have_no_name(model, text, problem):
    kind, params = model
    check_renamed(problem, kind, text, params)


@fewer
@given(problem=problems(gaps=True), model=linear)
def test_a_level_called_missing_is_no_gap(model, problem):
    kind, params = model
    check_renamed(problem, kind, "missing", params)


GAPS = {"None": None, "NaN": float("nan"), "NA": pd.NA, "NaT": pd.NaT}


@pytest.mark.parametrize("gap", by_name(GAPS))
@fewer
@given(problem=problems(gaps=True), model=linear)
def test_a_gap_is_a_gap(model, gap, problem):
    kind, params = model

    def refill(X):
        both = X[["a", "s"]].astype(object)
        return X.assign(
            **{name: both[name].where(X[name].notna(), gap) for name in both}
        )

    other = problem.with_tables(refill)
    one, two = fit(problem, kind, **params), fit(other, kind, **params)
    assert_same_models(problem, kind, one, two, other)
    assert_same_models(problem, kind, one, one, other)


def rows_of(X, gap=None):
    """Give a table as a list of rows of Python's own values."""
    return X.astype(object).where(X.notna(), gap).to_numpy().tolist()


def typed(dtype):
    return lambda X: X.assign(s=X["s"].astype(dtype))


def narrow(X):
    return X.astype({"a": np.float32, "b": np.float16, "c": np.int8, "flag": np.uint8})


BACKENDS = {
    "pandas, str": typed("str"),
    "pandas, string": typed("string"),
    "pandas, category": typed("category"),
    "pandas, Arrow text": typed(pd.ArrowDtype(pa.string())),
    "pandas, objects": lambda X: X.astype(object),
    "pandas, narrow": narrow,
    "pandas, nullable": lambda X: X.convert_dtypes(),
    "pandas, Arrow": lambda X: X.convert_dtypes(dtype_backend="pyarrow"),
    "polars": pl.from_pandas,
    "polars, category": lambda X: pl.from_pandas(X).cast({"s": pl.Categorical}),
    "pyarrow": lambda X: pa.Table.from_pandas(X, preserve_index=False),
    "pyarrow, batch": lambda X: pa.RecordBatch.from_pandas(X, preserve_index=False),
    "pyarrow, dictionary": lambda X: pa.Table.from_pandas(
        typed("category")(X), preserve_index=False
    ),
    "array of objects": lambda X: X.to_numpy(dtype=object),
    "rows with None": rows_of,
    "rows with NaN": lambda X: rows_of(X, float("nan")),
}


def check_backend(problem, kind, turn, params):
    problem = problem.with_tables(lambda X: X.assign(flag=X["c"] > 0))
    one = fit(problem, kind, **params)
    other = replace(problem, X=turn(problem.X), new=turn(problem.new))
    named = {} if hasattr(other.X, "columns") else {"feature_names": [*problem.X]}
    two = fit(other, kind, prior=problem.prior(kind), **params, **named)
    assert_same_models(problem, kind, one, two, other)
    with warnings.catch_warnings():
        # scikit-learn tells of names that only one of the tables has.
        warnings.simplefilter("ignore")
        assert_same_models(problem, kind, one, one, other)


@pytest.mark.parametrize("turn", by_name(BACKENDS))
@fewer
@given(problem=problems(gaps=True), model=linear)
def test_tables_have_no_library(model, turn, problem):
    kind, params = model
    check_backend(problem, kind, turn, params)


@fewer
@given(
    problem=problems(gaps=True),
    turn=st.sampled_from([*BACKENDS.values()][:-3]),
    model=hidden,
)
def test_tables_have_no_library_to_hidden_layers(model, turn, problem):
    kind, params = model
    check_backend(problem, kind, turn, params)


ARRAYS = {
    "double": lambda X: X.to_numpy(),
    "columns": lambda X: np.asfortranarray(X.to_numpy()),
    "single": lambda X: X.to_numpy(np.float32),
    "objects": lambda X: X.to_numpy(object),
    "rows": lambda X: X.to_numpy().tolist(),
    "polars": pl.from_pandas,
}


@pytest.mark.parametrize("turn", by_name(ARRAYS))
@fewer
@given(
    problem=problems(levels=False),
    holes=st.booleans(),
    factor=st.integers(-14, 29),
    model=linear,
)
def test_arrays_are_tables_of_numbers(model, turn, problem, holes, factor):
    kind, params = model
    problem = problem.with_tables(lambda X: X * 10.0**factor)
    if holes:
        problem = problem.with_tables(lambda X: X.mask(X.isin([1.25 * 10.0**factor])))
    one = fit(problem, kind, **params)
    other = replace(problem, X=turn(problem.X), new=turn(problem.new))
    names, prior = [*problem.X], problem.prior(kind)
    two = fit(other, kind, prior=prior, feature_names=names, **params)
    tolerance = SINGLE if getattr(other.X, "dtype", None) == np.float32 else TOLERANCE
    assert_same_models(problem, kind, one, two, other, tolerance)
