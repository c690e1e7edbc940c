"""The pure parts of the speed and memory benchmarks; no time is asserted."""

import numpy as np
import pandas as pd

from benchmarks import memory, speed
from benchmarks.training_loop import fit_by_loop


def test_tables_are_seeded_and_have_both_classes():
    table, again = (speed.make_table(10, 8) for _ in range(2))
    assert set(table.labels) == {0, 1}
    assert np.abs(table.scores).max() <= 10
    for one, other in zip(table, again, strict=True):
        np.testing.assert_array_equal(one, other)


def test_every_comparison_of_a_small_table_is_named_once():
    names = [c.name for c in speed.comparisons(speed.make_table(10, 8))]
    assert len(set(names)) == len(names) == 10
    large = [c.name for c in speed.comparisons(speed.make_table(1_001, 2))]
    assert not [name for name in large if "loop" in name]


def test_a_row_has_both_sides_and_their_ratio(monkeypatch):
    clock = iter([0.0, 1.0, 0.0, 4.0] * 10)
    monkeypatch.setattr("time.perf_counter", lambda: next(clock))
    row = speed.measure(speed.Comparison("a", lambda: None, lambda: None, 0.5))
    assert (row["ours"], row["theirs"], row["ratio"]) == (1.0, 4.0, 0.25)
    assert row["rounds"] == speed.FEWEST


def test_what_is_over_its_bound_is_marked():
    rows = [
        {"comparison": "a", "size": "10 x 8", "ours": 2.0, "theirs": 0.001},
        {"comparison": "b", "size": "10 x 8", "note": "skipped"},
    ]
    rows[0] |= {"ratio": 2000.0, "bound": 3.0, "rounds": 3, "note": ""}
    text = speed.table_of(pd.DataFrame(rows, columns=list(speed.COLUMNS)))
    assert "| a | 10 x 8 | 2 s | 1 ms | 2e+03 (over) | 3 |  |" in text
    assert "| b | 10 x 8 | - | - | - | - | skipped |" in text


def test_the_table_of_memory_marks_large_tables_only():
    row = {"kind": "linear", "rows": 10, "columns": 10, "seconds": 1.0, "n_iter": 1}
    rows = [
        row | {"data_mb": data, "peak_mb": 4 * data, "ratio": 4.0} for data in (1, 200)
    ]
    lines = memory.table_of(pd.DataFrame(rows)).splitlines()
    assert "over" not in lines[-2]
    assert "4.00 (over)" in lines[-1]


def test_the_authors_loop_learns():
    table = speed.make_table(40, 3)
    net = fit_by_loop(table.X, table.labels, table.scores, hidden=4, n_epochs=5)
    losses = net.history[:, "train_loss"]
    assert losses[-1] < losses[0]
