"""From the measured answers of language models to tables and a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from benchmarks.reporting.tables import drawing, line, markdown

LARGE = "large model, recorded"
SMALL = "SmolLM2 135M, local"
BASELINE = "every score +1"
ALL_ROWS = "linear model of all rows"
#: Columns of the tables: what they hold, and how many digits they have.
AGREEMENT = {
    "n_estimates": ("estimates", 0),
    "pearson": ("Pearson", 2),
    "spearman": ("Spearman", 2),
    "cosine": ("cosine", 2),
    "spread": ("spread", 2),
    "opinions": ("not zero", 2),
    "sign": ("signs", 2),
    "sign_weighted": ("signs, weighted", 2),
    "size": ("sizes", 2),
}
TOKENS = {
    "requests": ("requests", 0),
    "tokens_in": ("in (guess)", 0),
    "tokens_out": ("out (guess)", 0),
    "counted_input_tokens": ("in (counted)", 0),
    "counted_output_tokens": ("out (counted)", 0),
}
#: What ranks the rows, by kind of task, and what a coin has.
HEADLINE = {"roc_auc": ("ROC AUC", 0.5), "rank": ("Spearman", 0.0)}
_COUNT_CAPTION = (
    "Columns: estimates averaged. Mean over the cards of the mean over all subsets of "
    "that many estimates (in brackets the means over the cards of the worst and of the "
    "best subset). All rows are ranked; none is trained on."
)
_AGREEMENT_CAPTION = (
    "Pearson, Spearman, cosine: mean over all pairs of estimates. Spread: standard "
    "deviation over the estimates, mean over the scores (-10 to 10). Not zero: share "
    "of mean scores that are an opinion. Signs: share that have the sign of the "
    "coefficient of a logistic (ridge) regression on all rows, in the second column "
    "weighted by the size of the coefficient. Sizes: rank correlation of the absolute "
    "values."
)
_CARDS_CAPTION = (
    "Prior alone: ROC AUC of all estimates averaged, unless it says otherwise. Tokens "
    "are for one estimate: guesses are `estimate_cost` of the provider's own question, "
    "counts are what the model's tokenizer said."
)


COLOURS = {
    LARGE: "#0072B2",
    SMALL: "#D55E00",
    BASELINE: "#7F7F7F",
    ALL_ROWS: "#000000",
}
MARKERS = {LARGE: "o", SMALL: "^", BASELINE: "x", ALL_ROWS: "|"}


def by_count(alone: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Average a measure of the prior alone over subsets of estimates, then cards.

    Returns `mean`, and `low` and `high`: the means over the cards of the worst and the
    best subset of that size. Every line is over one set of cards: those that have as
    many estimates as most of the model's cards have (`common_count`), up to that
    number; a second group has those that every model shares.
    """
    known = alone[alone[metric].notna()]
    most = known.groupby(["model", "card"], sort=False)["n_estimates"].max()
    full, longest = {}, {}
    for model, counts in most.groupby(level="model", sort=False):
        longest[model] = common_count(list(counts))
        enough = counts[counts >= longest[model]]
        full[model] = set(enough.index.get_level_values("card"))
    shared = set.intersection(*full.values()) if full else set()
    rows = []
    for model, cards in full.items():
        for group in dict.fromkeys((frozenset(cards), frozenset(shared))):
            these = known[(known["model"] == model) & known["card"].isin(group)]
            these = these[these["n_estimates"] <= longest[model]]
            spread = these.groupby(["n_estimates", "card"])[metric]
            table = spread.agg(["mean", "min", "max"]).groupby("n_estimates").mean()
            rows += [
                (model, len(group), group == shared, n, *values)
                for n, values in zip(table.index, table.to_numpy(), strict=True)
            ]
    columns = ["model", "cards", "shared", "n_estimates", "mean", "low", "high"]
    return pd.DataFrame(rows, columns=columns)


def common_count(counts: Sequence[int]) -> int:
    """Choose how many estimates a line goes up to.

    The most that three quarters of the cards have, so that a few cards more or less do
    not change what the others are a mean of.
    """
    enough = 0.75 * len(counts)
    return max(n for n in set(counts) if sum(c >= n for c in counts) >= enough)


def tables(answers: pd.DataFrame, alone: pd.DataFrame) -> str:
    """Write all tables in markdown."""
    parts = []
    for metric, (label, _) in known_measures(alone).items():
        for suffix, how in (("", ""), ("_exp", ", exponential transform")):
            parts.append(f"## Prior alone: {label}{how}, by number of estimates\n")
            parts.append(_count_table(by_count(alone, metric + suffix)))
    parts.append("## Agreement with one another, and with all rows\n")
    parts.append(_summary(answers))
    for model in answers["model"].unique():
        these = answers[answers["model"] == model]
        if model == BASELINE:
            continue
        parts.append(f"## {model}: each card\n")
        parts.append(_cards(these, headline_values(alone, model)))
    return "\n".join(parts)


def known_measures(alone: pd.DataFrame) -> dict[str, tuple[str, float]]:
    """Choose the measures that any card has.

    With what each is called, and what a coin has.
    """
    return {
        metric: about
        for metric, about in HEADLINE.items()
        if metric in alone and alone[metric].notna().any()
    }


