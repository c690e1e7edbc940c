"""Linear rivals that use the scores: LLM-Lasso, LLM-Select, and signs alone.

**LLM-Lasso** (Zhang et al. 2025, arXiv 2502.10648). The loss plus lambda times the sum
of q_j * abs(w_j), where the penalty factor of a feature is a power of its inverse
importance, q_j = I_j ** -eta, scaled to a mean of 1 over the features ("inverse
importance penalty factors"). The exponent is one of 0, 1, 2, 3, as in the authors'
code, and chosen by cross-validation; 0 is the plain lasso. Columns are standardised, as
there. It knows no signs: that is the method, and a prior with its signs turned is the
same prior.

What differs. The authors ask for penalty factors from 2 to 5, from 1 to 10 or the
like; here the importance is the absolute score, not below 1, so that a score of 0,
"tells nothing", is penalised ten times as much as the highest (at exponent 1). They
compare exponents by the error over all numbers of selected features; here exponent and
lambda together are those with the least log loss (squared error) on rows left out.
With more than two classes they have one factor per feature and a group penalty; here
every class has factors of its own, since there are scores for each.

**LLM-Select** (Jeong et al. 2024, arXiv 2407.02694). Features are ranked by what the
language model says of their importance ("LLM-Score"), and a model without any prior is
fitted on the first k. Here a feature's importance is its largest absolute score over
levels and classes. The paper's comparison on small tables goes through shares of the
features and fits logistic or ridge regression on each, its strength by
cross-validation; that is done here, and the share is chosen by the same
cross-validation, so that a share of 1 makes it `tuned_without_prior`. Where a class has
one row there is nothing to choose on: the share is 0.3, and C is 1.

**Sign constraints**. What is left of the scores when their sizes are forgotten: the
model of `tuned_without_prior`, with weights held at or above 0 where the score is
positive, at or below 0 where it is negative, and free where it is 0. With more than two
classes the constraint holds for the weight of every class.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import RidgeCV

from benchmarks.data.datasets import Dataset
from benchmarks.methods.baselines import INVERSE_STRENGTHS, FloatArray, Predictor
from benchmarks.methods.solver import Penalty, predict, solve
from benchmarks.methods.tuning import Problem, chosen, prepare, ridge_strengths

EXPONENTS = (0, 1, 2, 3)
#: lambda as a share of the least one at which all weights are 0.
LAMBDAS = np.logspace(0, -3, 13)
_LEAST_IMPORTANCE = 1.0
#: Exponent and share where a class has one row: chosen on the development tables.
_UNTUNED_LASSO = (1, 0.5)


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
    every = penalties(problem, EXPONENTS, LAMBDAS)
    penalty = chosen(problem, lambda rows: every, seed)
    if penalty is None:
        penalty = penalties(
            problem, _UNTUNED_LASSO[:1], np.array(_UNTUNED_LASSO[1:])
        ).only(0)
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


FEATURE_SHARES = (0.1, 0.2, 0.3, 0.5, 0.7, 1.0)
#: Every second strength of `tuned_without_prior`, for there are six times as many fits.
_STRENGTHS = INVERSE_STRENGTHS[::2]
_UNTUNED_SHARE = 0.3
_UNTUNED_C = 1.0


def fit_llm_select(
    dataset: Dataset, X: pd.DataFrame, y: pd.Series[Any], seed: int
) -> Predictor:
    """Fit a linear model on the features with the top scores."""
    problem = prepare(dataset, X, y)
    feature, importance = importances(problem.encoder, problem.scores)
    kept = np.array([_top(feature, importance, share) for share in FEATURE_SHARES])
    if problem.task == "regression":
        return _ridge(problem, kept)

    def grid(rows: int) -> Penalty:
        # A weight between 0 and 0 is a column left out.
        bound = np.where(kept, np.inf, 0).T.repeat(len(_STRENGTHS), axis=1)[:, :, None]
        strengths = np.tile(1 / (_STRENGTHS * rows), len(FEATURE_SHARES))[None, :, None]
        return Penalty(l2=strengths, lower=-bound, upper=bound)

    penalty = chosen(problem, grid, seed)
    if penalty is None:
        share, strength = FEATURE_SHARES.index(_UNTUNED_SHARE), _UNTUNED_C
        best = share * len(_STRENGTHS) + int(np.abs(_STRENGTHS - strength).argmin())
        penalty = grid(len(problem.y)).only(best)
    return problem.fit(penalty)


def importances(
    encoder: ColumnTransformer, scores: FloatArray
) -> tuple[list[str], dict[str, float]]:
    """Return which feature each column belongs to, and how important it is."""
    (_, _, numeric), (_, onehot, categorical) = encoder.transformers_[:2]
    feature = list(numeric)
    for name, levels in zip(
        categorical, getattr(onehot, "categories_", ()), strict=True
    ):
        feature += [name] * len(levels)
    importance: dict[str, float] = {}
    for name, score in zip(feature, np.abs(scores).max(axis=1), strict=True):
        importance[name] = max(importance.get(name, 0.0), float(score))
    return feature, importance


def _top(feature: list[str], importance: dict[str, float], share: float) -> Any:
    """Return which columns belong to the most important share of the features."""
    ranked = sorted(importance, key=lambda name: -importance[name])
    chosen = set(ranked[: max(1, round(share * len(ranked)))])
    return np.array([name in chosen for name in feature])


def _ridge(problem: Problem, kept: Any) -> Predictor:
    """Choose share and strength by leaving out one row at a time, which is exact."""
    models = [
        RidgeCV(alphas=1 / INVERSE_STRENGTHS).fit(problem.X[:, mask], problem.y[:, 0])
        for mask in kept
    ]
    best = int(np.argmax([model.best_score_ for model in models]))
    model, mask = models[best], kept[best]
    return lambda rows: problem.finish(
        model.predict(problem.table(rows)[:, mask])[:, None]
    )


#: C is 1 where there is nothing to validate on, as without a prior.
_UNTUNED_SIGNS = int(np.argmin(np.abs(INVERSE_STRENGTHS - 1)))


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
        penalty = grid(len(problem.y)).only(_UNTUNED_SIGNS)
    return problem.fit(penalty)
