"""The closed form against the criterion's own loss, differentiated by torch."""

import itertools

import numpy as np
import pytest
import torch

from llmreg.linear_model._objective import LinearObjective
from llmreg.nn._loss import AttributionAlignedLoss

N_OUTPUTS = {"binary": 1, "multiclass": 3, "regression": 2, "poisson": 1}
L2 = 0.3


def problem(rng, task, **settings):
    n_outputs = N_OUTPUTS[task]
    X, weight = rng.random((30, 5)), rng.random(30) + 0.1
    y = rng.integers(0, max(2, n_outputs), 30).astype(float)
    if task == "regression":
        y = rng.normal(size=(30, n_outputs))
    if task == "poisson":
        y = rng.poisson(2.0, (30, 1)).astype(float)
    scores = rng.integers(1, 11, (n_outputs, 5)) * rng.choice([-1.0, 1.0], 5)
    scores[0, 1] = np.nan
    # The last of several outputs has no direction.
    scores[1:][-1:] = 0.0
    criterion = AttributionAlignedLoss(scores, task=task, gamma=3.0, **settings)
    return X, y, weight, criterion.double()


def by_torch(X, y, weight, criterion, theta):
    table = torch.tensor(theta, requires_grad=True)
    rows = torch.tensor(X, requires_grad=True)

    def module(X):
        return X @ table[:, :-1].T + table[:, -1]

    loss = criterion(
        module(rows), torch.tensor(y), rows, module, torch.tensor(weight)
    ) + 0.5 * L2 * (table[:, :-1].square().sum())
    loss.backward()
    return loss.item(), table.grad.numpy().ravel()


@pytest.mark.parametrize(
    ("task", "attribution", "transform", "penalty_on"),
    [
        *itertools.product(
            N_OUTPUTS,
            ("gradient", "input_x_gradient", "integrated_gradients"),
            ("identity", "exp"),
            ("mean",),
        ),
        *((task, "gradient", "exp", "row") for task in N_OUTPUTS),
    ],
)
@pytest.mark.parametrize("hessian", [False, True])
def test_value_and_gradient(rng, task, attribution, transform, penalty_on, hessian):
    X, y, weight, criterion = problem(
        rng,
        task,
        attribution=attribution,
        score_transform=transform,
        penalty_on=penalty_on,
    )
    n_outputs = N_OUTPUTS[task]
    objective = LinearObjective(X, y, weight, criterion, L2, n_outputs=n_outputs)
    theta = rng.normal(size=objective.shape)
    value, gradient = by_torch(X, y, weight, criterion, theta)
    found = objective(theta.ravel(), hessian=hessian)
    assert found.value == pytest.approx(value, rel=1e-12)
    np.testing.assert_allclose(found.gradient, gradient, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("task", N_OUTPUTS)
@pytest.mark.parametrize("attribution", ["gradient", "input_x_gradient"])
def test_hessian(rng, task, attribution):
    X, y, weight, criterion = problem(rng, task, attribution=attribution)
    n_outputs = N_OUTPUTS[task]
    objective = LinearObjective(X, y, weight, criterion, L2, n_outputs=n_outputs)
    theta, step = rng.normal(size=objective.shape[0] * 6), 1e-6
    differences = [
        (objective(theta + e).gradient - objective(theta - e).gradient) / (2 * step)
        for e in step * np.eye(theta.size)
    ]
    found = objective(theta, hessian=True).hessian
    if task == "multiclass":
        # A common shift of the biases is given a curvature that it does not have.
        found[5::6, 5::6] -= 1.0
    np.testing.assert_allclose(found, differences, atol=1e-7)


@pytest.mark.parametrize("task", N_OUTPUTS)
def test_blocks_sum_up_to_all_rows(rng, task, monkeypatch):
    X, y, weight, criterion = problem(rng, task)
    n_outputs = N_OUTPUTS[task]
    theta = rng.normal(size=n_outputs * 6)
    points = []
    for numbers in (65_536, 42):
        monkeypatch.setattr("llmreg.linear_model._objective._BLOCK", numbers)
        objective = LinearObjective(X, y, weight, criterion, L2, n_outputs=n_outputs)
        points.append(objective(theta, hessian=True))
    for whole, summed in zip(*points, strict=True):
        np.testing.assert_allclose(whole, summed, rtol=1e-12, atol=1e-14)


def test_single_precision_rows_are_summed_in_double(rng):
    X, y, weight, criterion = problem(rng, "binary")
    X = X.astype(np.float32)
    theta = rng.normal(size=6)
    single = LinearObjective(X, y, weight, criterion, L2)(theta)
    double = LinearObjective(X.astype(float), y, weight, criterion, L2)(theta)
    assert single.value == double.value
    np.testing.assert_array_equal(single.gradient, double.gradient)
