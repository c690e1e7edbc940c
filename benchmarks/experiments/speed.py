"""How long fits and predictions take beside scikit-learn's: medians of ratios.

Both sides of a row run in turns, in one process, on the same random table. Each row
is kept as soon as it is there; a later start measures what is missing.

    python -m benchmarks speed --out speed.csv
    python -m benchmarks speed --out speed.csv --again --only Ridge
    python -m benchmarks speed --out speed.csv --report      only the table again
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from collections.abc import Container, Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.console import say
from benchmarks.data.results import ResultFile, threads
from benchmarks.experiments.comparisons import (
    SEED,
    Call,
    Comparison,
    comparisons,
    make_table,
)
from benchmarks.experiments.measured import add_measured, complete_and_report, keep
from benchmarks.programs import make_parser, run_program

SIZES = ((10, 8), (100, 20), (1_000, 50), (10_000, 100), (200_000, 50))
KEY = ("comparison", "size")
#: `run` is the number of the run in the note beside the file.
COLUMNS = (*KEY, "ours", "theirs", "ratio", "bound", "rounds", "note", "run")
#: Seconds that the rounds of a row may take together, and their least and most.
PATIENCE, FEWEST, MOST = 4.0, 3, 25


def measure(comparison: Comparison, patience: float = PATIENCE) -> dict[str, Any]:
    """Time both sides in turns.

    `patience` is in seconds, for all rounds together; three are run whatever they take.
    Returns the median seconds of both sides and the median of the ratios.
    """
    first = seconds(comparison.ours), seconds(comparison.theirs)
    rounds = int(np.clip(patience / sum(first), FEWEST, MOST))
    times = [
        (seconds(comparison.ours), seconds(comparison.theirs)) for _ in range(rounds)
    ]
    ours, theirs = (statistics.median(side) for side in zip(*times, strict=True))
    return {
        "comparison": comparison.name,
        "ours": ours,
        "theirs": theirs,
        "ratio": statistics.median(a / b for a, b in times),
        "bound": comparison.bound,
        "rounds": rounds,
        "note": comparison.note,
    }


def seconds(call: Call) -> float:
    """Time a call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def run(
    sizes: Sequence[tuple[int, int]],
    only: str = "",
    finished: Container[tuple[str, str]] = (),
    patience: float = PATIENCE,
) -> Iterator[dict[str, Any]]:
    """Compare on tables of all sizes."""
    for n_rows, n_columns in sizes:
        size = size_name(n_rows, n_columns)
        every = [
            c for c in comparisons(make_table(n_rows, n_columns)) if only in c.name
        ]
        for number, comparison in enumerate(every, start=1):
            if (comparison.name, size) in finished:
                continue
            row = {"size": size, **measure(comparison, patience)}
            say(
                f"{size}, {number} of {len(every)}, {comparison.name}: "
                f"{row['ratio']:.3g}"
            )
            yield row


def size_name(n_rows: int, n_columns: int) -> str:
    """Write a size as the result file has it."""
    return f"{n_rows} x {n_columns}"


def table_of(results: pd.DataFrame) -> str:
    """Write results as tables in markdown: the ratios, then all that was measured.

    Ratios over their bound are in bold.
    """
    known = {size_name(*size): f"{size[0]:,} x {size[1]}" for size in SIZES}
    sizes = [size for size in known if (results["size"] == size).any()]
    heads = ["", "aim", *(known[size] for size in sizes)]
    ratios = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    times = ["| | size | llmreg | other | ratio | aim | |", "|---" * 7 + "|"]
    for name, rows in results.groupby("comparison", sort=False):
        aim, cells = f"{rows['bound'].iloc[0]:.3g}", []
        for size in sizes:
            here = rows[rows["size"] == size]
            cells.append("-" if here.empty else _ratio(here.iloc[0]))
            for _, row in here.iterrows():
                both = _duration(row["ours"]), _duration(row["theirs"])
                note = "" if pd.isna(row["note"]) else row["note"]
                words = [str(name), known[size], *both, cells[-1], aim, note]
                times.append(f"| {' | '.join(words)} |")
        ratios.append(f"| {' | '.join([str(name), aim, *cells])} |")
    text = "\n".join(["## Ratios", "", *ratios, "", "## Times", "", *times])
    return f"{text}\n"


def _ratio(row: pd.Series[Any]) -> str:
    """Write a ratio, in bold where it is over its bound."""
    text = f"{row['ratio']:.3g}"
    return f"**{text}**" if row["ratio"] > row["bound"] else text


def _duration(value: float) -> str:
    """Write seconds, or thousandths of them."""
    return f"{value:.3g} s" if value >= 1 else f"{1e3 * value:.3g} ms"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program as `run_program` does."""
    return run_program(_run, _parser(), arguments)


def _run(given: argparse.Namespace) -> int:
    """Measure what is missing, and write the table."""
    file = ResultFile(given.out, COLUMNS, KEY)
    return complete_and_report(file, given, _compute, table_of)


def _compute(file: ResultFile, given: argparse.Namespace) -> None:
    """Measure what the result file lacks, or, if asked to, all anew."""
    sizes = [_NAMED[size] for size in given.sizes]
    finished = file.finished()
    if given.again:
        asked = {size_name(*size) for size in sizes}
        gone = {key for key in finished if given.only in key[0] and key[1] in asked}
        file.forget(gone)
        finished -= gone

    def settings() -> dict[str, Any]:
        asked_for = {"sizes": sizes, "only": given.only, "seed": SEED}
        return asked_for | {"patience": given.patience, "threads": threads()}

    with warnings.catch_warnings():
        # Of convergence, on both sides: the passes are as many as asked for.
        warnings.simplefilter("ignore")
        keep(file, run(sizes, given.only, finished, given.patience), settings)


_NAMED = {f"{n_rows}x{n_columns}": (n_rows, n_columns) for n_rows, n_columns in SIZES}


def _parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = make_parser("benchmarks speed", __doc__)
    add = parser.add_argument
    add_measured(parser)
    add("--only", default="", metavar="WORDS", help="comparisons whose name has this")
    add("--sizes", nargs="+", choices=_NAMED, default=list(_NAMED), help="sizes (all)")
    add(
        "--patience",
        type=float,
        default=PATIENCE,
        metavar="SECONDS",
        help=f"time for the rounds of a row; {FEWEST} are run anyhow ({PATIENCE:g})",
    )
    return parser
