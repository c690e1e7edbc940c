"""Learning curves: when the prior stops to matter, and how many labels it saves.

Reads few-shot result files; the only fits of its own are those of sizes that the
few-shot benchmark does not have.

    python -m benchmarks curves                 table and plot from the result files
    python -m benchmarks curves --fit           first fit the sizes 2, 200 and 1000
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from benchmarks.data.catalogue import GROUPS, RESULTS, cards_of
from benchmarks.data.results import ResultFile, ResultFileError
from benchmarks.data.splits import Shots
from benchmarks.experiments.fewshot import complete, plan
from benchmarks.experiments.options import add_draws
from benchmarks.programs import RequestError, make_parser, publish, run_program
from benchmarks.reporting.curves_plot import plot
from benchmarks.reporting.learning import (
    LEAST_GAIN,
    LINEAR,
    MARK_ROWS,
    MLP,
    TUNED,
    Saved,
    Stop,
    curve,
    median_factor,
    saved,
    stop,
)

#: Read where no file is named; the second only where it is there.
FEWSHOT, EXTRA = RESULTS / "fewshot.csv", RESULTS / "curves-extra.csv"
METHODS = (TUNED, "prior alone, exp", LINEAR, MLP, "LAAT linear (reference)")
EXTRA_SIZES: tuple[Shots, ...] = (2, 200, 1000)
_NEEDED = ("card", "shots", "repetition", "method", "n_train", "roc_auc", "error")
_PREFACE = f"""# Learning curves

ROC AUC over rows per class, every data set for itself, from the few-shot results; the
same draws for every method. "{LINEAR}" and "{MLP}" are llmreg as it comes, and
"{TUNED}" is logistic regression whose strength is chosen by cross-validation.

![ROC AUC over rows per class, a panel a data set](FILE.png)

Bands: one standard deviation over the draws on either side. The last point is 80% of
the rows, at the mean number of rows per class. Dotted: the mark of the second table.

"""
_STOP = f"""## From how many rows on the prior no longer matters

The gain is the ROC AUC of "{LINEAR}" minus that of "{TUNED}", on the
same draws. "Small from": the smallest size from which on, there and at every larger
one, its mean is below {LEAST_GAIN}. "Settled from": the same, and nowhere is it
significantly above 0 either (t test over the draws, one-sided at 0.025). Where that
does not hold at the largest size, the prior still matters there: "> largest". Where
the gain is below 0, the prior does not help but harm. Large shares of one table overlap
between the draws, so that the standard error there is rather too small.

"""
_SAVED = f"""## Labels saved

The mark is the mean ROC AUC that "{TUNED}" reaches at {MARK_ROWS} rows per class, or
at the largest size below where the table is smaller. Then the rows per class at which a
method's mean curve first reaches the mark, interpolated between sizes in the logarithm
of the rows, and by what factor these are fewer. "≤": it is there at the smallest size
already, and the factor is at least as large as said; "never": at no size that was
measured, factor 0. A first touch counts, which favours curves that are noisy.

"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program as `run_program` does."""
    return run_program(_run, _parser(), arguments, errors=(FileNotFoundError,))


def _run(options: argparse.Namespace) -> int:
    """Do what the options ask for."""
    if options.fit:
        _fit(options)
    files = options.files or [FEWSHOT, *([EXTRA] if EXTRA.exists() else [])]
    if options.fit and options.extra not in files:
        files.append(options.extra)
    frame = same_draws(read(files))
    if frame.empty:
        raise RequestError("these files hold no ROC AUC of the methods of the curves.")
    numbers = curves_of(frame)
    numbers.to_csv(options.out, index=False, float_format="%.6g")
    text = write(frame).replace("FILE.png", f"{options.out.stem}.png")
    publish(text, options.out.with_suffix(".md"))
    plot(numbers, _marks(frame), options.out.with_suffix(".png"), METHODS)
    return 0


def read(paths: Sequence[Path]) -> pd.DataFrame:
    """Read what result files have of the methods of the curves.

    Files may have fewer measures than today. Of a fit that is in several files, the
    first file's row counts.
    """
    frames = []
    for path in paths:
        if not path.exists():
            raise FileNotFoundError(f"There is no result file {path.name}.")
        columns = path.read_text(encoding="utf-8").partition("\n")[0].split(",")
        absent = [name for name in _NEEDED if name not in columns]
        if absent:
            raise ResultFileError(f"{path.name} lacks the columns {absent}.")
        frames.append(ResultFile(path, columns=columns).read()[list(_NEEDED)])
    frame = pd.concat(frames).drop_duplicates(list(_NEEDED[:4]), keep="first")
    known = frame["method"].isin(METHODS) & frame["roc_auc"].notna()
    return frame[known].reset_index(drop=True)


