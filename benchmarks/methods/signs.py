"""Sign constraints alone: each weight has the sign of its score, or none at all.

What is left of the scores when their sizes are forgotten. It is the model of
`tuned_without_prior` (logistic or ridge regression, its strength chosen the same way),
with weights held at or above 0 where the score is positive, at or below 0 where it is
negative, and free where it is 0. With more than two classes the constraint holds for
the weight of every class.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from benchmarks.data.datasets import Dataset
from benchmarks.methods.baselines import INVERSE_STRENGTHS, Predictor
from benchmarks.methods.solver import Penalty
from benchmarks.methods.tuning import chosen, prepare, ridge_strengths

#: C is 1 where there is nothing to validate on, as without a prior.
_UNTUNED = int(np.argmin(np.abs(INVERSE_STRENGTHS - 1)))


def fit_signs(
    dataset: Dataset, X: pd.DataFrame, y: pd.Series[Any], seed: int
) -> Predictor:
    """Fit a linear model whose weights have the signs of the scores."""
    problem = prepare(dataset, X, y)
    scores = problem.scores[:, None, :]
    lower, upper = np.where(scores > 0, 0, -np.inf), np.where(scores < 0, 0, np.inf)

    def grid(rows: int) -> Penalty:
        return Penalty(l2=ridge_strengths(rows), lower=lower, upper=upper)

    penalty = chosen(problem, grid, seed)
    if penalty is None:
        penalty = grid(len(problem.y)).only(_UNTUNED)
    return problem.fit(penalty)
