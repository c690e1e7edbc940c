"""What could be true of a prior: how strong it is, how exact, or the wrong way round.

With u the direction of the scores (after one of several transforms), every hypothesis
is a Gaussian prior over the weights of a linear model,

    w = a u + e,   a ~ N(pull, pull_sd^2),   e ~ N(0, looseness / precision),

or, where the scores are no guide, w ~ N(0, 1 / precision). A negative pull says that
the scores are right but for their sign. The constants were chosen on data sets that
packages ship, none of which is among the paper's (see docs/decisions.md).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

# sign(s) exp(|s| / T): the smaller T, the more the largest scores are everything.
# Infinite: the scores as they are.
TEMPERATURES = (np.inf, 3.0, 2.0, 1.0)

# Tangents of the angle between the weights and the scores, for a pull of _TYPICAL.
_TANGENTS = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6)
_TYPICAL = 5.0
# Mean, standard deviation and weight of the pull, in logits per unit of a scaled input.
_PULLS = ((2.0, 0.5, 0.33), (4.0, 1.0, 0.33), (8.0, 2.0, 0.33), (-4.0, 1.0, 0.01))
# Several classes, where they can be told apart sharply at all.
_FAR = (16.0, 4.0, 0.01)
_NO_GUIDE = (0.1, 0.3, 1.0, 3.0, 10.0)
_NO_GUIDE_WEIGHT = 0.1
# A standardised target moves about half as far as a logit.
_TARGET_SCALE = 0.5
# Share of the variance of a standardised target that no model explains.
_NOISES = (0.05, 0.1, 0.2, 0.4, 0.8)


@dataclass(frozen=True, eq=False)
class Hypotheses:
    """A table of hypotheses, a row each.

    Parameters
    ----------
    transform : ndarray of int, shape (n_hypotheses,)
        Number of the transform of the scores; -1 where they are no guide.
    precision : ndarray of shape (n_hypotheses,)
        Inverse variance of the weights around the scores.
    pull, pull_sd : ndarray of shape (n_hypotheses,)
        Mean and standard deviation of the weights' length along the scores.
    noise : ndarray of shape (n_hypotheses,)
        Variance of the noise of a regression; 1 elsewhere.
    log_prior : ndarray of shape (n_hypotheses,)
        How likely each is before a row was seen; the exponentials sum to 1.
    """

    transform: np.ndarray
    precision: np.ndarray
    pull: np.ndarray
    pull_sd: np.ndarray
    noise: np.ndarray
    log_prior: np.ndarray

    def __len__(self) -> int:
        return len(self.transform)

    def __getitem__(self, rows: np.ndarray) -> Hypotheses:
        return Hypotheses(*(values[rows] for values in vars(self).values()))


def make_hypotheses(n_transforms: int, n_scored: int, task: str) -> Hypotheses:
    """List the hypotheses about a prior."""
    scale = _TARGET_SCALE if task == "regression" else 1.0
    rows = [
        (-1, precision / scale**2, 0.0, 0.0, _NO_GUIDE_WEIGHT / len(_NO_GUIDE))
        for precision in _NO_GUIDE
    ]
    pulls = (*_PULLS, _FAR) if task == "multiclass" else _PULLS
    share = (1 - _NO_GUIDE_WEIGHT) / max(1, n_transforms * len(_TANGENTS))
    rows += [
        (
            transform,
            n_scored / (_TYPICAL * scale * tangent) ** 2,
            pull * scale,
            pull_sd * scale,
            share * weight,
        )
        for transform in range(n_transforms)
        for tangent in _TANGENTS
        for pull, pull_sd, weight in pulls
    ]
    transform, precision, pull, pull_sd, weight = (
        np.array(v) for v in zip(*rows, strict=True)
    )
    log_prior = np.log(weight / weight.sum())
    table = Hypotheses(
        transform, precision, pull, pull_sd, np.ones(len(rows)), log_prior
    )
    if task != "regression":
        return table
    number = np.tile(np.arange(len(rows)), len(_NOISES))
    return replace(
        table[number],
        noise=np.repeat(_NOISES, len(rows)),
        log_prior=log_prior[number] - np.log(len(_NOISES)),
    )


def directions(
    scores: np.ndarray, transforms: Sequence[Callable[[np.ndarray], np.ndarray]]
) -> np.ndarray:
    """Turn scores into unit vectors, one for every transform and output.

    Shapes: scores (n_outputs, n_columns); returns (n_transforms, n_outputs,
    n_columns).
    """
    filled = np.nan_to_num(scores)
    known = ~np.isnan(scores)
    table = np.stack([[t(row) for row in filled] for t in transforms]) * known
    length = np.linalg.norm(table, axis=2, keepdims=True)
    return np.divide(table, length, out=np.zeros_like(table), where=length > 0)
