"""Learning curves: when the prior stops to matter, and how many labels it saves.

Reads result files of `fewshot` and fits nothing; "rows" are rows per class. Further
sizes come from a file of their own (`fewshot --shots 2 200 --out more.csv`).

    python -m benchmarks curves
    python -m benchmarks curves --files results/fewshot.csv more.csv
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator
from scipy import stats

from benchmarks.data.catalogue import RESULTS
from benchmarks.data.results import ResultFile, ResultFileError
from benchmarks.methods.estimators import PLOTTED
from benchmarks.programs import RequestError, make_parser, publish, run_program
from benchmarks.reporting.metrics import FloatArray
from benchmarks.reporting.tables import (
    COLOURS,
    MARKERS,
    Check,
    compare,
    drawing,
    grid,
    markdown,
    sizes,
)

TUNED, LINEAR, MLP = "no prior, tuned", "default linear", "default MLP"
#: A gain of ROC AUC below this is none that a user would see.
LEAST_GAIN = 0.005
#: Rows per class at which tuned logistic regression sets the mark.
MARK_ROWS = 100
_CONFIDENCE = 0.975
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


@dataclass(frozen=True)
class Stop:
    """From which number of rows on the prior no longer matters.

    `small` is the smallest size from which on, at every larger one too, the mean gain
    is below `LEAST_GAIN`; infinite where it is not, at the largest size. `settled` is
    the same, and the gain is nowhere significantly above 0 either: its t statistic over
    the draws stays below the quantile of 0.975. `gain` and `error` are those at the
    largest size.
    """

    small: float
    settled: float
    largest: float
    gain: float
    error: float


@dataclass(frozen=True)
class Saved:
    """How many rows a method needs for what tuned logistic regression reaches.

    `mark` is the ROC AUC that tuned logistic regression has at `mark_rows` rows per
    class. `rows` is where the method first reaches it, interpolated between the
    measured sizes in the logarithm of the rows; the smallest size where it is reached
    there already (`bounded`), infinite where it is not reached. `factor` is `mark_rows`
    over `rows`.
    """

    mark_rows: float
    mark: float
    rows: float
    factor: float
    bounded: bool


def rows_per_class(frame: pd.DataFrame) -> dict[str, float]:
    """Say how many rows per class each size of one data set is.

    For a share of the rows it is the mean over the classes, whose number is that of the
    training rows over the rows per class.
    """
    trained = frame.groupby("shots")["n_train"].first().to_dict()
    whole = [shots for shots in trained if float(shots) >= 1]
    # Where there is no size to tell the number of classes by, there are two.
    classes = trained[whole[0]] / float(whole[0]) if whole else 2
    found = {
        str(shots): float(shots) if float(shots) >= 1 else float(count / classes)
        for shots, count in trained.items()
    }
    return dict(sorted(found.items(), key=lambda item: item[1]))


def curve(frame: pd.DataFrame, method: str) -> pd.DataFrame:
    """Average one method on one data set over its draws.

    One row per size, by `rows` per class: `shots`, `mean`, `deviation` (the standard
    deviation over the draws), `draws`.
    """
    known = frame[(frame["method"] == method) & frame["roc_auc"].notna()]
    by_size = known.groupby("shots")["roc_auc"]
    found = by_size.agg(mean="mean", deviation="std", draws="count").reset_index()
    found.insert(1, "rows", found["shots"].map(rows_per_class(frame)).astype(float))
    return found.sort_values("rows").reset_index(drop=True)


def stop(frame: pd.DataFrame, method: str = LINEAR, other: str = TUNED) -> Stop | None:
    """Find from which number of rows on the prior no longer matters.

    None where no draw has both methods.
    """
    table = grid(frame, "roc_auc")
    if not {method, other} <= set(table.columns):
        return None
    rows = rows_per_class(frame)
    checks = [compare(table, size, method, other) for size in sizes(table)]
    checks = [check for check in checks if check.repetitions]
    if not checks:
        return None
    checks.sort(key=lambda check: rows[check.size])
    at = [rows[check.size] for check in checks]
    small = [check.gain < LEAST_GAIN for check in checks]
    settled = [
        below and not _is_above_zero(c) for below, c in zip(small, checks, strict=True)
    ]
    last = checks[-1]
    return Stop(_from(at, small), _from(at, settled), at[-1], last.gain, last.error)


def saved(frame: pd.DataFrame, method: str) -> Saved | None:
    """Find how many rows a method needs to reach what tuned logistic regression does.

    None where the method, or the mark, was not measured.
    """
    theirs, ours = curve(frame, TUNED), curve(frame, method)
    # A share of the rows is no number that a table of another size has as well.
    whole = theirs["shots"].astype(float) >= 1
    theirs = theirs[whole & (theirs["rows"] <= MARK_ROWS)]
    if theirs.empty or ours.empty:
        return None
    mark_rows, mark = theirs[["rows", "mean"]].iloc[-1]
    rows = reach(ours["rows"].to_numpy(), ours["mean"].to_numpy(), mark)
    bounded = bool(ours["mean"].iloc[0] >= mark)
    return Saved(mark_rows, mark, rows, mark_rows / rows, bounded)


def reach(rows: FloatArray, means: FloatArray, mark: float) -> float:
    """Return where a curve first reaches a mark.

    Interpolated in the logarithm of the rows; the first size where the curve is there
    already, infinite where it never is.
    """
    there = np.flatnonzero(means >= mark)
    if not len(there):
        return float("inf")
    k = there[0]
    if k == 0:
        return float(rows[0])
    share = (mark - means[k - 1]) / (means[k] - means[k - 1])
    low, high = np.log(rows[k - 1]), np.log(rows[k])
    return float(np.exp(low + share * (high - low)))


def median_factor(found: Sequence[Saved]) -> tuple[float, bool]:
    """Return the median of the factors by which labels are saved.

    And whether a factor that is only known to be at least so large is in the middle, or
    below it, so that the median is a lower bound.
    """
    ordered = sorted(found, key=lambda one: one.factor)
    middle = len(ordered) // 2
    factor = float(np.median([one.factor for one in ordered]))
    return factor, any(one.bounded for one in ordered[: middle + 1])


def _is_above_zero(check: Check) -> bool:
    """Test a gain against none; with one draw there is nothing to test by."""
    if check.repetitions < 2:
        return False
    quantile = stats.t.ppf(_CONFIDENCE, check.repetitions - 1)
    return bool(check.gain > quantile * check.error)


def _from(at: Sequence[float], holds: Sequence[bool]) -> float:
    """Return the first place from which on something holds everywhere."""
    found = np.inf
    for place, here in zip(reversed(at), reversed(holds), strict=True):
        if not here:
            break
        found = place
    return float(found)


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
