"""Typical ranges of columns and targets, and base rates of classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from llmreg.exceptions import PriorScoreError
from llmreg.prior._scores import FloatArray


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


def rescale_range(found: TypicalRange, factor: float, offset: float) -> TypicalRange:
    """Give percentiles in another unit; a negative factor turns them round."""
    order = slice(None, None, 1 if factor > 0 else -1)
    spreads = found.spread and abs(factor) * np.array(found.spread)[order]
    return _range((factor * np.array(found[:3]) + offset)[order], spreads)


def _range(values: FloatArray, spreads: FloatArray | None = None) -> TypicalRange:
    low, middle, high = values.tolist()
    return TypicalRange(
        low, middle, high, None if spreads is None else tuple(spreads.tolist())
    )


def check_range(found: Any, what: str) -> TypicalRange:
    """Make a typical range of three numbers in order."""
    deviations = None
    if isinstance(found, TypicalRange):
        found, deviations = found[:3], found.spread
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
    return _range(values)._replace(spread=deviations)


def check_rate(found: Any, what: str) -> BaseRate:
    """Make a base rate of a number from 0 to 1."""
    rate = found if isinstance(found, BaseRate) else BaseRate(found)
    value = as_numbers(rate.rate, f"The base rate of {what}")
    if value.ndim or not 0 <= value <= 1:
        raise PriorScoreError(
            f"The base rate of {what} must be a probability from 0 to 1; got "
            f"{rate.rate!r}."
        )
    return BaseRate(float(value), rate.spread)


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
