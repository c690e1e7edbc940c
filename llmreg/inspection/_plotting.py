"""Panels of bars and points, one per output, that the displays are made of."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from numbers import Integral
from typing import Any, NamedTuple, Self

import numpy as np
from sklearn.utils import check_scalar
from sklearn.utils.validation import check_is_fitted

from llmreg._base import BaseAttributionEstimator
from llmreg._utils import import_optional
from llmreg._utils._text import shorten
from llmreg.prior._formatting import is_wide, name_class, show_unit, show_value

# Okabe and Ito's colours, told apart with any colour vision.
BLUE, VERMILION, ORANGE = "#0072B2", "#D55E00", "#E69F00"
# How much of the ink is left in what is of less weight.
FAINT = 0.65
# Inches of a row whose name has 10 points.
ROW_HEIGHT = 0.25
# Of the height of a row, what its name may take.
NAME_SHARE = 0.8
NAME_WIDTH = 32
OUTPUT_WIDTH = 24
# Of a class with its target the class is shown whole.
OUTPUT_WIDTHS = OUTPUT_WIDTH, OUTPUT_WIDTH // 2
N_COLUMNS = 3
# Okabe and Ito's, one for each output; further outputs are left out, and counted.
COLOURS = (BLUE, VERMILION, "#009E73", ORANGE, "#CC79A7", "#56B4E9")
MAX_LEVELS = 12
CURVE_HEIGHT, PANEL_WIDTH = 2.0, 3.0
N_POINTS = 200
TITLE_WIDTH, LEVEL_WIDTH = 28, 18
BAND: dict[str, Any] = {"alpha": 0.2, "linewidth": 0}
CODE: dict[str, Any] = {"marker": "D", "s": 18, "zorder": 3}
# Names are shown as they are: "$x^2$" is a name, no formula.
LITERAL: Mapping[str, Any] = {"parse_math": False, "usetex": False}


class Panel(NamedTuple):
    """One column of a table: its curve, its levels; or all plain scores together."""

    title: str
    # Places of its features in the prior, in the order of the prior.
    places: list[int]
    is_curve: bool


class Display(ABC):
    """What draws itself on panels."""

    def plot(self, ax: Any = None) -> Self:
        """Draw the display, or draw it again elsewhere.

        Parameters
        ----------
        ax : matplotlib Axes or sequence of Axes, default=None
            Where to draw: one per panel, or a single one whose place the panels
            share. None makes a new figure.

        Returns
        -------
        object
            The display itself.

        Raises
        ------
        MissingDependencyError
            If matplotlib is not installed.
        """
        load_pyplot()
        self._plot(ax)
        return self

    @abstractmethod
    def _plot(self, ax: Any) -> None:
        """Draw on new panels, or on those that are given."""

    def _finish(self, panels: np.ndarray, *, outside: bool) -> None:
        """Keep the panels, and explain what they show."""
        self.ax_ = panels if len(panels) > 1 else panels[0]
        self.figure_ = panels[0].figure
        add_legend(panels, outside=outside)


def check_estimator(estimator: Any, asking: str) -> None:
    """Refuse what is no estimator of llmreg, and one that is not fitted."""
    if not isinstance(estimator, BaseAttributionEstimator):
        raise TypeError(
            f"{asking} needs an LLMAttributionClassifier or an "
            f"LLMAttributionRegressor; got {type(estimator).__name__}. Pass the last "
            "step of a pipeline, or best_estimator_ of a search."
        )
    check_is_fitted(estimator, "attributions_")


def name_outputs(estimator: BaseAttributionEstimator) -> tuple[str, ...]:
    """Name what a fitted estimator scores: classes with their target."""
    target, outputs, classes = estimator._task_names()
    return tuple(name_class(target, name) if classes else name for name in outputs)


def strongest(size: np.ndarray, n_features: int) -> np.ndarray:
    """Return the columns with the largest entries, the largest first, NaN last."""
    check_scalar(n_features, "n_features", Integral, min_val=1)
    largest = np.nan_to_num(size, nan=-1.0).max(axis=0)
    return np.argsort(-largest, kind="stable")[:n_features]


def bar_panels(
    ax: Any,
    size: np.ndarray,
    n_features: int,
    above: Sequence[tuple[int, float]] = (),
    head: float = 1.4,
    width: float = 2.8,
) -> tuple[np.ndarray, np.ndarray]:
    """Return a row of panels, one per output, and the features that are their rows.

    `size`, of shape (n_outputs, n_features), is how much there is to see. `above` them
    are so many panels of some height; inches are `head` beside the rows, and `width`.
    """
    shown = strongest(size, n_features)
    rows = [*above, (len(size), head + row_height() * len(shown))]
    blocks = [(n, [height] * grid_shape(n)[0]) for n, height in rows]
    page = width * grid_shape(len(size))[1] + 3.2, sum(sum(h) for _, h in blocks)
    panels = make_panels(ax, blocks, page)
    if len(np.ravel(ax)) < len(panels):
        # The first panel of a row names the features for all of it.
        for panel in panels:
            panel.tick_params(labelleft=panel.get_subplotspec().is_first_col())
    return panels, shown


def make_panels(
    ax: Any,
    blocks: Sequence[tuple[int, Sequence[float]]],
    size: tuple[float, float],
    each: str = "output",
    **space: Any,
) -> np.ndarray:
    """Return Axes, block after block, where the caller wants them; else on a new page.

    A block is how many panels it has and how high its rows are, in inches.
    """
    n_panels = sum(n for n, _ in blocks)
    totals = [sum(heights) for _, heights in blocks]
    shape: dict[str, Any] = {"nrows": len(blocks), "ncols": 1, "height_ratios": totals}
    if ax is None:
        figure, space = new_figure(size), {}
        outer = figure.add_gridspec(**shape)
    else:
        given = np.asarray(ax, dtype=object).ravel()
        if len(given) == n_panels:
            return given
        place, figure = given[0].get_subplotspec(), given[0].figure
        if len(given) > 1 or place is None:
            raise ValueError(
                f"ax must be {n_panels} Axes, one per {each}, or one that is part of a "
                f"grid, as plt.subplots makes it; got {len(given)}."
            )
        # The panels share its place.
        given[0].set_axis_off()
        outer = place.subgridspec(**shape, hspace=0.4)
    places: list[Any] = []
    for i, (n, heights) in enumerate(blocks):
        n_columns = grid_shape(n)[1]
        shape = {"nrows": len(heights), "ncols": n_columns, "height_ratios": heights}
        grid = outer[i].subgridspec(**shape, **space)
        places += [grid[divmod(k, n_columns)] for k in range(n)]
    return np.array([figure.add_subplot(place) for place in places])


def grid_shape(n_panels: int) -> tuple[int, int]:
    """Return how many rows and columns of panels there are, with few places empty."""
    n_rows = -(-n_panels // N_COLUMNS)
    return n_rows, -(-n_panels // n_rows)


def load_pyplot() -> Any:
    """Import matplotlib.pyplot; where it is missing, say what to install."""
    return import_optional("matplotlib.pyplot", "llmreg[plot]")


def new_figure(size: tuple[float, float]) -> Any:
    """Make a figure that finds room for what stands around its panels."""
    figure = load_pyplot().figure(figsize=size, layout="constrained")
    figure.set_layout_engine("constrained", h_pad=0.1, w_pad=0.06)
    return figure


def row_height() -> float:
    """Return how high a row is that has room for its name, in inches."""
    return ROW_HEIGHT * max(1.0, _name_size() / 10)


def _name_size() -> float:
    """Return the size of the names in points, as the style has it."""
    from matplotlib import font_manager, rcParams

    font = font_manager.FontProperties(size=rcParams["ytick.labelsize"])
    return float(font.get_size_in_points())


def ink(ax: Any) -> Any:
    """Return the colour that the style of the Axes writes with."""
    return ax.xaxis.label.get_color()


def faint(ax: Any) -> Any:
    """Return a colour between that of the writing and that of the ground."""
    from matplotlib.colors import to_rgb, to_rgba

    ground = ax.get_facecolor()
    if to_rgba(ground)[3] == 0:
        ground = ax.figure.get_facecolor()
    pair = np.array([to_rgb(ink(ax)), to_rgb(ground)])
    return tuple(np.array([FAINT, 1 - FAINT]) @ pair)


def dress(
    ax: Any, features: Sequence[str], shown: np.ndarray, title: str, head: float = 0
) -> float:
    """Name the rows and title the panel, `head` rows above; return the size of names.

    The title tells how many features are left out.
    """
    names = [shorten(features[j], NAME_WIDTH, tail=NAME_WIDTH // 3) for j in shown]
    size = name_rows(ax, names)
    if n_left := len(features) - len(shown):
        title += f"\n{n_left} of {len(features)} features left out"
    ax.set_title(title, pad=6 + head * size if head else None, **LITERAL)
    return size


def mark_zero(ax: Any, label: str, limit: float) -> None:
    """Give an axis that has its zero in the middle."""
    ax.set(xlim=(-limit, limit), xlabel=label)
    ax.axvline(0, color=ink(ax), linewidth=0.8)
    ax.locator_params(axis="x", nbins=5)


def name_rows(ax: Any, names: Sequence[str]) -> float:
    """Name the rows, the first on top, and say in what size: one that has room."""
    name_levels(ax, names)
    ax.grid(axis="x", alpha=0.3)
    ax.set_axisbelow(True)
    ax.spines[["top", "right", "left"]].set_visible(False)
    height = ax.get_window_extent().height / ax.figure.dpi
    size = float(min(_name_size(), NAME_SHARE * 72 * height / len(names)))
    ax.tick_params(axis="y", labelsize=size)
    return size


def add_legend(panels: np.ndarray, *, outside: bool) -> None:
    """Explain, once, the bars and the shapes that there are, if they have labels."""
    found: dict[str, Any] = {}
    for panel in panels:
        handles, labels = panel.get_legend_handles_labels()
        found.update(zip(labels, handles, strict=True))
    labels = sorted(found, key=lambda label: label != "prior")
    given = [found[label] for label in labels], labels
    if labels and outside:
        look = {"loc": "outside lower center", "ncols": 2, "frameon": False}
        panels[0].figure.legend(*given, **look)
    elif labels:
        panels[-1].legend(*given, fontsize="small")


def draw_columns(
    ax: Any,
    panels: Sequence[Panel],
    n_bars: int,
    draw_curve: Callable[[Any, Panel], Sequence[float]],
    draw_bars: Callable[[Any, Panel], Sequence[float]],
) -> tuple[np.ndarray, dict[bool, list[float]]]:
    """Draw a panel for each column, first those of curves; say how far they reach.

    A row of bars has so many of them. What is drawn tells how far it reaches; curves,
    True, have one scale, and bars, False, another.
    """
    curves = [panel for panel in panels if panel.is_curve]
    bars = panels[len(curves) :]
    blocks: list[tuple[int, Sequence[float]]] = []
    if curves:
        blocks.append((len(curves), [CURVE_HEIGHT] * grid_shape(len(curves))[0]))
    if bars:
        thickness = row_height() * max(1.0, 0.45 * n_bars)
        n_columns = grid_shape(len(bars))[1]
        rows = [bars[i : i + n_columns] for i in range(0, len(bars), n_columns)]
        n_rows = (max(min(len(p.places), MAX_LEVELS) for p in row) for row in rows)
        blocks.append((len(bars), [1.1 + thickness * n for n in n_rows]))
    widest = max(N_COLUMNS - 1, *(grid_shape(n)[1] for n, _ in blocks), 0)
    size = PANEL_WIDTH * widest, 0.5 + sum(sum(heights) for _, heights in blocks)
    axes = make_panels(ax, blocks, size, "panel", hspace=0.9, wspace=0.5)
    reach = {True: [0.0], False: [0.0]}
    for axis, panel in zip(axes, panels, strict=True):
        draw = draw_curve if panel.is_curve else draw_bars
        reach[panel.is_curve] += draw(axis, panel)
    return axes, reach


def draw_bars(
    ax: Any, heights: np.ndarray, spread: np.ndarray, looks: Sequence[Mapping[str, Any]]
) -> list[Any]:
    """Draw bars of several kinds in each row, of shape (n_kinds, n_rows).

    With whiskers where there is a spread; a row without any height is told.
    """
    thickness, found = 0.8 / len(heights), []
    whiskers = {"ecolor": ink(ax), "elinewidth": 1, "capsize": 2}
    for i, (row, error, look) in enumerate(zip(heights, spread, looks, strict=True)):
        # No spread, no error bar: its caps alone would look like one.
        bars = {"xerr": np.where(error > 0, error, np.nan), "error_kw": whiskers}
        at = np.arange(len(row)) - 0.4 + thickness * i
        found.append(ax.barh(at, row, thickness, align="edge", **bars, **look))
    for place in np.flatnonzero(np.isnan(heights).all(axis=0)).tolist():
        ax.text(0, place, " no score", va="center", color=faint(ax), fontsize="small")
    return found


def title_panel(ax: Any, title: str, **look: Any) -> None:
    """Write the title of a panel, which is open to the top and to the right."""
    ax.set_title(title, loc="left", **look, **LITERAL)
    ax.spines[["top", "right"]].set_visible(False)


def scale_panel(
    ax: Any, ends: tuple[float, float], label: str, *, is_bars: bool
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


def tell_left_out(ax: Any, n_shown: int, n: int, noun: str) -> None:
    """Count in the legend what is not drawn."""
    if n > n_shown:
        ax.plot([], [], " ", label=f"{n - n_shown} of {n} {noun} left out")


def choose_levels(size: np.ndarray) -> np.ndarray:
    """Choose the strongest, in the order of the card, which may be their own."""
    return np.sort(np.argsort(-size, kind="stable")[:MAX_LEVELS])


def name_levels(ax: Any, names: Sequence[str]) -> None:
    """Name the rows of a panel of bars, the first on top."""
    ax.set_yticks(range(len(names)), names, fontsize="small", **LITERAL)
    ax.tick_params(axis="y", length=0)
    ax.set_ylim(len(names) - 0.4, -0.6)


def dress_values(ax: Any, low: float, high: float, unit: str, last: float) -> None:
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
