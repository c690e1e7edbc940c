"""Small multiples of learning curves: a panel a data set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from benchmarks.methods.estimators import PLOTTED
from benchmarks.reporting.tables import COLOURS, MARKERS

COLUMNS = 5
_TICKS = {1: "1", 10: "10", 100: "100", 1000: "1k", 10_000: "10k"}


def plot(
    numbers: pd.DataFrame,
    marks: Mapping[str, float],
    path: Path,
    methods: Sequence[str],
) -> None:
    """Draw the curves."""
    cards = list(numbers["card"].unique())
    n_columns = min(COLUMNS, len(cards))
    n_rows = -(-len(cards) // n_columns)
    with mpl.rc_context({"font.size": 9, "axes.spines.top": False}):
        figure = Figure(
            figsize=(2.4 * n_columns + 0.6, 2.2 * n_rows + 0.8),
            dpi=150,
            layout="constrained",
        )
        panels = figure.subplots(n_rows, n_columns, squeeze=False, sharex=True)
        for card, axes in zip(cards, panels.flat, strict=False):
            these = numbers[numbers["card"] == card]
            _panel(axes, card, these, marks.get(card), methods)
        for axes in panels.flat[len(cards) :]:
            axes.set_axis_off()
        # A panel above an empty place is the lowest of its column.
        for number in range(max(0, len(cards) - n_columns), len(cards)):
            panels.flat[number].tick_params(labelbottom=True)
        lines, names = panels.flat[0].get_legend_handles_labels()
        figure.legend(
            lines, names, loc="outside upper center", ncols=len(names), frameon=False
        )
        figure.supxlabel("training rows per class", fontsize=9)
        figure.supylabel("ROC AUC", fontsize=9)
        # Without this, two runs over the same rows would give different bytes.
        figure.savefig(path, metadata={"Software": None})


def _panel(
    axes: Axes,
    card: str,
    numbers: pd.DataFrame,
    mark: float | None,
    methods: Sequence[str],
) -> None:
    """Draw one data set."""
    for number, method in enumerate(methods):
        these = numbers[numbers["method"] == method].sort_values("rows")
        place = PLOTTED.index(method) if method in PLOTTED else number
        colour = COLOURS[place % len(COLOURS)]
        rows, mean = these["rows"].to_numpy(), these["mean"].to_numpy()
        deviation = np.nan_to_num(these["deviation"].to_numpy(dtype=np.float64))
        axes.fill_between(
            rows,
            mean - deviation,
            mean + deviation,
            color=colour,
            alpha=0.13,
            linewidth=0,
        )
        axes.plot(
            rows,
            mean,
            color=colour,
            marker=MARKERS[place % len(MARKERS)],
            markersize=3,
            linewidth=1.2,
            label=method,
            # Where two are the same, the one that is named first is seen.
            zorder=3 - number / len(methods),
        )
    if mark is not None:
        axes.axhline(mark, color="#555555", linewidth=0.8, linestyle=":")
    axes.spines["right"].set_visible(False)
    axes.set_title(card, fontsize=9, loc="left")
    axes.set_xscale("log")
    axes.set_xticks(list(_TICKS), list(_TICKS.values()))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.grid(axis="y", color="#DDDDDD", linewidth=0.6)
