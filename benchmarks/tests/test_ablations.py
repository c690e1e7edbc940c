"""Ablations: one change at a time, the tables, and what asking costs."""

import numpy as np
import pandas as pd
import pytest

from benchmarks.data.catalogue import read_prior
from benchmarks.data.datasets import DATA_VARIABLE, load
from benchmarks.data.results import ResultFile
from benchmarks.data.splits import Cell, draw
from benchmarks.experiments import ablations
from benchmarks.methods import ablations as ablated
from benchmarks.methods.ablations import ABLATIONS, SHARED, STARTS, TABLES, first, noisy
from benchmarks.methods.estimators import METHODS
from benchmarks.methods.registry import find, methods
from benchmarks.reporting import ablations as ablation_report
from llmreg.prior import FeaturePrior

CANCER = "breast-cancer-wisconsin"
VARIED = [
    (start, name)
    for rows in TABLES.values()
    for start, varied in rows.items()
    for name in varied
]
LINEAR = [(start, name) for start, name in VARIED if "MLP" not in start]
# One of each kind is enough: the others differ from it by a number.
MLP = [
    (start, name)
    for start, name in VARIED
    if "MLP" in start and not name.endswith(("30", "300", "integrated_gradients"))
]


@pytest.fixture(autouse=True)
def nothing_at_hand(monkeypatch):
    """No folder of tables: those that packages ship alone."""
    monkeypatch.delenv(DATA_VARIABLE, raising=False)


@pytest.fixture(scope="module")
def scores():
    """What each method says of the rows of one small draw, fitted once."""
    found = {}

    def of(name, method=None):
        if name not in found:
            data = load(CANCER)
            train, test = draw(data.y.to_numpy(), 2, Cell(CANCER, 5, 0), 0)
            fit = (method or find(name)).fit
            predict = fit(data, data.X.iloc[train], data.y.iloc[train], 1)
            found[name] = predict(data.X.iloc[test[:40]])
        return found[name]

    return of


@pytest.fixture
def prior():
    return FeaturePrior.from_estimates(
        [{"a": 1, "b": -9}, {"a": 3, "b": -8}, {"a": 8, "b": 2}]
    )


class TestPriors:
    def test_first_is_the_mean_of_the_first(self, prior):
        for number in (1, 2, 3):
            kept = first(number)(prior, 0)
            np.testing.assert_allclose(
                kept.scores, prior.estimates[:number].mean(axis=0)
            )
            assert len(kept.estimates) == number

    @pytest.mark.parametrize("card", [CANCER, "obesity"])
    def test_all_recorded_estimates_are_the_prior_itself(self, card):
        prior = read_prior(card)
        np.testing.assert_allclose(first(5)(prior, 0).scores, prior.scores)

    def test_first_leaves_a_prior_without_estimates(self):
        prior = FeaturePrior.from_dict({"a": 1})
        assert first(2)(prior, 0) is prior

    def test_no_noise_is_the_prior(self, prior):
        same = noisy(0.0)(prior, 3)
        np.testing.assert_array_equal(same.scores, prior.scores)
        np.testing.assert_array_equal(same.estimates, prior.estimates)

    def test_noise_alone_has_the_deviation_and_nothing_of_the_scores(self):
        names = [f"f{number}" for number in range(4000)]
        scores = np.random.default_rng(0).uniform(-4, 4, len(names))
        prior = FeaturePrior.from_array(scores, names)
        noise = noisy(1.0)(prior, 0).scores[0]
        assert noise.std() == pytest.approx(scores.std(), rel=0.05)
        assert abs(np.corrcoef(noise, scores)[0, 1]) < 0.05
        half = noisy(0.5)(prior, 0).scores[0]
        np.testing.assert_allclose(half, np.sqrt(0.5) * (scores + noise))
        assert np.corrcoef(half, scores)[0, 1] == pytest.approx(0.5**0.5, abs=0.05)

    def test_noise_stays_on_the_scale_and_leaves_no_opinion_alone(self):
        prior = FeaturePrior.from_array([10, -10, np.nan, 9], list("abcd"))
        found = [noisy(0.75)(prior, seed).scores for seed in range(20)]
        assert np.nanmax(np.abs(found)) == 10
        assert all(np.isnan(scores[0, 2]) for scores in found)

    def test_estimates_agree_as_before_where_they_stay_on_the_scale(self, prior):
        small = FeaturePrior.from_estimates([{"a": 0.1, "b": -1}, {"a": 0.3, "b": 1}])
        moved = noisy(0.5)(small, 0)
        np.testing.assert_allclose(moved.spread, small.spread)
        np.testing.assert_allclose(moved.scores, moved.estimates.mean(axis=0))


