"""Pictures of a prior: its response curves, its scores as bars."""

from dataclasses import dataclass
from numbers import Integral
from typing import Any, Self

import numpy as np
from sklearn.utils import check_scalar

from llmreg._utils._text import shorten
from llmreg.exceptions import PriorError
from llmreg.inspection._plotting import (
    BAND,
    BLUE,
    CODE,
    COLOURS,
    LEVEL_WIDTH,
    N_POINTS,
    OUTPUT_WIDTH,
    OUTPUT_WIDTHS,
    TITLE_WIDTH,
    VERMILION,
    Display,
    Panel,
    bar_panels,
    choose_levels,
    draw_bars,
    draw_columns,
    dress,
    dress_values,
    faint,
    mark_zero,
    name_levels,
    scale_panel,
    tell_left_out,
    title_panel,
)
from llmreg.prior._feature_prior import SCORE_LIMIT, FeaturePrior
from llmreg.prior._formatting import (
    name_class,
    shown_span,
    spaced,
    spread_at,
    trace,
)

KINDS = ("auto", "curves", "scores")
# One for each output, as the colours are.
STYLES = ("-", "--", "-.", ":", (0, (6, 1)), (0, (3, 1, 1, 1)))


@dataclass(kw_only=True, eq=False, repr=False)
class PriorDisplay(Display):
    """The response curves of a prior, or its scores as bars.

    `from_prior` makes it.

    Curves have one panel per column, the strongest first, with the standard deviation
    of the estimates as a band and the typical range shaded; levels of a category are
    bars, and so are plain scores. All curves have one scale, and all bars. A curve ends
    one typical range beyond the typical range; its axis is logarithmic where values are
    positive and span a factor of 1000.

    Scores have one panel per output, all with the same features, by their largest
    absolute score. Error bars are the standard deviation of several estimates.

    Parameters
    ----------
    prior : FeaturePrior
        The prior.
    n_features : int, default=20
        How many features are shown at most; in curves, how many columns.
    kind : {"auto", "curves", "scores"}, default="auto"
        What is drawn; "auto" draws curves where there are some.

    Attributes
    ----------
    ax_ : matplotlib Axes or ndarray of Axes of shape (n_panels,)
        The panels, one per output or, in curves, per column; no array for one panel.
    figure_ : matplotlib Figure
        The figure they are in.
    bars_ : list of BarContainer
        The bars of each output; in curves, of each category and output.
    lines_ : list of Line2D
        The curves, of each feature and output; none in scores.

    Examples
    --------
    >>> from llmreg import FeaturePrior
    >>> from llmreg.inspection import PriorDisplay
    >>> prior = FeaturePrior.from_dict({"age": 3, "bmi": 7, "sex=male": -1})
    >>> display = PriorDisplay.from_prior(prior, n_features=2)
    >>> [label.get_text() for label in display.ax_.get_yticklabels()]
    ['bmi', 'age']
    >>> print(display.ax_.get_title())
    target
    1 of 3 features left out
    """

    prior: FeaturePrior
    n_features: int = 20
    kind: str = "auto"

    @classmethod
    def from_prior(
        cls,
        prior: FeaturePrior,
        *,
        n_features: int = 20,
        kind: str = "auto",
        ax: Any = None,
    ) -> Self:
        """Draw a prior.

        Parameters
        ----------
        prior : FeaturePrior
            The prior, such as ``estimator.prior_``.
        n_features : int, default=20
            How many features are shown at most, at least 1; in curves, how many
            columns.
        kind : {"auto", "curves", "scores"}, default="auto"
            Curves, or scores as bars; "auto" draws curves where there are some.
        ax : matplotlib Axes or sequence of Axes, default=None
            Where to draw, see `plot`.

        Returns
        -------
        PriorDisplay
            The display.

        Raises
        ------
        PriorError
            If `prior` is no `FeaturePrior`.
        ValueError
            If `kind` is none of the three.
        MissingDependencyError
            If matplotlib is not installed.
        """
        if not isinstance(prior, FeaturePrior):
            raise PriorError(
                f"PriorDisplay needs a FeaturePrior; got {type(prior).__name__}. "
                "Make one with FeaturePrior.from_dict, or fit an estimator with one."
            )
        return cls(prior=prior, n_features=n_features, kind=kind).plot(ax=ax)

    def _plot(self, ax: Any) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"kind must be one of {KINDS}; got {self.kind!r}.")
        self.lines_: list[Any] = []
        self.bars_: list[Any] = []
        is_scores = self.kind == "scores" or (
            self.kind == "auto" and not self.prior.curves
        )
        panels = (self._plot_scores if is_scores else self._plot_curves)(ax)
        self._finish(panels, outside=ax is None)

    def _plot_curves(self, ax: Any) -> np.ndarray:
        """Draw a panel per column."""
        prior = self.prior
        check_scalar(self.n_features, "n_features", Integral, min_val=1)
        panels = plan_panels(prior, self.n_features)
        drawn = self._draw_curve, self._draw_levels
        axes, reach = draw_columns(ax, panels, len(prior.outputs), *drawn)
        (name, *more), label = prior.outputs, "effect"
        if not more and (told := name_class(prior.target, name)) != name:
            label = f"effect on\n{shorten(told, *OUTPUT_WIDTHS)}"
        for panel, plan in zip(axes, panels, strict=True):
            # Next to strong curves bars of levels would vanish.
            limit = 1.08 * max(1.0, *reach[plan.is_curve])
            scale_panel(panel, (-limit, limit), label, is_bars=not plan.is_curve)
        tell_left_out(axes[0], len(COLOURS), len(prior.outputs), "outputs")
        n_columns = len(plan_panels(prior, len(prior.features)))
        tell_left_out(axes[0], len(panels), n_columns, "columns")
        return axes

    def _plot_scores(self, ax: Any) -> np.ndarray:
        """Draw a panel per output."""
        prior, label = self.prior, "prior score"
        panels, shown = bar_panels(ax, np.abs(prior.scores), self.n_features)
        spread = _spread(prior)
        if spread.any():
            label += "\n± standard deviation of the estimates"
        reach = np.nan_to_num(np.abs(prior.scores) + spread).max()
        limit = 1.05 * max(SCORE_LIMIT, reach)
        for i, panel in enumerate(panels):
            scores, error = prior.scores[[i]][:, shown], spread[[i]][:, shown]
            look = {"color": _by_sign(scores[0])}
            self.bars_ += draw_bars(panel, scores, error, [look])
            name = prior.outputs[i]
            name = name if len(panels) > 1 else name_class(prior.target, name)
            dress(panel, prior.features, shown, shorten(name, *OUTPUT_WIDTHS))
            mark_zero(panel, label, limit)
        return panels

    def _draw_curve(self, ax: Any, panel: Panel) -> list[float]:
        """Draw the curve of a feature, a line per output."""
        prior, name = self.prior, panel.title
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
            look: dict[str, Any] = {"color": COLOURS[k], "linestyle": STYLES[k]}
            look["label"] = shorten(prior.outputs[k], OUTPUT_WIDTH) if several else "_"
            is_knot = np.isin(x, curve.values[~np.isnan(curve.effects[k])])
            knots = {
                "marker": "o",
                "markersize": 3,
                "markevery": np.flatnonzero(is_knot),
            }
            self.lines_ += ax.plot(x, line, **look, **knots)
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
        reach = np.concatenate([(np.abs(y) + spread).ravel(), *curve.special.values()])
        return [float(np.nan_to_num(np.abs(reach)).max())]

    def _draw_levels(self, ax: Any, panel: Panel) -> list[float]:
        """Draw the scores of levels, or of plain features."""
        prior = self.prior
        scores = prior.scores[: len(COLOURS), panel.places]
        shown = choose_levels(np.nan_to_num(np.abs(scores)).max(axis=0))
        scores = scores[:, shown]
        spread = _spread(prior)[: len(COLOURS), panel.places][:, shown]
        looks: list[dict[str, Any]] = [{"color": _by_sign(scores[0])}]
        if len(scores) > 1:
            names = [shorten(name, OUTPUT_WIDTH) for name in prior.outputs]
            pairs = zip(COLOURS, names, strict=False)
            looks = [{"color": colour, "label": name} for colour, name in pairs]
        self.bars_ += draw_bars(ax, scores, spread, looks)
        keys = (prior.features[panel.places[j]] for j in shown)
        names = [key.partition("=")[2] if panel.title else key for key in keys]
        name_levels(ax, [shorten(name, LEVEL_WIDTH) for name in names])
        title = shorten(panel.title, TITLE_WIDTH) or "plain scores"
        if n_left := len(panel.places) - len(shown):
            title += f"\n{n_left} of {len(panel.places)} left out"
        title_panel(ax, title)
        return [float(np.nan_to_num(np.abs(scores) + spread).max())]


def _spread(prior: FeaturePrior) -> np.ndarray:
    """Give the spread of scores, 0 where there is none."""
    none = np.zeros_like(prior.scores)
    return none if prior.spread is None else np.nan_to_num(prior.spread)


def _by_sign(scores: np.ndarray) -> list[str]:
    """Give bars of both signs a colour each."""
    return [str(colour) for colour in np.where(scores < 0, VERMILION, BLUE)]


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
