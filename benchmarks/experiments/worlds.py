"""Tables that no model can have seen, beside public ones and the best of the field.

Few shots on the same draws as `fewshot`, every method at every size, a table for each
kind of task and one figure. Start it again to go on where it was stopped. What is not
installed fails and is done by the next start: XGBoost, LightGBM and CatBoost come with
the extra rivals, explainable boosting with field.

    python -m benchmarks worlds --jobs 2
    python -m benchmarks worlds --cards worlds --repetitions 2 --shots 5 25 100 0.8
    python -m benchmarks worlds --report            only the tables and the figure again
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from benchmarks.data.catalogue import cards_of
from benchmarks.data.datasets import load
from benchmarks.data.results import ResultFile
from benchmarks.data.splits import Cell, Shots
from benchmarks.experiments.runner import add_fits, complete, plan
from benchmarks.methods.registry import in_order, methods_of
from benchmarks.programs import make_parser, publish, report_failed, run_program
from benchmarks.reporting import worlds as report
from benchmarks.reporting.tables import ordered

SIZES: dict[bool, tuple[Shots, ...]] = {
    False: (1, 5, 10, 25, 50, 100, 400, 0.8),
    True: (5, 10, 25, 50, 100, 200, 0.8),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program as `run_program` does; 1 where a fit failed."""
    return run_program(_run, _parser(), arguments)


def cells_of(
    cards: Sequence[str], shots: Sequence[Shots] | None, repetitions: int
) -> list[Cell]:
    """List the draws, whole repetitions first; a regression has sizes of its own."""
    every = list(dict.fromkeys(size for sizes in SIZES.values() for size in sizes))
    return [
        cell
        for cell in plan(cards, shots or every, repetitions)
        if shots or cell.shots in SIZES[load(cell.card).kind == "regression"]
    ]


def _run(options: argparse.Namespace) -> int:
    """Fit what the result file lacks, and write the report."""
    file = ResultFile(options.out)
    if not options.report:
        cells = cells_of(cards_of(options.cards), options.shots, options.repetitions)
        complete(file, cells, methods_of(options.methods), options)
    frame = ordered(file.read(), in_order())
    publish(report.write(frame), options.out.with_suffix(".md"))
    report.draw(frame, options.out.with_suffix(".png"))
    return report_failed(frame)


def _parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = make_parser("worlds", __doc__)
    parser.add_argument(
        "--cards",
        nargs="+",
        default=["worlds", "paper", "multiclass", "regression"],
        metavar="NAME",
        help="data sets or groups of them (worlds paper multiclass regression)",
    )
    add_fits(parser, "worlds.csv", 20, methods=report.COMPARED)
    return parser
