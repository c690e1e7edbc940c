"""Learning curves: when the prior stops to matter, and how many labels it saves.

Reads result files of `fewshot` and fits nothing; "rows" are rows per class. Further
sizes come from a file of their own (`fewshot --shots 2 200 --out more.csv`).

    python -m benchmarks curves
    python -m benchmarks curves --files results/fewshot.csv more.csv
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator

from benchmarks.data.catalogue import RESULTS
from benchmarks.data.results import ResultFile, ResultFileError
from benchmarks.methods.estimators import PLOTTED
from benchmarks.programs import RequestError, make_parser, publish, run_program
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
from benchmarks.reporting.tables import (
    COLOURS,
    MARKERS,
    drawing,
    markdown,
)

METHODS = (TUNED, "prior alone, exp", LINEAR, MLP, "LAAT linear (reference)")
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
_PANELS_A_ROW = 5
_TICKS = {1: "1", 10: "10", 100: "100", 1000: "1k", 10_000: "10k"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program as `run_program` does."""
    return run_program(_run, _parser(), arguments, errors=(FileNotFoundError,))


def _run(options: argparse.Namespace) -> int:
    """Read the files, and write tables and plot."""
    frame = same_draws(read(options.files))
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
    stops = {card: stop(rows) for card, rows in by_card.items()}
    known = [_stop_cells(card, each) for card, each in stops.items() if each]
    head = "| | small from | settled from | largest | gain there |"
    text = f"{_PREFACE}{_STOP}{markdown(head, known)}\n{_SAVED}"
    lines: list[Sequence[str]] = []
    every: dict[str, list[Saved]] = {LINEAR: [], MLP: []}
    for card, rows in by_card.items():
        both = {method: saved(rows, method) for method in every}
        for method, one in both.items():
            every[method] += [one] if one is not None else []
        if any(both.values()):
            lines.append(_saved_cells(card, list(both.values())))
    cells = [_factor(*median_factor(v)) if v else "-" for v in every.values()]
    head = f"| | mark at | mark | {LINEAR} | factor | {MLP} | factor |"
    median = f"| **median** | | | | {cells[0]} | | {cells[1]} |"
    draws = frame.groupby(["card", "shots"])["repetition"].nunique()
    said = f"Draws: {draws.min()} to {draws.max()} a data set and size."
    return f"{text}{markdown(head, lines)}{median}\n\n{said}\n"


def _stop_cells(card: str, found: Stop) -> list[str]:
    """Write a row of the first table."""
    beyond = f"> {found.largest:.0f}"
    places = [
        beyond if rows == float("inf") else f"{rows:.0f}"
        for rows in (found.small, found.settled)
    ]
    error = "" if pd.isna(found.error) else f" ± {found.error:.4f}"
    return [card, *places, f"{found.largest:.0f}", f"{found.gain:+.4f}{error}"]


def _saved_cells(card: str, found: Sequence[Saved | None]) -> list[str]:
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
    return cells


def _factor(factor: float, bounded: bool) -> str:
    """Write a factor."""
    return f"{'≥ ' if bounded else ''}{factor:.3g}"


def _marks(frame: pd.DataFrame) -> dict[str, float]:
    """Return the mark of every data set that has one."""
    found = {str(card): saved(rows, TUNED) for card, rows in frame.groupby("card")}
    return {card: one.mark for card, one in found.items() if one is not None}


def _parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = make_parser("curves", __doc__)
    add = parser.add_argument
    add(
        "--files",
        nargs="+",
        type=Path,
        default=[RESULTS / "fewshot.csv"],
        metavar="FILE.csv",
        help="result files of fewshot (results/fewshot.csv)",
    )
    add(
        "--out",
        type=Path,
        default=RESULTS / "curves.csv",
        metavar="FILE.csv",
        help="the numbers of the plot; tables and plot are written beside it",
    )
    return parser


def plot(
    numbers: pd.DataFrame,
    marks: Mapping[str, float],
    path: Path,
    methods: Sequence[str],
) -> None:
    """Draw the curves."""
    cards = list(numbers["card"].unique())
    n_columns = min(_PANELS_A_ROW, len(cards))
    n_rows = -(-len(cards) // n_columns)
    with drawing(path, 2.4 * n_columns + 0.6, 2.2 * n_rows + 0.8) as figure:
        panels = figure.subplots(n_rows, n_columns, squeeze=False, sharex=True)
        for card, axes in zip(cards, panels.flat, strict=False):
            these = numbers[numbers["card"] == card]
            _panel(axes, card, these, marks.get(card), methods)
        for axes in panels.flat[len(cards) :]:
            axes.set_axis_off()
        # A panel above an empty place is the lowest of its column.
        for number in range(max(0, len(cards) - n_columns), len(cards)):
            panels.flat[number].tick_params(labelbottom=True)
        lines, names = panels.flat[0].get_legend_handles_labels()
        figure.legend(
            lines, names, loc="outside upper center", ncols=len(names), frameon=False
        )
        figure.supxlabel("training rows per class", fontsize=9)
        figure.supylabel("ROC AUC", fontsize=9)


def _panel(
    axes: Axes,
    card: str,
    numbers: pd.DataFrame,
    mark: float | None,
    methods: Sequence[str],
) -> None:
    """Draw one data set."""
    for number, method in enumerate(methods):
        these = numbers[numbers["method"] == method].sort_values("rows")
        place = PLOTTED.index(method) if method in PLOTTED else number
        colour = COLOURS[place % len(COLOURS)]
        rows, mean = these["rows"].to_numpy(), these["mean"].to_numpy()
        deviation = np.nan_to_num(these["deviation"].to_numpy(dtype=np.float64))
        low, high = mean - deviation, mean + deviation
        axes.fill_between(rows, low, high, color=colour, alpha=0.13, linewidth=0)
        axes.plot(
            rows,
            mean,
            color=colour,
            marker=MARKERS[place % len(MARKERS)],
            markersize=3,
            linewidth=1.2,
            label=method,
            # Where two are the same, the one that is named first is seen.
            zorder=3 - number / len(methods),
        )
    if mark is not None:
        axes.axhline(mark, color="#555555", linewidth=0.8, linestyle=":")
    axes.set_title(card, fontsize=9, loc="left")
    axes.set_xscale("log")
    axes.set_xticks(list(_TICKS), list(_TICKS.values()))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.grid(axis="y", color="#DDDDDD", linewidth=0.6)
