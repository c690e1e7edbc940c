"""Which of the bounds on the default are met: a table for each, from result files.

    python -m benchmarks bounds
    python -m benchmarks bounds --files paper.csv regression.csv --out all.md

The thresholds are the goals that were set before anything was measured. Nothing is
fitted here.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.data.catalogue import DEVELOPMENT, MULTICLASS, PAPER, REGRESSION
from benchmarks.data.results import ResultFile
from benchmarks.methods.estimators import GAMMAS, TRANSFORMS
from benchmarks.programs import RequestError, make_parser, publish, run_program
from benchmarks.reporting.metrics import METRICS
from benchmarks.reporting.tables import (
    LABELS,
    Check,
    compare,
    grid,
    heading,
    line,
    markdown,
    sizes,
)

TUNED = "no prior, tuned"
LINEAR, MLP = "default linear", "default MLP"
#: The rows whose upper envelope the default has to reach.
NAMED = (
    TUNED,
    "prior alone",
    "prior alone, exp",
    *(f"LAAT linear, gamma {g}, {name}" for g in GAMMAS for name in TRANSFORMS),
)
FIXED = "LAAT linear, gamma 100, exp"
REFERENCES = {LINEAR: "LAAT linear (reference)", MLP: "LAAT MLP (reference)"}
HINDSIGHT = "the best row of each table"
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


def envelope(table: pd.DataFrame, slack: float = 0.003) -> list[Check]:
    """Hold the default against the best of the named rows, size by size.

    The best is picked by the numbers that it is then compared by, which favours it.
    """
    checks = []
    for size in sizes(table):
        rows = table.loc[size].reindex(columns=list(NAMED)).dropna()
        best = str(rows.mean().idxmax()) if len(rows) else "one was not run"
        checks.append(compare(table, size, LINEAR, best, -slack))
    return checks


def over_sizes(table: pd.DataFrame) -> list[Check]:
    """Hold the default against every other row on the mean over the sizes.

    The named rows must be below it.
    """
    checks = []
    for other in [*NAMED, *REFERENCES.values(), MLP]:
        each = [compare(table, size, LINEAR, other) for size in sizes(table)]
        checks.append(
            Check(
                size="mean",
                method=LINEAR,
                other=other,
                # Missing where one is.
                value=float(np.mean([check.value for check in each])),
                against=float(np.mean([check.against for check in each])),
                gain=float(np.mean([check.gain for check in each])),
                # The draws of two sizes are independent.
                error=float(np.sqrt(np.sum([c.error**2 for c in each])) / len(each)),
                repetitions=min(check.repetitions for check in each),
                bound=0.0 if other in NAMED else None,
                strict=True,
            )
        )
    return checks


def over_reference(table: pd.DataFrame) -> list[Check]:
    """Hold the defaults against the configuration of the paper's authors.

    Above it from 5 rows up, by 0.01 from 50 up.
    """
    return [
        compare(
            table,
            size,
            method,
            other,
            0.01 if _from(size, 50) else 0.0 if _from(size, 5) else None,
            strict=not _from(size, 50),
        )
        for method, other in REFERENCES.items()
        for size in sizes(table)
    ]


def with_hindsight(frame: pd.DataFrame, metric: str) -> list[Check]:
    """Hold what any choice of rows could give against the authors' configuration.

    For each table and size the best of the named rows and the linear default is taken,
    by its mean on the test rows: no method that chooses among them can be above that.
    Nothing is asked.
    """
    named = frame[frame["method"].isin([*NAMED, LINEAR])]
    cells = ["shots", "card", "method"]
    means = named.groupby(cells)[metric].mean()
    best = means.groupby(["shots", "card"]).idxmax().dropna()
    chosen = named.set_index(cells).loc[list(best)].reset_index()
    table = grid(pd.concat([frame, chosen.assign(method=HINDSIGHT)]), metric)
    return [
        compare(table, size, HINDSIGHT, REFERENCES[LINEAR]) for size in sizes(table)
    ]


def with_wrong_priors(table: pd.DataFrame) -> list[Check]:
    """Hold the defaults with a wrong prior against tuning without one.

    At most 0.02 below at 10 rows, 0.01 from 25 up. A fixed gamma stands beside them, of
    which nothing is asked.
    """
    checks = []
    for method in (LINEAR, MLP, FIXED):
        for how in ("flipped", "shuffled"):
            for size in sizes(table):
                slack = 0.01 if _from(size, 25) else 0.02 if _from(size, 10) else None
                bound = None if slack is None or method == FIXED else -slack
                name = f"{method}, {how} prior"
                checks.append(compare(table, size, name, TUNED, bound))
    return checks


def of_the_mlp(table: pd.DataFrame) -> list[Check]:
    """Hold the MLP against the linear model.

    At most 0.005 below, and above on a share of the rows.
    """
    return [
        compare(
            table,
            size,
            MLP,
            LINEAR,
            0.0 if float(size) < 1 else -0.005,
            strict=float(size) < 1,
        )
        for size in sizes(table)
    ]


def over_tuned(table: pd.DataFrame) -> list[Check]:
    """Hold the defaults against tuning without a prior. Better at every size."""
    return [
        compare(table, size, method, TUNED, 0.0, strict=True)
        for method in (LINEAR, MLP)
        for size in sizes(table)
    ]


def _from(size: str, least: int) -> bool:
    """Return whether a size is at least so many rows; a share counts as many."""
    return float(size) < 1 or float(size) >= least


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program as `run_program` does."""
    return run_program(_run, _parser(), arguments, stopped="Stopped.")


def _run(options: argparse.Namespace) -> int:
    """Read the files, and write the tables."""
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
        rows = [_cells(check, measure) for check in checks]
        table = markdown(line(_COLUMNS.split(", ")), rows)
        lines += [f"### {name} ({LABELS[measure]}): {said}", "", table]
    return "\n".join(lines)


def _sections(
    frame: pd.DataFrame, metric: str
) -> Iterator[tuple[str, str, list[Check]]]:
    """Return the name, the measure and the checks of each bound."""
    table = grid(frame, metric)
    yield "The best of the named rows", metric, envelope(table)
    yield "Each row, mean over sizes", metric, over_sizes(table)
    yield "The authors' configuration", metric, over_reference(table)
    hindsight = with_hindsight(frame, metric)
    yield "A choice among linear rows, with hindsight", metric, hindsight
    yield "Wrong priors", metric, with_wrong_priors(table)
    yield "MLP and linear model", metric, of_the_mlp(table)
    if metric == "r2":
        table = grid(frame, "rmse")
        yield "The best of the named rows", "rmse", envelope(table)
        yield "Each row, mean over sizes", "rmse", over_sizes(table)
        return
    for loss in ("log_loss", "brier"):
        yield "Tuned without a prior", loss, over_tuned(grid(frame, loss))


def _tally(checks: Sequence[Check]) -> tuple[int, ...]:
    """Count the bounds that are met, that are not, and that were not measured."""
    asked = [check.met for check in checks if check.bound is not None]
    return tuple(sum(met is state for met in asked) for state in (True, False, None))


def _cells(check: Check, measure: str) -> list[str]:
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
    return [
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
    counts = [f"{heading(size)}: {cards[size]}" for size in order]
    return f"Data sets by size: {', '.join(counts)}."


def _parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = make_parser("bounds", __doc__)
    add = parser.add_argument
    add("--files", nargs="+", type=Path, required=True, metavar="FILE.csv")
    add(
        "--out",
        type=Path,
        metavar="FILE.md",
        help="where to write (beside the first file, its name with -bounds.md)",
    )
    return parser
