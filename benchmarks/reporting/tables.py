"""From rows of fits to means, paired gains, tables in markdown and plots.

A gain is counted so that more is better: of the ROC AUC or R2 as it is, of a loss with
its sign turned, of RMSE as the logarithm of its ratio, since targets have units of
their own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from benchmarks.reporting.metrics import METRICS

#: Okabe and Ito's colours, told apart by colour-blind people as well; no yellow.
COLOURS = (
    *("#000000", "#0072B2", "#56B4E9", "#D55E00"),
    *("#009E73", "#CC79A7", "#E69F00", "#7F7F7F"),
)
MARKERS = "osD^vPX*"
LABELS = {
    "roc_auc": "ROC AUC",
    "log_loss": "log loss",
    "brier": "Brier score",
    "accuracy": "accuracy",
    "f1": "F1",
    "r2": "R2",
    "rmse": "RMSE",
}


def line(cells: Iterable[str]) -> str:
    """Write a row of a table in markdown."""
    return f"| {' | '.join(cells)} |"


def markdown(head: str, rows: Iterable[Iterable[str]]) -> str:
    """Write a table in markdown below a line that names its columns."""
    rule = "|---" * (head.count("|") - 1) + "|"
    return "\n".join([head, rule, *map(line, rows)]) + "\n"


def range_of(numbers: Iterable[int]) -> str:
    """Write one number, or the smallest and the largest."""
    found = list(numbers)
    low, high = min(found, default=0), max(found, default=0)
    return f"{low}" if low == high else f"{low} to {high}"


def heading(shots: str) -> str:
    """Write shots as a reader expects them: a share in per cent."""
    return f"{float(shots):.0%} of rows" if float(shots) < 1 else shots


def size_order(shots: str) -> tuple[bool, float]:
    """Order numbers of rows before shares of them."""
    return float(shots) < 1, float(shots)


def summarise(frame: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Average a measure over the cards, then over the repetitions.

    Only the repetitions count in which a method has a value for every card that the
    number of shots has at all: a mean over other cards is another number. One row per
    method and shots, in order of appearance and of size: `mean`, `spread` (the standard
    error over the repetitions of the mean over the cards), `cards`, `repetitions`.
    """
    columns = ["method", "shots", "mean", "spread", "cards", "repetitions"]
    known = frame[frame[metric].notna()]
    rows = []
    for method in known["method"].unique():
        for shots in sorted(known["shots"].unique(), key=size_order):
            cards = known.loc[known["shots"] == shots, "card"].nunique()
            these = known[(known["method"] == method) & (known["shots"] == shots)]
            by_repetition = these.groupby("repetition")[metric]
            means = by_repetition.mean()[by_repetition.count() == cards]
            if means.empty:
                continue
            spread = means.std(ddof=1) / np.sqrt(len(means))
            rows.append((method, shots, means.mean(), spread, cards, len(means)))
    return pd.DataFrame(rows, columns=columns)


