"""Filling and scaling the numeric part of a table, with scikit-learn's transformers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn.base import clone
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.utils import assert_all_finite

from llmreg.columns import quote
from llmreg.exceptions import EncodingError
from llmreg.ranges import BoundedScaler

_STRATEGIES = ("median", "mean", "most_frequent")

_SCALERS = {
    "bounded": BoundedScaler,
    "minmax": MinMaxScaler,
    "standard": StandardScaler,
}


def make_scaler(scaler: Any) -> Any:
    """Build the scaler that a parameter asks for, unfitted.

    Parameters
    ----------
    scaler : {"bounded", "minmax", "standard"}, transformer or None
        A name, a transformer to clone, or None.

    Returns
    -------
    transformer or None
        The scaler.

    Raises
    ------
    EncodingError
        If it is none of them.

    Examples
    --------
    >>> from llmreg.scaling import make_scaler
    >>> make_scaler("minmax")
    MinMaxScaler()
    """
    if scaler is None or hasattr(scaler, "transform"):
        return None if scaler is None else clone(scaler)
    if not isinstance(scaler, str) or scaler not in _SCALERS:
        raise _bad_parameter("scaler", tuple(_SCALERS), scaler)
    return _SCALERS[scaler]()


def make_imputer(imputer: Any) -> Any:
    """Build the imputer that a parameter asks for, unfitted.

    Parameters
    ----------
    imputer : {"median", "mean", "most_frequent"}, transformer or None
        A name, a transformer to clone, or None.

    Returns
    -------
    transformer or None
        The imputer.

    Raises
    ------
    EncodingError
        If it is none of them.

    Examples
    --------
    >>> from llmreg.scaling import make_imputer
    >>> make_imputer("median").strategy
    'median'
    """
    if imputer is None or hasattr(imputer, "transform"):
        return None if imputer is None else clone(imputer)
    if not isinstance(imputer, str) or imputer not in _STRATEGIES:
        raise _bad_parameter("imputer", _STRATEGIES, imputer)
    # Columns without a value are kept: the width must not hang on the sample.
    return SimpleImputer(strategy=imputer, keep_empty_features=True)


def is_complete(
    numbers: np.ndarray, names: Sequence[str], *, allow_nan: bool = True
) -> bool:
    """Say whether no number is missing, and refuse what cannot be encoded.

    Parameters
    ----------
    numbers : ndarray of shape (n_samples, n_features)
        The numeric columns.
    names : sequence of str of length n_features
        Their names.
    allow_nan : bool, default=True
        Whether gaps are fine.

    Returns
    -------
    bool
        Whether there is no gap.

    Raises
    ------
    EncodingError
        If a number is infinite, or missing where that is not fine.

    Examples
    --------
    >>> import numpy as np
    >>> from llmreg.scaling import is_complete
    >>> is_complete(np.array([[31.0, np.nan]]), ["age", "bmi"])
    False
    """
    if _sums_up(numbers):
        return True
    try:
        assert_all_finite(numbers, allow_nan=allow_nan, input_name="X")
    except ValueError as e:
        bad, advice = np.isinf(numbers), "Replace such values, or drop the rows"
        if not allow_nan and np.isnan(numbers).any():
            bad, advice = np.isnan(numbers), "Fill the gaps, or set an imputer"
        where = quote(names[int(i)] for i in np.flatnonzero(bad.any(axis=0)))
        raise EncodingError(f"{e} Columns: {where}. {advice}.") from e
    return not np.isnan(numbers).any()


def apply(
    transformer: Any, values: np.ndarray, *, keep_shape: bool = False
) -> np.ndarray:
    """Transform, whatever container the transformer was told to return.

    Parameters
    ----------
    transformer : transformer
        A fitted transformer.
    values : ndarray of shape (n_samples, n_features)
        Its input, which stays as it is.
    keep_shape : bool, default=False
        Whether the output must have the shape of the input.

    Returns
    -------
    ndarray of shape (n_samples, n_columns)
        Its output, as float64.

    Raises
    ------
    EncodingError
        If the output has gaps, infinite numbers or the wrong shape.

    Examples
    --------
    >>> import numpy as np
    >>> from llmreg.scaling import apply, make_scaler
    >>> numbers = np.array([[20.0], [40.0]])
    >>> apply(make_scaler("minmax").fit(numbers), numbers)
    array([[0.],
           [1.]])
    """
    result = transformer.transform(values)
    matrix = np.asarray(result.toarray() if issparse(result) else result, np.float64)
    if keep_shape and matrix.shape != values.shape:
        raise EncodingError(
            f"{transformer!r} made an array of shape {matrix.shape} of one of shape "
            f"{values.shape}. A scaler or an imputer must keep the columns as they "
            "are; put others into a pipeline, in front of the estimator."
        )
    if not _sums_up(matrix) and not np.isfinite(matrix).all():
        raise EncodingError(
            f"{transformer!r} left gaps or made infinite numbers. Use another one, "
            "or clean the table first."
        )
    return matrix


def _sums_up(numbers: np.ndarray) -> bool:
    """Say whether the sum is finite, which proves that every number is, cheaply."""
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(numbers.sum()))


def _bad_parameter(name: str, allowed: Sequence[str], got: Any) -> EncodingError:
    known = ", ".join(f'"{value}"' for value in allowed)
    return EncodingError(
        f"{name} must be {known}, a scikit-learn transformer or None; got {got!r}."
    )
