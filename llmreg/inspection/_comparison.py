"""The same estimator with its prior, settled once, and without."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sklearn.base import clone
from sklearn.pipeline import Pipeline

from llmreg._base import BaseAttributionEstimator
from llmreg.exceptions import PriorError, PriorMismatchWarning
from llmreg.linear_model._trust import has_opinion
from llmreg.prior._feature_prior import FeaturePrior
from llmreg.providers._resolve import prior_source


def last_step(estimator: Any) -> BaseAttributionEstimator:
    """Find the estimator of llmreg in what may be a pipeline around it.

    Raises TypeError if there is none.
    """
    model = estimator
    while isinstance(model, Pipeline):
        model = model[-1]
    if not isinstance(model, BaseAttributionEstimator):
        raise TypeError(
            "An LLMAttributionClassifier or LLMAttributionRegressor is needed, or a "
            f"pipeline whose last step is one; got {type(model).__name__}. Of a search "
            "give best_estimator_."
        )
    return model


def settle(estimator: Any, X: Any, y: Any) -> FeaturePrior:
    """Get the prior of an estimator for a table, once; nothing is trained.

    Shapes: X (n_samples, n_features), y (n_samples,) or (n_samples, n_targets).

    Raises PriorError if there is no prior, or none that would be heard.

    Raises ProviderError if a provider gives none.
    """
    model = last_step(estimator)
    if prior_source(model.prior) is None or model.gamma == 0:
        raise PriorError(
            f"There is nothing to compare: this {type(model).__name__} has prior=None, "
            "or gamma=0, with which a prior is not heard. Give it a prior."
        )
    # The names are those that reach the last step.
    inner = clone(estimator)
    while isinstance(inner, Pipeline):
        X = inner[:-1].fit_transform(X, y) if len(inner) > 1 else X
        inner = inner[-1]
    prior = inner.elicit_prior(X, y)
    if not has_opinion(prior):
        reason = prior.provenance.get("error", "every score is 0 or absent")
        raise PriorError(f"There is no prior, so nothing to compare: {reason}.")
    return prior


def with_prior(estimator: Any, prior: FeaturePrior | None) -> Any:
    """Return an unfitted copy of an estimator that has another prior."""
    copy = clone(estimator)
    last_step(copy).set_params(prior=prior)
    return copy


@contextmanager
def without_mismatch_warnings() -> Iterator[None]:
    """Keep quiet that a part of a table lacks levels that all of it has."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PriorMismatchWarning)
        yield
