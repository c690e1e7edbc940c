import datetime as dt
from decimal import Decimal
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from llmreg import LLMAttributionClassifier
from llmreg.exceptions import (
    DataError,
    EncodingError,
    PriorMismatchWarning,
    UnsupportedColumnError,
)
from llmreg.preprocessing import TableEncoder
from llmreg.preprocessing._columns import (
    column_kinds,
    refuse,
    refuse_cell_values,
    to_numbers,
)
from llmreg.preprocessing._levels import MISSING, open_levels, to_levels
from llmreg.preprocessing._sparse import SparseRows
from llmreg.preprocessing._validation import as_table
from llmreg.providers import AnthropicProvider
from tests.fakes import FakeProvider


def kind(values, dtype=None, **options):
    (found,) = column_kinds(
        pd.DataFrame({"c": pd.Series(values, dtype=dtype)}), **options
    )
    return found


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        ([1, 2], "int8"),
        ([1.5, np.nan], "float32"),
        ([True, False], "bool"),
        ([1, None], "Int64"),
        ([1.5, None], "Float64"),
        ([True, None], "boolean"),
        ([1, None], "object"),
        ([True, None], "object"),
        ([Decimal("1.5"), pd.NA], "object"),
        ([1, 2.5, True], "object"),
    ],
)
def test_numbers(values, dtype):
    assert kind(values, dtype) == "numbers"


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        (["a", "b"], "str"),
        (["a", None], "object"),
        (["a", 1, 2.5, True], "object"),
        ([None, None], "object"),
        ([None, None], "str"),
        ([1, 2], "category"),
        ([pd.Timestamp("2020"), None], "category"),
        (["1", "2"], "object"),
    ],
)
def test_levels(values, dtype):
    assert kind(values, dtype) == "levels"


@pytest.mark.parametrize(
    "values",
    [
        pd.to_datetime(["2020-01-01", None]),
        pd.to_datetime(["2020-01-01"]).tz_localize("UTC"),
        pd.to_datetime([None, None]),
        pd.period_range("2020", periods=2, freq="M"),
        pd.to_timedelta([1, 2], unit="D"),
        np.array([dt.date(2020, 1, 1), None], dtype=object),
        np.array([dt.datetime(2020, 1, 1), "unknown"], dtype=object),
        np.array([dt.time(1)], dtype=object),
        ["2020-01-31", "2021-02-01", None],
        ["2020-01-31T10:20", "2020-01-31 10:20:30.5+02:00"],
    ],
)
def test_dates(values):
    assert kind(values) == "dates"


def test_some_dates_among_strings_are_levels():
    assert kind(["2020-01-31", "never"]) == "levels"
    assert kind(["2020", "2021"]) == "levels"


@pytest.mark.parametrize(
    "value", [[1], {"a": 1}, {1}, (1, 2), np.zeros(2), object(), b"x"]
)
def test_objects(value):
    column = np.empty(2, dtype=object)
    column[0] = value
    assert kind(column) == "objects"


def test_complex():
    assert kind([1j]) == "complex"
    assert kind([1j, None], "object") == "complex"


SENTENCES = [f"patient {i} reports pain in the chest" for i in range(20)]


def test_long_and_distinct_strings_are_text():
    assert kind(SENTENCES) == "text"
    assert kind([*SENTENCES, None]) == "text"
    assert kind(SENTENCES, "category") == "levels"
    assert kind(SENTENCES, known={0}) == "levels"
    assert kind(SENTENCES * 2) == "levels"


def test_long_level_names_of_a_few_rows_are_no_text():
    """Of two rows everything is distinct."""
    names = ["existing credits paid back duly", "no credits taken so far"]
    assert kind(names) == "levels"


def test_many_distinct_strings_are_identifiers():
    codes = [f"A{i:04}" for i in range(60)]
    assert kind(codes) == "text"
    assert kind(codes[:49]) == "levels"
    assert kind(codes + codes[:50]) == "levels"
    assert kind(codes + codes) == "levels"


