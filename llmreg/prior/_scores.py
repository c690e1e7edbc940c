"""The numbers of a prior: scores, percentiles and base rates, checked and averaged."""

import math
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from llmreg._utils._text import repeated
from llmreg.exceptions import (
    FeatureNamesError,
    PriorError,
    PriorMismatchError,
    PriorScoreError,
)

SCORE_LIMIT = 10
DEFAULT_OUTPUT = "target"

FloatArray = NDArray[np.float64]


def check_names(names: Sequence[object], what: str) -> tuple[str, ...]:
    """Check that the names of features or outputs are distinct texts, not empty."""
    error = FeatureNamesError if what == "feature" else PriorMismatchError
    if isinstance(names, str):
        raise error(f"Expected a list of {what} names; got the text {names!r}.")
    if wrong := [name for name in names if not isinstance(name, str) or not name]:
        raise error(
            f"The {what} names of a prior must be text, and not empty; got {wrong!r}. "
            "Rename them."
        )
    if twice := repeated(names):
        raise error(f"A prior scores each {what} once; got {twice!r} more than once.")
    return tuple(str(name) for name in names)


def check_scores(
    values: object, features: tuple[str, ...], outputs: tuple[str, ...], ndim: int = 2
) -> FloatArray:
    """Make a read-only array of scores; name all values that are none in one error."""
    table = _as_table(values)
    expected = (len(outputs), len(features))
    if table.ndim != ndim or table.shape[-2:] != expected:
        axes = "(n_outputs, n_features)" if ndim == 2 else "(.., n_outputs, n_features)"
        raise PriorMismatchError(
            f"Expected scores of shape {axes} = {expected} for {len(outputs)} "
            f"output(s) and {len(features)} features; got shape {table.shape}."
        )
    if table.dtype != object:
        wrong = list(map(tuple, np.argwhere(np.abs(table) > SCORE_LIMIT)))
    else:
        wrong = [i for i in np.ndindex(table.shape) if not _is_score(table[i])]
    if wrong:
        found = []
        for place in wrong:
            output = f" for output {outputs[place[-2]]!r}" * (len(outputs) > 1)
            value = table[place]
            shown = value.item() if isinstance(value, np.generic) else value
            found.append(f"{features[place[-1]]!r} has {shown!r}{output}")
        raise PriorScoreError(
            f"Scores must be numbers from {-SCORE_LIMIT} to {SCORE_LIMIT} (None or "
            f"NaN: no opinion), but {'; '.join(dict.fromkeys(found))}."
        )
    scores = np.array(table, dtype=np.float64)
    scores.flags.writeable = False
    return scores


def stack(
    estimates: Sequence[Mapping[str, Any]],
) -> tuple[tuple[str, ...], tuple[str, ...], NDArray[np.object_]]:
    """Lay dicts of scores over each other, by name.

    Returns features, outputs, and an array of shape (n_estimates, n_outputs,
    n_features) with None where an estimate has no score.
    """
    nested = [_by_output(estimate) for estimate in estimates]
    outputs = check_names(list({o: None for e in nested for o in e}), "output")
    names = {f: None for e in nested for row in e.values() for f in row}
    features = check_names(list(names), "feature")
    cells = (e.get(o, {}).get(f) for e in nested for o in outputs for f in features)
    shape = (len(nested), len(outputs), len(features))
    return features, outputs, np.fromiter(cells, dtype=object).reshape(shape)


def mean(estimates: FloatArray) -> FloatArray:
    """Average over the first axis, leaving NaN out; NaN where nothing is left."""
    known = np.isfinite(estimates)
    total, n_known = np.where(known, estimates, 0.0).sum(axis=0), known.sum(axis=0)
    return np.divide(total, n_known, out=np.full_like(total, np.nan), where=n_known > 0)


def spread(estimates: FloatArray) -> FloatArray:
    """Give the standard deviation over the first axis, leaving NaN out."""
    return np.sqrt(mean((estimates - mean(estimates)) ** 2))


def _as_table(values: object) -> NDArray[Any]:
    """Make an array of numbers where it is one already, of objects otherwise."""
    if isinstance(values, np.ndarray) and values.dtype.kind in "iuf":
        return values
    try:
        return np.array(values, dtype=object)
    except ValueError:
        raise PriorMismatchError("The rows of the scores differ in length.") from None


def _is_score(value: Any) -> bool:
    """Tell whether a value is None, NaN or a number within the limit."""
    if value is None:
        return True
    if isinstance(value, bool | np.bool_) or not isinstance(value, Real):
        return False
    # Not by way of float: an integer may be larger than any.
    number: Any = value
    return bool(number != number or -SCORE_LIMIT <= number <= SCORE_LIMIT)


