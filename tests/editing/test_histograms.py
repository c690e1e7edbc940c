from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pytest

from llmreg.editing._editor import N_BINS, count_values


def test_counts_every_value_once(rng):
    values = [*rng.normal(size=500), np.nan, np.inf]
    found = count_values({"a": values, "b": values}, ["a", "c"])
    assert list(found) == ["a"]
    assert sum(found["a"]["counts"]) == 500
    assert len(found["a"]["edges"]) == N_BINS + 1


def test_one_outlier_leaves_room_for_the_others(rng):
    values = [*rng.normal(size=500), 1e9]
    edges = count_values({"a": values}, ["a"])["a"]["edges"]
    assert edges[-1] < 5


def test_numbers_alone_are_counted():
    table = pd.DataFrame(
        {
            "text": ["x", "y"],
            "flag": [True, False],
            "empty": [np.nan, np.nan],
            "gaps": pd.array([1, None], dtype="Int64"),
            "same": [3, 3],
        }
    )
    found = count_values(table, table.columns)
    assert list(found) == ["gaps", "same"]
    edges = found["same"]["edges"]
    assert edges[0] < 3 < edges[-1]


def test_column_that_is_there_twice_is_in_doubt():
    table = pd.DataFrame([[1, 2]], columns=["a", "a"])
    assert count_values(table, ["a"]) == {}


@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame])
def test_tables_of_other_packages(make):
    assert list(count_values(make({"a": [1.5, 2]}), ["a"])) == ["a"]