def test_dates_as_people_write_them():
    for pattern in ("%d/%m/%Y", "%m.%d.%y", "%d %b %Y", "%B %d, %Y", "%d/%m/%Y %H:%M"):
        written = pd.date_range("2020", periods=9, freq="40h").strftime(pattern)
        assert kind([*written, None, "unknown"]) == "dates"
    assert kind([f"{hour}:30" for hour in range(9)]) == "dates"
    # So few of them may be levels.
    assert kind(["1:10", "1:20", "1:40"]) == "levels"


@pytest.mark.parametrize(
    "pattern",
    ["{} kg", "{}kg", "1,{:03}.50", "1.{:03},50", "{}%", "${}", "{} €", "{} mg/dL"],
)
def test_numbers_as_people_write_them(pattern):
    assert kind([pattern.format(i) for i in range(9)]) == "spelled"
    assert kind([None, "n/a", *(pattern.format(i) for i in range(9))]) == "spelled"
    assert kind([pattern.format(i) for i in range(4)]) == "levels"
    assert kind([pattern.format(i) for i in range(9)], known={0}) == "levels"
    assert kind([pattern.format(i) for i in range(9)], "category") == "levels"


def test_numbers_below_what_can_be_measured():
    assert kind(["<5", "5", "7", "11", "12", "30"]) == "spelled"
    assert kind(["< 5", ">5", "7", "11", "12", "> 1,000"]) == "spelled"


@pytest.mark.parametrize(
    "values",
    [
        ["10-19", "20-29", "30-39", "40-49", "50-59", "60+"],
        ["12A", "12B", "13C", "14D", "15E", "16F"],
        ["9th", "10th", "Bachelors", "Masters", "Doctorate", "Some-college"],
        ["1", "2", "3", "4", "5", "6"],
        ["A1", "A2", "B1", "B2", "C1", "C2"],
        ["", " ", "-", "+", "%", "kg"],
    ],
)
def test_levels_that_look_a_little_like_numbers(values):
    assert kind(values) == "levels"


def test_all_problems_of_all_columns_are_told_at_once():
    n = 60
    X = pd.DataFrame(
        {
            "age": np.arange(n),
            "id": [f"P-{i:03}" for i in range(n)],
            "note": [f"a rather long remark on row {i}" for i in range(n)],
            "weight": [f"{50 + i % 30} kg" for i in range(n)],
            "seen": pd.date_range("2020", periods=n).strftime("%d/%m/%Y"),
            "ratio": np.where(np.arange(n) == 3, np.inf, 1.5),
            "dose": ["low", "high", "7"] * 20,
            "town": [f"Town {i % 45}" for i in range(n)],
            "tags": [[]] * n,
        }
    )
    y, told = np.arange(n) % 2, []
    for prior in (None, {"age": 1}, FakeProvider()):
        model = LLMAttributionClassifier(prior, feature_kinds={"dose": "numeric"})
        with pytest.raises(UnsupportedColumnError) as caught:
            model.fit(X, y)
        told.append(str(caught.value).splitlines())
    assert told[0] == told[1] == [line for line in told[2] if "'town'" not in line]
    for names, what in {
        "'seen'": "dates or times",
        "'weight'": "numbers with units",
        "'dose'": "declared numeric",
        "'ratio'": "infinite",
        "'id', 'note'": "free text or identifiers",
        "'tags'": "lists, dicts",
        "'town'": "strings that look like the content of cells",
    }.items():
        assert any(line.startswith(f"- {names}: {what}") for line in told[2])


def test_numeric_text_is_for_arrays_only():
    assert kind(["1", "2.5", None], "object", numeric_text=True) == "numbers"
    assert kind(["1", "b"], "object", numeric_text=True) == "levels"
    assert kind([10**400, "1"], "object", numeric_text=True) == "numbers"


