"""Which of the bounds on the default are met: a table for each, from result files.

    python -m benchmarks bounds benchmarks/results/fewshot.csv
    python -m benchmarks bounds paper.csv multiclass.csv regression.csv --out all.md

The bounds are in `bounds.py`. Nothing is fitted here.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.data.catalogue import DEVELOPMENT, MULTICLASS, PAPER, REGRESSION
from benchmarks.data.results import ResultFile
from benchmarks.programs import RequestError, make_parser, publish, run_program
from benchmarks.reporting import bounds
from benchmarks.reporting.metrics import METRICS
from benchmarks.reporting.paired import Check, grid, sizes
from benchmarks.reporting.tables import LABELS, heading

GROUPS = {
    "The paper's tables": (PAPER, "roc_auc"),
    "Many classes": (MULTICLASS, "roc_auc"),
    "Regression": (REGRESSION, "r2"),
    "Development": (DEVELOPMENT, "roc_auc"),
}
_PREFACE = """# Bounds on the default

Gain: the difference between two methods on the same draws, mean over data sets and
draws ± its standard error over the draws, counted so that more is better; of RMSE it
is the logarithm of the ratio, and its means are geometric. A bound is met or not by
the mean alone. The best of the named rows is picked by the numbers it is compared by,
which favours it.

"""
_COLUMNS = "size, method, against, its mean, other's mean, gain, asked, met, draws"
_HEADS = f"| {_COLUMNS.replace(', ', ' | ')} |\n" + "|---" * 9 + "|"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program as `run_program` does."""
    return run_program(_run, _parser(), arguments, stopped="Stopped.")


def _run(options: argparse.Namespace) -> int:
    """Do what the options ask for."""
    out = options.out or options.files[0].with_name(
        f"{options.files[0].stem}-bounds.md"
    )
    frame = pd.concat([ResultFile(path).read() for path in options.files])
    text = write(frame)
    if not text:
        raise RequestError("these files hold no result of a known group of data sets.")
    publish(text, out)
    return 0


def write(frame: pd.DataFrame) -> str:
    """Write every bound of every group of data sets that a frame has results of.

    Empty where there is nothing to tell.
    """
    parts = []
    for title, (cards, metric) in GROUPS.items():
        rows = frame[frame["card"].isin(cards)]
        if rows[metric].notna().any():
            parts.append(_group(title, rows, metric))
    return _PREFACE + "\n".join(parts) if parts else ""


def _group(title: str, frame: pd.DataFrame, metric: str) -> str:
    """Write the bounds on one group of data sets."""
    found = list(_sections(frame, metric))
    every = [check for _, _, checks in found for check in checks]
    met, missed, absent = _tally(every)
    lines = [
        f"## {title}",
        "",
        f"{met} bounds are met, {missed} are not, {absent} were not measured. "
        f"{_counts(frame, metric)}",
        "",
    ]
    for name, measure, checks in found:
        met, missed, absent = _tally(checks)
        said = f"{met} met, {missed} not, {absent} not measured"
        lines += [f"### {name} ({LABELS[measure]}): {said}", "", _HEADS]
        lines += [_line(check, measure) for check in checks] + [""]
    return "\n".join(lines)


def _sections(
    frame: pd.DataFrame, metric: str
) -> Iterator[tuple[str, str, list[Check]]]:
    """Give the name, the measure and the checks of each bound."""
    table = grid(frame, metric)
    yield "The best of the named rows", metric, bounds.envelope(table)
    yield "Each row, mean over sizes", metric, bounds.over_sizes(table)
    yield "The authors' configuration", metric, bounds.over_reference(table)
    hindsight = bounds.with_hindsight(frame, metric)
    yield "A choice among linear rows, with hindsight", metric, hindsight
    yield "Wrong priors", metric, bounds.with_wrong_priors(table)
    yield "MLP and linear model", metric, bounds.of_the_mlp(table)
    if metric == "r2":
        table = grid(frame, "rmse")
        yield "The best of the named rows", "rmse", bounds.envelope(table)
        yield "Each row, mean over sizes", "rmse", bounds.over_sizes(table)
        return
    for loss in ("log_loss", "brier"):
        yield "Tuned without a prior", loss, bounds.over_tuned(grid(frame, loss))


def _tally(checks: Sequence[Check]) -> tuple[int, ...]:
    """Count the bounds that are met, that are not, and that were not measured."""
    asked = [check.met for check in checks if check.bound is not None]
    return tuple(sum(met is state for met in asked) for state in (True, False, None))


def _line(check: Check, measure: str) -> str:
    """Write a row of a table."""
    met = {True: "yes", False: "**no**", None: "-"}[check.met]
    if check.bound is None:
        asked = "-"
    else:
        asked = f"{'>' if check.strict else '≥'} {check.bound:g}"
        met = "not run" if check.met is None else met
    gain = "-"
    if not np.isnan(check.gain):
        error = "" if np.isnan(check.error) else f" ± {check.error:.4f}"
        gain = f"{check.gain:+.4f}{error}"
    cells = [
        check.size if check.size == "mean" else heading(check.size),
        check.method,
        check.other,
        _value(check.value, measure),
        _value(check.against, measure),
        gain,
        asked,
        met,
        str(check.repetitions),
    ]
    return f"| {' | '.join(cells)} |"


def _value(gain_scale: float, measure: str) -> str:
    """Write a mean as the measure has it, not with its sign turned."""
    if np.isnan(gain_scale):
        return "-"
    if measure == "rmse":
        return f"{np.exp(-gain_scale):.4g}"
    return f"{gain_scale if METRICS[measure] else -gain_scale:.4f}"


def _counts(frame: pd.DataFrame, metric: str) -> str:
    """Say over how many data sets each size is a mean."""
    known = frame[frame[metric].notna()]
    cards = known.groupby("shots")["card"].nunique()
    order = sizes(grid(frame, metric))
    return (
        "Data sets by size: "
        + ", ".join(f"{heading(size)}: {cards[size]}" for size in order)
        + "."
    )


def _parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = make_parser("benchmarks bounds", __doc__)
    parser.add_argument(
        "--files", nargs="+", type=Path, metavar="FILE.csv", help="result files"
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FILE.md",
        help="where to write (beside the first file, its name with -bounds.md)",
    )
    return parser
