"""AutoML with a fixed time budget, alone and with llmreg among its models.

FLAML and AutoGluon get the same training rows as all other methods and so many seconds
of one core, counted as the time that the process computes; then once more with llmreg
as a learner of theirs, through `llmreg.automl`. AutoGluon needs an older pandas than
the rest of the project is tested with, so its rows come from a second environment
(``make automl``). Seeds and draws hang on names alone, and rows from several
environments go into one file.

    python -m benchmarks automl                            what is installed here
    python -m benchmarks automl --seconds 10 --cards paper --repetitions 5
    python -m benchmarks automl --report                   only the tables again
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import pandas as pd

from benchmarks.data.catalogue import PAPER, RESULTS, names
from benchmarks.data.results import ResultFile, note_run
from benchmarks.experiments.fewshot import plan
from benchmarks.experiments.runner import pending, run
from benchmarks.methods.automl import BUDGETS, named
from benchmarks.methods.registry import in_order
from benchmarks.programs import Progress, echo, say
from benchmarks.reporting import tables as report

DEFAULT_OUT = RESULTS / "automl.csv"
SIZES = (5, 25, 100, 400)
#: The first half of the paper's tables in the order of their names: chosen before any
#: was run, because all ten take two hours a repetition at 30 seconds.
CARDS = PAPER[:5]
BESIDE = ("no prior, tuned", "prior alone", "default linear", "default MLP")
#: The package of each tool.
TOOLS = {"FLAML": "flaml", "AutoGluon": "autogluon"}
SHOWN = ("roc_auc", "log_loss")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program. Returns 1 where a fit failed."""
    options = _parser().parse_args(arguments)
    file = ResultFile(options.out)
    if not options.report:
        _compute(file, options)
    frame = file.read()
    text = tables(frame)
    echo(text)
    options.out.with_suffix(".md").write_text(text, encoding="utf-8")
    failed = frame[frame["error"].notna()]
    for reason, rows in failed.groupby("error"):
        say(f"{len(rows)} fits failed ({', '.join(rows['method'].unique())}): {reason}")
    return int(not failed.empty)


def chosen_methods(seconds: int, tools: Sequence[str]) -> list[str]:
    """List the methods of a run. Those to compare with, and two for each tool."""
    return [
        *BESIDE,
        *(
            named(name, seconds)
            for tool in tools
            for name in (tool, f"{tool} with llmreg")
        ),
    ]


def tables(frame: pd.DataFrame) -> str:
    """Write the tables: how good, how long, and what did not end."""
    order = {name: number for number, name in enumerate(in_order())}
    frame = frame.sort_values(
        "method", key=lambda column: column.map(order).fillna(len(order)), kind="stable"
    )
    parts = []
    for metric in SHOWN:
        summary = report.summarise(frame, metric)
        if not summary.empty:
            parts.append(report.table(summary, metric))
    return "\n".join([*parts, _times(frame)])


def _times(frame: pd.DataFrame) -> str:
    """Say for each method how long fits took, and how many ended."""
    lines = [
        "| fits | asked for | ended | seconds by the wall, median | longest |",
        "|---|---|---|---|---|",
    ]
    for method in frame["method"].unique():
        rows = frame[frame["method"] == method]
        seconds = rows.loc[rows["error"].isna(), "fit_seconds"]
        told = [f"{seconds.median():.1f}", f"{seconds.max():.1f}"]
        cells = [str(len(rows)), str(len(seconds)), *(told if len(seconds) else "--")]
        lines.append(f"| {method} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _compute(file: ResultFile, options: argparse.Namespace) -> None:
    """Fit what the result file lacks and this environment has."""
    cards = list(
        dict.fromkeys(card for group in options.cards for card in names(group))
    )
    tools = [name for name, module in TOOLS.items() if find_spec(module)]
    for name in TOOLS.keys() - set(tools):
        say(f"{name} is not installed here; its rows are left as they are.")
    methods = chosen_methods(options.seconds, tools)
    cells = plan(cards, options.shots, options.repetitions)
    jobs = pending(cells, methods, file.finished())
    fits = sum(len(left) for _, left in jobs)
    say(f"{len(cells) * len(methods)} fits asked for, {fits} to do.")
    if not jobs:
        return
    settings = {
        "seed": options.seed,
        "cards": cards,
        "shots": list(dict.fromkeys(cell.shots for cell in cells)),
        "repetitions": options.repetitions,
        "seconds": options.seconds,
        "methods": methods,
    }
    note_run(file.path, settings)
    progress = Progress(len(jobs))
    # One process: a budget of seconds means little to tools that fight for a core.
    for rows in run(jobs, options.seed, workers=1):
        for row in rows:
            file.append(row)
        progress.step("")


def _parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks automl",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--cards", nargs="+", default=list(CARDS), metavar="NAME", help="data sets")
    add("--shots", nargs="+", type=int, default=list(SIZES), metavar="N")
    add("--repetitions", type=int, default=1, metavar="N", help="draws of rows (1)")
    add("--seconds", type=int, default=BUDGETS[1], choices=BUDGETS, help="budget (30)")
    add("--seed", type=int, default=0, help="seed of the whole experiment (0)")
    add("--out", type=Path, default=DEFAULT_OUT, metavar="FILE.csv")
    add("--report", action="store_true", help="run nothing, write the table again")
    return parser
