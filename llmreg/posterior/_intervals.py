"""How far outcomes scatter, and intervals of probabilities that are not certain."""

from numbers import Real
from typing import NamedTuple

import numpy as np
from scipy.special import betainc, expit, ndtri, softmax
from scipy.stats import t
from sklearn.utils import check_scalar

# What is known of the noise before a row is seen: the rows that it is worth, and the
# share of the variance of a standardised target.
_WORTH, SHARE = 3.0, 0.3
# The same of counts: how many times as much as by Poisson's law they vary.
_DISPERSION = 2.0
# Draws from the logits of many classes, and rows that are turned into them at a time.
_N_DRAWS, _BLOCK = 1_000, 512
# Means of a count that stand for all, and halvings of where its end may be.
_N_MEANS, _N_HALVINGS = 50, 60
# So little more than 1 a dispersion is 1.
_LEAST_EXCESS = 1e-3


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


def count_deviation(
    mean: np.ndarray, deviation: np.ndarray, dispersion: float
) -> np.ndarray:
    """Return standard deviations of counts; the logarithms of their means have some."""
    mean = mean * np.exp(deviation**2 / 2)
    return np.sqrt(dispersion * mean + mean**2 * np.expm1(deviation**2))


def count_interval(
    logs: np.ndarray, deviation: np.ndarray, dispersion: float, level: float
) -> np.ndarray:
    """Return the ends of counts, of shape (n_rows, n_targets, 2).

    The logarithms of their means are normal, with these means and standard deviations.
    Around a mean counts are negative binomial, with the dispersion times the mean as
    their variance, which is Poisson's law for a dispersion of 1.
    """
    shares = (np.arange(_N_MEANS) + 0.5) / _N_MEANS
    means = np.exp(logs[..., None] + deviation[..., None] * ndtri(shares))
    excess = max(dispersion - 1, _LEAST_EXCESS)
    ends = []
    for tail in ((1 - level) / 2, (1 + level) / 2):
        # The end is above `low`, and `high` at most: the bound of Cantelli.
        top = means[..., -1]
        low, high = -np.ones_like(top), top + np.sqrt((1 + excess) * top / (1 - level))
        high = np.ceil(2 * high)
        for _ in range(_N_HALVINGS):
            if (high - low).max(initial=0.0) <= 1:
                break
            middle = np.floor((low + high) / 2)[..., None]
            found = betainc(means / excess, middle + 1, 1 / (1 + excess))
            is_above = found.mean(axis=-1) >= tail
            low = np.where(is_above, low, middle[..., 0])
            high = np.where(is_above, middle[..., 0], high)
        ends.append(high)
    return np.stack(ends, axis=-1)
