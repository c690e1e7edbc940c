"""Wrong priors: what a method makes of scores that speak against the data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.data.datasets import Dataset
from benchmarks.methods.baselines import Fit, Predictor
from llmreg.prior import FeaturePrior

#: Makes another prior of a prior and a seed.
Change = Callable[[FeaturePrior, int], FeaturePrior]


def flipped(prior: FeaturePrior, seed: int) -> FeaturePrior:
    """Turn the sign of every score, as an expert does who mistook the classes."""
    estimates = None if prior.estimates is None else -prior.estimates
    return replace(prior, scores=-prior.scores, estimates=estimates)


def shuffled(prior: FeaturePrior, seed: int) -> FeaturePrior:
    """Deal the scores out anew between the features.

    What is dealt out are the columns of the encoded table: a level is a column like any
    other, for only so can a feature with levels swap with one without. The scores that
    a column has for several classes, and its estimates, stay together, so that nothing
    but the names is wrong.
    """
    # The second number keeps this apart from what a model draws from its seed.
    order = np.random.default_rng([seed, 1]).permutation(len(prior.features))
    estimates = None if prior.estimates is None else prior.estimates[:, :, order]
    return replace(prior, scores=prior.scores[:, order], estimates=estimates)


def misled(fit: Fit, change: Change) -> Fit:
    """Make a method that is given a wrong prior."""

    def fit_misled(
        dataset: Dataset, X: pd.DataFrame, y: pd.Series[Any], seed: int
    ) -> Predictor:
        wrong = replace(dataset, prior=change(dataset.prior, seed))
        return fit(wrong, X, y, seed)

    return fit_misled
