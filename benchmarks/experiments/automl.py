"""AutoML with a fixed time budget, alone and with llmreg among its models.

FLAML and AutoGluon get the same training rows as all other methods and so many seconds
of one core, counted as the time that the process computes; then once more with llmreg
as a learner of theirs, through `llmreg.automl`. AutoGluon needs an older pandas than
the rest of the project is tested with, so its rows come from a second environment
(``make automl``). Seeds and draws depend on names alone, and rows from several
environments go into one file.

    python -m benchmarks automl              five tables, what is installed here
    python -m benchmarks automl --seconds 10 --cards paper --repetitions 5
    python -m benchmarks automl --report                   only the tables again
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from importlib.util import find_spec

import pandas as pd

from benchmarks.data.catalogue import WORLDS, cards_of
from benchmarks.data.results import ResultFile
from benchmarks.experiments.runner import add_fits, complete, plan
from benchmarks.methods.automl import BUDGETS, named
from benchmarks.methods.registry import in_order
from benchmarks.programs import make_parser, publish, report_failed, run_program, say
from benchmarks.reporting.tables import line, markdown, ordered, summarise, table

SIZES = (5, 25, 100, 400)
#: The first of the paper and of the worlds by name that have 400 rows of each class:
#: chosen before any was run. All of them would take two days.
CARDS = ("adult", "bank", "cdc-diabetes", "autoignition", "clinic_wait")
BESIDE = (
    *("no prior, tuned", "prior alone", "default linear", "default MLP"),
    *("sum of the curves", "default linear, curves", "no prior, tuned, standardised"),
)
#: The package of each tool.
TOOLS = {"FLAML": "flaml", "AutoGluon": "autogluon"}
SHOWN = ("roc_auc", "log_loss")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program as `run_program` does; 1 where a fit failed."""
    return run_program(_run, _parser(), arguments)


def _run(options: argparse.Namespace) -> int:
    """Fit what the result file lacks and this environment has, write the tables."""
    file = ResultFile(options.out)
    if not options.report:
        tools = [name for name, module in TOOLS.items() if find_spec(module)]
        for name in TOOLS.keys() - set(tools):
            say(f"{name} is not installed here; its rows are left as they are.")
        complete(
            file,
            plan(cards_of(options.cards), options.shots, options.repetitions),
            chosen_methods(options.seconds, tools),
            options,
            more={"seconds": options.seconds},
        )
    frame = file.read()
    frame = frame[frame["card"].isin(cards_of(options.cards))]
    publish(tables(frame), options.out.with_suffix(".md"))
    return report_failed(frame)


def chosen_methods(seconds: int, tools: Sequence[str]) -> list[str]:
    """List the methods of a run: those to compare with, and two for each tool."""
    names = [name for tool in tools for name in (tool, f"{tool} with llmreg")]
    return [*BESIDE, *(named(name, seconds) for name in names)]


def tables(frame: pd.DataFrame) -> str:
    """Write the tables: how good, how long, and what did not end."""
    frame = ordered(frame, in_order())
    new = frame["card"].isin(WORLDS)
    parts = []
    for name, rows in (
        ("Public tables", frame[~new]),
        ("Tables that nobody has published", frame[new]),
    ):
        for metric in SHOWN:
            summary = summarise(rows, metric)
            if not summary.empty:
                parts.append(f"### {name}\n\n{table(summary, metric)}")
    return "\n".join([*parts, f"### Times\n\n{_times(frame)}"])


def _times(frame: pd.DataFrame) -> str:
    """Say for each method how long fits took, and how many ended."""
    rows = []
    for method in frame["method"].unique():
        of_method = frame[frame["method"] == method]
        seconds = of_method.loc[of_method["error"].isna(), "fit_seconds"]
        times = [f"{seconds.median():.1f}", f"{seconds.max():.1f}"]
        counts = [str(len(of_method)), str(len(seconds))]
        rows.append([method, *counts, *(times if len(seconds) else "--")])
    heads = ["fits", "asked for", "ended", "seconds by the wall, median", "longest"]
    return markdown(line(heads), rows)


def _parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = make_parser("automl", __doc__)
    add = parser.add_argument
    add("--cards", nargs="+", default=list(CARDS), metavar="NAME", help="data sets")
    add("--seconds", type=int, default=BUDGETS[1], choices=BUDGETS, help="budget (30)")
    # One process: a budget of seconds means little to tools that fight for a core.
    add_fits(parser, "automl.csv", 2, SIZES)
    return parser
