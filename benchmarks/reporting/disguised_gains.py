"""What fits gain from a prior that was asked in disguise, in tables in markdown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from benchmarks.methods.disguised import ONE, WORDS
from benchmarks.reporting import tables as report
from benchmarks.reporting.paired import compare, grid, sizes

LAYOUT = f"default linear, {WORDS['neutral']}"
#: What is told of pairs of methods: what was asked with over what it was asked without.
GAINS = {
    "layout only over layout only, shuffled": (LAYOUT, f"{LAYOUT}, shuffled"),
    "layout only over no prior, tuned": (LAYOUT, "no prior, tuned"),
    "layout only, shuffled, over no prior, tuned": (
        f"{LAYOUT}, shuffled",
        "no prior, tuned",
    ),
    "layout only over asked again": (LAYOUT, f"default linear, {WORDS['again']}"),
    "asked again over one of the five recorded": (
        f"default linear, {WORDS['again']}",
        f"default linear, {ONE}",
    ),
    "two names swapped over asked again": (
        f"default linear, {WORDS['swapped']}",
        f"default linear, {WORDS['again']}",
    ),
}
ABLATION = {
    "names only over asked again": (
        f"default linear, {WORDS['names']}",
        f"default linear, {WORDS['again']}",
    ),
    "descriptions only over asked again": (
        f"default linear, {WORDS['hidden']}",
        f"default linear, {WORDS['again']}",
    ),
}


def few_shots(frame: pd.DataFrame) -> str:
    """Write what the default makes of the priors."""
    parts = ["## Few shots\n"]
    for metric in ("roc_auc", "log_loss"):
        parts.append(report.table(report.summarise(frame, metric), metric))
    for title, pairs in (
        ("What recognising the table is worth to a fit", GAINS),
        ("Ablation: descriptions present or absent", ABLATION),
    ):
        parts.append(_gains(frame, title, pairs))
    return "\n".join([*parts, _gains_by_card(frame)])


def _gains(
    frame: pd.DataFrame, title: str, pairs: Mapping[str, tuple[str, str]]
) -> str:
    """Write the paired gains of methods over others."""
    table = grid(frame, "roc_auc")
    columns = sizes(table)
    lines = []
    for label, pair in pairs.items():
        checks = [compare(table, size, *pair) for size in columns]
        lines.append([label, *(f"{c.gain:+.3f} ± {c.error:.3f}" for c in checks)])
    return section(
        title,
        ["gain in ROC AUC", *map(report.heading, columns)],
        lines,
        "Default linear, one estimate each. Columns: training rows per class. Paired "
        "gains ± standard error over the repetitions of the mean over the tables.",
    )


def _gains_by_card(frame: pd.DataFrame) -> str:
    """Write the gain of the layout over its own scores shuffled, card by card."""
    pair = GAINS["layout only over layout only, shuffled"]
    wide = frame.pivot(
        index=["card", "shots", "repetition"], columns="method", values="roc_auc"
    )
    gains = (wide[pair[0]] - wide[pair[1]]).groupby(["card", "shots"])
    means = gains.mean()
    errors = gains.std(ddof=1) / np.sqrt(gains.count())
    columns = sorted(frame["shots"].unique(), key=report.size_order)
    lines = [
        [card, *(f"{means[card, s]:+.3f} ± {errors[card, s]:.3f}" for s in columns)]
        for card in means.index.get_level_values(0).unique()
    ]
    return section(
        "The same by table: layout only over layout only, shuffled",
        ["gain in ROC AUC", *map(report.heading, columns)],
        lines,
        "Default linear. Mean over the repetitions ± its standard error.",
    )


def section(
    title: str, header: Sequence[str], lines: Iterable[Sequence[str]], words: str
) -> str:
    """Write a heading, a table and what it holds."""
    rows = [list(header), ["---"] * len(header), *map(list, lines)]
    body = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    return f"## {title}\n\n{body}\n\n{words}\n"
