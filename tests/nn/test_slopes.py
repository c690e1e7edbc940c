"""Local attributions: rows are aligned with the slopes of a prior's curves."""

import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from llmreg import FeaturePrior, LLMAttributionClassifier, LLMAttributionRegressor
from llmreg.nn._additive import AdditiveModel, CurveSlopes
from llmreg.nn._attribution import ATTRIBUTIONS, attribute
from llmreg.nn._loss import AttributionAlignedLoss
from llmreg.nn._net import MLP, LinearModel
from llmreg.preprocessing._basis import make_basis, scale_to_curves
from llmreg.preprocessing._encoder import TableEncoder
from llmreg.prior import Feature

TASKS = {"binary": 1, "multiclass": 3, "regression": 2}
NAMES = ("a", "b", "c", "d")
BENT = {
    "a": [(0, 5), (4, -5), (10, 8)],
    "b": [(-20, -3), (0, -1), (20, 4)],
    "c": -2.0,
}


def make_case(curves=BENT, n_outputs=1, scaler="minmax", ranges=None, n_rows=9):
    """Give encoded rows, the basis of some curves, and the prior."""
    rng = np.random.default_rng(0)
    factors = (1.0, -0.5, 0.5)[:n_outputs]
    estimate = {
        f"y{k}": {
            name: [(v, e * k) for v, e in told] if isinstance(told, list) else told * k
            for name, told in curves.items()
        }
        for k in factors
    }
    prior = FeaturePrior.from_estimates([estimate], ranges=ranges).align(
        [Feature(name) for name in NAMES], tuple(estimate)
    )
    table = np.column_stack(
        [rng.uniform(0, 10, n_rows), rng.uniform(-20, 20, n_rows), rng.random(n_rows)]
    )
    X = pd.DataFrame(np.column_stack([table, table[:, 2] ** 2]), columns=NAMES)
    encoder = TableEncoder(scaler=scaler).fit(X, feature_names=list(NAMES))
    scale_to_curves(encoder, prior)
    encoded = encoder.encode(X)
    task = {1: "binary", 2: "regression", 3: "multiclass"}[n_outputs]
    basis = make_basis(encoder, prior, encoded, task)
    return torch.as_tensor(encoded), basis, prior, X


def make_loss(prior, basis, **options):
    return AttributionAlignedLoss(
        prior.scores, gamma=3.0, penalty_on="row", basis=basis, n_steps=4, **options
    ).double()


def targets(task, n_rows):
    rng = np.random.default_rng(1)
    if task == "regression":
        return torch.as_tensor(rng.normal(size=(n_rows, TASKS[task])))
    return torch.as_tensor(rng.integers(0, max(2, TASKS[task]), n_rows))


def loss_of(criterion, module, X, y, weight=None):
    X = X.detach().requires_grad_(True)
    return criterion(module(X), y, X=X, module=module, sample_weight=weight)


def loss_and_gradient(criterion, module, X, y, weight=None):
    loss = loss_of(criterion, module, X, y, weight)
    parameters = list(module.parameters())
    return loss, torch.autograd.grad(
        loss, parameters, allow_unused=True, materialize_grads=True
    )


def modules(basis, n_outputs):
    torch.manual_seed(0)
    own = nn.Sequential(nn.Linear(4, 2), nn.Tanh(), nn.Linear(2, n_outputs))
    made = [AdditiveModel(basis, 4, n_outputs), MLP(4, n_outputs, (2,), "gelu"), own]
    return [module.double() for module in made]


@pytest.mark.parametrize("scaler", ["minmax", "bounded", "standard", None])
@pytest.mark.parametrize("ranges", [None, {"a": (2, 5, 9)}])
def test_the_slope_of_a_straight_curve_is_its_score(scaler, ranges):
    ends = (2, 9) if ranges else (0, 10)
    curves = {"a": [(ends[0], -7), (ends[1], 7)], "c": 3}
    X, basis, prior, table = make_case(curves, 1, scaler, ranges)
    slopes = CurveSlopes(basis, prior.scores)(X)[:, 0].numpy()
    within = table["a"].between(*ends)
    np.testing.assert_allclose(slopes[:, 0], np.where(within, 7, 0), atol=1e-12)
    np.testing.assert_allclose(slopes[:, 1:], np.tile([0, 3.0, 0], (len(X), 1)))


