"""Tables of polars and pyarrow give what the same table of pandas gives."""

import datetime as dt
import sys

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_predict

from llmreg import LLMAttributionClassifier, LLMAttributionRegressor
from llmreg.exceptions import (
    DataError,
    EncodingError,
    MissingDependencyError,
    UnsupportedColumnError,
)
from llmreg.preprocessing._columns import column_kinds
from llmreg.preprocessing._validation import as_table, is_foreign, to_pandas
from tests.fakes import FakeProvider

pa = pytest.importorskip("pyarrow")
pl = pytest.importorskip("polars")


class ShownProvider(FakeProvider):
    """Would send the task as it is."""

    def preview(self, task):
        return [task.to_dict()]


def polars_frame(frame):
    """Build it from plain lists, as a user would who never met pandas."""
    made = pl.DataFrame({name: _plain(column) for name, column in frame.items()})
    if "region" in made:
        levels = list(frame["region"].cat.categories)
        made = made.with_columns(pl.col("region").cast(pl.Enum(levels)))
    return made


def arrow_table(frame):
    return pa.Table.from_pandas(frame, preserve_index=False)


def _plain(values):
    return [None if pd.isna(value) else value for value in values]


FRAMES = {"polars": polars_frame, "pyarrow": arrow_table}
COLUMNS = {
    "polars": lambda y: pl.Series(y.name, _plain(y)),
    "pyarrow": lambda y: pa.chunked_array([_plain(y[:20]), _plain(y[20:])]),
}
libraries = pytest.mark.parametrize("library", FRAMES)


@pytest.fixture
def table(table):
    table["children"] = np.arange(len(table)) % 4
    table["insured"] = pd.array([True, False, None] * 20, dtype="boolean")
    return table


@pytest.fixture
def classifier(prior):
    return LLMAttributionClassifier(prior, random_state=0, device="cpu")


@pytest.fixture
def regressor(prior):
    return LLMAttributionRegressor(prior, random_state=0, device="cpu")


@libraries
def test_classifier(library, table, illness, classifier):
    X, y = FRAMES[library](table), COLUMNS[library](illness)
    expected = clone(classifier).fit(table, illness)
    found = clone(classifier).fit(X, y)
    probabilities = expected.predict_proba(table)
    np.testing.assert_array_equal(found.predict_proba(X), probabilities)
    np.testing.assert_array_equal(found.predict_proba(table), probabilities)
    np.testing.assert_array_equal(expected.predict_proba(X), probabilities)
    np.testing.assert_array_equal(found.predict(X), expected.predict(table))
    assert found.score(X, y) == expected.score(table, illness)
    assert found.encoder_.columns_ == expected.encoder_.columns_
    assert list(found.feature_names_in_) == list(table.columns)


@libraries
def test_regressor(library, table, risk, regressor):
    X, y = FRAMES[library](table), COLUMNS[library](risk)
    expected = clone(regressor).fit(table, risk)
    found = clone(regressor).fit(X, y)
    np.testing.assert_array_equal(found.predict(X), expected.predict(table))
    assert found.score(X, y) == pytest.approx(expected.score(table, risk))


@libraries
def test_partial_fit(library, table, illness, classifier):
    def train(make_frame, make_column):
        model = clone(classifier)
        for rows in (slice(0, 30), slice(30, None)):
            piece = table[rows].reset_index(drop=True)
            model.partial_fit(make_frame(piece), make_column(illness[rows]))
        return model.predict_proba(table)

    expected = train(lambda X: X, lambda y: y)
    found = train(FRAMES[library], COLUMNS[library])
    np.testing.assert_array_equal(found, expected)


@libraries
def test_search_and_cross_validation(library, table, illness, classifier):
    X, y = FRAMES[library](table), COLUMNS[library](illness)

    def search(X, y):
        found = GridSearchCV(classifier, {"gamma": [0.5, 1.0]}, cv=2).fit(X, y)
        return found.cv_results_["mean_test_score"]

    def validate(X, y):
        return cross_val_predict(classifier, X, y, cv=2, method="predict_proba")

    np.testing.assert_array_equal(search(X, y), search(table, illness))
    np.testing.assert_allclose(validate(X, y), validate(table, illness), rtol=1e-12)


@libraries
def test_targets_are_named_and_their_cells_stay(library, table, risk):
    """The columns of an arrow table are its cells: its names are elsewhere."""
    targets = pd.DataFrame({"risk": risk, "cost": -risk})
    model = LLMAttributionRegressor(ShownProvider())
    expected = model.preview_prompt(table, targets)
    found = model.preview_prompt(FRAMES[library](table), FRAMES[library](targets))
    assert found == expected
    assert found[0]["outputs"] == ["risk", "cost"]


def test_the_name_of_a_column_is_the_name_of_the_target(table, illness):
    model = LLMAttributionClassifier(ShownProvider())
    y = COLUMNS["polars"](illness)
    (request,) = model.preview_prompt(FRAMES["polars"](table), y)
    assert request["target"] == "illness"
    y = COLUMNS["pyarrow"](illness)
    (request,) = model.preview_prompt(FRAMES["pyarrow"](table), y)
    assert request["target"] == "target"


