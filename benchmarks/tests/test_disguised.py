"""What is made of the answers to disguised questionnaires."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from benchmarks.data.catalogue import PAPER, read_prior
from benchmarks.data.datasets import Dataset
from benchmarks.data.disguise import FOLDER, VARIANTS, read_disguised, swapped_pair
from benchmarks.data.results import ResultFile
from benchmarks.experiments import disguised
from benchmarks.experiments.disguised import (
    NAMED,
    RECORDED,
    WITHOUT,
    compare_answers,
    follow_swap,
    named_rates,
    rank_rows,
    single_answers,
    within_kinds,
)
from benchmarks.methods.disguised import (
    WORDS,
    NotAskedError,
    answered,
    informed,
    one_estimate,
)
from benchmarks.methods.registry import in_order, methods
from benchmarks.reporting.disguised import regained
from llmreg.prior import FeaturePrior

CARD = {
    "features": {
        "a": {"kind": "numeric"},
        "b": {"kind": "numeric"},
        "c": {"kind": "categorical", "levels": {"u": "", "v": "", "w": ""}},
        "d": {"kind": "binary"},
    }
}
SCORES = {"a": 1, "b": 2, "c=u": 3, "c=v": 4, "c=w": 5, "d": 6}


@pytest.fixture
def toy():
    """A table in which the column a says all."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"a": rng.normal(size=60), "b": rng.normal(size=60)})
    y = pd.Series(np.where(X["a"] > 0, "1", "0"))
    prior = FeaturePrior.from_estimates([{"1": {"a": 5, "b": n}} for n in (0, 1)])
    card = {"features": {"a": {"kind": "numeric"}, "b": {"kind": "numeric"}}}
    return Dataset("toy", X, y, "classification", "1", ("0", "1"), card, prior)


def fitted_rows():
    """A made-up result for every method."""
    rng = np.random.default_rng(0)
    return [
        {
            "card": card,
            "shots": shots,
            "repetition": repetition,
            "method": method,
            "roc_auc": rng.uniform(0.5, 1),
            "log_loss": rng.uniform(0.3, 1),
        }
        for card in ("bank", "bodyfat")
        for shots in ("1", "5")
        for repetition in range(2)
        for method in disguised.METHODS
    ]


class TestAnswers:
    @pytest.mark.parametrize("variant", VARIANTS)
    def test_every_disguise_was_answered_and_says_by_whom(self, variant):
        for card in PAPER:
            record = json.loads((FOLDER / variant / f"{card}.json").read_text())
            assert "recognised all ten" in record["provenance"]
            assert "no row of data" in record["provenance"]
            assert read_disguised(card, variant).outputs == read_prior(card).outputs

    def test_estimates_agree_among_themselves_as_with_an_answer(self):
        rows = pd.DataFrame(compare_answers("bodyfat")).set_index("prior")
        assert list(rows.index) == [RECORDED, *VARIANTS]
        assert rows.loc[[RECORDED, "again"], "pearson"].min() > 0.95
        assert rows.loc["neutral", "pearson"] < rows.loc["again", "pearson"]
        assert rows["levels"].isna().all()

    @pytest.mark.parametrize("card", PAPER)
    def test_swapped_names_are_not_followed(self, card):
        assert follow_swap(card)["share"] > 0.8

    def test_followed_names_would_show(self, monkeypatch):
        high, low = swapped_pair("bodyfat")
        prior = read_prior("bodyfat")
        places = [prior.features.index(key) for key in (high, low)]
        scores = prior.scores.copy()
        scores[0, places] = scores[0, places[::-1]]
        monkeypatch.setattr(
            disguised,
            "read_disguised",
            lambda card, variant: replace(prior, scores=scores),
        )
        assert follow_swap("bodyfat")["share"] == pytest.approx(-1)

    def test_a_shuffle_within_kinds_leaves_each_kind_its_scores(self):
        change, prior = within_kinds(CARD), FeaturePrior.from_dict(SCORES)
        seen = {tuple(change(prior, seed).scores[0]) for seed in range(30)}
        assert len(seen) > 6
        assert {scores[:2] for scores in seen} == {(1, 2), (2, 1)}
        assert {tuple(sorted(scores[2:5])) for scores in seen} == {(3, 4, 5)}
        assert {scores[5] for scores in seen} == {6}

    def test_scores_alone_beside_their_shuffles(self, toy):
        right = FeaturePrior.from_dict({"a": 9, "b": 0}, output="1")
        rows = rank_rows(toy, {"right": [right]})
        assert [row["transform"] for row in rows] == ["raw", "exp"]
        for row in rows:
            assert row["roc_auc"] == 1
            # Both columns are numeric: all that can be shuffled is of one kind.
            assert 0.5 < row["shuffled"] < 0.95
            assert 0.5 < row["within"] < 0.95
            # A shuffle of two scores leaves them where they are half the time.
            assert 0.2 < row["within_reach"] < 0.8

    def test_named_features_have_no_score(self):
        card = json.loads((FOLDER.parent / "cards" / "bank.json").read_text())
        dataset = SimpleNamespace(name="bank", card=card, prior=read_prior("bank"))
        found = single_answers(dataset)
        assert list(found) == [RECORDED, WITHOUT, *VARIANTS]
        assert len(found[WITHOUT]) == len(found[RECORDED]) == 5
        before, after = found[RECORDED][0], found[WITHOUT][0]
        changed = before.scores[0] != after.scores[0]
        names = {key for key, new in zip(before.features, changed, strict=True) if new}
        assert names and all(key.startswith(f"{NAMED['bank'][0]}=") for key in names)

    def test_rates_where_the_model_named_its_memory(self, toy, monkeypatch):
        X = pd.DataFrame({"c": ["u", "u", "v", "v"], "d": [1.0, 0, 1, 1]})
        prior = FeaturePrior.from_dict({"c=u": 1, "c=v": 2, "c=w": 3, "d": 4})
        dataset = replace(
            toy, X=X, y=pd.Series(["1", "0", "1", "1"]), card=CARD, prior=prior
        )
        monkeypatch.setitem(disguised.NAMED, "toy", ("c", "d"))
        rows = pd.DataFrame(named_rates(dataset))
        assert list(rows["score"]) == [1, 2, 3, 4]
        assert list(rows["rows"]) == [2, 2, 0, 3]
        assert rows["rate"].tolist()[:2] == [0.5, 1]
        assert rows["rate"].isna().tolist() == [False, False, True, False]


