"""From a CSV file to the task that a provider is told: names and levels, no rows."""

import argparse
import io
import json
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from pandas.api.types import is_numeric_dtype
from sklearn.utils.multiclass import type_of_target

from llmreg._utils._files import expand
from llmreg.exceptions import DataError, UnsupportedColumnError
from llmreg.preprocessing._columns import refuse_cell_values
from llmreg.preprocessing._encoder import TableEncoder
from llmreg.preprocessing._validation import check_labels, choose_classes
from llmreg.prior._names import describe
from llmreg.prior._task import Task

CARD = "prior.json"
# Whole numbers with more distinct values than this are amounts, not classes.
MAX_NUMERIC_CLASSES = 20
# The first column is one like the others, even where rows are longer than the header:
# pandas would take it for names of the rows, and put every field one column further.
_ROWS: dict[str, Any] = {"index_col": False}
# The first line as it is: pandas renames columns that share a name.
_HEADER: dict[str, Any] = {"header": None, "nrows": 1, "dtype": str}
_HEADER |= {"keep_default_na": False}


class Table(NamedTuple):
    """A CSV file, what a provider receives of it, and where its prior goes."""

    path: Path
    task: Task
    card: Path


def add_tables(parser: argparse.ArgumentParser) -> None:
    """Describe the words that name tables."""
    add = parser.add_argument
    each = "; once for all tables, or once for each"
    text = "CSV files with headers"
    add("tables", nargs="+", type=expand, metavar="table", help=text)
    text = f"the column to be predicted{each}"
    add("--target", action="append", required=True, help=text)
    add("--task", action="append", help=f"the task in a sentence{each}")
    text = f"a JSON file: what features mean, by name{each}"
    add("--descriptions", action="append", type=expand, help=text)
    kinds = ["classification", "regression"]
    text = f"the kind of prediction{each}"
    add("--kind", action="append", choices=kinds, help=text)
    add("--drop", action="append", default=[], help="a column that is no feature")
    kind: dict[str, Any] = {"type": _named_kind, "metavar": "NAME=KIND"}
    text = "what a column is, numeric or categorical; for several columns several times"
    add("--feature-kind", action="append", default=[], help=text, **kind)
    text = f"the card (default: {CARD}); of several tables the folder of the cards, "
    text += "which are named as the tables are"
    add("-o", "--output", type=expand, help=text)


def read_tables(arguments: argparse.Namespace) -> list[Table]:
    """Read the tables, and what is said about them."""
    paths: list[Path] = arguments.tables
    options = [
        _for_each(getattr(arguments, name), paths, f"--{name}")
        for name in ("target", "task", "descriptions", "kind")
    ]
    cards = _cards(paths, arguments.output)
    tables = []
    each = zip(paths, *options, cards, strict=True)
    for path, target, sentence, texts, kind, card in each:
        task = read_task(
            path,
            target,
            description=sentence or "",
            descriptions=read_descriptions(texts),
            kind=kind,
            drop=arguments.drop,
            feature_kinds=dict(arguments.feature_kind),
        )
        tables.append(Table(path, task, card))
    return tables


def _named_kind(text: str) -> tuple[str, str]:
    """Read a column and its kind; a name may have an equals sign."""
    name, _, kind = text.rpartition("=")
    return name, kind


def _for_each(values: Sequence[Any] | None, paths: Sequence[Path], name: str) -> list:
    """Give each table its value of an option."""
    values = values or [None]
    if len(values) not in {1, len(paths)}:
        raise DataError(
            f"{name} is given {len(values)} times for {len(paths)} tables. Give it "
            "once for all of them, or once for each."
        )
    return list(values) * (len(paths) if len(values) == 1 else 1)


def _cards(paths: Sequence[Path], output: Path | None) -> list[Path]:
    """Say where the cards go, and check it before anything is paid for."""
    cards = [output or Path(CARD)]
    if len(paths) > 1:
        cards = [(output or Path()) / f"{path.stem}.json" for path in paths]
    if len(set(cards)) < len(cards):
        raise DataError(
            "Two of the tables have the same name, and so would their cards. Ask "
            "about them one after the other."
        )
    for card in cards:
        if not card.absolute().parent.is_dir():
            raise DataError(f"The folder of {str(card)!r} does not exist.")
        if card.is_dir():
            raise DataError(
                f"{str(card)!r} is a folder, and the card needs the name of a file, "
                f"such as {str(card / CARD)!r}."
            )
    return cards


