"""What `import llmreg` costs over `import skorch`.

Both are timed in fresh processes, in turns. Each round is kept as soon as it is there;
a later start measures what is missing.

    python -m benchmarks.import_time --out import-time.csv
    python -m benchmarks.import_time --out import-time.csv --report   only the table
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd

from benchmarks.console import Progress
from benchmarks.measured import add_measured, complete_and_report, keep
from benchmarks.programs import make_parser, run_program
from benchmarks.results import ResultFile

MODULES = ("skorch", "llmreg")
#: Seconds; `run` is the number of the run in the note beside the file.
COLUMNS = ("round", *MODULES, "run")
N_ROUNDS = 7


def seconds(module: str) -> float:
    """Time a fresh interpreter that imports a module.

    Parameters
    ----------
    module : str
        Name of the module.

    Returns
    -------
    float
        Seconds, the interpreter's own start included.
    """
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", f"import {module}"], check=True)
    return time.perf_counter() - start


def table_of(rounds: pd.DataFrame) -> str:
    """Write the medians, and the median of the differences, as a table in markdown.

    Parameters
    ----------
    rounds : DataFrame
        Seconds of each module, a row for each round.

    Returns
    -------
    str
        The table.
    """
    skorch, llmreg = (rounds[module].median() for module in MODULES)
    more = (rounds["llmreg"] - rounds["skorch"]).median()
    return (
        "| import skorch | import llmreg | difference | rounds |\n|---|---|---|---|\n"
        f"| {skorch:.2f} s | {llmreg:.2f} s | {more:+.2f} s | {len(rounds)} |\n"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program as `run_program` does."""
    return run_program(_run, _parser(), arguments)


def _run(given: argparse.Namespace) -> int:
    """Measure what is missing, and write the table."""
    file = ResultFile(given.out, COLUMNS, ("round",))
    return complete_and_report(file, given, _compute, table_of)


def _compute(file: ResultFile, given: argparse.Namespace) -> None:
    """Measure what the result file lacks, or, if asked to, all anew."""
    if given.again:
        file.forget(file.finished())
    finished = file.finished()
    left = [number for number in range(given.rounds) if (number,) not in finished]
    # Nothing is drawn; every note has a seed.
    keep(file, _rows(left), lambda: {"seed": 0, "rounds": given.rounds})


def _rows(rounds: Sequence[int]) -> Iterator[dict[str, Any]]:
    """Time rounds one after the other, and tell how far it is."""
    for module in MODULES if rounds else ():
        seconds(module)  # fill the file cache
    progress = Progress(len(rounds))
    for number in rounds:
        yield {"round": number, **{module: seconds(module) for module in MODULES}}
        progress.step()


def _parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = make_parser("benchmarks.import_time", __doc__)
    add = parser.add_argument
    add_measured(parser)
    add("--rounds", type=int, default=N_ROUNDS, metavar="N", help=f"({N_ROUNDS})")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
