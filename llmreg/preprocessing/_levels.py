"""The levels of categorical columns: which there are, and a column of 0 and 1 each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from sklearn.preprocessing import OneHotEncoder

from llmreg.exceptions import EncodingError
from llmreg.preprocessing._values import MISSING, to_levels


def check_levels(levels: Mapping[str, Sequence[str]] | None) -> dict[str, set[str]]:
    """Check the levels to open columns for, by column name.

    Raises EncodingError if a column has a string in place of a list of them.
    """
    levels = levels or {}
    if any(isinstance(names, str) for names in levels.values()):
        raise EncodingError(
            f"levels must have a list of level names for each column; got {levels!r}."
        )
    return {str(name): set(map(str, names)) for name, names in levels.items()}


def open_levels(column: pd.Series, extra: set[str]) -> list[str]:
    """Name the levels of a training column: declared or sorted, a gap's level last.

    Shapes: column (n_samples,).
    """
    found = set(to_levels(column)) | extra
    declared: list[str] = []
    if isinstance(column.dtype, pd.CategoricalDtype):
        declared = list(map(str, column.cat.categories))
    others = sorted(found - {MISSING, *declared})
    return list(dict.fromkeys([*declared, *others, *({MISSING} & found)]))


def level_names(
    table: pd.DataFrame, columns: Sequence[int], levels: Sequence[Sequence[str]]
) -> np.ndarray:
    """Give the level names of the categorical columns of a table.

    Shapes: table (n_samples, n_features); returns (n_samples, n_categorical).
    """
    names = np.empty((len(table), len(columns)), dtype=object)
    for j, i in enumerate(columns):
        names[:, j] = to_levels(table.iloc[:, i], known=set(levels[j]))
    return names


def make_onehot(levels: Sequence[Sequence[str]]) -> Any:
    """Make what opens a column for each level."""
    return OneHotEncoder(
        categories=[np.array(names, dtype=object) for names in levels],
        handle_unknown="ignore",
        sparse_output=False,
        dtype=np.float64,
    )
