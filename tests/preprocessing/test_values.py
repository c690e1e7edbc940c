from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from llmreg.exceptions import EncodingError
from llmreg.preprocessing._values import MISSING, to_levels, to_numbers


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
    assert to_levels(pd.Series(["1"]), {"1.0"}).tolist() == ["1"]