class TestMethods:
    def test_one_estimate_is_any_of_them(self):
        prior = read_prior("bodyfat")
        found = [one_estimate(prior, seed) for seed in range(40)]
        assert {len(each.estimates) for each in found} == {1}
        assert len({each.scores.tobytes() for each in found}) == 5
        assert np.array_equal(one_estimate(prior, 3).scores, found[3].scores)

    def test_a_method_gets_the_answer_for_its_prior(self, toy):
        other = FeaturePrior.from_dict({"a": 1, "b": 1}, output="1")
        fit = informed(lambda dataset, X, y, seed: dataset.prior, lambda d, s: other)
        assert fit(toy, toy.X, toy.y, 0) is other

    def test_no_answer_is_said(self, toy):
        with pytest.raises(NotAskedError, match="'names' questionnaire about 'toy'"):
            answered("names")(toy, 0)

    def test_each_disguise_has_a_method_and_no_name_is_there_twice(self):
        assert {f"default linear, {w}" for w in WORDS.values()} < {
            *methods("disguised")
        }
        assert len(set(in_order())) == len(in_order())


class TestProgram:
    def test_without_tables_there_are_the_answers(self, tmp_path, capsys):
        out = tmp_path / "new" / "smoke.csv"
        assert disguised.main(["--cards", "--out", str(out)]) == 0
        text = capsys.readouterr().out
        assert "## Two names swapped" in text and "## Few shots" not in text
        assert {path.name for path in out.parent.iterdir()} == {
            "smoke.md",
            "smoke-agreement.csv",
            "smoke-swapped.csv",
        }

    def test_measures_once_and_fits_what_is_missing(self, tmp_path, monkeypatch, toy):
        calls = []
        monkeypatch.setattr(disguised, "load", lambda card: replace(toy, name=card))
        monkeypatch.setattr(disguised, "plan", lambda *about: about)
        monkeypatch.setattr(
            disguised, "single_answers", lambda dataset: {RECORDED: [dataset.prior]}
        )
        monkeypatch.setattr(
            disguised, "complete", lambda *about, **more: calls.append(about)
        )
        monkeypatch.setattr(disguised, "_report", lambda *about: None)
        out = tmp_path / "disguised.csv"
        for _ in range(2):
            assert disguised.main(["--cards", "bank", "--out", str(out)]) == 0
        alone = pd.read_csv(tmp_path / "disguised-alone.csv")
        assert list(alone["card"]) == ["bank", "bank"]
        note = json.loads((tmp_path / "disguised-alone.json").read_text())
        assert len(note["runs"]) == 1
        assert calls[0][1:3] == ((["bank"], disguised.SHOTS, 5), disguised.METHODS)

    def test_tables_and_plots_again(self, tmp_path, capsys):
        out = tmp_path / "d.csv"
        file = ResultFile(out)
        for row in fitted_rows():
            file.append(row)
        alone = ResultFile(tmp_path / "d-alone.csv", disguised.ALONE, ("card", "prior"))
        for card in ("bank", "bodyfat", "breast-ljubljana"):
            for name in (RECORDED, *VARIANTS, *([WITHOUT] if card in NAMED else [])):
                for number, transform in enumerate(("raw", "exp")):
                    row = {"card": card, "prior": name, "transform": transform}
                    row |= {"roc_auc": 0.8 + number / 10}
                    row |= {"shuffled": 0.5, "shuffled_reach": 0.0}
                    alone.append(row | {"within": 0.6, "within_reach": 0.1})
        rates = [("bank", "month=may", -4, 9, 0.1), ("bank", "month=mar", 8, 9, 0.5)]
        rates += [("breast-ljubljana", "CentralBreastQuadrant", 1, 9, 0.3)]
        pd.DataFrame(rates, columns=["card", "key", "score", "rows", "rate"]).to_csv(
            tmp_path / "d-named.csv", index=False
        )
        assert disguised.main(["--report", "--out", str(out)]) == 0
        text = capsys.readouterr().out
        assert "| names only over asked again |" in text
        assert "| bank: month | 2 | 1.00 | 0.900 | 0.900 |" in text
        assert "layout only has 100%; above the floor within kinds, 100%" in text
        for end in ("d.md", "d.png", "d-roc_auc.png", "d-roc_auc.csv"):
            assert (tmp_path / end).stat().st_size > 0


def test_half_of_what_is_above_the_shuffled_scores_is_regained():
    row = {"card": "a", "shuffled": 0.5}
    both = {"neutral": 0.7, "again": 0.9}
    rows = [row | {"prior": name, "roc_auc": value} for name, value in both.items()]
    assert regained(pd.DataFrame(rows))["a"] == pytest.approx(0.5)
