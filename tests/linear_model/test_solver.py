"""The minimum: as low as skorch's loop of L-BFGS finds it, and as scikit-learn's."""

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, Ridge

from llmreg import LLMAttributionClassifier, LLMAttributionRegressor
from llmreg.linear_model._objective import LinearObjective
from llmreg.linear_model._solver import minimize_aligned
from llmreg.nn._loss import AttributionAlignedLoss

# Any setting of skorch's hands the training over to skorch's loop.
LOOP = {"net__callbacks": []}


def loss(model, X, y):
    net = model.net_
    weight, bias = (p.detach().numpy() for p in net.module_.parameters())
    objective = LinearObjective(
        model.encoder_.transform(X),
        y,
        np.ones(len(y)),
        net.criterion_,
        net.l2,
        n_outputs=net.n_outputs,
    )
    return objective(np.column_stack([weight, bias]).ravel()).value


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
@pytest.mark.parametrize("gamma", [0.1, 100.0])
@pytest.mark.parametrize("kind", ["good", "wrong", "unrelated"])
@pytest.mark.parametrize("attribution", ["gradient", "input_x_gradient"])
def test_as_low_as_the_training_loop(rng, task, gamma, kind, attribution):
    n_outputs = 3 if task == "multiclass" else 1
    X, W = rng.normal(size=(60, 6)), rng.normal(size=(6, n_outputs))
    outputs = X @ W + rng.normal(size=(60, n_outputs))
    scores = {
        "good": 3 * W.T,
        "wrong": -3 * W.T,
        "unrelated": rng.normal(size=W.T.shape),
    }[kind].round()
    y = {
        "binary": (outputs[:, 0] > 0).astype(float),
        "multiclass": outputs.argmax(axis=1).astype(float),
        "regression": outputs[:, 0],
    }[task]
    make = LLMAttributionRegressor if task == "regression" else LLMAttributionClassifier
    settings = {"gamma": gamma, "attribution": attribution, "max_iter": 500}
    mine, theirs = (
        make(scores, random_state=0, device="cpu", **settings, **more).fit(X, y)
        for more in ({}, LOOP)
    )
    if task == "regression":
        y = mine.target_scaler_.transform(y[:, None])
    low, bar = loss(mine, X, y), loss(theirs, X, y)
    assert low <= bar + 1e-9
    if kind == "good":
        np.testing.assert_allclose(mine.coef_, theirs.coef_, rtol=1e-4, atol=1e-5)
    assert mine.net_.history[-1, "train_loss"] == pytest.approx(low)


def problem(rng, n_samples, n_features, gamma, task="binary"):
    X, w = rng.random((n_samples, n_features)), rng.normal(size=n_features)
    z = (X - 0.5) @ w * 4
    y = (z + rng.logistic(size=n_samples) > 0).astype(float)
    if task == "regression":
        y = z[:, None] + rng.normal(size=(n_samples, 1))
    criterion = AttributionAlignedLoss((3 * w)[None], task=task, gamma=gamma).double()
    return X, y, LinearObjective(X, y, np.ones(n_samples), criterion, 1 / n_samples)


@pytest.mark.parametrize("gamma", [0.0, 1.0])
@pytest.mark.parametrize("shape", [(50, 5), (9000, 20), (40, 800)])
@pytest.mark.parametrize("task", ["binary", "regression"])
def test_small_long_and_wide_tables_end_where_the_slope_does(rng, gamma, shape, task):
    X, y, objective = problem(rng, *shape, gamma, task)
    found = minimize_aligned(objective, None, max_iter=1000)
    assert found.converged
    assert np.abs(objective(found.theta).gradient).max() < 1e-6
    if gamma == 0.0:
        model = (
            LogisticRegression(tol=1e-9, max_iter=10_000)
            if task == "binary"
            else Ridge(2.0 * 0.25, solver="cholesky")
        )
        theirs = model.fit(X, y.ravel())
        np.testing.assert_allclose(found.theta[:-1], theirs.coef_.ravel(), atol=2e-4)


def test_several_outputs_on_long_tables(rng):
    X = rng.random((9000, 5))
    y = (X[:, :3] + rng.normal(size=(9000, 3))).argmax(axis=1).astype(float)
    criterion = AttributionAlignedLoss(
        [[5.0, -2, -1, 0, 1], [-2, 4, -3, 0, 0], [-1, -1, 4, 1, 0]],
        task="multiclass",
        gamma=1.0,
    ).double()
    objective = LinearObjective(X, y, np.ones(9000), criterion, 1e-4, n_outputs=3)
    found = minimize_aligned(objective, None, max_iter=200)
    assert found.converged
    assert np.abs(objective(found.theta).gradient).max() < 1e-6


def test_from_the_last_weights_it_is_one_step(table, illness, prior):
    model = LLMAttributionClassifier(
        prior, gamma=1.0, warm_start=True, random_state=0, device="cpu"
    )
    first = model.fit(table, illness).attributions_
    assert model.n_iter_ > 2
    again = model.fit(table, illness).attributions_
    assert model.n_iter_ <= 2
    np.testing.assert_allclose(first, again, rtol=1e-7)


def test_too_few_steps_are_told(table, illness, prior):
    model = LLMAttributionClassifier(prior, max_iter=1, gamma=0.1, device="cpu")
    with pytest.warns(ConvergenceWarning, match="max_iter=1"):
        model.fit(table, illness)
    assert model.n_iter_ == 1


def test_weights_that_a_wrong_prior_leaves_nothing_of(rng):
    X = rng.random((80, 3))
    y = (X[:, 0] > 0.5).astype(int)
    model = LLMAttributionClassifier(
        [[-5.0, 0.0, 0.0]], gamma=1e3, random_state=0, device="cpu"
    ).fit(X, y)
    assert np.abs(model.coef_).max() < 1e-6
    np.testing.assert_allclose(model.alignment_, 1.0, atol=1e-5)
    np.testing.assert_allclose(model.predict_proba(X)[:, 1], y.mean(), atol=1e-6)


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
@pytest.mark.parametrize("unit", [1.0, 1e-12, 1e9])
def test_free_directions_stay_where_they_were(rng, task, unit):
    """A column of zeros, and two that differ by one."""
    X = rng.random((60, 4)) * unit
    X[:, 1], X[:, 3] = 0.0, unit - X[:, 2]
    n_outputs = 3 if task == "multiclass" else 1
    y = rng.normal(size=60) if task == "regression" else rng.integers(0, 2, 60)
    criterion = AttributionAlignedLoss(task=task)
    objective = LinearObjective(X, y, np.ones(60), criterion, 0.0, n_outputs=n_outputs)
    found = minimize_aligned(objective, np.zeros(5 * n_outputs), 200)
    table = found.theta.reshape(n_outputs, 5)
    assert found.converged
    assert not table[:, 1].any()
    assert np.abs(table[:, [0, 2, 3]]).max() < 100 / min(unit, 1)
