"""Ranks of the methods of a result file: tests, a picture, and sizes of the effects.

Each method is ranked on each data set by its mean over the repetitions, at each size
and over all of them (the mean over the sizes that a data set has: sizes of one data
set are no independent observations). Friedman's test asks whether the ranks differ at
all; where it says so, Nemenyi's tells which (Demšar, JMLR 7 (2006)). Effects are
paired mean differences with 95% bootstrap intervals over data sets and repetitions.

Rows with a wrong prior are not ranked. Methods that lack a data set are left out of a
size, and so they are over all sizes; the report names them. A critical difference
grows with the number of methods: --methods ranks fewer.

    python -m benchmarks ranks results/fewshot.csv --out results/ranks.md
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from benchmarks.console import echo
from benchmarks.data.catalogue import RESULTS
from benchmarks.data.results import ResultFile
from benchmarks.experiments.options import add_shots
from benchmarks.methods.registry import methods
from benchmarks.programs import RequestError, make_parser, run_program
from benchmarks.reporting.metrics import METRICS
from benchmarks.reporting.ranking import OURS, rank
from benchmarks.reporting.ranks_report import write

DEFAULT_OUT = RESULTS / "ranks.md"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program as `run_program` does."""
    return run_program(_run, _parser(), arguments, stopped="Stopped.")


def _run(options: argparse.Namespace) -> int:
    """Do what the options ask for."""
    frame = ResultFile(options.file).read()
    if options.methods:
        chosen = {name for set_ in options.methods for name in methods(set_)}
        frame = frame[frame["method"].isin(chosen)]
    if options.shots:
        frame = frame[frame["shots"].isin([str(shots) for shots in options.shots])]
    rankings = rank(frame, options.metric, options.of, options.draws)
    if not rankings:
        raise RequestError(
            f"{options.file.name} has no two methods with {options.metric}."
        )
    echo(write(rankings, options.metric, options.of, options.file.name, options.out))
    return 0


def _parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = make_parser("benchmarks ranks", __doc__)
    add = parser.add_argument
    add("--file", type=Path, default=RESULTS / "fewshot.csv", metavar="FILE.csv")
    add("--metric", choices=list(METRICS), default="roc_auc", help="(roc_auc)")
    add(
        "--methods",
        nargs="+",
        metavar="NAME",
        help="sets of methods or single ones to rank (all of the file)",
    )
    add_shots(parser, None, "sizes to rank at (all of the file)")
    add(
        "--of",
        nargs="+",
        default=list(OURS),
        metavar="NAME",
        help=f"methods whose gains are told ({', '.join(OURS)})",
    )
    add("--draws", type=int, default=2000, metavar="N", help="of the bootstrap (2000)")
    add(
        "--out",
        type=Path,
        default=DEFAULT_OUT,
        metavar="FILE.md",
        help="report; numbers and pictures are written beside it",
    )
    return parser
