"""The bounds on the default: their arithmetic on made-up results, and their report."""

import numpy as np
import pandas as pd
import pytest

from benchmarks.data.results import COLUMNS, ResultFile
from benchmarks.methods.estimators import METHODS, PLOTTED
from benchmarks.reporting import bounds
from benchmarks.reporting.bounds import LINEAR, MLP, NAMED, TUNED
from benchmarks.reporting.tables import compare, grid, sizes


def results(values, metric="roc_auc", cards=("adult", "bank"), shots=("5", "0.8")):
    """Give a method the same value in every cell, or a function of the cell."""
    rows = [
        {
            "card": card,
            "shots": size,
            "repetition": repetition,
            "method": method,
            metric: value(card, size, repetition) if callable(value) else value,
        }
        for method, value in values.items()
        for card in cards
        for size in shots
        for repetition in (0, 1)
    ]
    return pd.DataFrame(rows).reindex(columns=list(COLUMNS))


def all_named(**changes):
    return dict.fromkeys(NAMED, 0.7) | changes


def test_hindsight_takes_the_best_row_of_each_table():
    """Nothing is asked of it: it shows what a choice could give at most."""

    def on(card, good):
        return lambda c, s, r: good if c == card else 0.5

    rows = all_named(
        **{TUNED: on("adult", 0.9), "prior alone": on("bank", 0.8)},
        **{bounds.REFERENCES[LINEAR]: 0.6, "default MLP": 0.99},
    )
    checks = bounds.with_hindsight(results(rows), "roc_auc")
    assert [check.size for check in checks] == ["5", "0.8"]
    for check in checks:
        assert check.value == pytest.approx(0.85)
        assert check.gain == pytest.approx(0.25)
        assert check.met is None


class TestGrid:
    def test_every_name_is_a_method(self):
        wrong = [
            f"{name}, {how} prior"
            for name in (LINEAR, MLP, bounds.FIXED)
            for how in ("flipped", "shuffled")
        ]
        known = {*NAMED, *bounds.REFERENCES.values(), LINEAR, MLP, *wrong, *PLOTTED}
        assert known <= set(METHODS) and len(NAMED) == 9

    def test_paired_by_hand(self):
        def value(card, size, repetition):
            return 0.6 + 0.2 * (card == "bank") + 0.1 * repetition

        frame = results({"m": value, "n": lambda c, s, r: value(c, s, r) - 0.1 * r})
        table = grid(frame, "roc_auc")
        assert sizes(table) == ["5", "0.8"]
        check = compare(table, "5", "m", "n", 0.05, strict=True)
        assert check.value == pytest.approx(0.75)
        assert check.against == pytest.approx(0.70)
        # The gains of the two repetitions are 0 and 0.1.
        assert check.gain == pytest.approx(0.05)
        assert check.error == pytest.approx(0.05)
        assert check.repetitions == 2

    def test_only_repetitions_with_every_data_set_count(self):
        frame = results({"m": lambda c, s, r: 0.5 + 0.1 * r, "n": 0.5})
        gap = (frame["method"] == "m") & (frame["repetition"] == 1)
        frame.loc[gap & (frame["card"] == "bank"), "roc_auc"] = np.nan
        check = compare(grid(frame, "roc_auc"), "5", "m", "n")
        assert (check.gain, check.repetitions) == (0.0, 1) and np.isnan(check.error)

    def test_data_sets_without_the_size_are_not_missed(self):
        frame = results({"m": 0.6, "n": 0.5})
        frame = frame[(frame["card"] == "adult") | (frame["shots"] == "5")]
        check = compare(grid(frame, "roc_auc"), "0.8", "m", "n")
        assert check.gain == pytest.approx(0.1)

    def test_less_loss_is_a_gain(self):
        table = grid(results({"m": 0.2, "n": 0.3}, "log_loss"), "log_loss")
        assert compare(table, "5", "m", "n").gain == pytest.approx(0.1)

    def test_rmse_as_a_ratio(self):
        def value(card, size, repetition):
            return 100.0 if card == "bank" else 1.0

        frame = results({"m": value, "n": lambda *cell: 2 * value(*cell)}, "rmse")
        check = compare(grid(frame, "rmse"), "5", "m", "n")
        assert check.gain == pytest.approx(np.log(2))
        assert np.exp(-check.value) == pytest.approx(10.0)

    def test_no_result(self):
        assert grid(results({"m": np.nan}), "roc_auc").empty


