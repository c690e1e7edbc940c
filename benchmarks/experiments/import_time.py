"""What importing the estimators costs over `import skorch`, and the command line.

Each is timed in fresh processes, in turns. Each round is kept as soon as it is there;
a later start measures what is missing.

    python -m benchmarks import-time --out import-time.csv
    python -m benchmarks import-time --out import-time.csv --report   only the table
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd

from benchmarks.data.results import ResultFile
from benchmarks.experiments.runner import add_measured, complete_and_report, keep
from benchmarks.programs import Progress, make_parser, run_program

#: What is timed, by the name of its column.
STATEMENTS = {
    "skorch": "import skorch",
    "llmreg": "from llmreg import LLMAttributionClassifier",
    "cli": "import llmreg.cli",
}
#: Seconds; `run` is the number of the run in the note beside the file.
COLUMNS = ("round", *STATEMENTS, "run")
N_ROUNDS = 7


def seconds(statement: str) -> float:
    """Time a fresh interpreter that runs an import.

    The interpreter's own start is included.
    """
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", statement], check=True)
    return time.perf_counter() - start


def table_of(rounds: pd.DataFrame) -> str:
    """Write the medians, and those of the difference to skorch, in markdown."""
    lines = ["| | median | more than skorch | rounds |", "|---|---|---|---|"]
    for name, statement in STATEMENTS.items():
        more = (rounds[name] - rounds["skorch"]).median()
        lines.append(
            f"| `{statement}` | {rounds[name].median():.2f} s | {more:+.2f} s | "
            f"{len(rounds)} |"
        )
    return "\n".join(lines) + "\n"


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
    for statement in STATEMENTS.values() if rounds else ():
        seconds(statement)  # fill the file cache
    progress = Progress(len(rounds))
    for number in rounds:
        took = {name: seconds(statement) for name, statement in STATEMENTS.items()}
        yield {"round": number, **took}
        progress.step()


def _parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = make_parser("benchmarks import-time", __doc__)
    add = parser.add_argument
    add_measured(parser)
    add("--rounds", type=int, default=N_ROUNDS, metavar="N", help=f"({N_ROUNDS})")
    return parser
