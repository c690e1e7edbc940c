"""Intervals of probabilities, from logits that are not certain."""

from numbers import Real

import numpy as np
from scipy.special import expit, ndtri, softmax
from sklearn.utils import check_scalar

# Draws from the logits of many classes, and rows that are turned into them at a time.
_N_DRAWS, _BLOCK = 1_000, 512


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
