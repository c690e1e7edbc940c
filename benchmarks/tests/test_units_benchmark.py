"""The experiment on units: what is counted, and what the table says of it."""

import numpy as np
import pandas as pd
import pytest

from benchmarks.experiments import units
from llmreg.preprocessing._units import compare
from llmreg.prior import TypicalRange


@pytest.mark.parametrize("change", [name for name in units.CHANGES if name != "none"])
def test_a_change_is_right_where_it_is_the_one_made(change):
    words = units.CHANGES[change][2].split("|")[0].rstrip("?")
    x = np.linspace(100, 180, 50)
    found = compare(words, units.changed(x, change), TypicalRange(104.0, 140, 176))
    assert units.is_right(found, change)
    other = "by 1000" if change == "times 1000" else "times 1000"
    assert not units.is_right(found, other)


def test_titanic_is_in_its_own_units_and_seen_in_others():
    rows = pd.DataFrame(units.measure("titanic", 2)).set_index(["change", "rows"])
    assert not rows.loc["none", "found"].any()
    age = rows.loc["years, times 12", 0]
    assert tuple(age[["columns", "found", "right", "wrong"]]) == (1, 1, 1, 0)
    assert (
        rows.loc[("standardised", 4), "found"]
        == rows.loc[("standardised", 4), "columns"]
    )
    assert rows.loc[("glucose, by 18.02", 0), "columns"] == 0


def test_shares_are_of_all_columns_and_of_those_found():
    row = {"card": "titanic", "change": "times 1000", "run": 0}
    counts = {"columns": 8, "found": 4, "right": 3, "wrong": 1}
    rows = [{**row, **counts, "rows": n} for n in units.SIZES]
    table = units.table_of(pd.DataFrame(rows))
    line = "| chosen on | times 1000 | 8 | 50.0% | 50.0% | 50.0% | 50.0% | 75% | 25% |"
    assert table.splitlines()[2] == line and len(table.splitlines()) == 3
