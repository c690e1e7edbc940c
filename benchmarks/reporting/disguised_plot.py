"""A picture of what priors asked in disguise are worth, table by table."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

from benchmarks.experiments.disguised_answers import RECORDED
from benchmarks.methods.disguised import WORDS

_DOTS = {
    RECORDED: ("one of the five recorded", "#000000", "|"),
    "names": (WORDS["names"], "#0072B2", "o"),
    "hidden": (WORDS["hidden"], "#009E73", "D"),
    "neutral": (WORDS["neutral"], "#D55E00", "X"),
}


def plot(alone: pd.DataFrame, path: Path) -> None:
    """Draw the prior alone, the recorded one beside the disguises and the floor."""
    exp = alone[alone["transform"] == "exp"]
    table = exp.pivot(index="card", columns="prior", values="roc_auc")
    floor = exp[exp["prior"] == "neutral"].set_index("card")["shuffled"]
    cards = list(table[RECORDED].sort_values().index)
    with mpl.rc_context({"font.size": 9, "axes.spines.top": False}):
        figure = Figure(figsize=(8, 4.2), dpi=150, layout="constrained")
        axes = figure.add_subplot()
        for number, card in enumerate(cards):
            axes.plot(
                [floor[card], table.loc[card, "neutral"]],
                [number, number],
                color="#E8B48C",
                linewidth=1,
                zorder=1,
            )
        places = range(len(cards))
        shuffled = f"{WORDS['neutral']}, shuffled"
        axes.plot(floor[cards], places, "x", color="#7F7F7F", label=shuffled)
        for name, (label, colour, marker) in _DOTS.items():
            size = 11 if marker == "|" else 5
            axes.plot(
                table.loc[cards, name],
                places,
                marker,
                color=colour,
                label=label,
                markersize=size,
            )
        axes.axvline(0.5, color="#999999", linewidth=0.8, linestyle=":")
        axes.set_yticks(places, cards)
        axes.set_xlabel("ROC AUC of the prior alone (exp), all rows")
        axes.spines["right"].set_visible(False)
        axes.grid(axis="y", color="#EEEEEE", linewidth=0.6)
        figure.legend(loc="outside upper center", ncols=5, fontsize=8, frameon=False)
        # Without this, two runs over the same rows would give different bytes.
        figure.savefig(path, metadata={"Software": None})
