"""Shapes as weights: what deviates from curves, and how a grid of priors weighs it."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pytest

from llmreg import FeaturePrior, LLMAttributionClassifier, LLMAttributionRegressor
from llmreg.linear_model import _averaging, _curve_space
from llmreg.linear_model._curve_space import CurveSpace
from llmreg.linear_model._prior_grid import make_curve_grid
from llmreg.posterior._laplace import fit_classifier
from llmreg.preprocessing._basis import make_basis
from llmreg.preprocessing._encoder import TableEncoder
from llmreg.prior import Feature

POINTS = {"a": [(0, -4), (3, 2), (10, 6)], "b": [(0, 3), (10, -3)]}


def make(n_samples=40, points=POINTS, outputs=("yes",), task="binary", **fields):
    """Give rows, a basis and the prior behind it."""
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.uniform(0, 10, (n_samples, 2)), rng.random(n_samples)])
    told = {
        name: {f: [(v, e * (1 - k)) for v, e in c] for f, c in points.items()}
        for k, name in enumerate(outputs)
    }
    prior = FeaturePrior.from_dict(told, **fields)
    prior = prior.align([Feature(name) for name in "abc"], outputs)
    encoder = TableEncoder(scaler=None).fit(X, feature_names=list("abc"))
    return X, make_basis(encoder, prior, X, task), prior


def space_of(X, basis):
    return CurveSpace(X, np.ones(len(X)), basis, slice(None))


class TestSpace:
    @pytest.mark.parametrize("n_samples", [4, 40])
    def test_the_length_is_that_of_the_sum_of_the_curves(self, n_samples):
        X, basis, prior = make(n_samples)
        space = space_of(X, basis)
        ((group, _), *_) = space.groups(make_curve_grid("binary"))
        total = sum(prior.curves[f](X[:, i])[0] for i, f in enumerate("ab")) / 10
        found = space.design(group)[0, :, -2]
        np.testing.assert_allclose(found, total - total.mean(), atol=1e-12)

    @pytest.mark.parametrize("n_samples", [4, 40])
    def test_weights_say_what_coordinates_say(self, n_samples):
        X, basis, _ = make(n_samples)
        space = space_of(X, basis)
        rng = np.random.default_rng(1)
        for group, _ in space.groups(make_curve_grid("binary")):
            design = space.design(group)
            found = rng.normal(size=(2, 1, design.shape[2]))
            weights = space.to_weights(found, group)
            outputs = space.columns @ weights[:, 0].T
            outputs += space.intercepts(found, group)[:, 0]
            np.testing.assert_allclose(outputs, design[0] @ found[:, 0].T, atol=1e-10)

    def test_a_knot_more_changes_nothing(self):
        """Neither the curve nor how far shapes may leave it."""
        more = {**POINTS, "a": [(0, -4), (1.5, -1), (3, 2), (10, 6)]}
        covariances = []
        for points in (POINTS, more):
            X, basis, _ = make(points=points)
            space = space_of(X, basis)
            ((group, _),) = space.groups(make_curve_grid("binary"))
            others = space.design(group)[0][:, :-2][:, ~group.is_belief]
            covariances.append(others @ others.T)
        knots = np.isin(X[:, 0], [0, 3, 10])
        assert not knots.any()
        gap = np.abs(covariances[0] - covariances[1]).max()
        # Between knots a walk is straight, so that a knot bends it a little.
        assert gap < 0.1 * covariances[0].max()

    def test_effects_of_classes_sum_to_zero(self):
        X, basis, _ = make(outputs=("x", "y", "z"), task="multiclass")
        space = space_of(X, basis)
        np.testing.assert_allclose(space.said.sum(axis=0), 0, atol=1e-12)

    def test_lengths_are_those_of_the_curves(self):
        X, basis, _ = make()
        space = space_of(X, basis)
        lengths = space.judged(3 * space.said[None])
        np.testing.assert_allclose(lengths, [[[3, 3, 0]]], atol=1e-12)
        assert space.signs.tolist() == [[1, 1, 0]]
        assert space.cosine(space.said) == pytest.approx(1)
        assert space.cosine(-space.said) == pytest.approx(-1)


class TestGrid:
    @pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
    def test_is_a_probability(self, task):
        grid = make_curve_grid(task)
        assert np.exp(grid.log_prior).sum() == pytest.approx(1)
        assert (grid.precision > 0).all()
        assert (grid.deviation > 0).all()
        assert len(grid) <= 120


def labelled(n_samples, seed=0, flip=False):
    rng = np.random.default_rng(seed)
    X = rng.uniform(0, 10, (n_samples, 3))
    f = np.interp(X[:, 0], [0, 3, 10], [-4, 2, 6]) - 0.6 * X[:, 1]
    f = (f - f.mean()) * (-0.8 if flip else 0.8)
    return X, (rng.logistic(size=n_samples) < f).astype(int), f


def fitted(X, y, **settings):
    model = LLMAttributionClassifier(
        POINTS, feature_names=list("abc"), random_state=0, device="cpu", **settings
    )
    return model.fit(X, y)


def test_screening_by_one_fit_finds_what_all_fits_find(monkeypatch):
    X, y, _ = labelled(400)
    exact = fitted(X, y).predict_proba(X)
    monkeypatch.setattr(_averaging, "_MUCH_WORK", 0)
    screened = fitted(X, y).predict_proba(X)
    assert 0 < np.abs(exact - screened).max() < 0.02


def test_rows_beyond_a_part_have_their_say(monkeypatch):
    X, y, _ = labelled(4_000)
    whole = fitted(X, y)
    monkeypatch.setattr(_curve_space, "_PILOT_ROWS", 500)
    monkeypatch.setattr(_curve_space, "_PILOT_RATIO", 1)
    part = fitted(X, y)
    gap = np.abs(whole.predict_proba(X) - part.predict_proba(X)).mean()
    alone = fitted(X[:500], y[:500])
    assert gap < 0.02
    assert gap < np.abs(whole.predict_proba(X) - alone.predict_proba(X)).mean()


def test_follow_up_ends_where_newton_does():
    X, y, _ = labelled(600)
    _, basis, _ = make()
    space = CurveSpace(X, np.ones(600), basis, slice(None))
    grid = make_curve_grid("binary")
    ((group, _),) = space.groups(grid)
    priors = space.priors(group, grid[np.array([0])])
    some = slice(0, 200)
    design, targets = space.design(group), y[None].astype(float)
    pilot = fit_classifier(design[:, some], targets[:, some], np.full(200, 3.0), priors)
    rows = basis.design(X).T, space.to_table(group), targets, np.ones(600)
    found, *_ = _averaging.follow_up(*rows, priors, pilot)
    exact = fit_classifier(design, targets, np.ones(600), priors).weights
    gap = (found - exact) @ design[0].T
    assert np.abs(gap).max() < 0.02


def test_few_rows_leave_curves_that_are_right():
    X, y, _ = labelled(6)
    rest, _, true = labelled(500, seed=1)
    found = fitted(X, y).decision_function(rest)
    assert np.corrcoef(found, true)[0, 1] > 0.95


def test_rows_turn_curves_that_are_wrong():
    X, y, _ = labelled(400, flip=True)
    model = fitted(X, y)
    assert model.trust_.p_aligned < 0.5
    assert model.score(*labelled(500, seed=1, flip=True)[:2]) > 0.8
    contradicted = {c.feature for c in model.trust_.contradictions}
    assert model.trust_.p_reversed > 0.5 or contradicted == {"a", "b"}


class TestRegression:
    # Beside an average case.
    points: ClassVar = {**POINTS, "a": [(0, -6.5), (3, -0.5), (10, 3.5)], "c": 0}

    def fit(self, n_samples, seed=0, **fields):
        X, _, f = labelled(n_samples, seed)
        prior = FeaturePrior.from_dict(self.points, output="y", **fields)
        model = LLMAttributionRegressor(
            prior, feature_names=list("abc"), target_name="y", random_state=0
        )
        return model.fit(X, 100 + 10 * f)

    def test_a_typical_target_helps_where_rows_are_few(self):
        X, _, f = labelled(500, seed=99)
        true = 100 + 10 * f
        known = {"y": tuple(np.quantile(true, [0.05, 0.5, 0.95]))}
        scores = [
            [self.fit(3, seed, **fields).score(X, true) for seed in range(8)]
            for fields in ({}, {"target_ranges": known})
        ]
        alone, told = np.mean(scores, axis=1)
        assert told > alone + 0.05
        assert told > 0.7

    def test_rows_outweigh_a_typical_target_that_is_wrong(self):
        X, _, f = labelled(500, seed=2)
        wrong = self.fit(300, target_ranges={"y": (60, 90, 140)})
        assert wrong.score(X, 100 + 10 * f) > 0.97
