"""Panels of bars and points, one per output, that the displays are made of."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.utils import check_scalar
from sklearn.utils.validation import check_is_fitted

from llmreg._base import BaseAttributionEstimator
from llmreg._utils import import_optional
from llmreg._utils._text import shorten
from llmreg.exceptions import PriorError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.gridspec import GridSpecBase, SubplotSpec
    from matplotlib.lines import Line2D


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
N_COLUMNS = 3
# Names are shown as they are: "$x^2$" is a name, no formula.
LITERAL: Mapping[str, Any] = {"parse_math": False, "usetex": False}


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


class BarDisplay(Display):
    """A row of panels, one per output, with a bar or a point per feature."""

    n_features: int

    def _plot(self, ax: Any) -> None:
        size = self._size()
        shown = strongest(size, self.n_features)
        panels = self._panels(ax, len(size), len(shown))
        self._draw(panels, shown)
        self.ax_ = panels if len(panels) > 1 else panels[0]
        self.figure_ = panels[0].figure
        add_legend(panels, outside=ax is None)

    @abstractmethod
    def _size(self) -> np.ndarray:
        """Return how much there is to see, of shape (n_outputs, n_features)."""

    def _panels(self, ax: Any, n_outputs: int, n_bars: int) -> np.ndarray:
        """Return the panels."""
        return make_panels(ax, [(n_outputs, 1.4 + row_height() * n_bars)], width=2.8)

    @abstractmethod
    def _draw(self, panels: np.ndarray, shown: np.ndarray) -> None:
        """Fill the panels with the features `shown`."""


@dataclass(kw_only=True, eq=False, repr=False)
class FittedDisplay(BarDisplay):
    """A display of the prior of a fitted estimator."""

    features: Sequence[str]
    outputs: Sequence[str]
    n_features: int = 20

    @classmethod
    def from_estimator(
        cls, estimator: Any, *, n_features: int = 20, ax: Any = None
    ) -> Self:
        """Draw what became of the prior of a fitted estimator.

        Parameters
        ----------
        estimator : LLMAttributionClassifier or LLMAttributionRegressor
            A fitted estimator that has a prior; for the trust in it, one that was
            fitted with ``gamma="auto"``.
        n_features : int, default=20
            How many features are shown at most, at least 1: the strongest.
        ax : matplotlib Axes or sequence of Axes, default=None
            Where to draw, see `plot`.

        Returns
        -------
        object
            The display.

        Raises
        ------
        PriorError
            If the estimator was fitted without a prior, or has learnt no trust in it
            where that is what is drawn.
        NotFittedError
            If the estimator is not fitted.
        TypeError
            If it is no estimator of llmreg.
        MissingDependencyError
            If matplotlib is not installed.
        """
        check_estimator(estimator, cls.__name__)
        prior = estimator.prior_
        if prior is None:
            raise PriorError(
                f"This {type(estimator).__name__} has no prior to compare with: it was "
                "fitted with prior=None, or with gamma=0, where no provider is asked."
            )
        return cls(
            features=prior.features,
            outputs=prior.outputs,
            n_features=n_features,
            **cls._read(estimator),
        ).plot(ax=ax)

    @classmethod
    @abstractmethod
    def _read(cls, estimator: Any) -> dict[str, Any]:
        """Return what else the display shows."""


def check_estimator(estimator: Any, asking: str) -> None:
    """Refuse what is no estimator of llmreg, and one that is not fitted."""
    if not isinstance(estimator, BaseAttributionEstimator):
        raise TypeError(
            f"{asking} needs an LLMAttributionClassifier or an "
            f"LLMAttributionRegressor; got {type(estimator).__name__}. Pass the last "
            "step of a pipeline, or best_estimator_ of a search."
        )
    check_is_fitted(estimator, "attributions_")


def strongest(size: np.ndarray, n_features: int) -> np.ndarray:
    """Return the columns with the largest entries, the largest first, NaN last."""
    check_scalar(n_features, "n_features", Integral, min_val=1)
    largest = np.nan_to_num(size, nan=-1.0).max(axis=0)
    return np.argsort(-largest, kind="stable")[:n_features]


def make_panels(
    ax: Any, groups: Sequence[tuple[int, float]], *, width: float
) -> np.ndarray:
    """Return Axes, group after group, where the caller wants them.

    A group is how many panels it has and how high they are, in inches; a panel that
    is alone has the whole row.
    """
    n_panels = sum(n for n, _ in groups)
    n_columns = grid_shape(groups[-1][0])[1]
    heights = [height for n, height in groups for _ in range(grid_shape(n)[0])]
    shape = len(heights), n_columns
    if ax is None:
        figure = new_figure((3.2 + width * n_columns, sum(heights)))
        grid: GridSpecBase = figure.add_gridspec(*shape, height_ratios=heights)
    else:
        given = np.asarray(ax, dtype=object).ravel()
        if len(given) == n_panels:
            return given
        figure = given[0].figure
        place, space = place_of(given, n_panels), 0.5 if len(groups) > 1 else None
        grid = place.subgridspec(*shape, height_ratios=heights, hspace=space)
    places, row = [], 0
    for n, _ in groups:
        start = row * n_columns
        places += [grid[row, :]] if n == 1 else [grid[start + i] for i in range(n)]
        row += grid_shape(n)[0]
    panels = np.array([figure.add_subplot(place) for place in places])
    for panel in panels:
        # The first panel of a row names the features for all of it.
        panel.tick_params(labelleft=panel.get_subplotspec().is_first_col())
    return panels


def grid_shape(n_panels: int) -> tuple[int, int]:
    """Return how many rows and columns of panels there are, with few places empty."""
    n_rows = -(-n_panels // N_COLUMNS)
    return n_rows, -(-n_panels // n_rows)


def place_of(given: np.ndarray, n_panels: int, each: str = "output") -> SubplotSpec:
    """Clear the place of one Axes that several panels are to share."""
    place = given[0].get_subplotspec()
    if len(given) > 1 or place is None:
        raise ValueError(
            f"ax must be {n_panels} Axes, one per {each}, or one that is part of a "
            f"grid, as plt.subplots makes it; got {len(given)}."
        )
    given[0].set_axis_off()
    return place


def load_pyplot() -> Any:
    """Import matplotlib.pyplot; where it is missing, say what to install."""
    return import_optional("matplotlib.pyplot", "llmreg[plot]")


def new_figure(size: tuple[float, float]) -> Figure:
    """Make a figure that finds room for what stands around its panels."""
    figure: Figure = load_pyplot().figure(figsize=size, layout="constrained")
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


def ink(ax: Axes) -> Any:
    """Return the colour that the style of the Axes writes with."""
    return ax.xaxis.label.get_color()


def faint(ax: Axes) -> Any:
    """Return a colour between that of the writing and that of the ground."""
    from matplotlib.colors import to_rgb, to_rgba

    ground = ax.get_facecolor()
    if to_rgba(ground)[3] == 0:
        ground = ax.figure.get_facecolor()
    pair = np.array([to_rgb(ink(ax)), to_rgb(ground)])
    return tuple(np.array([FAINT, 1 - FAINT]) @ pair)


def draw_points(
    ax: Axes,
    x: np.ndarray,
    kinds: Mapping[str, tuple[str, str, str | None]],
    masks: Sequence[np.ndarray],
    other: Any,
) -> dict[str, Line2D]:
    """Draw a point per row; its shape and colour, or `other`, tell its kind."""
    points = {}
    for (kind, (label, marker, colour)), mask in zip(kinds.items(), masks, strict=True):
        rows = np.flatnonzero(mask)
        (points[kind],) = ax.plot(
            *(x[rows], rows, marker),
            color=other if colour is None else colour,
            label=label if len(rows) else "_nolegend_",
            markersize=7,
        )
    return points


def dress(
    ax: Axes, features: Sequence[str], shown: np.ndarray, title: str, head: float = 0
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


def mark_zero(ax: Axes, label: str, limit: float) -> None:
    """Give an axis that has its zero in the middle."""
    ax.set(xlim=(-limit, limit), xlabel=label)
    ax.axvline(0, color=ink(ax), linewidth=0.8)
    ax.locator_params(axis="x", nbins=5)


def name_rows(ax: Axes, names: Sequence[str]) -> float:
    """Name the rows, the first on top, and say in what size: one that has room."""
    ax.set_yticks(range(len(names)), names, **LITERAL)
    ax.set_ylim(len(names) - 0.4, -0.6)
    ax.grid(axis="x", alpha=0.3)
    ax.set_axisbelow(True)
    ax.spines[["top", "right", "left"]].set_visible(False)
    height = ax.get_window_extent().height / ax.figure.dpi
    size = float(min(_name_size(), NAME_SHARE * 72 * height / len(names)))
    ax.tick_params(axis="y", length=0, labelsize=size)
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
