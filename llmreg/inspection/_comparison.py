"""The same estimator with its prior, which is elicited once, and without."""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.base import clone, is_classifier
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.model_selection import (
    RepeatedKFold,
    RepeatedStratifiedKFold,
    cross_validate,
)
from sklearn.pipeline import Pipeline

from llmreg._base import BaseAttributionEstimator
from llmreg.exceptions import DataError, PriorError, PriorMismatchWarning
from llmreg.linear_model._trust import has_opinion
from llmreg.prior._feature_prior import FeaturePrior
from llmreg.providers._resolve import prior_source


def last_step(estimator: Any) -> BaseAttributionEstimator:
    """Return the estimator of llmreg, which may be the last step of a pipeline."""
    model = estimator
    while isinstance(model, Pipeline):
        model = model[-1]
    if not isinstance(model, BaseAttributionEstimator):
        raise TypeError(
            "The estimator must be an LLMAttributionClassifier or "
            "LLMAttributionRegressor, or a pipeline whose last step is one; got "
            f"{type(model).__name__}. Pass best_estimator_ of a search."
        )
    return model


def settle(estimator: Any, X: Any, y: Any) -> FeaturePrior:
    """Get the prior of an estimator for a table, once; nothing is trained.

    Raises PriorError if it has no prior, or none with a score other than 0.
    """
    model = last_step(estimator)
    if prior_source(model.prior) is None or model.gamma == 0:
        raise PriorError(
            f"There is nothing to compare: this {type(model).__name__} has prior=None "
            "or gamma=0, which ignores the prior. Give it a prior."
        )
    # The names are those that reach the last step.
    inner = clone(estimator)
    while isinstance(inner, Pipeline):
        X = inner[:-1].fit_transform(X, y) if len(inner) > 1 else X
        inner = inner[-1]
    inner._is_clone = model._is_clone  # the labels are those of the caller
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


WITH, WITHOUT, NOTHING = "with the prior", "without the prior", "no features"
N_FOLDS = 5
N_REPEATS = 2


# What is measured: names, and scorers of scikit-learn.
OF_CLASSES = {"Log loss": "neg_log_loss", "Accuracy": "accuracy"}
BINARY = {"ROC AUC": "roc_auc", **OF_CLASSES}
MULTICLASS = {"ROC AUC, one class to the rest": "roc_auc_ovr", **OF_CLASSES}
REGRESSION = {"R²": "r2", "Mean absolute error": "neg_mean_absolute_error"}


class Performance(NamedTuple):
    """Scores on the folds of a cross-validation, by way to predict and by metric.

    More is better: errors are negative.
    """

    metrics: dict[str, str]
    scores: dict[str, dict[str, np.ndarray]]
    n_samples: int
    n_splits: int
    n_repeats: int


def measure(
    estimator: Any,
    prior: FeaturePrior | None,
    X: Any,
    y: Any,
    *,
    random_state: int = 0,
    n_jobs: int | None = None,
) -> Performance:
    """Cross-validate copies of an estimator, with its prior and without.

    Raises DataError if there are too few rows, or labels that the model does not
    know.
    """
    model = last_step(estimator)
    is_class = is_classifier(model)
    n_rarest = _count_rarest(model, y) if is_class else len(y)
    n_splits = min(N_FOLDS, n_rarest)
    if n_splits < 2 or len(y) < 2 * n_splits:
        raise DataError(
            f"The table has {len(y)} rows, {n_rarest} of the rarest class. These are "
            "too few for a cross-validation, which needs 4 rows, 2 of each class."
        )
    metrics, splitter, dummy = REGRESSION, RepeatedKFold, DummyRegressor()
    if is_class:
        metrics = BINARY if len(model.classes_) == 2 else MULTICLASS
        splitter, dummy = RepeatedStratifiedKFold, DummyClassifier()
    folds = splitter(n_splits=n_splits, n_repeats=N_REPEATS, random_state=random_state)
    ways = {WITHOUT: with_prior(estimator, None), NOTHING: dummy}
    if prior is not None:
        ways = {WITH: with_prior(estimator, prior), **ways}
    scores = {}
    for name, way in ways.items():
        # A part of a table may lack levels that the whole table has.
        with warnings.catch_warnings(action="ignore", category=PriorMismatchWarning):
            found = cross_validate(
                way,
                X,
                y,
                cv=folds,
                scoring=metrics,
                n_jobs=n_jobs,
                error_score="raise",
            )
        scores[name] = {metric: found[f"test_{metric}"] for metric in metrics}
    return Performance(metrics, scores, len(y), n_splits, N_REPEATS)


def _count_rarest(model: Any, y: Any) -> int:
    """Count the rows of the rarest class; labels must be those of the model."""
    counts = pd.Series(np.asarray(y)).value_counts()
    known = {str(label) for label in model.classes_}
    if strange := [label for label in counts.index if str(label) not in known]:
        raise DataError(
            f"The labels {strange[:5]!r} are not classes of the model, which are "
            f"{[str(label) for label in model.classes_][:20]!r}."
        )
    return int(counts.min())
