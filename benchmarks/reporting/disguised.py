"""From the measured answers to disguised questionnaires to tables and a picture."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.data.disguise import NAMED, RECORDED, SHUFFLES, WITHOUT
from benchmarks.methods.disguised import ONE, WORDS
from benchmarks.reporting.metrics import spearman
from benchmarks.reporting.tables import (
    compare,
    drawing,
    grid,
    heading,
    line,
    size_order,
    sizes,
    summarise,
    table,
)

AGREEMENT = {
    "pearson": "Pearson",
    "spearman": "Spearman",
    "sign": "signs",
    "sign_weighted": "signs, weighted",
    "columns": "Pearson, columns of one score",
    "levels": "Pearson, levels",
}
#: The rows of the tables, and what they are called.
ROWS = {RECORDED: "one of the five recorded", **WORDS}
_LINEAR = {name: f"default linear, {words}" for name, words in WORDS.items()}
LAYOUT = _LINEAR["neutral"]
#: Pairs of methods to compare: with what was in the question over without it.
GAINS = {
    "layout only over layout only, shuffled": (LAYOUT, f"{LAYOUT}, shuffled"),
    "layout only over no prior, tuned": (LAYOUT, "no prior, tuned"),
    "layout only, shuffled, over no prior, tuned": (
        f"{LAYOUT}, shuffled",
        "no prior, tuned",
    ),
    "layout only over asked again": (LAYOUT, _LINEAR["again"]),
    "asked again over one of the five recorded": (
        _LINEAR["again"],
        f"default linear, {ONE}",
    ),
    "two names swapped over asked again": (_LINEAR["swapped"], _LINEAR["again"]),
}
ABLATION = {
    "names only over asked again": (_LINEAR["names"], _LINEAR["again"]),
    "descriptions only over asked again": (_LINEAR["hidden"], _LINEAR["again"]),
}
_DOTS = {
    RECORDED: ("one of the five recorded", "#000000", "|"),
    "names": (WORDS["names"], "#0072B2", "o"),
    "hidden": (WORDS["hidden"], "#009E73", "D"),
    "neutral": (WORDS["neutral"], "#D55E00", "X"),
}


def tables(
    agreement: pd.DataFrame,
    swaps: pd.DataFrame,
    alone: pd.DataFrame,
    fits: pd.DataFrame,
) -> str:
    """Write all tables in markdown."""
    parts = [_agreement(agreement), _agreement_by_card(agreement), _swaps(swaps)]
    if not alone.empty:
        parts += [_alone(alone), _alone_by_card(alone)]
    if not fits.empty:
        parts.append(few_shots(fits))
    return "\n".join(parts)


def named_features(rates: pd.DataFrame, alone: pd.DataFrame) -> str:
    """Write how the scores go with the outcome where the model named its memory."""
    exp = alone[alone["transform"] == "exp"].set_index(["card", "prior"])["roc_auc"]
    lines = []
    for card, features in NAMED.items():
        these = rates[(rates["card"] == card) & (rates["rows"] > 0)]
        found = spearman(these["score"].to_numpy(float), these["rate"].to_numpy())
        lines.append(
            [
                f"{card}: {', '.join(features)}",
                str(len(these)),
                f"{found:.2f}",
                f"{exp[card, RECORDED]:.3f}",
                f"{exp[card, WITHOUT]:.3f}",
            ]
        )
    return section(
        "The features that the model named",
        ["", "levels", "Spearman", "prior alone, exp", "the same without these"],
        lines,
        "The model said afterwards that it may have remembered how these go with the "
        "outcome in these tables. Spearman: of the recorded scores of the levels and "
        "the share of yes among the rows that have them, all rows. ROC AUC of one of "
        "the five recorded estimates as it is, and with 0 for these.",
    )


def regained(exp: pd.DataFrame) -> pd.Series:
    """Measure how much of a prior's worth is left when only the layout was asked with.

    By card: what that answer has above its own scores shuffled, over what the unchanged
    questionnaire's has above these.
    """
    neutral, again = (
        exp[exp["prior"] == name].set_index("card") for name in ("neutral", "again")
    )
    base = neutral["shuffled"]
    return (neutral["roc_auc"] - base) / (again["roc_auc"] - base)


def _agreement(frame: pd.DataFrame) -> str:
    """Write the means over the cards."""
    means = frame.groupby("prior")[list(AGREEMENT)].mean()
    lines = [
        [label, *(f"{means.loc[name, column]:.2f}" for column in AGREEMENT)]
        for name, label in ROWS.items()
    ]
    return section(
        "Agreement with the recorded estimates",
        ["mean over the tables", *AGREEMENT.values()],
        lines,
        "An answer beside each of the five recorded estimates, and these beside one "
        "another. Signs: where both have one; weighted by the size of the recorded "
        "score. Columns of one score are numeric and yes-or-no features.",
    )


def _agreement_by_card(frame: pd.DataFrame) -> str:
    """Write the correlations of every card."""
    by_card = frame.pivot(index="card", columns="prior", values="pearson")
    parts = frame[frame["prior"] == "neutral"].set_index("card")
    extra = {"columns": "its columns of one score", "levels": "its levels"}
    lines = [
        [
            card,
            *(f"{by_card.loc[card, name]:.2f}" for name in ROWS),
            *(_number(float(parts.loc[card, part]), 2) for part in extra),
        ]
        for card in by_card.index
    ]
    return section(
        "The same by table (Pearson)",
        ["", *ROWS.values(), *(f"{WORDS['neutral']}, {e}" for e in extra.values())],
        lines,
        "A dash: fewer than three.",
    )


def _swaps(frame: pd.DataFrame) -> str:
    """Write whom the answers about the swapped pairs follow."""
    lines = [
        [
            row["card"],
            f"{row['high']}, {row['low']}",
            *(
                f"{row[f'{name}_high']:.3g}, {row[f'{name}_low']:.3g}"
                for name in (RECORDED, "again", "swapped")
            ),
            f"{row['share']:.2f}",
            "description" if row["share"] > 0 else "name",
        ]
        for _, row in frame.iterrows()
    ]
    return section(
        "Two names swapped",
        ["", "pair", "recorded", "asked again", "swapped", "share", "follows the"],
        lines,
        "Scores of the features as they were described. Share: what is left of the "
        "recorded difference; 1 follows the descriptions, -1 the names.",
    )


def _alone(frame: pd.DataFrame) -> str:
    """Write what the priors alone are worth, on average over the cards."""
    lines = []
    for name, label in ROWS.items():
        cells = [label]
        for transform in ("raw", "exp"):
            these = frame[(frame["prior"] == name) & (frame["transform"] == transform)]
            means = these[["roc_auc", "shuffled", "within"]].mean()
            cells += [f"{mean:.3f}" for mean in means]
        lines.append(cells)
    exp = frame[frame["transform"] == "exp"]
    share = _overall(exp, "shuffled"), _overall(exp, "within")
    return section(
        "The prior alone, all rows",
        [
            "ROC AUC",
            *(
                f"{transform}{floor}"
                for transform in ("raw", "exp")
                for floor in ("", ", shuffled", ", shuffled within kinds")
            ),
        ],
        lines,
        f"Means over {frame['card'].nunique()} tables; nothing is trained. Shuffled: "
        f"{SHUFFLES} times, the scores of that row dealt out anew between all columns; "
        "within kinds: between numeric features, between yes-or-no features, between "
        "the levels of a feature. Of what the unchanged questionnaire's answer has "
        f"above the floor (exp), {WORDS['neutral']} has {share[0]:.0%}; above the "
        f"floor within kinds, {share[1]:.0%}.",
    )


def _overall(exp: pd.DataFrame, floor: str) -> float:
    """Return the share that is regained by the means over the cards."""
    means = exp.groupby("prior")[["roc_auc", floor]].mean()
    base = means.loc["neutral", floor]
    gain = means.loc["neutral", "roc_auc"] - base
    return float(gain / (means.loc["again", "roc_auc"] - base))


def _alone_by_card(frame: pd.DataFrame) -> str:
    """Write what the priors alone are worth on every card."""
    exp = frame[frame["transform"] == "exp"]
    values = exp.pivot(index="card", columns="prior", values="roc_auc")
    layout = exp[exp["prior"] == "neutral"].set_index("card")
    share = regained(exp)
    lines = [
        [
            card,
            *(f"{values.loc[card, name]:.3f}" for name in ROWS),
            f"{layout.loc[card, 'shuffled']:.3f}",
            f"{layout.loc[card, 'within']:.3f}",
            f"{share[card]:.0%}",
            f"{round(SHUFFLES * layout.loc[card, 'shuffled_reach'])}, "
            f"{round(SHUFFLES * layout.loc[card, 'within_reach'])}",
        ]
        for card in values.index
    ]
    return section(
        "The same by table (exp)",
        [
            "ROC AUC",
            *ROWS.values(),
            "shuffled",
            "shuffled within kinds",
            "regained",
            f"reached, of {SHUFFLES}",
        ],
        lines,
        f"The floors are those of {WORDS['neutral']}. Regained: what it has above the "
        "first floor, over what the unchanged questionnaire's answer has above it. "
        "Reached: how many shuffles of either kind are as good as it.",
    )


def _number(value: float, digits: int) -> str:
    """Write a number, or a dash where there is none."""
    return "-" if np.isnan(value) else f"{value:.{digits}f}"


def few_shots(frame: pd.DataFrame) -> str:
    """Write what the default makes of the priors."""
    parts = ["## Few shots\n"]
    for metric in ("roc_auc", "log_loss"):
        parts.append(table(summarise(frame, metric), metric))
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
    measured = grid(frame, "roc_auc")
    columns = sizes(measured)
    lines = []
    for label, pair in pairs.items():
        checks = [compare(measured, size, *pair) for size in columns]
        lines.append([label, *(f"{c.gain:+.3f} ± {c.error:.3f}" for c in checks)])
    return section(
        title,
        ["gain in ROC AUC", *map(heading, columns)],
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
    columns = sorted(frame["shots"].unique(), key=size_order)
    lines = [
        [card, *(f"{means[card, s]:+.3f} ± {errors[card, s]:.3f}" for s in columns)]
        for card in means.index.get_level_values(0).unique()
    ]
    return section(
        "The same by table: layout only over layout only, shuffled",
        ["gain in ROC AUC", *map(heading, columns)],
        lines,
        "Default linear. Mean over the repetitions ± its standard error.",
    )


def section(
    title: str, header: Sequence[str], lines: Iterable[Sequence[str]], words: str
) -> str:
    """Write a heading, a table and what it holds."""
    body = "\n".join(map(line, [header, ["---"] * len(header), *lines]))
    return f"## {title}\n\n{body}\n\n{words}\n"


def plot(alone: pd.DataFrame, path: Path) -> None:
    """Draw the prior alone, the recorded one beside the disguises and the floor."""
    exp = alone[alone["transform"] == "exp"]
    values = exp.pivot(index="card", columns="prior", values="roc_auc")
    floor = exp[exp["prior"] == "neutral"].set_index("card")["shuffled"]
    cards = list(values[RECORDED].sort_values().index)
    with drawing(path, 8, 4.2) as figure:
        axes = figure.add_subplot()
        for number, card in enumerate(cards):
            ends = [floor[card], values.loc[card, "neutral"]]
            axes.plot(ends, [number] * 2, color="#E8B48C", linewidth=1, zorder=1)
        places = range(len(cards))
        shuffled = f"{WORDS['neutral']}, shuffled"
        axes.plot(floor[cards], places, "x", color="#7F7F7F", label=shuffled)
        for name, (label, colour, marker) in _DOTS.items():
            style = {"color": colour, "markersize": 11 if marker == "|" else 5}
            axes.plot(values.loc[cards, name], places, marker, label=label, **style)
        axes.axvline(0.5, color="#999999", linewidth=0.8, linestyle=":")
        axes.set_yticks(places, cards)
        axes.set_xlabel("ROC AUC of the prior alone (exp), all rows")
        axes.grid(axis="y", color="#EEEEEE", linewidth=0.6)
        figure.legend(loc="outside upper center", ncols=5, fontsize=8, frameon=False)
