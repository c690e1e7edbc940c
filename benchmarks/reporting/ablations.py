"""The tables of the ablations: each method beside the start that it comes from."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from benchmarks.methods.ablations import SHARED, TABLES
from benchmarks.reporting.metrics import METRICS
from benchmarks.reporting.tables import (
    LABELS,
    compare,
    grid,
    line,
    markdown,
    range_of,
    sizes,
)

#: The measures that are shown, and whether with the gain over the start.
SHOWN = {"roc_auc": True, "r2": True, "log_loss": False}
TITLES = {
    "gamma": "gamma: the weight of the penalty",
    "estimates": "Estimates averaged",
    "noise": "A wrong prior",
    "attribution": "Attributions",
    "score_transform": "Transform of the scores",
    "penalty_on": "Penalty on the mean, or per row",
    "penalty_weights": "Whether the spread of the estimates is used",
    "width": "Units of the hidden layer",
    "scaler": "Scaling of numeric columns",
}
ABOUT = {
    "gamma": (
        "The default weighs many strengths; a number fixes one, and the transform is "
        '"exp" with it. The two starts then differ in their scaling alone. Without a '
        "penalty (gamma 0) what is left is logistic or ridge regression with alpha 1, "
        "which is not tuned."
    ),
    "estimates": (
        "The prior is made anew from the first so many of the five recorded answers; "
        "the starts average all five. With one there is no spread."
    ),
    "noise": (
        "noise q: sqrt(1 - q) times the scores plus sqrt(q) times Gaussian noise of "
        "their standard deviation, clipped to [-10, 10], the same noise for every q; 1 "
        "is noise alone. The estimates move with their mean, so they agree as before. "
        "flipped: every sign turned. shuffled: the scores dealt out anew between the "
        "encoded columns."
    ),
    "attribution": (
        'With other attributions than gradients "auto" only finds the gamma, and the '
        'model is trained with it in the loop of the paper; "gradient in the loop" '
        "tells what that alone does. Integrated gradients of a linear model are input "
        "x gradient."
    ),
    "score_transform": (
        "raw: the scores as they are. temperature T: sign(s) exp(abs(s) / T); exp is "
        'T = 1, and raw is T without end. The default ("auto") weighs raw, 3, 2 and 1 '
        "against each other."
    ),
    "penalty_on": (
        "Only where hidden layers are trained with the penalty: the gradient of a "
        'linear model is the same for every row, and with gamma "auto" hidden layers '
        "learn without a penalty what the linear model leaves over."
    ),
    "penalty_weights": (
        'Only where gamma is "auto": a score on which the estimates differ is held '
        "less tightly."
    ),
    "width": "The starts have 100 units.",
    "scaler": (
        "The default is bounded: min-max scaling that levels off beyond the range of "
        "the training rows. The paper's is minmax."
    ),
}
_PREFACE = """# Ablations

Each row changes one thing of the start above it; everything else is as there.
"default": gamma "auto". "LAAT ... gamma 100, exp": the paper's weight, transform and
min-max scaling, with the package's solvers and `alpha=1`. Means over the data sets and
the draws. In brackets the gain over the start on the same draws ± its standard error
over the draws, which two draws hardly tell and one draw does not; each table says how
many it has.
Columns: rows per class, in a regression (R2) rows. Lower is better for the log loss.
"""


def write(frame: pd.DataFrame) -> str:
    """Write a table for every thing that a result file has something varied of."""
    parts = [_PREFACE, _counts(frame)]
    for name in TABLES:
        text = table(frame, name)
        if text:
            parts += [f"## {TITLES[name]}\n", f"{ABOUT[name]}\n", text]
    return "\n".join(parts)


def table(frame: pd.DataFrame, name: str) -> str:
    """Write the table of one thing.

    The shared rows, then each start and what comes from it. Empty where nothing of it
    was measured on every data set.
    """
    rows = list(_rows(name))
    these = frame[frame["method"].isin([method for method, _ in rows])]
    columns = [
        (metric, measured, size)
        for metric in SHOWN
        if these[metric].notna().any()
        for measured in [_common(grid(these, metric))]
        for size in sizes(measured)
    ]
    heads = [f"{LABELS[metric]}, {size}" for metric, _, size in columns]
    lines, is_varied = [], False
    for method, start in rows:
        cells = [f"**{method}**" if method == start else method]
        cells += [_cell(*column, method, start) for column in columns]
        if any(cell != "-" for cell in cells[1:]):
            lines.append(cells)
            is_varied |= start not in (None, method)
    if not is_varied:
        return ""
    draws = {len(measured.loc[size]) for _, measured, size in columns}
    return f"{markdown(f'| {line(heads)}', lines)}\nDraws: {range_of(draws)}.\n"


def _common(measured: pd.DataFrame) -> pd.DataFrame:
    """Keep the draws that every row of a table has that has any at that size."""
    parts = [
        measured.loc[[size]].dropna(axis=1, how="all").dropna()
        for size in sizes(measured)
    ]
    return pd.concat([measured.iloc[:0], *parts])


def _rows(name: str) -> Iterator[tuple[str, str | None]]:
    """Return every method with its start; the shared rows have none."""
    starts = TABLES[name]
    yield from ((method, None) for method in SHARED if method not in starts)
    for start, varied in starts.items():
        yield start, start
        yield from ((method, start) for method in varied)


def _cell(
    metric: str, measured: pd.DataFrame, size: str, method: str, start: str | None
) -> str:
    """Write a mean, and what it gains over its start."""
    if method not in measured:
        return "-"
    sign = 1 if METRICS[metric] else -1
    mean = sign * measured.loc[size, method].mean()
    if np.isnan(mean):
        return "-"
    if start is None or start == method or not SHOWN[metric]:
        return f"{mean:.3f}"
    found = compare(measured, size, method, start)
    error = "" if np.isnan(found.error) else f" ± {found.error:.3f}"
    return f"{mean:.3f} ({found.gain:+.3f}{error})"


def _counts(frame: pd.DataFrame) -> str:
    """Say how many data sets each column is a mean over."""
    fitted = frame[frame["error"].isna()]
    said = [
        f"{LABELS[metric]} at {size}: {known.loc[here, 'card'].nunique()}"
        for metric in ("roc_auc", "r2")
        for known in [fitted[fitted[metric].notna()]]
        for size in sorted(known["shots"].unique(), key=float)
        for here in [known["shots"] == size]
    ]
    return f"Data sets: {', '.join(said)}.\n"
