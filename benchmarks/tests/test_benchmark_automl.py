"""The AutoML comparison, but for the tools themselves."""

import time

import pandas as pd

from benchmarks.data.results import COLUMNS, ResultFile
from benchmarks.experiments import automl
from benchmarks.methods.automl import AUTOML, BUDGETS, seconds_of_a_core
from benchmarks.methods.registry import find, methods


def test_every_method_of_a_run_is_known():
    for seconds in BUDGETS:
        for name in automl.chosen_methods(seconds, automl.TOOLS):
            assert find(name)
    assert set(methods("automl")) == set(AUTOML)
    assert len(AUTOML) == 4 * len(BUDGETS)


def test_the_clock_of_a_tool_stands_still_while_it_waits():
    with seconds_of_a_core():
        before = time.time()
        time.sleep(0.05)
        assert time.time() - before < 0.04
    assert abs(time.time() - before) < 60


def test_tables_say_how_long_and_what_did_not_end():
    shared = {"card": "toy", "shots": "5", "repetition": 0}
    rows = [
        {**shared, "method": "FLAML, 10 s", "roc_auc": 0.6, "fit_seconds": 10.5},
        {**shared, "method": "AutoGluon, 10 s", "error": "RuntimeError: nothing"},
        {**shared, "method": "default linear", "roc_auc": 0.8, "fit_seconds": 0.2},
    ]
    text = automl.tables(pd.DataFrame(rows, columns=list(COLUMNS)))
    assert "| default linear | **0.800** |" in text
    assert "| FLAML, 10 s | 1 | 1 | 10.5 | 10.5 |" in text
    assert "| AutoGluon, 10 s | 1 | 0 | - | - |" in text


def test_a_report_alone_runs_nothing(tmp_path, capsys):
    out = tmp_path / "automl.csv"
    row = {"shots": "5", "repetition": 0, "method": "default linear"}
    for card in ("adult", "clinic_wait", "bodyfat"):
        ResultFile(out).append({**row, "card": card, "roc_auc": 0.8, "fit_seconds": 1})
    assert automl.main(["--report", "--out", str(out)]) == 0
    text = out.with_suffix(".md").read_text()
    assert "## Public tables" in text and "## Tables that nobody" in text
    # What was not asked for is in no mean.
    assert "| default linear | 2 | 2 |" in text
