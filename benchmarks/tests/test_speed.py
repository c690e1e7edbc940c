"""The pure parts of the benchmarks of speed and imports; no time is asserted."""

import json

import numpy as np
import pandas as pd
import pytest

from benchmarks.experiments import import_time, speed


def test_tables_are_seeded_and_have_both_classes():
    table, again = (speed.make_table(10, 8) for _ in range(2))
    assert set(table.labels) == {0, 1}
    assert np.abs(table.scores).max() <= 10
    for one, other in zip(table, again, strict=True):
        np.testing.assert_array_equal(one, other)
    assert (speed.make_table(200, 8, pair=9.0).labels[:200]).std() > 0


def test_a_curve_rises_as_its_score_says():
    scores = speed.make_table(10, 8).scores
    prior = speed.curves_of(scores)
    assert {len(curve.values) for curve in prior.curves.values()} == {5}
    assert (np.sign(prior.scores[0]) == np.sign(scores)).all()


def test_a_row_has_both_sides_their_ratio_and_an_aim_up_to_a_size(monkeypatch):
    clock = iter([1.0, 4.0] * 10)
    monkeypatch.setattr(speed, "seconds", lambda call: next(clock))
    pair = speed.Comparison(lambda t: (speed.make(t), speed.make(t)), 0.5, most=10)
    row = speed.compare(pair, "10 x 2", patience=0.0)
    assert (row["ours"], row["theirs"], row["ratio"]) == (1.0, 4.0, 0.25)
    assert (row["rounds"], row["bound"]) == (speed.FEWEST, 0.5)
    assert np.isnan(speed.compare(pair, "11 x 2", patience=0.0)["bound"])


@pytest.mark.parametrize("name", speed.COMPARISONS)
def test_both_sides_of_every_comparison_are_models(name):
    if name.endswith("CatBoost"):
        pytest.importorskip("catboost")
    comparison = speed.COMPARISONS[name]
    table = speed.make_table(10, 8)
    assert all(
        hasattr(one, comparison.method) and hasattr(one, "fit")
        for one in comparison.models(table)
    )


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", speed.FITS)
def test_every_large_fit_runs_on_a_small_table(name):
    row = speed.measure_fit(name, 60, 70)
    assert row["ours"] > 0 and row["data_mb"] > 0 and row["peak_mb"] >= 0


def row_of(name, size, **more):
    row = {"comparison": name, "size": size, "ours": 2.0, "theirs": 0.001, "ratio": 2e3}
    return {**row, "bound": 3.0, "rounds": 3, "load": 0.5, "run": 0, **more}


def test_what_is_over_its_aim_is_marked():
    curves, *_, trees = speed.COMPARISONS
    rows = [
        row_of(curves, "10000 x 100"),
        row_of(curves, "10 x 8", ratio=3.0),
        row_of(trees, "50000 x 20", bound=np.nan),
        row_of("levels", "20000 x 5000", ours=61.0, data_mb=1.0, peak_mb=2e3),
        row_of("scores, wide", "1000 x 2500", bound=np.nan, data_mb=1.0, peak_mb=2e3),
    ]
    text = speed.table_of(pd.DataFrame(rows, columns=list(speed.COLUMNS)), 2)
    assert text.startswith("A machine of 2 cores; its load before a row")
    assert f"| {curves} | 3 | 3 | - | - | **2e+03** | - |" in text
    assert f"| {trees} | 2 | - | - | - | 2e+03 |" in text
    assert f"| {curves} | 10,000 x 100 | 2 s | 1 ms | **2e+03** |" in text
    large = (
        "| levels | 20,000 x 5,000 | **61 s** | 60 | 1 MB | 2000 MB | **2e+03** | 10"
    )
    assert large in text
    assert "| 2 s | - | 1 MB | 2000 MB | 2e+03 | - |" in text


class TestResuming:
    """What is there is not measured again, and every row tells its run."""

    def run(self, out, monkeypatch, *more, stop=None):
        asked = []

        def measure(name, size, patience):
            asked.append((name, size))
            if len(asked) == stop:
                raise KeyboardInterrupt
            return row_of(name, size, data_mb=1.0, peak_mb=1.0)

        monkeypatch.setattr(speed, "measure", measure)
        code = speed.main(["--out", str(out), *more])
        return code, asked, pd.read_csv(out)

    def test_speed(self, tmp_path, monkeypatch, capsys):
        out = tmp_path / "new" / "speed.csv"
        code, asked, _ = self.run(out, monkeypatch, "--patience", "1", stop=3)
        assert code == 130 and "goes on from here" in capsys.readouterr().err
        code, rest, rows = self.run(out, monkeypatch)
        assert code == 0 and asked[:2] + rest == speed.CASES
        assert rows["run"].tolist() == [0, 0] + [1] * len(rest)
        more = ["--only", "CatBoost", "--largest", "10000", "--again"]
        _, again, rows = self.run(out, monkeypatch, *more)
        assert {size for _, size in again} == {"500 x 20"} and len(again) == 2
        assert len(rows) == len(speed.CASES)
        note = json.loads(out.with_suffix(".json").read_text())
        assert note["runs"][0]["settings"]["patience"] == 1

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

    @pytest.mark.parametrize("program", [speed, import_time])
    def test_another_file(self, program, tmp_path, capsys):
        out = tmp_path / "other.csv"
        out.write_text("card,shots\n")
        assert program.main(["--out", str(out), "--report"]) == 2
        assert "Write to another file" in capsys.readouterr().err
