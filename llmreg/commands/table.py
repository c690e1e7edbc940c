"""From a CSV file to the task that a provider is told: names and levels, no rows."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from pandas.api.types import is_numeric_dtype
from sklearn.utils.multiclass import type_of_target

from llmreg.describe import column_names, describe
from llmreg.encoding import TableEncoder
from llmreg.exceptions import DataError
from llmreg.targets import check_labels, choose_classes
from llmreg.task import Task

# Whole numbers with more distinct values than this are amounts, not classes.
MAX_NUMERIC_CLASSES = 20


def read_task(
    path: Path,
    target: str,
    *,
    description: str = "",
    descriptions: Mapping[str, str] | None = None,
    kind: str | None = None,
    drop: Sequence[str] = (),
) -> Task:
    """Read from a table what an estimator would tell a provider about it.

    An estimator that is fitted on the same table, with the same texts, asks for the
    same task, and so finds its prior in the cache.

    Parameters
    ----------
    path : Path
        A CSV file with a header.
    target : str
        The column that is predicted.
    description : str, default=""
        The task in a sentence.
    descriptions : mapping or None, default=None
        What the features mean, by name; levels as ``name=level``.
    kind : {"classification", "regression"} or None, default=None
        None goes by the target: text, booleans and few whole numbers are classes.
    drop : sequence of str, default=()
        Columns that are no features.

    Returns
    -------
    Task
        Names, levels and classes; nothing else of the table.

    Raises
    ------
    DataError
        If the file is no table, or lacks the columns.
    EncodingError
        If a column cannot be a feature, such as dates and free text.
    """
    table = _read(path)
    if absent := [name for name in (target, *drop) if name not in table.columns]:
        raise DataError(
            f"{str(path)!r} has no column {absent[0]!r}; its columns are "
            f"{list(table.columns)!r}."
        )
    X, y = table.drop(columns=[target, *drop]), table[target].dropna()
    if X.shape[1] == 0 or len(y) == 0:
        raise DataError(
            f"{str(path)!r} has {X.shape[1]} columns beside the target and {len(y)} "
            "rows with a target; both must be there."
        )
    encoder = TableEncoder().fit(X, feature_names=column_names(X).names)
    classes = _classes(y, kind)
    outputs = classes[1:] if len(classes) == 2 else classes or (target,)
    return Task(
        features=describe(encoder.columns_, descriptions),
        target=target,
        outputs=outputs,
        kind="classification" if classes else "regression",
        classes=classes,
        description=description,
    )


def read_descriptions(path: Path | None) -> dict[str, str]:
    """Read what features mean.

    Parameters
    ----------
    path : Path or None
        A JSON file: one object, texts by feature name.

    Returns
    -------
    dict
        The texts; empty without a file.

    Raises
    ------
    DataError
        If the file cannot be read or holds something else.
    """
    if path is None:
        return {}
    try:
        found: Any = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as e:
        raise DataError(f"The descriptions {str(path)!r} cannot be read: {e}.") from e
    if not isinstance(found, dict) or not all(
        isinstance(text, str) for text in found.values()
    ):
        raise DataError(
            f"The descriptions {str(path)!r} must be one JSON object with texts by "
            'feature name, such as {"bmi": "body mass index in kg/m^2"}.'
        )
    return found


def _read(path: Path) -> pd.DataFrame:
    """Read a CSV file."""
    try:
        return pd.read_csv(path)
    except (OSError, ValueError) as e:
        raise DataError(f"The table {str(path)!r} cannot be read: {e}") from e


def _classes(y: pd.Series, kind: str | None) -> tuple[str, ...]:
    """Name the classes of the target; none in a regression."""
    if kind is None:
        few = type_of_target(y) in {"binary", "multiclass"}
        few = few and y.nunique() <= MAX_NUMERIC_CLASSES
        kind = "classification" if few or not is_numeric_dtype(y) else "regression"
    if kind == "regression":
        return ()
    return tuple(str(label) for label in choose_classes(check_labels(y)))
