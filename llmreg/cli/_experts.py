"""`llmreg edit` and `llmreg new`: prior cards by domain experts."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path
from typing import Any

import numpy as np

from llmreg._utils._files import expand
from llmreg._utils._text import escape
from llmreg.cli._tables import add_tables, read_table, read_tables
from llmreg.editing import PriorEditor
from llmreg.exceptions import DataError
from llmreg.prior._feature_prior import FeaturePrior
from llmreg.prior._task import Task


def add(commands: Any) -> None:
    """Describe the commands."""
    parser = commands.add_parser(
        "edit",
        help="edit a prior card in the browser",
        description="Open one HTML file in the browser, on which a prior card is "
        "edited: curves, scores, reasons, units, typical ranges and base rates. The "
        "page opens no connection, and saves a new card.",
    )
    parser.set_defaults(run=run_edit)
    parser.add_argument("card", type=expand, help="the JSON file")
    text = (
        "a CSV file with a header, to draw histograms of its numeric columns under the "
        "curves; their counts stay in the HTML file"
    )
    parser.add_argument("--data", type=expand, metavar="table", help=text)
    text = "write the HTML file here, and do not open it"
    parser.add_argument("-o", "--output", type=expand, help=text)
    text = "do not open the HTML file; it goes beside the card"
    parser.add_argument("--no-browser", action="store_true", help=text)

    parser = commands.add_parser(
        "new",
        help="write an empty prior card for a table, for an expert to fill in",
        description="Write a prior card with all columns and levels of a table, and "
        "no opinion on any of them. No model is asked, and the card holds no row.",
    )
    parser.set_defaults(run=run_new)
    add_tables(parser)


def run_edit(arguments: argparse.Namespace) -> None:
    """Run `llmreg edit`."""
    prior = FeaturePrior.read(arguments.card)
    data = None if arguments.data is None else read_table(arguments.data)
    editor = PriorEditor(prior.to_json(), data, name=arguments.card.name)
    path: Path | None = arguments.output
    if path is None and arguments.no_browser:
        path = arguments.card.with_suffix(".html")
    if path is None:
        path = editor.open()
    else:
        editor.write(path)
    sys.stdout.write(
        f"The editor is in {escape(str(path))}, which a browser opens. It saves a new "
        "card, and leaves this one as it is.\n"
    )


def run_new(arguments: argparse.Namespace) -> None:
    """Run `llmreg new`."""
    tables = read_tables(arguments)
    for table in tables:
        if table.card.exists():
            raise DataError(
                f"{str(table.card)!r} is there already, and an empty card would "
                "replace it. Name another file with --output, or delete this one."
            )
    for table in tables:
        make_empty(table.task).write(table.card)
        words = ["llmreg", "edit", str(table.card), "--data", str(table.path)]
        count = len(table.task.keys)
        sys.stdout.write(
            f"{escape(str(table.card))}: {count} feature{'s' * (count != 1)}, and no "
            f"opinion on any of them. Next: {escape(shlex.join(words))}\n"
        )


def make_empty(task: Task) -> FeaturePrior:
    """Make a prior for a task that has no opinion on anything."""
    return FeaturePrior(
        task.keys,
        np.full((len(task.outputs), len(task.keys)), np.nan),
        task.outputs,
        task=task.description,
        target=task.target,
        descriptions={
            feature.key: text
            for feature in task.features
            if (text := feature.level_description or feature.description)
        },
        provenance={"source": "an expert"},
    )