def test_slopes_are_those_of_the_segments():
    X, basis, prior, table = make_case()
    slopes = CurveSlopes(basis, prior.scores)(X)[:, 0, 0]
    # Half of what the curve would rise over all of it.
    expected = np.where(table["a"] < 4, -10 / 4 * 10 / 2, 13 / 6 * 10 / 2)
    np.testing.assert_allclose(slopes, expected)
    # On the way from 0 it was both.
    mean = CurveSlopes(basis, prior.scores)(X, 1000)[:, 0, 0].numpy()
    inside = table["a"].to_numpy()
    effect = np.interp(inside, [0, 4, 10], [5, -5, 8])
    np.testing.assert_allclose(mean, (effect - 5) / inside * 5, atol=0.1)


def test_codes_have_no_slope():
    curve = {"a": [(0, -5), (10, 5)]}
    X, basis, prior, _ = make_case(curve)
    code = float(X[0, 0])
    coded = type(basis)(
        **{**vars(basis), "codes": ((0, code),), "code_steps": np.zeros((1, 1))}
    )
    for n_steps in (0, 4):
        slopes = CurveSlopes(coded, prior.scores)(X, n_steps)
        assert slopes[0, 0, 0] == 0
        np.testing.assert_allclose(slopes[1:, 0, 0], 5)


@pytest.mark.parametrize("transform", ["identity", "exp", torch.sign])
@pytest.mark.parametrize("attribution", ATTRIBUTIONS)
@pytest.mark.parametrize("task", TASKS)
def test_straight_curves_are_the_method_of_the_paper(task, attribution, transform):
    straight = {"a": [(0, -4), (10, 4)], "b": [(-20, 2), (20, -2)], "c": 5.0}
    X, basis, prior, _ = make_case(straight, TASKS[task])
    y, options = targets(task, len(X)), {"task": task, "attribution": attribution}
    options["score_transform"] = transform
    local = make_loss(prior, basis, **options)
    plain = make_loss(prior, None, **options)
    for module in modules(basis, TASKS[task]):
        found = loss_and_gradient(local, module, X, y)
        expected = loss_and_gradient(plain, module, X, y)
        torch.testing.assert_close(found, expected, atol=1e-12, rtol=1e-12)


@pytest.mark.parametrize("anchors", [False, True])
@pytest.mark.parametrize("transform", ["identity", "exp"])
@pytest.mark.parametrize("attribution", ATTRIBUTIONS)
@pytest.mark.parametrize("task", TASKS)
def test_gradient_agrees_with_finite_differences(task, attribution, transform, anchors):
    X, basis, prior, _ = make_case(n_outputs=TASKS[task])
    y, weight = targets(task, len(X)), torch.linspace(0.5, 2.0, len(X)).double()
    options = {"task": task, "attribution": attribution, "anchors": anchors}
    criterion = make_loss(prior, basis, score_transform=transform, **options)
    for module in modules(basis, TASKS[task]):
        parameters = list(module.parameters())
        _, gradient = loss_and_gradient(criterion, module, X, y, weight)
        start = parameters_to_vector(parameters).detach()
        numeric = torch.empty_like(start)
        for i in range(len(start)):
            values = []
            for step in (1e-6, -1e-6):
                moved = start.clone()
                moved[i] += step
                vector_to_parameters(moved, parameters)
                values.append(loss_of(criterion, module, X, y, weight))
            numeric[i] = (values[0] - values[1]).item() / 2e-6
        vector_to_parameters(start, parameters)
        flat = torch.cat([part.flatten() for part in gradient])
        torch.testing.assert_close(flat, numeric, atol=5e-7, rtol=1e-5)


@pytest.mark.parametrize("anchors", [False, True])
def test_weights_are_repetitions(anchors):
    X, basis, prior, _ = make_case()
    criterion = make_loss(prior, basis, anchors=anchors)
    counts = torch.tensor([1, 2, 1, 3, 1, 1, 2, 1, 1])
    y, module = targets("binary", len(X)), modules(basis, 1)[1]
    weighted, _ = loss_and_gradient(criterion, module, X, y, counts.double())
    twice = (part.repeat_interleave(counts, 0) for part in (X, y))
    torch.testing.assert_close(
        weighted, loss_and_gradient(criterion, module, *twice)[0]
    )


