"""How good the scores of a method are on the test rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import (
    f1_score,
    r2_score,
    roc_auc_score,
    root_mean_squared_error,
)

from benchmarks.data.datasets import Dataset

FloatArray = NDArray[np.float64]

#: Each measure, and whether more of it is better.
METRICS = {
    "roc_auc": True,
    "log_loss": False,
    "brier": False,
    "accuracy": True,
    "f1": True,
    "r2": True,
    "rmse": False,
}


def measure(
    dataset: Dataset, y: NDArray[Any], scores: FloatArray, probabilities: bool
) -> dict[str, float]:
    """Measure the scores of a method.

    The scores are those of the positive class, of every class in the card's order, or
    predictions of a regression. ROC AUC with more than two classes is the mean of one
    class against the rest; the Brier score is the squared error of the positive class,
    or summed over the classes where there are more. F1 is that of the positive class,
    or the mean over the classes where there are more. Scores that are not finite are
    refused.
    """
    if not np.isfinite(scores).all():
        raise ValueError("The method gave scores that are not finite.")
    if dataset.kind == "regression":
        return {
            "r2": float(r2_score(y, scores)),
            "rmse": float(root_mean_squared_error(y, scores)),
        }
    binary = dataset.positive is not None
    labels = [dataset.positive] if binary else list(dataset.classes)
    truth = y[:, None] == np.array(labels)[None, :]
    table = scores[:, None] if binary else scores
    aucs = [roc_auc_score(truth[:, k], table[:, k]) for k in range(len(labels))]
    found = {"roc_auc": float(np.mean(aucs))}
    return found | (_of_probabilities(truth, table) if probabilities else {})


def _of_probabilities(truth: NDArray[np.bool_], table: FloatArray) -> dict[str, float]:
    """Measure what needs probabilities."""
    brier = float(((table - truth) ** 2).sum(axis=1).mean())
    binary = table.shape[1] == 1
    if binary:
        table = np.hstack([1 - table, table])
        truth = np.hstack([~truth, truth])
    # A probability of 0 for what happened would make the mean infinite.
    happened = np.clip(table[truth], np.finfo(np.float64).eps, 1)
    predicted, actual = table.argmax(axis=1), truth.argmax(axis=1)
    average = "binary" if binary else "macro"
    return {
        "log_loss": float(-np.log(happened).mean()),
        "brier": brier,
        "accuracy": float((predicted == actual).mean()),
        # A class that is never predicted has no precision; its F1 is 0.
        "f1": float(f1_score(actual, predicted, average=average, zero_division=0)),
    }
