"""Shapes as weights: the curves of a prior, and what deviates from them."""

from collections.abc import Iterator
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import csr_matrix

from llmreg.linear_model._prior_grid import PriorGrid
from llmreg.posterior._laplace import BIAS_PRECISION, GaussianPriors
from llmreg.preprocessing._basis import CurveBasis

# Deviations from a curve, beside those that are straight: how far they go.
_LOCAL = 0.5
_SMALLEST = 1e-4
# Directions in which a shape varies by less than this share, or by so little over all
# rows that they tell next to nothing of it, are left out: the less, the fewer curves.
_MINOR, _TOLD = 0.03, 0.25
# A shape is far from its curve from so many logits on, a standard deviation over the
# rows, and surely so from so many of its own: what the rows of a group that were
# thinned out come to, and fair rows of the paper's tables do not.
_FAR, _SURELY = 0.4, 1.9
# Rows that tell how far to trust curves, and how many for each feature.
_PILOT_ROWS, _PILOT_RATIO = 2_000, 20
# How many times as far as others shapes go that are kept: what the rows say of them is
# found, so that other features need not answer for it, and then left aside. Where there
# are no others they stay as they are, and the rows tell how long they are.
_ASIDE, _STIFF = 10.0, 0.01
# How far log-odds may be from a base rate that is said, which is off by a factor of two
# where nothing can be remembered; a standard deviation.
_RATE_SD = 2.0


class Rotation(NamedTuple):
    """Coordinates in which a group of priors is weighed.

    `maps`, of shape (n_outputs, n_weights + 1, n_coordinates), turns coordinates into
    weights and a constant; `is_belief` marks those along curves, where the coordinates
    are told apart; else `turns` makes of them those that are.
    """

    design: np.ndarray
    maps: np.ndarray
    # The same without what the rows say of features that are kept.
    answers: np.ndarray
    is_belief: np.ndarray | None
    turns: np.ndarray | None = None


