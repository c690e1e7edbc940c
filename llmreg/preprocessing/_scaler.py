"""The ranges of numeric columns: found in one pass, and scaled to run from 0 to 1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import issparse
from sklearn.base import clone
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.utils import assert_all_finite

from llmreg.exceptions import EncodingError
from llmreg.preprocessing._columns import quote

# Numbers of a table so small that sorting it is the shortest way to its medians.
_SMALL = 20_000
# Columns and rows that are turned on their side at a time.
_COLUMNS, _ROWS = 8, 1_024


def bend(scaled: np.ndarray) -> np.ndarray:
    """Level off what lies beyond the range from 0 to 1, one range's width at most.

    Few rows show too narrow a range, and a value many such ranges away would outweigh
    all else that is known of its row.

    Parameters
    ----------
    scaled : ndarray
        Values of which those of the training rows are from 0 to 1.

    Returns
    -------
    ndarray
        Of the same shape: 1 + e / (1 + e) for a value e above 1, -e / (1 + e) for one
        e below 0, the values between as they are.

    Examples
    --------
    >>> import numpy as np
    >>> from llmreg.preprocessing._scaler import bend
    >>> bend(np.array([-1.0, 0.5, 2.0, 100.0])).round(2)
    array([-0.5 ,  0.5 ,  1.5 ,  1.99])
    """
    inside = np.clip(scaled, 0, 1)
    beyond = scaled - inside
    bent: np.ndarray = inside + beyond / (1 + np.abs(beyond))
    return bent


class BoundedScaler(MinMaxScaler):
    """Min-max scaling whose values level off beyond the range of the training rows.

    Examples
    --------
    >>> import numpy as np
    >>> from llmreg.preprocessing._scaler import BoundedScaler
    >>> BoundedScaler().fit(np.array([[20.0], [40.0]])).transform(np.array([[60.0]]))
    array([[1.5]])
    """

    def transform(self, X: Any) -> Any:
        """Scale rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows.

        Returns
        -------
        ndarray of shape (n_samples, n_features)
            Values between -1 and 2; from 0 to 1 within the ranges of training.
        """
        return bend(np.asarray(super().transform(X)))

    def inverse_transform(self, X: Any) -> Any:
        """Undo `transform`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Scaled rows, above -1 and below 2.

        Returns
        -------
        ndarray of shape (n_samples, n_features)
            The rows.
        """
        X = np.asarray(X, dtype=float)
        inside = np.clip(X, 0, 1)
        beyond = X - inside
        return super().inverse_transform(inside + beyond / (1 - np.abs(beyond)))


class Summary(NamedTuple):
    """What the columns of a complete table are filled and scaled by."""

    low: np.ndarray
    high: np.ndarray
    median: np.ndarray


def summarize(numbers: np.ndarray) -> Summary | None:
    """Give least, greatest and middle value of each column, in one pass.

    Parameters
    ----------
    numbers : ndarray of shape (n_samples, n_features)
        The numeric columns.

    Returns
    -------
    Summary or None
        None where a number is missing or infinite.

    Examples
    --------
    >>> import numpy as np
    >>> from llmreg.preprocessing._scaler import summarize
    >>> summarize(np.array([[31.0], [20.0], [40.0]])).median
    array([31.])
    """
    n_samples, width = numbers.shape
    if numbers.size <= _SMALL:
        low, high = numbers.min(axis=0), numbers.max(axis=0)
        if not (np.isfinite(low).all() and np.isfinite(high).all()):
            return None
        ranked = np.sort(numbers, axis=0)
        pair = ranked[(n_samples - 1) // 2 : n_samples // 2 + 1]
        return Summary(low, high, _middle(pair))
    low, high, median = (np.empty(width, dtype=numbers.dtype) for _ in range(3))
    half = n_samples // 2
    for start in range(0, width, _COLUMNS):
        group = slice(start, start + _COLUMNS)
        columns = np.empty((min(_COLUMNS, width - start), n_samples), numbers.dtype)
        # A few rows at a time: to turn a long table on its side at once would fetch
        # every line of memory once a column.
        for row in range(0, n_samples, _ROWS):
            rows = slice(row, row + _ROWS)
            columns[:, rows] = numbers[rows, group].T
        # Greater values, gaps last of all, end up behind the middle one.
        for column in columns:
            column.partition(half)
        low[group] = columns[:, : max(half, 1)].min(axis=1)
        high[group] = columns[:, half:].max(axis=1)
        middle = columns[:, half]
        below = middle if n_samples % 2 else columns[:, :half].max(axis=1)
        median[group] = _middle(np.stack([below, middle]))
        if not (np.isfinite(low[group]).all() and np.isfinite(high[group]).all()):
            return None
    return Summary(low, high, median)


def scale_of(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Give what turns a range into one of length 1; a constant keeps its units.

    Parameters
    ----------
    low, high : ndarray of shape (n_features,)
        The ranges.

    Returns
    -------
    ndarray of shape (n_features,)
        As in :class:`sklearn.preprocessing.MinMaxScaler`.

    Examples
    --------
    >>> import numpy as np
    >>> from llmreg.preprocessing._scaler import scale_of
    >>> scale_of(np.array([0.0, 3.0]), np.array([4.0, 3.0]))
    array([0.25, 1.  ])
    """
    span = high - low
    span[span < 10 * np.finfo(span.dtype).eps] = 1.0
    scale: np.ndarray = 1.0 / span
    return scale


