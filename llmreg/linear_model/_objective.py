"""The aligned loss of a linear model: its value and derivatives in closed form."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from scipy.special import logsumexp

# Numbers of a block of rows: a block, and what is computed of it, stay in the cache.
_BLOCK = 65_536
# The criterion keeps the direction of a vanishing attribution defined by this.
_TINY = 1e-12


class Point(NamedTuple):
    """An objective at some parameters; the Hessian where it was asked for."""

    value: float
    gradient: np.ndarray
    hessian: np.ndarray | None = None


class LinearObjective:
    """What :class:`~llmreg.nn._loss.AttributionAlignedLoss` is for a linear model.

    Mean task loss, plus `l2` / 2 times the squared weights, plus gamma times the
    misalignment of the attributions: the loss of the net, without torch's graph.
    The mean attribution of a linear model is its weights, or its weights times the
    mean row, so that all of it has derivatives in closed form. To align the
    input-weighted attributions of every row is left to the net: that loss has kinks.

    Shapes: X (n_samples, n_features), y (n_samples,) or (n_samples, n_outputs),
    sample_weight (n_samples,).

    Notes
    -----
    Parameters are one vector: for each output its weights, then its bias.
    """

    def __init__(
        self,
        X: np.ndarray,
        y: np.ndarray,
        sample_weight: np.ndarray,
        criterion: Any,
        l2: float,
        *,
        n_outputs: int = 1,
        gamma: float | None = None,
    ) -> None:
        self.X, self.y, self.l2 = X, y, l2
        self.weight = sample_weight / sample_weight.sum()
        self.criterion = criterion
        self.task = criterion.task
        self.gamma = criterion.gamma if gamma is None else gamma
        self.direction = criterion.direction.double().cpu().numpy()
        self.known = criterion.known.double().cpu().numpy()
        self.pulled = self.direction.any(axis=1)
        if not criterion.penalizes:
            self.gamma = 0.0
        self.n_outputs = n_outputs
        self.shape = (n_outputs, X.shape[1] + 1)
        self.mean_input = self._average()
        self._moments: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None

    def part(self, rows: slice) -> LinearObjective:
        """Return the objective on some of the rows."""
        return LinearObjective(
            self.X[rows],
            self.y[rows],
            self.weight[rows],
            self.criterion,
            self.l2,
            n_outputs=self.n_outputs,
            gamma=self.gamma,
        )

    def without_pull(self) -> LinearObjective:
        """Return the objective without misalignment, which is convex."""
        # A copy, for it has the sums over the rows, where they were made.
        free = copy.copy(self)
        free.gamma = 0.0
        return free

    def __call__(self, theta: np.ndarray, *, hessian: bool = False) -> Point:
        """Return value and gradient, and the Hessian if asked for, at `theta`.

        Biases of many classes may all be shifted without any effect. The Hessian
        has a curvature of one there instead of none, so that it can be inverted; no
        gradient ever points that way.
        """
        table = theta.reshape(self.shape)
        if self.task == "regression" and hessian and self._moments is None:
            self._moments = self._squares()
        value, gradient, curvature = self._task(table, hessian)
        W = table[:, :-1]
        value += 0.5 * self.l2 * float(np.vdot(W, W))
        gradient[:, :-1] += self.l2 * W
        if curvature is not None:
            shrunk = np.full(self.shape, self.l2)
            shrunk[:, -1] = 0.0
            curvature.flat[:: len(curvature) + 1] += shrunk.ravel()
            if self.task == "multiclass":
                biases = slice(self.shape[1] - 1, None, self.shape[1])
                curvature[biases, biases] += 1.0
        if self.gamma:
            pull = self._pull(W)
            value += self.gamma * pull[0]
            gradient[:, :-1] += self.gamma * pull[1]
            if curvature is not None:
                self._add_curvature(curvature, W)
        return Point(value, gradient.ravel(), curvature)

    def blocks(self) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Yield rows, targets and weights, as many as the cache holds at a time."""
        step = max(1, _BLOCK // self.shape[1])
        for start in range(0, len(self.X), step):
            rows = slice(start, start + step)
            Z = self.X[rows].astype(np.float64, copy=False)
            yield Z, self.y[rows], self.weight[rows]

    def _task(
        self, table: np.ndarray, hessian: bool
    ) -> tuple[float, np.ndarray, np.ndarray | None]:
        """Return the mean task loss, its gradient and its Hessian."""
        if self._moments is not None:
            return self._task_of_moments(table)
        losses = {"binary": _logistic, "multiclass": _softmax, "regression": _squared}
        value, gradient = 0.0, np.zeros(self.shape)
        W = np.ascontiguousarray(table[:, :-1])
        curvature = np.zeros((table.size, table.size)) if hessian else None
        for Z, y, weight in self.blocks():
            # One output is a vector: NumPy has no quick way for a matrix of one.
            outputs = (Z @ W[0])[:, None] if len(W) == 1 else Z @ W.T
            outputs += table[:, -1]
            loss, slope, chances = losses[self.task](outputs, y)
            value += float(weight @ loss)
            slope *= weight[:, None]
            gradient[:, :-1] += slope[:, 0] @ Z if len(W) == 1 else slope.T @ Z
            gradient[:, -1] += slope.sum(axis=0)
            if curvature is not None:
                self._add_squares(curvature, Z, chances, weight)
        return value, gradient, curvature

    def _add_squares(
        self, H: np.ndarray, Z: np.ndarray, chances: np.ndarray, weight: np.ndarray
    ) -> None:
        """Add what the rows of a block give to the Hessian of a cross entropy."""
        width = self.shape[1]
        A = np.empty((len(Z), width))
        A[:, :-1], A[:, -1] = Z, 1.0
        for k in range(self.n_outputs):
            of_k = slice(k * width, (k + 1) * width)
            p = chances[:, k]
            # Of a matrix with itself, which NumPy computes in half the time.
            half = A * np.sqrt(weight * p * (1.0 - p))[:, None]
            H[of_k, of_k] += half.T @ half
            for m in range(k):
                of_m = slice(m * width, (m + 1) * width)
                cross = A.T @ (A * (weight * p * chances[:, m])[:, None])
                H[of_k, of_m] -= cross
                H[of_m, of_k] -= cross

    def _squares(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the sums that a squared error is made of: one pass over the rows."""
        width = self.shape[1]
        gram = np.zeros((width, width))
        cross = np.zeros((width, self.n_outputs))
        square = np.zeros(self.n_outputs)
        for Z, y, weight in self.blocks():
            half = np.empty((len(Z), width))
            half[:, :-1], half[:, -1] = Z, 1.0
            half *= np.sqrt(weight)[:, None]
            target = np.sqrt(weight)[:, None] * y
            gram += half.T @ half
            cross += half.T @ target
            square += np.square(target).sum(axis=0)
        return gram, cross, square

    def _task_of_moments(
        self, table: np.ndarray
    ) -> tuple[float, np.ndarray, np.ndarray]:
        assert self._moments is not None
        gram, cross, square = self._moments
        product = table @ gram
        value = np.sum(table * (product - 2 * cross.T)) + square.sum()
        gradient = 2 / self.n_outputs * (product - cross.T)
        curvature = np.zeros((table.size, table.size))
        width = self.shape[1]
        for start in range(0, table.size, width):
            of_k = slice(start, start + width)
            curvature[of_k, of_k] = 2 / self.n_outputs * gram
        return float(value) / self.n_outputs, gradient, curvature

    def _average(self) -> np.ndarray:
        """Return what the weights are multiplied by to give the mean attribution."""
        if self.criterion.attribution == "gradient" or not self.gamma:
            return np.ones(self.X.shape[1])
        return sum(
            (weight @ Z for Z, _, weight in self.blocks()), np.zeros(self.X.shape[1])
        )

    def _pull(self, W: np.ndarray) -> tuple[float, np.ndarray]:
        """Return the misalignment of the mean attribution, and its gradient."""
        v = W * self.mean_input * self.known
        r = np.sqrt(np.square(v).sum(axis=1, keepdims=True) + _TINY**2)
        unit = v / r
        gap = unit - self.direction
        share = self.shares()[:, None]
        value = float(np.sum(share * gap * gap))
        slope = 2 * share * gap
        slope -= unit * (unit * slope).sum(axis=1, keepdims=True)
        return value, slope / r * self.mean_input * self.known

    def _add_curvature(self, H: np.ndarray, W: np.ndarray) -> None:
        """Add the Hessian of the misalignment of the mean attribution."""
        width, share = self.shape[1], self.shares()
        for k in np.flatnonzero(self.pulled):
            to_weight = self.mean_input * self.known[k]
            v = W[k] * to_weight
            r = np.sqrt(v @ v + _TINY**2)
            unit, s = v / r, self.direction[k]
            cosine = unit @ s
            aside = s - cosine * unit
            block = -cosine * np.outer(unit, unit)
            block.flat[:: len(block) + 1] += cosine
            block += np.outer(aside, unit) + np.outer(unit, aside)
            block *= 2 * self.gamma * share[k] / r**2
            block *= np.outer(to_weight, to_weight)
            of_k = slice(k * width, (k + 1) * width - 1)
            H[of_k, of_k] += block

    def shares(self) -> np.ndarray:
        """Return what the squared gap of each output weighs in the penalty."""
        n_known = np.maximum(self.known.sum(axis=1), 1.0)
        share: np.ndarray = self.pulled / n_known / self.pulled.sum()
        return share


def _logistic(
    outputs: np.ndarray, y: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return loss, slope and chances of the cross entropy of one logit."""
    z = outputs[:, 0]
    small = np.exp(-np.abs(z))
    chance = np.where(z >= 0, 1.0, small)
    chance /= 1.0 + small
    loss = np.log1p(small) + np.maximum(z, 0.0) - y * z
    return loss, (chance - y)[:, None], chance[:, None]


def _softmax(
    outputs: np.ndarray, y: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return loss, slope and chances of the cross entropy of many logits."""
    at = np.arange(len(y)), y.astype(np.intp)
    total = logsumexp(outputs, axis=1)
    chances = np.exp(outputs - total[:, None])
    slope = chances.copy()
    slope[at] -= 1.0
    return total - outputs[at], slope, chances


def _squared(
    outputs: np.ndarray, y: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return loss and slope of the squared error; it has no chances."""
    gap = outputs - y
    return np.square(gap).mean(axis=1), 2 / y.shape[1] * gap, gap
