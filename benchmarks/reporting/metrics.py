"""How good scores are: on test rows, within a group of them, and beside other scores.

Of the positive rows of a group, the false negative rate is the share that is called
negative; the gap between two groups is what "equal opportunity" asks to be zero
(Hardt, Price and Srebro, arXiv 1610.02413, section 2). There are two lines between
positive and negative:

- the probability 1/2, as a user gets it. Where a method's scores are no
  probabilities there is none;
- "matched": as many test rows are called positive as are positive. Removing positive
  rows lowers every probability, in the group and out of it; this line takes that out,
  and lets scores that are no probabilities be compared. It uses the number of the
  positive test rows, so it is a way to look at a method and not a way to use one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata
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


Mask = NDArray[np.bool_]

#: Every measure, in the order of the result file.
GROUP_METRICS = (
    *("auc_group", "auc_rest", "fnr_group", "fnr_rest", "fnr_gap", "fpr_group"),
    *("fpr_rest", "matched_fnr_group", "matched_fnr_rest", "matched_fnr_gap"),
)


def measure_group(
    truth: Mask, group: Mask, scores: FloatArray, probabilities: bool
) -> dict[str, float]:
    """Measure the scores of a binary classification within a group and outside it.

    ROC AUC, false negative rate and false positive rate of the group and of the rest,
    and the gap: the rate of the group minus that of the rest. What has no rows to be
    measured on is left out, and so are the rates at 1/2 without probabilities.
    """
    sides = {"group": group, "rest": ~group}
    found: dict[str, float] = {}
    for name, side in sides.items():
        if len(np.unique(truth[side])) == 2:
            found[f"auc_{name}"] = float(roc_auc_score(truth[side], scores[side]))
    called = {"matched_": _as_many_as(truth, scores)}
    if probabilities:
        called[""] = (scores > 0.5).astype(np.float64)
    for line, positive in called.items():
        for name, side in sides.items():
            if (side & truth).any():
                missed = 1 - positive[side & truth].mean()
                found[f"{line}fnr_{name}"] = float(missed)
            if not line and (side & ~truth).any():
                found[f"fpr_{name}"] = float(positive[side & ~truth].mean())
        if {f"{line}fnr_group", f"{line}fnr_rest"} <= set(found):
            gap = found[f"{line}fnr_group"] - found[f"{line}fnr_rest"]
            found[f"{line}fnr_gap"] = gap
    return found


def _as_many_as(truth: Mask, scores: FloatArray) -> FloatArray:
    """Call as many rows positive as are; rows with one score share what is left."""
    count = int(truth.sum())
    if not count:
        return np.zeros(len(scores))
    line = np.sort(scores)[-count]
    above, at = scores > line, scores == line
    shared = (count - above.sum()) / at.sum()
    return np.where(above, 1.0, np.where(at, shared, 0.0))


FloatArray = NDArray[np.float64]


def pearson(a: FloatArray, b: FloatArray) -> float:
    """Return the correlation of two tables. NaN where one of them is constant."""
    return cosine(a - a.mean(), b - b.mean())


def spearman(a: FloatArray, b: FloatArray) -> float:
    """Return the rank correlation of two tables. NaN where one of them is constant."""
    return pearson(rankdata(a, axis=None), rankdata(b, axis=None))


def cosine(a: FloatArray, b: FloatArray) -> float:
    """Return the cosine of two tables. NaN where one of them is zero throughout."""
    norm = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float((a * b).sum()) / norm if norm > 0 else float("nan")


_MEASURES: dict[str, Callable[[FloatArray, FloatArray], float]] = {
    "pearson": pearson,
    "spearman": spearman,
    "cosine": cosine,
}


def between_estimates(estimates: FloatArray) -> dict[str, float]:
    """Measure how far the answers of one model agree with one another.

    The estimates have the shape (n_estimates, n_outputs, n_features). Correlations are
    means over the pairs that can be compared; "spread" is the standard deviation over
    the estimates, averaged over all scores. Empty for a single estimate.
    """
    if len(estimates) < 2:
        return {}
    pairs = list(combinations(estimates, 2))
    found = {
        name: _mean([measure(a, b) for a, b in pairs])
        for name, measure in _MEASURES.items()
    }
    return found | {"spread": float(estimates.std(axis=0).mean())}


def with_coefficients(scores: FloatArray, coefficients: FloatArray) -> dict[str, float]:
    """Measure how far scores agree with the coefficients of a model of all rows.

    "opinions": share of the scores that are not zero. "sign": share of equal signs
    among those that have a coefficient, which is exactly zero where no row has the
    level; "sign_weighted": the same, each counted by the size of its coefficient.
    "size": rank correlation of the absolute values, over all that have a coefficient.
    """
    both = (scores != 0) & (coefficients != 0)
    agreed = np.sign(scores[both]) == np.sign(coefficients[both])
    weights = np.abs(coefficients[both])
    seen = coefficients != 0
    total = float(weights.sum())
    return {
        "opinions": float((scores != 0).mean()),
        "sign": float(agreed.mean()) if agreed.size else float("nan"),
        "sign_weighted": float(weights[agreed].sum()) / total if total else np.nan,
        "size": spearman(np.abs(scores[seen]), np.abs(coefficients[seen])),
    }


def subsets(n: int) -> Iterator[tuple[int, ...]]:
    """List the subsets of some estimates, the smaller first; none is empty."""
    for size in range(1, n + 1):
        yield from combinations(range(n), size)


def _mean(values: list[float]) -> float:
    """Average what is known."""
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else float("nan")
