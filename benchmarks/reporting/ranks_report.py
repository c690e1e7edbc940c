"""Ranks of the methods of a result file: tests, a picture, and sizes of the effects.

Each method is ranked on each data set by its mean over the repetitions, at each size
and over all of them (the mean over the sizes that a data set has: sizes of one data
set are no independent observations). Friedman's test asks whether the ranks differ at
all; where it says so, Nemenyi's tells which (Demšar, JMLR 7 (2006)). Effects are
paired mean differences with 95% bootstrap intervals over data sets and repetitions.

Rows with a wrong prior are not ranked. Methods that lack a data set are left out of a
size, and so they are over all sizes; the report names them. A critical difference
grows with the number of methods: --methods ranks fewer.

    python -m benchmarks ranks --file results/fewshot.csv --methods llmreg
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from benchmarks.data.catalogue import RESULTS
from benchmarks.data.results import ResultFile
from benchmarks.methods.registry import methods
from benchmarks.programs import RequestError, echo, make_parser, run_program
from benchmarks.reporting.metrics import METRICS
from benchmarks.reporting.ranks import ALL, ALPHA, OURS, TIE, Effect, Ranking, rank
from benchmarks.reporting.tables import (
    LABELS,
    drawing,
    heading,
    line,
    markdown,
    range_of,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program as `run_program` does."""
    return run_program(_run, _parser(), arguments, stopped="Stopped.")


def _run(options: argparse.Namespace) -> int:
    """Rank what the options choose, and write the report."""
    frame = ResultFile(options.file).read()
    if options.methods:
        chosen = {name for set_ in options.methods for name in methods(set_)}
        frame = frame[frame["method"].isin(chosen)]
    if options.shots:
        frame = frame[frame["shots"].isin(options.shots)]
    rankings = rank(frame, options.metric, options.of, options.draws)
    if not rankings:
        raise RequestError(
            f"{options.file.name} has no two methods with {options.metric}."
        )
    echo(write(rankings, options.metric, options.of, options.file.name, options.out))
    return 0


def _parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = make_parser("ranks", __doc__)
    add = parser.add_argument
    add("--file", type=Path, default=RESULTS / "fewshot.csv", metavar="FILE.csv")
    add("--metric", choices=list(METRICS), default="roc_auc", help="(roc_auc)")
    add(
        "--methods",
        nargs="+",
        metavar="NAME",
        help="sets of methods or single ones to rank (all of the file)",
    )
    add("--shots", nargs="+", metavar="N", help="sizes to rank at (all of the file)")
    add(
        "--of",
        nargs="+",
        default=list(OURS),
        metavar="NAME",
        help=f"methods whose gains are reported ({', '.join(OURS)})",
    )
    add("--draws", type=int, default=2000, metavar="N", help="of the bootstrap (2000)")
    add(
        "--out",
        type=Path,
        default=RESULTS / "ranks.md",
        metavar="FILE.md",
        help="report; numbers and pictures are written beside it",
    )
    return parser


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


def _head(ranking: Ranking) -> str:
    """Write a size as the head of a column."""
    return ALL if ranking.size == ALL else heading(ranking.size)


def _rank_table(rankings: Sequence[Ranking]) -> str:
    """Write the average ranks: a row per method, a column per size."""
    table = pd.DataFrame({one.size: one.ranks for one in rankings})
    table = table.sort_values(rankings[-1].size, kind="stable")
    rows = []
    for method, row in table.iterrows():
        cells = []
        for one in rankings:
            text = "-" if np.isnan(row[one.size]) else f"{row[one.size]:.2f}"
            best = row[one.size] == one.ranks.min()
            cells.append(f"**{text}**" if best else text)
        rows.append([method, *cells])
    text = markdown(line(["average rank", *map(_head, rankings)]), rows)
    return f"{text}\nColumns: training rows per class. 1 is best.\n"


