"""How far outcomes scatter, and intervals of probabilities that are not certain."""

from numbers import Real
from typing import NamedTuple

import numpy as np
from scipy.special import expit, ndtri, softmax
from scipy.stats import t
from sklearn.utils import check_scalar

# What is known of the noise before a row is seen: the rows that it is worth, and the
# share of the variance of a standardised target.
_WORTH, SHARE = 3.0, 0.3
# Draws from the logits of many classes, and rows that are turned into them at a time.
_N_DRAWS, _BLOCK = 1_000, 512


class Noise(NamedTuple):
    """The variance of the noise, and the degrees of freedom it is known with."""

    variance: float
    freedom: float

    def quantile(self, level: float) -> float:
        """Return how many standard deviations of an outcome an interval goes."""
        shrink = np.sqrt((self.freedom - 2) / self.freedom)
        return float(t.ppf((1 + level) / 2, self.freedom) * shrink)


def learn_noise(
    gap: np.ndarray, row_weight: np.ndarray, variance: np.ndarray, assumed: float
) -> Noise:
    """Learn the noise from what a model leaves over of the rows it was trained on.

    `variance` is that of the model's outputs, if the noise is as `assumed`.
    """
    count = float(row_weight.sum())
    # What the model took from the rows, in rows.
    used = min(float(row_weight @ variance) / assumed, 0.9 * count)
    freedom = _WORTH + count - used
    square = float(row_weight @ gap**2) + _WORTH * SHARE
    return Noise(square / (freedom - 2), freedom)


def check_level(level: float) -> None:
    """Raise ValueError unless a number is a probability of an interval."""
    check_scalar(
        level, "level", Real, min_val=0, max_val=1, include_boundaries="neither"
    )


def probability_interval(
    logits: np.ndarray, deviation: np.ndarray, level: float
) -> np.ndarray:
    """Return the ends of probabilities, of shape (n_rows, n_classes, 2).

    Logits and their standard deviations have shape (n_rows, n_classes), or one column
    where there are two classes.
    """
    tails = np.array([(1 - level) / 2, (1 + level) / 2])
    if logits.shape[1] == 1:
        second = expit(logits + deviation * ndtri(tails))
        return np.stack([1 - second[:, ::-1], second], axis=1)
    # The same for every row, so that a row does not depend on those beside it.
    draws = np.random.default_rng(0).normal(size=(_N_DRAWS, logits.shape[1]))
    ends = np.empty((*logits.shape, 2))
    for start in range(0, len(logits), _BLOCK):
        rows = slice(start, start + _BLOCK)
        drawn = softmax(logits[rows] + deviation[rows] * draws[:, None], axis=2)
        ends[rows] = np.moveaxis(np.quantile(drawn, tails, axis=0), 0, -1)
    return ends
