"""The pure parts of the speed and memory benchmarks; no time is asserted."""

import json

import numpy as np
import pandas as pd
import pytest

from benchmarks.experiments import import_time, memory, speed
from benchmarks.experiments.speed import fit_by_loop


def test_tables_are_seeded_and_have_both_classes():
    table, again = (speed.make_table(10, 8) for _ in range(2))
    assert set(table.labels) == {0, 1}
    assert np.abs(table.scores).max() <= 10
    for one, other in zip(table, again, strict=True):
        np.testing.assert_array_equal(one, other)


def test_every_comparison_of_a_small_table_is_named_once():
    names = [c.name for c in speed.comparisons(speed.make_table(10, 8))]
    assert len(set(names)) == len(names) == 13
    assert sum("curves" in name for name in names) == 3
    large = [c.name for c in speed.comparisons(speed.make_table(1_001, 2))]
    assert not [name for name in large if "loop" in name]


def test_a_curve_rises_as_its_score_says():
    scores = speed.make_table(10, 8).scores
    prior = speed.curves_of(scores)
    assert {len(curve.values) for curve in prior.curves.values()} == {5}
    assert (np.sign(prior.scores[0]) == np.sign(scores)).all()


def test_a_row_has_both_sides_and_their_ratio(monkeypatch):
    clock = iter([0.0, 1.0, 0.0, 4.0] * 10)
    monkeypatch.setattr("time.perf_counter", lambda: next(clock))
    row = speed.measure(speed.Comparison("a", lambda: None, lambda: None, 0.5))
    assert (row["ours"], row["theirs"], row["ratio"]) == (1.0, 4.0, 0.25)
    assert row["rounds"] == speed.FEWEST


def test_what_is_over_its_bound_is_marked():
    row = {"ours": 2.0, "theirs": 0.001, "bound": 3.0, "rounds": 3, "note": ""}
    rows = [
        row | {"comparison": "a", "size": "1000 x 50", "ratio": 2000.0},
        row | {"comparison": "a", "size": "10 x 8", "ratio": 3.0},
        row | {"comparison": "b", "size": "10 x 8", "ratio": 1.0, "note": "cv=4"},
    ]
    text = speed.table_of(pd.DataFrame(rows, columns=list(speed.COLUMNS)))
    assert "|  | aim | 10 x 8 | 1,000 x 50 |" in text
    assert "| a | 3 | 3 | **2e+03** |" in text
    assert "| b | 3 | 1 | - |" in text
    assert "| a | 1,000 x 50 | 2 s | 1 ms | **2e+03** | 3 |  |" in text
    assert "| b | 10 x 8 | 2 s | 1 ms | 1 | 3 | cv=4 |" in text


class TestResuming:
    """What is there is not measured again, and every row tells its run."""

    def time(self, out, monkeypatch, *more):
        timed = []

        def measure(comparison, patience):
            timed.append(comparison.name)
            if len(timed) == 3 and "--only" not in more:
                raise KeyboardInterrupt
            both = {"ours": 1.0, "theirs": 1.0, "ratio": 1.0, "bound": 1.0}
            return {"comparison": comparison.name, **both, "rounds": 3}

        monkeypatch.setattr(speed, "measure", measure)
        code = speed.main(["--out", str(out), "--sizes", "10x8", *more])
        return code, timed, pd.read_csv(out).set_index("comparison")["run"]

    def test_speed(self, tmp_path, monkeypatch, capsys):
        out = tmp_path / "new" / "speed.csv"
        code, first, _ = self.time(out, monkeypatch)
        assert code == 130 and "goes on from here" in capsys.readouterr().err
        code, rest, runs = self.time(out, monkeypatch, "--only", "MLP")
        assert code == 0 and "MLP, gamma auto, to MLPClassifier" in rest
        assert runs.tolist() == [0, 0] + [1] * len(rest)
        code, again, runs = self.time(out, monkeypatch, "--only", first[0], "--again")
        assert again == first[:1] and runs[first[0]] == 2 and runs[first[1]] == 0
        note = json.loads(out.with_suffix(".json").read_text())
        assert [run["settings"]["only"] for run in note["runs"]] == [
            "",
            "MLP",
            first[0],
        ]
        assert self.time(out, monkeypatch, "--only", first[0])[1] == []

    def test_memory(self, tmp_path, monkeypatch):
        asked = []

        def measure_apart(*case):
            asked.append(case)
            values = dict.fromkeys(("seconds", "data_mb", "peak_mb", "ratio"), 1.0)
            return dict(zip(memory.KEY, case, strict=True)) | values | {"n_iter": 1}

        monkeypatch.setattr(memory, "measure_apart", measure_apart)
        out = str(tmp_path / "memory.csv")
        assert memory.main(["--out", out, "--largest", "650000"]) == 0
        small = list(asked)
        assert small == [("linear", 1_000, 625), ("auto", 1_000, 625)]
        assert memory.main(["--out", out]) == 0
        assert sorted(asked) == sorted(memory.CASES)
        # The table has the order of the cases, not that in which they were measured.
        lines = (tmp_path / "memory.md").read_text().splitlines()[2:]
        assert [line.split(" | ")[0].strip("| ") for line in lines] == [
            kind for kind, *_ in memory.CASES
        ]
        assert memory.main(["--out", out, "--largest", "650000", "--again"]) == 0
        assert asked[-2:] == small and len(pd.read_csv(out)) == len(memory.CASES)

    def test_import_time(self, tmp_path, monkeypatch):
        statements = import_time.STATEMENTS.values()
        times = dict(zip(statements, (1.0, 1.25, 0.5), strict=True))
        monkeypatch.setattr(import_time, "seconds", times.get)
        out = tmp_path / "import.csv"
        assert import_time.main(["--out", str(out), "--rounds", "2"]) == 0
        assert import_time.main(["--out", str(out), "--rounds", "3"]) == 0
        assert pd.read_csv(out)["round"].tolist() == [0, 1, 2]
        text = out.with_suffix(".md").read_text()
        assert "LLMAttributionClassifier` | 1.25 s | +0.25 s | 3 |" in text
        assert "llmreg.cli` | 0.50 s | -0.50 s | 3 |" in text

    @pytest.mark.parametrize("program", [speed, memory, import_time])
    def test_another_file(self, program, tmp_path, capsys):
        out = tmp_path / "other.csv"
        out.write_text("card,shots\n")
        assert program.main(["--out", str(out), "--report"]) == 2
        assert "Write to another file" in capsys.readouterr().err


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
