"""Trained on curves: the default with recorded curves beside that with scores.

The draws are those of `fewshot`, on public tables and on those that nobody has
published. Start it again to go on where it was stopped, or to add to it.

    python -m benchmarks shapes --jobs 2
    python -m benchmarks shapes --cards worlds --repetitions 20
    python -m benchmarks shapes --methods "misled curves" "random forest" CatBoost
    python -m benchmarks shapes --report            only the tables again
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from benchmarks.data.catalogue import PAPER, cards_of
from benchmarks.data.results import ResultFile
from benchmarks.data.splits import Cell, Shots
from benchmarks.experiments.runner import add_fits, complete, plan
from benchmarks.methods.registry import in_order, methods_of
from benchmarks.programs import make_parser, publish, report_failed, run_program
from benchmarks.reporting.shapes import PLACES, SCORES, write
from benchmarks.reporting.tables import ordered

#: Only the tables of the paper are run at this size where no other is asked for.
LONG = 400


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program as `run_program` does; 1 where a fit failed."""
    return run_program(_run, _parser(), arguments)


def cells_of(
    cards: Sequence[str], shots: Sequence[Shots] | None, repetitions: int
) -> list[Cell]:
    """List the draws, whole repetitions first."""
    return [
        cell
        for cell in plan(cards, shots, repetitions)
        if shots or cell.shots != LONG or cell.card in PAPER
    ]


def _run(options: argparse.Namespace) -> int:
    """Fit what the result file lacks, and write the report."""
    file = ResultFile(options.out)
    if not options.report:
        cells = cells_of(cards_of(options.cards), options.shots, options.repetitions)
        complete(file, cells, methods_of(options.methods), options)
    frame = ordered(file.read(), in_order())
    publish(write(frame), options.out.with_suffix(".md"))
    return report_failed(frame)


def _parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = make_parser("shapes", __doc__)
    every = [card for cards in PLACES.values() for card in cards]
    parser.add_argument(
        "--cards",
        nargs="+",
        default=every,
        metavar="NAME",
        help="data sets or groups of them: paper, worlds, multiclass, regression, "
        "development, development-large (all of these)",
    )
    add_fits(parser, "shapes.csv", 20, methods=[SCORES, "curves"])
    return parser