def headline_values(alone: pd.DataFrame, model: str) -> dict[str, pd.Series]:
    """Return the measures of the mean of all estimates."""
    these = alone[alone["model"] == model]
    most = these.groupby("card")["n_estimates"].transform("max")
    full = these[these["n_estimates"] == most].set_index("card")
    return {
        name: full[name].dropna() if name in full else pd.Series(dtype=float)
        for name in ("roc_auc", "r2", "rank")
    }


def _count_table(summary: pd.DataFrame) -> str:
    """Write a row per model and group of cards, a column per number of estimates."""
    counts = sorted(summary["n_estimates"].unique())
    rows = []
    for (model, cards), these in summary.groupby(["model", "cards"], sort=False):
        by = these.set_index("n_estimates")
        cells = [
            f"{by.loc[n, 'mean']:.3f} ({by.loc[n, 'low']:.3f} to "
            f"{by.loc[n, 'high']:.3f})"
            if n in by.index
            else "-"
            for n in counts
        ]
        rows.append([model, str(cards), *cells])
    head = f"| | cards {line(map(str, counts))}"
    return f"{markdown(head, rows)}\n{_COUNT_CAPTION}\n"


def _summary(answers: pd.DataFrame) -> str:
    """Write the mean over the cards of each column, for cards that models share too."""
    shared = set.intersection(
        *(set(these["card"]) for _, these in answers.groupby("model"))
    )
    groups = {}
    for model in answers["model"].unique():
        these = answers[answers["model"] == model]
        groups[f"{model} ({len(these)} cards)"] = these
        if len(shared) < len(these):
            same = these[these["card"].isin(shared)]
            groups[f"{model} ({len(same)} shared cards)"] = same
    columns = {name: about for name, about in AGREEMENT.items() if name in answers}
    rows = [
        [title]
        + [_number(these[name].mean(), max(n, 1)) for name, (_, n) in columns.items()]
        for title, these in groups.items()
    ]
    head = f"| {line(label for label, _ in columns.values())}"
    return f"{markdown(head, rows)}\n{_AGREEMENT_CAPTION}\n"


def _cards(answers: pd.DataFrame, headlines: dict[str, pd.Series]) -> str:
    """Write a row per card: agreement, the prior alone, tokens."""
    columns = {
        name: about
        for name, about in (AGREEMENT | TOKENS).items()
        if name in answers and answers[name].notna().any()
    }
    heads = ["card", "features", "prior alone", ALL_ROWS]
    rows = []
    for row in answers.to_dict("records"):
        n_outputs = "" if row["n_outputs"] == 1 else f" x {row['n_outputs']}"
        rows.append(
            [
                row["card"],
                f"{row['n_features']}{n_outputs}",
                _ranking(*(each.get(row["card"]) for each in headlines.values())),
                _ranking(*(row.get(f"model_{name}") for name in headlines)),
                *(_number(row[name], n) for name, (_, n) in columns.items()),
            ]
        )
    head = line([*heads, *(label for label, _ in columns.values())])
    return f"{markdown(head, rows)}\n{_CARDS_CAPTION}\n"


def _ranking(roc_auc: float | None, r2: float | None, rank: float | None) -> str:
    """Write the measure that a card has, with what it is where it is no ROC AUC."""
    if roc_auc is not None and not np.isnan(roc_auc):
        return f"{roc_auc:.3f}"
    return f"R2 {r2:.2f}, Spearman {rank:.2f}"


def _number(value: float, digits: int) -> str:
    """Write a number; a dash where there is none."""
    return "-" if value is None or np.isnan(value) else f"{value:,.{digits}f}"


def plot(answers: pd.DataFrame, alone: pd.DataFrame, path: Path) -> None:
    """Draw the prior alone, card by card and by number of estimates."""
    metrics = known_measures(alone)
    with drawing(path, 9.5, 3.4 * len(metrics)) as figure:
        grid = figure.subplots(len(metrics), 2, squeeze=False, width_ratios=[2, 3])
        for (lines, dots), (metric, (label, chance)) in zip(
            grid, metrics.items(), strict=True
        ):
            _draw_lines(lines, by_count(alone, metric), label)
            _draw_cards(dots, answers, alone, metric, label)
            dots.axvline(chance, color="#999999", linewidth=0.8, linestyle=":")


def _draw_lines(axes: Axes, summary: pd.DataFrame, label: str) -> None:
    """Draw the mean over the cards that all models share, by number of estimates."""
    shared = summary[summary["shared"]]
    for model, these in shared.groupby("model", sort=False):
        colour, x = COLOURS[str(model)], these["n_estimates"]
        if model == BASELINE:
            mean = these["mean"].iloc[0]
            axes.axhline(mean, color=colour, linestyle="--")
            axes.annotate(BASELINE, (1, mean), (0, 5), textcoords="offset points")
            continue
        axes.fill_between(x, these["low"], these["high"], color=colour, alpha=0.15)
        axes.plot(x, these["mean"], color=colour, marker=MARKERS[str(model)])
    axes.set_xticks(sorted(shared["n_estimates"].unique()))
    axes.set_xlabel("estimates averaged")
    cards = ", ".join(map(str, shared["cards"].unique()))
    axes.set_ylabel(f"{label} of the prior alone\n(mean over {cards} cards)")
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
        places, colour = [cards.index(card) for card in known], COLOURS[model]
        axes.plot(best[known], places, MARKERS[model], color=colour, label=model)
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
