"""LLM-Select (Jeong et al. 2024, arXiv 2407.02694): the features with the top scores.

Features are ranked by what the language model says of their importance ("LLM-Score"),
and a model without any prior is fitted on the first k. Here a feature's importance is
its largest absolute score over levels and classes. The paper's comparison on small
tables goes through shares of the features and fits logistic or ridge regression on
each, its strength by cross-validation; that is done here, and the share is chosen by
the same cross-validation, so that a share of 1 makes it `tuned_without_prior`. Where a
class has one row there is nothing to choose on: the share is 0.3, and C is 1.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import RidgeCV

from benchmarks.data.datasets import Dataset
from benchmarks.methods.baselines import INVERSE_STRENGTHS, FloatArray, Predictor
from benchmarks.methods.solver import Penalty
from benchmarks.methods.tuning import Problem, chosen, prepare

SHARES = (0.1, 0.2, 0.3, 0.5, 0.7, 1.0)
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
    kept = np.array([_top(feature, importance, share) for share in SHARES])
    if problem.task == "regression":
        return _ridge(problem, kept)

    def grid(rows: int) -> Penalty:
        # A weight between 0 and 0 is a column left out.
        bound = np.where(kept, np.inf, 0).T.repeat(len(_STRENGTHS), axis=1)[:, :, None]
        strengths = np.tile(1 / (_STRENGTHS * rows), len(SHARES))[None, :, None]
        return Penalty(l2=strengths, lower=-bound, upper=bound)

    penalty = chosen(problem, grid, seed)
    if penalty is None:
        share, strength = SHARES.index(_UNTUNED_SHARE), _UNTUNED_C
        best = share * len(_STRENGTHS) + int(np.abs(_STRENGTHS - strength).argmin())
        penalty = grid(len(problem.y)).only(best)
    return problem.fit(penalty)


def importances(
    encoder: ColumnTransformer, scores: FloatArray
) -> tuple[list[str], dict[str, float]]:
    """Tell which feature each column belongs to, and how important it is."""
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
    """Tell which columns belong to the most important share of the features."""
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
