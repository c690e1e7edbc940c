"""The critical-difference plot (Demšar, JMLR 7 (2006), section 3.2.4)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

INK, PALE = "#222222", "#7F7F7F"
ACCENT = "#D55E00"


def plot(
    ranks: pd.Series[float],
    difference: float,
    groups: Sequence[Sequence[str]],
    title: str,
    path: Path,
    marked: Sequence[str] = (),
) -> None:
    """Draw the methods on an axis of average ranks, bars over those not told apart.

    A missing critical difference is not drawn. The methods of `marked` are in colour.
    """
    ranks = ranks.sort_values(kind="stable")
    first_label = 0.5 + 0.28 * len(groups)
    half = (len(ranks) + 1) // 2
    height = first_label + 0.45 * half
    with mpl.rc_context({"font.size": 9}):
        figure = Figure(figsize=(9, 0.55 * height + 1.1), dpi=150, layout="constrained")
        axes = figure.add_subplot()
        axes.set_axis_off()
        axes.set_title(title, fontsize=10, loc="left")
        right = max(len(ranks), float(np.ceil(ranks.max())))
        _axis(axes, right)
        if not np.isnan(difference):
            _scale(axes, difference)
        for number, group in enumerate(groups):
            ends = ranks[list(group)]
            y = -0.35 - 0.28 * number
            x = [ends.min() - 0.06, ends.max() + 0.06]
            axes.plot(x, [y, y], color=INK, linewidth=3.5, solid_capstyle="butt")
        for number, (method, rank) in enumerate(ranks.items()):
            left = number < half
            row = number if left else len(ranks) - 1 - number
            y = -first_label - 0.45 * row
            edge = 0.7 if left else right + 0.3
            colour = ACCENT if method in marked else INK
            axes.plot([rank, rank, edge], [0, y, y], color=colour, linewidth=0.8)
            text = f"{method}  {rank:.2f}" if left else f"{rank:.2f}  {method}"
            axes.annotate(
                text,
                (edge, y),
                xytext=(-3 if left else 3, 0),
                textcoords="offset points",
                ha="right" if left else "left",
                va="center",
                color=colour,
            )
        axes.set_ylim(-height - 0.2, 1.3)
        figure.savefig(path, metadata={"Software": None})


def _axis(axes: Axes, right: float) -> None:
    """Draw the axis of the ranks."""
    axes.plot([1, right], [0, 0], color=INK, linewidth=1)
    for tick in range(1, int(right) + 1):
        axes.plot([tick, tick], [0, 0.12], color=INK, linewidth=1)
        axes.annotate(
            str(tick),
            (tick, 0.12),
            xytext=(0, 2),
            textcoords="offset points",
            ha="center",
            color=PALE,
        )


def _scale(axes: Axes, difference: float) -> None:
    """Draw the critical difference above the axis."""
    y = 0.85
    axes.plot([1, 1 + difference], [y, y], color=INK, linewidth=1.2)
    for end in (1, 1 + difference):
        axes.plot([end, end], [y - 0.08, y + 0.08], color=INK, linewidth=1.2)
    axes.annotate(
        f"critical difference {difference:.2f}",
        (1 + difference, y),
        xytext=(5, 0),
        textcoords="offset points",
        va="center",
        color=INK,
    )
