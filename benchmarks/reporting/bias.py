"""From the result file of `bias` to tables in markdown and plots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from benchmarks.data.thinning import RULES, Rule
from benchmarks.methods.registry import in_order
from benchmarks.reporting.tables import (
    COLOURS,
    LABELS,
    MARKERS,
    drawing,
    heading,
    line,
    markdown,
    range_of,
    size_order,
    value,
)

#: Each measure of the tables, and whether more of it is better; None where less of it
#: is no merit by itself, since a method that calls every row positive has none.
SHOWN: Mapping[str, bool | None] = {
    "roc_auc": True,
    "log_loss": False,
    "fnr_group": None,
    "fnr_gap": None,
    "matched_fnr_gap": None,
    "auc_group": True,
}
BY_CARD = ("roc_auc", "fnr_group", "fpr_rest", "matched_fnr_gap")
DRAWN = ("roc_auc", "fnr_group", "matched_fnr_gap")
NAMES: Mapping[str, str] = {
    **LABELS,
    "fnr_group": "false negative rate of the group",
    "fnr_gap": "gap of the false negative rates",
    "fpr_rest": "false positive rate of the rest",
    "matched_fnr_gap": "gap at the matched line",
    "auc_group": "ROC AUC within the group",
}
#: As many as there are colours to tell them apart: "prior alone" makes way.
PLOTTED = (
    *("no prior, tuned", "random forest", "prior alone, exp"),
    *("LAAT linear (reference)", "LAAT MLP (reference)", "XGBoost", "default linear"),
    *("default MLP",),
)


def summarise(frame: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Average a measure over the cards, then over the repetitions.

    Only the repetitions count in which a method has a value for every card. Indexed by
    method and delta: `mean`, `spread` (the standard error over the repetitions of the
    mean over the cards), `cards`, `repetitions`.
    """
    known = frame[frame[metric].notna()]
    keys = ["method", "delta", "repetition"]
    by_card = known.set_index([*keys, "card"])[metric].unstack("card").dropna()
    means = by_card.mean(axis=1).groupby(["method", "delta"], sort=False)
    found = means.agg(mean="mean", spread="sem", repetitions="count")
    return found.assign(cards=by_card.shape[1])


def write(frame: pd.DataFrame, out: Path) -> str:
    """Write the tables (``.md``), their numbers and the plots beside a result file."""
    frame = frame[frame["error"].isna()]
    if frame.empty:
        return "No result yet.\n"
    parts, summaries = [], []
    for shots in sorted(frame["shots"].unique(), key=size_order):
        these = frame[frame["shots"] == shots]
        parts += _setting(these, shots)
        for metric in SHOWN:
            for card in (None, *these["card"].unique()):
                of_card = these if card is None else these[these["card"] == card]
                summary = summarise(of_card, metric).reset_index()
                places = {"shots": shots, "card": card or "mean", "metric": metric}
                summaries.append(summary.assign(**places))
        plot(these, out.with_name(f"{out.stem}-{shots}.png"))
    text = "\n".join(parts)
    out.with_suffix(".md").write_text(text, encoding="utf-8")
    numbers = pd.concat(summaries, ignore_index=True)
    columns = ["shots", "card", "metric", "method", "delta", "mean", "spread"]
    numbers[[*columns, "cards", "repetitions"]].to_csv(
        out.with_name(f"{out.stem}-summary.csv"), index=False, float_format="%.6g"
    )
    return text


def _setting(frame: pd.DataFrame, shots: str) -> list[str]:
    """Write the tables of one setting: all cards, then each."""
    size = "rows per class" if float(shots) >= 1 else ""
    title = f"{heading(shots)} {size}".rstrip()
    parts = [f"## {title}\n", _rows(frame)]
    for metric in SHOWN:
        # A heading of its own: other pages show single tables of this one.
        if text := _table(frame, metric):
            parts += [f"### {title}: {NAMES[metric]}\n", text]
    cards = frame["card"].unique()
    if len(cards) == 1:
        parts.insert(1, f"{cards[0]}: {_removed(RULES[cards[0]])}.\n")
        return parts
    for card in cards:
        parts.append(f"### {card}: {_removed(RULES[card])}\n")
        of_card = frame[frame["card"] == card]
        parts += [_table(of_card, metric) for metric in BY_CARD]
    return parts