def test_refuse_names_every_column_and_a_way_out():
    kinds = ["numbers", "dates", "text", "objects", "dates"]
    with pytest.raises(UnsupportedColumnError) as caught:
        refuse(kinds, ["n", "born", "notes", "tags", "died"], {"numbers"})
    message = str(caught.value)
    assert "'born', 'died': dates or times. Derive numbers" in message
    assert "'notes': free text or identifiers" in message
    assert 'astype("category")' in message
    assert "'tags': lists, dicts" in message
    assert "'n'" not in message


def test_refuse_complex():
    with pytest.raises(
        UnsupportedColumnError, match=r"'z': complex numbers.*not supported"
    ):
        refuse(["complex"], ["z"], {"numbers"})


@pytest.mark.parametrize("X", [np.zeros((2, 2)), np.zeros((2, 2), dtype="int8")])
def test_as_table_keeps_numbers(X):
    assert as_table(X) is X


def test_as_table_keeps_frames(table):
    assert as_table(table) is table


@pytest.mark.parametrize(
    "X",
    [
        [["a", 1.5], ["b", None]],
        np.array([["a", 1.5], ["b", None]], dtype=object),
    ],
)
def test_as_table_makes_frames_of_objects(X):
    frame = as_table(X)
    assert frame.iloc[0, 0] == "a"
    assert frame.iloc[1, 1] is None


@pytest.mark.parametrize("dtype", ["U", "S"])
def test_as_table_decodes_text_arrays(dtype):
    frame = as_table(np.array([["a", "1"]], dtype=dtype))
    assert frame.iloc[0].tolist() == ["a", "1"]
    assert column_kinds(frame, numeric_text=True) == ["levels", "numbers"]


def test_as_table_keeps_dates_dates():
    X = np.array([["2020-01-01"]], dtype="datetime64[D]")
    assert column_kinds(as_table(X)) == ["dates"]


@pytest.mark.parametrize(
    "X", [np.zeros(3), pd.Series([1.0]), [1, 2], np.zeros((1, 1, 1))]
)
def test_as_table_wants_two_dimensions(X):
    with pytest.raises(ValueError, match=r"Expected 2D array, got \dD.*Reshape your"):
        as_table(X)


@pytest.mark.parametrize("make", [np.asarray, pd.DataFrame])
def test_as_table_wants_rows_and_columns(make):
    with pytest.raises(
        DataError, match=r"0 sample\(s\) \(shape=\(0, 2\)\) while a min"
    ):
        as_table(make(np.zeros((0, 2))))
    with pytest.raises(EncodingError, match=r"0 feature\(s\) \(shape=\(2, 0\)\) while"):
        as_table(make(np.zeros((2, 0))))


@pytest.mark.parametrize("make", [sp.csr_array, sp.csc_matrix, sp.coo_array])
def test_as_table_takes_sparse_rows(make):
    given = make(([1.0, 2.0, 3.0], ([0, 1, 1], [0, 1, 1])), shape=(2, 3))
    found = as_table(given)
    assert isinstance(found, SparseRows) and len(found) == 2
    assert found.has_canonical_format and as_table(found) is found
    np.testing.assert_array_equal(found.toarray(), [[1, 0, 0], [0, 5, 0]])
    assert given.nnz == (3 if make is sp.coo_array else given.nnz)


def test_as_table_refuses_complex():
    with pytest.raises(ValueError, match="Complex data not supported"):
        as_table(np.array([[1j]]))


@pytest.mark.parametrize("library", ["polars", "pyarrow"])
def test_as_table_reads_other_frames(library):
    pytest.importorskip("pyarrow")
    module = pytest.importorskip(library)
    make = module.table if library == "pyarrow" else module.DataFrame
    frame = as_table(make({"age": [1, None], "sex": ["female", None]}))
    assert list(frame.columns) == ["age", "sex"]
    assert column_kinds(frame) == ["numbers", "levels"]


