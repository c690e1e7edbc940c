"""How good the model is, what it is made of, and what a report cannot tell."""

from __future__ import annotations

import platform
from typing import Any

import numpy as np
import sklearn
import torch
from sklearn.pipeline import Pipeline

from llmreg import __version__
from llmreg.base import BaseAttributionEstimator
from llmreg.display import PriorCurveDisplay
from llmreg.exceptions import DataError
from llmreg.report.markup import Markup, element, facts, join, paragraphs, table
from llmreg.report.performance import BINARY, MULTICLASS, WITH, Performance
from llmreg.report.pictures import picture
from llmreg.report.sections import section

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
    """Say how good the model is on rows that it has not seen.

    Parameters
    ----------
    found : Performance or None
        What was measured; None without a table.
    curve : Markup or str
        The learning curves, or why there are none.

    Returns
    -------
    Markup
        The section.
    """
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
