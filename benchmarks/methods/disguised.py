"""Methods that get the answer to a disguised questionnaire for a prior.

There is one answer to each disguise, so that the fair opponent is not the recorded
prior, the mean of five, but one of the five: which one, the seed of the draw says, so
that no single lucky or unlucky answer stands for all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.data.datasets import Dataset
from benchmarks.data.disguise import FOLDER, read_disguised
from benchmarks.methods.baselines import (
    Fit,
    Method,
    Predictor,
    exponential,
    prior_alone,
)
from benchmarks.methods.estimators import laat
from benchmarks.methods.misled import misled, shuffled
from llmreg.prior import FeaturePrior

#: What the tables call the disguises: by what was left to answer from.
WORDS: Mapping[str, str] = {
    "again": "asked again",
    "names": "names only",
    "hidden": "descriptions only",
    "swapped": "two names swapped",
    "neutral": "layout only",
}
ONE = "one estimate"
#: Gives the prior of a data set; the seed is that of the draw.
Choice = Callable[[Dataset, int], FeaturePrior]


class NotAskedError(LookupError):
    """A data set about which no disguised questionnaire was answered."""


def one_estimate(prior: FeaturePrior, seed: int) -> FeaturePrior:
    """Take one of the estimates of a prior for all of it.

    Every method of a draw takes the same, by its seed.
    """
    if prior.estimates is None:
        return prior
    # The second number keeps this apart from what else is drawn from the seed.
    number = int(np.random.default_rng([seed, 2]).integers(len(prior.estimates)))
    estimates = prior.estimates[[number]]
    return replace(prior, scores=estimates[0], estimates=estimates)


def recorded_estimate(dataset: Dataset, seed: int) -> FeaturePrior:
    """Take one of the recorded estimates of a data set."""
    return one_estimate(dataset.prior, seed)


def answered(variant: str) -> Choice:
    """Choose the answer to a disguised questionnaire.

    It raises NotAskedError where there is no answer.
    """

    def choose(dataset: Dataset, seed: int) -> FeaturePrior:
        if not (FOLDER / variant / f"{dataset.name}.json").exists():
            raise NotAskedError(
                f"No {variant!r} questionnaire about {dataset.name!r} was answered."
            )
        return read_disguised(dataset.name, variant)

    return choose


def informed(fit: Fit, choose: Choice) -> Fit:
    """Make a method that is given another prior than the recorded one."""

    def fit_informed(
        dataset: Dataset, X: pd.DataFrame, y: pd.Series[Any], seed: int
    ) -> Predictor:
        return fit(replace(dataset, prior=choose(dataset, seed)), X, y, seed)

    return fit_informed


def _methods() -> dict[str, Method]:
    """List the methods in the order of the tables."""
    alone = prior_alone(exponential)
    linear = laat(gamma="auto")
    sources: dict[str, Choice] = {ONE: recorded_estimate}
    sources |= {words: answered(variant) for variant, words in WORDS.items()}
    layout = f"default linear, {WORDS['neutral']}"
    found = {
        f"prior alone, exp, {name}": Method(informed(alone, choose), False)
        for name, choose in sources.items()
        if name in (ONE, WORDS["neutral"])
    }
    found |= {
        f"default linear, {name}": Method(informed(linear, choose), imports=("llmreg",))
        for name, choose in sources.items()
    }
    # The same scores without what recognising the table may have put into them.
    found[f"{layout}, shuffled"] = Method(
        informed(misled(linear, shuffled), answered("neutral")), imports=("llmreg",)
    )
    return found


DISGUISED: Mapping[str, Method] = _methods()
