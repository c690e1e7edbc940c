"""The tables that a command line names, each with what is said about it."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from llmreg.commands.table import read_descriptions, read_task
from llmreg.exceptions import DataError
from llmreg.task import Task

CARD = "prior.json"


class Table(NamedTuple):
    """A table to ask about.

    Parameters
    ----------
    path : Path
        The CSV file.
    task : Task
        What a provider is told of it.
    card : Path
        Where its prior goes.
    """

    path: Path
    task: Task
    card: Path


def add_tables(parser: argparse.ArgumentParser) -> None:
    """Describe the words that name tables.

    Parameters
    ----------
    parser : argparse.ArgumentParser
        What they are added to.
    """
    each = "; once for all tables, or once for each"
    add = parser.add_argument
    add("tables", nargs="+", type=Path, metavar="table", help="CSV files with headers")
    add(
        "--target",
        action="append",
        required=True,
        help=f"the column to be predicted{each}",
    )
    add("--task", action="append", help=f"the task in a sentence{each}")
    add(
        "--descriptions",
        action="append",
        type=Path,
        help=f"a JSON file: what features mean, by name{each}",
    )
    add(
        "--kind",
        action="append",
        choices=["classification", "regression"],
        help=f"the kind of prediction{each}",
    )
    add("--drop", action="append", default=[], help="a column that is no feature")
    add(
        "-o",
        "--output",
        type=Path,
        help=f"the card (default: {CARD}); of several tables the folder of the cards, "
        "which are named as the tables are",
    )


def read_tables(arguments: argparse.Namespace) -> list[Table]:
    """Read the tables, and what is said about them.

    Parameters
    ----------
    arguments : argparse.Namespace
        What the command line says.

    Returns
    -------
    list of Table
        In the order of the command line.

    Raises
    ------
    DataError
        If an option is not there once for all tables or once for each, two tables
        would have one card, or a table cannot be read.
    EncodingError
        If a column cannot be a feature.
    """
    paths: list[Path] = arguments.tables
    targets = _for_each(arguments.target, paths, "--target")
    sentences = _for_each(arguments.task, paths, "--task")
    texts = _for_each(arguments.descriptions, paths, "--descriptions")
    kinds = _for_each(arguments.kind, paths, "--kind")
    cards = _cards(paths, arguments.output)
    tables = []
    for path, target, sentence, text, kind, card in zip(
        paths, targets, sentences, texts, kinds, cards, strict=True
    ):
        task = read_task(
            path,
            target,
            description=sentence or "",
            descriptions=read_descriptions(text),
            kind=kind,
            drop=arguments.drop,
        )
        tables.append(Table(path, task, card))
    return tables


def _for_each(values: Sequence[Any] | None, paths: Sequence[Path], name: str) -> list:
    """Give each table its value of an option."""
    values = values or [None]
    if len(values) not in {1, len(paths)}:
        raise DataError(
            f"{name} is there {len(values)} times for {len(paths)} tables; give it "
            "once for all of them, or once for each."
        )
    return list(values) * (len(paths) if len(values) == 1 else 1)


def _cards(paths: Sequence[Path], output: Path | None) -> list[Path]:
    """Say where the cards go, and check it before anything is paid for."""
    if len(paths) == 1:
        cards = [output or Path(CARD)]
    else:
        folder = output or Path()
        cards = [folder / f"{path.stem}.json" for path in paths]
    if len(set(cards)) < len(cards):
        raise DataError(
            "Two of the tables have the same name, and so would their cards. Ask "
            "about them one after the other."
        )
    for card in cards:
        if not card.absolute().parent.is_dir():
            raise DataError(f"The folder of {str(card)!r} is not there.")
        if card.is_dir():
            raise DataError(
                f"{str(card)!r} is a folder, and the card needs the name of a file, "
                f"such as {str(card / CARD)!r}."
            )
    return cards
