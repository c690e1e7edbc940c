"""Draws that the generators have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.random import Generator

#: One row of a table, by the name of its column.
Row = dict[str, Any]


def clip(value: float, low: float, high: float) -> float:
    """Keep a number within bounds."""
    return float(np.clip(value, low, high))


def choose(rng: Generator, options: Sequence[str] | Mapping[str, float]) -> str:
    """Draw one of some words, by their shares where there are any."""
    if isinstance(options, Mapping):
        return str(rng.choice([*options], p=[*options.values()]))
    return str(rng.choice([*options]))


def number(rng: Generator, options: Mapping[float, float]) -> float:
    """Draw one of some numbers by their shares."""
    return float(rng.choice([*options], p=[*options.values()]))


def yes(is_so: object) -> str:
    """Write what is or is not so."""
    return "yes" if is_so else "no"
