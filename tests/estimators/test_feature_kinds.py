"""The kind of a column belongs to the table: by dtype, by declaration, by the rows."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import clone
from sklearn.model_selection import cross_val_score

from llmreg import LLMAttributionClassifier, LLMAttributionRegressor
from llmreg.exceptions import (
    EncodingError,
    FeatureNamesError,
    LLMRegWarning,
    UnsupportedColumnError,
)
from tests.fakes import FakeProvider

N = 60
NUMBERS = np.random.default_rng(0).normal(size=N)
Y = np.where(NUMBERS > 0, "p", "q")


def table(**columns):
    return pd.DataFrame({"n": NUMBERS, **columns})


def some(values, dtype=object):
    return pd.Series(np.resize(np.array(values, dtype=object), N), dtype=dtype)


CODES = [1, 2, 3, 1, 2]
CATEGORICAL = {
    "integers": some(CODES, "int64"),
    "floats": some(CODES, "float64"),
    "objects": some(CODES),
    "booleans": some([True, False], "bool"),
    "nullable": some([1, 2, None], "Int64"),
    "identifiers": pd.Series([f"id-{i}" for i in range(N)]),
    "sentences": pd.Series([f"this patient says that it hurts {i}" for i in range(N)]),
    "dates": pd.Series(pd.date_range("2020", periods=N)),
}


@pytest.mark.parametrize("name", CATEGORICAL)
def test_levels_by_declaration(name):
    X = table(c=CATEGORICAL[name])
    model = LLMAttributionClassifier(feature_kinds={"c": "categorical"}).fit(X, Y)
    text = X.assign(c=X["c"].astype(object).map(str, na_action="ignore"))
    other = LLMAttributionClassifier().fit(text.astype({"c": "category"}), Y)
    np.testing.assert_allclose(
        model.predict_proba(X), other.predict_proba(text), atol=1e-8
    )
    assert cross_val_score(model, X, Y, cv=3, error_score="raise").min() > 0.5


NUMERIC = {
    "objects": some(CODES),
    "text": some(["1", "2.5", None], "str"),
    "category": some(["1", "2"], "category"),
    "integers": some(CODES, "int64"),
}


@pytest.mark.parametrize("name", NUMERIC)
def test_numbers_by_declaration(name):
    X = table(c=NUMERIC[name])
    model = LLMAttributionRegressor(feature_kinds={"c": "numeric"}).fit(X, NUMBERS)
    floats = X.assign(c=X["c"].astype(object).astype(float))
    other = LLMAttributionRegressor().fit(floats, NUMBERS)
    np.testing.assert_allclose(model.predict(X), other.predict(floats), atol=1e-8)
    assert model.encoder_.get_feature_names_out().tolist() == ["n", "c"]


def test_arrays_and_other_libraries():
    X = table(c=CATEGORICAL["integers"])
    params = {"feature_kinds": {"c": "categorical"}, "prior": {"c=2": 5, "n": 1}}
    expected = LLMAttributionRegressor(**params).fit(X, NUMBERS).predict(X)
    for other in (pl.from_pandas(X), X.to_numpy(), X.to_numpy().tolist()):
        names = None if isinstance(other, pl.DataFrame) else ["n", "c"]
        model = LLMAttributionRegressor(**params, feature_names=names)
        found = model.fit(other, NUMBERS).predict(other)
        np.testing.assert_allclose(found, expected, atol=1e-8)


def test_what_is_declared_wrong():
    X = table(c=some(["a", "b"]), d=pd.Series(pd.date_range("2020", periods=N)))
    for kinds, error, message in (
        ({"e": "numeric"}, FeatureNamesError, r"does not have: \['e'\]"),
        ({"c": "levels"}, EncodingError, r"\"numeric\" or \"categorical\"; got"),
        ({"c": "numeric", "d": "categorical"}, EncodingError, "'c': declared numeric"),
        ({"d": "numeric"}, UnsupportedColumnError, "'d': dates or times"),
    ):
        with pytest.raises(error, match=message):
            LLMAttributionClassifier(feature_kinds=kinds).fit(X, Y)
    kinds = {"c": "categorical", "n": "numeric"}
    model = clone(LLMAttributionClassifier(feature_kinds=kinds))
    assert model.get_params()["feature_kinds"] == kinds


ODD = np.array([3, *CODES * 11, 1, 2, 3, 1], dtype=object)
ODD[0] = "A"
FOLDS = {
    "numbers and one letter": ODD,
    "numbers and one text": np.where(np.arange(N) == 7, "unknown", ODD * 1),
    "booleans and one text": np.where(np.arange(N) == 7, "?", ODD == 1),
    "a number and texts": np.where(np.arange(N) == 7, 3, some(["a", "b", "c"])),
    "many levels": np.array([f"v{i}" for i in range(29)])[np.arange(N) % 29],
    "gaps and one text": np.where(np.arange(N) == 7, "x", None),
    "gaps and one number": np.where(np.arange(N) == 7, 3.5, None),
}


@pytest.mark.filterwarnings("ignore::llmreg.exceptions.LLMRegWarning")
@pytest.mark.parametrize("cv", [2, 3, 10])
@pytest.mark.parametrize("name", FOLDS)
def test_what_a_fit_takes_its_folds_take(name, cv):
    X = table(c=pd.Series(FOLDS[name], dtype=object))
    for rows in (X, X.to_numpy(dtype=object)):
        model = LLMAttributionClassifier().fit(rows, Y)
        scores = cross_val_score(model, rows, Y, cv=cv, error_score="raise")
        assert scores.mean() > 0.6


def test_a_text_among_guessed_numbers_is_a_gap():
    X = table(c=some(CODES))
    model = LLMAttributionClassifier().fit(X, Y)
    odd, gap = X.copy(), X.copy()
    odd.loc[3, "c"], gap.loc[3, "c"] = "A", None
    with pytest.warns(LLMRegWarning, match="'c': columns of objects"):
        found = model.predict_proba(odd)
    np.testing.assert_array_equal(found, model.predict_proba(gap))
    model = LLMAttributionClassifier(feature_kinds={"c": "numeric"}).fit(X, Y)
    with pytest.raises(EncodingError, match="'c' is numeric, but holds something else"):
        model.predict_proba(odd)


LISTS = {
    "numbers and one text": [*CODES, "A"],
    "booleans and one text": [True, False, "?"],
    "gaps and one text": [None, None, "x"],
    "numbers": CODES,
    "texts and one number": ["a", "b", 3],
}


@pytest.mark.filterwarnings("ignore::llmreg.exceptions.LLMRegWarning")
@pytest.mark.parametrize("name", LISTS)
def test_lists_of_rows_are_untyped(name):
    """A fold without the text is a list of numbers, of which NumPy makes floats."""
    odd = np.resize(np.array(LISTS[name][:-1], dtype=object), N)
    odd[7] = LISTS[name][-1]
    rows = [list(row) for row in zip(NUMBERS.tolist(), odd, strict=True)]
    scores = cross_val_score(
        LLMAttributionClassifier(), rows, Y, cv=5, error_score="raise"
    )
    assert scores.mean() > 0.6


@pytest.mark.parametrize("n_dates", [29, 40])
def test_dates_with_an_exception_are_dates_in_every_fold(n_dates):
    dates = pd.date_range("2020", periods=N).strftime("%Y-%m-%d").astype(object)
    dates = np.where(np.arange(N) < n_dates, dates, "unknown")
    X = table(c=pd.Series(dates, dtype=object))
    for rows in (X, X[1::2]):
        with pytest.raises(UnsupportedColumnError, match="'c': dates or times"):
            LLMAttributionRegressor().fit(rows, NUMBERS[rows.index])
    kinds = {"c": "categorical"}
    LLMAttributionRegressor(feature_kinds=kinds).fit(X, NUMBERS)


@pytest.mark.parametrize("hold", [np.ndarray.tolist, pd.DataFrame, np.asarray])
def test_numbers_without_a_type_are_no_cells(hold):
    """A provider is asked about them as about other numbers."""
    rows = hold(np.column_stack([NUMBERS, 2 * NUMBERS]).astype(object))
    names = ["first", "second"]
    provider = FakeProvider()
    named = None if isinstance(rows, pd.DataFrame) else names
    rows = rows if named else rows.set_axis(names, axis=1)
    model = LLMAttributionClassifier(provider, feature_names=named).fit(rows, Y)
    assert model.prior_.features == ("first", "second")
