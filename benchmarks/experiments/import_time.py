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
from collections.abc import Sequence
from functools import cache
from typing import Any

import pandas as pd

from benchmarks.data.results import ResultFile
from benchmarks.experiments.runner import add_measured, measure_missing
from benchmarks.programs import make_parser, publish, run_program
from benchmarks.reporting.tables import markdown

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
    rows = []
    for name, statement in STATEMENTS.items():
        more = (rounds[name] - rounds["skorch"]).median()
        times = [f"{rounds[name].median():.2f} s", f"{more:+.2f} s"]
        rows.append([f"`{statement}`", *times, str(len(rounds))])
    return markdown("| | median | more than skorch | rounds |", rows)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program as `run_program` does."""
    return run_program(_run, _parser(), arguments)


def _run(given: argparse.Namespace) -> int:
    """Measure what is missing, and write the table."""
    file = ResultFile(given.out, COLUMNS, ("round",))
    if not given.report:
        cases = [(number,) for number in range(given.rounds)]
        # Nothing is drawn; every note has a seed.
        settings = {"seed": 0, "rounds": given.rounds}
        measure_missing(file, given, cases, _time_round, settings)
    publish(table_of(file.read()), file.path.with_suffix(".md"))
    return 0


def _time_round(number: int) -> dict[str, Any]:
    """Time every import once."""
    _fill_the_file_cache()
    return {"round": number} | {name: seconds(s) for name, s in STATEMENTS.items()}


@cache
def _fill_the_file_cache() -> None:
    """Import everything once before the first round."""
    for statement in STATEMENTS.values():
        seconds(statement)


def _parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = make_parser("import-time", __doc__)
    add = parser.add_argument
    add_measured(parser)
    add("--rounds", type=int, default=N_ROUNDS, metavar="N", help=f"({N_ROUNDS})")
    return parser
