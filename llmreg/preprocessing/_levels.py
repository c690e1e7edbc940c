"""The levels of a categorical column: one name for each value, however spelled."""

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from enum import Enum
from typing import Any

import numpy as np
import pandas as pd

from llmreg.exceptions import EncodingError

#: Name of the level that stands for a missing value.
MISSING = "missing"

# What Python writes for whole numbers and for others.
_WHOLE = re.compile(r"-?(0|[1-9]\d*)(\.0)?", re.ASCII)
_FLOAT = re.compile(r"-?\d+(\.\d+)?(e[+-]?\d+)?", re.ASCII)


def is_gap(values: Any) -> np.ndarray:
    """Say what is missing: what is for pandas, and every NaN of `Decimal`."""
    try:
        return np.asarray(pd.isna(values))
    except InvalidOperation:
        # A signaling NaN is an error wherever it is compared, as pandas does.
        values = np.asarray(values, dtype=object)
        is_nan = [isinstance(v, Decimal) and v.is_nan() for v in values.ravel()]
        known = np.where(np.reshape(is_nan, values.shape), None, values)
        return np.asarray(pd.isna(known))


def to_levels(
    column: pd.Series, known: Collection[str] = (), gap: str | None = MISSING
) -> np.ndarray:
    """Name the levels of a column as in `known`, those of missing values `gap`."""
    called = {level_value(name): name for name in known if name != gap}
    if isinstance(column.dtype, pd.CategoricalDtype):
        spelled = [_spell(value, called) for value in column.cat.categories]
        # Missing values have the code -1, which takes the last name.
        return np.array([*spelled, gap], dtype=object)[column.cat.codes.to_numpy()]
    values = column.to_numpy(dtype=object)
    names = np.full(len(values), gap, dtype=object)
    present = ~is_gap(values)
    found = values[present]
    # Of equal values of different types, such as 1 and True, each is spelled.
    try:
        keys = {(type(value), value) for value in found}
    except TypeError as e:
        raise EncodingError(
            f"Column {column.name!r} has levels, but holds something else: {e}."
        ) from e
    spelling = {key: _spell(key[1], called) for key in keys}
    names[present] = [spelling[type(value), value] for value in found]
    return names


def open_levels(
    column: pd.Series, extra: Collection[str] = ()
) -> tuple[list[str], str | None]:
    """Name the levels of a training column, declared or sorted, and that of gaps."""
    twice = Counter(map(level_value, extra))
    if same := sorted(name for name in extra if twice[level_value(name)] > 1):
        raise EncodingError(
            f"{same} are one level of column {column.name!r}, spelled in several ways. "
            "Give a score for one of them only."
        )
    is_category = isinstance(column.dtype, pd.CategoricalDtype)
    declared = list(map(_name, column.cat.categories)) if is_category else []
    named = to_levels(column, gap=None)
    found = sorted({name for name in named if name is not None})
    # Of several spellings the shortest one comes last.
    spelled = sorted({*found, *declared}, key=lambda name: (-len(name), name))
    chosen = {level_value(name): name for name in spelled}
    has_gaps = any(name is None for name in named)
    own = {level_value(name): name for name in extra}
    gap = MISSING
    while gap in chosen or f"{gap} value" in own:
        gap += " value"
    # A prior that scores what is missing opens the level of gaps.
    has_gaps |= own.pop(gap, None) is not None
    chosen |= own
    in_order = dict.fromkeys(map(level_value, declared))
    names = [chosen[value] for value in in_order]
    names += sorted(name for value, name in chosen.items() if value not in in_order)
    return ([*names, gap], gap) if has_gaps else (names, None)


def unseen(
    column: pd.Series, levels: Collection[str], gap: str | None, found: Collection[str]
) -> set[str]:
    """Give the levels that neither the names found nor a category dtype has."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        found = to_levels(pd.Series(column.cat.categories), levels, gap)
    return {*levels} - {gap, *found}


def place_levels(
    names: Sequence[str] | None, table: pd.DataFrame | np.ndarray, column: int
) -> list[tuple[str | None, int | None]]:
    """Give levels with their places in an ordered category; one None for numbers."""
    if names is None:
        return [(None, None)]
    dtype = table.iloc[:, column].dtype if isinstance(table, pd.DataFrame) else None
    if not (isinstance(dtype, pd.CategoricalDtype) and dtype.ordered):
        return [(name, None) for name in names]
    values = [level_value(_name(value)) for value in dtype.categories]
    places = {value: place for place, value in enumerate(values, start=1)}
    return [(name, places.get(level_value(name))) for name in names]


def level_value(name: str) -> str:
    """Give the one spelling of the value that a level's name stands for.

    The names of True, 1, 1.0 and -0.0 are those of numbers: all that `str` makes of
    them, and nothing else. "01" and "1e0" are texts.
    """
    if name in ("True", "False"):
        return "1" if name == "True" else "0"
    if _WHOLE.fullmatch(name):
        whole = name.partition(".")[0]
        return "0" if whole == "-0" else whole
    if _FLOAT.fullmatch(name) and repr(number := float(name)) == name:
        return str(int(number)) if number.is_integer() else name
    return name


def given_levels(levels: Mapping[str, Collection[str]]) -> dict[str, set[str]]:
    """Check the levels that are known beforehand, by column."""
    if any(isinstance(names, str) for names in levels.values()):
        raise EncodingError(
            f"levels must have a list of level names for each column; got {levels}."
        )
    return {str(name): set(map(str, names)) for name, names in levels.items()}


def has_decimals(column: pd.Series) -> bool:
    """Say whether some levels of a column are decimals, of one value in many texts."""
    is_category = isinstance(column.dtype, pd.CategoricalDtype)
    return any(
        isinstance(value, Decimal)
        for value in (column.cat.categories if is_category else column)
    )


def level_number(name: str) -> Decimal | None:
    """Give the number whose level has a name, None for a text."""
    value = level_value(name)
    number = Decimal(value) if _FLOAT.fullmatch(value) else None
    return number if number is not None and _name(number) == value else None


def _name(value: Any) -> str:
    """Give the name of a value, its text; numbers of every type have that of Python."""
    if isinstance(value, Enum) and isinstance(value, str):
        # It equals its value, and has the text of its class.
        value = value.value
    name = str(value)
    if isinstance(value, np.floating) or name == "-0.0":
        return name if isinstance(value, str) else repr(float(name) + 0.0)
    if isinstance(value, Decimal) and value.is_finite():
        plain, number = f"{value.normalize():f}", repr(float(value))
        return number if "." in plain and Decimal(number) == value else plain
    return name


def _spell(value: Any, called: Mapping[str, str]) -> str:
    name = _name(value)
    return called.get(level_value(name), name)
