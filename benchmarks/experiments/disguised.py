"""Knowledge of the domain or memory of the table: what a prior comes from.

The paper's ten questionnaires were answered again in five disguises (`disguise.py`),
once each: unchanged, with the names of the features alone, with the descriptions
alone, with two names swapped, and with nothing but the task and the layout of the
table. Here the answers are held against the recorded ones, against the tables, and
given to the default linear model for a prior. Nobody is asked anything.

    python -m benchmarks disguised                     all of it
    python -m benchmarks disguised --cards             only what needs no table
    python -m benchmarks disguised --report            only tables and plots again
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from benchmarks.console import Progress
from benchmarks.data.catalogue import PAPER, RESULTS
from benchmarks.data.datasets import load
from benchmarks.data.results import ResultFile, note_run
from benchmarks.experiments.disguised_answers import (
    NAMED,
    compare_answers,
    follow_swap,
    named_rates,
    rank_rows,
    single_answers,
)
from benchmarks.experiments.fewshot import complete, plan
from benchmarks.experiments.options import add_draws, add_out, add_shots
from benchmarks.methods.disguised import DISGUISED
from benchmarks.methods.registry import in_order
from benchmarks.programs import make_parser, publish, run_program, tell_failed
from benchmarks.reporting import disguised_report
from benchmarks.reporting import tables as report
from benchmarks.reporting.disguised_plot import plot

DEFAULT_OUT = RESULTS / "disguised.csv"
SHOTS = (1, 5, 10, 25)
#: The rows beside which the disguises are shown.
BESIDE = ("no prior, tuned", "prior alone, exp", "default linear")
METHODS = (*BESIDE, *DISGUISED)
#: Lines of the plot, as many as there are colours to tell them apart.
PLOTTED = ("no prior, tuned", *(name for name in DISGUISED if "default" in name))
ALONE = (
    "card",
    "prior",
    "transform",
    "roc_auc",
    "shuffled",
    "shuffled_reach",
    "within",
    "within_reach",
    "error",
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program as `run_program` does; 1 where a fit failed."""
    return run_program(_run, _parser(), arguments)


def _run(options: argparse.Namespace) -> int:
    """Do what the options ask for."""
    out = options.out
    fits = ResultFile(out)
    alone = ResultFile(_beside(out, "alone"), ALONE, ALONE[:3])
    if not options.report and options.cards:
        _compute(fits, alone, options)
    frames = alone.read(), fits.read()
    _report(*frames, out)
    return tell_failed(frames[1])


def _compute(fits: ResultFile, alone: ResultFile, options: argparse.Namespace) -> None:
    """Measure what the result files lack."""
    done = {card for card, *_ in alone.finished()}
    left = [card for card in options.cards if card not in done]
    if left:
        note_run(alone.path, {"seed": 0, "cards": left})
    progress = Progress(len(left))
    for card in left:
        dataset = load(card)
        for row in rank_rows(dataset, single_answers(dataset)):
            alone.append(row)
        progress.step(" of the priors alone")
    if set(NAMED) <= set(options.cards):
        rates = [row for card in NAMED for row in named_rates(load(card))]
        _write(pd.DataFrame(rates), _beside(fits.path, "named"))
    complete(
        fits,
        plan(options.cards, options.shots, options.repetitions),
        METHODS,
        seed=options.seed,
        repetitions=options.repetitions,
        jobs=options.jobs,
    )


def _report(alone: pd.DataFrame, fits: pd.DataFrame, out: Path) -> None:
    """Print the tables, and write them and the plots beside the result file."""
    agreement = pd.DataFrame([row for card in PAPER for row in compare_answers(card)])
    swaps = pd.DataFrame([follow_swap(card) for card in PAPER])
    for name, frame in (("agreement", agreement), ("swapped", swaps)):
        _write(frame, _beside(out, name))
    fits = report.ordered(fits, in_order())
    text = disguised_report.tables(agreement, swaps, alone, fits)
    named = _beside(out, "named")
    if named.exists():
        text += "\n" + disguised_report.named_features(pd.read_csv(named), alone)
    publish(text, out.with_suffix(".md"))
    if not alone.empty:
        plot(alone, out.with_suffix(".png"))
    if not fits.empty:
        summary = report.summarise(fits[fits["method"].isin(PLOTTED)], "roc_auc")
        report.plot(summary, "roc_auc", out.with_name(f"{out.stem}-roc_auc.png"))


def _write(frame: pd.DataFrame, path: Path) -> None:
    """Write what needs no going on."""
    path.parent.mkdir(parents=True, exist_ok=True)
    frame.to_csv(path, index=False, float_format="%.6g", lineterminator="\n")


def _beside(out: Path, name: str) -> Path:
    """Name a further result file."""
    return out.with_name(f"{out.stem}-{name}.csv")


def _parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = make_parser("benchmarks disguised", __doc__)
    parser.add_argument(
        "--cards",
        nargs="*",
        choices=PAPER,
        default=list(PAPER),
        metavar="NAME",
        help="tables to measure the answers on, of the paper's ten (all); none: only "
        "the answers beside the recorded ones",
    )
    shots = f"training rows per class ({' '.join(map(str, SHOTS))})"
    add_shots(parser, SHOTS, shots)
    add_draws(parser, 5)
    add_out(
        parser,
        DEFAULT_OUT,
        "tables, plots and notes are",
        "run nothing, redraw tables and plots",
    )
    return parser
