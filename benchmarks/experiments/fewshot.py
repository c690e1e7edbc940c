"""Few shots: how good each method is when there are only a few training rows.

Draws training rows from each data set, fits every method on the same rows, measures
it on all the others, and writes one row per fit to a result file. Start it again to
go on where it was stopped, or to add cards, shots, repetitions or methods.

    python -m benchmarks fewshot                          the paper's ten data sets
    python -m benchmarks fewshot --cards packaged --repetitions 3   no download
    python -m benchmarks fewshot --report                only redraw table and plot
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.data.catalogue import GROUPS, RESULTS, cards_of
from benchmarks.data.datasets import load
from benchmarks.data.results import ResultFile, note_run
from benchmarks.data.splits import Cell, Shots, draw
from benchmarks.experiments.runner import (
    RunCell,
    add_draws,
    add_out,
    add_shots,
    pending,
    run,
)
from benchmarks.methods.estimators import PLOTTED
from benchmarks.methods.registry import in_order, methods_of
from benchmarks.programs import (
    Progress,
    echo,
    make_parser,
    run_program,
    say,
    tell_failed,
)
from benchmarks.reporting import tables as report

DEFAULT_OUT = RESULTS / "fewshot.csv"
#: Training rows per class, and in a regression, where nothing else is asked for.
SIZES: Mapping[str, tuple[Shots, ...]] = {
    "classification": (1, 5, 10, 25, 50, 100, 400, 0.8),
    "regression": (5, 10, 25, 50, 100, 200),
}
SHOWN = ("roc_auc", "log_loss", "brier", "accuracy", "f1", "r2")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program as `run_program` does; 1 where a fit failed."""
    return run_program(_run, _parser(), arguments)


def _run(options: argparse.Namespace) -> int:
    """Do what the options ask for."""
    file = ResultFile(options.out)
    if not options.report:
        _compute(file, options)
    frame = file.read()
    _report(frame, options.out)
    return tell_failed(frame)


def plan(
    cards: Sequence[str], shots: Sequence[Shots] | None, repetitions: int
) -> list[Cell]:
    """List the cells of an experiment, those that a table is too small for left out.

    All cards and shots of the first repetition come first, so that a run that is
    stopped has whole repetitions to show. Without shots, those of `SIZES` are taken.
    """
    fitting = []
    for card in cards:
        dataset = load(card)
        for size in SIZES[dataset.kind] if shots is None else shots:
            try:
                draw(dataset.y.to_numpy(), len(dataset.classes), Cell(card, size, 0), 0)
            except ValueError as error:
                say(f"left out: {error}")
            else:
                fitting.append((card, size))
    return [
        Cell(card, size, repetition)
        for repetition in range(repetitions)
        for card, size in fitting
    ]


def complete(
    file: ResultFile,
    cells: Sequence[Cell],
    asked: Sequence[str],
    *,
    seed: int,
    repetitions: int,
    jobs: int = 1,
    more: Mapping[str, Any] | None = None,
    one: RunCell | None = None,
) -> None:
    """Fit what a result file lacks of an experiment, and note how it came about.

    `repetitions` and `more` are for the note; `one` is as `run` takes it.
    """
    left = pending(cells, asked, file.finished())
    fits = sum(len(methods_left) for _, methods_left in left)
    say(
        f"{len(cells) * len(asked)} fits asked for, {fits} to do, "
        f"in {len(left)} draws on {jobs} processes."
    )
    if not left:
        return
    note_run(
        file.path,
        {
            "seed": seed,
            "cards": list(dict.fromkeys(cell.card for cell in cells)),
            "shots": list(dict.fromkeys(cell.shots for cell in cells)),
            **(more or {}),
            "repetitions": repetitions,
            "methods": list(asked),
        },
    )
    progress, failed = Progress(len(left)), 0
    for rows in run(left, seed, jobs, one):
        for row in rows:
            file.append(row)
            failed += "error" in row
        progress.step(f", {failed} fits failed" if failed else "")


def _compute(file: ResultFile, options: argparse.Namespace) -> None:
    """Fit what the result file lacks."""
    complete(
        file,
        plan(cards_of(options.cards), options.shots, options.repetitions),
        methods_of(options.methods),
        seed=options.seed,
        repetitions=options.repetitions,
        jobs=options.jobs,
    )


def _report(frame: pd.DataFrame, out: Path) -> None:
    """Print the tables, and write them and the plots beside the result file."""
    frame = report.ordered(frame, in_order())
    tables = []
    for metric in SHOWN:
        summary = report.summarise(frame, metric)
        if summary.empty:
            continue
        tables.append(report.table(summary, metric))
        if metric in ("roc_auc", "r2"):
            picture = out.with_name(f"{out.stem}-{metric}.png")
            drawn = summary[summary["method"].isin(PLOTTED)]
            report.plot(summary if drawn.empty else drawn, metric, picture)
    text = "\n".join(tables) if tables else "No result yet.\n"
    echo(text)
    if tables:
        out.with_suffix(".md").write_text(text, encoding="utf-8")


def _parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = make_parser("benchmarks fewshot", __doc__)
    parser.add_argument(
        "--cards", nargs="+", default=["paper"], metavar="NAME", help=_CARDS_HELP
    )
    add_shots(
        parser,
        None,
        "training rows per class (rows, in a regression), or a share of the "
        f"rows such as 0.8 ({_SIZES_HELP})",
    )
    add_draws(parser, 20, ["llmreg"])
    add_out(
        parser,
        DEFAULT_OUT,
        "table, plots and notes are",
        "run nothing, redraw table and plot",
    )
    return parser


_SIZES_HELP = "; in a regression ".join(
    " ".join(map(str, sizes)) for sizes in SIZES.values()
)
_CARDS_HELP = (
    f"data sets or groups of them: {', '.join(GROUPS)}; "
    "tables come from the folder in LLMREG_DATA, else from the package that ships "
    "them, else from OpenML (paper)"
)
