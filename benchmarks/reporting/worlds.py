"""The field on tables that nobody has published, and on public ones."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from benchmarks.data.catalogue import WORLDS, read_card
from benchmarks.reporting.learning import Saved, saved, stop
from benchmarks.reporting.tables import (
    COLOURS,
    drawing,
    heading,
    line,
    markdown,
    size_order,
    summarise,
    table,
)

#: What every table has a row for, measured or not.
ALWAYS = ("prior alone", "sum of the curves", "no prior, tuned, standardised")
#: Trees are tuned or not as was better on ``field-choice``, see `CHOICE`.
FIELD = (
    *("no prior, tuned", "no prior, tuned, standardised", "random forest, tuned"),
    *("XGBoost, tuned", "LightGBM, tuned", "CatBoost", "explainable boosting"),
)
INFORMED = (
    *("LLM-Select", "LLM-Lasso", "Gaussian prior", "sign constraints"),
    *("FeatLLM, rules of curves", "Statsformer"),
)
OURS = (
    *("default linear", "default MLP", "default linear, curves"),
    *("default MLP, curves", "default linear, flipped curves"),
)
COMPARED = (*FIELD, *INFORMED, *ALWAYS[:2], *OURS)
#: The lines of the figure: what they are called, their colours and markers.
DRAWN = {
    "default linear, curves": ("llmreg, curves", COLOURS[0], "o"),
    "default linear": ("llmreg, scores", COLOURS[1], "s"),
    "sum of the curves": ("curves alone, no training", COLOURS[2], "D"),
    "Gaussian prior": ("AutoElicit's prior", COLOURS[3], "^"),
    "Statsformer": ("Statsformer", COLOURS[4], "v"),
    "no prior, tuned, standardised": ("logistic regression", COLOURS[5], "P"),
    "random forest, tuned": ("random forest", COLOURS[6], "X"),
    "CatBoost": ("CatBoost", COLOURS[7], "*"),
}
#: What logistic regression sets the marks, and whose rows are counted up to them.
MARK = "no prior, tuned, standardised"
COUNTED = ("default linear, curves", "default linear", "CatBoost")
WORTH = (
    "The mark is the mean ROC AUC of tuned, standardised logistic regression at 100 "
    "rows per class, or at the largest size below where the table is smaller. Then the "
    "rows per class at which each method first reaches it, interpolated in their "
    'logarithm ("≤": it is there at the smallest size, "never": at none that was '
    "measured), and from which size on curves gain less than 0.005 over that logistic "
    "regression.\n"
)
TWO, MORE, NUMBER = "Two classes", "More than two classes", "Regression"
WORLD, PUBLIC = "tables that nobody has published", "public tables"
CHOICE = (
    "Trees are tuned (three folds of the training rows, `GRIDS` of "
    "`methods/no_prior.py`) where that had the higher mean ROC AUC on the development "
    "tables at 25 and 100 rows per class, one draw (`field-choice.md`): the random "
    "forest, XGBoost and LightGBM, and not CatBoost. TabPFN and TabICL are not here: "
    "their packages bring no weights, and these runs could fetch none.\n"
)


def place(card: str) -> tuple[str, str]:
    """Say of a card of what kind it is, and whether anybody can have seen it."""
    about = read_card(card)
    two = MORE if about["positive"] is None else TWO
    kind = NUMBER if about["kind"] == "regression" else two
    return kind, WORLD if card in WORLDS else PUBLIC


def places(frame: pd.DataFrame) -> Iterator[tuple[str, str, pd.DataFrame]]:
    """Yield the rows of every kind of tables that there are results of."""
    found = frame["card"].map({card: place(card) for card in frame["card"].unique()})
    for kind in (TWO, MORE, NUMBER):
        for where in (WORLD, PUBLIC):
            rows = frame[found == (kind, where)]
            if not rows.empty:
                yield kind, where, rows


def write(frame: pd.DataFrame) -> str:
    """Write all tables in markdown, and what a fit takes."""
    parts = ["# The field on tables that no model can have seen\n", CHOICE]
    for kind, where, rows in places(frame):
        parts.append(f"## {kind}: {where}\n\n{', '.join(rows['card'].unique())}\n")
        known = list(rows["method"].unique())
        every = [*known, *(name for name in ALWAYS if name not in known)]
        metrics = ("r2",) if kind == NUMBER else ("roc_auc", "log_loss", "brier")
        for metric in metrics:
            summary = summarise(rows, metric)
            if not summary.empty:
                parts.append(table(summary, metric, [(name, name) for name in every]))
    parts.append(f"## What a row is worth\n\n{WORTH}\n{worth(frame)}")
    parts.append(f"## Seconds of a fit\n\n{times(frame)}\nMedian over tables and draws")
    return "\n".join(parts) + ", on one core that others may have shared.\n"


def worth(frame: pd.DataFrame) -> str:
    """Write the rows of each table that methods need for what logistic regression has.

    And from how many on knowing the curves is no longer a gain.
    """
    lines = []
    for card, rows in frame[frame["roc_auc"].notna()].groupby("card", sort=False):
        counts = [saved(rows, method, MARK) for method in COUNTED]
        end = stop(rows, COUNTED[0], MARK)
        mark = next((count for count in counts if count), None)
        if mark is None or end is None:
            continue
        cells = ["-" if count is None else _rows(count) for count in counts]
        last = f"> {end.largest:.0f}" if np.isinf(end.small) else f"{end.small:.0f}"
        lines.append([str(card), f"{mark.mark_rows:.0f}", f"{mark.mark:.3f}", *cells])
        lines[-1].append(last)
    heads = ["", "mark at", "mark", *COUNTED, "no gain from"]
    return markdown(line(heads), lines)


def _rows(count: Saved) -> str:
    """Write rows per class."""
    if np.isinf(count.rows):
        return "never"
    return f"≤ {count.rows:.0f}" if count.bounded else f"{count.rows:.3g}"


def times(frame: pd.DataFrame) -> str:
    """Write how long fits took, by method and size."""
    sizes = sorted(frame["shots"].unique(), key=size_order)
    seconds = frame.groupby(["method", "shots"], sort=False)["fit_seconds"].median()
    wide = seconds.unstack("shots").reindex(frame["method"].unique())[sizes]
    rows = [
        [str(method), *("-" if pd.isna(each) else f"{each:.2f}" for each in row)]
        for method, row in zip(wide.index, wide.to_numpy(), strict=True)
    ]
    return markdown(line(["seconds", *map(heading, sizes)]), rows)


def draw(frame: pd.DataFrame, path: Path) -> None:
    """Draw tables of two classes, a panel for worlds and one for public ones."""
    panels = [(where, rows) for kind, where, rows in places(frame) if kind == TWO]
    if not panels:
        return
    with drawing(path, 3.2 * len(panels) + 2.4, 3.8) as figure:
        axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
        for panel, (where, rows) in zip(axes, panels, strict=True):
            draw_shots(panel, where, summarise(rows, "roc_auc"), DRAWN)
        axes[0].set_ylabel("ROC AUC, mean over tables")
        handles, names = axes[0].get_legend_handles_labels()
        # Beside the panels: no name can lie over another, or over a line.
        figure.legend(handles, names, loc="outside right center", frameon=False)


def draw_shots(
    panel: Axes, where: str, summary: pd.DataFrame, drawn: dict[str, tuple[str, ...]]
) -> None:
    """Draw what methods reach at each size; `drawn` has name, colour and marker."""
    sizes = sorted(summary["shots"].unique(), key=size_order)
    for method, (name, colour, marker) in drawn.items():
        these = summary[summary["method"] == method]
        panel.errorbar(
            [sizes.index(size) for size in these["shots"]],
            these["mean"],
            these["spread"].fillna(0),
            color=colour,
            marker=marker,
            markersize=4,
            linewidth=1.2,
            label=name,
        )
    ticks = [heading(size).removesuffix(" of rows") for size in sizes]
    panel.set_xticks(range(len(sizes)), ticks)
    panel.set_title(f"{summary['cards'].max()} {where}", fontsize=9, loc="left")
    panel.set_xlabel("training rows per class, or share of all")
    panel.grid(axis="y", color="#DDDDDD", linewidth=0.6)
