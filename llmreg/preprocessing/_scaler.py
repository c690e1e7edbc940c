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

from llmreg._utils._text import list_names
from llmreg.exceptions import EncodingError

# Numbers of a table so small that sorting it is the shortest way to its medians.
_SMALL = 20_000
# Columns and rows that are turned on their side at a time.
_COLUMNS, _ROWS = 8, 1_024


def bend(scaled: np.ndarray) -> np.ndarray:
    """Level off what lies beyond the range from 0 to 1, one range's width at most.

    Few rows show too narrow a range, and a value many such ranges away would outweigh
    all else that is known of its row.
    """
    inside = np.clip(scaled, 0, 1)
    beyond = scaled - inside
    bent: np.ndarray = inside + beyond / (1 + np.abs(beyond))
    return bent


class BoundedScaler(MinMaxScaler):
    """Min-max scaling whose values level off beyond the range of the training rows."""

    def transform(self, X: Any) -> Any:
        """Scale rows.

        Shapes: X (n_samples, n_features); returns (n_samples, n_features).
        """
        return bend(np.asarray(super().transform(X)))

    def inverse_transform(self, X: Any) -> Any:
        """Undo `transform`.

        Shapes: X (n_samples, n_features); returns (n_samples, n_features).
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

    Shapes: numbers (n_samples, n_features).
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

    Shapes: low, high (n_features,); returns (n_features,).
    """
    span = high - low
    span[span < 10 * np.finfo(span.dtype).eps] = 1.0
    scale: np.ndarray = 1.0 / span
    return scale


def stretch(
    numbers: np.ndarray, low: np.ndarray, scale: np.ndarray, *, bounded: bool = False
) -> np.ndarray:
    """Scale complete columns: subtract, then multiply.

    Shapes: numbers (n_samples, n_features), low, scale (n_features,); returns
    (n_samples, n_features).

    Raises EncodingError if the numbers are so large that scaling makes them
    infinite.
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

    Raises EncodingError if it is none of them.
    """
    if scaler is None or hasattr(scaler, "transform"):
        return None if scaler is None else clone(scaler)
    if not isinstance(scaler, str) or scaler not in _SCALERS:
        raise _bad_parameter("scaler", tuple(_SCALERS), scaler)
    return _SCALERS[scaler]()


def make_imputer(imputer: Any) -> Any:
    """Build the imputer that a parameter asks for, unfitted.

    Raises EncodingError if it is none of them.
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

    Shapes: numbers (n_samples, n_features).

    Raises EncodingError if a number is infinite, or missing where that is not fine.
    """
    if _sums_up(numbers):
        return True
    try:
        assert_all_finite(numbers, allow_nan=allow_nan, input_name="X")
    except ValueError as e:
        bad, advice = np.isinf(numbers), "Replace such values, or drop the rows"
        if not allow_nan and np.isnan(numbers).any():
            bad, advice = np.isnan(numbers), "Fill the gaps, or set an imputer"
        where = list_names(names[int(i)] for i in np.flatnonzero(bad.any(axis=0)))
        raise EncodingError(f"{e} Columns: {where}. {advice}.") from e
    return not np.isnan(numbers).any()


def apply(
    transformer: Any, values: np.ndarray, *, keep_shape: bool = False
) -> np.ndarray:
    """Transform, whatever container the transformer was told to return.

    Shapes: values (n_samples, n_features); returns (n_samples, n_columns).

    Raises EncodingError if the output has gaps, infinite numbers or the wrong
    shape.
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
