"""Knowledge of the domain or memory of the table: what a prior comes from.

The paper's ten questionnaires were answered again in five disguises (`disguise.py`),
once each: unchanged, with the names of the features alone, with the descriptions
alone, with two names swapped, and with nothing but the task and the layout of the
table. Here the answers are held against the recorded ones, against the tables, and
given to the default linear model for a prior. Nobody is asked anything.

    python -m benchmarks.disguised                     all of it
    python -m benchmarks.disguised --cards             only what needs no table
    python -m benchmarks.disguised --report            only tables and plots again
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from benchmarks import disguised_report, report
from benchmarks.catalogue import HERE, PAPER
from benchmarks.console import Progress, echo, say
from benchmarks.datasets import TableMismatchError, TableNotFoundError, load
from benchmarks.disguised_answers import (
    NAMED,
    compare_answers,
    follow_swap,
    named_rates,
    rank_rows,
    single_answers,
)
from benchmarks.disguised_methods import DISGUISED
from benchmarks.disguised_plot import plot
from benchmarks.fewshot import complete, plan
from benchmarks.registry import in_order
from benchmarks.results import ResultFile, ResultFileError, note_run
from benchmarks.splits import parse_shots

DEFAULT_OUT = HERE / "results" / "disguised.csv"
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
_CANNOT_BE_MET = (TableNotFoundError, TableMismatchError, ResultFileError)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program.

    Parameters
    ----------
    arguments : sequence of str or None, default=None
        What follows the name of the program; None takes it from the command line.

    Returns
    -------
    int
        0; 1 where a fit failed; 2 where the request cannot be met; 130 where it was
        stopped.
    """
    options = _parser().parse_args(arguments)
    out = options.out
    fits = ResultFile(out)
    alone = ResultFile(_beside(out, "alone"), ALONE, ALONE[:3])
    try:
        if not options.report and options.cards:
            _compute(fits, alone, options)
        frames = alone.read(), fits.read()
    except _CANNOT_BE_MET as error:
        say(f"error: {error}")
        return 2
    except KeyboardInterrupt:
        say("Stopped. The same command goes on from here.")
        return 130
    _report(*frames, out)
    failed = frames[1][frames[1]["error"].notna()]
    for reason, rows in failed.groupby("error"):
        say(f"{len(rows)} fits failed ({', '.join(rows['method'].unique())}): {reason}")
    return int(not failed.empty)


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
    echo(text)
    out.with_suffix(".md").write_text(text, encoding="utf-8")
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
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.disguised",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add(
        "--cards",
        nargs="*",
        choices=PAPER,
        default=list(PAPER),
        metavar="NAME",
        help="tables to measure the answers on, of the paper's ten (all); none: only "
        "the answers beside the recorded ones",
    )
    add(
        "--shots",
        nargs="+",
        type=parse_shots,
        default=list(SHOTS),
        metavar="N",
        help=f"training rows per class ({' '.join(map(str, SHOTS))})",
    )
    add("--repetitions", type=int, default=5, metavar="N", help="draws of rows (5)")
    add("--seed", type=int, default=0, help="seed of the whole experiment (0)")
    add("--jobs", type=int, default=1, metavar="N", help="processes (1)")
    add(
        "--out",
        type=Path,
        default=DEFAULT_OUT,
        metavar="FILE.csv",
        help="result file; tables, plots and notes are written beside it",
    )
    add("--report", action="store_true", help="run nothing, redraw tables and plots")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
