"""Ranks of methods, their tests, effects and report."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from benchmarks.data.results import ResultFile
from benchmarks.reporting import ranks_report as ranks
from benchmarks.reporting.ranks import (
    average_ranks,
    block,
    critical_difference,
    effects,
    friedman,
    nemenyi_q,
    not_told_apart,
    over_sizes,
    rank,
    resampled,
)

TOY = pd.DataFrame(
    {"a": [0.9, 0.8, 0.7, 0.9], "b": [0.8, 0.8, 0.8, 0.8], "c": [0.1, 0.2, 0.3, 0.95]},
    index=["w", "x", "y", "z"],
)


def rows(scores, shots="5", repetitions=2, metric="roc_auc"):
    """Write a table of data sets and methods as rows of a result file."""
    return [
        {
            "card": card,
            "shots": shots,
            "repetition": repetition,
            "method": method,
            metric: value + 0.002 * repetition,
        }
        for (card, method), value in scores.stack().items()
        for repetition in range(repetitions)
    ]


class TestStatistics:
    def test_ranks_by_hand(self):
        # w: 1 2 3, x: 1.5 1.5 3, y: 2 1 3, z: 2 3 1.
        assert average_ranks(TOY).to_dict() == {"a": 1.625, "b": 1.875, "c": 2.5}

    @pytest.mark.parametrize(
        ("methods", "q"), [(2, 1.960), (3, 2.343), (4, 2.569), (5, 2.728), (10, 3.164)]
    )
    def test_nemenyi_q_of_table_5a(self, methods, q):
        assert nemenyi_q(methods) == pytest.approx(q, abs=0.001)
        assert nemenyi_q(methods, 0.10) < nemenyi_q(methods)

    def test_critical_difference_of_the_example_of_the_paper(self):
        assert critical_difference(4, 14) == pytest.approx(1.25, abs=0.005)
        assert critical_difference(4, 14, 0.10) == pytest.approx(1.12, abs=0.005)

    def test_friedman_is_that_of_scipy(self):
        found = friedman(TOY)
        chi2, p = stats.friedmanchisquare(*TOY.to_numpy().T)
        assert (found.chi2, found.p) == (pytest.approx(chi2), pytest.approx(p))
        assert found.f == pytest.approx(3 * chi2 / (4 * 2 - chi2))

    def test_friedman_by_hand(self):
        # Ranks 1.25, 1.75, 3 without ties: 12 * 4 / (3 * 4) * (13.625 - 12) = 6.5.
        table = pd.DataFrame({"a": [9, 8, 9, 8], "b": [8, 7, 8, 9], "c": [1, 1, 1, 1]})
        found = friedman(table)
        assert found.chi2 == pytest.approx(6.5)
        assert found.f == pytest.approx(13.0)
        assert found.p_of_f == pytest.approx(stats.f.sf(13, 2, 6))

    def test_all_data_sets_agree(self):
        found = friedman(pd.DataFrame({"a": [3, 3], "b": [2, 2], "c": [1, 1]}))
        assert (found.f, found.p_of_f) == (np.inf, 0.0)

    @pytest.mark.parametrize("table", [TOY[["a", "b"]], TOY[:1], TOY * 0])
    def test_too_little_to_test(self, table):
        assert np.isnan(friedman(table).chi2)

    def test_groups_are_the_largest(self):
        places = pd.Series({"c": 2.5, "a": 1.0, "b": 1.8, "d": 4.0})
        assert not_told_apart(places, 2.0) == [("a", "b", "c"), ("c", "d")]
        assert not_told_apart(places, 0.5) == []
        assert not_told_apart(places, np.inf) == [("a", "b", "c", "d")]

    def test_a_difference_of_exactly_the_critical_one_is_told(self):
        assert not_told_apart(pd.Series({"a": 1.0, "b": 2.0}), 1.0) == []


class TestBlock:
    def test_means_over_the_repetitions(self):
        found = block(pd.DataFrame(rows(TOY)), "roc_auc", "5")
        assert found.scores()["a"].to_dict() == pytest.approx(
            (TOY["a"] + 0.001).to_dict()
        )
        assert found.repetitions == (2, 2) and found.left_out == ()

    def test_a_method_that_lacks_a_data_set_is_left_out(self):
        frame = pd.DataFrame(rows(TOY))
        frame = frame[(frame["method"] != "b") | (frame["card"] != "w")]
        found = block(frame, "roc_auc", "5")
        assert (found.methods, found.left_out) == (["a", "c"], ("b",))

    def test_only_repetitions_that_all_have(self):
        frame = pd.DataFrame(rows(TOY))
        frame.loc[(frame["method"] == "b") & (frame["repetition"] == 1), "roc_auc"] = (
            np.nan
        )
        found = block(frame, "roc_auc", "5")
        assert found.repetitions == (1, 1) and found.left_out == ()

    def test_a_method_without_a_shared_repetition_is_left_out(self):
        frame = pd.DataFrame(rows(TOY, repetitions=3))
        apart = frame["repetition"] == 2
        frame = frame[apart == (frame["method"] == "c")]
        found = block(frame, "roc_auc", "5")
        assert (found.methods, found.left_out) == (["a", "b"], ("c",))

    def test_less_of_a_loss_is_better(self):
        found = block(pd.DataFrame(rows(TOY, metric="log_loss")), "log_loss", "5")
        assert average_ranks(found.scores()).index[0] == "c"

    def test_all_sizes(self):
        small = block(pd.DataFrame(rows(TOY)), "roc_auc", "5")
        large = pd.DataFrame(rows(TOY[["a", "b"]][1:] + 0.04, "50"))
        found = over_sizes([small, block(large, "roc_auc", "50")])
        assert (found.methods, found.left_out) == (["a", "b"], ("c",))
        assert found.scores()["b"].to_dict() == pytest.approx(
            {"w": 0.801, "x": 0.821, "y": 0.821, "z": 0.821}
        )

    def test_one_method_is_nothing_to_compare(self):
        assert block(pd.DataFrame(rows(TOY[["a"]])), "roc_auc", "5") is None


class TestEffects:
    def test_gain_and_wins_by_hand(self):
        found = effects(block(pd.DataFrame(rows(TOY)), "roc_auc", "5"), ["a"])
        over = {effect.other: effect for effect in found}
        assert set(over) == {"b", "c"}
        assert over["b"].gain == pytest.approx(0.025)
        assert (over["b"].wins, over["b"].ties, over["b"].losses) == (2, 1, 1)
        assert over["b"].low < 0 < over["b"].high

    def test_the_interval_is_that_of_the_mean_over_data_sets(self):
        generator = np.random.default_rng(0)
        gains = generator.normal(0.1, 0.2, 40)
        scores = pd.DataFrame({"a": gains, "b": np.zeros(40)})
        (found,) = effects(block(pd.DataFrame(rows(scores)), "roc_auc", "5"), ["a"])
        half = 1.96 * gains.std(ddof=1) / np.sqrt(40)
        assert found.low == pytest.approx(gains.mean() - half, abs=0.015)
        assert found.high == pytest.approx(gains.mean() + half, abs=0.015)

    def test_repetitions_are_drawn_within_their_data_set(self):
        generator = np.random.default_rng(0)
        tables = [[generator.normal(size=(25, 1))]]
        spread = resampled(tables, 4000, np.random.default_rng(1)).std()
        assert spread == pytest.approx(tables[0][0].std() / 5, rel=0.1)

    def test_the_same_draws_for_every_method(self):
        table = np.random.default_rng(0).normal(size=(6, 1))
        means = resampled(
            [[np.hstack([table, table])]] * 3, 50, np.random.default_rng(0)
        )
        assert np.array_equal(means[:, 0], means[:, 1])


class TestReport:
    @pytest.fixture
    def path(self, tmp_path):
        names = {"a": "default linear", "b": "no prior, tuned", "c": "prior alone"}
        table = TOY.rename(columns=names)
        wrong = table.assign(**{"default linear, flipped prior": 0.1})
        file = ResultFile(tmp_path / "few.csv")
        for row in [*rows(wrong), *rows(table.drop(columns="prior alone"), "0.8")]:
            file.append(row)
        return file.path

    def test_files_and_names(self, path, tmp_path, capsys):
        out = tmp_path / "out" / "ranks.md"
        arguments = ["--file", str(path), "--out", str(out), "--draws", "50"]
        assert ranks.main(arguments) == 0
        text = out.read_text()
        assert capsys.readouterr().out.strip() == text.strip()
        assert "flipped" not in text and "Left out, all sizes" in text
        assert (
            "## default linear: gain in ROC AUC" in text and "default MLP" not in text
        )
        names = {file.name for file in out.parent.iterdir()}
        pictures = {f"ranks-{size}.png" for size in ("5", "0.8", "all")}
        assert names == {"ranks.md", "ranks.csv", "ranks-effects.csv", *pictures}
        numbers = pd.read_csv(out.with_suffix(".csv")).set_index(["size", "method"])
        assert numbers.loc[("5", "default linear"), "average_rank"] == 1.625

    def test_fewer_sizes(self, path, tmp_path):
        out = tmp_path / "ranks.md"
        assert (
            ranks.main(["--file", str(path), "--out", str(out), "--shots", "0.8"]) == 0
        )
        assert set(pd.read_csv(out.with_suffix(".csv"))["size"]) == {0.8}

    def test_fewer_methods(self, path, tmp_path):
        out = tmp_path / "ranks.md"
        chosen = ["--methods", "default linear", "no prior, tuned"]
        assert ranks.main(["--file", str(path), "--out", str(out), *chosen]) == 0
        assert "prior alone" not in out.read_text()

    def test_nothing_to_rank(self, path, tmp_path, capsys):
        out = str(tmp_path / "ranks.md")
        assert ranks.main(["--file", str(path), "--metric", "r2", "--out", out]) == 2
        assert "no two methods with r2" in capsys.readouterr().err

    def test_no_picture_without_a_difference_joins_all(self):
        table = pd.DataFrame(rows(TOY * 0 + 0.5))
        (found,) = rank(table, "roc_auc", ours=[], draws=10)
        assert not found.differ and len(found.groups[0]) == 3
