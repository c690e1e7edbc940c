"""A library of models that lean on the scores more or less, stacked out of fold.

After Statsformer (Zhang et al. 2026, arXiv 2601.21410). What a language model says of
the importance of a feature, to the power of a temperature, is how likely boosting is to
look at the column, and by how much less a linear model shrinks its weight; at
temperature 0 a member knows nothing of the scores. Members are weighed by their
predictions of rows left out, so that the scores count for as much as they helped there.

What differs. The importance is the absolute score, the largest over the classes, as a
share of the highest: signs are not used, there as here. The library is boosting
(XGBoost, 50 rounds, half of the columns at each node) and logistic or ridge regression
at two strengths; the authors have kernel machines and forests besides, and choose the
strength of the lasso within. The weights are those of the convex combination with the
least log loss (squared error) out of fold, which is what the authors' guarantee speaks
of; they fit a non-negative logistic regression (an elastic net). Where a class has one
row nothing can be left out, and all members count the same.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import nnls
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import KFold, StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from benchmarks.data.datasets import Dataset
from benchmarks.methods.baselines import FloatArray, Predictor
from benchmarks.methods.tuning import Problem, prepare

TEMPERATURES = (0, 1, 2)
_STRENGTHS = (0.01, 1.0)
_FOLDS = 5
#: Not even a feature that tells nothing is never looked at.
_LEAST = 0.01


def fit_statsformer(
    dataset: Dataset, X: pd.DataFrame, y: pd.Series[Any], seed: int
) -> Predictor:
    """Fit the library, and weigh its members."""
    problem = prepare(dataset, X, y, standardised=True)
    is_regression = problem.task == "regression"
    # The positive class of two is the second, and every class has its own column.
    target = problem.y[:, 0]
    if problem.task == "multiclass":
        target = problem.y.argmax(axis=1)
    members = library(problem, seed)
    how = "predict" if is_regression else "predict_proba"
    left_out = []
    number = len(y) if is_regression else int(y.value_counts().min())
    if number > 1:
        kind: Any = KFold if is_regression else StratifiedKFold
        folds = kind(min(_FOLDS, number), shuffle=True, random_state=seed)
        left_out = [
            cross_val_predict(member, problem.X, target, cv=folds, method=how)
            for member in members
        ]
    weights = combination(left_out, target, len(members))
    for member in members:
        member.fit(problem.X, target)

    def predict(rows: pd.DataFrame) -> FloatArray:
        table = problem.table(rows)
        mean = sum(
            weight * getattr(member, how)(table)
            for weight, member in zip(weights, members, strict=True)
        )
        found = np.asarray(mean, dtype=np.float64).reshape(len(rows), -1)
        return problem.finish(found[:, 1:] if problem.task == "binary" else found)

    return predict


def library(problem: Problem, seed: int) -> list[Any]:
    """Make the members, those that know nothing of the scores first."""
    from xgboost import XGBClassifier, XGBRegressor

    is_regression = problem.task == "regression"
    importance = np.abs(problem.scores).max(axis=1)
    importance = importance / (importance.max() or 1.0) + _LEAST
    members: list[Any] = []
    for temperature in TEMPERATURES:
        weights = importance**temperature / (importance**temperature).mean()
        boosted = XGBRegressor if is_regression else XGBClassifier
        members.append(
            boosted(
                n_estimators=50,
                colsample_bynode=0.5,
                feature_weights=weights,
                n_jobs=1,
                random_state=seed,
                verbosity=0,
            )
        )
        # A column that is made larger needs a smaller weight, and is shrunk less.
        scaled = FunctionTransformer(_times, kw_args={"weights": weights})
        members += [
            make_pipeline(
                scaled,
                Ridge(alpha=1 / strength)
                if is_regression
                else LogisticRegression(C=strength, max_iter=5000),
            )
            for strength in _STRENGTHS
        ]
    return members


def _times(table: FloatArray, weights: FloatArray) -> FloatArray:
    """Multiply columns."""
    return table * weights


def combination(
    left_out: list[FloatArray], target: FloatArray, members: int
) -> FloatArray:
    """Weigh members by their predictions of rows left out; the weights sum to 1.

    Numbers, or probabilities of every class; the same weight for all where there is
    none.
    """
    weights = np.full(members, 1 / members)
    if not left_out:
        return weights
    if left_out[0].ndim == 1:
        found, _ = nnls(np.column_stack(left_out), target)
        total = found.sum()
        return found / total if total > 0 else weights
    rows = np.arange(len(target))
    likely = [each[rows, target.astype(int)] for each in left_out]
    table = np.clip(np.column_stack(likely), 1e-9, 1)
    # Expectation-maximisation of the weights of a mixture never raises the log loss.
    for _ in range(200):
        shares = weights * table
        weights = (shares / shares.sum(axis=1, keepdims=True)).mean(axis=0)
    return weights
