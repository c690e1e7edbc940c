"""From measured response curves to tables and a picture."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from benchmarks.data.catalogue import DEVELOPMENT_LARGE, GROUPS, PAPER, WORLDS
from benchmarks.reporting.tables import drawing, line, markdown

SCORES = "scores"
SCORES_EXP = "scores, exp"
STRAIGHT = "straight lines of the curves"
CURVES = "curves"
PUBLIC, UNSEEN = "public", "worlds"
OTHERS, LARGE = "other public", "larger development"
COLOURS = {PUBLIC: "#0072B2", UNSEEN: "#D55E00"}
_ORDER = (*GROUPS["all"], *DEVELOPMENT_LARGE, *WORLDS)
_WORTH_CAPTION = (
    "Mean over the cards, in brackets how many. All rows are ranked, none is trained "
    "on. ROC AUC, with many classes the mean of each class by its own sum against the "
    "rest; in a regression the correlation with the target. `scores` times columns in "
    "[0, 1]; `exp`: the exponential transform. A straight line has the rise of its "
    "curve over the typical range that was said, and goes on beyond it; all else that "
    "is called curves is both answers averaged, unless it says otherwise."
)
_GAIN_CAPTION = (
    "Curves minus scores: mean over the cards of the ROC AUC (correlation in a "
    "regression), with its standard error, and on how many cards it is above zero."
)
_AGREEMENT_CAPTION = (
    "Two answers to one question, each from a conversation of its own: correlation "
    "over the rows of the two sums of effects, of the two curves of a column (mean "
    "over the columns with more than two values; a curve that is flat has none), and "
    "of the effects of all levels of a card."
)
_SAID_CAPTION = (
    "Median distance (in brackets the 90th percentile) of what was said, both answers "
    "averaged, from the truth of the rows. Percentiles: in units of the true distance "
    "from the 5th to the 95th. Base rates: as probabilities, of the positive class or "
    "the mean over many classes."
)
_TOKENS_CAPTION = (
    "Characters divided by four, mean over the cards: the question with the task, one "
    "answer of curves, typical ranges, levels, base rate and interactions, and one "
    "answer of a score per input. Neither has reasons, and no thinking is counted."
)
_MANY_CAPTION = (
    "ROC AUC, one class against the rest, by the sum of each class alone and by its "
    "share once the classes are weighed against one another (softmax, an effect of 10 "
    "being 3 in log-odds)."
)


def group_of(card: str) -> str:
    """Name the group that a card is reported with."""
    groups = {"paper": PAPER, LARGE: DEVELOPMENT_LARGE, UNSEEN: WORLDS}
    return next((name for name, cards in groups.items() if card in cards), OTHERS)


def places_of(cards: pd.Series) -> pd.Series:
    """Give the places of cards in the tables."""
    return cards.map(_ORDER.index)


def tables(worth: pd.DataFrame, said: pd.DataFrame, cards: pd.DataFrame) -> str:
    """Write all tables in markdown."""
    worth = worth.assign(value=_value(worth))
    main = worth[~worth["variant"].str.endswith("softmax")]
    parts = [
        "# Recorded response curves, nothing trained\n",
        f"## Worth alone\n\n{_worth(main)}\n{_WORTH_CAPTION}\n",
        f"## Curves beside scores\n\n{_gains(main)}\n{_GAIN_CAPTION}\n",
        f"## Agreement of two answers\n\n{_agreement(cards)}\n{_AGREEMENT_CAPTION}\n",
        f"## Said and true\n\n{_said(said)}\n{_SAID_CAPTION}\n",
        f"## Tokens\n\n{_tokens(cards)}\n{_TOKENS_CAPTION}\n",
    ]
    if len(main) < len(worth):
        parts.append(f"## Many classes\n\n{_many(worth)}\n{_MANY_CAPTION}\n")
    parts.append(f"## Each card\n\n{_each(main, said, cards)}\n")
    return "\n".join(parts)


def _value(worth: pd.DataFrame) -> pd.Series:
    """Give the ROC AUC, or the correlation in a regression."""
    nothing = pd.Series(np.nan, worth.index)
    return worth.get("roc_auc", nothing).fillna(worth.get("correlation", nothing))


def _side(frame: pd.DataFrame) -> pd.Series:
    """Tell whether cards are public."""
    return pd.Series(np.where(frame["group"] == UNSEEN, UNSEEN, PUBLIC), frame.index)


def _columns(frame: pd.DataFrame) -> pd.Series:
    """Name the column of the table that a card is averaged in."""
    is_number = frame["task"] == "regression"
    names = frame["group"].where(~is_number, "regression, " + _side(frame))
    order = ["paper", OTHERS, LARGE, UNSEEN]
    order += [f"regression, {side}" for side in (PUBLIC, UNSEEN)]
    kept = [name for name in order if name in set(names)]
    return names.astype(pd.CategoricalDtype(kept))


def _worth(main: pd.DataFrame) -> str:
    """Write a row per variant, a column per group of cards."""
    grid = main.assign(column=_columns(main))
    columns = list(grid["column"].cat.categories)
    counts = grid.groupby("column", observed=True)["card"].nunique()
    mean = grid.pivot_table("value", "variant", "column", observed=True)
    head = line(["", *(f"{name} ({counts[name]})" for name in columns)])
    rows = [
        [f"**{name}**" if name == CURVES else str(name)]
        + [f"{mean.loc[name, column]:.3f}" for column in columns]
        for name in dict.fromkeys(grid["variant"])
    ]
    return markdown(head, rows)


def _gains(main: pd.DataFrame) -> str:
    """Write how far curves are above scores, a row per group of cards."""
    table = main.pivot(index="card", columns="variant", values="value")
    about = main.drop_duplicates("card").set_index("card")
    groups = _columns(about)
    rows = []
    for name in groups.cat.categories:
        these = table[groups.reindex(table.index) == name]
        cells = [str(len(these))]
        for other in (SCORES_EXP, SCORES, STRAIGHT):
            gain = these[CURVES] - these[other]
            error = gain.std(ddof=1) / np.sqrt(len(gain)) if len(gain) > 1 else np.nan
            spread = "" if np.isnan(error) else f" ± {error:.3f}"
            cells.append(f"{gain.mean():+.3f}{spread}, {(gain > 0).sum()}")
        rows.append([str(name), *cells])
    head = line(["", "cards", *(f"over {x}" for x in (SCORES_EXP, SCORES, STRAIGHT))])
    return markdown(head, rows)


def _agreement(cards: pd.DataFrame) -> str:
    """Write a row per side: means of the correlations of two answers."""
    names = ("agreement_sums", "agreement_curves", "agreement_levels")
    return _means(cards, names, ("sums", "curves", "levels"), lambda x: f"{x:.3f}")


def _tokens(cards: pd.DataFrame) -> str:
    """Write a row per side: mean lengths of question and answers."""
    names = ("tokens_question", "tokens_curves", "tokens_scores")
    heads = ("question", "answer, curves", "answer, scores")
    return _means(cards, names, heads, lambda x: f"{x:,.0f}")


def _means(
    cards: pd.DataFrame,
    names: tuple[str, ...],
    heads: tuple[str, ...],
    write: Callable[[float], str],
) -> str:
    """Write the means of some columns, a row per side."""
    rows = [
        [f"{side} ({len(these)})", *(write(these[name].mean()) for name in names)]
        for side, these in cards.groupby(_side(cards), sort=False)
    ]
    return markdown(line(["", *heads]), rows)


def _said(said: pd.DataFrame) -> str:
    """Write how far what was said is from the truth, a row per kind of thing."""
    is_rate = said["what"] == "base rate"
    # A mean over the classes, so that a card with many counts once.
    rates = said[is_rate].groupby(["what", "group", "card"], as_index=False)
    said = pd.concat([said[~is_rate], rates["error"].mean()], ignore_index=True)
    side, share = _side(said), said["percentile"]
    kinds = {
        f"{p:.0%} of a {what}": (said["what"] == what) & (share == p)
        for what in ("feature", "target")
        for p in (0.05, 0.5, 0.95)
    } | {"base rate": said["what"] == "base rate"}
    rows = [
        [title, *(_spread(said.loc[chosen & (side == s), "error"]) for s in COLOURS)]
        for title, chosen in kinds.items()
    ]
    return markdown(line(["", *(f"{s}, number" for s in COLOURS)]), rows)


def _spread(errors: pd.Series) -> str:
    """Write the median, the 90th percentile and the number of some errors."""
    if errors.empty:
        return "-"
    return f"{errors.median():.3f} ({errors.quantile(0.9):.3f}), {len(errors)}"


def _many(worth: pd.DataFrame) -> str:
    """Write a row per card of many classes."""
    these = worth[worth["task"] == "multiclass"]
    heads = [name + how for name in (SCORES, CURVES) for how in ("", ", softmax")]
    table = these.pivot(index="card", columns="variant", values="value")
    rows = [
        [card, *(f"{table.loc[card, name]:.3f}" for name in heads)]
        for card in dict.fromkeys(these["card"])
    ]
    return markdown(line(["", *heads]), rows)


def _each(main: pd.DataFrame, said: pd.DataFrame, cards: pd.DataFrame) -> str:
    """Write a row per card."""
    table = main.pivot(index="card", columns="variant", values="value")
    rates = said[(said["what"] == "base rate") & said["card"].isin(_one_rate(said))]
    rate = rates.set_index("card")
    is_low = (said["what"] == "feature") & said["percentile"].isin([0.05, 0.95])
    ends = said[is_low].groupby("card")["error"].median()
    rows = []
    for row in cards.to_dict("records"):
        card = row["card"]
        both = "-"
        if card in rate.index:
            both = f"{rate.loc[card, 'said']:.3f} / {rate.loc[card, 'true']:.3f}"
        rows.append(
            [
                card,
                row["group"],
                "r" if row["task"] == "regression" else "",
                *(f"{table.loc[card, x]:.3f}" for x in (SCORES, SCORES_EXP, CURVES)),
                f"{row['agreement_sums']:.3f}",
                both,
                f"{ends[card]:.3f}" if card in ends else "-",
            ]
        )
    head = ["card", "group", "", SCORES, SCORES_EXP, CURVES, "answers agree"]
    head += ["base rate said / true", "error of 5% and 95%"]
    return (
        markdown(line(head), rows) + "\nr: a regression, with the correlation in the "
        "place of the ROC AUC.\n"
    )


def _one_rate(said: pd.DataFrame) -> list[str]:
    """List the cards with two classes."""
    count = said[said["what"] == "base rate"].groupby("card").size()
    return list(count[count == 1].index)


def plot(worth: pd.DataFrame, said: pd.DataFrame, path: Path) -> None:
    """Draw curves beside scores by card, and how far percentiles are from the truth."""
    worth = worth.assign(value=_value(worth))
    n_cards = worth["card"].nunique()
    with drawing(path, 9.5, max(3.4, 1.2 + 0.17 * n_cards), font=8) as figure:
        left, right = figure.subplots(1, 2, width_ratios=[3, 2])
        _draw_cards(left, worth)
        _draw_errors(right, said)


def _draw_cards(axes: Axes, worth: pd.DataFrame) -> None:
    """Draw a line from the scores of a card to its curves."""
    table = worth.pivot(index="card", columns="variant", values="value")
    table["best"] = table[[SCORES, SCORES_EXP]].max(axis=1)
    side = worth.drop_duplicates("card").set_index("card").pipe(_side)
    order = table.assign(unseen=side == UNSEEN).sort_values(["unseen", CURVES]).index
    for place, card in enumerate(order):
        colour, row = COLOURS[side[card]], table.loc[card]
        axes.plot(row[["best", CURVES]], [place] * 2, color=colour, linewidth=0.8)
        axes.plot(row["best"], place, "o", color=colour, markerfacecolor="white")
        axes.plot(row[CURVES], place, "o", color=colour)
    axes.set_yticks(range(len(order)), order)
    axes.set_xlabel(
        "ROC AUC, or correlation in a regression\n"
        "open: scores, the better of plain and exp; filled: curves"
    )
    axes.grid(axis="y", color="#EEEEEE", linewidth=0.6)


def _draw_errors(axes: Axes, said: pd.DataFrame) -> None:
    """Draw which share of the percentiles is closer to the truth than what."""
    features = said[said["what"] == "feature"]
    styles = {0.05: ":", 0.5: "-", 0.95: "--"}
    for (side, share), these in features.groupby([_side(features), "percentile"]):
        errors = np.sort(these["error"])
        axes.step(
            np.maximum(errors, 1e-3),
            np.arange(1, len(errors) + 1) / len(errors),
            where="post",
            color=COLOURS[side],
            linestyle=styles[share],
            label=f"{side}, {share:.0%}",
        )
    axes.set_xscale("log")
    axes.set_xlabel("error of a percentile that was said,\nin true ranges (5% to 95%)")
    axes.set_ylabel("share of the features")
    axes.set_ylim(0, 1)
    axes.legend(fontsize=7, frameon=False)