class TestMethods:
    def test_the_set_has_what_methods_lacks(self):
        assert methods("ablations") == tuple(ABLATIONS)
        assert not set(ABLATIONS) & set(METHODS)
        for rows in TABLES.values():
            for start, varied in rows.items():
                assert all(find(name) for name in (start, *varied))
        assert set(SHARED) <= set(METHODS)

    @pytest.mark.parametrize("start", [name for name in STARTS if "MLP" not in name])
    def test_a_start_is_the_method_of_that_name(self, start, scores):
        again = ablated._from(start)
        np.testing.assert_array_equal(scores(f"{start}, again", again), scores(start))

    def test_what_has_a_name_in_methods_is_that_method(self, scores):
        named = {
            name: method
            for rows in TABLES.values()
            for varied in rows.values()
            for name, method in varied.items()
            if name in METHODS
        }
        assert len(named) == 8
        for name, method in named.items():
            np.testing.assert_array_equal(
                scores(f"{name}, again", method), scores(name)
            )

    @pytest.mark.parametrize(("start", "name"), LINEAR)
    def test_fits_and_differs_from_its_start(self, start, name, scores):
        assert np.isfinite(scores(name)).all()
        assert not np.array_equal(scores(name), scores(start))

    @pytest.mark.parametrize(("start", "name"), MLP)
    def test_hidden_layers_fit_and_differ_from_their_start(self, start, name, scores):
        assert np.isfinite(scores(name)).all()
        assert not np.array_equal(scores(name), scores(start))


class TestTables:
    @pytest.fixture
    def frame(self):
        """Two cards and two draws: the row that is varied gains 0.1 and 0.3."""
        start, name = "default linear", "default linear, spread not used"
        values = {"no prior, tuned": (0.5, 0.5), start: (0.6, 0.6), name: (0.7, 0.9)}
        rows = [
            {"card": card, "shots": "5", "repetition": draw, "method": method}
            | {"roc_auc": both[draw], "log_loss": 1 - both[draw]}
            for card in ("a", "b")
            for method, both in values.items()
            for draw in (0, 1)
        ]
        rows.append(
            rows[0] | {"card": "r", "roc_auc": None, "log_loss": None, "r2": 0.25}
        )
        return pd.DataFrame(rows).reindex(columns=ResultFile("x").columns)

    def test_gains_are_paired_with_their_error(self, frame):
        lines = ablation_report.table(frame, "penalty_weights").splitlines()
        assert lines[0] == "| | ROC AUC, 5 | R2, 5 | log loss, 5 |"
        assert lines[2] == "| no prior, tuned | 0.500 | 0.250 | 0.500 |"
        assert lines[3] == "| **default linear** | 0.600 | - | 0.400 |"
        assert lines[4].endswith("used | 0.800 (+0.200 ± 0.100) | - | 0.200 |")
        assert lines[5:] == ["", "Draws: 1 to 2."]

    def test_only_draws_that_every_row_has(self, frame):
        late = (frame["repetition"] == 1) & (frame["method"] == "no prior, tuned")
        lines = ablation_report.table(frame[~late], "penalty_weights").splitlines()
        assert "| 0.700 (+0.100) |" in lines[4]
        assert lines[-1] == "Draws: 1."

    def test_only_what_was_varied_has_a_table(self, frame):
        text = ablation_report.write(frame)
        assert text.count("\n## ") == 1
        assert "## Whether the spread" in text
        assert "Data sets: ROC AUC at 5: 2, R2 at 5: 1." in text

    def test_every_table_has_a_title_and_a_text(self):
        assert set(TABLES) == set(ablation_report.TITLES) == set(ablation_report.ABOUT)

    def test_a_start_that_is_shared_stands_once(self):
        rows = [name for name, _ in ablation_report._rows("noise")]
        assert len(rows) == len(set(rows)) and set(SHARED) <= set(rows)


class TestProgram:
    def test_sizes_go_by_the_kind_of_the_card(self):
        found = ablations.cells(["salaries", CANCER], 2)
        assert [(cell.card, cell.shots) for cell in found[:5]] == [
            *((CANCER, size) for size in (5, 25, 100)),
            *(("salaries", size) for size in (10, 50)),
        ]
        assert [cell.repetition for cell in found] == [0] * 5 + [1] * 5

    def test_runs_reports_and_goes_on(self, tmp_path, capsys, monkeypatch):
        monkeypatch.setattr(ablations, "SIZES", {"regression": (10,)})
        out = tmp_path / "a.csv"
        command = ["--cards", "salaries", "--out", str(out), "--repetitions", "1"]
        command += ["--tables", "penalty_weights"]
        assert ablations.main(command) == 0
        assert "spread not used" in out.with_suffix(".md").read_text()
        assert set(ResultFile(out).read()["method"]) == {
            *SHARED,
            "default linear",
            "default linear, spread not used",
        }
        assert ablations.main(command) == 0
        assert "5 fits asked for, 0 to do" in capsys.readouterr().err

    def test_says_what_it_does_not_know(self, capsys):
        assert ablations.main(["--cards", "nonsense"]) == 2
        assert "No card or group" in capsys.readouterr().err
