"""From a prior and rows to the linear model of gamma="auto"."""

import numpy as np
import pytest
import torch
from scipy.special import expit

from llmreg import FeaturePrior
from llmreg.linear_model import _averaging as averaging
from llmreg.linear_model import _subspace as subspace
from llmreg.linear_model._averaging import average_models
from llmreg.linear_model._prior_grid import (
    TEMPERATURES,
    Sharpen,
    directions,
    make_prior_grid,
    signed_exp,
)

TRUE = np.array([6.0, -4.0, 2.0, 0.0, -1.0])
NAMES = [f"x{i}" for i in range(5)]


def rows(n_samples, seed=0, weights=TRUE):
    rng = np.random.default_rng(seed)
    X = rng.random((n_samples, len(weights)))
    y = (rng.random(n_samples) < expit((X - 0.5) @ weights)).astype(float)
    y[:2] = 0, 1
    return X, y


def prior_of(scores, outputs=None):
    scores = np.asarray(scores, dtype=float)
    names = [f"x{i}" for i in range(scores.shape[-1])]
    return FeaturePrior.from_array(scores, names, outputs)


def average(X, y, prior, task="binary", weight=None, **options):
    if not isinstance(prior, FeaturePrior):
        prior = prior_of(prior)
    weight = np.ones(len(X)) if weight is None else weight
    return average_models(X, y, weight, prior, task=task, **options)


def cosine(a, b):
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def standard(y):
    return (y - y.mean(axis=0)) / y.std(axis=0)


class TestTrust:
    def test_few_rows_leave_the_prior_as_it_is(self):
        found = average(*rows(2), TRUE)
        assert cosine(found.coef[0], TRUE) > 0.95

    def test_many_rows_correct_a_wrong_prior(self):
        found = average(*rows(3000), [5, 5, 5, 5, 5])
        assert cosine(found.coef[0], TRUE) > 0.97

    def test_a_prior_with_the_wrong_sign_is_turned(self):
        found = average(*rows(60), -TRUE)
        assert found.trust[0].p_reversed > 0.5
        assert cosine(found.coef[0], TRUE) > 0.9

    def test_a_useless_prior_loses_its_weight(self):
        (trust,) = average(*rows(400), [1, 2, -1, 8, -3]).trust
        tight = make_prior_grid(len(TEMPERATURES), 5, "binary").precision >= 2
        assert trust.weights[(trust.signs != 0) & tight].sum() < 0.05

    def test_a_right_prior_is_worth_more_than_none(self):
        X, y = rows(12)
        held_X, held_y = rows(2000, seed=1)

        def log_loss(found):
            logits = held_X @ found.coef[0] + found.intercept[0]
            return np.logaddexp(0, -(2 * held_y - 1) * logits).mean()

        nothing = average(X, y, np.full(5, np.nan))
        assert log_loss(average(X, y, TRUE)) < log_loss(nothing)

    def test_no_score_is_no_opinion(self):
        found = average(*rows(500), [6, -4, np.nan, 0, -1])
        assert found.coef[0, 2] > 1
        assert np.isnan(found.trust[0].agreement[0, 2])

    def test_agreement_is_the_probability_of_the_sign(self):
        (trust,) = average(*rows(2000), [5, 5, 5, 0, -5]).trust
        assert trust.agreement[0, 0] > 0.99
        assert trust.agreement[0, 1] < 0.01
        assert np.isnan(trust.agreement[0, 3])

    def test_regression_follows_prior_then_rows(self):
        rng = np.random.default_rng(0)
        X = rng.uniform(size=(2000, 5))
        y = standard(X @ TRUE + rng.normal(size=2000))
        few = average(X[:4], y[:4], TRUE, "regression")
        many = average(X, y, [5, 5, 5, 5, 5], "regression")
        assert cosine(few.coef[0], TRUE) > 0.9
        assert cosine(many.coef[0], TRUE) > 0.98

    def test_every_target_has_its_own(self):
        rng = np.random.default_rng(0)
        X = rng.random((200, 5))
        Y = standard(np.c_[X @ TRUE, X @ -TRUE] + rng.normal(size=(200, 2)))
        prior = prior_of(np.stack([TRUE, TRUE]), ["right", "wrong"])
        model = average(X, Y, prior, "regression")
        right, wrong = model.trust
        assert right.p_aligned > 0.9
        assert wrong.p_reversed + wrong.p_uninformative > 0.5
        assert {c.output for c in wrong.contradictions} <= {"wrong"}
        assert model.coef.shape == (2, 5)
        assert model.gamma == pytest.approx(np.mean([right.gamma, wrong.gamma]))

    def test_many_classes_have_one(self):
        X, y = rows(100)
        y = y + (X[:, 2] > 0.7)
        prior = prior_of(np.stack([-TRUE, TRUE, 0 * TRUE]), ["0", "1", "2"])
        model = average(X, y, prior, "multiclass")
        assert len(model.trust) == 1
        assert model.coef.shape == (3, 5)

    def test_a_class_without_scores_is_learnt_from_the_rows(self):
        X, y = rows(300)
        y[:40] = 2
        prior = prior_of(np.stack([-TRUE, TRUE, np.full(5, np.nan)]), ["0", "1", "2"])
        found = average(X, y, prior, "multiclass")
        assert found.coef.shape == (3, 5)
        assert cosine(found.coef[1] - found.coef[0], TRUE) > 0.9


