"""Pictures of a prior, and of what a model made of it."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.preprocessing import normalize
from sklearn.utils import check_scalar

from llmreg._utils._text import shorten
from llmreg.exceptions import PriorError
from llmreg.inspection._curve_panels import (
    draw_curve_panels,
    make_curve_panels,
    plan_panels,
)
from llmreg.inspection._plotting import (
    BLUE,
    ORANGE,
    OUTPUT_WIDTH,
    VERMILION,
    BarDisplay,
    FittedDisplay,
    add_legend,
    draw_points,
    dress,
    faint,
    ink,
    mark_zero,
)
from llmreg.prior._feature_prior import SCORE_LIMIT, FeaturePrior

if TYPE_CHECKING:
    from matplotlib.container import BarContainer
    from matplotlib.lines import Line2D


KINDS = ("auto", "curves", "scores")
# How the model's part is drawn: the shape alone tells the cases apart.
POINTS = {
    "agrees": ("model", "o", BLUE),
    "disagrees": ("model, against the prior", "X", VERMILION),
    "unscored": ("model, prior has no score", "D", None),
}


@dataclass(kw_only=True, eq=False, repr=False)
class PriorDisplay(BarDisplay):
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
        self.lines_: list[Line2D] = []
        self.bars_: list[BarContainer] = []
        if self.kind == "scores" or (self.kind == "auto" and not self.prior.curves):
            super()._plot(ax)
            return
        check_scalar(self.n_features, "n_features", Integral, min_val=1)
        panels = plan_panels(self.prior, self.n_features)
        axes = make_curve_panels(ax, panels, len(self.prior.outputs))
        self.lines_, self.bars_ = draw_curve_panels(axes, panels, self.prior)
        self.ax_ = axes if len(axes) > 1 else axes[0]
        self.figure_ = axes[0].figure
        add_legend(axes, outside=ax is None)

    def _size(self) -> np.ndarray:
        return np.abs(self.prior.scores)

    def _draw(self, panels: np.ndarray, shown: np.ndarray) -> None:
        prior = self.prior
        spread = np.zeros_like(prior.scores) if prior.spread is None else prior.spread
        # No spread, no error bar: its caps alone would look like one.
        errors = np.where(spread > 0, spread, np.nan)
        label = "prior score"
        if (spread > 0).any():
            label += "\n± standard deviation of the estimates"
        reach = np.nan_to_num(np.abs(prior.scores) + np.nan_to_num(spread)).max()
        limit = 1.05 * max(SCORE_LIMIT, reach)
        self.bars_ = []
        for i, panel in enumerate(panels):
            scores = prior.scores[i, shown]
            bars = {
                "color": np.where(scores < 0, VERMILION, BLUE).tolist(),
                "xerr": errors[i, shown],
                "error_kw": {"ecolor": ink(panel), "elinewidth": 1, "capsize": 2},
            }
            self.bars_.append(panel.barh(range(len(shown)), scores, **bars))
            note = {"va": "center", "color": faint(panel), "fontsize": "small"}
            for row in np.flatnonzero(np.isnan(scores)).tolist():
                panel.text(0, row, " no score", **note)
            dress(panel, prior.features, shown, shorten(prior.outputs[i], OUTPUT_WIDTH))
            mark_zero(panel, label, limit)


@dataclass(kw_only=True, eq=False, repr=False)
class AlignmentDisplay(FittedDisplay):
    """What the prior says, beside what the model has learnt.

    `from_estimator` makes it. Bars are the prior, after the `score_transform` of the
    estimator; points are the model's attributions, a cross where their sign is
    against the prior. Both are scaled to unit length over all features. There is one
    panel per output.

    The cosine in the title is `alignment_` of the estimator, which leaves out the
    features without a score. A high cosine with points far shorter than the bars
    says that the model relies on features without a score.

    Parameters
    ----------
    features, outputs : sequence of str
        Names of the features, and of the classes or targets.
    n_features : int, default=20
        How many features are shown at most.
    direction : ndarray of shape (n_outputs, n_features)
        The prior, rows of unit length; NaN where it has no score.
    attributions : ndarray of shape (n_outputs, n_features)
        What the model has learnt, rows of unit length.
    alignment : ndarray of shape (n_outputs,)
        The cosine of the two; NaN for an output without a direction.

    Attributes
    ----------
    ax_ : matplotlib Axes or ndarray of Axes of shape (n_outputs,)
        The panels; no array for one output.
    figure_ : matplotlib Figure
        The figure they are in.
    bars_ : list of BarContainer
        The prior, for each output.
    points_ : list of dict of Line2D
        The model, for each output, by "agrees", "disagrees" and "unscored".

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from llmreg import LLMAttributionRegressor
    >>> from llmreg.inspection import AlignmentDisplay
    >>> X, y = load_iris(return_X_y=True, as_frame=True)
    >>> prior = {"petal length (cm)": 3, "petal width (cm)": 3}
    >>> model = LLMAttributionRegressor(prior).fit(X, y)
    >>> display = AlignmentDisplay.from_estimator(model)
    >>> print(display.ax_.get_title())
    target: cosine 1.00
    """

    direction: np.ndarray
    attributions: np.ndarray
    alignment: np.ndarray

    @classmethod
    def _read(cls, estimator: Any) -> dict[str, Any]:
        direction = estimator.net_.criterion_.direction.cpu().numpy()
        is_unscored = np.isnan(estimator.prior_.scores)
        return {
            "direction": np.where(is_unscored, np.nan, direction),
            "attributions": normalize(estimator.attributions_),
            "alignment": estimator.alignment_,
        }

    def _size(self) -> np.ndarray:
        return np.asarray(np.fmax(np.abs(self.direction), np.abs(self.attributions)))

    def _draw(self, panels: np.ndarray, shown: np.ndarray) -> None:
        limit = 1.08 * (self._size().max() or 1.0)
        self.bars_: list[BarContainer] = []
        self.points_: list[dict[str, Line2D]] = []
        for i, panel in enumerate(panels):
            prior, model = self.direction[i, shown], self.attributions[i, shown]
            rows = range(len(shown))
            self.bars_.append(panel.barh(rows, prior, color=ORANGE, label="prior"))
            unscored = np.isnan(prior)
            disagrees = np.sign(prior) * np.sign(model) < 0
            masks = (~(unscored | disagrees), disagrees, unscored)
            self.points_.append(draw_points(panel, model, POINTS, masks, faint(panel)))
            cosine = round(float(self.alignment[i]), 2) + 0.0
            told = "no cosine" if np.isnan(cosine) else f"cosine {cosine:.2f}"
            title = f"{shorten(self.outputs[i], OUTPUT_WIDTH)}: {told}"
            dress(panel, self.features, shown, title)
            mark_zero(panel, "direction, unit length", limit)
