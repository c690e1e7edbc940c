"""A picture of what a prior is worth: learning curves with it and without."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.base import is_classifier
from sklearn.model_selection import learning_curve
from sklearn.utils import check_random_state, check_scalar, column_or_1d, indexable

from llmreg.exceptions import DataError, PriorMismatchWarning
from llmreg.inspection._comparison import last_step, settle, with_prior
from llmreg.inspection._plotting import BLUE, VERMILION, ink, load_pyplot, new_figure

if TYPE_CHECKING:
    from matplotlib.collections import PolyCollection
    from matplotlib.lines import Line2D


# Where no sizes are named: those of these that a table has rows for.
TRAIN_SIZES = (4, 8, 16, 32, 64, 128, 256)
# At least this share of the rows is never trained on.
TEST_SHARE = 0.2
BAND: dict[str, Any] = {"alpha": 0.18, "linewidth": 0}
CURVES = {
    "with the prior": ("scores", "o", "-", BLUE),
    "without": ("scores_without", "s", "--", VERMILION),
}


@dataclass(kw_only=True, eq=False, repr=False)
class PriorCurveDisplay:
    """The score against the number of training rows, with the prior and without.

    `from_estimator` makes it. Lines are means over the repetitions, bands one
    standard deviation to either side. The two curves have the same rows.

    Parameters
    ----------
    train_sizes : array-like of int, shape (n_sizes,)
        Numbers of training rows.
    scores : ndarray of shape (n_sizes, n_repeats)
        Scores on the test rows, with the prior.
    scores_without : ndarray of shape (n_sizes, n_repeats)
        Scores on the same test rows with ``prior=None``.
    score_name : str, default="Score"
        What is scored.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The panel.
    figure_ : matplotlib Figure
        The figure it is in.
    lines_ : list of Line2D
        The means: with the prior, without.
    fill_between_ : list of PolyCollection
        The bands, in the same order.

    Examples
    --------
    >>> import numpy as np
    >>> from llmreg import LLMAttributionClassifier
    >>> from llmreg.inspection import PriorCurveDisplay
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(100, 3))
    >>> y = X @ [3, -2, 0] + rng.normal(size=100) > 0
    >>> display = PriorCurveDisplay.from_estimator(
    ...     LLMAttributionClassifier([6, -4, 0]),
    ...     X,
    ...     y,
    ...     train_sizes=[4, 16],
    ...     n_repeats=2,
    ...     random_state=0,
    ... )
    >>> display.scores.shape
    (2, 2)
    """

    train_sizes: Sequence[int] | np.ndarray
    scores: np.ndarray
    scores_without: np.ndarray
    score_name: str = "Score"

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any,
        *,
        train_sizes: Sequence[int] | None = None,
        n_repeats: int = 10,
        scoring: Any = None,
        random_state: Any = None,
        n_jobs: int | None = None,
        ax: Any = None,
    ) -> Self:
        """Train on more and more rows, with the prior and without, and draw the scores.

        Each repetition trains on the first rows of a random order, which has the
        classes in proportion, and tests on those after the largest size, at least a
        fifth of the table. A provider is asked once, about all of `X`.

        Parameters
        ----------
        estimator : estimator or Pipeline
            An estimator of llmreg that has a prior, or a pipeline whose last step is
            one. It is copied, and need not be fitted.
        X, y : array-like or DataFrame
            The table, and its labels or targets.
        train_sizes : sequence of int, default=None
            Numbers of training rows, all classes together. None takes those of 4, 8,
            16, 32, 64, 128 and 256 that the table has rows for.
        n_repeats : int, default=10
            Orders of the rows.
        scoring : str, callable or None, default=None
            What is scored, as scikit-learn names it, such as "roc_auc"; None is the
            accuracy, or R^2.
        random_state : int, RandomState instance or None, default=None
            Seed of the orders.
        n_jobs : int, default=None
            Processes; None is 1, -1 all.
        ax : matplotlib Axes, default=None
            Where to draw, see `plot`.

        Returns
        -------
        PriorCurveDisplay
            The display.

        Raises
        ------
        PriorError
            If the estimator has no prior.
        ProviderError
            If a provider gives none.
        DataError
            If the table has no rows for the sizes, or a class has a single row.
        TypeError
            If the estimator is none of llmreg.
        MissingDependencyError
            If matplotlib is not installed.
        """
        load_pyplot()
        check_scalar(n_repeats, "n_repeats", Integral, min_val=1)
        X, y = indexable(X, y)
        labels = column_or_1d(y) if is_classifier(last_step(estimator)) else None
        sizes = _sizes(train_sizes, len(y), labels)
        prior = settle(estimator, X, y)
        random_state = check_random_state(random_state)
        orders = [_order(len(y), labels, random_state) for _ in range(n_repeats)]
        largest = max(sizes)
        splits = [(order[:largest], order[largest:]) for order in orders]
        options: dict[str, Any] = {"cv": splits, "scoring": scoring, "n_jobs": n_jobs}
        options |= {"train_sizes": sizes, "error_score": "raise"}
        with warnings.catch_warnings(action="ignore", category=PriorMismatchWarning):
            # The sizes are the first rows of a split, so that both have the same.
            scores, scores_without = (
                learning_curve(with_prior(estimator, given), X, y, **options)[2]
                for given in (prior, None)
            )
        return cls(
            train_sizes=np.array(sizes),
            scores=scores,
            scores_without=scores_without,
            score_name=_score_name(scoring, labels),
        ).plot(ax=ax)

    def plot(self, ax: Any = None) -> Self:
        """Draw the display, or draw it again elsewhere.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a new figure.

        Returns
        -------
        PriorCurveDisplay
            The display itself.

        Raises
        ------
        MissingDependencyError
            If matplotlib is not installed.
        """
        if ax is None:
            ax = new_figure((6.4, 4.2)).add_subplot()
        self.ax_, self.figure_ = ax, ax.figure
        self.lines_: list[Line2D] = []
        self.fill_between_: list[PolyCollection] = []
        for label, (name, marker, style, colour) in CURVES.items():
            scores = getattr(self, name)
            mean, spread = scores.mean(axis=1), scores.std(axis=1)
            line = {"marker": marker, "linestyle": style, "label": label}
            self.lines_ += ax.plot(self.train_sizes, mean, color=colour, **line)
            ends = mean - spread, mean + spread
            band = ax.fill_between(self.train_sizes, *ends, color=colour, **BAND)
            self.fill_between_.append(band)
        # Sizes double, so they are evenly spaced in logarithms.
        ax.set(xscale="log", xlabel="training rows", ylabel=self.score_name)
        ax.set_xticks(self.train_sizes, [str(size) for size in self.train_sizes])
        ax.minorticks_off()
        ax.grid(alpha=0.3)
        ax.set_axisbelow(True)
        ax.spines[["top", "right"]].set_visible(False)
        title = "one draw of rows"
        if (n_repeats := self.scores.shape[1]) > 1:
            title = f"mean ± standard deviation of {n_repeats} draws of rows"
        ax.set_title(title, fontsize="medium", color=ink(ax))
        ax.legend(loc="best", frameon=False)
        return self


def _sizes(
    given: Sequence[int] | None, n_rows: int, labels: np.ndarray | None
) -> list[int]:
    """Return the sizes, all of which the table has rows for."""
    least = 2
    if labels is not None:
        classes, counts = np.unique(labels, return_counts=True)
        least = len(classes)
        if counts.min() < 2:
            raise DataError(
                f"The class {classes[counts.argmin()]!r} has a single row; one to "
                "train on and one to test on are needed."
            )
    most = n_rows - max(least, int(np.ceil(TEST_SHARE * n_rows)))
    if given is None:
        sizes = [size for size in TRAIN_SIZES if least <= size <= most]
    else:
        sizes = sorted({int(size) for size in given})
    if not sizes or sizes[0] < least or sizes[-1] > most:
        raise DataError(
            f"train_sizes must be from {least} to {most} for this table of {n_rows} "
            "rows: a row of each class, two in a regression, and a fifth of the rows "
            f"left to test on; got {list(given or sizes)}."
        )
    return sizes


def _order(
    n_rows: int, labels: np.ndarray | None, random_state: np.random.RandomState
) -> np.ndarray:
    """Put rows into an order whose beginnings have all classes, in proportion."""
    order = random_state.permutation(n_rows)
    if labels is None:
        return order
    place = np.empty(n_rows)
    for label in np.unique(labels):
        rows = order[labels[order] == label]
        place[rows] = (np.arange(len(rows)) + random_state.uniform()) / len(rows)
        # One of each class comes first, and one last, for the test rows.
        place[rows[0]], place[rows[-1]] = -1, 2
    return order[np.argsort(place[order], kind="stable")]


def _score_name(scoring: Any, labels: np.ndarray | None) -> str:
    """Put the score into words."""
    if scoring is None:
        return "Accuracy" if labels is not None else "R²"
    if not isinstance(scoring, str):
        return "Score"
    known = {"roc_auc": "ROC AUC", "r2": "R²", "neg_log_loss": "Negative log loss"}
    text = scoring.replace("neg_", "negative_").replace("_", " ")
    return known.get(scoring, text.capitalize())
