"""What is asked of models that are trained on curves, beside what was measured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from benchmarks.data.catalogue import (
    DEVELOPMENT,
    DEVELOPMENT_LARGE,
    MULTICLASS,
    PAPER,
    REGRESSION,
    WORLDS,
)
from benchmarks.reporting.tables import (
    LABELS,
    grid,
    heading,
    line,
    markdown,
    size_order,
    summarise,
    table,
)

SCORES, LINEAR, MLP = "default linear", "default linear, curves", "default MLP, curves"
SUM, TUNED = "sum of the curves", "no prior, tuned, standardised"
RIVALS = (TUNED, "random forest", "CatBoost")
WRONG = ("flipped curves", "dealt curves", "half noise")
_LARGE_NUMBERS = ("ames", "concrete", "wage")
_NUMBER, _MANY = "cell_capacity", "demographic_history"
#: The cards that are averaged together, by what the report calls them.
PLACES: Mapping[str, tuple[str, ...]] = {
    "paper": PAPER,
    "worlds": tuple(card for card in WORLDS if card not in (_NUMBER, _MANY)),
    "many classes": MULTICLASS,
    _MANY: (_MANY,),
    "regression": (*REGRESSION, *_LARGE_NUMBERS),
    _NUMBER: (_NUMBER,),
    "to choose on": (
        *DEVELOPMENT,
        *(card for card in DEVELOPMENT_LARGE if card not in _LARGE_NUMBERS),
    ),
}
_ASKED = (
    "Each cell: measured / asked, on the same draws, the mean over the tables. Bold: "
    'not met. "over": the difference to another method, of a loss with its sign '
    'turned, so that more is better. "worst table": the smallest mean difference of a '
    "table.\n"
)
_EACH = (
    f'"{LINEAR}", the mean over the draws; in brackets its difference to "{SCORES}", '
    "with the scores. Columns: training rows per class (rows, in a regression)."
)


@dataclass(frozen=True)
class Asked:
    """The least that a method has to reach, by size; or that it has to gain on another.

    If `strict` it must be above that; if `worst` it holds for every table.
    """

    place: str
    metric: str
    method: str
    bounds: Mapping[str, float]
    other: str = ""
    strict: bool = False
    worst: bool = False

    @property
    def words(self) -> str:
        """Name the row."""
        over = f" over {self.other}" if self.other else ""
        worst = ", worst table" if self.worst else ""
        return f"{self.place}, {LABELS[self.metric]}{worst}: {self.method}{over}"


def _list(sizes: str, bounds: str) -> dict[str, float]:
    """Read bounds by size; the last one holds for all that follow."""
    names, numbers = sizes.split(), [float(bound) for bound in bounds.split()]
    numbers += numbers[-1:] * (len(names) - len(numbers))
    return dict(zip(names, numbers, strict=True))


_FEW, _PAPER = "1 5 10 25 50 100", "1 5 10 25 50 100 400 0.8"
_SIZES = f"{_FEW} 0.8"


def _asked() -> Iterator[Asked]:
    """Yield what was set beforehand."""
    reached = _list(_PAPER, ".820 .821 .823 .826 .826 .826 .855 .836")
    yield Asked("paper", "roc_auc", LINEAR, reached)
    yield Asked("paper", "roc_auc", LINEAR, _list(_PAPER, "-.002"), SUM)
    yield Asked("paper", "roc_auc", LINEAR, _list(_PAPER, "0"), SCORES, strict=True)
    yield Asked("paper", "roc_auc", MLP, _list(_PAPER, "-.003"), LINEAR)
    reached = _list(_SIZES, ".882 .886 .888 .890 .897 .902 .921")
    yield Asked("worlds", "roc_auc", LINEAR, reached)
    worst = _list(_SIZES, "-.005")
    yield Asked("worlds", "roc_auc", LINEAR, worst, SCORES, worst=True)
    for other in RIVALS:
        few = _list(_FEW, "0")
        yield Asked("worlds", "roc_auc", LINEAR, few, other, strict=True)
    for place, sizes in (("paper", _PAPER), ("worlds", _SIZES)):
        for loss in ("log_loss", "brier"):
            yield Asked(place, loss, LINEAR, _list(sizes, "0"), SCORES, strict=True)
        late = _list(sizes.partition("10 ")[2], "-.01")
        for wrong in WRONG:
            yield Asked(place, "roc_auc", f"{SCORES}, {wrong}", late, TUNED)
    yield Asked("many classes", "roc_auc", LINEAR, _list(_SIZES, ".810"))
    yield Asked(_MANY, "roc_auc", LINEAR, _list(_SIZES, "0"), SCORES, strict=True)
    gains = _list("5 10 25 50 100 200", ".08 .06 .04 .03 .03 .03")
    yield Asked("regression", "r2", LINEAR, gains, SCORES)


ASKED = tuple(_asked())


def write(frame: pd.DataFrame) -> str:
    """Write all tables in markdown; those of places without results are left out."""
    parts = [
        "# Trained on curves\n",
        f"## Asked and measured\n\n{asked_and_measured(frame)}\n{_ASKED}",
    ]
    for place, cards in PLACES.items():
        rows = frame[frame["card"].isin(cards)]
        if rows.empty:
            continue
        parts.append(f"## {place.capitalize()}\n")
        for metric in ("roc_auc", "r2", "log_loss", "brier"):
            summary = summarise(rows, metric)
            parts += [] if summary.empty else [table(summary, metric)]
        parts.append(f"{_each(rows)}\n{_EACH}\n")
    return "\n".join(parts)


def measured(frame: pd.DataFrame, asked: Asked) -> dict[str, float]:
    """Give by size what stands beside a bound; sizes that were not run are left out."""
    rows = frame[frame["card"].isin(PLACES[asked.place]) & frame[asked.metric].notna()]
    parts = [part for _, part in rows.groupby("card")] if asked.worst else [rows]
    found = [_reached(part, asked) for part in parts if not part.empty]
    if not found:
        return {}
    return {str(size): value for size, value in pd.DataFrame(found).min().items()}


def _reached(rows: pd.DataFrame, asked: Asked) -> pd.Series[float]:
    """Average what a method has, or gains, on the draws of both, by size."""
    values = grid(rows, asked.metric).reindex(columns=[asked.method, asked.other])
    reached = values[asked.method]
    if asked.other:
        reached = reached - values[asked.other]
    return reached.dropna().groupby("shots").mean()


def asked_and_measured(frame: pd.DataFrame) -> str:
    """Write a row for what is asked, a column per size."""
    sizes = sorted({size for each in ASKED for size in each.bounds}, key=size_order)
    rows = [
        [each.words, *(_cell(each, found, size) for size in sizes)]
        for each in ASKED
        for found in [measured(frame, each)]
        if found
    ]
    return markdown(line(["", *map(heading, sizes)]), rows)


def _cell(asked: Asked, found: Mapping[str, float], size: str) -> str:
    """Write what was measured and what is asked."""
    if size not in found or size not in asked.bounds:
        return "-"
    value, bound = found[size], asked.bounds[size]
    met = value > bound if asked.strict else value >= bound
    sign = "+" if asked.other else ""
    text = f"{value:{sign}.3f}" if met else f"**{value:{sign}.3f}**"
    return f"{text} / {'> ' if asked.strict else ''}{bound:.3g}"


def _each(rows: pd.DataFrame) -> str:
    """Write a row per table: the linear default, and its gain on scores."""
    metric = "r2" if rows["r2"].notna().any() else "roc_auc"
    means = rows.groupby(["card", "shots", "method"])[metric].mean().unstack("method")
    means = means.reindex(columns=[LINEAR, SCORES])
    sizes = sorted(rows["shots"].unique(), key=size_order)

    def cell(card: str, size: str) -> str:
        if (card, size) not in means.index or np.isnan(means.loc[card, size][LINEAR]):
            return "-"
        ours, theirs = means.loc[(card, size), [LINEAR, SCORES]]
        return f"{ours:.3f}" + ("" if np.isnan(theirs) else f" ({ours - theirs:+.3f})")

    lines = [
        [card, *(cell(card, size) for size in sizes)] for card in rows["card"].unique()
    ]
    return markdown(line([LABELS[metric], *map(heading, sizes)]), lines)
