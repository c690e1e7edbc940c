"""From rankings to a report in markdown, tables of numbers and pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.reporting.effects import TIE, Effect
from benchmarks.reporting.metrics import METRICS
from benchmarks.reporting.ranking import ALL, ALPHA, Ranking
from benchmarks.reporting.ranks_plot import plot
from benchmarks.reporting.tables import LABELS, heading


def write(
    rankings: Sequence[Ranking],
    metric: str,
    ours: Sequence[str],
    source: str,
    out: Path,
) -> str:
    """Write the report, its numbers and the pictures.

    Beside the report NAME.md come NAME.csv (ranks), NAME-effects.csv and NAME-SIZE.png.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    parts = [f"# Ranks by {LABELS[metric]}, from {source}\n", _rank_table(rankings)]
    parts.append(_test_table(rankings))
    parts += [text for one in rankings if (text := _omitted(one))]
    parts += [_effect_table(rankings, method, metric) for method in ours]
    text = "\n".join(part for part in parts if part)
    out.write_text(text, encoding="utf-8")
    _numbers(rankings).to_csv(out.with_suffix(".csv"), index=False, float_format="%.6g")
    gains = [{"size": one.size, **asdict(e)} for one in rankings for e in one.effects]
    pd.DataFrame(gains).to_csv(
        out.with_name(f"{out.stem}-effects.csv"), index=False, float_format="%.6g"
    )
    for one in rankings:
        cards = len(one.block.tables)
        title = f"average rank by {LABELS[metric]}, {_name(one)}, {cards} data sets"
        if not one.differ:
            title += " (Friedman: no difference shown)"
        picture = out.with_name(f"{out.stem}-{one.size}.png")
        plot(one.ranks, one.difference, one.groups, title, picture, ours)
    return text


def _name(ranking: Ranking) -> str:
    """Write a size as a reader expects it."""
    if ranking.size == ALL:
        return "all sizes"
    share = float(ranking.size) < 1
    return heading(ranking.size) + ("" if share else " rows per class")


def _rank_table(rankings: Sequence[Ranking]) -> str:
    """Write the average ranks: a row per method, a column per size."""
    table = pd.DataFrame({one.size: one.ranks for one in rankings})
    table = table.sort_values(rankings[-1].size, kind="stable")
    heads = [ALL if one.size == ALL else heading(one.size) for one in rankings]
    lines = [f"| average rank | {' | '.join(heads)} |", "|---" * (len(heads) + 1) + "|"]
    for method, row in table.iterrows():
        cells = []
        for one in rankings:
            text = "-" if np.isnan(row[one.size]) else f"{row[one.size]:.2f}"
            best = row[one.size] == one.ranks.min()
            cells.append(f"**{text}**" if best else text)
        lines.append(f"| {method} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n\nColumns: training rows per class. 1 is best.\n"


def _test_table(rankings: Sequence[Ranking]) -> str:
    """Write the tests: a row per size."""
    lines = [
        "| size | data sets | methods | repetitions | Friedman chi2 (p) | "
        "Iman-Davenport F (p) | critical difference |",
        "|---" * 7 + "|",
    ]
    for one in rankings:
        low, high = one.block.repetitions
        cells = [
            ALL if one.size == ALL else heading(one.size),
            str(len(one.block.tables)),
            str(len(one.ranks)),
            str(low) if low == high else f"{low} to {high}",
            f"{one.test.chi2:.1f} ({one.test.p:.2g})",
            f"{one.test.f:.2f} ({one.test.p_of_f:.2g})",
            f"{one.difference:.2f}" if one.differ else "not asked",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + (
        "\n\nAverage ranks that differ by at least the critical difference (Nemenyi, "
        f"level {ALPHA:g} for all pairs together) are told apart; where Friedman's "
        "test shows no difference, none is looked for.\n"
    )


def _omitted(ranking: Ranking) -> str:
    """Name the methods that were not ranked."""
    left_out = ranking.block.left_out
    if not left_out:
        return ""
    return (
        f"Left out, {_name(ranking)} (a data set lacks them): {'; '.join(left_out)}.\n"
    )


def _effect_table(rankings: Sequence[Ranking], method: str, metric: str) -> str:
    """Write the gains of a method: a row per other method, a column per size."""
    found = {
        (effect.other, one.size): effect
        for one in rankings
        for effect in one.effects
        if effect.method == method
    }
    if not found:
        return ""
    heads = [ALL if one.size == ALL else heading(one.size) for one in rankings]
    lines = [
        f"## {method}: gain in {_scale(metric)}\n",
        f"| over | {' | '.join(heads)} |",
        "|---" * (len(heads) + 1) + "|",
    ]
    for other in dict.fromkeys(other for other, _ in found):
        cells = [_gain(found.get((other, one.size))) for one in rankings]
        lines.append(f"| {other} | {' | '.join(cells)} |")
    return "\n".join(lines) + (
        "\n\nMean over the data sets of the paired difference, more is better; in "
        "brackets its 95% bootstrap interval (data sets drawn anew, then their "
        "repetitions); wins/ties/losses over the data sets, a tie being a mean "
        f"difference of at most {TIE:g}.\n"
    )


def _gain(effect: Effect | None) -> str:
    """Write one comparison."""
    if effect is None:
        return "-"
    return (
        f"{effect.gain:+.3f} [{effect.low:+.3f}, {effect.high:+.3f}] "
        f"{effect.wins}/{effect.ties}/{effect.losses}"
    )


def _scale(metric: str) -> str:
    """Say on which scale a gain is."""
    if metric == "rmse":
        return "RMSE (logarithm of the ratio, its sign turned)"
    return LABELS[metric] + ("" if METRICS[metric] else " (sign turned)")


def _numbers(rankings: Sequence[Ranking]) -> pd.DataFrame:
    """Give the ranks as a tidy table."""
    return pd.DataFrame(
        [
            {
                "size": one.size,
                "method": method,
                "average_rank": average,
                "mean": means[method],
                "data_sets": len(one.block.tables),
                "methods": len(one.ranks),
                **{f"friedman_{name}": v for name, v in asdict(one.test).items()},
                "critical_difference": one.difference,
            }
            for one in rankings
            for means in [one.block.scores().mean()]
            for method, average in one.ranks.items()
        ]
    )
