"""The benchmark of the priors themselves: its measures, records and tables."""

import json

import numpy as np
import pandas as pd
import pytest

from benchmarks.data import local_priors
from benchmarks.data.catalogue import GROUPS, encoded_keys, read_card, task_of
from benchmarks.data.datasets import DATA_VARIABLE, load
from benchmarks.experiments import elicitation
from benchmarks.experiments.elicitation import AllRows
from benchmarks.reporting import elicitation as elicitation_report
from benchmarks.reporting.elicitation import BASELINE, LARGE, SMALL, by_count
from benchmarks.reporting.metrics import (
    between_estimates,
    cosine,
    pearson,
    spearman,
    subsets,
    with_coefficients,
)
from llmreg.exceptions import MissingDependencyError
from llmreg.prior import FeaturePrior
from llmreg.providers import AnthropicProvider, LocalProvider

CANCER = "breast-cancer-wisconsin"


@pytest.fixture(autouse=True)
def nothing_at_hand(monkeypatch, tmp_path):
    """No folder of tables, no answers of the small model, no cache."""
    monkeypatch.delenv(DATA_VARIABLE, raising=False)
    monkeypatch.setenv("LLMREG_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(elicitation, "FOLDER", tmp_path / "priors-local")
    load.cache_clear()
    yield
    load.cache_clear()


class TestAgreement:
    def test_known_values(self):
        a, b = np.array([[1.0, 2.0, 3.0]]), np.array([[2.0, 1.0, 3.0]])
        assert pearson(a, b) == pytest.approx(0.5)
        assert spearman(a, 10**b) == pytest.approx(0.5)
        assert cosine(a, b) == pytest.approx(13 / 14)

    def test_constant_answers_cannot_be_compared(self):
        flat, other = np.zeros((1, 3)), np.array([[1.0, 2.0, 3.0]])
        assert np.isnan(pearson(flat + 5, other))
        assert np.isnan(cosine(flat, other))
        found = between_estimates(np.stack([flat, other, 2 * other]))
        assert found["pearson"] == pytest.approx(1)
        assert found["cosine"] == pytest.approx(1)

    def test_one_estimate_agrees_with_nobody(self):
        assert between_estimates(np.ones((1, 1, 3))) == {}

    def test_signs_and_sizes(self):
        scores = np.array([[4.0, -3.0, 0.0, 2.0, 1.0]])
        coefficients = np.array([[2.0, 1.0, 5.0, 1.0, 0.0]])
        found = with_coefficients(scores, coefficients)
        assert found["opinions"] == 0.8
        assert found["sign"] == pytest.approx(2 / 3)
        assert found["sign_weighted"] == pytest.approx(3 / 4)
        # |scores| 4 3 0 2 against 2 1 5 1: the level that no row has is left out.
        assert found["size"] == pytest.approx(-0.316, abs=0.001)

    def test_without_opinions_no_share_is_made_up(self):
        found = with_coefficients(np.zeros((1, 3)), np.ones((1, 3)))
        assert np.isnan(found["sign"]) and np.isnan(found["sign_weighted"])

    def test_all_subsets(self):
        sizes = [len(subset) for subset in subsets(5)]
        assert sizes == [1] * 5 + [2] * 10 + [3] * 10 + [4] * 5 + [5]


class TestQuestions:
    @pytest.mark.parametrize("name", GROUPS["all"])
    def test_a_card_is_asked_as_its_table_is_encoded(self, name):
        card = read_card(name)
        task = task_of(card)
        assert task.keys == encoded_keys(card)
        prior = elicitation.read_answers(LARGE, name)
        if task.kind == "classification":
            assert set(prior.outputs) == set(task.outputs)
        assert set(prior.features) == set(task.keys)

    def test_tokens_are_told_without_anybody_asked(self):
        task = task_of(read_card("titanic"))
        for provider in (AnthropicProvider, LocalProvider):
            found = elicitation.count_tokens(provider, task)
            assert found["requests"] == 1
            assert 500 < found["tokens_in"] < 1500
        wide = task_of(read_card("myocardial"))
        assert elicitation.count_tokens(AnthropicProvider, wide)["requests"] == 2


class TestAllRows:
    def test_coefficients_speak_for_the_positive_class(self):
        rows = AllRows.of(load(CANCER))
        assert rows.coefficients.shape == (1, 20)
        assert rows.coefficients[0, rows.keys.index("worst radius")] > 0
        assert rows.alone(rows.coefficients)["roc_auc"] > 0.99
        assert rows.alone(-rows.coefficients)["roc_auc"] < 0.01

    def test_a_regression_has_ranks_and_r2(self):
        rows = AllRows.of(load("diabetes-progression"))
        found = rows.alone(rows.coefficients)
        assert 0.4 < found["r2"] < 0.6 and found["rank"] > 0.6
        turned = rows.alone(-rows.coefficients)
        assert turned["r2"] == 0 and turned["rank"] < -0.6
        assert rows.alone(np.zeros((1, 10)))["rank"] == 0

    def test_scores_come_in_the_order_of_the_columns(self):
        rows = AllRows.of(load(CANCER))
        keys = rows.keys[::-1]
        scores = np.arange(20.0)[None] - 10
        prior = FeaturePrior.from_array(scores, keys, ("1",))
        assert rows.in_order(prior)[0, 0, 0] == 9


class TestRecords:
    def test_estimates_and_tokens_add_up(self, tmp_path):
        usage = {"requests": 1, "input_tokens": 30, "output_tokens": 5}
        prior = FeaturePrior.from_estimates(
            [{"yes": {"sex": 3, "age": -2}}],
            provenance={"model": "tiny.gguf"},
            usage={**usage, "served_from_cache": 0},
        )
        record = local_priors.extend({}, "titanic", prior, "told once")
        record = local_priors.extend(record, "titanic", prior, "not told again")
        assert record["usage"] == {name: 2 * n for name, n in usage.items()}
        assert (record["model"], record["provenance"]) == ("tiny.gguf", "told once")
        path = tmp_path / "titanic.json"
        path.write_text(json.dumps(record))
        again = FeaturePrior.read(path)
        assert again.estimates.tolist() == [[[3, -2]], [[3, -2]]]
        assert local_priors.read_record(path) == record
        assert local_priors.read_record(tmp_path / "none.json") == {}

    def test_without_the_extra_it_says_so(self, monkeypatch, tmp_path, capsys):
        def absent(provider, task):
            raise MissingDependencyError("pip install llmreg[local]")

        monkeypatch.setattr(LocalProvider, "elicit", absent)
        folder = tmp_path / "new"
        assert local_priors.main(["--cards", "all", "--folder", str(folder)]) == 1
        assert capsys.readouterr().err.count("llmreg[local]") == 1
        assert not folder.exists()

    def test_no_such_card(self, capsys):
        assert local_priors.main(["--cards", "mars"]) == 2
        assert "mars" in capsys.readouterr().err


class TestProgram:
    def test_what_ships_with_packages_needs_no_download(self, tmp_path, capsys):
        out = tmp_path / "e.csv"
        words = ["--cards", CANCER, "diabetes-progression", "--out", str(out)]
        assert elicitation.main(words) == 0
        said = capsys.readouterr()
        assert "llmreg[local]" in said.err
        assert "ROC AUC" in said.out and "Spearman" in said.out
        answers = pd.read_csv(out).set_index(["model", "card"])
        assert sorted(answers.index.levels[0]) == [BASELINE, LARGE]
        assert answers.loc[(LARGE, CANCER), "sign"] == 1
        assert 0 < answers.loc[(BASELINE, CANCER), "sign"] < 1
        alone = pd.read_csv(tmp_path / "e-alone.csv")
        assert len(alone) == 2 * (31 + 1)
        large = alone[(alone["model"] == LARGE) & (alone["card"] == CANCER)]
        assert large["roc_auc"].min() > 0.98
        note = json.loads(out.with_suffix(".json").read_text())
        assert note["runs"][0]["settings"]["cards"] == words[1:3]
        assert out.with_suffix(".png").stat().st_size > 10_000
        first = out.with_suffix(".png").read_bytes()
        assert elicitation.main(["--report", "--out", str(out)]) == 0
        assert out.with_suffix(".png").read_bytes() == first

    def test_what_cannot_be_met_is_said(self, tmp_path, capsys):
        out = str(tmp_path / "e.csv")
        assert elicitation.main(["--cards", "mars", "--out", out]) == 2
        assert elicitation.main(["--report", "--out", out]) == 2
        assert capsys.readouterr().err.count("error:") == 2

    def test_a_card_is_measured_anew_in_its_place(self, tmp_path):
        path = tmp_path / "e.csv"
        old = [(LARGE, "titanic", 1.0), (SMALL, "titanic", 2.0), (LARGE, "adult", 3.0)]
        columns = ["model", "card", "sign"]
        elicitation.replace_rows(path, pd.DataFrame(old, columns=columns))
        new = [(LARGE, "titanic", 4.0), (SMALL, "titanic", 5.0)]
        elicitation.replace_rows(path, pd.DataFrame(new, columns=columns))
        found = pd.read_csv(path)
        assert found.to_numpy().tolist() == [
            [LARGE, "adult", 3.0],
            [LARGE, "titanic", 4.0],
            [SMALL, "titanic", 5.0],
        ]


def test_lines_are_means_over_one_set_of_cards():
    rows = [
        (LARGE, card, n, value)
        for card, value in (("a", 0.9), ("b", 0.7), ("c", 0.2), ("e", 0.2))
        for n in (1, 1, 2)
    ]
    for card in "abc":
        rows += [(SMALL, card, n, v) for n, v in ((1, 0.4), (1, 0.6), (2, 0.5))]
    rows += [(SMALL, "d", 1, 0.0)]  # fewer estimates than the others
    rows += [(SMALL, "a", 3, 1.0)]  # more
    columns = ["model", "card", "n_estimates", "roc_auc"]
    found = by_count(pd.DataFrame(rows, columns=columns), "roc_auc")
    small = found[found["model"] == SMALL]
    lines = small[["n_estimates", "mean", "low", "high"]].to_numpy()
    np.testing.assert_allclose(lines, [[1, 0.5, 0.4, 0.6], [2, 0.5, 0.5, 0.5]])
    large = found[(found["model"] == LARGE) & (found["n_estimates"] == 2)]
    assert large["mean"].tolist() == pytest.approx([0.5, 0.6])
    assert large["shared"].tolist() == [False, True]


def test_tables_say_nothing_where_there_is_nothing():
    assert elicitation_report._number(float("nan"), 2) == "-"
    assert elicitation_report._number(1234.5, 0) == "1,234"


def test_a_line_goes_as_far_as_most_cards():
    assert elicitation_report.common_count([5, 5, 5, 1]) == 5
    assert elicitation_report.common_count([3, 3, 2, 2, 2, 2, 2, 1]) == 2
