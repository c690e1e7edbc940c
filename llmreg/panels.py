"""Panels of bars and points, one per output, that the displays are made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils import check_scalar

from llmreg.exceptions import MissingDependencyError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.container import BarContainer
    from matplotlib.figure import Figure
    from matplotlib.gridspec import GridSpecBase
    from matplotlib.lines import Line2D

# Okabe and Ito's colours, told apart with any colour vision.
BLUE, VERMILION, ORANGE = "#0072B2", "#D55E00", "#E69F00"
GREY = "#595959"
NAME_WIDTH = 32
OUTPUT_WIDTH = 24
N_COLUMNS = 3
# Names are shown as they are: "$x^2$" is a name, no formula.
LITERAL: Mapping[str, Any] = {"parse_math": False, "usetex": False}
# How the model's part is drawn: the shape alone tells the cases apart.
POINTS = {
    "agrees": ("model", "o", BLUE),
    "disagrees": ("model, against the prior", "X", VERMILION),
    "unscored": ("model, prior has no score", "D", GREY),
}


def strongest(size: np.ndarray, n_features: int) -> np.ndarray:
    """Return the columns with the largest entries, the largest first, NaN last."""
    check_scalar(n_features, "n_features", Integral, min_val=1)
    largest = np.nan_to_num(size, nan=-1.0).max(axis=0)
    return np.argsort(-largest, kind="stable")[:n_features]


def make_panels(ax: Any, n_panels: int, n_bars: int) -> np.ndarray:
    """Return Axes, one per panel, where the caller wants them."""
    shape = -(-n_panels // N_COLUMNS), min(n_panels, N_COLUMNS)
    if ax is None:
        return _new_panels(shape, n_panels, n_bars)
    given = np.asarray(ax, dtype=object).ravel()
    if len(given) == n_panels:
        return given
    whole = given[0]
    if len(given) > 1 or whole.get_subplotspec() is None:
        raise ValueError(
            f"ax must be {n_panels} Axes, one per output, or one that is part of a "
            f"grid, as plt.subplots makes it; got {len(given)}."
        )
    whole.set_axis_off()
    grid = whole.get_subplotspec().subgridspec(*shape)
    return _add_panels(whole.figure, grid, n_panels)


def _new_panels(shape: tuple[int, int], n_panels: int, n_bars: int) -> np.ndarray:
    """Make a figure that has room for the names and the bars."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise MissingDependencyError(
            "The displays need matplotlib: pip install 'llmreg[plot]'."
        ) from error
    n_rows, n_columns = shape
    size = (3.2 + 2.8 * n_columns, n_rows * (1.4 + 0.25 * n_bars))
    figure = plt.figure(figsize=size, layout="constrained")
    return _add_panels(figure, figure.add_gridspec(*shape), n_panels)


def _add_panels(figure: Figure, grid: GridSpecBase, n_panels: int) -> np.ndarray:
    """Fill a grid; the first panel of a row names the features for all of it."""
    panels = np.array([figure.add_subplot(grid[i]) for i in range(n_panels)])
    for panel in panels:
        panel.tick_params(labelleft=panel.get_subplotspec().is_first_col())
    return panels


def draw_scores(ax: Axes, scores: np.ndarray, errors: np.ndarray) -> BarContainer:
    """Draw a bar per score, and say where there is none."""
    bars = ax.barh(
        range(len(scores)),
        scores,
        xerr=errors,
        color=np.where(scores < 0, VERMILION, BLUE).tolist(),
        error_kw={"ecolor": "black", "elinewidth": 1, "capsize": 2},
    )
    for row in np.flatnonzero(np.isnan(scores)).tolist():
        ax.text(0, row, " no score", va="center", color=GREY, fontsize="small")
    return bars


def draw_model(ax: Axes, prior: np.ndarray, model: np.ndarray) -> dict[str, Line2D]:
    """Draw a point per attribution, of a shape that tells how it fits the prior."""
    unscored = np.isnan(prior)
    disagrees = np.sign(prior) * np.sign(model) < 0
    masks = (~(unscored | disagrees), disagrees, unscored)
    points = {}
    for (kind, style), mask in zip(POINTS.items(), masks, strict=True):
        rows = np.flatnonzero(mask)
        label, marker, colour = style if len(rows) else ("_nolegend_", *style[1:])
        (points[kind],) = ax.plot(
            model[rows], rows, marker, color=colour, label=label, markersize=7
        )
    return points


def dress(
    ax: Axes,
    features: Sequence[str],
    shown: np.ndarray,
    title: str,
    label: str,
    limit: float,
) -> None:
    """Name the rows, title the panel, and mark the zero."""
    n_left = len(features) - len(shown)
    if n_left:
        title += f"\n{n_left} of {len(features)} features left out"
    names = [short(features[j], NAME_WIDTH, tail=NAME_WIDTH // 3) for j in shown]
    ax.set_yticks(range(len(shown)), names, **LITERAL)
    ax.set_ylim(len(shown) - 0.4, -0.6)
    ax.set_xlim(-limit, limit)
    ax.set_title(title, **LITERAL)
    ax.set_xlabel(label)
    ax.axvline(0, color="black", linewidth=0.8)
    ax.grid(axis="x", alpha=0.3)
    ax.set_axisbelow(True)
    ax.locator_params(axis="x", nbins=5)
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.tick_params(axis="y", length=0)


def add_legend(panels: np.ndarray, *, outside: bool) -> None:
    """Explain, once, the bars and the shapes that there are, if they have labels."""
    found: dict[str, Any] = {}
    for panel in panels:
        handles, labels = panel.get_legend_handles_labels()
        found.update(zip(labels, handles, strict=True))
    labels = sorted(found, key=lambda label: label != "prior")
    handles = [found[label] for label in labels]
    if labels and outside:
        panels[0].figure.legend(
            handles, labels, loc="outside lower center", ncols=2, frameon=False
        )
    elif labels:
        panels[-1].legend(handles, labels, fontsize="small")


def short(name: str, width: int, tail: int = 0) -> str:
    """Cut a name, but not its last `tail` characters; show line breaks as escapes."""
    safe = "".join(c if c.isprintable() else repr(c)[1:-1] for c in name)
    if len(safe) <= width:
        return safe
    return safe[: width - 1 - tail] + "…" + safe[len(safe) - tail :]
