"""With a prior, which is elicited once, and without: performance, learning curves."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any, NamedTuple, Self

import numpy as np
import pandas as pd
from sklearn.base import clone, is_classifier
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.model_selection import (
    GridSearchCV,
    KFold,
    RepeatedKFold,
    RepeatedStratifiedKFold,
    StratifiedKFold,
    cross_validate,
    learning_curve,
)
from sklearn.pipeline import Pipeline
from sklearn.utils import check_random_state, check_scalar, column_or_1d, indexable

from llmreg._base import BaseAttributionEstimator
from llmreg.exceptions import DataError, PriorError, PriorMismatchWarning
from llmreg.inspection._plotting import (
    BLUE,
    VERMILION,
    Display,
    ink,
    load_pyplot,
    new_figure,
)
from llmreg.linear_model._trust import has_opinion
from llmreg.prior._feature_prior import FeaturePrior
from llmreg.providers._resolve import prior_source

# Where no sizes are named: those of these that a table has rows for.
TRAIN_SIZES = (4, 8, 16, 32, 64, 128, 256)
# At least this share of the rows is never trained on.
TEST_SHARE = 0.2
BAND: dict[str, Any] = {"alpha": 0.18, "linewidth": 0}
CURVES = {
    "with the prior": ("scores", "o", "-", BLUE),
    "without": ("scores_without", "s", "--", VERMILION),
}
WITH, WITHOUT, NOTHING = "with the prior", "without the prior", "no features"
N_FOLDS, N_REPEATS = 5, 2
# Without a prior columns may be standardised, if folds of the training rows say so:
# into how many they are cut, and from how many rows on, of the rarest class or of a
# regression. Of fewer it is chance who wins, and standardised columns are the worse.
N_CHOOSING, ENOUGH_OF_CLASS, ENOUGH = 3, 5, 20
# What is measured: names, and scorers of scikit-learn.
OF_CLASSES = {"Log loss": "neg_log_loss", "Accuracy": "accuracy"}
BINARY = {"ROC AUC": "roc_auc", **OF_CLASSES}
MULTICLASS = {"ROC AUC, one class to the rest": "roc_auc_ovr", **OF_CLASSES}
REGRESSION = {"R²": "r2", "Mean absolute error": "neg_mean_absolute_error"}


def last_step(estimator: Any) -> BaseAttributionEstimator:
    """Return the estimator of llmreg, which may be the last step of a pipeline."""
    model = estimator
    while isinstance(model, Pipeline):
        model = model[-1]
    if not isinstance(model, BaseAttributionEstimator):
        raise TypeError(
            "The estimator must be an LLMAttributionClassifier or "
            "LLMAttributionRegressor, or a pipeline whose last step is one; got "
            f"{type(model).__name__}. Pass best_estimator_ of a search."
        )
    return model


def settle(estimator: Any, X: Any, y: Any) -> FeaturePrior:
    """Get the prior of an estimator for a table, once; an error if it says nothing."""
    model = last_step(estimator)
    if prior_source(model.prior) is None or model.gamma == 0:
        raise PriorError(
            f"There is nothing to compare: this {type(model).__name__} has prior=None "
            "or gamma=0, which ignores the prior. Give it a prior."
        )
    # The names are those that reach the last step.
    inner = clone(estimator)
    while isinstance(inner, Pipeline):
        X = inner[:-1].fit_transform(X, y) if len(inner) > 1 else X
        inner = inner[-1]
    inner._is_clone = model._is_clone  # the labels are those of the caller
    prior = inner.elicit_prior(X, y)
    if not has_opinion(prior):
        reason = prior.provenance.get("error", "every score is 0 or absent")
        raise PriorError(f"There is no prior, so nothing to compare: {reason}.")
    return prior


def with_prior(estimator: Any, prior: FeaturePrior | None) -> Any:
    """Return an unfitted copy of an estimator that has another prior."""
    copy = clone(estimator)
    last_step(copy).set_params(prior=prior)
    return copy


class BetterScaled(GridSearchCV):
    """A search that has its estimator as it is where rows are too few to choose."""

    def fit(self, X: Any, y: Any) -> Self:
        """Fit the candidate to all rows that is best on folds of them."""
        enough, n_rows = ENOUGH, len(y)
        if is_classifier(self.estimator):
            counts = np.unique(np.asarray(y), return_counts=True)[1]
            enough, n_rows = ENOUGH_OF_CLASS, counts.min()
        if n_rows >= enough:
            return super().fit(X, y)  # type: ignore[no-any-return]
        self.best_estimator_ = clone(self.estimator).fit(X, y)
        return self

    def score(self, X: Any, y: Any) -> float:
        """Score as the estimator does, whatever it was chosen by."""
        return float(self.best_estimator_.score(X, y))


def without_prior(estimator: Any) -> Any:
    """Return an unfitted copy that has no prior, and the better of two scalings.

    The range of a skewed column is that of its longest tail, and the penalty of a model
    that has no prior to go by holds back what is scaled by it.
    """
    copy = with_prior(estimator, None)
    # They keep what a prior says.
    model = last_step(copy).set_params(biased_features=None)
    steps = [name for name, step in copy.get_params().items() if step is model]
    scalers = {"__".join([*steps, "scaler"]): [model.scaler, "standard"]}
    kind, scoring = KFold, "neg_mean_squared_error"
    if is_classifier(model):
        kind, scoring = StratifiedKFold, "neg_log_loss"
    folds = kind(N_CHOOSING, shuffle=True, random_state=0)
    return BetterScaled(copy, scalers, cv=folds, scoring=scoring, error_score="raise")


class Performance(NamedTuple):
    """Scores on the folds, by way to predict and by metric; errors are negative."""

    metrics: dict[str, str]
    scores: dict[str, dict[str, np.ndarray]]
    n_samples: int
    n_splits: int
    n_repeats: int


def measure(
    estimator: Any,
    prior: FeaturePrior | None,
    X: Any,
    y: Any,
    *,
    random_state: int = 0,
    n_jobs: int | None = None,
) -> Performance:
    """Cross-validate copies of an estimator, with its prior and `without_prior`."""
    model = last_step(estimator)
    is_class = is_classifier(model)
    n_rarest = _count_rarest(model, y) if is_class else len(y)
    n_splits = min(N_FOLDS, n_rarest)
    if n_splits < 2 or len(y) < 2 * n_splits:
        raise DataError(
            f"The table has {len(y)} rows, {n_rarest} of the rarest class. These are "
            "too few for a cross-validation, which needs 4 rows, 2 of each class."
        )
    metrics, splitter, dummy = REGRESSION, RepeatedKFold, DummyRegressor()
    if is_class:
        metrics = BINARY if len(model.classes_) == 2 else MULTICLASS
        splitter, dummy = RepeatedStratifiedKFold, DummyClassifier()
    folds = splitter(n_splits=n_splits, n_repeats=N_REPEATS, random_state=random_state)
    ways = {WITHOUT: without_prior(estimator), NOTHING: dummy}
    if prior is not None:
        ways = {WITH: with_prior(estimator, prior), **ways}
    scores = {}
    for name, way in ways.items():
        # A part of a table may lack levels that the whole table has.
        with warnings.catch_warnings(action="ignore", category=PriorMismatchWarning):
            found = cross_validate(
                way, X, y, cv=folds, scoring=metrics, n_jobs=n_jobs, error_score="raise"
            )
        scores[name] = {metric: found[f"test_{metric}"] for metric in metrics}
    return Performance(metrics, scores, len(y), n_splits, N_REPEATS)


def _count_rarest(model: Any, y: Any) -> int:
    """Count the rows of the rarest class; labels must be those of the model."""
    counts = pd.Series(np.asarray(y)).value_counts()
    known = {str(label) for label in model.classes_}
    if strange := [label for label in counts.index if str(label) not in known]:
        raise DataError(
            f"The labels {strange[:5]!r} are not classes of the model, which are "
            f"{[str(label) for label in model.classes_][:20]!r}."
        )
    return int(counts.min())


@dataclass(kw_only=True, eq=False, repr=False)
class PriorCurveDisplay(Display):
    """The score against the number of training rows, with the prior and without.

    `from_estimator` makes it. Lines are means over the repetitions, bands one
    standard deviation to either side. The two curves have the same rows.

    Parameters
    ----------
    train_sizes : array-like of int, shape (n_sizes,)
        Numbers of training rows.
    scores, scores_without : ndarray of shape (n_sizes, n_repeats)
        Scores on the same test rows, with the prior and with ``prior=None``, columns
        then standardised where cross-validation on the training rows prefers it.
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
    >>> options = {"train_sizes": [4, 16], "n_repeats": 2, "random_state": 0}
    >>> model = LLMAttributionClassifier([6, -4, 0])
    >>> display = PriorCurveDisplay.from_estimator(model, X, y, **options)
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
                learning_curve(way, X, y, **options)[2]
                for way in (with_prior(estimator, prior), without_prior(estimator))
            )
        return cls(
            train_sizes=np.array(sizes),
            scores=scores,
            scores_without=scores_without,
            score_name=_score_name(scoring, labels),
        ).plot(ax=ax)

    def _plot(self, ax: Any) -> None:
        if ax is None:
            ax = new_figure((6.4, 4.2)).add_subplot()
        self.ax_, self.figure_ = ax, ax.figure
        self.lines_: list[Any] = []
        self.fill_between_: list[Any] = []
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
