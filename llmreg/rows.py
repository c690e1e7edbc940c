"""Rows as an estimator is given them: their shape, their names, their weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.utils import _safe_indexing
from sklearn.utils.validation import _check_sample_weight, validate_data

from llmreg.columns import as_table
from llmreg.exceptions import DataError
from llmreg.frames import is_foreign


def check_table(
    estimator: BaseEstimator, X: Any, y: Any = "no_validation", *, reset: bool
) -> Any:
    """Check the shape and the names of a table; its values await the encoder.

    Parameters
    ----------
    estimator : estimator
        Remembers names and width, or has them compared with those it remembers.
    X : {array-like, DataFrame} of shape (n_samples, n_features)
        The table.
    y : object, default="no_validation"
        The targets; None is an error where there have to be some.
    reset : bool
        Remember, rather than compare.

    Returns
    -------
    DataFrame or ndarray
        The table.
    """
    if y is None:
        validate_data(estimator, X, y, skip_check_array=True, reset=False)
    # The tables of other libraries too: their columns have types, arrays none.
    if is_foreign(X) or isinstance(X, pd.DataFrame):
        X = as_table(X)
    if not isinstance(X, pd.DataFrame):
        return validate_data(
            estimator, X, dtype=None, ensure_all_finite=False, reset=reset
        )
    # scikit-learn takes no name twice; columns of the same name go by position.
    named = X if X.columns.is_unique else X.set_axis(range(X.shape[1]), axis=1)
    validate_data(estimator, named, skip_check_array=True, reset=reset)
    return X


def weigh_rows(X: Any, y: Any, sample_weight: Any) -> tuple[Any, Any, np.ndarray]:
    """Check the weights of rows, and leave out those of weight zero.

    A row of weight zero is a row that is not there: its values must not reach the
    scaling of the others.

    Parameters
    ----------
    X : DataFrame or ndarray of shape (n_samples, n_features)
        The table.
    y : ndarray of shape (n_samples,) or (n_samples, n_targets)
        The targets.
    sample_weight : array-like of shape (n_samples,), number or None
        The weights, at least 0.

    Returns
    -------
    tuple
        Table, targets and weights of the rows that count.

    Raises
    ------
    DataError
        If table and targets differ in length, or no row counts.
    """
    if len(y) != len(X):
        raise DataError(
            f"X and y must have the same number of rows; got {len(X)} and {len(y)}."
        )
    sample_weight = _check_sample_weight(
        sample_weight, np.empty(len(X)), dtype=np.float64, ensure_non_negative=True
    )
    present = sample_weight > 0
    if not present.any():
        raise DataError("Every sample weight is zero: no row is left to train on.")
    if not present.all():
        X, y = _safe_indexing(X, present), _safe_indexing(y, present)
        sample_weight = sample_weight[present]
    return X, y, sample_weight
