"""What a model learns does not hang on what its classes are called."""

import warnings

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from llmreg import LLMAttributionClassifier
from llmreg.exceptions import PriorError
from tests.invariance.problems import (
    assert_same,
    by_name,
    few,
    fewer,
    fit,
    hidden_params,
    linear_params,
    predictions,
    problems,
)

# What p, q and r are called, in no order.
LABELS = [
    *([1, 0, 2], [0, 1, 2], [2, 1, 3], [10, 9, 100], [-1, 1, 0], [1.0, 0.0, 2.0]),
    *(["1", "0", "10"], ["b", "a", "c"], ["yes", "no", "-"], ["no", "yes", "-"]),
]
BOOLEANS = [[True, False], [False, True]]
# In the order of p, q and r: that of the outputs, to which hidden layers hold.
ORDERED = [[0, 1, 2], [9, 10, 100], [-1.0, 0.0, 1.0], ["a", "b", "c"], ["P", "no", "x"]]

HOLDERS = {
    "list": list,
    "array": np.array,
    "series": pd.Series,
    "category": lambda y: pd.Series(y, dtype="category"),
    "nullable": lambda y: pd.Series(y).convert_dtypes(),
    "arrow": lambda y: pd.Series(y).convert_dtypes(dtype_backend="pyarrow"),
    "polars": pl.Series,
    "pyarrow": pa.array,
}


def check_relabelled(problem, names, hold, params):
    called = dict(zip("pqr", names, strict=False))
    prior = {called[c]: row for c, row in problem.prior("classifier").items()}
    one = fit(problem, "classifier", **params)
    other = LLMAttributionClassifier(prior, random_state=0, **params)
    other.fit(problem.X, hold([called[label] for label in problem.labels]))
    classes = one.classes_.tolist()
    for X in (problem.X, problem.new):
        expected = predictions(one, X)
        assert_same(predictions(other, X, [called[c] for c in classes]), expected)


names = st.sampled_from(LABELS)
holders = st.sampled_from([*HOLDERS.values()])


@pytest.mark.parametrize("hold", by_name(HOLDERS))
@fewer
@given(problem=problems(gaps=True), names=names, params=linear_params)
def test_labels_have_no_name(hold, problem, names, params):
    check_relabelled(problem, names, hold, params)


@pytest.mark.parametrize("names", LABELS)
@fewer
@given(problem=problems(levels=False), hold=holders, params=linear_params)
def test_no_label_is_special(params, names, problem, hold):
    check_relabelled(problem, names, hold, params)


@few
@given(
    problem=problems(classes="pq"),
    names=st.sampled_from(BOOLEANS),
    hold=holders,
    params=linear_params,
)
def test_booleans_are_labels(params, problem, names, hold):
    check_relabelled(problem, names, hold, params)


@fewer
@given(problem=problems(), names=st.sampled_from(ORDERED), params=hidden_params)
def test_labels_have_no_name_to_hidden_layers(params, problem, names):
    check_relabelled(problem, names, list, params)


@pytest.mark.parametrize(
    "names",
    [(0, 1), (False, True), (1, 2), (-1, 1), ("p", "q"), ("no", "yes"), ("-", "no")],
)
@fewer
@given(problem=problems(levels=False, classes="pq"), params=linear_params)
def test_numbered_classes_are_not_mistaken(params, names, problem):
    # cross_val_predict and VotingClassifier show a model the numbers of the classes.
    X = pd.concat([problem.X] * 2)
    y = np.tile(np.where(problem.labels == "p", *names), 2)
    scores = problem.prior("regressor")
    model = LLMAttributionClassifier({names[0]: scores}, random_state=0, **params)
    folds = StratifiedKFold(2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            found = cross_val_predict(model, X, y, cv=folds, method="predict_proba")
        except PriorError:
            return  # It cannot be known which is which.
    for train, test in folds.split(X, y):
        fitted = clone(model).fit(X.iloc[train], y[train])
        assert_same(found[test], fitted.predict_proba(X.iloc[test]))
