"""Few coordinates for the weights of many columns."""

from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
from scipy.sparse import diags, issparse, spmatrix
from sklearn.utils.extmath import randomized_svd

from llmreg.linear_model._curve_space import freedom
from llmreg.linear_model._laplace import BIAS_PRECISION, GaussianPriors
from llmreg.linear_model._prior_grid import PriorGrid
from llmreg.preprocessing._sparse import Centred

# Precision of a length that is not free to move.
_FIXED = 1e8
# Of weights without a score, whatever `alpha` is.
_LEAST_PRECISION = 0.1
# Rows of less weight in all do not tell the intercept; its precision without them.
_NO_ROWS, _UNTOLD_PRECISION = 1e-3, 1.0
# Coordinates that are weighed against one another; the work grows with their cube.
_MOST = 128


class Space(Protocol):
    """Coordinates of weights, and the priors of a grid in them.

    A `group` is a part of the grid that has a design in common, as `groups` gives it.
    """

    shape: tuple[int, ...]
    centre: np.ndarray
    columns: Any
    is_whole: bool

    @property
    def width(self) -> int: ...
    @property
    def shares_design(self) -> bool: ...
    @property
    def signs(self) -> np.ndarray: ...
    def groups(self, grid: PriorGrid) -> Iterator[tuple[Any, np.ndarray]]: ...
    def design(self, group: Any) -> np.ndarray: ...
    def priors(self, group: Any, grid: PriorGrid) -> GaussianPriors: ...
    def to_weights(self, found: np.ndarray, group: Any) -> np.ndarray: ...
    def intercepts(self, found: np.ndarray, group: Any) -> np.ndarray: ...
    def judged(self, weights: np.ndarray) -> np.ndarray: ...
    def deviations(self, covariance: np.ndarray, group: Any) -> np.ndarray: ...
    def roots(self) -> Any: ...
    def before(self, grid: PriorGrid) -> np.ndarray: ...
    def frame(self, groups: list[Any], output: int) -> tuple[np.ndarray, Any]: ...