CELLS = {
    "names": [f"Patient Number{i}" for i in range(20)],
    "numbers and an odd one": [*(f"{51234 + i % 9}" for i in range(19)), "?"],
    "mixed objects": [*(51234 + i for i in range(19)), "unknown"],
    "with gaps": [None] * 12 + [f"Street {i}" for i in range(8)],
}


@pytest.mark.parametrize("kind", CELLS)
def test_cells_are_not_told_as_levels(kind):
    X = pd.DataFrame({"age": np.arange(20.0), "secret": CELLS[kind]})
    y = np.arange(20) % 2
    before = FakeProvider.n_calls
    model = LLMAttributionClassifier(FakeProvider(), device="cpu")
    with pytest.raises(UnsupportedColumnError, match="'secret': strings that look"):
        model.fit(X, y)
    assert FakeProvider.n_calls == before
    declared = X.assign(secret=X["secret"].astype(str).astype("category"))
    model.fit(declared, y)
    assert FakeProvider.n_calls == before + 1
    # Nothing is told to anybody here.
    with pytest.warns(PriorMismatchWarning, match="secret=a: the levels are"):
        LLMAttributionClassifier({"age": 1, "secret=a": 2}, device="cpu").fit(X, y)
    LLMAttributionClassifier(FakeProvider(), gamma=0.0, device="cpu").fit(X, y)


@pytest.mark.parametrize(
    "column",
    [
        ["f", "m"] * 10,
        [f"region {i % 8}" for i in range(20)],
        ["1", "2", "3", "4"] * 5,
        np.arange(20) % 2 == 0,
        pd.Categorical([f"p{i}" for i in range(20)]),
    ],
)
def test_levels_are_levels(column):
    refuse_cell_values(pd.DataFrame({"column": column}), ["column"])


def test_arrays():
    refuse_cell_values(np.random.default_rng(0).random((20, 2)), ["a", "b"])
    with pytest.raises(UnsupportedColumnError, match="'b': strings"):
        X = np.array([[i, f"p{i}"] for i in range(20)], dtype=object)
        refuse_cell_values(X[:, 1:], ["b"])


def test_cells_are_not_previewed_as_levels():
    X = pd.DataFrame({"age": np.arange(20.0), "secret": CELLS["names"]})
    provider = AnthropicProvider()
    with pytest.raises(UnsupportedColumnError, match="'secret': strings that look"):
        LLMAttributionClassifier(provider).preview_prompt(X, np.arange(20) % 2)


@pytest.mark.parametrize(
    ("values", "dtype", "expected"),
    [
        ([1, 2], "int64", [1, 2]),
        ([1.5, None], "float32", [1.5, np.nan]),
        ([True, False], "bool", [1, 0]),
        ([1, None], "Int64", [1, np.nan]),
        ([1.5, pd.NA], "Float64", [1.5, np.nan]),
        ([True, pd.NA], "boolean", [1, np.nan]),
        ([True, None], "object", [1, np.nan]),
        ([Decimal("1.5"), pd.NA], "object", [1.5, np.nan]),
        (["1.5", None], "str", [1.5, np.nan]),
        ([2, None], "category", [2, np.nan]),
        ([0.0, 1.0], "Sparse[float]", [0, 1]),
    ],
)
def test_numbers_of_any_type(values, dtype, expected):
    column = pd.Series(values, dtype=dtype)
    for others in ({}, {"x": [0.5, 0.5]}, {"x": ["0.5", "0.5"]}):
        numbers = to_numbers(pd.DataFrame({"c": column, **others}), ["c", "x"])
        np.testing.assert_array_equal(numbers[:, 0], expected)
        np.testing.assert_array_equal(numbers[:, 1:], 0.5)
        assert numbers.dtype == np.float64
        assert numbers.flags.c_contiguous


