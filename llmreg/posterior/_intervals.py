"""Intervals of probabilities, from logits that are not certain."""

from __future__ import annotations

from numbers import Real

import numpy as np
from scipy.special import betainc, expit, ndtri, softmax
from sklearn.utils import check_scalar

# Draws from the logits of many classes, and rows that are turned into them at a time.
_N_DRAWS, _BLOCK = 1_000, 512
# Means of a count that stand for all, and halvings of where its end may be.
_N_MEANS, _N_HALVINGS = 50, 60
# So little more than 1 a dispersion is 1.
_LEAST_EXCESS = 1e-3


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
