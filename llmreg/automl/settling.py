"""Get a prior before a search begins, so that nobody is asked once per trial."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from llmreg.base import BaseAttributionEstimator
from llmreg.classifier import LLMAttributionClassifier
from llmreg.prior import FeaturePrior
from llmreg.regressor import LLMAttributionRegressor
from llmreg.resolve import prior_source

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

    Examples
    --------
    >>> from llmreg.automl.settling import warm_up
    >>> warm_up()
    """
    model = LLMAttributionRegressor([1.0], gamma=1.0, device="cpu")
    model.fit(np.arange(4.0)[:, None], np.arange(4.0))
