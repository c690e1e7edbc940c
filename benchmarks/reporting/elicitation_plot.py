"""A picture of the measured answers of language models."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.reporting.elicitation_report import (
    ALL_ROWS,
    BASELINE,
    LARGE,
    SMALL,
    by_count,
    headline_values,
    known_measures,
)

COLOURS = {
    LARGE: "#0072B2",
    SMALL: "#D55E00",
    BASELINE: "#7F7F7F",
    ALL_ROWS: "#000000",
}
MARKERS = {LARGE: "o", SMALL: "^", BASELINE: "x", ALL_ROWS: "|"}


def plot(answers: pd.DataFrame, alone: pd.DataFrame, path: Path) -> None:
    """Draw the prior alone, card by card and by number of estimates."""
    metrics = known_measures(alone)
    with mpl.rc_context({"font.size": 9, "axes.spines.top": False}):
        figure = Figure(figsize=(9.5, 3.4 * len(metrics)), dpi=150)
        figure.set_layout_engine("constrained")
        grid = figure.subplots(len(metrics), 2, squeeze=False, width_ratios=[2, 3])
        for (lines, dots), (metric, (label, chance)) in zip(
            grid, metrics.items(), strict=True
        ):
            _draw_lines(lines, by_count(alone, metric), label)
            _draw_cards(dots, answers, alone, metric, label)
            for axes in (lines, dots):
                axes.spines["right"].set_visible(False)
            dots.axvline(chance, color="#999999", linewidth=0.8, linestyle=":")
        # Without this, two runs over the same rows would give different bytes.
        figure.savefig(path, metadata={"Software": None})


def _draw_lines(axes: Axes, summary: pd.DataFrame, label: str) -> None:
    """Draw the mean over the cards that all models share, by number of estimates."""
    shared = summary[summary["shared"]]
    for model, these in shared.groupby("model", sort=False):
        colour, x = COLOURS[str(model)], these["n_estimates"]
        if model == BASELINE:
            mean = these["mean"].iloc[0]
            axes.axhline(mean, color=colour, linestyle="--")
            axes.annotate(BASELINE, (1, mean), (0, 3), textcoords="offset points")
            continue
        axes.fill_between(x, these["low"], these["high"], color=colour, alpha=0.15)
        axes.plot(x, these["mean"], color=colour, marker=MARKERS[str(model)])
    axes.set_xticks(sorted(shared["n_estimates"].unique()))
    axes.set_xlabel("estimates averaged")
    axes.set_ylabel(f"{label} of the prior alone\n(mean over {_sizes(shared)} cards)")
    axes.grid(axis="y", color="#DDDDDD", linewidth=0.6)


def _draw_cards(
    axes: Axes, answers: pd.DataFrame, alone: pd.DataFrame, metric: str, label: str
) -> None:
    """Draw each card: the mean of all estimates, and the model of all rows."""
    bounds = answers.groupby("card")[f"model_{metric}"].first().dropna().sort_values()
    cards = list(bounds.index)
    for model in answers["model"].unique():
        if model == BASELINE:
            continue
        best = headline_values(alone, model)[metric]
        known = [card for card in cards if card in best.index]
        axes.plot(
            best[known],
            [cards.index(card) for card in known],
            MARKERS[model],
            color=COLOURS[model],
            label=model,
        )
    axes.plot(
        bounds,
        range(len(cards)),
        MARKERS[ALL_ROWS],
        color=COLOURS[ALL_ROWS],
        markersize=10,
        label=f"{ALL_ROWS}, in sample",
    )
    axes.set_yticks(range(len(cards)), cards)
    axes.set_xlabel(f"{label}, all estimates averaged")
    axes.grid(axis="y", color="#EEEEEE", linewidth=0.6)
    axes.legend(
        loc="lower center", bbox_to_anchor=(0.4, 1), ncols=3, fontsize=7, frameon=False
    )


def _sizes(summary: pd.DataFrame) -> str:
    """Write how many cards a mean is over."""
    return ", ".join(map(str, summary["cards"].unique()))
