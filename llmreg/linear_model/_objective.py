"""The aligned loss of a linear model: its value and derivatives in closed form."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import issparse

from llmreg.posterior._laplace import losses_of, variance_of
from llmreg.preprocessing._sparse import to_dense

#: Up to so many parameters a Hessian is worth its while.
DENSE = 600
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

    The mean attribution of a linear model is its weights, or its weights times the
    mean row, so that all of it has derivatives in closed form. To align the
    input-weighted attributions of every row is left to the net: that loss has kinks.

    y has shape (n_samples,) or (n_samples, n_outputs). Parameters are one vector: for
    each output its weights, then its bias.
    """

    def __init__(
        self,
        X: Any,
        y: np.ndarray,
        sample_weight: np.ndarray,
        criterion: Any,
        l2: float,
        *,
        n_outputs: int = 1,
    ) -> None:
        self.X, self.l2, self.n_outputs = X, l2, n_outputs
        self.task = criterion.task
        self.targets = y.reshape(len(y), -1)
        if self.task == "multiclass":
            self.targets = self.targets == np.arange(n_outputs)
        self.weight = sample_weight / sample_weight.sum()
        self.attribution = criterion.attribution
        self.gamma = criterion.gamma if criterion.penalizes else 0.0
        self.direction = criterion.direction.double().cpu().numpy()
        self.known = criterion.known.double().cpu().numpy()
        self.pulled = self.direction.any(axis=1)
        # What the squared gap of each output weighs in the penalty.
        n_known = np.maximum(self.known.sum(axis=1), 1.0)
        self.shares = self.pulled / n_known / max(1, self.pulled.sum())
        self.shape = (n_outputs, X.shape[1] + 1)
        self.mean_input = self._mean_input()
        self._moments: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None

    def part(self, rows: slice) -> LinearObjective:
        """Return the objective on some of the rows."""
        part = copy.copy(self)
        part.X, part.targets = self.X[rows], self.targets[rows]
        part.weight = self.weight[rows] / self.weight[rows].sum()
        part.mean_input, part._moments = part._mean_input(), None
        return part

    def without_penalty(self) -> LinearObjective:
        """Return the objective without misalignment, which is convex."""
        # A copy, for it has the sums over the rows, where they were made.
        free = copy.copy(self)
        free.gamma = 0.0
        return free

    def __call__(self, theta: np.ndarray, *, hessian: bool = False) -> Point:
        """Return value and gradient, and the Hessian if asked for, at `theta`."""
        table = theta.reshape(self.shape)
        curvature: np.ndarray | None
        if self.task == "regression" and (hessian or self._moments is not None):
            # Once a Hessian was asked for, all comes from sums over the rows.
            self._moments = self._moments or self._sums()
            value, gradient, curvature = self._squared_error(table, *self._moments)
        else:
            value, gradient, curvature = self._likelihood(table, hessian)
        W = table[:, :-1]
        value += 0.5 * self.l2 * float(np.vdot(W, W))
        gradient[:, :-1] += self.l2 * W
        if curvature is not None:
            shrunk = np.full(self.shape, self.l2)
            shrunk[:, -1] = 0.0
            curvature.flat[:: len(curvature) + 1] += shrunk.ravel()
            if self.task == "multiclass":
                # Biases may all be shifted without effect: a curvature of one instead
                # of none makes the Hessian invertible.
                biases = slice(self.shape[1] - 1, None, self.shape[1])
                curvature[biases, biases] += 1.0
        if self.gamma:
            value += self._add_penalty(W, gradient[:, :-1], curvature)
        return Point(value, gradient.ravel(), curvature)

    def blocks(self) -> Iterator[tuple[Any, np.ndarray, np.ndarray]]:
        """Yield rows, targets and weights, as many as the cache holds at a time."""
        # Of so many parameters there is no Hessian, and zeros need not be filled in.
        is_wide = issparse(self.X) and self.n_outputs * self.shape[1] > DENSE
        step = len(self.X) if is_wide else max(1, _BLOCK // self.shape[1])
        for start in range(0, len(self.X), step):
            rows = slice(start, start + step)
            Z = self.X[rows].astype(np.float64, copy=False)
            yield Z if is_wide else to_dense(Z), self.targets[rows], self.weight[rows]

    def _outputs(self, table: np.ndarray, Z: np.ndarray) -> np.ndarray:
        # One output is a vector: NumPy has no quick way for a matrix of one.
        W = np.ascontiguousarray(table[:, :-1])
        outputs = (Z @ W[0])[:, None] if len(W) == 1 else Z @ W.T
        outputs += table[:, -1]
        return outputs

    def _add_slope(
        self, gradient: np.ndarray, slope: np.ndarray, Z: np.ndarray
    ) -> None:
        gradient[:, :-1] += slope[:, 0] @ Z if len(gradient) == 1 else slope.T @ Z
        gradient[:, -1] += slope.sum(axis=0)

    def _likelihood(
        self, table: np.ndarray, hessian: bool
    ) -> tuple[float, np.ndarray, np.ndarray | None]:
        """Return the mean loss, its gradient and its Hessian."""
        value, gradient = 0.0, np.zeros(self.shape)
        is_squared, is_count = self.task == "regression", self.task == "poisson"
        curvature = np.zeros((table.size, table.size)) if hessian else None
        for Z, targets, weight in self.blocks():
            outputs = self._outputs(table, Z)
            means, pull = outputs.T, weight
            if is_squared:
                loss = np.square(outputs - targets).mean(axis=1)
                pull = 2 / self.n_outputs * weight
            else:
                loss, means = losses_of(means, targets.T, is_count)
            value += float(weight @ loss)
            self._add_slope(gradient, (means.T - targets) * pull[:, None], Z)
            if curvature is not None:
                self._add_squares(curvature, Z, means, weight)
        return value, gradient, curvature

    def _add_squares(
        self,
        H: np.ndarray,
        Z: np.ndarray,
        means: np.ndarray,
        weight: np.ndarray,
    ) -> None:
        """Add what the rows of a block give to the Hessian."""
        width = self.shape[1]
        A = np.empty((len(Z), width))
        A[:, :-1], A[:, -1] = Z, 1.0
        for k in range(self.n_outputs):
            of_k = slice(k * width, (k + 1) * width)
            p = means[k]
            # Of a matrix with itself, which NumPy computes in half the time.
            half = A * np.sqrt(weight * variance_of(p, self.task == "poisson"))[:, None]
            H[of_k, of_k] += half.T @ half
            for m in range(k):
                of_m = slice(m * width, (m + 1) * width)
                cross = A.T @ (A * (weight * p * means[m])[:, None])
                H[of_k, of_m] -= cross
                H[of_m, of_k] -= cross

    def _squared_error(
        self, table: np.ndarray, gram: np.ndarray, cross: np.ndarray, square: np.ndarray
    ) -> tuple[float, np.ndarray, np.ndarray]:
        """Return the mean squared error, its gradient and its Hessian, of sums."""
        product = table @ gram
        value = np.sum(table * (product - 2 * cross.T)) + square.sum()
        gradient = 2 / self.n_outputs * (product - cross.T)
        curvature = np.kron(np.eye(self.n_outputs), 2 / self.n_outputs * gram)
        return float(value) / self.n_outputs, gradient, curvature

    def _sums(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the sums that a squared error is made of: one pass over the rows."""
        width = self.shape[1]
        gram = np.zeros((width, width))
        cross = np.zeros((width, self.n_outputs))
        square = np.zeros(self.n_outputs)
        for Z, targets, weight in self.blocks():
            half = np.empty((len(Z), width))
            half[:, :-1], half[:, -1] = Z, 1.0
            half *= np.sqrt(weight)[:, None]
            target = np.sqrt(weight)[:, None] * targets
            gram += half.T @ half
            cross += half.T @ target
            square += np.square(target).sum(axis=0)
        return gram, cross, square

    def _mean_input(self) -> np.ndarray:
        """Return what the weights are multiplied by to give the mean attribution."""
        if self.attribution == "gradient" or not self.gamma:
            return np.ones(self.X.shape[1])
        zeros = np.zeros(self.X.shape[1])
        return sum((weight @ Z for Z, _, weight in self.blocks()), zeros)

    def _add_penalty(
        self, W: np.ndarray, gradient: np.ndarray, H: np.ndarray | None
    ) -> float:
        """Add the derivatives of the penalty, and return its value."""
        to_attribution = self.mean_input * self.known
        attributions = W * to_attribution
        length = np.sqrt(np.square(attributions).sum(axis=1, keepdims=True) + _TINY**2)
        unit = attributions / length
        gap = unit - self.direction
        slope = 2 * self.shares[:, None] * gap
        slope -= unit * (unit * slope).sum(axis=1, keepdims=True)
        gradient += self.gamma * (slope / length * to_attribution)
        if H is not None:
            for k in np.flatnonzero(self.pulled):
                v, s = attributions[k], self.direction[k]
                r = np.sqrt(v @ v + _TINY**2)
                u = v / r
                cosine = u @ s
                aside = s - cosine * u
                block = -cosine * np.outer(u, u)
                block.flat[:: len(block) + 1] += cosine
                block += np.outer(aside, u) + np.outer(u, aside)
                block *= 2 * self.gamma * self.shares[k] / r**2
                block *= np.outer(to_attribution[k], to_attribution[k])
                start = k * self.shape[1]
                H[start : start + len(u), start : start + len(u)] += block
        return float(self.gamma * np.sum(self.shares[:, None] * gap * gap))
