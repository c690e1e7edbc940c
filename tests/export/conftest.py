"""Rows of every kind, to export models of."""

import numpy as np
import pandas as pd
import pytest


@pytest.fixture
def table(table):
    """The table of all tests, with columns that are harder to carry over."""
    n_rows = len(table)
    table["visits"] = np.arange(n_rows) % 5
    table["insured"] = pd.array([True, False, None] * (n_rows // 3), dtype="boolean")
    table["floor"] = pd.Categorical(
        np.where(np.arange(n_rows) % 5 == 0, np.nan, np.arange(n_rows) % 3)
    )
    # A level that is spelled as a gap is printed.
    table["garage"] = np.where(np.arange(n_rows) % 4 == 0, "None", "beside")
    table["constant"] = 3
    return table


@pytest.fixture
def strange(table):
    """Rows unlike those of training: gaps, levels nobody knows, far values."""
    rows = table[:20].copy()
    rows["age"] = rows["age"] * 5 - 150
    rows.loc[:4, ["age", "bmi"]] = np.nan
    rows["constant"] = np.arange(20) - 10
    rows["sex"] = ["female", None, "unheard of", "male"] * 5
    rows.loc[7, "region"] = None
    rows.loc[8, "garage"] = None
    rows["floor"] = pd.Categorical([0, 1, 2, 7, None] * 4)
    return rows
