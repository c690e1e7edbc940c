"""Panels of response curves and of the levels of categories, on common scales."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from llmreg._utils._text import shorten
from llmreg.inspection._plotting import (
    BLUE,
    LITERAL,
    N_COLUMNS,
    ORANGE,
    OUTPUT_WIDTH,
    VERMILION,
    faint,
    grid_shape,
    ink,
    new_figure,
    place_of,
    row_height,
)
from llmreg.prior._feature_prior import FeaturePrior
from llmreg.prior._formatting import (
    is_wide,
    show_unit,
    show_value,
    shown_span,
    spaced,
    spread_at,
    trace,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.container import BarContainer
    from matplotlib.gridspec import GridSpecBase
    from matplotlib.lines import Line2D

# Okabe and Ito's, one for each output; further outputs are left out, and counted.
COLOURS = (BLUE, VERMILION, "#009E73", ORANGE, "#CC79A7", "#56B4E9")
STYLES = ("-", "--", "-.", ":", (0, (6, 1)), (0, (3, 1, 1, 1)))
MAX_LEVELS = 12
CURVE_HEIGHT, PANEL_WIDTH = 2.0, 3.0
N_POINTS = 200
TITLE_WIDTH, LEVEL_WIDTH = 28, 18
BAND: dict[str, Any] = {"alpha": 0.2, "linewidth": 0}
CODE: dict[str, Any] = {"marker": "D", "s": 18, "zorder": 3}


class Panel(NamedTuple):
    """One column of a table: its curve, its levels; or all plain scores together."""

    title: str
    # Places of its features in the prior, in the order of the prior.
    places: list[int]
    is_curve: bool


def plan_panels(prior: FeaturePrior, n_features: int) -> list[Panel]:
    """Choose the strongest columns: first those with a curve, then those of bars."""
    # Keys are pairs, since a category may have the name of the panel of scores.
    groups: dict[tuple[str, bool], list[int]] = {}
    for place, key in enumerate(prior.features):
        name, mark, _ = key.partition("=")
        is_curve = key in prior.curves
        group = (key if is_curve else name if mark else "", is_curve)
        groups.setdefault(group, []).append(place)
    panels = [
        Panel(name, places, is_curve) for (name, is_curve), places in groups.items()
    ]
    panels.sort(key=lambda panel: -_strength(prior, panel))
    panels = panels[:n_features]
    # Bars of about the same number stand side by side.
    return sorted(panels, key=lambda panel: 0 if panel.is_curve else len(panel.places))


def _strength(prior: FeaturePrior, panel: Panel) -> float:
    """Say how much a column moves at most, as scores measure it."""
    if not panel.is_curve:
        return float(np.nan_to_num(np.abs(prior.scores[:, panel.places])).max())
    name = prior.features[panel.places[0]]
    x = spaced(*shown_span(prior.curves[name], prior.ranges.get(name)), N_POINTS)
    return float(np.nan_to_num(np.ptp(trace(prior.curves[name], x), axis=1)).max() / 2)


def make_curve_panels(ax: Any, panels: Sequence[Panel], n_outputs: int) -> np.ndarray:
    """Return Axes, where the caller wants them: rows of curves, then rows of bars."""
    curves = [panel for panel in panels if panel.is_curve]
    bars = panels[len(curves) :]
    thickness = row_height() * max(1.0, 0.45 * n_outputs)
    blocks = []
    for block in filter(None, (curves, bars)):
        n_rows, n_columns = grid_shape(len(block))
        heights = [CURVE_HEIGHT] * n_rows
        if block is bars:
            rows = [block[i * n_columns : (i + 1) * n_columns] for i in range(n_rows)]
            n_bars = (max(min(len(p.places), MAX_LEVELS) for p in row) for row in rows)
            heights = [1.1 + thickness * n for n in n_bars]
        blocks.append((len(block), n_columns, heights))
    totals = [sum(heights) for *_, heights in blocks]
    if ax is None:
        width = PANEL_WIDTH * max(N_COLUMNS - 1, *(block[1] for block in blocks), 0)
        figure = new_figure((width, 0.5 + sum(totals)))
        outer: GridSpecBase = figure.add_gridspec(len(blocks), 1, height_ratios=totals)
    else:
        given = np.asarray(ax, dtype=object).ravel()
        if len(given) == len(panels):
            return given
        figure = given[0].figure
        place = place_of(given, len(panels), "panel")
        outer = place.subgridspec(len(blocks), 1, height_ratios=totals, hspace=0.4)
    places = []
    for i, (n, n_columns, heights) in enumerate(blocks):
        space: dict[str, Any] = {} if ax is None else {"hspace": 0.9, "wspace": 0.5}
        grid = outer[i].subgridspec(
            len(heights), n_columns, height_ratios=heights, **space
        )
        places += [grid[divmod(k, n_columns)] for k in range(n)]
    return np.array([figure.add_subplot(place) for place in places])


def draw_curve_panels(
    axes: np.ndarray, panels: Sequence[Panel], prior: FeaturePrior
) -> tuple[list[Line2D], list[BarContainer]]:
    """Fill the panels: all curves with one scale of effects, and all bars."""
    lines: list[Line2D] = []
    bars: list[BarContainer] = []
    # By whether it is a curve. Next to strong curves the bars of levels would vanish.
    reach = {True: 1.0, False: 1.0}
    for ax, panel in zip(axes, panels, strict=True):
        if panel.is_curve:
            found = _draw_curve(ax, prior, panel, lines)
        else:
            found = _draw_bars(ax, prior, panel, bars)
        reach[panel.is_curve] = max(found, reach[panel.is_curve])
    for ax, panel in zip(axes, panels, strict=True):
        limit = 1.08 * reach[panel.is_curve]
        scale_panel(ax, (-limit, limit), "effect", is_bars=not panel.is_curve)
    tell_left_out(axes[0], len(COLOURS), len(prior.outputs), "outputs")
    n_columns = len(plan_panels(prior, len(prior.features)))
    tell_left_out(axes[0], len(panels), n_columns, "columns")
    return lines, bars


def title_panel(ax: Axes, title: str, **look: Any) -> None:
    """Write the title of a panel, which is open to the top and to the right."""
    ax.set_title(title, loc="left", **look, **LITERAL)
    ax.spines[["top", "right"]].set_visible(False)


def scale_panel(
    ax: Axes, ends: tuple[float, float], label: str, *, is_bars: bool
) -> None:
    """Give a panel the scale of its like, and a line at zero."""
    zero: dict[str, Any] = {"color": ink(ax), "linewidth": 0.8, "zorder": 1}
    if is_bars:
        ax.set(xlim=ends)
        ax.set_xlabel("\n".join(filter(None, [label, ax.get_xlabel()])), **LITERAL)
        ax.axvline(0, **zero)
    else:
        place = ax.get_subplotspec()
        is_first = place is None or place.is_first_col()
        ax.set(ylim=ends)
        ax.set_ylabel(label if is_first else "", **LITERAL)
        ax.axhline(0, **zero)
    ax.locator_params(axis="x" if is_bars else "y", nbins=5)


def tell_left_out(ax: Axes, n_shown: int, n: int, noun: str) -> None:
    """Count in the legend what is not drawn."""
    if n > n_shown:
        ax.plot([], [], " ", label=f"{n - n_shown} of {n} {noun} left out")


def choose_levels(size: np.ndarray) -> np.ndarray:
    """Choose the strongest, in the order of the card, which may be their own."""
    return np.sort(np.argsort(-size, kind="stable")[:MAX_LEVELS])


def name_levels(ax: Axes, names: Sequence[str]) -> None:
    """Name the rows of a panel of bars, the first on top."""
    ax.set_yticks(range(len(names)), names, fontsize="small", **LITERAL)
    ax.tick_params(axis="y", length=0)
    ax.set_ylim(len(names) - 0.4, -0.6)


def _draw_curve(
    ax: Axes, prior: FeaturePrior, panel: Panel, lines: list[Line2D]
) -> float:
    """Draw the curve of a feature, a line per output; return how far it reaches."""
    name = panel.title
    title_panel(ax, shorten(name, TITLE_WIDTH))
    curve, typical = prior.curves[name], prior.ranges.get(name)
    low, high = shown_span(curve, typical)
    x = np.union1d(spaced(low, high, N_POINTS), curve.values.clip(low, high))
    y, spread = trace(curve, x), spread_at(curve, x)
    several, shade = len(y) > 1, faint(ax)
    if typical is not None:
        label = "typical range, median dotted"
        ends = typical.low, typical.high
        ax.axvspan(*ends, color=shade, alpha=0.15, linewidth=0, label=label)
        ax.axvline(typical.middle, color=shade, linestyle=":", linewidth=1)
    for k, (line, s) in enumerate(zip(y[: len(COLOURS)], spread, strict=False)):
        label = shorten(prior.outputs[k], OUTPUT_WIDTH) if several else "_"
        is_knot = np.isin(x, curve.values[~np.isnan(curve.effects[k])])
        (drawn,) = ax.plot(x, line, color=COLOURS[k], linestyle=STYLES[k], label=label)
        drawn.set(marker="o", markersize=3, markevery=np.flatnonzero(is_knot))
        lines.append(drawn)
        if s.any():
            ends, label = (line - s, line + s), "± standard deviation of estimates"
            ax.fill_between(x, *ends, label=label, color=COLOURS[k], **BAND)
    for code, effects in curve.special.items():
        # A code that is far off stands at the edge.
        at = np.full(len(effects), min(max(code, low), high))[: len(COLOURS)]
        codes = ax.scatter(at, effects[: len(at)], color=COLOURS[: len(at)], **CODE)
        codes.set_label("a code of its own")
    if np.isnan(y).all():
        centre: dict[str, Any] = {"ha": "center", "transform": ax.transAxes}
        ax.text(0.5, 0.6, "no opinion", color=shade, **centre)
    unit = prior.units.get(name, "")
    dress_values(ax, low, high, unit, float(curve.values[-1]))
    peaks = [np.abs(found) for found in curve.special.values()]
    return float(max(np.nan_to_num(p).max() for p in [np.abs(y) + spread, *peaks]))


def dress_values(ax: Axes, low: float, high: float, unit: str, last: float) -> None:
    """Give the axis of values few numbers, and its unit; tell where a curve goes on."""
    if is_wide(low, high):
        from matplotlib.ticker import LogLocator, NullLocator

        ax.set_xscale("log")
        ax.xaxis.set_major_locator(LogLocator(numticks=5))
        ax.xaxis.set_minor_locator(NullLocator())
    else:
        ax.locator_params(axis="x", nbins=4)
    ax.set_xlim(low, high)
    label = shorten(show_unit(unit).strip(), LEVEL_WIDTH)
    if last > high:
        label = f"{label} (goes on to {show_value(last)})".strip()
    ax.set_xlabel(label, **LITERAL)


def _draw_bars(
    ax: Axes, prior: FeaturePrior, panel: Panel, bars: list[BarContainer]
) -> float:
    """Draw the scores of levels, or of plain features; return how far they reach."""
    scores = prior.scores[: len(COLOURS), panel.places]
    spread = np.zeros_like(scores)
    if prior.spread is not None:
        spread = np.nan_to_num(prior.spread[: len(COLOURS), panel.places])
    shown = choose_levels(np.nan_to_num(np.abs(scores)).max(axis=0))
    height = 0.8 / len(scores)
    whiskers = {"ecolor": ink(ax), "elinewidth": 1}
    for k, row in enumerate(scores):
        at = np.arange(len(shown)) - 0.4 + height * (k + 0.5)
        colour: Any = COLOURS[k]
        if len(scores) == 1:
            colour = np.where(row[shown] < 0, VERMILION, BLUE).tolist()
        error = np.where(spread[k, shown] > 0, spread[k, shown], np.nan)
        look: dict[str, Any] = {"height": height, "color": colour}
        bars.append(ax.barh(at, row[shown], xerr=error, error_kw=whiskers, **look))
        if len(scores) > 1:
            bars[-1].set_label(shorten(prior.outputs[k], OUTPUT_WIDTH))
    for row in np.flatnonzero(np.isnan(scores[:, shown]).all(axis=0)).tolist():
        ax.text(0, row, " no score", va="center", color=faint(ax), fontsize="small")
    keys = (prior.features[panel.places[j]] for j in shown)
    names = [key.partition("=")[2] if panel.title else key for key in keys]
    name_levels(ax, [shorten(name, LEVEL_WIDTH) for name in names])
    title = shorten(panel.title, TITLE_WIDTH) or "plain scores"
    if n_left := len(panel.places) - len(shown):
        title += f"\n{n_left} of {len(panel.places)} left out"
    title_panel(ax, title)
    return float(np.nan_to_num(np.abs(scores) + spread)[:, shown].max())
