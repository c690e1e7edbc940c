"""LLM-Lasso (Zhang et al. 2025, arXiv 2502.10648): an L1 penalty weighed by the scores.

The paper's loss plus lambda times the sum of q_j * abs(w_j), where the penalty factor
of a feature is a power of its inverse importance, q_j = I_j ** -eta, scaled to a mean
of 1 over the features ("inverse importance penalty factors"). The exponent is one of
0, 1, 2, 3, as in the authors' code, and chosen by cross-validation; 0 is the plain
lasso. Columns are standardised, as there. It knows no signs: that is the method, and a
prior with its signs turned is the same prior.

What differs. The authors ask for penalty factors from 2 to 5, from 1 to 10 or the
like; here the importance is the absolute score, not below 1, so that a score of 0,
"tells nothing", is penalised ten times as much as the highest (at exponent 1). They
compare exponents by the error over all numbers of selected features; here exponent and
lambda together are those with the least log loss (squared error) on rows left out.
With more than two classes they have one factor per feature and a group penalty; here
every class has factors of its own, since there are scores for each.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from benchmarks.data.datasets import Dataset
from benchmarks.methods.baselines import FloatArray, Predictor
from benchmarks.methods.solver import Penalty, predict, solve
from benchmarks.methods.tuning import Problem, chosen, prepare

EXPONENTS = (0, 1, 2, 3)
#: lambda as a share of the least one at which all weights are 0.
SHARES = np.logspace(0, -3, 13)
_LEAST_IMPORTANCE = 1.0
#: Exponent and share where a class has one row: chosen on the development tables.
_UNTUNED = (1, 0.5)


def penalty_factors(scores: FloatArray, exponent: float) -> FloatArray:
    """Turn scores into penalty factors.

    Of shape (n_columns, n_outputs), their mean over the columns 1; exponent 0 makes all
    of them 1.
    """
    factors: FloatArray = np.maximum(np.abs(scores), _LEAST_IMPORTANCE) ** -exponent
    return factors / factors.mean(axis=0)


def fit_llm_lasso(
    dataset: Dataset, X: pd.DataFrame, y: pd.Series[Any], seed: int
) -> Predictor:
    """Fit LLM-Lasso."""
    problem = prepare(dataset, X, y, standardised=True)
    every = penalties(problem, EXPONENTS, SHARES)
    penalty = chosen(problem, lambda rows: every, seed)
    if penalty is None:
        penalty = penalties(problem, _UNTUNED[:1], np.array(_UNTUNED[1:])).only(0)
    return problem.fit(penalty)


def penalties(
    problem: Problem, exponents: tuple[float, ...], shares: FloatArray
) -> Penalty:
    """Make the penalties of all exponents and values of lambda.

    `shares` are values of lambda as shares of the least one at which all weights are 0.
    One problem for every pair, the shares of the first exponent first.
    """
    X, y, task = problem.X, problem.y, problem.task
    empty = solve(X, y, task, Penalty(lower=0.0, upper=0.0))
    pull = np.abs(X.T @ (predict(X, empty, task)[:, 0] - y)) / len(y)
    every = []
    for exponent in exponents:
        factors = penalty_factors(problem.scores, exponent)
        largest = (pull / factors).max()
        every.append(factors[:, None, :] * (largest * shares)[None, :, None])
    return Penalty(l1=np.concatenate(every, axis=1))