def stretch(
    numbers: np.ndarray, low: np.ndarray, scale: np.ndarray, *, bounded: bool = False
) -> np.ndarray:
    """Scale complete columns: subtract, then multiply.

    Parameters
    ----------
    numbers : ndarray of shape (n_samples, n_features)
        The numeric columns, finite.
    low, scale : ndarray of shape (n_features,)
        What is subtracted from each column, and what it is multiplied by.
    bounded : bool, default=False
        Level off what lies beyond the range from 0 to 1.

    Returns
    -------
    ndarray of shape (n_samples, n_features)
        A new array, in the precision of `numbers`.

    Raises
    ------
    EncodingError
        If the numbers are so large that scaling makes them infinite.

    Examples
    --------
    >>> import numpy as np
    >>> from llmreg.preprocessing._scaler import stretch
    >>> stretch(np.array([[20.0], [40.0]]), np.array([20.0]), np.array([0.05]))
    array([[0.],
           [1.]])
    """
    low, scale = low.astype(numbers.dtype), scale.astype(numbers.dtype)
    out = np.empty_like(numbers, order="C")
    finite = True
    with np.errstate(over="ignore", invalid="ignore"):
        # The rows of a block are still in the cache for the second step.
        for start in range(0, len(numbers), _ROWS):
            rows = slice(start, start + _ROWS)
            block = np.subtract(numbers[rows], low, out=out[rows])
            block *= scale
            finite = finite and bool(np.isfinite(block.sum()))
            if bounded and (block.min() < 0 or block.max() > 1):
                block[:] = bend(block)
    if not finite and not np.isfinite(out).all():
        raise EncodingError(
            "Scaling made infinite numbers of columns whose values are far from those "
            "of training. Clean the table first."
        )
    return out


def _middle(pair: np.ndarray) -> np.ndarray:
    """Average along the first axis, without an overflow on the way."""
    low, high = pair[0], pair[-1]
    return np.asarray(low / 2 + high / 2 if (low != high).any() else low)


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
    >>> from llmreg.preprocessing._scaler import make_scaler
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
    >>> from llmreg.preprocessing._scaler import make_imputer
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
    >>> from llmreg.preprocessing._scaler import is_complete
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
    >>> from llmreg.preprocessing._scaler import apply, make_scaler
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
