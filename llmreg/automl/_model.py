"""The model behind both adapters: codes and coded frames in, codes out."""

import time
import warnings
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import pandas as pd

from llmreg._base import BaseAttributionEstimator
from llmreg.classifier import LLMAttributionClassifier
from llmreg.exceptions import DataError, PriorMismatchWarning
from llmreg.prior._feature_prior import FeaturePrior
from llmreg.regressor import LLMAttributionRegressor

#: What FLAML writes into a category column in place of a missing value.
FLAML_MISSING = "__NAN__"
#: Times that hidden layers take what the linear model takes, at worst. Measured on the
#: benchmark's tables at 5 to 400 rows per class.
COST_OF_HIDDEN_LAYERS = 40
#: What a provider is told, and what to do where it fails: of no use after that.
WORDS = ("task", "target_name", "feature_descriptions", "on_error")


class CodedModel:
    """An estimator for a framework that has numbered the classes of a prior."""

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
        """Train the model; in limited time the linear one first.

        Hidden layers follow only if, by what that took, they will be done in time.
        """
        X, y = plain_frame(X), self._names(y)
        # Not the monotonic clock: the frameworks read this one.
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
        """Predict numbers of classes, or targets."""
        if self.classes is None:
            return np.asarray(self.estimator_.predict(plain_frame(X)))
        return np.asarray(self.predict_proba(X).argmax(axis=1))

    def predict_proba(self, X: Any) -> np.ndarray:
        """Predict the probabilities of all classes; 0 for those not trained on."""
        assert self.classes is not None
        known = self.estimator_.predict_proba(plain_frame(X))
        number = {label: i for i, label in enumerate(self.classes.tolist())}
        table = np.zeros((len(known), len(self.classes)))
        table[:, [number[c] for c in self.estimator_.classes_.tolist()]] = known
        return table

    def _fit_one(
        self, layers: tuple[int, ...], X: Any, y: np.ndarray, sample_weight: Any
    ) -> None:
        estimator = ESTIMATORS[self.kind](
            self.prior, hidden_layer_sizes=layers, **self.params
        )
        # The frameworks drop columns and add some; that the prior fits the table as it
        # was given has been checked.
        with warnings.catch_warnings(action="ignore", category=PriorMismatchWarning):
            self.estimator_ = estimator.fit(X, y, sample_weight)

    def _names(self, y: Any) -> np.ndarray:
        """Turn numbers of classes into classes."""
        if self.classes is None:
            return np.asarray(y, dtype=np.float64)
        numbers = np.asarray(y)
        if not np.isin(numbers, np.arange(len(self.classes))).all():
            raise DataError(
                f"Expected labels as numbers from 0 to {len(self.classes) - 1}, for "
                f"the classes {self.classes.tolist()}; got {numbers[:3].tolist()}. "
                "The framework has to encode them: leave its preprocessing on."
            )
        return np.asarray(self.classes[numbers.astype(int)])


def plain_frame(X: Any) -> Any:
    """Undo what a framework did to the levels of a table."""
    if not isinstance(X, pd.DataFrame):
        return X
    changed = {}
    for name, column in X.select_dtypes("category").items():
        if FLAML_MISSING in column.cat.categories:
            changed[name] = column = column.cat.remove_categories(FLAML_MISSING)
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

    A provider is asked here, once; the scores are plain data that every trial carries.

    Parameters
    ----------
    prior : provider, FeaturePrior, dict, array-like, number, path or None
        As the estimators take it.
    X, y : DataFrame or array-like
        The training table, as it is before any preprocessing, and its labels or
        targets.
    kind : {"classification", "regression"}, default="classification"
        What is predicted.
    **words : dict
        What a provider is sent: `task`, `target_name`, `feature_descriptions`,
        `feature_names`, `feature_kinds`; and `on_error`.

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
    model: BaseAttributionEstimator = ESTIMATORS[kind](prior, **words)
    return model.elicit_prior(X, y)


def settle_apart(
    prior: Any, X: Any, y: Any, kind: str, params: dict[str, Any], *more: str
) -> FeaturePrior | None:
    """Settle a prior by the words among some parameters, and take these out."""
    words = {name: params.pop(name) for name in (*WORDS, *more) if name in params}
    kinds = params.get("feature_kinds")
    return settle_prior(prior, X, y, kind=kind, feature_kinds=kinds, **words)
