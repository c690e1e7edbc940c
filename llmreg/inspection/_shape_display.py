"""A picture of what was said of every column, and of what was learnt."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any, Self

import numpy as np
from sklearn.utils import check_scalar

from llmreg._utils._text import list_names, shorten
from llmreg.exceptions import FeatureNamesError
from llmreg.inspection._plotting import (
    BAND,
    BLUE,
    CODE,
    COLOURS,
    LEVEL_WIDTH,
    N_POINTS,
    ORANGE,
    OUTPUT_WIDTH,
    OUTPUT_WIDTHS,
    TITLE_WIDTH,
    VERMILION,
    Display,
    Panel,
    add_legend,
    choose_levels,
    draw_bars,
    draw_columns,
    dress_values,
    faint,
    name_levels,
    name_outputs,
    scale_panel,
    tell_left_out,
    title_panel,
)
from llmreg.inspection._shapes import Shape, shapes
from llmreg.linear_model._trust import each_trust
from llmreg.prior._formatting import shown_span, spaced

# Of the height of a panel, what the rows below its shape take.
_RUG = 0.12
# What was said lies pale beneath what was learnt.
_PALE = 0.5
# More rows than this are a histogram.
_MANY_ROWS = 60


@dataclass(kw_only=True, eq=False, repr=False)
class ShapeDisplay(Display):
    """What was said of every column, and what the model has learnt.

    `from_estimator` makes it. One panel per column, the strongest first: numbers as
    lines, levels as bars, each with one scale. What was said, pale, is the prior's
    curve, or its scores, at a length that all columns share; what was learnt is the
    shape of the fitted model, with its standard deviation as a band where the model
    keeps it. Both are in log-odds, or in the units of the target, and 0 in the mean of
    the rows. Several outputs have a colour each.

    "against the prior" names a column that the rows contradict. Given rows lie along
    the lower edge, or are counted beside the levels.

    Parameters
    ----------
    shapes : dict of str to Shape
        What to draw, as `llmreg.inspection.shapes` gives it, in this order.
    outputs : sequence of str
        Names of the classes or targets.
    n_features : int, default=20
        How many columns are shown at most: the strongest.
    output : str or None, default=None
        The only one to show.
    unit : str, default="log-odds"
        What heights are measured in.
    spans, units : mapping by str
        The ends of the panels of numbers, two floats each, and units of the columns.
    contradicted : frozenset of pair of str, default=frozenset()
        Columns, and the outputs for which the rows contradict what was said.

    Attributes
    ----------
    axes_ : ndarray of Axes of shape (n_panels,)
        The panels.
    figure_ : matplotlib Figure
        The figure they are in.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from llmreg import LLMAttributionRegressor
    >>> from llmreg.inspection import ShapeDisplay
    >>> X, y = load_iris(return_X_y=True, as_frame=True)
    >>> prior = {"petal length (cm)": [(1, -6), (3, 0), (7, 6)], "petal width (cm)": 3}
    >>> model = LLMAttributionRegressor(prior).fit(X, y)
    >>> display = ShapeDisplay.from_estimator(model, X, n_features=2)
    >>> sorted(ax.get_title(loc="left") for ax in display.axes_)
    ['petal length (cm)', 'petal width (cm)']
    """

    shapes: Mapping[str, Shape]
    outputs: Sequence[str]
    n_features: int = 20
    output: str | None = None
    unit: str = "log-odds"
    spans: Mapping[str, tuple[float, float]]
    units: Mapping[str, str]
    contradicted: frozenset[tuple[str, str]] = frozenset()

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any = None,
        *,
        features: Sequence[str] | None = None,
        n_features: int = 20,
        output: str | None = None,
        ax: Any = None,
    ) -> Self:
        """Draw the shapes of a fitted estimator.

        Parameters
        ----------
        estimator : LLMAttributionClassifier or LLMAttributionRegressor
            A fitted estimator, linear or with ``gamma="auto"``.
        X : DataFrame or array-like of shape (n_samples, n_features), default=None
            Rows to centre the shapes over and to draw; see `shapes` for what stands in
            for them.
        features : sequence of str, default=None
            The columns to show, in this order; by default the strongest.
        n_features : int, default=20
            How many columns are shown at most, at least 1.
        output : str, default=None
            The class, or the target, to show; by default all, six at most.
        ax : matplotlib Axes or sequence of Axes, default=None
            Where to draw, see `plot`.

        Returns
        -------
        ShapeDisplay
            The display.

        Raises
        ------
        TypeError, NotFittedError, CoefficientsError
            If `estimator` has no shapes, as `shapes` raises them.
        FeatureNamesError
            If a column of `features` has no shape.
        ValueError
            If `output` is none of the model.
        MissingDependencyError
            If matplotlib is not installed.
        """
        found, prior = shapes(estimator, X), estimator.prior_
        target, outputs, classes = estimator._task_names()
        chosen = [
            told
            for name, told in zip(outputs, name_outputs(estimator), strict=True)
            if output in (None, name)
        ]
        unit = "log-odds" if classes else shorten(target, LEVEL_WIDTH)
        if classes and len(chosen) == 1:
            unit += f" of\n{shorten(chosen[0], *OUTPUT_WIDTHS)}"
        if features is None:
            size = {n: np.ptp(shape.learnt, axis=1).max() for n, shape in found.items()}
            features = sorted(found, key=lambda name: -size[name])
        elif unknown := [name for name in features if name not in found]:
            raise FeatureNamesError(
                f"features contains columns without a shape: {unknown}. There are "
                f"{list_names(found)}."
            )
        found = {name: found[name] for name in features}
        spans = {}
        for name, shape in found.items():
            if shape.is_levels:
                continue
            ends = shape.values
            if prior is not None and name in prior.curves:
                ends = shown_span(prior.curves[name], prior.ranges.get(name))
            rows = ends if shape.rows is None else shape.rows
            spans[name] = min(ends[0], *rows), max(ends[-1], *rows)
        keys = {c.key: c.name for c in estimator.encoder_.columns_}
        return cls(
            shapes=found,
            outputs=outputs,
            n_features=n_features,
            output=output,
            unit=unit,
            spans=spans,
            units={} if prior is None else prior.units,
            contradicted=frozenset(
                (keys.get(c.feature, c.feature), c.output)
                for trust in each_trust(estimator.trust_)
                for c in trust.contradictions
            ),
        ).plot(ax=ax)

    def _plot(self, ax: Any) -> None:
        check_scalar(self.n_features, "n_features", Integral, min_val=1)
        if self.output is not None and self.output not in self.outputs:
            raise ValueError(
                f"output must be one of {list_names(self.outputs)}; got "
                f"{self.output!r}."
            )
        shown = [k for k, n in enumerate(self.outputs) if self.output in (None, n)]
        shown = shown[: len(COLOURS)]
        found = list(self.shapes.items())[: self.n_features]
        # Lines first; bars of about the same number stand side by side.
        found.sort(key=lambda each: len(each[1].values) if each[1].is_levels else 0)
        panels = [
            Panel(name, [*range(len(shape.values))], not shape.is_levels)
            for name, shape in found
        ]
        self._shown = shown
        drawn = self._draw_line, self._draw_bars
        self.axes_, reach = draw_columns(ax, panels, 2 * len(shown), *drawn)
        self.figure_ = self.axes_[0].figure
        has_rows = any(shape.rows is not None for shape in self.shapes.values())
        for axes, panel in zip(self.axes_, panels, strict=True):
            self._title(axes, panel.title)
            low, high = (end(reach[panel.is_curve]) for end in (np.nanmin, np.nanmax))
            margin = 0.06 * (high - low) or 1.0
            low, high = low - margin, high + margin
            if has_rows and panel.is_curve:
                low -= _RUG * (high - low)
            scale_panel(axes, (low, high), self.unit, is_bars=not panel.is_curve)
        tell_left_out(self.axes_[0], len(found), len(self.shapes), "columns")
        if self.output is None:
            n_outputs = len(self.outputs)
            tell_left_out(self.axes_[0], len(shown), n_outputs, "outputs")
        add_legend(self.axes_, outside=ax is None)

    def _title(self, ax: Any, name: str) -> None:
        """Name a panel, and mark it where the rows contradict what was said."""
        against = [
            shorten(self.outputs[k], OUTPUT_WIDTH)
            for k in self._shown
            if (name, self.outputs[k]) in self.contradicted
        ]
        title = shorten(name, TITLE_WIDTH)
        if against:
            title += "\nagainst the prior"
            if len(self.outputs) > 1:
                title += f": {list_names(against, 2, str)}"
        title_panel(ax, title, **{"color": VERMILION} if against else {})

    def _looks(self) -> list[tuple[int, Any, Any, str, str]]:
        """Give the colours of what was said and learnt, and the labels, by output."""
        shown = self._shown
        if len(shown) == 1:
            return [(shown[0], ORANGE, BLUE, "said", "learnt")]
        said = ["said (pale)", *["_"] * len(shown)]
        return [
            (k, COLOURS[i], COLOURS[i], said[i], shorten(self.outputs[k], OUTPUT_WIDTH))
            for i, k in enumerate(shown)
        ]

    def _draw_line(self, ax: Any, panel: Panel) -> list[float]:
        """Draw the shape of a number; return how far it reaches."""
        name, shown = panel.title, self._shown
        shape, (low, high) = self.shapes[name], self.spans[name]
        x = np.union1d(spaced(low, high, N_POINTS), shape.values.clip(low, high))
        ends = []
        for k, pale, colour, said, learnt in self._looks():
            y = np.interp(x, shape.values, shape.learnt[k])
            told = np.interp(x, shape.values, shape.said[k])
            ax.plot(x, told, color=pale, alpha=_PALE, linewidth=4, label=said)
            ax.plot(x, y, color=colour, linewidth=1.5, label=learnt)
            spread = np.zeros_like(y)
            if shape.deviations is not None:
                spread = np.interp(x, shape.values, shape.deviations[k])
                label = "± standard deviation" if k == shown[-1] else "_"
                band = (y - spread, y + spread)
                ax.fill_between(x, *band, color=colour, label=label, **BAND)
            for code, found in shape.special.items():
                at = min(max(code, low), high)
                label = "a code of its own" if k == shown[0] else "_"
                dots = ax.scatter([at, at], found[:, k], label=label, **CODE)
                dots.set(facecolors=[colour, "none"], edgecolors=[colour, pale])
                if code in shape.special_deviations:
                    sure = shape.special_deviations[code][k]
                    ax.errorbar(at, found[0, k], sure, color=colour, linewidth=1)
                    ends += [found[0, k] - sure, found[0, k] + sure]
                ends += found[:, k].tolist()
            ends += [*(y - spread), *(y + spread), *told]
        if shape.rows is not None:
            _draw_rows(ax, shape.rows, low, high)
        dress_values(ax, low, high, self.units.get(name, ""), high)
        return ends

    def _draw_bars(self, ax: Any, panel: Panel) -> list[float]:
        """Draw the levels of a category; return how far they reach."""
        shape, shown = self.shapes[panel.title], self._shown
        kept = choose_levels(np.abs(shape.learnt[shown]).max(axis=0))
        heights, spread, looks = [], [], []
        for k, pale, colour, said, learnt in self._looks():
            heights += [np.nan_to_num(shape.said[k, kept]), shape.learnt[k, kept]]
            sure = np.zeros(len(kept))
            spread += [
                sure,
                sure if shape.deviations is None else shape.deviations[k, kept],
            ]
            looks += [
                {"color": pale, "alpha": _PALE, "label": said},
                {"color": colour, "label": learnt},
            ]
        table, reach = np.array(heights), np.array(spread)
        draw_bars(ax, table, reach, looks)
        ticks = [shorten(shape.values[j], LEVEL_WIDTH) for j in kept]
        if shape.rows is not None:
            counts = shape.rows[kept]
            ticks = [f"{t} ({n:.0f})" for t, n in zip(ticks, counts, strict=True)]
        name_levels(ax, ticks)
        if n_left := len(shape.values) - len(kept):
            ax.set_xlabel(f"{n_left} of {len(shape.values)} levels left out")
        return [*(table - reach).ravel(), *(table + reach).ravel()]


def _draw_rows(ax: Any, rows: np.ndarray, low: float, high: float) -> None:
    """Draw rows along the lower edge: each of few, or a histogram."""
    shade, along = faint(ax), ax.get_xaxis_transform()
    if len(rows) <= _MANY_ROWS:
        ax.vlines(rows, 0, _RUG / 2, color=shade, linewidth=0.7, transform=along)
        return
    edges = spaced(low, high, 31)
    counts = np.histogram(rows, edges)[0]
    heights = _RUG * counts / max(1, counts.max())
    bars: dict[str, Any] = {"color": shade, "alpha": 0.5, "transform": along}
    ax.bar(edges[:-1], heights, np.diff(edges), align="edge", linewidth=0, **bars)
