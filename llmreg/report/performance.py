"""How good a model is on rows that it has not seen, with its prior and without."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.base import is_classifier
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.model_selection import (
    RepeatedKFold,
    RepeatedStratifiedKFold,
    cross_validate,
)

from llmreg.comparison import last_step, with_prior, without_mismatch_warnings
from llmreg.exceptions import DataError
from llmreg.prior import FeaturePrior

N_FOLDS = 5
N_REPEATS = 2
WITH, WITHOUT, NOTHING = "with the prior", "without the prior", "no features"


class Metric(NamedTuple):
    """What is measured: its name, the scorer, and whether less is better."""

    name: str
    scorer: str
    is_loss: bool = False


BINARY = (
    Metric("ROC AUC", "roc_auc"),
    Metric("Log loss", "neg_log_loss", True),
    Metric("Accuracy", "accuracy"),
)
MULTICLASS = (Metric("ROC AUC, one class to the rest", "roc_auc_ovr"), *BINARY[1:])
REGRESSION = (
    Metric("R²", "r2"),
    Metric("Mean absolute error", "neg_mean_absolute_error", True),
)


@dataclass(frozen=True, eq=False)
class Performance:
    """Scores on the folds of a cross-validation.

    Parameters
    ----------
    metrics : tuple of Metric
        What was measured.
    scores : dict of dict of ndarray
        For each way to predict, by name of the metric, a number per fold.
    n_samples : int
        Number of rows.
    n_splits, n_repeats : int
        Folds, and how often the rows were dealt.
    """

    metrics: tuple[Metric, ...]
    scores: dict[str, dict[str, np.ndarray]]
    n_samples: int
    n_splits: int
    n_repeats: int

    def n_better(self, metric: Metric) -> int | None:
        """Count the folds in which the prior helped; None without one."""
        if WITH not in self.scores:
            return None
        gain = self.scores[WITH][metric.name] - self.scores[WITHOUT][metric.name]
        return int((gain < 0).sum() if metric.is_loss else (gain > 0).sum())


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

    Parameters
    ----------
    estimator : estimator or Pipeline
        An estimator of llmreg, or a pipeline whose last step is one.
    prior : FeaturePrior or None
        Its prior. Nobody is asked for another.
    X : DataFrame or array-like of shape (n_samples, n_features)
        The table.
    y : Series or array-like of shape (n_samples,) or (n_samples, n_targets)
        Its labels or targets.
    random_state : int, default=0
        Seed of the folds.
    n_jobs : int, default=None
        Processes.

    Returns
    -------
    Performance
        The scores.

    Raises
    ------
    DataError
        If there are too few rows, or labels that the model does not know.
    """
    model = last_step(estimator)
    is_class = is_classifier(model)
    fewest = _fewest(model, y) if is_class else len(y)
    n_splits = min(N_FOLDS, fewest)
    if n_splits < 2 or len(y) < 2 * n_splits:
        raise DataError(
            f"The table has {len(y)} rows, {fewest} of the rarest class: too few to "
            "train on some and to test on others."
        )
    deal = RepeatedStratifiedKFold if is_class else RepeatedKFold
    folds = deal(n_splits=n_splits, n_repeats=N_REPEATS, random_state=random_state)
    metrics: tuple[Metric, ...] = REGRESSION
    dummy: Any = DummyRegressor()
    if is_class:
        metrics = BINARY if len(model.classes_) == 2 else MULTICLASS
        dummy = DummyClassifier()
    ways = {WITHOUT: with_prior(estimator, None), NOTHING: dummy}
    if prior is not None:
        ways = {WITH: with_prior(estimator, prior), **ways}
    scores = {}
    for name, way in ways.items():
        with without_mismatch_warnings():
            found = cross_validate(
                way,
                X,
                y,
                cv=folds,
                scoring={metric.name: metric.scorer for metric in metrics},
                n_jobs=n_jobs,
                error_score="raise",
            )
        scores[name] = {
            metric.name: found[f"test_{metric.name}"] * (-1 if metric.is_loss else 1)
            for metric in metrics
        }
    return Performance(metrics, scores, len(y), n_splits, N_REPEATS)


def _fewest(model: Any, y: Any) -> int:
    """Count the rows of the rarest class; labels must be those of the model."""
    counts = pd.Series(np.asarray(y)).value_counts()
    known = {str(label) for label in model.classes_}
    if strange := [label for label in counts.index if str(label) not in known]:
        raise DataError(
            f"The labels {strange[:5]!r} are none of the model's, which are "
            f"{[str(label) for label in model.classes_][:20]!r}."
        )
    return int(counts.min())