def _rows(frame: pd.DataFrame) -> str:
    """Say how many rows were trained on, removed and tested on."""
    counts = frame.groupby(["card", "delta"], sort=False)[
        ["n_train", "n_removed", "n_test"]
    ].mean()
    said = []
    for card in frame["card"].unique():
        of_card = counts.loc[card]
        whole = (of_card["n_train"] + of_card["n_removed"]).iloc[0]
        most = of_card["n_removed"].max()
        said.append(
            f"{card} {whole:.0f} (up to {most:.0f} removed), "
            f"{of_card['n_test'].iloc[0]:.0f} test rows"
        )
    return f"Training rows: {'; '.join(said)}.\n"


def _removed(rule: Rule) -> str:
    """Say which rows a rule removes."""
    also = f"; rest: {rule.outside}, no removed" if rule.outside else ""
    return f"group: {rule.words}, yes removed{also}"


def _table(frame: pd.DataFrame, metric: str) -> str:
    """Write a table: a row per method, a column per delta, and the whole change."""
    summary = summarise(frame, metric)
    if summary.empty:
        return ""
    order = [name for name in in_order() if name in summary.index.get_level_values(0)]
    means = summary["mean"].unstack("delta").reindex(order).sort_index(axis=1)
    spreads = summary["spread"].unstack("delta").reindex_like(means)
    better = SHOWN.get(metric)
    best = dict(means.agg("max" if better else "min")) if better is not None else {}
    first, last = means.columns[0], means.columns[-1]
    rows = []
    for method in order:
        change = means.loc[method, last] - means.loc[method, first]
        cells = [
            value(means.loc[method, delta], spreads.loc[method, delta], best.get(delta))
            for delta in means.columns
        ]
        rows.append([method, *cells, "-" if np.isnan(change) else f"{change:+.3f}"])
    deltas = [f"{delta:g}" for delta in means.columns]
    head = line([NAMES[metric], *deltas, f"{last:g} less {first:g}"])
    cards, most = summary["cards"].iloc[0], summary["repetitions"].max()
    return (
        f"{markdown(head, rows)}\n"
        "Columns: delta. Mean ± standard error over the repetitions "
        f"({cards} data set{'s' if cards > 1 else ''}, "
        f"{range_of(summary['repetitions'])} repetition{'s' if most > 1 else ''}).\n"
    )


def plot(frame: pd.DataFrame, path: Path) -> None:
    """Draw the measures over delta, a column of panels per card."""
    cards = list(frame["card"].unique())
    drawn = [name for name in PLOTTED if name in set(frame["method"])]
    methods = drawn or list(frame["method"].unique())[: len(COLOURS)]
    size = 2.6 * max(len(cards), 2), 2.3 * len(DRAWN) + 0.6
    with drawing(path, *size, dpi=100) as figure:
        panels = figure.subplots(len(DRAWN), len(cards), sharex=True, squeeze=False)
        for row, metric in zip(panels, DRAWN, strict=True):
            for axes, card in zip(row, cards, strict=True):
                _draw(axes, frame[frame["card"] == card], metric, methods)
            row[0].set_ylabel(NAMES[metric].replace(" of the ", "\nof the "))
        for axes, card in zip(panels[0], cards, strict=True):
            axes.set_title(f"{card}\n{RULES[card].words}", fontsize=9)
        for axes in panels[-1]:
            axes.set_xlabel("share removed")
        lines, labels = panels[0, 0].get_legend_handles_labels()
        columns = min(4, max(2, len(cards)))
        figure.legend(
            lines, labels, loc="outside lower center", ncols=columns, frameon=False
        )


def _draw(axes: Axes, frame: pd.DataFrame, metric: str, methods: Sequence[str]) -> None:
    """Draw one panel: a line per method, its standard error shaded."""
    summary = summarise(frame, metric).reset_index()
    for number, method in enumerate(methods):
        colour = COLOURS[PLOTTED.index(method) if method in PLOTTED else number]
        # A method without the measure keeps its place in the legend.
        of_method = summary[summary["method"] == method].sort_values("delta")
        x = of_method["delta"].to_numpy(dtype=float)
        mean = of_method["mean"].to_numpy()
        spread = of_method["spread"].fillna(0).to_numpy()
        axes.fill_between(x, mean - spread, mean + spread, color=colour, alpha=0.15)
        marker = MARKERS[number % len(MARKERS)]
        axes.plot(x, mean, color=colour, marker=marker, markersize=4, label=method)
    axes.grid(axis="y", color="#DDDDDD", linewidth=0.6)
