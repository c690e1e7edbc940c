"""Few coordinates for the weights of many columns."""

from __future__ import annotations

import numpy as np
from sklearn.utils.extmath import randomized_svd

from llmreg.linear_model._laplace import GaussianPriors
from llmreg.linear_model._prior_grid import Hypotheses

# Precision of a length that is not free to move.
_FIXED = 1e8
# Of weights without a score, whatever `alpha` is.
_LEAST_PRECISION = 0.1
# Coordinates that are weighed against one another; the work grows with their cube.
_MOST = 128


class Coordinates:
    """Coordinates in which weights are found, no more of them than rows call for.

    Shapes: X (n_samples, n_columns), row_weight (n_samples,), scores (n_outputs,
    n_columns), looseness (n_columns,).
    """

    def __init__(
        self,
        X: np.ndarray,
        row_weight: np.ndarray,
        scores: np.ndarray | None,
        looseness: np.ndarray | None,
    ) -> None:
        n_columns = X.shape[1]
        self.scored = (
            np.zeros(n_columns, dtype=bool)
            if scores is None
            else ~np.isnan(scores).all(axis=0)
        )
        self.centre = np.average(X, axis=0, weights=row_weight)
        self.X = X - self.centre
        spread = np.ones(n_columns) if looseness is None else np.sqrt(looseness)
        # Weights with and without a score have their own precision, and so their own
        # rotation.
        groups = (self.scored, ~self.scored)
        bases = [row_space(self.X[:, group] * spread[group], group) for group in groups]
        self.is_free = np.repeat([False, True], [basis.shape[1] for basis in bases])
        self.is_whole = all(
            basis.shape[1] < _MOST or group.sum() <= _MOST
            for basis, group in zip(bases, groups, strict=True)
        )
        self.basis = np.hstack(bases) * spread[:, None]
        self.inputs = self.X @ self.basis

    def design(self, unit: np.ndarray) -> np.ndarray:
        """Return coordinates, position along the scores and ones, for every output.

        Shapes: unit (n_outputs, n_columns); returns (n_outputs, n_samples,
        n_coordinates + 2).
        """
        n_samples, width = self.inputs.shape
        table = np.ones((len(unit), n_samples, width + 2))
        table[:, :, :width] = self.inputs
        table[:, :, width] = (self.X @ unit.T).T
        return table

    def change(self, unit: np.ndarray) -> np.ndarray:
        """Return what turns weights in a design into weights in one without scores.

        Shapes: unit (n_outputs, n_columns); returns (n_outputs, n_coordinates + 1,
        n_coordinates + 2).
        """
        width = len(self.is_free)
        along = np.linalg.lstsq(self.basis, unit.T, rcond=None)[0]
        ways = np.zeros((len(unit), width + 1, width + 2))
        ways[:, :width, :width] = np.eye(width)
        ways[:, :width, width] = along.T
        ways[:, width, width + 1] = 1
        return ways

    def priors(self, table: Hypotheses, alpha: float) -> GaussianPriors:
        """Return what hypotheses say of the coordinates."""
        width = len(self.is_free)
        mean = np.zeros((len(table), width + 1))
        mean[:, width] = table.pull
        precision = np.empty_like(mean)
        # Not less than where the scores are no guide: there would be no end to how
        # unlikely the rows are for weights that may be anything.
        alpha = max(alpha, _LEAST_PRECISION)
        loose = np.where(
            table.transform >= 0, np.minimum(table.precision, alpha), table.precision
        )
        precision[:, :width] = np.where(
            self.is_free, loose[:, None], table.precision[:, None]
        )
        precision[:, width] = np.divide(
            1,
            table.pull_sd**2,
            out=np.full(len(table), _FIXED),
            where=table.pull_sd > 0,
        )
        return GaussianPriors(mean, precision)

    def back(self, weights: np.ndarray, unit: np.ndarray) -> np.ndarray:
        """Return weights of the columns.

        Shapes: weights (n_hypotheses, n_outputs, n_coordinates + 2), unit (n_outputs,
        n_columns); returns (n_hypotheses, n_outputs, n_columns).
        """
        along = weights[:, :, -2, None] * unit
        coef: np.ndarray = weights[:, :, :-2] @ self.basis.T + along
        return coef

    def deviation(self, covariance: np.ndarray, unit: np.ndarray) -> np.ndarray:
        """Return standard deviations of the weights of the columns.

        Shapes: unit (n_outputs, n_columns); returns (n_hypotheses, n_outputs,
        n_columns).
        """
        variance = np.empty((len(covariance), *unit.shape))
        for k, direction in enumerate(unit):
            way = np.hstack([self.basis, direction[:, None]])
            spread = np.matmul(way, covariance[:, k, :-1, :-1])
            variance[:, k] = (spread * way).sum(axis=2)
        return np.sqrt(variance)


def row_space(X: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Find an orthonormal basis for rows, of the width of all columns.

    Shapes: X (n_samples, n_own); returns (n_columns, n_coordinates).
    """
    n_samples, width = X.shape
    basis = np.eye(width) if width <= n_samples and width <= _MOST else None
    if basis is None:
        if min(n_samples, width) > _MOST:
            _, size, rotation = randomized_svd(X, _MOST, random_state=0)
        else:
            _, size, rotation = np.linalg.svd(X, full_matrices=False)
        basis = rotation[size > 1e-10 * max(size.max(initial=0.0), 1e-300)].T
    whole = np.zeros((len(group), basis.shape[1]))
    whole[group] = basis
    return whole
