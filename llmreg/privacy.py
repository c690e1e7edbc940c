"""What of a table may be told to a provider: what its columns are, not its cells."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from llmreg.exceptions import UnsupportedColumnError

# Below this many different strings a column is as likely a short list of levels.
_MIN_SUSPECT = 5


def check_levels(X: pd.DataFrame | np.ndarray, names: Sequence[str]) -> None:
    """Refuse columns of strings whose levels look like cells.

    The levels of a string column are found in its cells, and a provider is told
    the levels. With few rows a column of names, of addresses or of numbers that one
    odd entry turned into strings would so be sent cell by cell. A category dtype
    declares its levels, which settles the matter.

    Parameters
    ----------
    X : DataFrame or ndarray of shape (n_samples, n_features)
        The training rows.
    names : sequence of str of length n_features
        Names of the columns.

    Raises
    ------
    UnsupportedColumnError
        If a column of strings has five different ones or more, and more than half
        of its cells differ or more than half of its levels are numbers.

    Examples
    --------
    >>> import pandas as pd
    >>> from llmreg.privacy import check_levels
    >>> check_levels(pd.DataFrame({"sex": ["f", "m", "f", "f"]}), ["sex"])
    """
    if isinstance(X, np.ndarray) and X.dtype.kind in "fiub":
        return
    table = pd.DataFrame(X)
    suspects = [
        name
        for position, name in enumerate(names)
        if _looks_like_cells(table.iloc[:, position])
    ]
    if suspects:
        raise UnsupportedColumnError(
            f"The strings of {suspects} look like the content of cells, not like "
            "levels, and a provider would be told them as levels. Nothing has been "
            'sent. Cast the columns with astype("category") if they are levels, turn '
            "them into numbers if they are numbers, or drop them."
        )


def _looks_like_cells(column: pd.Series) -> bool:
    if pd.api.types.is_numeric_dtype(column.dtype) or isinstance(
        column.dtype, pd.CategoricalDtype
    ):
        return False
    present = column.dropna()
    levels = pd.Series(present.astype(str).unique())
    if len(levels) < _MIN_SUSPECT:
        return False
    are_numbers = pd.to_numeric(levels, errors="coerce").notna()
    return len(levels) > len(present) / 2 or bool(are_numbers.mean() > 0.5)
