"""The experiment on intervals: what is counted, and what the table says of it."""

import numpy as np
import pandas as pd
import pytest

from benchmarks.data.datasets import load
from benchmarks.experiments import uncertainty
from llmreg import LLMAttributionClassifier


def test_calibration_error_is_a_mean_distance():
    truth = np.repeat([[1, 0], [0, 1]], 50, axis=0)
    certain = truth.astype(float)
    assert uncertainty.calibration_error(truth, certain) == 0
    even = np.full((100, 2), 0.5)
    assert uncertainty.calibration_error(truth, even) == pytest.approx(0.5)


def test_titanic_is_measured_with_both_priors_and_in_all_ways(monkeypatch):
    monkeypatch.setattr(uncertainty, "SIZES", (25,))
    rows = pd.DataFrame(uncertainty.measure("titanic", 1))
    assert set(rows["prior"]) == {"curves", "scores"} and len(rows) == 6
    assert rows["found"].between(0, 1).all()
    again = pd.DataFrame(uncertainty.measure("titanic", 1))
    pd.testing.assert_frame_equal(again, rows)


def test_models_are_drawn_around_the_one_that_is_known():
    dataset = load("titanic")
    model = LLMAttributionClassifier(dataset.prior, trees=None)
    model.fit(dataset.X, dataset.y)
    rng, X = np.random.default_rng(0), dataset.X[:50]
    drawn = [uncertainty.draw_probabilities(model, X, rng) for _ in range(30)]
    np.testing.assert_allclose(np.mean(drawn, axis=0), model.predict_proba(X), atol=0.1)
    assert np.std(drawn, axis=0).min() > 0


def test_shares_are_means_over_tables():
    row = {"prior": "curves", "of": "outcome", "rows": 25, "width": 2.0, "run": 0}
    draws = [("a", 0, 1.0), ("a", 1, 0.8), ("b", 0, 0.5)]
    frame = pd.DataFrame(
        [{**row, "card": c, "repetition": r, "found": f} for c, r, f in draws]
    )
    line = uncertainty.table_of(frame).splitlines()[-1]
    assert line == "| outcome | curves | 2 |  |  | 0.700 (2.00) |  |  |  |"
