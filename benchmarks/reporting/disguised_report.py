"""From the measured answers to disguised questionnaires to tables in markdown."""

from __future__ import annotations

import numpy as np
import pandas as pd

from benchmarks.experiments.agreement import spearman
from benchmarks.experiments.disguised_answers import NAMED, RECORDED, SHUFFLES, WITHOUT
from benchmarks.methods.disguised import WORDS
from benchmarks.reporting.disguised_gains import few_shots, section

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
    """Tell how much of a prior's worth is left when only the layout was asked with.

    By card: what that answer has above its own scores shuffled, over what the unchanged
    questionnaire's has above these.
    """
    by_card = {
        name: exp[exp["prior"] == name].set_index("card")
        for name in ("neutral", "again")
    }
    base = by_card["neutral"]["shuffled"]
    gains = {name: rows["roc_auc"] - base for name, rows in by_card.items()}
    share: pd.Series = gains["neutral"] / gains["again"]
    return share


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
    """Give the share that is regained by the means over the cards."""
    means = exp.groupby("prior")[["roc_auc", floor]].mean()
    base = means.loc["neutral", floor]
    gain = means.loc["neutral", "roc_auc"] - base
    return float(gain / (means.loc["again", "roc_auc"] - base))


def _alone_by_card(frame: pd.DataFrame) -> str:
    """Write what the priors alone are worth on every card."""
    exp = frame[frame["transform"] == "exp"]
    table = exp.pivot(index="card", columns="prior", values="roc_auc")
    layout = exp[exp["prior"] == "neutral"].set_index("card")
    share = regained(exp)
    lines = [
        [
            card,
            *(f"{table.loc[card, name]:.3f}" for name in ROWS),
            f"{layout.loc[card, 'shuffled']:.3f}",
            f"{layout.loc[card, 'within']:.3f}",
            f"{share[card]:.0%}",
            f"{round(SHUFFLES * layout.loc[card, 'shuffled_reach'])}, "
            f"{round(SHUFFLES * layout.loc[card, 'within_reach'])}",
        ]
        for card in table.index
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