def same_draws(frame: pd.DataFrame) -> pd.DataFrame:
    """Keep the draws that every method has that has any at that size."""
    asked = frame.groupby(["card", "shots"])["method"].transform("nunique")
    draw = frame.groupby(["card", "shots", "repetition"])["method"]
    return frame[draw.transform("nunique") == asked].reset_index(drop=True)


def curves_of(frame: pd.DataFrame) -> pd.DataFrame:
    """Average every method on every data set over its draws."""
    parts = [
        curve(rows, method).assign(card=card, method=method)
        for card, rows in frame.groupby("card")
        for method in METHODS
        if method in set(rows["method"])
    ]
    found = pd.concat(parts, ignore_index=True)
    return found[["card", "method", "shots", "rows", "mean", "deviation", "draws"]]


def write(frame: pd.DataFrame) -> str:
    """Write both tables."""
    by_card = {str(card): rows for card, rows in frame.groupby("card")}
    lines = [
        _PREFACE + _STOP + "| | small from | settled from | largest | gain there |"
    ]
    lines.append("|---|---|---|---|---|")
    for card, rows in by_card.items():
        found = stop(rows)
        if found is not None:
            lines.append(_stop_line(card, found))
    lines += ["", _SAVED + f"| | mark at | mark | {LINEAR} | factor | {MLP} | factor |"]
    lines.append("|---|---|---|---|---|---|---|")
    every: dict[str, list[Saved]] = {LINEAR: [], MLP: []}
    for card, rows in by_card.items():
        both = {method: saved(rows, method) for method in every}
        for method, one in both.items():
            every[method] += [one] if one is not None else []
        if any(both.values()):
            lines.append(_saved_line(card, list(both.values())))
    cells = [f"{_factor(*median_factor(v)) if v else '-'}" for v in every.values()]
    lines.append(f"| **median** | | | | {cells[0]} | | {cells[1]} |")
    draws = frame.groupby(["card", "shots"])["repetition"].nunique()
    lines += ["", f"Draws: {draws.min()} to {draws.max()} a data set and size."]
    return "\n".join(lines) + "\n"


def _stop_line(card: str, found: Stop) -> str:
    """Write a row of the first table."""
    beyond = f"> {found.largest:.0f}"
    places = [
        beyond if rows == float("inf") else f"{rows:.0f}"
        for rows in (found.small, found.settled)
    ]
    error = "" if pd.isna(found.error) else f" ± {found.error:.4f}"
    cells = [card, *places, f"{found.largest:.0f}", f"{found.gain:+.4f}{error}"]
    return f"| {' | '.join(cells)} |"


def _saved_line(card: str, found: Sequence[Saved | None]) -> str:
    """Write a row of the second table."""
    mark = next(one for one in found if one is not None)
    cells = [card, f"{mark.mark_rows:.0f}", f"{mark.mark:.3f}"]
    for one in found:
        if one is None:
            cells += ["-", "-"]
            continue
        rows = "never" if one.factor == 0 else f"{one.rows:.3g}"
        cells += [
            f"≤ {rows}" if one.bounded else rows,
            _factor(one.factor, one.bounded),
        ]
    return f"| {' | '.join(cells)} |"


def _factor(factor: float, bounded: bool) -> str:
    return f"{'≥ ' if bounded else ''}{factor:.3g}"


def _marks(frame: pd.DataFrame) -> dict[str, float]:
    """Give the mark of every data set that has one."""
    found = {str(card): saved(rows, TUNED) for card, rows in frame.groupby("card")}
    return {card: one.mark for card, one in found.items() if one is not None}


def _fit(options: argparse.Namespace) -> None:
    """Fit the sizes that the few-shot benchmark does not have."""
    cards = cards_of(options.cards)
    complete(
        ResultFile(options.extra),
        plan(cards, EXTRA_SIZES, options.repetitions),
        METHODS,
        seed=options.seed,
        repetitions=options.repetitions,
        jobs=options.jobs,
    )


def _parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = make_parser("benchmarks curves", __doc__)
    add = parser.add_argument
    add(
        "--files",
        nargs="+",
        type=Path,
        metavar="FILE.csv",
        help="few-shot result files (results/fewshot.csv and, where it is there, "
        "results/curves-extra.csv)",
    )
    add("--fit", action="store_true", help="first fit the extra sizes")
    add(
        "--extra",
        type=Path,
        default=EXTRA,
        metavar="FILE.csv",
        help="result file of the extra sizes",
    )
    add(
        "--cards",
        nargs="+",
        default=["paper"],
        metavar="NAME",
        help=f"what the extra sizes are fitted on: {', '.join(GROUPS)} (paper)",
    )
    add_draws(parser, 20)
    add(
        "--out",
        type=Path,
        default=RESULTS / "curves.csv",
        metavar="FILE.csv",
        help="the numbers of the plot; tables and plot are written beside it",
    )
    return parser
