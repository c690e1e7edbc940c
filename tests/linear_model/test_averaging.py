"""How far the search trusts a prior."""

import numpy as np
import pytest
import torch
from scipy.special import expit

from llmreg.linear_model import _averaging as trust
from llmreg.linear_model import _subspace as coordinates
from llmreg.linear_model._averaging import trust_prior
from llmreg.linear_model._prior_grid import TEMPERATURES, directions, make_hypotheses
from llmreg.prior._transforms import Sharpen

TRUE = np.array([6.0, -4.0, 2.0, 0.0, -1.0])


def on_arrays(transform):
    return lambda scores: transform(torch.as_tensor(scores)).numpy()


TRANSFORMS = [on_arrays(Sharpen(temperature)) for temperature in TEMPERATURES]


def rows(n_samples, seed=0, weights=TRUE):
    rng = np.random.default_rng(seed)
    X = rng.uniform(size=(n_samples, len(weights)))
    p = expit((X - 0.5) @ weights)
    y = (rng.uniform(size=n_samples) < p).astype(float)
    y[:2] = 0, 1
    return X, y


def search(X, y, scores, task="binary", **options):
    scores = None if scores is None else np.atleast_2d(np.asarray(scores, dtype=float))
    options = {"transforms": TRANSFORMS, "row_weight": np.ones(len(X))} | options
    return trust_prior(X, np.atleast_2d(y), scores=scores, task=task, **options)


def cosine(a, b):
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def test_few_rows_leave_the_prior_as_it_is():
    X, y = rows(2)
    found = search(X, y, TRUE)
    assert cosine(found.coef[0], TRUE) > 0.95


def test_many_rows_correct_a_wrong_prior():
    X, y = rows(3000)
    found = search(X, y, [5, 5, 5, 5, 5])
    assert cosine(found.coef[0], TRUE) > 0.97


def test_a_prior_with_the_wrong_sign_is_turned():
    X, y = rows(60)
    found = search(X, y, -TRUE)
    negative = found.hypotheses.pull < 0
    assert found.posterior[negative].sum() > 0.5
    assert cosine(found.coef[0], TRUE) > 0.9


def test_a_useless_prior_loses_its_weight():
    X, y = rows(400)
    found = search(X, y, [1, 2, -1, 8, -3])
    guided = found.hypotheses.transform >= 0
    loose = found.hypotheses.precision < 2
    assert found.posterior[guided & ~loose].sum() < 0.05


def test_a_right_prior_is_worth_more_than_none():
    X, y = rows(12)
    held_X, held_y = rows(2000, seed=1)

    def log_loss(found):
        logits = held_X @ found.coef[0] + found.intercept[0]
        return np.logaddexp(0, -(2 * held_y - 1) * logits).mean()

    assert log_loss(search(X, y, TRUE)) < log_loss(search(X, y, None))


def test_no_score_is_no_opinion():
    X, y = rows(500)
    found = search(X, y, [6, -4, np.nan, 0, -1])
    assert found.coef[0, 2] > 1
    assert np.isnan(found.agreement[0, 2])


def test_a_class_without_scores_is_learnt_from_the_rows():
    X, y = rows(300)
    targets = np.stack([1 - y, y, np.zeros(300)])
    targets[:, :40] = [[0], [0], [1]]
    scores = np.stack([-TRUE, TRUE, np.full(5, np.nan)])
    found = search(X, targets, scores, task="multiclass")
    assert found.coef.shape == (3, 5)
    assert cosine(found.coef[1] - found.coef[0], TRUE) > 0.9


def test_more_columns_than_rows():
    rng = np.random.default_rng(0)
    true = rng.normal(size=300)
    X, y = rows(20, weights=true)
    found = search(X, y, true)
    assert found.coef.shape == (1, 300)
    assert cosine(found.coef[0], true) > 0.9


def test_rows_and_rotated_rows_give_the_same_model(monkeypatch):
    X, y = rows(30)
    plain = search(X, y, TRUE)
    whole = coordinates.row_space

    def always_rotate(X, group):
        basis = whole(X, group)
        rotation, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(5, 5)))
        return basis @ rotation if basis.shape[1] == 5 else basis

    monkeypatch.setattr(coordinates, "row_space", always_rotate)
    rotated = search(X, y, TRUE)
    np.testing.assert_allclose(rotated.coef, plain.coef, atol=1e-5)


def test_many_rows_are_judged_by_a_sketch_alike(monkeypatch):
    X, y = rows(2000)
    exact = search(X, y, [5, -5, 5, 5, 5])
    monkeypatch.setattr(trust, "_MUCH_WORK", 0)
    rough = search(X, y, [5, -5, 5, 5, 5])
    assert np.count_nonzero(rough.posterior) <= 6
    np.testing.assert_allclose(rough.coef, exact.coef, atol=0.05)


def test_a_weight_of_two_is_a_row_twice():
    X, y = rows(15)
    weight = np.ones(15)
    weight[4] = 2
    twice = np.append(np.arange(15), 4)
    weighted = search(X, y, TRUE, row_weight=weight)
    doubled = search(X[twice], y[twice], TRUE)
    np.testing.assert_allclose(weighted.coef, doubled.coef, atol=1e-5)


def test_regression_follows_prior_then_rows():
    rng = np.random.default_rng(0)
    X = rng.uniform(size=(2000, 5))
    y = X @ TRUE + rng.normal(size=2000)
    y = (y - y.mean()) / y.std()
    few = search(X[:4], y[:4], TRUE, task="regression")
    many = search(X, y, [5, 5, 5, 5, 5], task="regression")
    assert cosine(few.coef[0], TRUE) > 0.9
    assert cosine(many.coef[0], TRUE) > 0.98


def test_loose_scores_are_left_first():
    X, y = rows(100)
    even = search(X, y, [5, 5, 5, 5, 5])
    loose = search(X, y, [5, 5, 5, 5, 5], looseness=np.array([0.2, 4, 0.2, 0.2, 0.2]))
    assert loose.coef[0, 1] < even.coef[0, 1]


def test_agreement_is_the_probability_of_the_sign():
    X, y = rows(2000)
    agreement = search(X, y, [5, 5, 5, 0, -5]).agreement[0]
    assert agreement[0] > 0.99
    assert agreement[1] < 0.01
    assert np.isnan(agreement[3])


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_hypotheses_sum_to_one(task):
    for n_transforms in (0, 1, 4):
        table = make_hypotheses(n_transforms, 7, task)
        assert np.exp(table.log_prior).sum() == pytest.approx(1)
        assert (table.transform < 0).any()


def test_directions_have_length_one():
    units = directions(np.array([[3.0, -1.0, np.nan], [0, 0, 0]]), TRANSFORMS)
    assert units.shape == (4, 2, 3)
    np.testing.assert_allclose(np.linalg.norm(units[:, 0], axis=1), 1)
    assert not units[:, 1].any()
    assert not units[:, :, 2].any()


def test_very_many_columns_are_weighed_in_part(monkeypatch):
    monkeypatch.setattr(coordinates, "_MOST", 10)
    rng = np.random.default_rng(0)
    true = rng.normal(size=40)
    X, y = rows(60, weights=true)
    found = search(X, y, true)
    assert not found.is_whole
    assert np.isfinite(found.coef).all()
    assert cosine(found.coef[0], true) > 0.9
    assert search(X[:8], y[:8], true).is_whole
