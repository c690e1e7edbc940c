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
of the group minus that of the rest. `reporting/metrics.py` has the definitions.

    python -m benchmarks bias                             the paper's five tables
    python -m benchmarks bias --cards titanic --repetitions 2 --out smoke.csv    no data
    python -m benchmarks bias --report                    only tables and plots again
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.data.catalogue import PAPER, cards_of
from benchmarks.data.datasets import load
from benchmarks.data.results import ResultFile, ResultFileError
from benchmarks.data.splits import Cell, Rows, draw, method_seed, seeds
from benchmarks.data.thinning import RULES, cap, find_rule, members, removable, thin
from benchmarks.experiments.runner import (
    Row,
    add_fits,
    complete,
    fit_and_measure,
    plan,
)
from benchmarks.methods.registry import find, methods_of
from benchmarks.programs import echo, make_parser, report_failed, run_program
from benchmarks.reporting import bias as bias_report
from benchmarks.reporting.metrics import GROUP_METRICS, measure_group

#: The paper's tables and shares.
CARDS = tuple(card for card in RULES if card in PAPER)
DELTAS = (0.0, 0.25, 0.5, 0.75, 0.9, 1.0)
SHOTS = (0.8, 100)
#: What is run where nothing else is asked for.
COMPARED = (
    *("no prior, tuned", "prior alone", "prior alone, exp", "LAAT linear (reference)"),
    *("LAAT MLP (reference)", "default linear", "default MLP"),
    *("default linear, rows at a tenth", "default MLP, rows at a tenth"),
    *("sum of the curves", "default linear, curves"),
    *("default linear, curves, feature declared",),
    *("default linear, curves, feature and base rate declared",),
    *("default linear, curves, all declared",),
    *("random forest", "XGBoost"),
)
KEY = ("card", "shots", "repetition", "delta", "method")
COLUMNS = (
    *KEY,
    *("seed", "max_train", "n_train", "n_removed", "n_test", "roc_auc", "log_loss"),
    *("brier", "accuracy", "f1"),
    *GROUP_METRICS,
    *("fit_seconds", "error"),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program as `run_program` does; 1 where a fit failed."""
    return run_program(_run, _parser(), arguments)


def _run(options: argparse.Namespace) -> int:
    """Do what the options say."""
    file = ResultFile(options.out, COLUMNS, KEY)
    if not options.report:
        _compute(file, options)
    frame = file.read()
    echo(bias_report.write(frame, options.out))
    return report_failed(frame)


def _compute(file: ResultFile, options: argparse.Namespace) -> None:
    """Fit what the result file lacks."""
    chosen, deltas = cards_of(options.cards), list(dict.fromkeys(options.delta))
    for card in chosen:
        find_rule(card)
    cells = [
        ThinnedCell(cell.card, cell.shots, cell.repetition, delta, options.max_train)
        for cell in plan(chosen, options.shots, options.repetitions)
        for delta in deltas
    ]
    _refuse_another_cap(file, options.max_train)
    # A card all of whose sizes are left out is noted here as well.
    more = {"cards": chosen, "deltas": deltas, "max_train": options.max_train}
    methods = methods_of(options.methods)
    complete(file, cells, methods, options, more=more, one=run_thinned)


@dataclass(frozen=True)
class ThinnedCell(Cell):
    """A draw of training rows, of which some are then removed.

    `delta` is the share that is removed of the rows that the rule names, `max_train`
    the most rows to train on before any are removed. The randomness of the draw does
    not depend on them.
    """

    delta: float = 0.0
    max_train: int = 4000

    @property
    def key(self) -> tuple[Any, ...]:
        """What tells its rows in the result file from those of other cells."""
        return *super().key, self.delta


def split(cell: ThinnedCell, seed: int) -> tuple[Rows, Rows, int]:
    """Return the rows of a cell.

    Returns the training rows, the test rows, which are the same for every delta, and
    how many rows were removed.
    """
    dataset = load(cell.card)
    y = dataset.y.to_numpy()
    train, test = draw(y, len(dataset.classes), cell, seed)
    # The first two children are those of the draw and of the methods.
    _, _, for_cap, for_thinning = seeds(cell, seed).spawn(4)
    train = cap(y, train, cell.max_train, np.random.default_rng(for_cap))
    generator = np.random.default_rng(for_thinning)
    kept = thin(train, removable(dataset), cell.delta, generator)
    return kept, test, len(train) - len(kept)


def run_thinned(cell: ThinnedCell, names: Sequence[str], seed: int) -> list[Row]:
    """Fit and measure methods on one thinned draw."""
    dataset = load(cell.card)
    train, test, removed = split(cell, seed)
    truth = (dataset.y == dataset.positive).to_numpy()[test]
    group = members(dataset)[test]
    rows = []
    for name in names:
        row: Row = {
            **dict(zip(KEY, (*cell.key, name), strict=True)),
            "seed": method_seed(cell, seed),
            "max_train": cell.max_train,
            "n_train": len(train),
            "n_removed": removed,
            "n_test": len(test),
        }
        certain = find(name).probabilities
        more = partial(measure_group, truth, group, probabilities=certain)
        row |= fit_and_measure(dataset, train, test, name, row["seed"], more)
        rows.append(row)
    return rows


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
    parser = make_parser("bias", __doc__)
    add = parser.add_argument
    add(
        "--cards",
        nargs="+",
        default=list(CARDS),
        metavar="NAME",
        help=f"data sets of {', '.join(RULES)} ({' '.join(CARDS)})",
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
    add_fits(parser, "bias.csv", 10, SHOTS, COMPARED)
    return parser
