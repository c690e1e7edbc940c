"""What targets scatter by around a model, as far as few rows tell it."""

from typing import NamedTuple

import numpy as np
from scipy.stats import t

# What is known of the noise before a row is seen: the rows that it is worth, and the
# share of the variance of a standardised target.
_WORTH, SHARE = 3.0, 0.3


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
