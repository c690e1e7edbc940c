"""llmreg's own rows of the tables, and the two that it has to beat.

A row named after a gamma says all that it is; a row named "default" is what a user
gets who sets nothing, whatever that is in the version at hand.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.data.datasets import Dataset
from benchmarks.methods.baselines import (
    Fit,
    Method,
    Predictor,
    exponential,
    of_classes,
    prior_alone,
    tuned_without_prior,
)
from benchmarks.methods.misled import flipped, misled, shuffled

GAMMAS = (1, 10, 100)
#: What the tables call a score transform, and what the estimators call it.
TRANSFORMS = {"raw": "identity", "exp": "exp"}


#: The configuration of the code of the paper's authors.
REFERENCE: Mapping[str, Any] = {
    "gamma": 100.0,
    "score_transform": "exp",
    "solver": "adam",
    "learning_rate_init": 1e-2,
    "max_iter": 200,
    "alpha": 0.0,
    "scaler": "minmax",
}


def laat(row_weight: float | None = None, **parameters: Any) -> Fit:
    """Make a method of llmreg.

    `row_weight` is the weight of every row (`sample_weight`); the other parameters are
    those of the estimator.
    """

    def fit(
        dataset: Dataset, X: pd.DataFrame, y: pd.Series[Any], seed: int
    ) -> Predictor:
        import llmreg

        regression = dataset.kind == "regression"
        name = "LLMAttributionRegressor" if regression else "LLMAttributionClassifier"
        model = getattr(llmreg, name)(
            prior=dataset.prior, random_state=seed, device="cpu", **parameters
        )
        weight = None if row_weight is None else np.full(len(X), row_weight)
        model.fit(X, y, sample_weight=weight)
        if regression:
            return lambda rows: np.asarray(model.predict(rows), dtype=np.float64)
        return lambda rows: of_classes(dataset, model, rows)

    return fit


def _methods() -> dict[str, Method]:
    """List the methods in the order of the tables."""
    fits: dict[str, Fit] = {
        "LAAT linear (reference)": laat(**REFERENCE),
        "LAAT MLP (reference)": laat(hidden_layer_sizes=(100,), **REFERENCE),
    }
    for gamma in GAMMAS:
        for name, transform in TRANSFORMS.items():
            fits[f"LAAT linear, gamma {gamma}, {name}"] = laat(
                gamma=float(gamma), score_transform=transform, scaler="minmax"
            )
    # The paper's weight with the default scaling, to tell the two apart.
    fits["LAAT linear, gamma 100, exp, bounded"] = laat(
        gamma=100.0, score_transform="exp", scaler="bounded"
    )
    fits["LAAT MLP, gamma 100, exp"] = laat(
        gamma=100.0,
        score_transform="exp",
        scaler="minmax",
        hidden_layer_sizes=(100,),
    )
    fits["default linear"] = laat(gamma="auto")
    fits["default MLP"] = laat(gamma="auto", hidden_layer_sizes=(100,))
    for name in ("LAAT linear, gamma 100, exp", "default linear", "default MLP"):
        fits[f"{name}, flipped prior"] = misled(fits[name], flipped)
        fits[f"{name}, shuffled prior"] = misled(fits[name], shuffled)
    return {
        "no prior, tuned": Method(tuned_without_prior),
        "prior alone": Method(prior_alone(lambda scores: scores), probabilities=False),
        "prior alone, exp": Method(prior_alone(exponential), probabilities=False),
        **{name: Method(fit, imports=("llmreg",)) for name, fit in fits.items()},
    }


METHODS: Mapping[str, Method] = _methods()
#: Rows that count for a part of one each: what is left to do for a user who has reason
#: to think that rows are missing which are not missing by chance.
CAUTIOUS: Mapping[str, Method] = {
    f"{name}, rows at a tenth": Method(
        laat(row_weight=0.1, **parameters), imports=("llmreg",)
    )
    for name, parameters in {
        "default linear": {},
        "default MLP": {"hidden_layer_sizes": (100,)},
    }.items()
}
#: The rows that the plots show: as many as there are colours to tell them apart.
PLOTTED = (
    *("no prior, tuned", "prior alone", "prior alone, exp", "LAAT linear (reference)"),
    *("LAAT MLP (reference)", "LAAT linear, gamma 10, exp", "default linear"),
    *("default MLP",),
)
