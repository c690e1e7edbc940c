"""The values of a column: as numbers, or as names of levels."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd

from llmreg.exceptions import EncodingError

#: Name of the level that stands for a missing value.
MISSING = "missing"


def to_numbers(table: pd.DataFrame, names: Sequence[str]) -> np.ndarray:
    """Give the values of numeric columns, NaN where they are missing."""
    dtypes = list(table.dtypes)
    kinds = set(dtypes)
    if all(isinstance(dtype, np.dtype) and dtype.kind in "fiub" for dtype in kinds):
        return np.ascontiguousarray(table.to_numpy(dtype=np.float64))
    if all(is_real(dtype) for dtype in kinds):
        numbers = table.to_numpy(dtype=np.float64, na_value=np.nan)
        return np.ascontiguousarray(numbers)
    if kinds == {np.dtype(object)}:
        try:
            return to_floats(table.to_numpy())
        except (TypeError, ValueError, OverflowError):
            pass  # The columns one by one, to name the one at fault.
    real = np.array([is_real(dtype) for dtype in dtypes])
    out = np.empty(table.shape)
    if real.any():
        out[:, real] = to_numbers(table.iloc[:, np.flatnonzero(real)], names)
    for i in np.flatnonzero(~real):
        try:
            out[:, i] = to_floats(table.iloc[:, i].to_numpy(dtype=object))
        except (TypeError, ValueError, OverflowError) as e:
            raise EncodingError(
                f"Column {names[int(i)]!r} is numeric, but holds something else: {e}."
            ) from e
    return out


def to_floats(values: np.ndarray) -> np.ndarray:
    """Convert an array of objects; what pandas counts as missing becomes NaN."""
    out = np.full(values.shape, np.nan)
    present = ~pd.isna(values)
    out[present] = values[present].astype(np.float64)
    return out


def to_levels(column: pd.Series, known: Collection[str] = ()) -> np.ndarray:
    """Give the level names of a categorical column, spelled as in `known`."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        spelled = [_spell(value, known) for value in column.cat.categories]
        # Missing values have the code -1, which takes the last name.
        return np.array([*spelled, MISSING], dtype=object)[column.cat.codes.to_numpy()]
    values = column.to_numpy(dtype=object)
    names = np.full(len(values), MISSING, dtype=object)
    present = ~pd.isna(values)
    if isinstance(column.dtype, pd.StringDtype):
        names[present] = values[present]
        return names
    names[present] = [_spell(value, known) for value in values[present]]
    return names


def open_levels(column: pd.Series, extra: Collection[str] = ()) -> list[str]:
    """Name the levels of a training column: declared or sorted, that of gaps last."""
    found = {*to_levels(column), *extra}
    declared: list[str] = []
    if isinstance(column.dtype, pd.CategoricalDtype):
        declared = list(map(str, column.cat.categories))
    others = sorted(found - {MISSING, *declared})
    return list(dict.fromkeys([*declared, *others, *({MISSING} & found)]))


def is_real(dtype: Any) -> bool:
    """Say whether a type of pandas or NumPy stands for real numbers or booleans."""
    return pd.api.types.is_numeric_dtype(dtype) and dtype.kind != "c"


def _spell(value: Any, known: Collection[str]) -> str:
    name = str(value)
    if isinstance(value, str) or name in known or not isinstance(value, Real):
        return name
    if isinstance(value, (int, np.integer)):
        other = f"{value}.0"
    else:
        other = name.removesuffix(".0")
    return other if other in known else name