def read_task(
    path: Path,
    target: str,
    *,
    description: str = "",
    descriptions: Mapping[str, str] | None = None,
    kind: str | None = None,
    drop: Sequence[str] = (),
    feature_kinds: Mapping[str, str] | None = None,
) -> Task:
    """Read the task for which an estimator fitted on this table would ask, too."""
    table = read_table(path)
    check_columns(table, [target, *drop], path)
    X, y = table.drop(columns=[target, *drop]), known_labels(table, [target])[target]
    if X.shape[1] == 0:
        raise DataError(f"{str(path)!r} has no columns beside the target {target!r}.")
    try:
        encoder = TableEncoder(feature_kinds=feature_kinds).fit(X, told=True)
        if kind is None:
            refuse_cell_values(y.to_frame(), [target])
    except UnsupportedColumnError as error:
        error.add_note(
            "--drop leaves a column out; --kind classification says that the values of "
            "the target are classes."
        )
        raise
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
    """Read what features mean."""
    if path is None:
        return {}
    try:
        found: Any = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as e:
        raise DataError(f"The descriptions {str(path)!r} cannot be read: {e}.") from e
    texts = found.values() if isinstance(found, dict) else [None]
    if not all(isinstance(text, str) for text in texts):
        raise DataError(
            f"The descriptions {str(path)!r} must be one JSON object with texts by "
            'feature name, such as {"bmi": "body mass index in kg/m^2"}.'
        )
    return found


def read_table(path: Path) -> pd.DataFrame:
    """Read a CSV file, and refuse one whose columns are in doubt."""
    try:
        # A pipe can be read only once.
        raw = None if path.is_file() else path.read_bytes()
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            table, header = (
                pd.read_csv(path if raw is None else io.BytesIO(raw), **options)
                for options in (_ROWS, _HEADER)
            )
    except pd.errors.ParserWarning:
        raise DataError(
            f"The rows of {str(path)!r} have more fields than its header. Give every "
            "column a name, one of row names too, and leave out surplus delimiters."
        ) from None
    except (OSError, ValueError) as e:
        raise DataError(f"The table {str(path)!r} cannot be read: {e}") from e
    names = header.iloc[0].replace("", None).dropna()
    if twice := names[names.duplicated()].tolist():
        raise DataError(
            f"The header of {str(path)!r} has {twice[0]!r} more than once. Give each "
            "column a name of its own."
        )
    return table


def check_columns(table: pd.DataFrame, names: Sequence[Any], path: Path) -> None:
    """Refuse a table that lacks columns."""
    if absent := [name for name in names if name not in table]:
        raise DataError(
            f"{str(path)!r} has no column {absent[0]!r}; its columns are "
            f"{list(table.columns)!r}."
        )


def known_labels(table: pd.DataFrame, targets: list[str]) -> pd.DataFrame:
    """Give the rows of a table that have all targets."""
    known = table.dropna(subset=targets)
    if len(known) == 0:
        raise DataError(
            f"The table has {len(table)} rows, and none of them has a value in "
            f"{', '.join(map(repr, targets))}; what is predicted must be there."
        )
    for name in targets:
        y = known[name]
        if is_numeric_dtype(y) and not np.isfinite(y.astype(np.float64)).all():
            raise DataError(
                f"The target {name!r} has values that are infinite, or too large for "
                "a number. Correct these rows, or leave them out."
            )
    # With gaps, booleans are read as objects, which nothing takes for classes.
    return known.astype({n: known[n].infer_objects().dtype for n in targets})


def _classes(y: pd.Series, kind: str | None) -> tuple[str, ...]:
    """Name the classes of the target; none in a regression."""
    if kind is None:
        few = type_of_target(y) in {"binary", "multiclass"}
        few = few and y.nunique() <= MAX_NUMERIC_CLASSES
        kind = "classification" if few or not is_numeric_dtype(y) else "regression"
    if kind == "regression":
        if not is_numeric_dtype(y):
            raise DataError(
                f"The target {y.name!r} holds texts, and a regression predicts "
                "numbers. Make numbers of them, or give --kind classification."
            )
        return ()
    return tuple(str(label) for label in choose_classes(check_labels(y)))
