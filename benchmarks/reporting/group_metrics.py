"""What the scores of a method do to a group of the test rows, and to all the others.

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

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from benchmarks.reporting.metrics import FloatArray

Mask = NDArray[np.bool_]

#: Every measure, in the order of the result file.
GROUP_METRICS = (
    "auc_group",
    "auc_rest",
    "fnr_group",
    "fnr_rest",
    "fnr_gap",
    "fpr_group",
    "fpr_rest",
    "matched_fnr_group",
    "matched_fnr_rest",
    "matched_fnr_gap",
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
    called: FloatArray = np.where(above, 1.0, np.where(at, shared, 0.0))
    return called
