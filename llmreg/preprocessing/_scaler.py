"""Gaps and ranges of numeric columns: filled, and scaled to run from 0 to 1."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import issparse
from sklearn.base import clone
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.utils import assert_all_finite, gen_batches
from sklearn.utils.validation import has_fit_parameter

from llmreg._utils._text import list_names
from llmreg.exceptions import DataError, EncodingError
from llmreg.preprocessing._sparse import as_rows, ends, share_of_zeros, to_dense


def soft_clip(scaled: np.ndarray) -> np.ndarray:
    """Level off what lies beyond the range from 0 to 1, one range's width at most.

    Few rows show too narrow a range, and a value many such ranges away would outweigh
    all else that is known of its row.
    """
    inside = np.clip(scaled, 0, 1)
    beyond = scaled - inside
    return inside + beyond / (1 + np.abs(beyond))


class BoundedScaler(MinMaxScaler):
    """Min-max scaling whose values level off beyond the range of the training rows."""

    def transform(self, X: Any) -> Any:
        """Scale rows of shape (n_samples, n_features)."""
        return soft_clip(np.asarray(super().transform(X)))

    def inverse_transform(self, X: Any) -> Any:
        """Undo `transform`."""
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
    """Give least, greatest and middle value by column; None if one is not finite."""
    # The imputer and the scaler of scikit-learn would take most of a small fit.
    columns = np.array(numbers.T, order="C")
    low, high = columns.min(axis=1), columns.max(axis=1)
    if not (np.isfinite(low).all() and np.isfinite(high).all()):
        return None
    half = len(numbers) // 2
    columns.partition(half, axis=1)
    upper = columns[:, half]
    lower = upper if len(numbers) % 2 else columns[:, :half].max(axis=1)
    # Halved before they are added: the sum of two large numbers overflows.
    return Summary(low, high, lower / 2 + upper / 2)


def is_constant(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Say which ranges are no wider than the rounding of their own numbers."""
    size = np.maximum(np.abs(low), np.abs(high))
    # The range itself may be too large for a number.
    return np.asarray(high / 2 - low / 2 <= 5 * np.finfo(np.float64).eps * size)


