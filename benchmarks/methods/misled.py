"""Wrong priors: what a method makes of scores or curves that speak against the data."""

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
    """Turn the sign of all that is said, as an expert does who mistook the classes."""
    estimates = None if prior.estimates is None else -prior.estimates
    outputs = range(len(prior.outputs))
    curves = {name: each.take(outputs, -1.0) for name, each in prior.curves.items()}
    return replace(prior, scores=-prior.scores, estimates=estimates, curves=curves)


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


def dealt(prior: FeaturePrior, seed: int) -> FeaturePrior:
    """Deal the curves out anew between the numeric features, and levels' effects.

    A curve is stretched over the typical range of the feature that gets it; effects of
    levels may go to those of another feature.
    """
    rng = np.random.default_rng([seed, 2])
    numeric = list(prior.curves)
    levels = [key for key in prior.features if key not in prior.curves]
    source = {
        str(key): str(other)
        for keys in (numeric, levels)
        for key, other in zip(keys, rng.permutation(keys), strict=True)
    }
    curves = {}
    for name in numeric:
        low, high = _span(prior, name)
        old_low, old_high = _span(prior, source[name])
        factor = (high - low) / (old_high - old_low)
        curve = prior.curves[source[name]]
        curves[name] = curve.rescale(factor, low - factor * old_low)
    order = [prior.features.index(source[key]) for key in prior.features]
    estimates = None if prior.estimates is None else prior.estimates[:, :, order]
    scores = prior.scores[:, order]
    return replace(prior, scores=scores, estimates=estimates, curves=curves)


def _span(prior: FeaturePrior, name: str) -> tuple[float, float]:
    """Give the ends of the typical range of a feature, or else of its curve."""
    typical, values = prior.ranges.get(name), prior.curves[name].values
    if typical is not None and typical.low < typical.high:
        return typical.low, typical.high
    return float(values[0]), float(values[-1])


def half_noise(prior: FeaturePrior, seed: int) -> FeaturePrior:
    """Draw all effects of half of the features anew, evenly from -6 to 6."""
    rng = np.random.default_rng([seed, 3])
    feature_of = [key.partition("=")[0] for key in prior.features]
    names = list(dict.fromkeys(feature_of))
    chosen = rng.permutation(names)[: -(-len(names) // 2)]
    curves = {
        name: replace(curve, effects=rng.uniform(-6, 6, curve.effects.shape))
        if name in chosen
        else curve
        for name, curve in prior.curves.items()
    }
    is_noise = np.isin(feature_of, chosen)
    drawn = rng.uniform(-6, 6, prior.scores.shape)
    scores = np.where(is_noise, drawn, prior.scores)
    noisy = replace(prior, scores=scores, curves=curves)
    if prior.estimates is None:
        return noisy
    # All answers agree in the noise.
    estimates = np.where(is_noise, noisy.scores, prior.estimates)
    return replace(noisy, estimates=estimates)


def misled(fit: Fit, change: Change) -> Fit:
    """Make a method that is given a wrong prior."""

    def fit_misled(
        dataset: Dataset, X: pd.DataFrame, y: pd.Series[Any], seed: int
    ) -> Predictor:
        wrong = replace(dataset, prior=change(dataset.prior, seed))
        return fit(wrong, X, y, seed)

    return fit_misled
