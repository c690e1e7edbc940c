"""Many small linear models at once: a penalty of L1 and L2, and bounds on weights.

The rivals that are linear models differ in their penalties and bounds alone. All
settings of a grid are solved side by side, by an accelerated proximal gradient method
(FISTA, Beck and Teboulle 2009, doi 10.1137/080716542) that starts anew where its
momentum points uphill (O'Donoghue and Candes 2015, arXiv 1204.3982). Problems that
have converged leave the batch.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, log_softmax, softmax

FloatArray = NDArray[np.float64]
#: An upper bound on the second derivative of the loss by the scores.
_CURVATURE = {"binary": 0.25, "multiclass": 0.5, "regression": 1.0}
#: How many steps lie between two looks at what has converged.
_LOOK = 10


@dataclass(frozen=True)
class Penalty:
    """What is asked of the weights, but to fit the rows; of the intercept, nothing.

    Every part broadcasts to (n_features, n_problems, n_outputs). `l1` is the factor of
    the absolute weights, `l2` of half the squared ones.
    """

    l1: FloatArray | float = 0.0
    l2: FloatArray | float = 0.0
    lower: FloatArray | float = -np.inf
    upper: FloatArray | float = np.inf

    def shape(self, features: int, outputs: int) -> tuple[int, ...]:
        """Return the shape of the weights that it speaks of.

        (n_features, n_problems, n_outputs).
        """
        parts = [np.shape(getattr(self, part.name)) for part in fields(self)]
        return np.broadcast_shapes((features, 1, outputs), *parts)

    def only(self, problem: int) -> Penalty:
        """Return the penalty of one problem."""
        parts: dict[str, Any] = {}
        for part in fields(self):
            value = getattr(self, part.name)
            several = np.ndim(value) == 3 and value.shape[1] > 1
            parts[part.name] = value[:, [problem]] if several else value
        return Penalty(**parts)


def solve(
    X: FloatArray,
    y: FloatArray,
    task: str,
    penalty: Penalty,
    *,
    tol: float = 1e-6,
    max_iter: int = 5000,
) -> FloatArray:
    """Minimise the mean loss plus the penalty, for many problems.

    `y` has zeros and ones, one column for two classes, a column for each of more; in a
    regression, one column with the target. The loss is logistic, the cross-entropy, or
    half the squared error. A problem has converged when no step is larger than `tol`,
    relative to its largest weight. The weights have the shape (n_features + 1,
    n_problems, n_outputs); the last row is the intercept.
    """
    # Centred columns are far better conditioned, and only the intercept knows.
    centre = X.mean(axis=0)
    table = np.column_stack([X - centre, np.ones(len(X))])
    parts = _with_intercept(penalty, penalty.shape(X.shape[1], y.shape[1]))
    step = 1 / (_curvature(table, task) + parts[1])
    found = np.zeros_like(parts[0])
    running = np.arange(found.shape[1])
    weights, ahead, momentum = found, found, np.ones(len(running))
    for number in range(1, max_iter + 1):
        slope = _expected(_product(table, ahead), task) - y[:, None, :]
        slope = _product(table.T, slope / len(table)) + parts[1] * ahead
        moved = _proximal(ahead - step * slope, step, parts)
        gone = moved - weights
        uphill = ((ahead - moved) / step * gone).sum(axis=(0, 2)) > 0
        following = np.where(uphill, 1, (1 + np.sqrt(1 + 4 * momentum**2)) / 2)
        push = np.where(uphill, 0, (momentum - 1) / following)
        ahead = moved + push[:, None] * gone
        weights, momentum = moved, following
        if number % _LOOK and number < max_iter:
            continue
        found[:, running] = weights
        size = np.abs(weights).max(axis=(0, 2), initial=1e-3)
        left = np.abs(gone).max(axis=(0, 2)) > tol * size
        if not left.any():
            break
        running, momentum = running[left], momentum[left]
        weights, ahead, step = weights[:, left], ahead[:, left], step[:, left]
        parts = [part[:, left] for part in parts]
    found[-1] -= np.tensordot(centre, found[:-1], axes=1)
    return found


def predict(X: FloatArray, weights: FloatArray, task: str) -> FloatArray:
    """Predict with the weights of `solve`.

    Probabilities, or predictions of a regression, of shape (n_rows, n_problems,
    n_outputs).
    """
    return _expected(_product(X, weights[:-1]) + weights[-1], task)


def losses(X: FloatArray, y: FloatArray, task: str, weights: FloatArray) -> FloatArray:
    """Return the mean loss of every problem.

    Log loss, or the squared error, of shape (n_problems,).
    """
    scores = _product(X, weights[:-1]) + weights[-1]
    if task == "regression":
        each = (scores[:, :, 0] - y) ** 2
    elif task == "binary":
        each = np.logaddexp(0, scores[:, :, 0]) - y * scores[:, :, 0]
    else:
        each = -(log_softmax(scores, axis=2) * y[:, None, :]).sum(axis=2)
    return each.mean(axis=0)


def _expected(scores: FloatArray, task: str) -> FloatArray:
    """Return the expected target of scores."""
    if task == "regression":
        return scores
    return expit(scores) if task == "binary" else softmax(scores, axis=2)


def _product(matrix: FloatArray, batch: FloatArray) -> FloatArray:
    """Multiply a matrix with all problems of a batch in one go."""
    flat: FloatArray = matrix @ batch.reshape(len(batch), -1)
    return flat.reshape(len(matrix), *batch.shape[1:])


def _proximal(
    moved: FloatArray, step: FloatArray, parts: list[FloatArray]
) -> FloatArray:
    """Shrink by the L1 penalty and hold to the bounds, which is exact per weight."""
    l1, _, lower, upper = parts
    shrunk = np.sign(moved) * np.maximum(np.abs(moved) - step * l1, 0)
    return np.clip(shrunk, lower, upper)


def _with_intercept(penalty: Penalty, shape: tuple[int, ...]) -> list[FloatArray]:
    """Write all parts out, with a last row for the intercept, which is free."""
    full = []
    for part, free in zip(fields(penalty), (0.0, 0.0, -np.inf, np.inf), strict=True):
        array = np.full((shape[0] + 1, *shape[1:]), free)
        array[:-1] = getattr(penalty, part.name)
        full.append(array)
    return full


def _curvature(table: FloatArray, task: str) -> float:
    """Bound the curvature of the mean loss."""
    tall = len(table) > table.shape[1]
    gram = table.T @ table if tall else table @ table.T
    # Rounding must not make the step too long.
    largest = np.linalg.eigvalsh(gram)[-1] * (1 + 1e-9)
    return float(_CURVATURE[task] * largest / len(table))