def test_the_shape_of_the_curves_is_aligned():
    X, basis, prior, _ = make_case()
    criterion = make_loss(prior, basis)
    slopes = criterion.curves(X)
    assert criterion.cosine(slopes, criterion.aim(X)).min() == pytest.approx(1)
    penalty = criterion.misalignment(slopes, criterion.aim(X))
    np.testing.assert_allclose(penalty, 0, atol=1e-12)
    # The mean attribution has one direction, that of the scores.
    mean = AttributionAlignedLoss(prior.scores, basis=basis)
    assert not mean.is_local
    assert torch.equal(mean.aim(X), mean.direction)


def test_at_a_knot_the_gradient_is_that_of_one_segment():
    _, basis, *_ = make_case({"a": [(0, 5), (4, -5), (10, 8)]})
    module = AdditiveModel(basis, 4, 1).double()
    knots = torch.zeros(len(basis.low) + 1, 4).double()
    knots[:, 0] = torch.tensor([*basis.low, basis.high[-1]])
    found = attribute(module, knots)[:, 0, 0].detach()
    slopes = basis.steps[0] / (basis.high - basis.low)
    np.testing.assert_allclose(found, [*slopes, slopes[-1]])


@pytest.fixture
def table():
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.uniform(0, 10, (60, 2)), columns=["a", "b"])
    X["sex"] = np.where(rng.random(60) < 0.5, "f", "m")
    return X, (np.abs(X["a"] - 5) + X["b"] / 4 > 3.7).to_numpy()


CURVES = {"a": [(0, 6), (5, -6), (10, 6)], "b": [(0, -3), (10, 3)], "sex=m": 1}


@pytest.mark.parametrize("module", [LinearModel, MLP])
def test_a_fixed_gamma_follows_the_curves(table, module):
    X, y = table
    hidden = {LinearModel: (), MLP: (16,)}[module]
    options = {"gamma": 10.0, "hidden_layer_sizes": hidden, "random_state": 0}
    few = np.r_[np.flatnonzero(y)[:4], np.flatnonzero(~y)[:4]]
    local = LLMAttributionClassifier(CURVES, **options).fit(X.iloc[few], y[few])
    one = LLMAttributionClassifier(CURVES, penalty_on="mean", **options)
    one.fit(X.iloc[few], y[few])
    assert isinstance(one.net_.module_, module)
    assert isinstance(local.net_.module_, MLP if hidden else AdditiveModel)
    assert local.alignment_[0] > 0.5
    assert local.score(X, y) > one.score(X, y)
    again = pickle.loads(pickle.dumps(local))
    np.testing.assert_array_equal(again.predict_proba(X), local.predict_proba(X))
    again.partial_fit(X, y)


def test_one_direction_is_that_of_the_scores(table):
    X, y = table
    scores = {"a": 0.0, "b": 3.0, "sex=m": 1}
    found = [
        LLMAttributionClassifier(prior, gamma=5.0, penalty_on="mean").fit(X, y)
        for prior in (CURVES, scores)
    ]
    np.testing.assert_allclose(*(m.predict_proba(X) for m in found), rtol=1e-9)
    without = LLMAttributionClassifier(CURVES, gamma=0.0).fit(X, y)
    assert isinstance(without.net_.module_, LinearModel)


@pytest.mark.parametrize("attribution", ATTRIBUTIONS)
def test_modules_of_ones_own_several_classes_and_targets(table, attribution):
    X, _ = table
    options = {"gamma": 2.0, "attribution": attribution, "max_iter": 20}
    options |= {"module": lambda p, k: nn.Sequential(nn.Linear(p, 4), nn.Linear(4, k))}
    prior = dict.fromkeys(("high", "low", "mid"), CURVES)
    y = np.array(["low", "mid", "high"])[(X["a"] // 4).astype(int)]
    model = LLMAttributionClassifier(prior, **options).fit(X, y)
    assert model.net_.criterion_.is_local
    assert np.isfinite(model.alignment_).all()
    several = {"u": CURVES, "v": CURVES}
    targets = X[["a", "b"]].set_axis(["u", "v"], axis=1)
    model = LLMAttributionRegressor(several, **options).fit(X, targets)
    assert model.net_.criterion_.is_local
    assert model.alignment_.shape == (2,)


def test_a_loop_under_a_learnt_gamma_follows_the_curves(table):
    X, y = table
    model = LLMAttributionClassifier(CURVES, solver="adam", random_state=0).fit(X, y)
    assert model.net_.criterion_.is_local
    assert isinstance(model.net_.module_, AdditiveModel)
    assert model.trust_ is not None
