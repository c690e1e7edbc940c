"""The experiment on conformal intervals and sets: its ways, and what the table says."""

import numpy as np
import pandas as pd
import pytest

from benchmarks.experiments import conformal


@pytest.mark.filterwarnings(f"ignore:{conformal.NO_NAMES}")
@pytest.mark.parametrize("card", ["salaries", "titanic"])
def test_every_way_is_measured(card):
    rows = pd.DataFrame(conformal.measure(card, 0)).set_index("method")
    ways = [way for way in rows.index if way.endswith(("rows", "folds"))]
    assert len(ways) == 3 and (rows.loc[ways, "coverage"] > 0.7).all()
    assert (rows.loc[ways, "size"] > 0).all()
    if card == "titanic":
        assert rows.loc[["as it is", "temperature"], "log_loss"].max() < 0.7


def test_the_table_has_means_and_unlucky_draws():
    row = {"card": "titanic", "method": "9 rows", "log_loss": np.nan, "size": 1.5}
    rows = [{**row, "coverage": each} for each in (0.8, 1.0)]
    last = conformal.table_of(pd.DataFrame(rows)).splitlines()[2]
    assert last == "| titanic | 9 rows | 0.90 | 0.81 | 1.50 |  |"