class Subspace:
    """The directions in which weights are found, no more of them than rows call for.

    X has shape (n_samples, n_columns), `scores` (n_outputs, n_columns). The weights of
    an output are coordinates along `basis`, then the length along its scores, then the
    intercept. `units` are the unit vectors of the scores, (n_transforms, n_outputs,
    n_columns).
    """

    def __init__(
        self,
        X: Any,
        row_weight: np.ndarray,
        scores: np.ndarray,
        relative_variance: np.ndarray | None,
        units: np.ndarray,
        alpha: float,
        kept: np.ndarray | None = None,
    ) -> None:
        n_columns = X.shape[1]
        self.alpha, self.shape = alpha, scores.shape
        is_told = row_weight.sum() > _NO_ROWS
        self.bias_precision = BIAS_PRECISION if is_told else _UNTOLD_PRECISION
        #: The signs of the scores, which those of the weights are compared with.
        self.signs = np.sign(np.nan_to_num(scores))
        # The last one, number -1, stands for uninformative scores.
        self.units = np.concatenate([units, np.zeros_like(units[:1])])
        self.scored = ~np.isnan(scores).all(axis=0)
        self.columns: Any
        if issparse(X):
            self.centre = row_weight @ X / row_weight.sum()
            self.columns = Centred(X, self.centre)
        else:
            self.centre = np.average(X, axis=0, weights=row_weight)
            self.columns = X - self.centre
        scale = np.ones(n_columns)
        if relative_variance is not None:
            scale = np.sqrt(relative_variance)
        kept = np.zeros(n_columns, dtype=bool) if kept is None else kept
        self.scale = scale
        scale = np.where(kept, freedom(kept) * scale, scale)
        # Weights with and without a score have their own precision, and so their own
        # rotation.
        groups = (self.scored, ~self.scored)
        if issparse(X):
            bases = [
                row_space(self.columns.part(group, scale), group) for group in groups
            ]
        else:
            scaled = self.columns * scale
            bases = [row_space(scaled[:, group], group) for group in groups]
        self.is_free = np.repeat([False, True], [basis.shape[1] for basis in bases])
        # Whether the coordinates hold all that the columns do.
        self.is_whole = all(
            basis.shape[1] < _MOST or group.sum() <= _MOST
            for basis, group in zip(bases, groups, strict=True)
        )
        self.basis = np.hstack(bases) * scale[:, None]
        self.inputs = self.columns @ self.basis
        # Without what the rows say of columns that are kept.
        self.answers = self.basis * ~kept[:, None]
        self.width = self.inputs.shape[1]
        self.shares_design = False

    def groups(self, grid: PriorGrid) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Go over the transforms of the scores and the points that share each."""
        for number in np.unique(grid.transform):
            yield self.units[number], np.flatnonzero(grid.transform == number)

    def shared_design(self) -> np.ndarray:
        """Return the rows in the coordinates that all priors share."""
        design = self.design(np.zeros_like(self.units[0]))
        return np.delete(design, self.width, axis=2)

    def design(self, unit: np.ndarray) -> np.ndarray:
        """Return the rows in these coordinates, for each output's unit vector."""
        n_samples, width = self.inputs.shape
        table = np.ones((len(unit), n_samples, width + 2))
        table[:, :, :width] = self.inputs
        table[:, :, width] = (self.columns @ unit.T).T
        return table

    def to_shared(self, unit: np.ndarray) -> np.ndarray:
        """Return what turns weights into weights of the design that all share."""
        width = len(self.is_free)
        maps = np.zeros((len(unit), width + 1, width + 2))
        maps[:, :width, :width] = np.eye(width)
        maps[:, :width, width] = np.linalg.lstsq(self.basis, unit.T, rcond=None)[0].T
        maps[:, width, width + 1] = 1
        return maps

    def priors(self, unit: np.ndarray, grid: PriorGrid) -> GaussianPriors:
        """Return the priors of a grid in these coordinates."""
        width = len(self.is_free)
        mean = np.zeros((len(grid), width + 2))
        mean[:, width] = grid.scale
        precision = np.full_like(mean, self.bias_precision)
        precision[:, :width] = self._precision(grid, self.is_free)
        with np.errstate(divide="ignore"):
            precision[:, width] = np.minimum(1 / grid.scale_sd**2, _FIXED)
        return GaussianPriors(mean, precision, grid.noise)

    def _precision(self, grid: PriorGrid, is_free: np.ndarray) -> np.ndarray:
        """Return the precisions of weights with a score, and of free ones."""
        # Not less than where the scores are uninformative: there would be no end to
        # how unlikely the rows are for weights that may be anything.
        alpha = max(self.alpha, _LEAST_PRECISION)
        free = np.where(
            grid.transform >= 0, np.minimum(grid.precision, alpha), grid.precision
        )
        return np.where(is_free, free[:, None], grid.precision[:, None])

    def roots(self) -> list[spmatrix]:
        """Return what turns elements into weights and a constant, by output.

        Elements are the weights, but for their scale, and the intercept.
        """
        return [diags([*self.scale, 1.0])] * self.shape[0]

    def before(self, grid: PriorGrid) -> np.ndarray:
        """Return variances of elements, 0 for the last, which rows always tell."""
        variance = 1 / self._precision(grid, ~self.scored)
        return np.pad(variance, ((0, 0), (0, 1)))

    def frame(
        self, units: list[np.ndarray], output: int
    ) -> tuple[np.ndarray, list[list[int]]]:
        """Return what turns coordinates into elements, and the place of each group."""
        n_columns, width = self.basis.shape
        along = np.stack([unit[output] for unit in units], axis=1)
        found = np.zeros((n_columns + 1, width + len(units) + 1))
        # What is kept is as uncertain as before.
        found[:-1, :-1] = np.hstack([self.answers, along]) / self.scale[:, None]
        found[-1, -1] = 1
        last = width + len(units)
        return found, [[*range(width), place, last] for place in range(width, last)]

    def to_weights(self, weights: np.ndarray, unit: np.ndarray) -> np.ndarray:
        """Return weights of the columns, of shape (n_points, n_outputs, n_columns)."""
        along = weights[:, :, -2, None] * unit
        return weights[:, :, :-2] @ self.answers.T + along

    def intercepts(self, found: np.ndarray, unit: np.ndarray) -> np.ndarray:
        """Return what is added to weighted columns, of shape (n_points, n_outputs)."""
        return found[:, :, -1]

    def judged(self, weights: np.ndarray) -> np.ndarray:
        """Return what has a sign to compare: the weights themselves."""
        return weights

    def deviations(self, covariance: np.ndarray, unit: np.ndarray) -> np.ndarray:
        """Return the standard deviations of the weights, shaped like them."""
        variance = np.empty((len(covariance), *unit.shape))
        for k, direction in enumerate(unit):
            basis = np.hstack([self.answers, direction[:, None]])
            for found, one in zip(variance, covariance, strict=True):
                found[k] = ((basis @ one[k, :-1, :-1]) * basis).sum(axis=1)
        return np.sqrt(variance)


def row_space(X: Any, group: np.ndarray) -> np.ndarray:
    """Find an orthonormal basis for rows of a group of columns, padded to all."""
    n_samples, width = X.shape
    if width <= n_samples and width <= _MOST:
        basis = np.eye(width)
    else:
        if isinstance(X, Centred):
            size, rotation = X.directions(_MOST)
        elif min(n_samples, width) > _MOST:
            _, size, rotation = randomized_svd(X, _MOST, random_state=0)
        else:
            _, size, rotation = np.linalg.svd(X, full_matrices=False)
        basis = rotation[size > 1e-10 * max(size.max(initial=0.0), 1e-300)].T
    whole = np.zeros((len(group), basis.shape[1]))
    whole[group] = basis
    return whole
