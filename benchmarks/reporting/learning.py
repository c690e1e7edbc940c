"""Two numbers of a learning curve: when the prior stops to matter, the labels saved.

Everything is computed from rows of few-shot result files, on one data set at a time;
"rows" are rows per class.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from benchmarks.reporting.metrics import FloatArray
from benchmarks.reporting.tables import Check, compare, grid, sizes

TUNED, LINEAR, MLP = "no prior, tuned", "default linear", "default MLP"
#: A gain of ROC AUC below this is none that a user would see.
LEAST_GAIN = 0.005
#: Rows per class at which tuned logistic regression sets the mark.
MARK_ROWS = 100
_CONFIDENCE = 0.975


@dataclass(frozen=True)
class Stop:
    """From which number of rows on the prior no longer matters.

    `small` is the smallest size from which on, at every larger one too, the mean gain
    is below `LEAST_GAIN`; infinite where it is not, at the largest size. `settled` is
    the same, and the gain is nowhere significantly above 0 either: its t statistic over
    the draws stays below the quantile of 0.975. `gain` and `error` are those at the
    largest size.
    """

    small: float
    settled: float
    largest: float
    gain: float
    error: float


@dataclass(frozen=True)
class Saved:
    """How many rows a method needs for what tuned logistic regression reaches.

    `mark` is the ROC AUC that tuned logistic regression has at `mark_rows` rows per
    class. `rows` is where the method first reaches it, interpolated between the
    measured sizes in the logarithm of the rows; the smallest size where it is reached
    there already (`bounded`), infinite where it is not reached. `factor` is `mark_rows`
    over `rows`.
    """

    mark_rows: float
    mark: float
    rows: float
    factor: float
    bounded: bool


def rows_per_class(frame: pd.DataFrame) -> dict[str, float]:
    """Say how many rows per class each size of one data set is.

    For a share of the rows it is the mean over the classes, whose number is that of the
    training rows over the rows per class.
    """
    trained = frame.groupby("shots")["n_train"].first().to_dict()
    whole = [shots for shots in trained if float(shots) >= 1]
    # Where there is no size to tell the number of classes by, there are two.
    classes = trained[whole[0]] / float(whole[0]) if whole else 2
    found = {
        str(shots): float(shots) if float(shots) >= 1 else float(count / classes)
        for shots, count in trained.items()
    }
    return dict(sorted(found.items(), key=lambda item: item[1]))


def curve(frame: pd.DataFrame, method: str) -> pd.DataFrame:
    """Average one method on one data set over its draws.

    One row per size, by `rows` per class: `shots`, `mean`, `deviation` (the standard
    deviation over the draws), `draws`.
    """
    known = frame[(frame["method"] == method) & frame["roc_auc"].notna()]
    by_size = known.groupby("shots")["roc_auc"]
    found = by_size.agg(mean="mean", deviation="std", draws="count").reset_index()
    found.insert(1, "rows", found["shots"].map(rows_per_class(frame)).astype(float))
    return found.sort_values("rows").reset_index(drop=True)


def stop(frame: pd.DataFrame, method: str = LINEAR, other: str = TUNED) -> Stop | None:
    """Find from which number of rows on the prior no longer matters.

    None where no draw has both methods.
    """
    table = grid(frame, "roc_auc")
    if not {method, other} <= set(table.columns):
        return None
    rows = rows_per_class(frame)
    checks = [compare(table, size, method, other) for size in sizes(table)]
    checks = [check for check in checks if check.repetitions]
    if not checks:
        return None
    checks.sort(key=lambda check: rows[check.size])
    at = [rows[check.size] for check in checks]
    small = [check.gain < LEAST_GAIN for check in checks]
    settled = [
        below and not _is_above_zero(c) for below, c in zip(small, checks, strict=True)
    ]
    last = checks[-1]
    return Stop(_from(at, small), _from(at, settled), at[-1], last.gain, last.error)


def saved(frame: pd.DataFrame, method: str, other: str = TUNED) -> Saved | None:
    """Find how many rows a method needs to reach what tuned logistic regression does.

    `other` is the name of the latter. None where the method, or the mark, was not
    measured.
    """
    theirs, ours = curve(frame, other), curve(frame, method)
    # A share of the rows is no number that a table of another size has as well.
    whole = theirs["shots"].astype(float) >= 1
    theirs = theirs[whole & (theirs["rows"] <= MARK_ROWS)]
    if theirs.empty or ours.empty:
        return None
    mark_rows, mark = theirs[["rows", "mean"]].iloc[-1]
    rows = reach(ours["rows"].to_numpy(), ours["mean"].to_numpy(), mark)
    bounded = bool(ours["mean"].iloc[0] >= mark)
    return Saved(mark_rows, mark, rows, mark_rows / rows, bounded)


def reach(rows: FloatArray, means: FloatArray, mark: float) -> float:
    """Return where a curve first reaches a mark.

    Interpolated in the logarithm of the rows; the first size where the curve is there
    already, infinite where it never is.
    """
    there = np.flatnonzero(means >= mark)
    if not len(there):
        return float("inf")
    k = there[0]
    if k == 0:
        return float(rows[0])
    share = (mark - means[k - 1]) / (means[k] - means[k - 1])
    low, high = np.log(rows[k - 1]), np.log(rows[k])
    return float(np.exp(low + share * (high - low)))


def median_factor(found: Sequence[Saved]) -> tuple[float, bool]:
    """Return the median of the factors by which labels are saved.

    And whether a factor that is only known to be at least so large is in the middle, or
    below it, so that the median is a lower bound.
    """
    ordered = sorted(found, key=lambda one: one.factor)
    middle = len(ordered) // 2
    factor = float(np.median([one.factor for one in ordered]))
    return factor, any(one.bounded for one in ordered[: middle + 1])


def _is_above_zero(check: Check) -> bool:
    """Test a gain against none; with one draw there is nothing to test by."""
    if check.repetitions < 2:
        return False
    quantile = stats.t.ppf(_CONFIDENCE, check.repetitions - 1)
    return bool(check.gain > quantile * check.error)


def _from(at: Sequence[float], holds: Sequence[bool]) -> float:
    """Return the first place from which on something holds everywhere."""
    found = np.inf
    for place, here in zip(reversed(at), reversed(holds), strict=True):
        if not here:
            break
        found = place
    return float(found)