class TestBounds:
    def test_envelope_takes_the_best_of_each_size(self):
        frame = results(
            all_named(
                **{
                    TUNED: lambda card, size, _: 0.9 if size == "0.8" else 0.5,
                    "prior alone": lambda card, size, _: 0.8 if size == "5" else 0.5,
                    LINEAR: lambda card, size, _: 0.798 if size == "5" else 0.89,
                }
            )
        )
        few, many = bounds.envelope(grid(frame, "roc_auc"))
        assert (few.other, few.met) == ("prior alone", True)
        assert few.gain == pytest.approx(-0.002)
        assert (many.other, many.met) == (TUNED, False)
        assert many.gain == pytest.approx(-0.01)

    def test_envelope_of_rows_that_were_not_all_run(self):
        rows = all_named(**{LINEAR: 0.8})
        del rows["prior alone, exp"]
        for check in bounds.envelope(grid(results(rows), "roc_auc")):
            assert check.met is None and check.repetitions == 0

    def test_mean_over_sizes(self):
        def value(card, size, repetition):
            return (0.8 if size == "5" else 0.9) + 0.01 * repetition

        table = grid(results(all_named(**{LINEAR: value})), "roc_auc")
        checks = {check.other: check for check in bounds.over_sizes(table)}
        check = checks[TUNED]
        assert check.value == pytest.approx(0.855) and check.met
        assert check.gain == pytest.approx(0.155)
        # 0.005 at either size, and the two are independent.
        assert check.error == pytest.approx(0.005 * np.sqrt(2) / 2)
        assert checks[MLP].met is None and checks[MLP].bound is None

    def test_reference(self):
        shots = ("1", "5", "25", "50", "0.8")
        names = {LINEAR: 0.805, bounds.REFERENCES[LINEAR]: 0.8}
        table = grid(results(names, shots=shots), "roc_auc")
        checks = bounds.over_reference(table)[: len(shots)]
        assert [check.met for check in checks] == [None, True, True, False, False]

    def test_wrong_priors(self):
        shots = ("5", "10", "25", "0.8")
        names = {TUNED: 0.8, f"{LINEAR}, flipped prior": 0.785}
        table = grid(results(names, shots=shots), "roc_auc")
        checks = bounds.with_wrong_priors(table)
        assert [check.met for check in checks[:4]] == [None, True, False, False]
        assert all(check.met is None for check in checks[4:])

    def test_mlp(self):
        table = grid(results({LINEAR: 0.8, MLP: 0.8}), "roc_auc")
        assert [check.met for check in bounds.of_the_mlp(table)] == [True, False]

    def test_probabilities(self):
        names = {LINEAR: 0.2, TUNED: 0.3}
        checks = bounds.over_tuned(grid(results(names, "brier"), "brier"))
        assert [check.met for check in checks] == [True, True, None, None]


class TestReport:
    def write(self, frame, path):
        file = ResultFile(path)
        for row in frame.to_dict("records"):
            file.append({key: value for key, value in row.items() if value == value})

    def test_two_files_of_two_groups(self, tmp_path, capsys):
        self.write(results(all_named(**{LINEAR: 0.71})), tmp_path / "paper.csv")
        names = all_named(**{LINEAR: 0.6})
        regression = results(names, "r2", cards=("salaries",), shots=("5", "10"))
        regression["rmse"] = 2.0
        self.write(regression, tmp_path / "regression.csv")
        paths = [str(tmp_path / name) for name in ("paper.csv", "regression.csv")]
        assert bounds.main(["--files", *paths]) == 0
        text = (tmp_path / "paper-bounds.md").read_text()
        assert text in capsys.readouterr().out
        assert text.count("\n## ") == 2
        assert "Data sets by size: 5: 2, 80% of rows: 2." in text
        assert (
            f"| 5 | {LINEAR} | {TUNED} | 0.7100 | 0.7000 | +0.0100 ± 0.0000 |" in text
        )
        assert "| ≥ -0.003 | yes | 2 |" in text
        assert "| ≥ -0.003 | **no** | 2 |" in text
        assert "(RMSE): 2 met, 0 not, 0 not measured" in text
        assert "| not run | 0 |" in text

    def test_nothing_to_tell(self, tmp_path, capsys):
        assert bounds.main(["--files", str(tmp_path / "none.csv")]) == 2
        assert "no result of a known group" in capsys.readouterr().err

    def test_not_a_result_file(self, tmp_path, capsys):
        path = tmp_path / "other.csv"
        path.write_text("card,shots\n")
        assert bounds.main(["--files", str(path)]) == 2
        assert "Write to another file" in capsys.readouterr().err