@pytest.mark.parametrize(
    "value", ["abc", {"a": 1}, 1j, 10**400, pd.Timestamp("2020"), pd.Timedelta(1)]
)
@pytest.mark.parametrize("other", [1.0, "1"])
def test_what_is_no_number_is_named(value, other):
    table = pd.DataFrame({"n": [other], "odd": pd.Series([value], dtype=object)})
    with pytest.raises(EncodingError, match="Column 'odd' is numeric, but holds some"):
        to_numbers(table, ["n", "odd"])


def test_dates_do_not_turn_into_nanoseconds():
    with pytest.raises(EncodingError, match="'when'"):
        to_numbers(pd.DataFrame({"when": pd.to_datetime(["2020"])}), ["when"])


def test_a_complex_column_does_not_lose_its_imaginary_part():
    with pytest.raises(EncodingError, match="'z'"):
        to_numbers(pd.DataFrame({"z": [1j]}), ["z"])


@pytest.mark.parametrize("dtype", ["str", "object", "category"])
def test_levels_of_strings(dtype):
    column = pd.Series(["b", None, "a", ""], dtype=dtype)
    assert to_levels(column).tolist() == ["b", MISSING, "a", ""]


def test_levels_of_anything_else_are_its_text():
    column = pd.Series(["a", 1, 2.0, True, None, np.nan, pd.NA], dtype=object)
    assert to_levels(column).tolist() == ["a", "1", "2.0", "True"] + [MISSING] * 3
    column = pd.Series(pd.cut([0.5, 1.5], [0, 1, 2]))
    assert to_levels(column).tolist() == ["(0, 1]", "(1, 2]"]


def test_a_whole_float_finds_the_level_of_the_integer():
    floats = pd.Series([1.0, 2.0, 2.5, None])
    assert to_levels(floats, {"1", "2.0"}).tolist() == ["1", "2.0", "2.5", MISSING]
    integers = pd.Series([1, 2, 3])
    assert to_levels(integers, {"1.0", "2"}).tolist() == ["1.0", "2", "3"]
    assert to_levels(pd.Series(["1", "01"]), {"1.0"}).tolist() == ["1.0", "01"]


ONE = [True, 1, 1.0, "1", "1.0", np.float32(1), np.bool_(True), np.uint8(1)]


@pytest.mark.parametrize("value", [*ONE, Decimal("1.0"), Decimal("1.00")])
def test_one_value_is_one_level(value):
    column = pd.Series([value, "x"], dtype=object)
    for name in ("1", "1.0", "True"):
        assert to_levels(column, {name}).tolist() == [name, "x"]
        assert open_levels(column, {name})[0] == [name, "x"]
    assert open_levels(pd.Series([*ONE, value, "x"], dtype=object))[0] == ["1", "x"]


@pytest.mark.parametrize(
    ("value", "other"),
    [
        *[(-0.0, 0), ("-0.0", "0"), (False, -0.0), (0.5, "0.5"), (-3, "-3.0")],
        *[(Decimal("1.50"), 1.5), (np.float32(0.1), "0.1"), (1e16, 10**16)],
        *[(np.float32(1e8), 10**8), (1e-7, "1e-07")],
    ],
)
def test_two_spellings_are_one_level(value, other):
    names, gap = open_levels(pd.Series([value, other, "x"], dtype=object))
    assert (len(names), gap) == (2, None)


@pytest.mark.parametrize(
    ("value", "other"),
    [
        *[("01", 1), ("1e0", 1), (" 1", 1), ("1_0", 10), ("+1", 1), ("1.50", 1.5)],
        *[("true", True), ("yes", True), ("nan", ""), ("None", "nan"), ("01.0", 1)],
    ],
)
def test_other_texts_are_other_levels(value, other):
    column = pd.Series([value, other, None, np.nan, pd.NA], dtype=object)
    names, gap = open_levels(column)
    assert (len(names), gap) == (3, "missing")
    assert to_levels(column, names, gap).tolist()[2:] == ["missing"] * 3


