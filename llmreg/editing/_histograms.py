"""Counts of the values of columns, for the page of a person who has the table."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

N_BINS = 30


def count_values(data: Any, features: Iterable[str]) -> dict[str, dict[str, list]]:
    """Count the values of numeric columns in bins: the edges and the counts, by name.

    The bins go from the 1st to the 99th percentile, and the first and the last count
    what lies beyond them too, so that one outlier leaves room for the others.
    """
    table = data.to_pandas() if hasattr(data, "to_pandas") else pd.DataFrame(data)
    return {
        name: _count(table[name])
        for name in features
        if name in table and _is_drawn(table[name])
    }


def _is_drawn(column: Any) -> bool:
    """Tell whether a column has a histogram; one that is there twice has none."""
    if not isinstance(column, pd.Series) or column.dtype.kind not in "iuf":
        return False
    return bool(_finite(column).size)


def _finite(column: pd.Series) -> np.ndarray:
    values = column.to_numpy(dtype=np.float64, na_value=np.nan)
    return values[np.isfinite(values)]


def _count(column: pd.Series) -> dict[str, list]:
    """Count the values of one column."""
    values = _finite(column)
    low, high = np.percentile(values, [1, 99])
    if not low < high:
        low, high = values.min(), values.max()
    counts, edges = np.histogram(values.clip(low, high), N_BINS, (low, high))
    return {"edges": edges.tolist(), "counts": counts.tolist()}
