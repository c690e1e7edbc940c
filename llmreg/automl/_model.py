"""The model behind both adapters: codes and coded frames in, codes out."""

from __future__ import annotations

import time
import warnings
from collections.abc import Sequence
from functools import cache
from typing import Any, Self

import numpy as np
import pandas as pd

from llmreg._base import BaseAttributionEstimator
from llmreg.classifier import LLMAttributionClassifier
from llmreg.exceptions import DataError, PriorMismatchWarning
from llmreg.prior._feature_prior import FeaturePrior
from llmreg.providers._resolve import prior_source
from llmreg.regressor import LLMAttributionRegressor

#: What FLAML writes into a category column in place of a missing value.
FLAML_MISSING = "__NAN__"
#: Times that hidden layers take what the linear model takes, on a bad day. Measured on
#: the benchmark's tables at 5 to 400 rows per class.
COST_OF_HIDDEN_LAYERS = 40


class CodedModel:
    """An estimator for a framework that has numbered the classes itself.

    The prior speaks of classes, columns and levels by their names. So the numbers are
    turned back into names before the estimator sees them, and its answers into
    numbers.
    """

    def __init__(
        self,
        prior: FeaturePrior | None,
        kind: str,
        classes: Sequence[Any] | None = None,
        *,
        hidden: int = 0,
        **params: Any,
    ) -> None:
        self.prior = prior
        self.kind = kind
        self.classes = None if classes is None else np.asarray(classes)
        self.hidden = int(hidden)
        self.params = params

    def fit(
        self, X: Any, y: Any, *, seconds: float | None = None, sample_weight: Any = None
    ) -> Self:
        """Train the model.

        A fit has no natural place to stop halfway. Where the time is limited, the
        linear model is trained first, and the hidden layers only if what it took says
        that they will be done in time.

        Shapes: X (n_samples, n_features), y (n_samples,), sample_weight (n_samples,).
        """
        X, y = plain_frame(X), self._names(y)
        # Not the monotonic clock: limits are told by the one that the frameworks read.
        start = time.time()
        self.was_shortened_ = False
        if not self.hidden or seconds is not None:
            self._fit_one((), X, y, sample_weight)
        if self.hidden:
            took = time.time() - start
            if seconds is not None and took * (1 + COST_OF_HIDDEN_LAYERS) > seconds:
                self.was_shortened_ = True
            else:
                self._fit_one((self.hidden,), X, y, sample_weight)
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Predict numbers of classes, or targets.

        Shapes: X (n_samples, n_features); returns (n_samples,).
        """
        if self.classes is None:
            return np.asarray(self.estimator_.predict(plain_frame(X)))
        return np.asarray(self.predict_proba(X).argmax(axis=1))

    def predict_proba(self, X: Any) -> np.ndarray:
        """Predict the probabilities of the classes.

        Shapes: X (n_samples, n_features); returns (n_samples, n_classes).
        """
        assert self.classes is not None
        known = self.estimator_.predict_proba(plain_frame(X))
        place = {label: i for i, label in enumerate(self.estimator_.classes_.tolist())}
        table = np.zeros((len(known), len(self.classes)))
        for number, label in enumerate(self.classes.tolist()):
            if label in place:
                table[:, number] = known[:, place[label]]
        return table

    def _fit_one(
        self, layers: tuple[int, ...], X: Any, y: np.ndarray, sample_weight: Any
    ) -> None:
        estimator = ESTIMATORS[self.kind](
            self.prior, hidden_layer_sizes=layers, **self.params
        )
        with warnings.catch_warnings():
            # The frameworks drop columns and add some; that the prior fits the table
            # as it was given has been checked.
            warnings.simplefilter("ignore", PriorMismatchWarning)
            self.estimator_ = estimator.fit(X, y, sample_weight)

    def _names(self, y: Any) -> np.ndarray:
        """Turn numbers of classes into classes."""
        if self.classes is None:
            return np.asarray(y, dtype=np.float64)
        numbers = np.asarray(y)
        whole = numbers.dtype.kind in "iub" or (
            numbers.dtype.kind == "f" and np.all(numbers == np.floor(numbers))
        )
        if not whole or numbers.min() < 0 or numbers.max() >= len(self.classes):
            raise DataError(
                f"Labels were expected as numbers from 0 to {len(self.classes) - 1}, "
                f"for the classes {self.classes.tolist()}; got {numbers[:3].tolist()}. "
                "The framework has to encode them: leave its preprocessing on."
            )
        return np.asarray(self.classes[numbers.astype(int)])


def plain_frame(X: Any) -> Any:
    """Undo what a framework did to the values of a table and a prior trips over.

    Shapes: X (n_samples, n_features).
    """
    if not isinstance(X, pd.DataFrame):
        return X
    changed = {}
    for name in X.columns:
        column = X[name]
        if not isinstance(column.dtype, pd.CategoricalDtype):
            continue
        levels = column.cat.categories
        if FLAML_MISSING in levels:
            column = column.cat.remove_categories(FLAML_MISSING)
            changed[name] = column
            levels = column.cat.categories
        if len(levels) and all(isinstance(level, bool | np.bool_) for level in levels):
            changed[name] = column.astype("boolean").astype("float64")
    return X.assign(**changed) if changed else X


#: The estimator of each kind of prediction.
ESTIMATORS: dict[str, type[Any]] = {
    "classification": LLMAttributionClassifier,
    "regression": LLMAttributionRegressor,
}


def settle_prior(
    prior: Any, X: Any, y: Any, *, kind: str = "classification", **words: Any
) -> FeaturePrior | None:
    """Turn whatever can be given as `prior` into the scores of a table's columns.

    A provider is asked here, once; what comes back is plain data that is pickled with
    every trial. The names are those of `X`, whatever a search calls its columns.

    Parameters
    ----------
    prior : provider, FeaturePrior, dict, array-like, number, path or None
        As the estimators take it.
    X : DataFrame or array-like of shape (n_samples, n_features)
        The training table, as it is before any preprocessing.
    y : array-like of shape (n_samples,)
        Its labels or targets.
    kind : {"classification", "regression"}, default="classification"
        What is predicted.
    **words : dict
        What a provider is told: `task`, `target_name`, `feature_descriptions`,
        `feature_names`; and `on_error`.

    Returns
    -------
    FeaturePrior or None
        A score, or NaN, for every column that the estimator makes of `X`; None
        without a prior.

    Raises
    ------
    PriorError
        If the prior does not fit the table.
    ProviderError
        If a provider gives none.
    ValueError
        If `kind` is neither.

    Examples
    --------
    >>> import pandas as pd
    >>> from llmreg.automl import settle_prior
    >>> X = pd.DataFrame({"age": [30, 60], "sex": ["female", "male"]})
    >>> prior = settle_prior({"age": 8, "sex=male": 2}, X, ["healthy", "ill"])
    >>> prior.features, prior.outputs
    (('age', 'sex=female', 'sex=male'), ('ill',))
    """
    if kind not in ESTIMATORS:
        raise ValueError(f"kind must be one of {list(ESTIMATORS)}; got {kind!r}.")
    source = prior_source(prior)
    warm_up()
    if source is None:
        return None
    model: BaseAttributionEstimator = ESTIMATORS[kind](source, **words)
    return model.elicit_prior(X, y)


@cache
def warm_up() -> None:
    """Load what torch loads at its first step, before anybody looks at the clock.

    A first fit takes seconds where the second takes hundredths of one; a search that
    judges by the first would find the model too slow to try.
    """
    model = LLMAttributionRegressor([1.0], gamma=1.0, device="cpu")
    model.fit(np.arange(4.0)[:, None], np.arange(4.0))