def _test_table(rankings: Sequence[Ranking]) -> str:
    """Write the tests: a row per size."""
    head = (
        "| size | data sets | methods | repetitions | Friedman chi2 (p) | "
        "Iman-Davenport F (p) | critical difference |"
    )
    rows = [
        [
            _head(one),
            str(len(one.block.tables)),
            str(len(one.ranks)),
            range_of(one.block.repetitions),
            f"{one.test.chi2:.1f} ({one.test.p:.2g})",
            f"{one.test.f:.2f} ({one.test.p_of_f:.2g})",
            f"{one.difference:.2f}" if one.differ else "not asked",
        ]
        for one in rankings
    ]
    return markdown(head, rows) + (
        "\nAverage ranks that differ by at least the critical difference (Nemenyi, "
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
    rows = [
        [other, *(_gain(found.get((other, one.size))) for one in rankings)]
        for other in dict.fromkeys(other for other, _ in found)
    ]
    return (
        f"## {method}: gain in {_scale(metric)}\n\n"
        f"{markdown(line(['over', *map(_head, rankings)]), rows)}"
        "\nMean over the data sets of the paired difference, more is better; in "
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
    """Return the ranks as a tidy table."""
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


INK, PALE = "#222222", "#7F7F7F"
ACCENT = "#D55E00"


def plot(
    ranks: pd.Series[float],
    difference: float,
    groups: Sequence[Sequence[str]],
    title: str,
    path: Path,
    marked: Sequence[str] = (),
) -> None:
    """Draw the critical-difference plot of Demšar's section 3.2.4.

    The methods are on an axis of average ranks, bars join those not told apart.
    A missing critical difference is not drawn. The methods of `marked` are in colour.
    """
    ranks = ranks.sort_values(kind="stable")
    first_label = 0.5 + 0.28 * len(groups)
    half = (len(ranks) + 1) // 2
    height = first_label + 0.45 * half
    with drawing(path, 9, 0.55 * height + 1.1) as figure:
        axes = figure.add_subplot()
        axes.set_axis_off()
        axes.set_title(title, fontsize=10, loc="left")
        right = max(len(ranks), float(np.ceil(ranks.max())))
        _draw_axis(axes, right)
        if not np.isnan(difference):
            _draw_difference(axes, difference)
        for number, group in enumerate(groups):
            ends = ranks[list(group)]
            y = -0.35 - 0.28 * number
            x = [ends.min() - 0.06, ends.max() + 0.06]
            axes.plot(x, [y, y], color=INK, linewidth=3.5, solid_capstyle="butt")
        for number, (method, rank) in enumerate(ranks.items()):
            left = number < half
            row = number if left else len(ranks) - 1 - number
            y = -first_label - 0.45 * row
            edge = 0.7 if left else right + 0.3
            colour = ACCENT if method in marked else INK
            axes.plot([rank, rank, edge], [0, y, y], color=colour, linewidth=0.8)
            text = f"{method}  {rank:.2f}" if left else f"{rank:.2f}  {method}"
            axes.annotate(
                text,
                (edge, y),
                xytext=(-3 if left else 3, 0),
                textcoords="offset points",
                ha="right" if left else "left",
                va="center",
                color=colour,
            )
        axes.set_ylim(-height - 0.2, 1.3)


def _draw_axis(axes: Axes, right: float) -> None:
    """Draw the axis of the ranks."""
    axes.plot([1, right], [0, 0], color=INK, linewidth=1)
    for tick in range(1, int(right) + 1):
        axes.plot([tick, tick], [0, 0.12], color=INK, linewidth=1)
        axes.annotate(
            str(tick),
            (tick, 0.12),
            xytext=(0, 2),
            textcoords="offset points",
            ha="center",
            color=PALE,
        )


def _draw_difference(axes: Axes, difference: float) -> None:
    """Draw the critical difference above the axis."""
    y = 0.85
    axes.plot([1, 1 + difference], [y, y], color=INK, linewidth=1.2)
    for end in (1, 1 + difference):
        axes.plot([end, end], [y - 0.08, y + 0.08], color=INK, linewidth=1.2)
    axes.annotate(
        f"critical difference {difference:.2f}",
        (1 + difference, y),
        xytext=(5, 0),
        textcoords="offset points",
        va="center",
        color=INK,
    )