class CurveSpace:
    """The weights of all segments, codes and other columns, and priors over them.

    A weight is the step of the curve times a length, plus deviations: of the length of
    a feature's curve (the belief in it; not of many classes, where it gained nothing,
    nor where rows are very many), of its slope, and of each step. X has shape
    (n_samples, n_columns); `rows` are those of some of the outputs.
    """

    is_whole = True

    def __init__(
        self,
        X: np.ndarray,
        row_weight: np.ndarray,
        basis: CurveBasis,
        rows: slice,
        has_many_rows: bool = False,
        kept: np.ndarray | None = None,
    ) -> None:
        self.basis = basis
        columns = basis.design(X)
        self.centre = row_weight @ columns / row_weight.sum()
        self.columns = columns - self.centre
        self.row_weight = row_weight
        n_segments = len(basis.low)
        code_curve = np.array([curve for curve, _ in basis.codes], dtype=int)
        plain = np.setdiff1d(np.arange(X.shape[1]), basis.columns)
        own = [basis.columns[basis.curve_of], basis.columns[code_curve], plain]
        # The feature of each weight.
        self.feature_of = basis.feature_of[np.concatenate(own)]
        said = [basis.steps, basis.code_steps, basis.effects[:, plain], basis.starts]
        told = np.hstack(said)[rows]
        if len(told) > 1:
            # Of several classes only how they differ means something.
            told -= told.mean(axis=0)
        #: The curves themselves, of shape (n_outputs, n_weights).
        self.said, starts = np.split(told, [-len(basis.columns)], axis=1)
        self.shape = n_outputs, n_weights = self.said.shape
        features = np.arange(int(basis.feature_of.max()) + 1)[:, None]
        #: The same by feature, of shape (n_outputs, n_features, n_weights).
        self.curves = self.said[:, None] * (self.feature_of == features)
        # How high the curves are on average: what their lengths add to all rows, where
        # a curve is about the distance from a known target.
        heights = np.zeros((n_outputs, len(features)))
        self.bias_precision = BIAS_PRECISION
        if basis.bias_sd is not None:
            begins = basis.feature_of[basis.columns] == features
            heights = self.curves @ self.centre + starts @ begins.T
            self.bias_precision = 1 / basis.bias_sd**2
        self.bias_mean = 0.0
        if basis.log_odds is not None:
            self.bias_mean, self.bias_precision = basis.log_odds, 1 / _RATE_SD**2
        self._height = heights.sum(axis=1)
        self.products = self._products()
        # How deviations vary together, those in directions that are left out as well.
        self._free = _walks(basis, n_weights)
        parts = [self._directions(basis, j) for j in range(len(basis.columns))]
        main, left_out = zip(*parts, strict=True)
        others = np.vstack([*main, np.eye(n_weights)[n_segments:]])
        others = np.hstack([others, np.zeros((len(others), 1))])
        self._left_out = np.vstack(left_out)
        beliefs = np.concatenate([self.curves, heights[:, :, None]], axis=2)
        if n_outputs > 1 or has_many_rows:
            beliefs = beliefs[:, :0]
        #: What turns coordinates into weights and a constant.
        self._maps = np.stack([np.vstack([belief, others]).T for belief in beliefs])
        kept = np.zeros(X.shape[1], dtype=bool) if kept is None else kept
        own = kept[np.concatenate(own)]
        self._is_kept = (self._maps[0, :-1] * own[:, None]).any(axis=0)
        self._freedom = np.where(self._is_kept, freedom(own), 1.0)
        self._maps *= self._freedom
        self._answers = self._maps * ~self._is_kept
        self._n_belief = beliefs.shape[1]
        self._is_wide = self._maps.shape[2] > len(X)
        self._rotations: dict[float, Rotation] = {}

    def _products(self) -> np.ndarray:
        """Return weighted products of the columns of one feature, 0 for other pairs."""
        products = np.zeros((len(self.feature_of),) * 2)
        for feature in np.unique(self.feature_of):
            own = np.flatnonzero(self.feature_of == feature)
            columns = self.columns[:, own]
            products[np.ix_(own, own)] = (columns.T * self.row_weight) @ columns
        return products

    def _directions(self, basis: CurveBasis, curve: int) -> list[np.ndarray]:
        """Return the directions in which a shape may leave its curve: main, others."""
        own = np.flatnonzero(basis.curve_of == curve)
        block = np.ix_(own, own)
        root = np.linalg.cholesky(self._free[block])
        size, turn = np.linalg.eigh(root.T @ self.products[block] @ root)
        main = size > min(_MINOR * size.sum(), _TOLD * len(basis.columns))
        directions = np.zeros((len(own), self.shape[1]))
        directions[:, own] = (root @ turn).T
        return [directions[main], directions[~main]]

    @property
    def width(self) -> int:
        """How many coordinates a design has, but for the length and the intercept."""
        return min(self._maps.shape[2], len(self.columns))

    @property
    def shares_design(self) -> bool:
        """Whether all priors have a design in common."""
        return not self._is_wide

    def groups(self, grid: PriorGrid) -> Iterator[tuple[Rotation, np.ndarray]]:
        """Go over the points of a grid that share a design."""
        ratios = np.zeros(len(grid))
        if self._is_wide and self._n_belief:
            ratios = np.log(grid.deviation * np.sqrt(grid.precision)).round(3)
        for ratio in np.unique(ratios):
            if ratio not in self._rotations:
                self._rotations[ratio] = self._rotate(ratio)
            yield self._rotations[ratio], np.flatnonzero(ratios == ratio)

    def _rotate(self, ratio: float) -> Rotation:
        """Choose coordinates: no more than rows, which lie in no other direction."""
        scale = np.ones(self._maps.shape[2])
        if not self._is_wide:
            is_belief = np.arange(len(scale)) < self._n_belief
            design = self._design(self.columns, self._maps)
            return Rotation(design, self._maps, self._answers, is_belief)
        scale[self._n_belief :] = np.exp(ratio)
        turns = []
        for one in self._maps * scale:
            rows = self.columns @ one[:-1] + one[-1]
            turn = np.linalg.svd(rows, full_matrices=False)[2]
            turns.append(scale[:, None] * turn.T)
        turned = np.stack(turns)
        maps, answers = self._maps @ turned, self._answers @ turned
        design = self._design(self.columns, maps)
        return Rotation(design, maps, answers, None, turned)

    def _design(self, columns: np.ndarray, maps: np.ndarray) -> np.ndarray:
        design = np.ones((len(maps), len(columns), maps.shape[2] + 2))
        for one, own in zip(design, maps, strict=True):
            if self._is_wide:
                one[:, :-2] = columns @ own[:-1] + own[-1]
            else:
                # A coordinate is of one feature, so that most of a map is 0.
                one[:, :-2] = (csr_matrix(own[:-1].T) @ columns.T).T + own[-1]
        design[:, :, -2] = (columns @ self.said.T + self._height).T
        return design

    def to_table(self, rotation: Rotation) -> np.ndarray:
        """Return what turns coordinates into weights of columns, and constants."""
        said = np.hstack([self.said, self._height[:, None]])[:, :, None]
        maps = np.concatenate([rotation.maps, said, np.zeros_like(said)], axis=2)
        maps[:, -1] -= np.matmul(self.centre, maps[:, :-1])
        maps[:, -1, -1] = 1.0
        return maps

    def design(self, rotation: Rotation) -> np.ndarray:
        """Return the rows in the coordinates of a rotation."""
        return rotation.design

    def priors(self, rotation: Rotation, grid: PriorGrid) -> GaussianPriors:
        """Return the priors of a grid in the coordinates of a rotation."""
        width = rotation.maps.shape[2]
        mean = np.zeros((len(grid), width + 2))
        mean[:, width:] = np.stack([grid.scale, np.full(len(grid), self.bias_mean)], 1)
        precision = np.full_like(mean, self.bias_precision)
        free = 1 / grid.deviation**2
        precision[:, :width] = (grid.precision if self._n_belief else free)[:, None]
        if rotation.is_belief is not None:
            precision[:, :width][:, ~rotation.is_belief] = free[:, None]
        precision[:, width] = 1 / np.maximum(grid.scale_sd, _SMALLEST) ** 2
        return GaussianPriors(mean, precision, grid.noise)

    def roots(self) -> np.ndarray:
        """Return what turns elements into weights and a constant, by output.

        Elements are independent before a row is seen: lengths and directions, those
        that are left out too, the length of all, the intercept.
        """
        n_outputs, n_weights = self.shape
        rest = np.zeros((n_outputs, n_weights + 1, len(self._left_out) + 2))
        rest[:, :-1, :-2] = self._left_out.T
        rest[:, :-1, -2], rest[:, -1, -2], rest[:, -1, -1] = self.said, self._height, 1
        return np.concatenate([self._maps / self._freedom, rest], axis=2)

    def before(self, grid: PriorGrid) -> np.ndarray:
        """Return variances of elements, 0 for the last, which rows always tell."""
        n_maps, n_left = self._maps.shape[2], len(self._left_out)
        variance = np.zeros((len(grid), n_maps + n_left + 2))
        variance[:, :-2] = grid.deviation[:, None] ** 2
        variance[:, : self._n_belief] = 1 / grid.precision[:, None]
        return variance

    def frame(
        self, rotations: list[Rotation], output: int
    ) -> tuple[np.ndarray, list[Any]]:
        """Return what turns coordinates into elements, and the place of each group."""
        n_maps = self._maps.shape[2]
        turns = [
            np.eye(n_maps) if r.turns is None else r.turns[output] for r in rotations
        ]
        widths = np.cumsum([0, *(turn.shape[1] for turn in turns)])
        found = np.zeros((n_maps + len(self._left_out) + 2, widths[-1] + 2))
        # What is kept is as uncertain as before.
        found[:n_maps, :-2] = np.hstack(turns) * ~self._is_kept[:, None]
        found[-2:, -2:] = np.eye(2)
        places = np.arange(widths[-1] + 2)
        parts = np.split(places[:-2], widths[1:-1])
        return found, [np.append(part, places[-2:]) for part in parts]

    def to_weights(self, found: np.ndarray, rotation: Rotation) -> np.ndarray:
        """Return weights, of shape (n_points, n_outputs, n_weights)."""
        turned = np.einsum("gkq,kwq->gkw", found[:, :, :-2], rotation.answers[:, :-1])
        return turned + found[:, :, -2, None] * self.said

    def intercepts(self, found: np.ndarray, rotation: Rotation) -> np.ndarray:
        """Return what is added to weighted columns, of shape (n_points, n_outputs)."""
        constant = np.einsum("gkq,kq->gk", found[:, :, :-2], rotation.answers[:, -1])
        height = found[:, :, -2] * self._height
        return np.asarray(found[:, :, -1] + constant + height)

    @property
    def signs(self) -> np.ndarray:
        """1 for every curve that is not flat over the rows, else 0."""
        return (self.lengths != 0).any(axis=2).astype(float)

    @cached_property
    def lengths(self) -> np.ndarray:
        """Return what turns weights into the lengths of the learnt curves.

        The length of a feature's shape along its curve, over the rows; of shape
        (n_outputs, n_features, n_weights), and 0 where the curve is flat.
        """
        along = self.curves @ self.products
        square = (along * self.curves).sum(axis=2, keepdims=True)
        least = 1e-12 * square.max(initial=0.0)
        return np.divide(along, square, out=np.zeros_like(along), where=square > least)

    @property
    def scores(self) -> np.ndarray:
        """The greatest effect of each curve."""
        return 10 * np.abs(self.curves).max(axis=2)

    @property
    def n_scored(self) -> int:
        """How many features have a curve."""
        return int(self.signs.any(axis=0).sum())

    def features_of(self, columns: np.ndarray) -> list[int]:
        """Return the features of some columns."""
        return np.unique(self.basis.feature_of[columns]).tolist()

    def learnt(self, weights: np.ndarray) -> np.ndarray:
        """Return the size of each learnt shape along its curve, in logits."""
        return self.judged(weights[None])[0] * self.scores / 10

    def judged(self, weights: np.ndarray) -> np.ndarray:
        """Return what has a sign to compare: the lengths, (n_points, K, n_features)."""
        return np.einsum("gkw,kfw->gkf", weights, self.lengths)

    def deviations(self, covariance: np.ndarray, rotation: Rotation) -> np.ndarray:
        """Return the standard deviations of the lengths, shaped like them."""
        variance = np.empty((len(covariance), *self.lengths.shape[:2]))
        for k, of_output in enumerate(self.lengths):
            maps = np.hstack([rotation.answers[k, :-1], self.said[k][:, None]])
            along = csr_matrix(of_output) @ maps
            spread = np.matmul(along, covariance[:, k, :-1, :-1])
            variance[:, k] = (spread * along).sum(axis=2)
        return np.sqrt(variance)

    @cached_property
    def heights(self) -> np.ndarray:
        """What turns weights into heights of shapes, 0 in the mean of the rows.

        Where each feature begins, then where each weight is reached in full; of shape
        (n_features + n_weights, n_weights).
        """
        n_features, n_weights = self.curves.shape[1:]
        own = self.feature_of == self.feature_of[:, None]
        first = self.feature_of == np.arange(n_features)[:, None]
        is_step = np.arange(n_weights) < len(self.basis.low)
        reached = np.eye(n_weights) + np.tril(own & is_step & is_step[:, None], -1)
        heights = np.vstack([np.zeros_like(first), reached])
        return heights - self.centre * np.vstack([first, own])

    def far(self, weights: np.ndarray, deviations: Any) -> list[int]:
        """Return the features whose shape is far from its curve, the farthest first.

        `deviations` are those of `heights`.
        """
        features = np.arange(self.curves.shape[1])
        # The length of most of what is said: one shape that leaves it moves no other.
        lengths = self.judged(weights[None])[0]
        square = (self.curves @ self.products * self.curves).sum(axis=2)
        order = np.argsort(lengths, axis=1)
        reached = np.take_along_axis(square, order, axis=1).cumsum(axis=1)
        middle = (reached < reached[:, -1:] / 2).sum(axis=1, keepdims=True)
        place = np.take_along_axis(order, middle, axis=1)
        apart = weights - np.take_along_axis(lengths, place, axis=1) * self.said
        own = self.feature_of == features[:, None]
        variance = (apart * (apart @ self.products)) @ own.T / self.row_weight.sum()
        sure = abs(apart @ self.heights.T) > _SURELY * deviations
        heights = np.append(features, self.feature_of) == features[:, None]
        size = np.where(sure @ heights.T, variance, 0.0).max(axis=0)
        order = np.argsort(-size, kind="stable")
        return [int(j) for j in order if size[j] > _FAR**2]

    def cosine(self, weights: np.ndarray, share: Any = None) -> float:
        """Return how alike learnt shapes and curves are, over the rows."""
        products = self.products
        inner = np.einsum("kw,wv,kv->k", weights, products, self.said)
        square = np.einsum("kw,wv,kv->k", weights, products, weights)
        square *= np.einsum("kw,wv,kv->k", self.said, products, self.said)
        known = square > 0
        if not known.any():
            return 0.0
        return float(np.mean(inner[known] / np.sqrt(square[known])))


