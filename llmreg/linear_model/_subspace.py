"""Few coordinates for the weights of many columns; of very large tables few columns."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import csr_matrix, diags, issparse, spmatrix
from sklearn.utils.extmath import randomized_svd

from llmreg.linear_model._curve_space import CurveSpace, freedom
from llmreg.linear_model._prior_grid import PriorGrid
from llmreg.posterior._laplace import BIAS_PRECISION, GaussianPriors
from llmreg.posterior._posterior import Gaussian, Posterior
from llmreg.preprocessing._basis import CurveBasis
from llmreg.preprocessing._sparse import Centred, to_dense

# Precision of a length that is not free to move.
_FIXED = 1e8
# Of weights without a score, whatever `alpha` is.
_LEAST_PRECISION = 0.1
# Rows of less weight in all do not tell the intercept; its precision without them.
_NO_ROWS, _UNTOLD_PRECISION = 1e-3, 1.0
# Coordinates that are weighed against one another, and columns of which nothing is
# said that are weighed with curves; the work grows with their cube.
_MOST, _MOST_PLAIN = 128, 128


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
        self.alpha, self.scores, self.shape = alpha, scores, scores.shape
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
            bases = [
                row_space(self.columns[:, group] * scale[group], group)
                for group in groups
            ]
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
    ) -> tuple[np.ndarray, list[Any]]:
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

    @property
    def n_scored(self) -> int:
        """How many columns have a score."""
        return int(self.scored.sum())

    def features_of(self, columns: np.ndarray) -> list[int]:
        """Return the places of some columns."""
        return np.flatnonzero(columns).tolist()

    def judged(self, weights: np.ndarray) -> np.ndarray:
        """Return what has a sign to compare: the weights themselves."""
        return weights

    learnt = judged

    def far(self, weights: np.ndarray, deviations: Any) -> list[int]:
        """Return no columns: how sure weights are is not known in the average."""
        return []

    def cosine(self, weights: np.ndarray, share: np.ndarray) -> float:
        """Return the cosine of weights and scores, over the columns with a score.

        `share` tells how likely each transform of the scores is.
        """
        along = self.units[0]
        if share.any():
            along = np.tensordot(share, self.units[: len(share)], axes=1)
        weights = weights * ~np.isnan(self.scores)
        length = np.linalg.norm(weights, axis=1) * np.linalg.norm(along, axis=1)
        inner = (weights * along).sum(axis=1)[length > 0]
        return float(np.mean(inner / length[length > 0])) if len(inner) else 0.0

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


#: Coordinates of weights, and the priors of a grid in them. A group, as `groups` gives
#: it, is a part of the grid that has a design in common.
Space = Subspace | CurveSpace


class Columns(NamedTuple):
    """Columns that tell how far to trust curves, and the rest, which follows them.

    Of the rest nothing is said and its columns vary least, as levels that are rare;
    `rest` has shape (n_rest, n_samples), or is None. `X` and `basis` are of the others.
    """

    X: np.ndarray
    basis: CurveBasis
    rest: Any = None
    is_kept: Any = None
    whole: Any = None

    def widen(
        self,
        coef: np.ndarray,
        intercept: np.ndarray,
        posterior: Posterior,
        found: Rest,
        X: Any,
        row_weight: np.ndarray,
        is_class: bool,
    ) -> tuple[np.ndarray, np.ndarray, Posterior]:
        """Put the rest among the weights, and among what is not certain.

        The logits of classes shrink by what is not certain of them (MacKay).
        """
        own, told = self._own(), coef
        centre, coef = np.zeros(len(own)), np.zeros((len(found.coef), len(own)))
        centre[own] = posterior.centre
        coef[:, own], coef[:, ~own] = told, found.coef
        parts = zip(posterior.weights, found.variance, strict=True)
        weights = tuple(_widen(part, own, variance) for part, variance in parts)
        all_weights = np.column_stack([coef, intercept + coef @ centre])
        shift = np.zeros_like(all_weights)
        posterior = replace(posterior, centre=centre, weights=weights, shift=shift)
        share = 1.0
        if is_class:
            deviation = posterior.moments(self.whole.design(X))[1]
            variance = (row_weight @ deviation**2).mean() / row_weight.sum()
            share = 1 / np.sqrt(1 + np.pi / 8 * variance)
        posterior = replace(posterior, shift=(1 - share) * all_weights)
        return share * coef, share * intercept, posterior

    def of_kept(self, kept: np.ndarray | None) -> np.ndarray | None:
        """Say which of the columns that are not of the rest are kept."""
        is_all = kept is None or self.is_kept is None
        return kept if is_all else np.asarray(kept)[self.is_kept]

    def _own(self) -> np.ndarray:
        """Say which weights of all are not of the rest."""
        n_bent = len(self.basis.low) + len(self.basis.codes)
        plain = np.setdiff1d(np.arange(len(self.is_kept)), self.whole.columns)
        return np.append(np.ones(n_bent, dtype=bool), self.is_kept[plain])

    def widen_told(
        self, told: np.ndarray, told_heights: Any, found: Rest
    ) -> tuple[np.ndarray, np.ndarray]:
        """Give the features and weights of the rest their places.

        Among how likely features are as the prior says, and deviations of heights.
        """
        own, features = self._own(), self.whole.feature_of[self.is_kept]
        features = np.unique(features)
        n_outputs, n_features = len(found.coef), len(self.whole.features)
        agreement = np.full((n_outputs, n_features), np.nan)
        agreement[:, features] = told
        deviations = np.zeros((n_outputs, n_features + len(own)))
        places = np.append(features, n_features + np.flatnonzero(own))
        deviations[:, places] = told_heights
        deviations[:, n_features + np.flatnonzero(~own)] = np.sqrt(found.variance)
        return agreement, deviations


class Rest(NamedTuple):
    """The weights of the rest and their variances, of shape (n_outputs, n_rest)."""

    coef: np.ndarray
    variance: np.ndarray


def choose_columns(
    X: Any, row_weight: np.ndarray, basis: CurveBasis, kept: np.ndarray | None = None
) -> Columns:
    """Choose the columns that are weighed together with curves: all, if it can be."""
    is_kept = np.asarray(basis.effects.any(axis=0))
    is_kept[basis.columns] = True
    if kept is not None:
        # What rows say of them is left aside.
        is_kept |= kept
    if not issparse(X) or len(is_kept) - is_kept.sum() <= _MOST_PLAIN:
        return Columns(to_dense(X), basis)
    mean, square = (row_weight @ part / row_weight.sum() for part in (X, X * X))
    variance = np.where(is_kept, np.inf, square - mean**2)
    is_kept[np.argsort(-variance, kind="stable")[: is_kept.sum() + _MOST_PLAIN]] = True
    features, feature_of = np.unique(basis.feature_of[is_kept], return_inverse=True)
    narrow = replace(
        basis,
        columns=(np.cumsum(is_kept) - 1)[basis.columns],
        effects=basis.effects[:, is_kept],
        feature_of=feature_of,
        features=tuple(basis.features[number] for number in features),
    )
    rest = X[:, ~is_kept].T.tocsr()
    return Columns(to_dense(X[:, is_kept]), narrow, rest, is_kept, basis)


def _widen(part: Gaussian, own: np.ndarray, variance: np.ndarray) -> Gaussian:
    """Add weights to a Gaussian that vary on their own."""
    root, n_told, n_rest = part.root.tocoo(), part.root.shape[1], len(variance)
    places = np.append(np.flatnonzero(own), len(own))
    row = np.concatenate([places[root.row], np.flatnonzero(~own)])
    column = np.concatenate([root.col, n_told + np.arange(n_rest)])
    data = np.concatenate([root.data, np.sqrt(variance)])
    shape = len(own) + 1, n_told + n_rest
    return replace(part, root=csr_matrix((data, (row, column)), shape))