def scale_of(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Give what turns a range into one of length 1.

    That of a constant is 0, since its unit is not known: wherever it changes later it
    has no effect. Only zeros are taken for a flag, which runs from 0 to 1.
    """
    constant = is_constant(low, high)
    is_flag = (low == 0) & (high == 0)
    with np.errstate(over="ignore"):
        scale: np.ndarray = 1.0 / np.where(constant, 1.0, high - low)
    scale[constant & ~is_flag] = 0.0
    return scale


def extend(
    ranges: Ranges | None, scaler: Any, constant: np.ndarray, numbers: np.ndarray
) -> tuple[Ranges | None, Any, np.ndarray]:
    """Give columns that were constant so far the range of further rows, with gaps."""
    start = scaler.mean_ if ranges is None else ranges.low
    if not issparse(numbers):
        numbers = np.where(np.isnan(numbers), start, numbers)
    low, high = ends(numbers)
    low, high = np.fmin(start, low), np.fmax(start, high)
    late = constant & ~is_constant(low, high)
    if ranges is None:
        scaler.scale_ = np.where(late, high - low, scaler.scale_)
        return None, scaler, constant & ~late
    low, scale = np.where(late, [low, scale_of(low, high)], [ranges.low, ranges.scale])
    return replace(ranges, low=low, scale=scale), None, constant & ~late


def fit_minmax(
    scaler: MinMaxScaler, low: np.ndarray, scale: np.ndarray, keeps_zeros: bool = False
) -> Any:
    """Set a scaler to what `scale_of` says of ranges that begin at `low`."""
    length = np.divide(1, scale, out=np.zeros_like(scale), where=scale > 0)
    scaler.fit(np.stack([low, low + length]))
    scaler.scale_, scaler.min_ = scale, -low * scale * (not keeps_zeros)
    return scaler


def fit_standard(
    numbers: Any, weight: np.ndarray | None, scale_of_constants: Any
) -> StandardScaler:
    """Fit a scaler to columns of any unit, in units in which nothing overflows."""
    if issparse(numbers):
        return StandardScaler(with_mean=False).fit(numbers, sample_weight=weight)
    low, high = (end.astype(np.float64) for end in ends(numbers))
    constant = is_constant(low, high)
    with np.errstate(over="ignore", invalid="ignore"):
        unit = np.where(constant, 1.0, np.exp2(np.frexp(high - low)[1] - 1))
        scaled = np.where(constant, 0.0, (numbers - low) / unit)
        if not np.isfinite(scaled).all():
            scaled, unit = np.zeros_like(scaled), np.full_like(unit, np.inf)
        scaler = StandardScaler().fit(scaled, sample_weight=weight)
        scaler.mean_ = low + np.where(constant, 0.0, scaler.mean_ * unit)
        scaler.var_ = scaler.var_ * unit**2
        scaler.scale_ = np.where(constant, scale_of_constants, scaler.scale_ * unit)
    return scaler


def scale_targets(
    targets: np.ndarray, scaler: StandardScaler, is_first: bool
) -> np.ndarray:
    """Standardize targets; raise DataError if they are too large for that."""
    if not np.isfinite(scaler.scale_).all():
        raise DataError(
            "The targets are so large that their spread is no number. Divide them "
            "by a constant, or fit their logarithms."
        )
    gap = targets - scaler.mean_
    if not is_first:
        # What was constant so far gets a scale where it moves for the first time.
        late = (scaler.scale_ == 0) & gap.any(axis=0)
        scaler.scale_[late] = np.abs(gap).max(axis=0)[late]
    return np.asarray(gap / np.where(scaler.scale_ > 0, scaler.scale_, 1.0))


def fit_weighted(transformer: Any, numbers: np.ndarray, weight: Any) -> Any:
    """Fit a transformer of the user's, with the weights of rows where it takes them."""
    if weight is None or not has_fit_parameter(transformer, "sample_weight"):
        return transformer.fit(numbers)
    return transformer.fit(numbers, sample_weight=weight)


# Weights that differ by less, as a share of all, are the same but for rounding.
_SAME_WEIGHT = 1e-9


def fills(numbers: Any, weight: np.ndarray | None, strategy: str) -> np.ndarray:
    """Give what fills the gaps of each column; NaN where all is a gap."""
    weight = np.ones(len(numbers)) if weight is None else weight
    found = np.full(numbers.shape[1], np.nan)
    columns: Any
    if not issparse(numbers):
        columns = enumerate(numbers.T)
    else:
        zeros = share_of_zeros(numbers, weight) > 0.5 + _SAME_WEIGHT
        zeros &= strategy != "mean"
        found[zeros], by_column = 0.0, numbers.tocsc()
        others = np.flatnonzero(~zeros)
        columns = ((j, by_column[:, [j]].toarray()[:, 0]) for j in others)
    for j, column in columns:
        known = ~np.isnan(column)
        values, place = np.unique(column[known].astype(float), return_inverse=True)
        if not len(values):
            continue
        share = np.bincount(place, weight[known])
        share = share / share.sum()
        if strategy == "most_frequent":
            found[j] = values[np.argmax(share > share.max() - _SAME_WEIGHT)]
        elif strategy == "mean":
            found[j] = np.average(column[known].astype(float), weights=weight[known])
        else:
            below = np.cumsum(share)
            lower = values[np.argmax(below > 0.5 - _SAME_WEIGHT)]
            upper = values[np.argmax(below > 0.5 + _SAME_WEIGHT)]
            found[j] = lower / 2 + upper / 2
    return found


@dataclass(frozen=True, eq=False)
class Ranges:
    """What is subtracted from columns, and what they are then multiplied by."""

    low: np.ndarray
    scale: np.ndarray
    bounded: bool
    # Of sparse rows zeros stay zeros: what is subtracted is added again in the end.
    keeps_zeros: bool = False

    def transform(self, numbers: Any) -> Any:
        """Scale complete columns, of shape (n_samples, n_features), in their dtype."""
        if issparse(numbers) and not self.keeps_zeros:
            numbers = to_dense(numbers)  # As training rows were: their zeros move.
        if issparse(numbers):
            low, scale = self.low[numbers.indices], self.scale[numbers.indices]
            return numbers.map(replace(self, low=low, scale=scale).transform)
        with np.errstate(over="ignore", invalid="ignore"):
            low, scale = (x.astype(numbers.dtype) for x in (self.low, self.scale))
            scaled = np.subtract(numbers, low, order="C")
            scaled *= scale
        if not np.isfinite(scaled).all():
            if numbers.dtype != np.float64:
                # Single precision has too few exponents for some ranges.
                return self.transform(numbers.astype(np.float64)).astype(numbers.dtype)
            raise EncodingError(
                "Scaling made infinite numbers of columns whose values are far from "
                "those of training, or run over less than 1e-308 or more than 1e308. "
                "Clean the table first, or multiply such columns by a constant."
            )
        if self.bounded and (scaled.min() < 0 or scaled.max() > 1):
            # As many rows at a time as fit in the cache.
            for rows in gen_batches(len(scaled), 1000):
                scaled[rows] = soft_clip(scaled[rows])
        return scaled + low * scale if self.keeps_zeros else scaled


_SCALERS = {
    "bounded": BoundedScaler,
    "minmax": MinMaxScaler,
    "standard": StandardScaler,
}
_IMPUTERS = {
    # Columns without a value are kept: the width must not depend on the sample.
    name: functools.partial(SimpleImputer, strategy=name, keep_empty_features=True)
    for name in ("median", "mean", "most_frequent")
}


def make_scaler(scaler: Any) -> Any:
    """Build the scaler that a parameter asks for, unfitted."""
    return _make("scaler", scaler, _SCALERS)


def make_imputer(imputer: Any) -> Any:
    """Build the imputer that a parameter asks for, unfitted."""
    return _make("imputer", imputer, _IMPUTERS)


def _make(name: str, given: Any, known: Mapping[str, Callable[[], Any]]) -> Any:
    if given is None or hasattr(given, "transform"):
        return None if given is None else clone(given)
    if not isinstance(given, str) or given not in known:
        names = ", ".join(f'"{value}"' for value in known)
        raise EncodingError(
            f"{name} must be {names}, a scikit-learn transformer or None; got "
            f"{given!r}."
        )
    return known[given]()


def is_complete(numbers: Any, names: Sequence[str], *, allow_nan: bool = True) -> bool:
    """Say whether no number is missing; name columns whose numbers are not usable."""
    try:
        # It sums them up, and of large ones of both signs the sum is no number.
        with np.errstate(invalid="ignore"):
            assert_all_finite(numbers, allow_nan=allow_nan, input_name="X")
    except ValueError as e:
        is_bad: Any = np.isinf
        advice = "Replace such values, or drop the rows"
        if not allow_nan and _any(np.isnan, numbers).any():
            is_bad, advice = np.isnan, "Fill the gaps, or set an imputer"
        bad = np.flatnonzero(_any(is_bad, numbers))
        where = list_names(names[int(i)] for i in bad)
        raise EncodingError(f"{e} Columns: {where}. {advice}.") from e
    return not np.isnan(numbers.data if issparse(numbers) else numbers).any()


def _any(test: Any, numbers: Any) -> np.ndarray:
    """Say which columns have a number that a test finds."""
    found = numbers.map(test) if issparse(numbers) else test(numbers)
    return np.asarray(found.sum(axis=0) > 0)


def apply(transformer: Any, values: Any, *, keep_shape: bool = False) -> Any:
    """Transform to an array, whatever is returned; sparse rows may stay sparse."""
    if getattr(transformer, "with_mean", False):
        values = to_dense(values)
    # In double: the same numbers become the same whatever precision they have.
    matrix: Any = transformer.transform(values.astype(np.float64, copy=False))
    if issparse(values) and issparse(matrix):
        matrix = as_rows(matrix.astype(np.float64))
    else:
        matrix = np.asarray(to_dense(matrix), np.float64)
    if keep_shape and matrix.shape != values.shape:
        raise EncodingError(
            f"{transformer!r} made an array of shape {matrix.shape} of one of shape "
            f"{values.shape}. A scaler or an imputer must keep the columns as they "
            "are; put others into a pipeline, in front of the estimator."
        )
    if not np.isfinite(matrix.data if issparse(matrix) else matrix).all():
        raise EncodingError(
            f"{transformer!r} left gaps or made infinite numbers. Use another one, "
            "or clean the table first."
        )
    return matrix