def pilot_rows(
    targets: np.ndarray,
    row_weight: np.ndarray,
    task: str,
    basis: CurveBasis,
    seed: int,
) -> tuple[Any, np.ndarray]:
    """Choose rows that tell how far to trust curves, where there are very many.

    Each class has as many of them as another, if it can; those that are taken stand for
    all of their class.
    """
    most = max(_PILOT_ROWS, _PILOT_RATIO * len(basis.features))
    if task == "regression" or len(row_weight) <= 2 * most:
        return slice(None), row_weight
    generator = np.random.default_rng(seed)
    label = targets.argmax(axis=0) if len(targets) > 1 else targets[0]
    label = np.zeros_like(label) if task == "poisson" else label
    classes = np.unique(label)
    some, weight = [], []
    for one in classes:
        own = np.flatnonzero(label == one)
        taken = generator.permutation(own)[: most // len(classes)]
        some.append(taken)
        share = row_weight[own].sum() / row_weight[taken].sum()
        weight.append(row_weight[taken] * share)
    return np.concatenate(some), np.concatenate(weight)


def freedom(kept: np.ndarray) -> float:
    """Return how many times as far as others weights go that are kept."""
    return _STIFF if kept.all() else _ASIDE


def _walks(basis: CurveBasis, n_weights: int) -> np.ndarray:
    """Return how the deviations of weights vary together.

    Those of a shape: a straight line, and a walk whose steps vary as the length of
    their segments, so that a knot more changes nothing.
    """
    covariance = np.eye(n_weights)
    for curve in range(len(basis.columns)):
        own = np.flatnonzero(basis.curve_of == curve)
        widths = basis.widths[own]
        walk = np.diag(_LOCAL**2 * np.minimum(widths, 1.0))
        covariance[np.ix_(own, own)] = np.outer(widths, widths) + walk
    return covariance
