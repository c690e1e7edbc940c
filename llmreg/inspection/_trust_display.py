"""A picture of how much of a prior survived the training rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from llmreg._utils._text import number, shorten
from llmreg.exceptions import PriorError
from llmreg.inspection._plotting import (
    BLUE,
    LITERAL,
    OUTPUT_WIDTH,
    VERMILION,
    FittedDisplay,
    draw_points,
    dress,
    faint,
    ink,
    make_panels,
    name_rows,
    row_height,
)
from llmreg.linear_model._trust import SURE, Trust, each_trust

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.container import BarContainer
    from matplotlib.lines import Line2D


# The ways to take the scores: at least this gamma, and what it is called.
STRENGTHS = (
    (100.0, "as they are, gamma above 100"),
    (10.0, "as they are, gamma 10 to 100"),
    (1.0, "as they are, gamma 1 to 10"),
    (0.0, "as they are, gamma below 1"),
)
TURNED, NO_GUIDE = "with their signs turned", "not at all"
# What the rows leave of a score's sign: what it is called, and its mark.
SIGNS = {
    "kept": ("sign as the score says", "o", BLUE),
    "open": ("sign not settled", "s", None),
    "contradicted": ("sign against the score", "X", VERMILION),
}


@dataclass(kw_only=True, eq=False, repr=False)
class TrustDisplay(FittedDisplay):
    """How much of the prior survived the training rows.

    `from_estimator` makes it, from an estimator fitted with ``gamma="auto"``. The
    upper panel shows the probability, given the rows, that the scores are to be taken
    as they are, how closely, with their signs turned, or not at all; there is one for
    a classification, and one for each target of a regression.

    The lower panels, one per output, show the probability that a weight has the sign of
    its score, prior and rows taken together: with few rows it is the prior that makes a
    sign likely. A cross is a sign that the rows contradict, with a probability of 0.9
    or more. Beside it stand scores and learnt attributions. Probabilities are those of
    the linear model; hidden layers learn what it leaves over.

    Parameters
    ----------
    features, outputs : sequence of str
        Names of the features, and of the classes or targets.
    n_features : int, default=20
        How many features are shown at most: those with the largest scores.
    scores, attributions : ndarray of shape (n_outputs, n_features)
        The prior's scores, NaN where it has none, and what the model has learnt.
    trusts : sequence of Trust
        What was found: one, or one per output.
    names : sequence of str
        What each of `trusts` is about.

    Attributes
    ----------
    ax_ : ndarray of Axes of shape (n_trusts + n_outputs,)
        The upper panels, then the lower ones.
    figure_ : matplotlib Figure
        The figure they are in.
    bars_ : list of BarContainer
        How likely each way to take the scores is, for each of `trusts`.
    points_ : list of dict of Line2D
        The signs, for each output, by "kept", "open" and "contradicted".

    Examples
    --------
    >>> import numpy as np
    >>> from llmreg import LLMAttributionClassifier
    >>> from llmreg.inspection import TrustDisplay
    >>> rng = np.random.default_rng(0)
    >>> X = rng.uniform(size=(200, 2))
    >>> y = X @ [3.0, -3.0] + rng.normal(size=200) > 0
    >>> model = LLMAttributionClassifier([5, 5], random_state=0).fit(X, y)
    >>> display = TrustDisplay.from_estimator(model)
    >>> display.points_[0]["contradicted"].get_ydata()
    array([1])
    """

    scores: np.ndarray
    attributions: np.ndarray
    trusts: Sequence[Trust]
    names: Sequence[str]

    @classmethod
    def _read(cls, estimator: Any) -> dict[str, Any]:
        name = type(estimator).__name__
        trusts = each_trust(estimator.trust_)
        if not trusts and estimator.gamma == "auto":
            raise PriorError(
                f"The prior of this {name} has no score other than 0, so the trust in "
                "it was not learnt. Give it a prior that has one."
            )
        if not trusts:
            raise PriorError(
                f"This {name} was fitted with gamma={estimator.gamma!r}, so the trust "
                'in its prior was not learnt. Fit it with gamma="auto"; '
                "AlignmentDisplay shows what a fixed gamma made of the prior."
            )
        target, outputs, _ = estimator._task_names()
        scores = estimator.prior_.scores
        module = estimator.net_.module_
        if basis := getattr(getattr(module, "linear", module), "basis", None):
            # Curves are weighed by feature: its levels have their sign in common.
            parts = np.split(np.where(np.isnan(scores), np.nan, 1.0), len(trusts))
            trusts = tuple(
                replace(trust, agreement=trust.agreement[:, basis.feature_of] * part)
                for trust, part in zip(trusts, parts, strict=True)
            )
        return {
            "scores": scores,
            "attributions": estimator.attributions_,
            "trusts": trusts,
            "names": outputs if len(trusts) > 1 else (target,),
        }

    def _size(self) -> np.ndarray:
        return np.abs(self.scores)

    def _panels(self, ax: Any, n_outputs: int, n_bars: int) -> np.ndarray:
        heights = 1.1 + row_height() * (len(STRENGTHS) + 2), 1.7 + row_height() * n_bars
        groups = list(zip((len(self.trusts), n_outputs), heights, strict=True))
        return make_panels(ax, groups, width=4.0)

    def _draw(self, panels: np.ndarray, shown: np.ndarray) -> None:
        upper, lower = np.split(panels, [len(self.trusts)])
        self.bars_: list[BarContainer] = [
            _draw_ways(panel, trust, shorten(name, OUTPUT_WIDTH))
            for panel, trust, name in zip(upper, self.trusts, self.names, strict=True)
        ]
        agreement = np.concatenate([trust.agreement for trust in self.trusts])
        self.points_: list[dict[str, Line2D]] = []
        for i, panel in enumerate(lower):
            self.points_.append(_draw_signs(panel, agreement[i, shown]))
            self._dress(panel, i, shown)

    def _dress(self, ax: Axes, i: int, shown: np.ndarray) -> None:
        """Name the rows of a lower panel, and write scores and weights beside it."""
        title = f"{shorten(self.outputs[i], OUTPUT_WIDTH)}: signs of the weights"
        size = dress(ax, self.features, shown, title, head=1.6)
        label = "probability that the weight\nhas the sign of its score"
        ax.set(xlim=(-0.04, 1.04), xlabel=label)
        ax.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
        ax.axvline(0.5, color=ink(ax), linewidth=0.8)
        ax.axvspan(-0.04, 1 - SURE, color=VERMILION, alpha=0.12, linewidth=0)
        # In points, so that the room for them does not grow with the panel.
        for place, head, values, spec in (
            (3.6, "score", self.scores[i, shown], "+.1f"),
            (8.2, "learnt", self.attributions[i, shown], "+.2f"),
        ):
            column = [number(value, spec if value else spec[1:]) for value in values]
            for row, text in enumerate([head, *column], start=-1):
                ax.annotate(
                    text,
                    (1, row),
                    (place * size, 0),
                    xycoords=ax.get_yaxis_transform(),
                    textcoords="offset points",
                    annotation_clip=False,
                    size=size,
                    ha="right",
                    va="center",
                    color=faint(ax) if row < 0 else ink(ax),
                )


def _draw_ways(ax: Axes, trust: Trust, name: str) -> BarContainer:
    """Draw how likely each way to take the scores is."""
    ways, left = {}, trust.signs > 0
    for least, way in STRENGTHS:
        chosen = left & (trust.gammas >= least)
        ways[way] = float(trust.weights[chosen].sum())
        left &= ~chosen
    ways |= {TURNED: trust.p_reversed, NO_GUIDE: trust.p_uninformative}
    colours = [*[BLUE] * len(STRENGTHS), VERMILION, faint(ax)]
    bars = ax.barh(range(len(ways)), list(ways.values()), color=colours)
    size = name_rows(ax, list(ways))
    for row, share in enumerate(ways.values()):
        look = {"va": "center", "size": size, "color": ink(ax)}
        ax.text(share + 0.02, row, f"{share:.0%}", **look)
    ax.set(xlim=(0, 1.15), xlabel=f"probability after {trust.n_samples} rows")
    ax.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
    ax.set_title(f"{name}: how to take the scores", **LITERAL)
    return bars


def _draw_signs(ax: Axes, agreement: np.ndarray) -> dict[str, Line2D]:
    """Draw a point per feature, of a shape that tells what became of its sign."""
    kept, contradicted = agreement > SURE, agreement < 1 - SURE
    known = ~np.isnan(agreement)
    masks = (kept, known & ~(kept | contradicted), contradicted)
    points = draw_points(ax, agreement, SIGNS, masks, ink(ax))
    points["open"].set_markerfacecolor("none")
    for line in points.values():
        ends, rows = line.get_data()
        ax.hlines(rows, 0.5, ends, color=line.get_color(), linewidth=1.2)
    return points
