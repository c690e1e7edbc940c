"""Few shots: how good each method is when there are only a few training rows.

Draws training rows from each data set, fits every method on the same rows, measures
it on all the others, and writes one row per fit to a result file. Start it again to
go on where it was stopped, or to add cards, shots, repetitions or methods.

    python -m benchmarks fewshot                          the paper's ten data sets
    python -m benchmarks fewshot --cards packaged --repetitions 3   no download
    python -m benchmarks fewshot --report                 only redraw table and plot
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from benchmarks.data.catalogue import GROUPS, cards_of
from benchmarks.data.results import ResultFile
from benchmarks.experiments.runner import add_fits, complete, plan
from benchmarks.methods.estimators import PLOTTED
from benchmarks.methods.registry import in_order, methods_of
from benchmarks.programs import echo, make_parser, publish, report_failed, run_program
from benchmarks.reporting import tables

SHOWN = ("roc_auc", "log_loss", "brier", "accuracy", "f1", "r2")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program as `run_program` does; 1 where a fit failed."""
    return run_program(_run, _parser(), arguments)


def _run(options: argparse.Namespace) -> int:
    """Fit what the result file lacks, and write the report."""
    file = ResultFile(options.out)
    if not options.report:
        cells = plan(cards_of(options.cards), options.shots, options.repetitions)
        complete(file, cells, methods_of(options.methods), options)
    frame = file.read()
    _report(frame, options.out)
    return report_failed(frame)


def _report(frame: pd.DataFrame, out: Path) -> None:
    """Print the tables, and write them and the plots beside the result file."""
    frame = tables.ordered(frame, in_order())
    parts = []
    for metric in SHOWN:
        summary = tables.summarise(frame, metric)
        if summary.empty:
            continue
        parts.append(tables.table(summary, metric))
        if metric in ("roc_auc", "r2"):
            picture = out.with_name(f"{out.stem}-{metric}.png")
            drawn = summary[summary["method"].isin(PLOTTED)]
            tables.plot(summary if drawn.empty else drawn, metric, picture)
    if parts:
        publish("\n".join(parts), out.with_suffix(".md"))
    else:
        echo("No result yet.\n")


def _parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = make_parser("fewshot", __doc__)
    parser.add_argument(
        "--cards",
        nargs="+",
        default=["paper"],
        metavar="NAME",
        help=f"data sets or groups of them: {', '.join(GROUPS)}; tables come from the "
        "folder in LLMREG_DATA, else from the package that ships them, else from "
        "OpenML (paper)",
    )
    add_fits(parser, "fewshot.csv", 20, methods=["llmreg"])
    return parser