class TestWeights:
    def test_a_fit_is_the_same_again(self):
        first, second = (average(*rows(30), TRUE) for _ in range(2))
        np.testing.assert_array_equal(first.coef, second.coef)
        assert first.gamma == second.gamma > 0

    def test_a_weight_of_three_is_a_row_three_times(self):
        X, y = rows(20)
        weight = np.ones(20)
        weight[5] = 3
        thrice = np.append(np.arange(20), [5, 5])
        weighted = average(X, y, TRUE, weight=weight)
        repeated = average(X[thrice], y[thrice], TRUE)
        assert weighted.gamma == pytest.approx(repeated.gamma)
        np.testing.assert_allclose(weighted.coef, repeated.coef, rtol=1e-9)


def estimates(spread):
    """Two estimates that differ by the spread on x1 alone."""
    scores = dict.fromkeys(NAMES, 5)
    pair = [{"y": scores | {"x1": 5 + s}} for s in (-spread, spread)]
    return FeaturePrior.from_estimates(pair)


def test_scores_on_which_estimates_differ_hold_less_tightly():
    X, y = rows(60)
    coef = {
        (spread, how): average(X, y, estimates(spread), penalty_weights=how).coef
        for spread in (0, 5)
        for how in ("spread", None)
    }
    assert coef[5, "spread"][0, 1] < coef[0, "spread"][0, 1]
    np.testing.assert_allclose(coef[5, None], coef[0, None])
    np.testing.assert_allclose(coef[0, "spread"], coef[0, None])


def test_without_estimates_there_is_no_spread():
    assert averaging.relative_variance(prior_of(TRUE)) is None


class TestTransforms:
    @pytest.mark.parametrize(
        ("given", "temperatures"),
        [("auto", [np.inf, 3, 2, 1]), ("identity", [np.inf]), (Sharpen(5.0), [5.0])],
    )
    def test_that_are_weighed(self, given, temperatures):
        assert [t.temperature for t in averaging._transforms(given)] == temperatures
        assert averaging._transforms("exp") == [signed_exp]

    def test_the_likeliest_is_told(self):
        scores = np.array([8.0, -6.0, 4.0, -2.0, 1.0])
        sharp = signed_exp(torch.as_tensor(scores)).numpy()
        X, _ = rows(400)
        for direction, temperature in ((scores, np.inf), (sharp, 1.0)):
            logits = 12 * (X - 0.5) @ direction / np.linalg.norm(direction)
            y = (np.random.default_rng(0).random(400) < expit(logits)).astype(float)
            assert average(X, y, scores).score_transform.temperature == temperature

    @pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
    @pytest.mark.parametrize("n_transforms", [0, 1, 4])
    def test_the_probabilities_of_the_grid_sum_to_one(self, task, n_transforms):
        grid = make_prior_grid(n_transforms, 7, task)
        assert np.exp(grid.log_prior).sum() == pytest.approx(1)
        assert (grid.transform < 0).any()

    def test_directions_have_length_one(self):
        scores = np.array([[3.0, -1.0, np.nan], [0, 0, 0]])
        units = directions(scores, averaging._transforms("auto"))
        assert units.shape == (4, 2, 3)
        np.testing.assert_allclose(np.linalg.norm(units[:, 0], axis=1), 1)
        assert not units[:, 1].any()
        assert not units[:, :, 2].any()


class TestLargeTables:
    def test_more_columns_than_rows(self):
        true = np.random.default_rng(0).normal(size=300)
        found = average(*rows(20, weights=true), true)
        assert found.coef.shape == (1, 300)
        assert cosine(found.coef[0], true) > 0.9

    def test_rows_and_rotated_rows_give_the_same_model(self, monkeypatch):
        X, y = rows(30)
        plain = average(X, y, TRUE)
        whole = subspace.row_space

        def always_rotate(X, group):
            basis = whole(X, group)
            rotation, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(5, 5)))
            return basis @ rotation if basis.shape[1] == 5 else basis

        monkeypatch.setattr(subspace, "row_space", always_rotate)
        rotated = average(X, y, TRUE)
        np.testing.assert_allclose(rotated.coef, plain.coef, atol=1e-5)

    def test_many_rows_are_screened_by_an_approximation_alike(self, monkeypatch):
        X, y = rows(2000)
        exact = average(X, y, [5, -5, 5, 5, 5])
        monkeypatch.setattr(averaging, "_MUCH_WORK", 0)
        rough = average(X, y, [5, -5, 5, 5, 5])
        assert np.count_nonzero(rough.trust[0].weights) <= 6
        np.testing.assert_allclose(rough.coef, exact.coef, atol=0.05)

    def test_very_many_columns_are_weighed_in_part(self, monkeypatch):
        monkeypatch.setattr(subspace, "_MOST", 10)
        true = np.random.default_rng(0).normal(size=40)
        X, y = rows(60, weights=true)
        found = average(X, y, true)
        assert not found.is_whole
        assert np.isfinite(found.coef).all()
        assert cosine(found.coef[0], true) > 0.9
        assert average(X[:8], y[:8], true).is_whole

    def test_very_many_rows_are_sampled(self, monkeypatch):
        monkeypatch.setattr(averaging, "MOST_ROWS", 500)
        X, y = rows(1500)
        model = average(X, y, TRUE)
        assert model.trust[0].n_samples == 1500
        assert not model.is_whole
        other = average(X, y, TRUE, seed=1)
        assert not np.array_equal(model.coef, other.coef)
        np.testing.assert_allclose(model.coef, other.coef, atol=1.5)
