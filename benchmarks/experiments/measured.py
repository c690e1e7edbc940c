"""What the programs share that measure this machine: options, rows, and the report."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.data.results import ResultFile, note_run
from benchmarks.programs import publish


def add_measured(parser: argparse.ArgumentParser, *, required: bool = True) -> None:
    """Add the options that all of these programs have."""
    add = parser.add_argument
    add("--out", type=Path, required=required, metavar="FILE.csv", help="result file")
    add("--report", action="store_true", help="measure nothing, write the table again")
    add("--again", action="store_true", help="measure what is there once more")


def keep(
    file: ResultFile,
    rows: Iterable[Mapping[str, Any]],
    settings: Callable[[], Mapping[str, Any]],
) -> None:
    """Write each row as soon as it is there, with the number of its run.

    `settings` gives what the note says of the run; where there is no row, there is no
    note.
    """
    number = None
    for row in rows:
        if number is None:
            number = note_run(file.path, settings())
        file.append({**row, "run": number})


def complete_and_report(
    file: ResultFile,
    given: argparse.Namespace,
    compute: Callable[[ResultFile, argparse.Namespace], None],
    table_of: Callable[[pd.DataFrame], str],
) -> int:
    """Measure what is missing, and write the table of all that there is.

    `compute` is not called where only the report is wanted.
    """
    if not given.report:
        compute(file, given)
    publish(table_of(file.read()), file.path.with_suffix(".md"))
    return 0
