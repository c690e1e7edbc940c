"""How good the model is, what it is made of, and what a report cannot tell."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import sklearn
import torch
from sklearn.base import is_classifier
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.model_selection import (
    RepeatedKFold,
    RepeatedStratifiedKFold,
    cross_validate,
)
from sklearn.pipeline import Pipeline

from llmreg import __version__
from llmreg._base import BaseAttributionEstimator
from llmreg.exceptions import DataError
from llmreg.inspection._comparison import (
    last_step,
    with_prior,
    without_mismatch_warnings,
)
from llmreg.inspection._prior_display import PriorCurveDisplay
from llmreg.inspection._report_html import (
    Markup,
    element,
    facts,
    join,
    paragraphs,
    picture,
    table,
)
from llmreg.inspection._report_sections import section
from llmreg.prior._feature_prior import FeaturePrior

# Parameters that are told elsewhere, or are long.
ELSEWHERE = {"prior", "task", "target_name", "feature_descriptions", "feature_names"}
LIMITS = (
    "The scores were given before a row was seen, by something that can be wrong. "
    "Public tables may have been part of what a language model was trained on; on "
    "those it may remember, where on others it has to know.",
    "A model learns the bias of its rows. Where rows are missing not by chance, trust "
    "that is learnt from them is learnt from the bias as well, and so is every "
    "performance that is measured on such rows.",
    "Attributions describe the model, not the world: a feature that the model relies "
    "on need not be a cause.",
)


def performance_section(found: Performance | None, curve: Markup | str) -> Markup:
    """Say how good the model is on rows that it has not seen."""
    if found is None:
        return section(
            "Performance",
            element(
                "p",
                "No table was given, so nothing was measured: this report cannot tell "
                "how good the model is.",
                class_="verdict warn",
            ),
        )
    header = ["Trained anew", *(metric.name for metric in found.metrics)]
    rows = [
        [way, *(_spread(scores[metric.name]) for metric in found.metrics)]
        for way, scores in found.scores.items()
    ]
    n_folds = found.n_splits * found.n_repeats
    if WITH in found.scores:
        better = (f"{found.n_better(m)} of {n_folds} folds" for m in found.metrics)
        rows.append(["the prior is better in", *better])
    return section(
        "Performance",
        paragraphs(
            f"Cross-validation on a table of {found.n_samples:,} rows: "
            f"{found.n_splits} folds, dealt {found.n_repeats} times, the same for all. "
            "In each fold a copy of the model is trained on the other rows; so it is "
            "the way to train that is measured, on as many rows as the table has, not "
            "the trained model itself. No provider was asked."
        ),
        table(
            header,
            rows,
            caption="Mean ± standard deviation over the folds",
            numeric=range(1, len(header)),
        ),
        curve,
    )


def curve_picture(estimator: Any, X: Any, y: Any, metrics: Any, seed: int) -> Markup:
    """Draw the learning curves; say so where there are too few rows for them."""
    by_kind = {BINARY: "roc_auc", MULTICLASS: "roc_auc_ovr"}
    try:
        display = PriorCurveDisplay.from_estimator(
            estimator,
            X,
            y,
            n_repeats=5,
            scoring=by_kind.get(metrics, "neg_mean_absolute_error"),
            random_state=seed,
        )
    except DataError as error:
        return paragraphs(f"There are no learning curves. {error}")
    from matplotlib import pyplot as plt

    plt.close(display.figure_)
    return picture(
        display.plot,
        says="The score against the number of training rows, with and without prior.",
        caption="What the prior is worth, by the number of training rows. Higher is "
        "better. The same rows for both.",
    )


def _spread(scores: np.ndarray) -> str:
    return f"{scores.mean():.3f} ± {scores.std():.3f}"


def model_section(estimator: Any, model: BaseAttributionEstimator) -> Markup:
    """Say what the model is made of."""
    pairs: list[tuple[object, object]] = [("Estimator", type(model).__name__)]
    if isinstance(estimator, Pipeline):
        steps = [f"{name} ({type(s).__name__})" for name, s in estimator.steps]
        pairs.append(("Pipeline", " → ".join(steps)))
    kind = "linear" if hasattr(model, "coef_") else "with hidden layers"
    pairs += [
        ("Form", kind),
        ("Weight of the prior (gamma)", f"{model.gamma_:.3g}"),
        ("Passes", str(model.n_iter_)),
        ("llmreg", __version__),
        ("scikit-learn, torch", f"{sklearn.__version__}, {torch.__version__}"),
        ("Python", platform.python_version()),
    ]
    return section(
        "Model",
        facts(pairs),
        table(
            ["Parameter", "Value"],
            list(_parameters(model)),
            caption="Parameters that are not the default",
        ),
        paragraphs("The versions are those that wrote this report."),
    )


def _parameters(model: BaseAttributionEstimator) -> Any:
    """Go over what was set; of objects the type alone, which holds no secret."""
    default = type(model)().get_params(deep=False)
    for name, value in sorted(model.get_params(deep=False).items()):
        if name in ELSEWHERE or value is default.get(name):
            continue
        plain = isinstance(value, bool | int | float | str | tuple | list | None)
        if plain and not name.startswith("net__"):
            if value != default.get(name):
                yield name, repr(value)
        else:
            yield name, f"({type(value).__name__})"


def limits_section() -> Markup:
    """Say what a report cannot tell, and leave room to sign."""
    header = ("Decision", "Name and role", "Date", "Signature")
    rows = [("Approved", "", "", ""), ("Not approved", "", "", "")]
    return join(
        [
            section("What this report cannot tell", paragraphs(*LIMITS)),
            section(
                "Sign-off",
                element(
                    "div", table(header, rows, caption="To be filled in"), class_="sign"
                ),
            ),
        ]
    )


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

    Shapes: X (n_samples, n_features), y (n_samples,) or (n_samples, n_targets).

    Raises DataError if there are too few rows, or labels that the model does not
    know.
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