def ordered(frame: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """Put the rows of a result file into the order of the tables.

    Methods that are not among the names follow the others.
    """
    order = {name: number for number, name in enumerate(names)}
    return frame.sort_values(
        "method", key=lambda column: column.map(order).fillna(len(order)), kind="stable"
    )


def table(
    summary: pd.DataFrame,
    metric: str,
    rows: Sequence[tuple[str, str]] | None = None,
    *,
    best: bool = True,
    error: bool = True,
    caption: bool = True,
) -> str:
    """Write a summary as a table in markdown: a row per method, a column per shots.

    `rows` has what to call each row and the method that it shows, or no method for a
    row of words. `best` sets the best of each column in bold, `error` writes the
    standard errors, `caption` says below what the numbers are means of.
    """
    if rows is None:
        rows = [(method, method) for method in summary["method"].unique()]
    summary = summary[summary["method"].isin([method for _, method in rows])]
    columns = sorted(summary["shots"].unique(), key=size_order)
    bests = summary.groupby("shots")["mean"].agg("max" if METRICS[metric] else "min")
    cells = summary.set_index(["method", "shots"])[["mean", "spread"]]

    def cell(method: str, shots: str) -> str:
        if not method:
            return ""
        if (method, shots) not in cells.index:
            return "-"
        mean, spread = cells.loc[(method, shots)]
        return value(mean, spread if error else np.nan, bests[shots] if best else None)

    lines = [
        [label, *(cell(method, shots) for shots in columns)] for label, method in rows
    ]
    text = markdown(line([LABELS[metric], *map(heading, columns)]), lines)
    return f"{text}\n{_caption(summary, columns, error)}\n" if caption else text


def value(mean: float, spread: float = np.nan, best: float | None = None) -> str:
    """Write a mean and its standard error; in bold where it is the best, as rounded."""
    if np.isnan(mean):
        return "-"
    text = f"{mean:.3f}"
    if best is not None and text == f"{best:.3f}":
        text = f"**{text}**"
    return text if np.isnan(spread) else f"{text} ± {spread:.3f}"


def _caption(summary: pd.DataFrame, columns: Sequence[str], error: bool) -> str:
    """Say what the numbers are means of."""
    counts: dict[str, list[str]] = {}
    for shots in columns:
        rows = summary[summary["shots"] == shots]
        cards, repetitions = range_of(rows["cards"]), range_of(rows["repetitions"])
        count = f"{cards} data sets, {repetitions} repetitions"
        counts.setdefault(count, []).append(heading(shots))
    said = "; ".join(
        count if len(counts) == 1 else f"{', '.join(sizes)}: {count}"
        for count, sizes in counts.items()
    )
    errors = " ± standard error over the repetitions of the mean over the data sets"
    return (
        "Columns: training rows per class (rows, in a regression). Mean over data "
        f"sets and repetitions{errors if error else ''} ({said})."
    )


@contextmanager
def drawing(
    path: Path, width: float, height: float, font: int = 9, dpi: int = 150
) -> Iterator[Figure]:
    """Open a figure of so many inches, and write it as a PNG once it is drawn."""
    spines = {f"axes.spines.{side}": False for side in ("top", "right")}
    with mpl.rc_context({"font.size": font, **spines}):
        figure = Figure(figsize=(width, height), dpi=dpi, layout="constrained")
        yield figure
        # Without this, two runs over the same rows would give different bytes.
        figure.savefig(path, metadata={"Software": None})


def plot(summary: pd.DataFrame, metric: str, path: Path) -> None:
    """Draw a summary, and write beside the picture the numbers that it shows.

    The numbers have the name of the picture and the ending `.csv`.
    """
    summary.to_csv(path.with_suffix(".csv"), index=False, float_format="%.6g")
    columns = sorted(summary["shots"].unique(), key=size_order)
    with drawing(path, 8.5, 4.8, font=10) as figure:
        axes = figure.add_subplot()
        ends = []
        for number, method in enumerate(summary["method"].unique()):
            these = summary[summary["method"] == method]
            colour = COLOURS[number % len(COLOURS)]
            # One more for each round of colours, so that no two lines look alike.
            marker = MARKERS[(number + number // len(COLOURS)) % len(MARKERS)]
            x = np.array([columns.index(shots) for shots in these["shots"]])
            mean, spread = these["mean"].to_numpy(), these["spread"].fillna(0)
            low, high = mean - spread.to_numpy(), mean + spread.to_numpy()
            axes.fill_between(x, low, high, color=colour, alpha=0.15, linewidth=0)
            axes.plot(x, mean, color=colour, marker=marker, markersize=5)
            ends.append((float(mean[-1]), method, colour, marker))
        _label_lines(axes, ends, right=len(columns) - 1)
        axes.set_xticks(range(len(columns)), [heading(shots) for shots in columns])
        per_class = "" if metric in ("r2", "rmse") else " per class"
        axes.set_xlabel(f"training rows{per_class}")
        axes.set_ylabel(f"{LABELS[metric]}, mean over data sets")
        axes.grid(axis="y", color="#DDDDDD", linewidth=0.6)


def _label_lines(
    axes: Axes, ends: Sequence[tuple[float, str, str, str]], right: int
) -> None:
    """Name each line beside its right end, moved apart where names would overlap.

    The marker is there again, since lines that end together cannot be told apart.
    """
    low, high = axes.get_ylim()
    ends = sorted(ends)
    heights = np.array([height for height, *_ in ends])
    places = _apart(heights, step=(high - low) * 0.055)
    at = right * 1.07
    for (height, method, colour, marker), place in zip(ends, places, strict=True):
        way = {"color": colour, "linewidth": 0.8, "clip_on": False}
        axes.plot([right, at], [height, place], **way)
        axes.plot(at, place, marker, color=colour, markersize=5, clip_on=False)
        axes.annotate(
            method,
            xy=(at, place),
            xytext=(7, 0),
            textcoords="offset points",
            color="#222222",
            va="center",
            annotation_clip=False,
        )
    axes.set(xlim=(axes.get_xlim()[0], right * 1.02), ylim=(low, high))


def _apart(heights: NDArray[np.float64], step: float) -> NDArray[np.float64]:
    """Move sorted heights apart by little pushes until all gaps are about a step."""
    places = heights.copy()
    for _ in range(200):
        push = np.clip(step - np.diff(places), 0, None) / 2
        places[:-1] -= push
        places[1:] += push
    return places


@dataclass(frozen=True)
class Check:
    """One method against another at one size, and what is asked of their difference.

    `value` and `against` are the means of both on the scale of the gains. `gain` is the
    mean gain of the first over the second, `error` its standard error over the
    repetitions, from paired differences. `bound` is the least gain that is asked for,
    or None; if `strict`, the gain must be above it.
    """

    size: str
    method: str
    other: str
    value: float
    against: float
    gain: float
    error: float
    repetitions: int
    bound: float | None
    strict: bool = False

    @property
    def met(self) -> bool | None:
        """Whether the bound is met; None where nothing is asked or nothing was run."""
        if self.bound is None or np.isnan(self.gain):
            return None
        above = self.gain > self.bound
        return bool(above if self.strict else above or self.gain == self.bound)


def more_is_better(frame: pd.DataFrame, metric: str) -> pd.Series[float]:
    """Return a measure on the scale of the gains."""
    values = np.log(frame[metric]) if metric == "rmse" else frame[metric]
    return values if METRICS[metric] else -values


def grid(frame: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Average a measure over the data sets, on a scale where more is better.

    A row per (size, repetition), a column per method. A value is missing unless the
    method has one for every data set that any method has at that size.
    """
    known = frame[frame[metric].notna()]
    known = known.assign(value=more_is_better(known, metric))
    cards = known.groupby("shots")["card"].nunique()
    by_cell = known.groupby(["shots", "repetition", "method"])["value"]
    count = by_cell.count()
    complete = count.to_numpy() == cards[count.index.get_level_values(0)].to_numpy()
    return by_cell.mean()[complete].unstack("method")


def sizes(table: pd.DataFrame) -> list[str]:
    """List the sizes of a grid in order, shares of the rows last."""
    return sorted(table.index.get_level_values(0).unique(), key=size_order)


def compare(
    table: pd.DataFrame,
    size: str,
    method: str,
    other: str,
    bound: float | None = None,
    *,
    strict: bool = False,
) -> Check:
    """Compare two methods at one size, on the repetitions that both have.

    Its numbers are missing where a method was not run.
    """
    both = table.loc[size].reindex(columns=[method, other]).dropna()
    gains = both[method] - both[other]
    return Check(
        size=size,
        method=method,
        other=other,
        value=both[method].mean(),
        against=both[other].mean(),
        gain=gains.mean(),
        error=gains.std(ddof=1) / np.sqrt(len(gains)) if len(gains) else np.nan,
        repetitions=len(gains),
        bound=bound,
        strict=strict,
    )