def _by_output(estimate: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
    """Give a flat dict of scores the name of its one output."""
    if not isinstance(estimate, Mapping):
        raise PriorError(
            "Scores must be a mapping from feature names to numbers; "
            f"got {type(estimate).__name__}."
        )
    kinds = {isinstance(value, Mapping) for value in estimate.values()}
    if len(kinds) > 1:
        flat = [name for name, v in estimate.items() if not isinstance(v, Mapping)]
        raise PriorError(
            "Scores must be {feature: score} or {output: {feature: score}} "
            f"throughout; {flat!r} mix the two."
        )
    return estimate if kinds == {True} else {DEFAULT_OUTPUT: estimate}


class TypicalRange(NamedTuple):
    """The 5th, 50th and 95th percentile of a column or target, in its own units.

    Parameters
    ----------
    low, middle, high : float
        The percentiles, in increasing order.
    spread : tuple of three floats or None, default=None
        Standard deviation of each over the estimates.

    Examples
    --------
    >>> from llmreg import TypicalRange
    >>> TypicalRange(21, 29, 58).middle
    29
    """

    low: float
    middle: float
    high: float
    spread: tuple[float, float, float] | None = None


class BaseRate(NamedTuple):
    """How frequent a class is in the population that a task describes.

    Parameters
    ----------
    rate : float
        A probability.
    spread : float or None, default=None
        Its standard deviation over the estimates.

    Examples
    --------
    >>> from llmreg import BaseRate
    >>> BaseRate(0.35).rate
    0.35
    """

    rate: float
    spread: float | None = None


def average_ranges(ranges: Sequence[TypicalRange]) -> TypicalRange:
    """Average percentiles, with the standard deviation of each."""
    table = np.array([found[:3] for found in ranges], dtype=np.float64)
    return _range(table.mean(axis=0), table.std(axis=0))


def average_rates(rates: Sequence[BaseRate]) -> BaseRate:
    """Average probabilities, with their standard deviation."""
    table = np.array([found.rate for found in rates], dtype=np.float64)
    return BaseRate(float(table.mean()), float(table.std()))


def check_by_name(found: Any, what: str) -> Any:
    """Check what is told of features, classes or targets by their names."""
    if not hasattr(found, "items"):
        raise PriorScoreError(
            f"The {what} of a prior must be a dict by name; got {found!r}."
        )
    return found


def check_change(found: Any) -> tuple[float, float]:
    """Read a change of units: a factor, or a factor and an offset."""
    change = np.atleast_1d(as_numbers(found, "A change of units"))
    if (
        change.shape not in {(1,), (2,)}
        or not np.isfinite(change).all()
        or not change[0]
    ):
        raise PriorScoreError(
            "A unit is changed by a finite factor other than 0, or by such a factor "
            f"and a finite offset, (factor, offset); got {found!r}."
        )
    return float(change[0]), float(change[1:].sum())


def rescale_range(found: TypicalRange, factor: float, offset: float) -> TypicalRange:
    """Give percentiles in another unit; a negative factor turns them round."""
    order = slice(None, None, 1 if factor > 0 else -1)
    spreads = found.spread and abs(factor) * np.array(found.spread)[order]
    return _range((factor * np.array(found[:3]) + offset)[order], spreads)


def _range(values: FloatArray, spreads: FloatArray | None = None) -> TypicalRange:
    low, middle, high = values.tolist()
    each = None if spreads is None else tuple(spreads.tolist())
    return TypicalRange(low, middle, high, each)


def check_range(found: Any, what: str) -> TypicalRange:
    """Make a typical range of three numbers in order."""
    spreads = None
    if isinstance(found, TypicalRange):
        found, spreads = found[:3], found.spread
    values = as_numbers(found, f"The typical range of {what}")
    if values.shape != (3,) or not np.isfinite(values).all():
        raise PriorScoreError(
            f"The typical range of {what} must be three numbers, the 5th, 50th and "
            f"95th percentile; got {found!r}."
        )
    if (np.diff(values) < 0).any():
        raise PriorScoreError(
            f"The percentiles in the typical range of {what} must not decrease; got "
            f"{found!r}."
        )
    return _range(values, check_spread(spreads, f"the range of {what}", (3,)))


def check_rate(found: Any, what: str) -> BaseRate:
    """Make a base rate of a number from 0 to 1."""
    rate = found if isinstance(found, BaseRate) else BaseRate(found)
    value = as_numbers(rate.rate, f"The base rate of {what}")
    if value.ndim or not 0 <= value <= 1:
        raise PriorScoreError(
            f"The base rate of {what} must be a probability from 0 to 1; got "
            f"{rate.rate!r}."
        )
    spread = check_spread(rate.spread, f"the base rate of {what}", ())
    return BaseRate(
        float(value), float(spread) if spread is not None and spread >= 0 else None
    )


def check_spread(found: Any, what: str, shape: tuple[int, ...]) -> FloatArray | None:
    """Make an array of standard deviations; None where there are none."""
    if found is None:
        return None
    values = as_numbers(found, f"The spread of {what}")
    if values.shape != shape or (values < 0).any() or np.isinf(values).any():
        raise PriorScoreError(
            f"The spread of {what} must be {math.prod(shape)} number(s) of at least 0, "
            f"in the shape {shape}; got {found!r}. Correct it, or leave it out."
        )
    return values


def as_numbers(values: Any, what: str) -> FloatArray:
    """Make an array of numbers, None becoming NaN; a bool or a text is none."""
    if isinstance(values, np.ndarray) and values.dtype == np.float64:
        return values.copy()
    table = np.array(values, dtype=object)
    cells = [np.nan if cell is None else cell for cell in table.ravel()]
    try:
        if any(isinstance(cell, str | bool | np.bool_) for cell in cells):
            raise TypeError
        return np.array(cells, dtype=np.float64).reshape(table.shape)
    except (TypeError, ValueError, OverflowError):
        raise PriorScoreError(f"{what} must be numbers; got {values!r}.") from None
