"""Biased training rows: what a method learns when a group's rows are missing.

The paper's second experiment (LAAT, arXiv 2502.20268). 80% of the rows, each class in
its share, are for training, the rest for the test. From the training rows a share
delta of some is removed (`thinning.py` says which), the test rows stay as
they are. A second setting does the same with 100 rows per class. What delta 0.5
removes, 0.75 removes too, and every method of a draw loses the same rows.

Tables with more training rows than --max-train (4,000) are cut to as many, each class
in its share, before rows are removed; the test rows are all the others of the 20%.

Measured are all test rows, and two sides of them: "group", whose positive rows are
removed, and "rest", all others. In a two-sided rule (cdc-diabetes: men and women,
adult: not Private and Private) the negative rows of the rest are removed as well.
Then the false negative rate of the group should rise with delta and that of the rest
fall, and the false positive rate of the rest rise. A gap is the false negative rate
of the group minus that of the rest. `group_metrics.py` has the definitions.

    python -m benchmarks bias                             the paper's five tables
    python -m benchmarks bias --cards titanic --repetitions 2 --delta 0 0.5 1 \
        --out smoke.csv                                   no download, a minute
    python -m benchmarks bias --report                    only tables and plots again
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

import pandas as pd

from benchmarks.console import echo
from benchmarks.data.catalogue import PAPER, RESULTS, cards_of
from benchmarks.data.results import ResultFile, ResultFileError
from benchmarks.data.thinning import RULES, find_rule
from benchmarks.experiments.fewshot import complete, plan
from benchmarks.experiments.options import add_draws, add_out, add_shots
from benchmarks.experiments.thinned import COLUMNS, KEY, ThinnedCell, run_thinned
from benchmarks.methods.registry import methods_of
from benchmarks.programs import make_parser, run_program, tell_failed
from benchmarks.reporting import bias_report

DEFAULT_OUT = RESULTS / "bias.csv"
#: The paper's tables and shares.
CARDS = tuple(card for card in RULES if card in PAPER)
DELTAS = (0.0, 0.25, 0.5, 0.75, 0.9, 1.0)
SHOTS = (0.8, 100)
#: What is run where nothing else is asked for.
COMPARED = (
    "no prior, tuned",
    "prior alone",
    "prior alone, exp",
    "LAAT linear (reference)",
    "LAAT MLP (reference)",
    "default linear",
    "default MLP",
    "default linear, rows at a tenth",
    "default MLP, rows at a tenth",
    "random forest",
    "XGBoost",
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program as `run_program` does; 1 where a fit failed."""
    return run_program(_run, _parser(), arguments)


def _run(options: argparse.Namespace) -> int:
    """Do what the options ask for."""
    file = ResultFile(options.out, COLUMNS, KEY)
    if not options.report:
        _compute(file, options)
    frame = file.read()
    echo(bias_report.write(frame, options.out))
    return tell_failed(frame)


def _compute(file: ResultFile, options: argparse.Namespace) -> None:
    """Fit what the result file lacks."""
    chosen = cards_of(options.cards)
    for card in chosen:
        find_rule(card)
    asked = methods_of(options.methods)
    cells = [
        ThinnedCell(cell.card, cell.shots, cell.repetition, delta, options.max_train)
        for cell in plan(chosen, options.shots, options.repetitions)
        for delta in dict.fromkeys(options.delta)
    ]
    _refuse_another_cap(file, options.max_train)
    deltas = list(dict.fromkeys(options.delta))
    complete(
        file,
        cells,
        asked,
        seed=options.seed,
        repetitions=options.repetitions,
        jobs=options.jobs,
        # A card all of whose sizes are left out is noted here as well.
        more={"cards": chosen, "deltas": deltas, "max_train": options.max_train},
        one=run_thinned,
    )


def _refuse_another_cap(file: ResultFile, max_train: int) -> None:
    """Keep draws of another size out of one file: they would be averaged with these."""
    sizes: pd.Series[Any] = file.read()["max_train"]
    if (sizes != max_train).any():
        raise ResultFileError(
            f"{file.path.name} was begun with --max-train {sizes.iloc[0]}, not "
            f"{max_train}. Take the same, or write to another file."
        )


def _share(text: str) -> float:
    """Read a delta."""
    number = float(text)
    if not 0 <= number <= 1:
        raise ValueError(f"{text!r} is not from 0 to 1.")
    return number


def _parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = make_parser("benchmarks bias", __doc__)
    add = parser.add_argument
    add(
        "--cards",
        nargs="+",
        default=list(CARDS),
        metavar="NAME",
        help=f"data sets of {', '.join(RULES)} ({' '.join(CARDS)})",
    )
    add_shots(
        parser,
        SHOTS,
        "training rows per class, or a share of the rows, before any are removed "
        f"({' '.join(map(str, SHOTS))})",
    )
    add(
        "--delta",
        nargs="+",
        type=_share,
        default=list(DELTAS),
        metavar="SHARE",
        help=f"shares to remove ({' '.join(f'{delta:g}' for delta in DELTAS)})",
    )
    add("--max-train", type=int, default=4000, metavar="N", help="see above (4000)")
    add_draws(parser, 10, COMPARED)
    add_out(
        parser,
        DEFAULT_OUT,
        "tables, plots and notes are",
        "run nothing, write tables and plots",
    )
    return parser