@libraries
def test_weights(library, table, illness, classifier):
    weights = pd.Series(np.arange(len(table)) % 3, name="weight")
    expected = clone(classifier).fit(table, illness, sample_weight=weights)
    X, y, w = (
        FRAMES[library](table),
        COLUMNS[library](illness),
        COLUMNS[library](weights),
    )
    found = clone(classifier).fit(X, y, sample_weight=w)
    np.testing.assert_array_equal(found.attributions_, expected.attributions_)


@libraries
def test_labels_that_are_missing(library, table, illness, classifier):
    y = COLUMNS[library](illness.where(illness.index != 2))
    with pytest.raises(DataError, match="1 missing label"):
        classifier.fit(FRAMES[library](table), y)


@pytest.mark.parametrize(
    "y",
    [
        pa.array(["ill", "well"] * 30),
        pa.array(["ill", "well"] * 30).dictionary_encode(),
        pl.Series(["ill", "well"] * 30, dtype=pl.Categorical),
        pl.Series(["ill", "well"] * 30, dtype=pl.Enum(["well", "ill"])),
    ],
)
def test_labels_of_many_types(y, table, classifier):
    assert list(classifier.fit(table, y).classes_) == ["ill", "well"]


def test_levels_that_are_declared():
    enum = pl.Series(["b", None], dtype=pl.Enum(["c", "b"]))
    assert list(to_pandas(enum).cat.categories) == ["c", "b"]
    dictionary = pa.DictionaryArray.from_arrays([1, None], ["c", "b"])
    assert list(to_pandas(dictionary).cat.categories) == ["c", "b"]
    # Nobody gave these an order.
    turned_up = pl.Series(["b", "a", None], dtype=pl.Categorical)
    assert list(to_pandas(turned_up).cat.categories) == ["a", "b"]


COLUMN_KINDS = {
    "numbers": [
        (pl.Int8, [1, None]),
        (pl.Float32, [1.5, None]),
        (pl.Int128, [1, None]),
        (pl.Boolean, [True, None]),
        (pl.Boolean, [None, None]),
        (pl.Decimal(5, 2), ["1.5", None]),
    ],
    "levels": [
        (pl.String, ["a", None]),
        (pl.String, [None, None]),
        (pl.Categorical, ["a", None]),
    ],
    "dates": [
        (pl.Date, [dt.date(2020, 1, 1), None]),
        (pl.Datetime("us", "UTC"), [None, None]),
        (pl.Time, [dt.time(1), None]),
        (pl.Duration, [None, None]),
    ],
    "objects": [
        (pl.List(pl.Int64), [[1], None]),
        (pl.Struct({"a": pl.Int64}), [None, None]),
        (pl.Binary, [b"x", None]),
    ],
}


@pytest.mark.parametrize(
    ("kind", "dtype", "values"),
    [(kind, *case) for kind, cases in COLUMN_KINDS.items() for case in cases],
)
def test_kinds(kind, dtype, values):
    column = pl.Series(values, strict=False)
    frame = pl.DataFrame({"c": column.cast(dtype) if column.dtype != dtype else column})
    assert column_kinds(to_pandas(frame)) == [kind]
    if dtype != pl.Int128:
        assert column_kinds(to_pandas(frame.to_arrow())) == [kind]


@libraries
def test_dates_and_nested_columns_are_refused(library, table, illness, classifier):
    n_rows = len(table)
    frame = FRAMES[library](table)
    if library == "polars":
        frame = frame.with_columns(
            pl.Series("born", [dt.date(2020, 1, 1)] * n_rows),
            pl.Series("tags", [[1]] * n_rows),
        )
    else:
        frame = frame.append_column("born", pa.nulls(n_rows, pa.date32()))
        frame = frame.append_column("tags", pa.array([{"a": 1}] * n_rows))
    with pytest.raises(UnsupportedColumnError, match=r"'born': dates[\s\S]*'tags'"):
        classifier.fit(frame, illness)


def test_lazy_tables_have_no_rows_yet(table, illness, classifier):
    with pytest.raises(EncodingError, match=r"LazyFrame is lazy.*\.collect\(\)"):
        classifier.fit(polars_frame(table).lazy(), illness)


def test_pieces_of_a_table(table):
    (batch,) = arrow_table(table).to_batches()
    assert as_table(batch).shape == table.shape


def test_what_is_not_a_table():
    assert not is_foreign([1])
    assert not is_foreign(pd.Series([1]))
    assert to_pandas([1]) == [1]


def test_without_narwhals(monkeypatch, table, illness, classifier):
    monkeypatch.setitem(sys.modules, "narwhals.stable.v2", None)
    with pytest.raises(MissingDependencyError, match=r"llmreg\[frames\]"):
        classifier.fit(polars_frame(table), illness)


def test_polars_needs_no_pyarrow(table, monkeypatch):
    frame = polars_frame(table)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert column_kinds(to_pandas(frame)) == column_kinds(table)