@pytest.mark.parametrize("extra", [{"1", "True"}, {"1", "1.0"}, {"0", "False", "x"}])
def test_a_prior_spells_a_level_once(extra):
    with pytest.raises(EncodingError, match="are one level of column 's'"):
        open_levels(pd.Series(["x"], name="s"), extra)


@pytest.mark.parametrize(
    ("values", "extra", "expected"),
    [
        (["missing", None], (), ["missing", "missing value"]),
        (["a", None], {"missing"}, ["a", "missing"]),
        (["a"], {"missing"}, ["a", "missing"]),
        (["missing"], {"missing"}, ["missing"]),
        (["a", None], {"missing", "missing value"}, ["a", "missing", "missing value"]),
        (["missing value", None], (), ["missing value", "missing"]),
    ],
)
def test_a_level_called_missing_is_no_gap(values, extra, expected):
    names, gap = open_levels(pd.Series(values, dtype=object), extra)
    assert names == expected
    if None in values:
        assert gap == names[-1]


def kinds_of(column):
    """Decide what a column is beside one whose values all differ, and mirrored rows."""
    table = pd.DataFrame({"c": column, "n": np.arange(len(column))})
    once, twice = (column_kinds(t)[0] for t in (table, pd.concat([table, table])))
    assert once == twice
    return once


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (SENTENCES, "text"),
        (SENTENCES * 2, "levels"),
        (SENTENCES[:6], "text"),
        (SENTENCES[:4], "levels"),
        ([f"A{i:04}" for i in range(60)], "text"),
        ([f"{i % 60 + 0.5}" for i in range(100)], "text"),
        ([f"{i % 60}" for i in range(100)], "levels"),
        ([f"A{i:04}" for i in range(60)] * 2, "levels"),
    ],
)
def test_rows_that_are_there_twice_say_nothing_new(column, expected):
    assert kinds_of(column) == expected


@pytest.mark.parametrize("column", [SENTENCES[:6], [*"abcdef"], CELLS["names"]])
def test_cells_of_rows_that_are_there_twice_are_cells(column):
    table = pd.DataFrame({"c": column, "n": np.arange(len(column))})
    for X in (table, pd.concat([table, table])):
        with pytest.raises(UnsupportedColumnError, match="content of cells"):
            refuse_cell_values(X, ["c", "n"])
        refuse_cell_values(X, ["c", "n"], declared={"c": "categorical"})


class TestNumbersAmongTexts:
    """A sheet with a word in a column of measurements holds no hundred levels."""

    MEASURED: ClassVar = [0.347, 1.25, None, 3.5, -2.75, 8.125, 1]

    @pytest.mark.parametrize("word", ["n/a", "<5", "unknown"])
    def test_they_are_refused_with_the_way_out(self, word):
        X = pd.DataFrame({"crp": [*self.MEASURED, word]})
        for table in (X, X.map(str, na_action="ignore")):
            with pytest.raises(UnsupportedColumnError, match=r"'crp': .*among texts"):
                TableEncoder().fit(table)
        X["crp"] = pd.to_numeric(X["crp"], errors="coerce")
        assert list(TableEncoder().fit(X).get_feature_names_out()) == ["crp"]

    def test_whole_numbers_may_be_codes(self):
        X = pd.DataFrame({"code": [1, 2, 3, 7, 10, "other"]})
        names = TableEncoder().fit(X).get_feature_names_out()
        assert [*names] == [f"code={code}" for code in (1, 10, 2, 3, 7, "other")]

    def test_they_are_levels_where_that_is_said(self):
        X = pd.DataFrame({"dose": [0.25, 0.5, 0.75, 1.5, 2.5, "none"]})
        declared = TableEncoder(feature_kinds={"dose": "categorical"}).fit(X)
        known = TableEncoder(levels={"dose": ["none"]}).fit(X)
        for encoder in (declared, known):
            assert "dose=0.25" in encoder.get_feature_names_out()
