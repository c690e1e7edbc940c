"""What targets scatter by around a model, as far as few rows tell it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.stats import t

# What is known of the noise before a row is seen: the rows that it is worth, and the
# share of the variance of a standardised target.
_WORTH, SHARE = 3.0, 0.3
# The same of counts: how many times as much as by Poisson's law they vary.
_DISPERSION = 2.0


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


def learn_dispersion(
    y: np.ndarray,
    row_weight: np.ndarray,
    mean: np.ndarray,
    variance: np.ndarray,
    assumed: Noise,
) -> Noise:
    """Learn how many times as far as by Poisson's law counts scatter, 1 at least.

    `variance` is that of the logarithms of the means, if it is as `assumed`.
    """
    expected = row_weight * mean
    ratio = float(np.sum((row_weight * (y - mean)) ** 2) / expected.sum())
    # How far a square tells it, in squares of a normal outcome: few counts tell little.
    count = float(np.sum(2 * expected / (1 + 2 * expected)))
    used = float(expected @ variance) / assumed.variance
    freedom = _WORTH + count - min(used, 0.9 * count)
    return Noise(max(1.0, (count * ratio + _WORTH * _DISPERSION) / freedom), freedom)
