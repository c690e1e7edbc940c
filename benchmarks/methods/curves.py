"""Methods that are given the recorded curves in the place of the scores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache, partial
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.data.datasets import Dataset
from benchmarks.data.knowledge import recorded_knowledge
from benchmarks.data.thinning import find_rule
from benchmarks.methods.baselines import (
    Fit,
    FloatArray,
    Method,
    Predictor,
    on_the_scale_of,
    tuned_without_prior,
)
from benchmarks.methods.estimators import laat
from benchmarks.methods.misled import dealt, flipped, half_noise, misled
from llmreg.prior import FeaturePrior

_knowledge = cache(recorded_knowledge)


def knowing(fit: Fit) -> Fit:
    """Make a method whose prior is the recorded knowledge about its table."""

    def fit_knowing(
        dataset: Dataset, X: pd.DataFrame, y: pd.Series[Any], seed: int
    ) -> Predictor:
        return fit(replace(dataset, prior=_knowledge(dataset.name)), X, y, seed)

    return fit_knowing


def effects(prior: FeaturePrior, X: pd.DataFrame) -> FloatArray:
    """Look up what every value of a row does; (n_rows, n_columns, n_outputs)."""
    place = {key: number for number, key in enumerate(prior.features)}
    found = np.zeros((len(X), X.shape[1], len(prior.outputs)))
    for number, (name, column) in enumerate(X.items()):
        if name in prior.curves:
            found[:, number] = prior.curves[str(name)](column).T
            continue
        keys = [place[f"{name}={level}"] for level in column.cat.categories]
        found[:, number] = np.nan_to_num(prior.scores[:, keys])[:, column.cat.codes].T
    return found


def fit_sum(
    dataset: Dataset, X: pd.DataFrame, y: pd.Series[Any], seed: int
) -> Predictor:
    """Sum the effects of a prior with curves; trained as little as `prior_alone`."""

    def score(rows: pd.DataFrame) -> FloatArray:
        sums = effects(dataset.prior, rows).sum(axis=1)
        return sums if dataset.task == "multiclass" else sums[:, 0]

    if dataset.kind == "regression":
        return on_the_scale_of(y.to_numpy(), score, X)
    return score


#: The default with curves, and what they are worth alone.
CURVES: Mapping[str, Method] = {
    "sum of the curves": Method(knowing(fit_sum), probabilities=False),
    "default linear, curves": Method(knowing(laat()), imports=("llmreg",)),
    "default MLP, curves": Method(
        knowing(laat(hidden_layer_sizes=(100,))), imports=("llmreg",)
    ),
}


def declaring(whole: bool, with_rate: bool = False) -> Fit:
    """Make a method that is told along which column rows were removed, or "all".

    And, if asked to, how frequent the positive class is in the whole table.
    """

    def fit(
        dataset: Dataset, X: pd.DataFrame, y: pd.Series[Any], seed: int
    ) -> Predictor:
        told: dict[str, Any] = {"biased_features": "all"}
        if not whole:
            told["biased_features"] = [find_rule(dataset.name).feature]
        if with_rate:
            rate = float((dataset.y == dataset.positive).mean())
            told["base_rate"] = {dataset.positive: rate}
        return laat(**told)(dataset, X, y, seed)

    return fit


#: What is declared of rows that are no fair sample; for tables of `thinning.py`.
DECLARED: Mapping[str, Method] = {
    f"default linear, curves, {name}": Method(
        knowing(declaring(*told)), imports=("llmreg",)
    )
    for name, told in {
        "feature declared": (False,),
        "feature and base rate declared": (False, True),
        "all declared": (True,),
    }.items()
}
#: Curves that speak against the data, and what they must not fall behind.
MISLED_CURVES: Mapping[str, Method] = {
    "no prior, tuned, standardised": Method(
        partial(tuned_without_prior, standardised=True)
    ),
    **{
        f"default linear, {name}": Method(
            knowing(misled(laat(), change)), imports=("llmreg",)
        )
        for name, change in {
            "flipped curves": flipped,
            "dealt curves": dealt,
            "half noise": half_noise,
        }.items()
    },
}
