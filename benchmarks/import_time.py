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
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from benchmarks.console import Progress, echo, say
from benchmarks.results import ResultFile, ResultFileError, note_run

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
    """Measure the rounds that are missing, and write the result and the table.

    Parameters
    ----------
    arguments : sequence of str, default=None
        Command line arguments; those of the process by default.

    Returns
    -------
    int
        0; 2 where the request cannot be met; 130 where it was stopped.
    """
    given = _parser().parse_args(arguments)
    file = ResultFile(given.out, COLUMNS, ("round",))
    try:
        if not given.report:
            _compute(file, given)
        rounds = file.read()
    except ResultFileError as error:
        say(f"error: {error}")
        return 2
    except KeyboardInterrupt:
        say("Stopped. The same command goes on from here.")
        return 130
    text = table_of(rounds)
    given.out.with_suffix(".md").write_text(text, encoding="utf-8")
    echo(text)
    return 0


def _compute(file: ResultFile, given: argparse.Namespace) -> None:
    """Measure what the result file lacks, or, if asked to, all anew."""
    if given.again:
        file.forget(file.finished())
    finished = file.finished()
    left = [number for number in range(given.rounds) if (number,) not in finished]
    if not left:
        return
    # Nothing is drawn; every note has a seed.
    run = note_run(file.path, {"seed": 0, "rounds": given.rounds})
    for module in MODULES:
        seconds(module)  # fill the file cache
    progress = Progress(len(left))
    for number in left:
        times = {module: seconds(module) for module in MODULES}
        file.append({"round": number, **times, "run": run})
        progress.step()


def _parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.import_time",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--out", type=Path, required=True, metavar="FILE.csv", help="result file")
    add("--report", action="store_true", help="measure nothing, write the table again")
    add("--again", action="store_true", help="measure what is there once more")
    add("--rounds", type=int, default=N_ROUNDS, metavar="N", help=f"({N_ROUNDS})")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
