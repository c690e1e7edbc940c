"""Ablations: what each part of llmreg is worth, changed alone from a named start.

The paper's ten tables at 5, 25 and 100 rows per class, and the regressions at 10 and 50
rows; the same draws for every method. What is varied is in `methods/ablations.py`. A
run goes on where it was stopped.

    python -m benchmarks ablations                          all of it
    python -m benchmarks ablations --cards packaged --repetitions 1   no download
    python -m benchmarks ablations --tables gamma noise     some tables alone
    python -m benchmarks ablations --report                 only write the tables again
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from benchmarks.data.catalogue import (
    GROUPS,
    cards_of,
)
from benchmarks.data.datasets import load
from benchmarks.data.results import ResultFile
from benchmarks.data.splits import Cell, Shots
from benchmarks.experiments.runner import add_fits, complete, plan
from benchmarks.methods.ablations import SHARED, TABLES
from benchmarks.programs import make_parser, publish, report_failed, run_program
from benchmarks.reporting import ablations as ablation_report

#: Rows per class, and in a regression.
SIZES: dict[str, tuple[Shots, ...]] = {
    "classification": (5, 25, 100),
    "regression": (10, 50),
}
#: The cards that are fitted where none are named.
FITTED = ("paper", "regression")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program as `run_program` does; 1 where a fit failed."""
    return run_program(_run, _parser(), arguments)


def _run(options: argparse.Namespace) -> int:
    """Do what the options say."""
    cards = cards_of(options.cards)
    file = ResultFile(options.out)
    if not options.report:
        draws = cells(cards, options.repetitions)
        complete(file, draws, methods_of(options.tables), options)
    frame = file.read()
    publish(ablation_report.write(frame), options.out.with_suffix(".md"))
    return report_failed(frame)


def cells(cards: Sequence[str], repetitions: int) -> list[Cell]:
    """List the draws, each card at the sizes of its kind.

    All of the first repetition come first.
    """
    found = [
        cell
        for kind, sizes in SIZES.items()
        for cell in plan([c for c in cards if load(c).kind == kind], sizes, repetitions)
    ]
    return sorted(found, key=lambda cell: cell.repetition)


def methods_of(tables: Sequence[str]) -> list[str]:
    """List the methods that tables need, the rows shared by all of them first."""
    asked = list(SHARED)
    for table in tables:
        for start, varied in TABLES[table].items():
            asked += [start, *varied]
    return list(dict.fromkeys(asked))


def _parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = make_parser("ablations", __doc__)
    add = parser.add_argument
    add(
        "--cards",
        nargs="+",
        default=list(FITTED),
        metavar="NAME",
        help=f"data sets or groups of them: {', '.join(GROUPS)} ({' '.join(FITTED)})",
    )
    add(
        "--tables",
        nargs="+",
        choices=list(TABLES),
        default=list(TABLES),
        metavar="NAME",
        help=f"what to vary, of {', '.join(TABLES)} (all)",
    )
    # Each kind of prediction has sizes of its own here.
    add_fits(parser, "ablations.csv", 5, shots=())
    return parser
