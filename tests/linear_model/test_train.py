"""From a prior and rows to the linear model of gamma="auto"."""

import numpy as np
import pytest
import torch
from scipy.special import expit

from llmreg import FeaturePrior
from llmreg.linear_model import _train as trusted
from llmreg.linear_model._train import TrustSearch, has_opinion
from llmreg.prior._transforms import Sharpen, signed_exp

TRUE = np.array([6.0, -4.0, 2.0, 0.0, -1.0])
NAMES = [f"x{i}" for i in range(5)]


def prior_of(scores, outputs=None):
    return FeaturePrior.from_array(scores, NAMES, outputs)


def rows(n_samples, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.random((n_samples, 5))
    y = (rng.random(n_samples) < expit((X - 0.5) @ TRUE)).astype(float)
    y[:2] = 0, 1
    return X, y


def search(prior, task="binary", **changes):
    settings = {
        "score_transform": "auto",
        "penalty_weights": "spread",
        "alpha": 1.0,
        "seed": 0,
    }
    return TrustSearch(prior, task=task, **settings | changes)


def fit(found, X, y, weight=None):
    return found.fit(X, y, np.ones(len(X)) if weight is None else weight)


@pytest.mark.parametrize(
    ("given", "temperatures"),
    [("auto", [np.inf, 3, 2, 1]), ("identity", [np.inf]), (Sharpen(5.0), [5.0])],
)
def test_transforms_that_are_weighed(given, temperatures):
    transforms = search(prior_of(TRUE), score_transform=given).transforms
    assert [t.temperature for t in transforms] == temperatures
    assert search(prior_of(TRUE), score_transform="exp").transforms == [signed_exp]


def test_the_likeliest_transform_is_told():
    scores = np.array([8.0, -6.0, 4.0, -2.0, 1.0])
    sharp = signed_exp(torch.as_tensor(scores)).numpy()
    X, _ = rows(400)
    for direction, temperature in ((scores, np.inf), (sharp, 1.0)):
        logits = 12 * (X - 0.5) @ direction / np.linalg.norm(direction)
        y = (np.random.default_rng(0).random(400) < expit(logits)).astype(float)
        model = fit(search(prior_of(scores)), X, y)
        assert model.score_transform.temperature == temperature


def test_a_fit_is_the_same_again():
    X, y = rows(30)
    first, second = (fit(search(prior_of(TRUE)), X, y) for _ in range(2))
    np.testing.assert_array_equal(first.coef, second.coef)
    assert first.gamma == second.gamma > 0


def test_every_target_has_its_own_trust():
    rng = np.random.default_rng(0)
    X = rng.random((200, 5))
    Y = np.c_[X @ TRUE, X @ -TRUE] + rng.normal(size=(200, 2))
    Y = (Y - Y.mean(axis=0)) / Y.std(axis=0)
    prior = prior_of(np.stack([TRUE, TRUE]), ["right", "wrong"])
    model = fit(search(prior, "regression"), X, Y)
    right, wrong = model.trust
    assert right.believed > 0.9
    assert wrong.reversed + wrong.ignored > 0.5
    assert {c.output for c in wrong.contradictions} <= {"wrong"}
    assert model.coef.shape == (2, 5)
    assert model.gamma == pytest.approx(np.mean([right.gamma, wrong.gamma]))


def test_many_classes_have_one_trust():
    X, y = rows(100)
    y = y + (X[:, 2] > 0.7)
    prior = prior_of(np.stack([-TRUE, TRUE, 0 * TRUE]), ["0", "1", "2"])
    model = fit(search(prior, "multiclass"), X, y)
    assert len(model.trust) == 1
    assert model.coef.shape == (3, 5)


def estimates(spread):
    """Two estimates that differ by the spread on x1 alone."""
    scores = dict.fromkeys(NAMES, 5)
    pair = [{"y": scores | {"x1": 5 + s}} for s in (-spread, spread)]
    return FeaturePrior.from_estimates(pair)


def test_scores_on_which_estimates_differ_hold_less_tightly():
    X, y = rows(60)
    weights = {
        (spread, how): fit(search(estimates(spread), penalty_weights=how), X, y).coef
        for spread in (0, 5)
        for how in ("spread", None)
    }
    assert weights[5, "spread"][0, 1] < weights[0, "spread"][0, 1]
    np.testing.assert_allclose(weights[5, None], weights[0, None])
    np.testing.assert_allclose(weights[0, "spread"], weights[0, None])


def test_without_estimates_there_is_no_spread():
    assert search(prior_of(TRUE)).looseness is None


def test_very_many_rows_are_sampled(monkeypatch):
    monkeypatch.setattr(trusted, "MOST_ROWS", 500)
    X, y = rows(1500)
    model = fit(search(prior_of(TRUE)), X, y)
    assert model.trust[0].n_samples == 1500
    other = fit(search(prior_of(TRUE), seed=1), X, y)
    assert not np.array_equal(model.coef, other.coef)
    np.testing.assert_allclose(model.coef, other.coef, atol=1.5)


def test_gamma_counts_rows_by_their_weight():
    X, y = rows(20)
    weight = np.ones(20)
    weight[5] = 3
    thrice = np.append(np.arange(20), [5, 5])
    weighted = fit(search(prior_of(TRUE)), X, y, weight)
    repeated = fit(search(prior_of(TRUE)), X[thrice], y[thrice])
    assert weighted.gamma == pytest.approx(repeated.gamma)
    np.testing.assert_allclose(weighted.coef, repeated.coef, rtol=1e-9)


@pytest.mark.parametrize(
    ("scores", "expected"),
    [([1.0, 0, 0, 0, 0], True), ([0.0] * 5, False), ([np.nan, 0, 0, 0, 0], False)],
)
def test_an_opinion_is_a_score_other_than_zero(scores, expected):
    assert has_opinion(prior_of(np.array(scores))) is expected
    assert not has_opinion(None)
