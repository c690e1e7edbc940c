"""What could be true of a prior: how strong it is, how exact, or the wrong way round.

With u the unit vector of the scores (after one of several transforms), every point of
the grid is a Gaussian prior over the weights of a linear model,

    w = a u + e,   a ~ N(scale, scale_sd^2),   e ~ N(0, relative variance / precision),

or, where the scores are uninformative, w ~ N(0, 1 / precision). A negative coefficient
scale says that the scores are right but for their sign. The constants were chosen on
data sets that packages ship, none of which is among the paper's (see
docs/decisions/trust.md).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
import torch
from scipy.special import logsumexp
from torch import Tensor

from llmreg.exceptions import PriorScoreError
from llmreg.prior._feature_prior import FeaturePrior

Transform = Callable[[Tensor], Tensor]

# sign(s) exp(|s| / T): the smaller T, the more the largest scores are everything.
# Infinite: the scores as they are.
TEMPERATURES = (np.inf, 3.0, 2.0, 1.0)

# Tangents of the angle between weights and scores, at a coefficient scale of _TYPICAL.
_TANGENTS = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6)
_TYPICAL = 5.0
# Mean, standard deviation and prior probability of the coefficient scale, in logits per
# unit of a scaled input.
_SCALES = ((2.0, 0.5, 0.33), (4.0, 1.0, 0.33), (8.0, 2.0, 0.33), (-4.0, 1.0, 0.01))
# Several classes, where they can be separated sharply at all.
_LARGE_SCALE = (16.0, 4.0, 0.01)
# Precisions of the weights where the scores are uninformative.
_UNINFORMATIVE = (0.1, 0.3, 1.0, 3.0, 10.0)
_P_UNINFORMATIVE = 0.1
# A standardised target moves about half as far as a logit, the logarithm of a mean
# count a third as far.
_UNITS = {"regression": 0.5, "poisson": 0.35}
# Share of the variance of a standardised target that no model explains.
_NOISES = (0.05, 0.1, 0.2, 0.4, 0.8)


@dataclass(frozen=True, eq=False)
class PriorGrid:
    """The priors that are averaged over; every field has shape (n_points,)."""

    # Number of the transform of the scores; -1 where they are uninformative.
    transform: np.ndarray
    # Inverse variance of the weights around the scores.
    precision: np.ndarray
    # Mean and standard deviation of the weights' length along the scores.
    scale: np.ndarray
    scale_sd: np.ndarray
    # Variance of the noise of a regression; 1 elsewhere.
    noise: np.ndarray
    # Log-probability before a row was seen; the exponentials sum to 1.
    log_prior: np.ndarray
    # Of curves: the standard deviation of what deviates from all of them. `precision`
    # is that of how far each curve is believed.
    deviation: np.ndarray

    def __len__(self) -> int:
        return len(self.transform)

    def __getitem__(self, points: np.ndarray) -> PriorGrid:
        return PriorGrid(*(values[points] for values in vars(self).values()))

    def aligned(self) -> PriorGrid:
        """Return the priors that take the scores as they are, if there are any."""
        is_aligned = (self.transform >= 0) & (self.scale > 0)
        found = self[is_aligned if is_aligned.any() else ~is_aligned]
        return replace(found, log_prior=found.log_prior - logsumexp(found.log_prior))


def make_prior_grid(n_transforms: int, n_scored: int, task: str) -> PriorGrid:
    """List the priors for so many transforms and columns with a score."""
    unit = _UNITS.get(task, 1.0)
    points = [
        (-1, precision / unit**2, 0.0, 0.0, _P_UNINFORMATIVE / len(_UNINFORMATIVE))
        for precision in _UNINFORMATIVE
    ]
    scales = (*_SCALES, _LARGE_SCALE) if task == "multiclass" else _SCALES
    share = (1 - _P_UNINFORMATIVE) / max(1, n_transforms * len(_TANGENTS))
    points += [
        (
            transform,
            n_scored / (_TYPICAL * unit * tangent) ** 2,
            scale * unit,
            scale_sd * unit,
            share * weight,
        )
        for transform in range(n_transforms)
        for tangent in _TANGENTS
        for scale, scale_sd, weight in scales
    ]
    return _to_grid([(*point, np.nan) for point in points], _NOISES, task)


# Lengths of the sum of the curves, in logits per ten points of effect, and their
# standard deviation as a share of it.
_LENGTHS, _LENGTH_SD = (2.0, 4.0, 8.0), 0.25
# How far the length of one curve is from that of all, standard deviations as shares:
# where curves are about right, and where they tell little of single features.
_BELIEF, _LOOSE_BELIEF = 0.1, 1.0
_LOOSE_LENGTHS = (1.0, 2.0, 4.0)
# Standard deviations of what deviates from the curves.
_DEVIATIONS = tuple(10.0 ** (k / 2) for k in range(-3, 2))
# Where curves are uninformative: standard deviations, of lengths and deviations alike.
_FREE = (0.3, 1.0)
# Probabilities that they tell little of single features, of two classes; that they are
# turned over; and that they tell nothing.
_P_LOOSE, _P_TURNED = 0.05, 0.001
_P_FREE = {"binary": 0.03, "multiclass": 0.05, "regression": 0.05, "poisson": 0.05}
_CURVE_NOISES = (0.05, 0.2, 0.8)


def make_curve_grid(task: str) -> PriorGrid:
    """List the priors for curves: how long they are, how exact, or good for nothing."""
    unit = _UNITS.get(task, 1.0)
    p_loose = _P_LOOSE if task == "binary" else 0.0
    weights = _shared(
        product(_LENGTHS, [_BELIEF], _DEVIATIONS),
        1 - _P_FREE[task] - p_loose,
        lambda point: 1 / point[2],
    )
    if p_loose:
        loose = product(_LOOSE_LENGTHS, [_LOOSE_BELIEF], _DEVIATIONS[2:4])
        weights |= _shared(loose, p_loose)
    weights |= _shared(product([-4.0], [_BELIEF], _DEVIATIONS[1:4]), _P_TURNED)
    points = [
        (
            *(0, 1 / (unit * length * belief) ** 2),
            *(unit * length, unit * abs(length) * _LENGTH_SD),
            *(weight, unit * deviation),
        )
        for (length, belief, deviation), weight in weights.items()
    ]
    points += [
        (-1, 1 / (unit * size) ** 2, 0.0, 0.0, _P_FREE[task] / len(_FREE), unit * size)
        for size in _FREE
    ]
    return _to_grid(points, _CURVE_NOISES, task)


def _shared(
    points: Iterable[tuple[float, ...]],
    total: float,
    weigh: Callable[[tuple[float, ...]], float] = lambda _: 1.0,
) -> dict[tuple[float, ...], float]:
    """Share a probability out among points."""
    weights = {point: weigh(point) for point in points}
    return {p: total * weight / sum(weights.values()) for p, weight in weights.items()}


def _to_grid(
    points: Sequence[tuple[float, ...]], noises: Sequence[float], task: str
) -> PriorGrid:
    """Make a grid of points; in a regression for every variance of the noise."""
    columns = zip(*points, strict=True)
    transform, precision, scale, scale_sd, weight, deviation = map(np.array, columns)
    log_prior = np.log(weight / weight.sum())
    noise = np.ones(len(points))
    grid = PriorGrid(transform, precision, scale, scale_sd, noise, log_prior, deviation)
    if task != "regression":
        return grid
    number = np.tile(np.arange(len(points)), len(noises))
    return replace(
        grid[number],
        noise=np.repeat(noises, len(points)),
        log_prior=log_prior[number] - np.log(len(noises)),
    )


def directions(scores: np.ndarray, transforms: Sequence[Transform]) -> np.ndarray:
    """Turn scores of shape (n_outputs, n_columns) into unit vectors, per transform."""
    rows = torch.as_tensor(np.nan_to_num(scores))
    table = np.stack(
        [[transform_scores(t, row).numpy() for row in rows] for t in transforms]
    )
    table *= ~np.isnan(scores)
    length = np.linalg.norm(table, axis=2, keepdims=True)
    return np.divide(table, length, out=np.zeros_like(table), where=length > 0)


class Sharpen:
    """Transform of scores: sign(s) * exp(abs(s) / temperature), up to a factor.

    Parameters
    ----------
    temperature : float
        The lower, the more the largest scores dominate; infinite leaves the scores as
        they are.

    Examples
    --------
    >>> import torch
    >>> from llmreg.nn import Sharpen
    >>> Sharpen(temperature=1.0)(torch.tensor([2.0, -1.0, 0.0])).numpy().round(2)
    array([ 1.  , -0.37,  0.  ], dtype=float32)
    """

    def __init__(self, temperature: float) -> None:
        self.temperature = temperature

    def __call__(self, scores: Tensor) -> Tensor:
        """Transform the scores of one output."""
        if self.temperature == float("inf"):
            return scores
        size = scores.abs()
        # Divided by the largest, so that scores of any size stay finite.
        return scores.sign() * torch.exp((size - size.max()) / self.temperature)

    def __repr__(self) -> str:
        return f"Sharpen({self.temperature:g})"


# Objects and not lambdas: a net keeps its transform, and is pickled with it.
signed_exp = Sharpen(temperature=1.0)

SCORE_TRANSFORMS: dict[str, Transform] = {
    "identity": Sharpen(float("inf")),
    "exp": signed_exp,
}


def transform_scores(transform: Transform, scores: Tensor) -> Tensor:
    """Transform the scores of one output, of shape (n_features,)."""
    transformed = transform(scores)
    if transformed.shape != scores.shape or not torch.isfinite(transformed).all():
        raise PriorScoreError(
            "score_transform must turn scores into as many finite numbers; for "
            f"{scores.tolist()[:10]} it gave {str(transformed.tolist())[:100]}."
        )
    return transformed


def relative_variance(prior: FeaturePrior) -> np.ndarray | None:
    """Turn the spread of the estimates into variances around the scores."""
    if prior.spread is None:
        return None
    # A point of the scale is what even agreeing estimates may be wrong by.
    variance = (1 + np.nan_to_num(prior.spread).mean(axis=0)) ** 2
    return variance / variance.mean()
