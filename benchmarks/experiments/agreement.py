"""How far answers agree: with one another, and with a model that has seen all rows.

Scores and coefficients are tables of shape (n_outputs, n_features); all functions
are pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

FloatArray = NDArray[np.float64]


def pearson(a: FloatArray, b: FloatArray) -> float:
    """Give the correlation of two tables. NaN where one of them is constant."""
    return cosine(a - a.mean(), b - b.mean())


def spearman(a: FloatArray, b: FloatArray) -> float:
    """Give the rank correlation of two tables. NaN where one of them is constant."""
    return pearson(rankdata(a, axis=None), rankdata(b, axis=None))


def cosine(a: FloatArray, b: FloatArray) -> float:
    """Give the cosine between two tables. NaN where one of them is zero throughout."""
    norm = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float((a * b).sum()) / norm if norm > 0 else float("nan")


_MEASURES: dict[str, Callable[[FloatArray, FloatArray], float]] = {
    "pearson": pearson,
    "spearman": spearman,
    "cosine": cosine,
}


def between_estimates(estimates: FloatArray) -> dict[str, float]:
    """Tell how far the answers of one model agree with one another.

    The estimates have the shape (n_estimates, n_outputs, n_features). Correlations are
    means over the pairs that can be compared; "spread" is the standard deviation over
    the estimates, averaged over all scores. Empty for a single estimate.
    """
    if len(estimates) < 2:
        return {}
    pairs = list(combinations(estimates, 2))
    found = {
        name: _mean([measure(a, b) for a, b in pairs])
        for name, measure in _MEASURES.items()
    }
    return found | {"spread": float(estimates.std(axis=0).mean())}


def with_coefficients(scores: FloatArray, coefficients: FloatArray) -> dict[str, float]:
    """Tell how far scores agree with the coefficients of a model of all rows.

    "opinions": share of the scores that are not zero. "sign": share of equal signs
    among those that have a coefficient, which is exactly zero where no row has the
    level; "sign_weighted": the same, each counted by the size of its coefficient.
    "size": rank correlation of the absolute values, over all that have a coefficient.
    """
    both = (scores != 0) & (coefficients != 0)
    agreed = np.sign(scores[both]) == np.sign(coefficients[both])
    weights = np.abs(coefficients[both])
    seen = coefficients != 0
    total = float(weights.sum())
    return {
        "opinions": float((scores != 0).mean()),
        "sign": float(agreed.mean()) if agreed.size else float("nan"),
        "sign_weighted": float(weights[agreed].sum()) / total if total else np.nan,
        "size": spearman(np.abs(scores[seen]), np.abs(coefficients[seen])),
    }


def subsets(n: int) -> Iterator[tuple[int, ...]]:
    """List the subsets of some estimates, the smaller first; none is empty."""
    for size in range(1, n + 1):
        yield from combinations(range(n), size)


def _mean(values: list[float]) -> float:
    """Average what is known."""
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else float("nan")
