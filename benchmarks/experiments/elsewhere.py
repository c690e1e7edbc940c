"""The knowledge of a prior in boosted trees: what each form of it is worth there.

Each library alone, with monotone constraints, with weights of columns, without
interactions, and started at the default with curves; on tables to choose on, and on no
other. Start it again to go on where it was stopped, or to add to it.

    python -m benchmarks elsewhere
    python -m benchmarks elsewhere --cards titanic --shots 100
    python -m benchmarks elsewhere --report         only the tables again
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence

import pandas as pd

from benchmarks.data.catalogue import DEVELOPMENT_LARGE, PACKAGED, cards_of
from benchmarks.data.results import ResultFile
from benchmarks.data.splits import Cell, Shots
from benchmarks.experiments.runner import add_fits, complete, plan
from benchmarks.methods.elsewhere import ELSEWHERE, LIBRARIES
from benchmarks.methods.registry import in_order, methods_of
from benchmarks.programs import make_parser, publish, report_failed, run_program
from benchmarks.reporting.tables import (
    LABELS,
    heading,
    line,
    markdown,
    more_is_better,
    ordered,
    size_order,
    summarise,
    table,
)

CURVES = "default linear, curves"
METHODS = (CURVES, *(name for name in LIBRARIES if name not in ELSEWHERE), *ELSEWHERE)
SHOTS: tuple[Shots, ...] = (25, 100, 400, 0.8)
#: Where all rows are many, only what answers what comes next is fitted on them.
ON_ALL = (
    CURVES,
    *(name for name in METHODS if "," not in name or "confirmed" in name),
)
_NUMBERS = ("ames", "concrete", "wage")
PLACES: Mapping[str, tuple[str, ...]] = {
    "packaged, up to 1,300 rows": PACKAGED,
    "1,000 to 5,000 rows": tuple(c for c in DEVELOPMENT_LARGE if c not in _NUMBERS),
    "regression, 1,000 to 3,000 rows": _NUMBERS,
}
_GAINS = (
    f'Mean gain over "{CURVES}" on the same draws, of a loss with its sign turned; in '
    "brackets on how many tables it gains, of how many."
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program as `run_program` does; 1 where a fit failed."""
    return run_program(_run, _parser(), arguments)


def gains(frame: pd.DataFrame, metric: str) -> str:
    """Write what methods gain over the default with curves, by size."""
    known = frame.assign(value=more_is_better(frame, metric))
    values = known.pivot_table("value", ["shots", "card", "repetition"], "method")
    if CURVES not in values:
        return ""
    over = values.sub(values[CURVES], axis=0).groupby(["shots", "card"]).mean()
    sizes = sorted(frame["shots"].unique(), key=size_order)

    def cell(method: str, size: str) -> str:
        found = over.loc[size][method].dropna()
        if found.empty:
            return "-"
        return f"{found.mean():+.3f} ({(found > 0).sum()}/{len(found)})"

    methods = [name for name in frame["method"].unique() if name != CURVES]
    lines = [[name, *(cell(name, size) for size in sizes)] for name in methods]
    head = line([LABELS[metric], *map(heading, sizes)])
    return f"{markdown(head, lines)}\n{_GAINS}\n"


def write(frame: pd.DataFrame) -> str:
    """Write all tables in markdown; those of places without results are left out."""
    parts = ["# The knowledge of a prior in boosted trees\n"]
    for place, cards in PLACES.items():
        rows = frame[frame["card"].isin(cards)]
        if rows.empty:
            continue
        parts.append(f"## {place.capitalize()}\n")
        for metric in ("roc_auc", "log_loss", "r2"):
            measured = rows[rows[metric].notna()]
            if measured.empty:
                continue
            if metric != "log_loss":
                parts.append(table(summarise(measured, metric), metric))
            parts.append(gains(measured, metric))
    return "\n".join(parts)


def _run(options: argparse.Namespace) -> int:
    """Fit what the result file lacks, and write the report."""
    file = ResultFile(options.out)
    if not options.report:
        cells = plan(cards_of(options.cards), options.shots, options.repetitions)
        methods = methods_of(options.methods)
        on_all = [name for name in methods if name in ON_ALL]
        shares = [cell for cell in cells if _is_share(cell)]
        complete(file, [c for c in cells if not _is_share(c)], methods, options)
        complete(file, shares, on_all, options)
    frame = ordered(file.read(), [*METHODS, *in_order()])
    publish(write(frame), options.out.with_suffix(".md"))
    return report_failed(frame)


def _is_share(cell: Cell) -> bool:
    """Tell whether a draw is a share of all rows."""
    return cell.shots < 1


def _parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = make_parser("elsewhere", __doc__)
    parser.add_argument(
        "--cards",
        nargs="+",
        default=["packaged", "development-large"],
        metavar="NAME",
        help="data sets or groups of them (packaged development-large)",
    )
    add_fits(parser, "elsewhere.csv", 3, SHOTS, METHODS)
    return parser
