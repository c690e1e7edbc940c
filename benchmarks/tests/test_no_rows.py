"""The experiment without rows: what is measured, and what the table says of it."""

import pandas as pd
import pytest

from benchmarks.experiments import no_rows


def test_titanic_is_known_better_than_its_base_rates():
    rows = pd.DataFrame(no_rows.predict("titanic")).set_index("prior")
    curves = rows.loc["curves"]
    assert curves["roc_auc"] == pytest.approx(curves["roc_auc_sum"], abs=1e-3)
    assert (rows["log_loss"] < rows["log_loss_known"]).all()


def test_salaries_are_known_better_than_their_middle():
    rows = pd.DataFrame(no_rows.predict("salaries"))
    assert (rows["r2"] > rows["r2_known"]).all()
    assert (rows["inside"] > 0.9).all()


def test_means_come_before_tables():
    row = {"prior": "curves", "roc_auc": 0.7, "run": 0}
    rows = [{"card": card, **row} for card in ("titanic", "tax_refund")]
    frame = pd.DataFrame(rows).reindex(columns=list(no_rows.COLUMNS))
    lines = no_rows.table_of(frame).splitlines()[2:]
    names = ["public classes curves", "unpublished classes curves"]
    names += ["titanic curves", "tax_refund curves"]
    assert [line.split(" | ")[0].strip("| ") for line in lines] == names
