"""Shapes as weights: the curves of a prior, and what deviates from them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import NamedTuple

import numpy as np

from llmreg.linear_model._laplace import BIAS_PRECISION, GaussianPriors
from llmreg.linear_model._prior_grid import PriorGrid
from llmreg.preprocessing._basis import CurveBasis

# Deviations from a curve, beside those that are straight: how far they go.
_LOCAL = 0.5
_SMALLEST = 1e-4


class Rotation(NamedTuple):
    """Coordinates in which a group of priors is weighed.

    `maps`, of shape (n_outputs, n_weights, n_coordinates), turns coordinates into
    weights; `is_belief` marks those along curves, where the coordinates are told apart.
    """

    design: np.ndarray
    maps: np.ndarray
    is_belief: np.ndarray | None


class CurveSpace:
    """The weights of all segments, codes and other columns, and priors over them.

    A weight is the step of the curve times a length, plus deviations: of the length of
    a feature's curve (the belief in it), of its slope, and of each step. X has shape
    (n_samples, n_columns); rows of the curves are those of some of the outputs.
    """

    is_whole = True

    def __init__(
        self, X: np.ndarray, row_weight: np.ndarray, basis: CurveBasis, rows: slice
    ) -> None:
        columns = basis.design(X)
        self.centre = np.average(columns, axis=0, weights=row_weight)
        self.columns = columns - self.centre
        self.row_weight = row_weight
        n_segments = len(basis.low)
        code_curve = np.array([curve for curve, _ in basis.codes], dtype=int)
        plain = np.setdiff1d(np.arange(X.shape[1]), basis.columns)
        own = [basis.columns[basis.curve_of], basis.columns[code_curve], plain]
        # The feature of each weight.
        self.feature_of = basis.feature_of[np.concatenate(own)]
        effects = basis.effects[rows][:, plain]
        #: The curves themselves, of shape (n_outputs, n_weights).
        self.said = np.hstack([basis.steps[rows], basis.code_steps[rows], effects])
        n_features = int(basis.feature_of.max()) + 1
        n_weights = self.said.shape[1]
        belongs = self.feature_of == np.arange(n_features)[:, None]
        self.curves = self.said[:, None] * belongs  # (n_outputs, n_features, n_weights)
        lines = np.zeros((len(basis.columns), n_weights))
        lines[:, :n_segments] = np.where(
            basis.curve_of == np.arange(len(basis.columns))[:, None], basis.widths, 0
        )
        # A walk whose steps vary as the length of their segments: a knot more changes
        # nothing.
        sizes = np.ones(n_weights)
        sizes[:n_segments] = _LOCAL * np.sqrt(np.minimum(basis.widths, 1.0))
        others = np.vstack([lines, np.diag(sizes)])
        self._maps = np.stack(
            [np.vstack([own, others]).T for own in self.curves]
        )  # (n_outputs, n_weights, n_coordinates)
        self._n_belief = n_features
        self._is_wide = self._maps.shape[2] > len(X)
        self.shape = self.said.shape

    @property
    def width(self) -> int:
        """How many coordinates a design has, but for the length and the intercept."""
        return min(self._maps.shape[2], len(self.columns))

    def groups(self, grid: PriorGrid) -> Iterator[tuple[Rotation, np.ndarray]]:
        """Go over the points of a grid that share a design."""
        if not self._is_wide:
            is_belief = np.arange(self._maps.shape[2]) < self._n_belief
            yield self._rotation(self._maps, is_belief), np.arange(len(grid))
            return
        ratios = np.round(np.log(grid.deviation * np.sqrt(grid.precision)), 3)
        for ratio in np.unique(ratios):
            scale = np.ones(self._maps.shape[2])
            scale[self._n_belief :] = np.exp(ratio)
            maps = self._maps * scale
            # As many coordinates as there are rows, which lie in no other direction.
            turns = [
                np.linalg.svd(self.columns @ one, full_matrices=False)[2]
                for one in maps
            ]
            turned = np.stack(
                [one @ turn.T for one, turn in zip(maps, turns, strict=True)]
            )
            yield self._rotation(turned, None), np.flatnonzero(ratios == ratio)

    def shared_design(self) -> np.ndarray:
        """Return the rows in the coordinates that all priors share."""
        return self._rotation(self._maps, None).design

    def to_shared(self, rotation: Rotation) -> np.ndarray:
        """Return what turns weights into weights of the design that all share."""
        if rotation.is_belief is None:
            raise NotImplementedError
        return np.broadcast_to(
            np.eye(self.width + 2), (len(self._maps), self.width + 2, self.width + 2)
        )

    def _rotation(self, maps: np.ndarray, is_belief: np.ndarray | None) -> Rotation:
        n_samples = len(self.columns)
        design = np.ones((len(maps), n_samples, maps.shape[2] + 2))
        design[:, :, :-2] = self.columns @ maps
        design[:, :, -2] = (self.columns @ self.said.T).T
        return Rotation(design, maps, is_belief)

    def priors(self, rotation: Rotation, grid: PriorGrid) -> GaussianPriors:
        """Return the priors of a grid in the coordinates of a rotation."""
        width = rotation.maps.shape[2]
        mean = np.zeros((len(grid), width + 2))
        mean[:, width] = grid.scale
        precision = np.full_like(mean, BIAS_PRECISION)
        precision[:, :width] = grid.precision[:, None]
        if rotation.is_belief is not None:
            free = 1 / grid.deviation**2
            precision[:, :width][:, ~rotation.is_belief] = free[:, None]
        precision[:, width] = 1 / np.maximum(grid.scale_sd, _SMALLEST) ** 2
        return GaussianPriors(mean, precision, grid.noise)

    def design(self, rotation: Rotation) -> np.ndarray:
        """Return the rows in the coordinates of a rotation."""
        return rotation.design

    def to_weights(self, found: np.ndarray, rotation: Rotation) -> np.ndarray:
        """Return weights, of shape (n_points, n_outputs, n_weights)."""
        turned = np.einsum("gkq,kwq->gkw", found[:, :, :-2], rotation.maps)
        return turned + found[:, :, -2, None] * self.said

    @cached_property
    def products(self) -> np.ndarray:
        """The weighted products of the columns of one feature, 0 for other pairs."""
        found = (self.columns * self.row_weight[:, None]).T @ self.columns
        return np.where(self.feature_of == self.feature_of[:, None], found, 0.0)

    @property
    def signs(self) -> np.ndarray:
        """1 for every curve that is not flat over the rows, else 0."""
        return (self.lengths != 0).any(axis=2).astype(float)

    @cached_property
    def lengths(self) -> np.ndarray:
        """What turns weights into the lengths of the learnt curves.

        The length of a feature's shape along its curve, over the rows; of shape
        (n_outputs, n_features, n_weights), and 0 where the curve is flat.
        """
        along = self.curves @ self.products
        square = (along * self.curves).sum(axis=2, keepdims=True)
        least = 1e-12 * square.max(initial=0.0)
        return np.divide(along, square, out=np.zeros_like(along), where=square > least)

    def judged(self, weights: np.ndarray) -> np.ndarray:
        """Return what has a sign to compare: the lengths, (n_points, K, n_features)."""
        return np.einsum("gkw,kfw->gkf", weights, self.lengths)

    def deviations(self, covariance: np.ndarray, rotation: Rotation) -> np.ndarray:
        """Return the standard deviations of the lengths, shaped like them."""
        variance = np.empty((len(covariance), *self.lengths.shape[:2]))
        for k, of_output in enumerate(self.lengths):
            maps = np.hstack([rotation.maps[k], self.said[k][:, None]])
            along = of_output @ maps
            spread = np.matmul(along, covariance[:, k, :-1, :-1])
            variance[:, k] = (spread * along).sum(axis=2)
        return np.sqrt(variance)

    def cosine(self, weights: np.ndarray) -> float:
        """Return how alike learnt shapes and curves are, over the rows."""
        products = self.products
        inner = np.einsum("kw,wv,kv->k", weights, products, self.said)
        square = np.einsum("kw,wv,kv->k", weights, products, weights)
        square *= np.einsum("kw,wv,kv->k", self.said, products, self.said)
        known = square > 0
        return (
            float(np.mean(inner[known] / np.sqrt(square[known])))
            if known.any()
            else 0.0
        )
