"""Pictures of what became of a prior in a fitted model."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from sklearn.preprocessing import normalize

from llmreg._utils._text import number, shorten
from llmreg.exceptions import PriorError
from llmreg.inspection._plotting import (
    BLUE,
    LITERAL,
    ORANGE,
    OUTPUT_WIDTH,
    OUTPUT_WIDTHS,
    VERMILION,
    Display,
    bar_panels,
    check_estimator,
    dress,
    faint,
    ink,
    mark_zero,
    name_outputs,
    name_rows,
    row_height,
)
from llmreg.linear_model._trust import SURE, Trust, each_trust
from llmreg.nn._factory import linear_part

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
# How the model's part is drawn: the shape alone tells the cases apart.
POINTS = {
    "agrees": ("model", "o", BLUE),
    "disagrees": ("model, against the prior", "X", VERMILION),
    "unscored": ("model, prior has no score", "D", None),
}


@dataclass(kw_only=True, eq=False, repr=False)
class FittedDisplay(Display):
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
        TypeError, NotFittedError
            If it is no fitted estimator of llmreg.
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
            outputs=name_outputs(estimator),
            n_features=n_features,
            **cls._read(estimator),
        ).plot(ax=ax)

    @classmethod
    @abstractmethod
    def _read(cls, estimator: Any) -> dict[str, Any]:
        """Return what else the display shows."""


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
    direction, attributions : ndarray of shape (n_outputs, n_features)
        The prior, NaN where it has no score, and what the model has learnt; rows of
        unit length.
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

    def _plot(self, ax: Any) -> None:
        size = np.fmax(np.abs(self.direction), np.abs(self.attributions))
        panels, shown = bar_panels(ax, size, self.n_features)
        limit = 1.08 * (size.max() or 1.0)
        self.bars_: list[Any] = []
        self.points_: list[dict[str, Any]] = []
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
            title = f"{shorten(self.outputs[i], *OUTPUT_WIDTHS)}: {told}"
            dress(panel, self.features, shown, title)
            mark_zero(panel, "direction, unit length", limit)
        self._finish(panels, outside=ax is None)


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
    trusts, names : sequence of Trust, and of str
        What was found, one or one per output, and what each is about.

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
        if basis := getattr(linear_part(module), "basis", None):
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

    def _plot(self, ax: Any) -> None:
        above = [(len(self.trusts), 1.1 + row_height() * (len(STRENGTHS) + 2))]
        size = np.abs(self.scores)
        panels, shown = bar_panels(ax, size, self.n_features, above, 1.7, 4.0)
        upper, lower = np.split(panels, [len(self.trusts)])
        self.bars_: list[Any] = [
            _draw_ways(panel, trust, shorten(name, OUTPUT_WIDTH))
            for panel, trust, name in zip(upper, self.trusts, self.names, strict=True)
        ]
        agreement = np.concatenate([trust.agreement for trust in self.trusts])
        self.points_: list[dict[str, Any]] = []
        for i, panel in enumerate(lower):
            self.points_.append(_draw_signs(panel, agreement[i, shown]))
            self._dress(panel, i, shown)
        self._finish(panels, outside=ax is None)

    def _dress(self, ax: Any, i: int, shown: np.ndarray) -> None:
        """Name the rows of a lower panel, and write scores and weights beside it."""
        title = f"{shorten(self.outputs[i], *OUTPUT_WIDTHS)}: signs of the weights"
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


def _draw_ways(ax: Any, trust: Trust, name: str) -> Any:
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


def _draw_signs(ax: Any, agreement: np.ndarray) -> dict[str, Any]:
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


def draw_points(
    ax: Any,
    x: np.ndarray,
    kinds: Mapping[str, tuple[str, str, str | None]],
    masks: Sequence[np.ndarray],
    other: Any,
) -> dict[str, Any]:
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
