"""Ablations: what each part of llmreg is worth, changed alone from a named start.

The paper's ten tables at 5, 25 and 100 rows per class, and the regressions at 10 and 50
rows; the same draws for every method. What is varied is in `methods/ablations.py`. A
run goes on where it was stopped.

    python -m benchmarks ablations                          all of it
    python -m benchmarks ablations --cards packaged --repetitions 1   no download
    python -m benchmarks ablations --tables gamma noise     some tables alone
    python -m benchmarks ablations --report                 only write the tables again
    python -m benchmarks ablations --costs                  tokens and dollars, no fit
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

import pandas as pd

from benchmarks.data.catalogue import (
    GROUPS,
    cards_of,
    encoded_keys,
    read_card,
    task_of,
)
from benchmarks.data.datasets import load
from benchmarks.data.results import ResultFile
from benchmarks.data.splits import Cell, Shots
from benchmarks.experiments.elicitation import count_tokens
from benchmarks.experiments.runner import add_fits, complete, plan
from benchmarks.methods.ablations import SHARED, TABLES
from benchmarks.programs import echo, make_parser, publish, report_failed, run_program
from benchmarks.reporting import ablations as ablation_report
from benchmarks.reporting.tables import line, markdown
from llmreg.providers import AnthropicProvider, OpenAIProvider

#: Rows per class, and in a regression.
SIZES: dict[str, tuple[Shots, ...]] = {
    "classification": (5, 25, 100),
    "regression": (10, 50),
}
#: The cards that are fitted where none are named.
FITTED = ("paper", "regression")
#: Who is asked, with the model of its defaults.
PROVIDERS = (AnthropicProvider, OpenAIProvider)
ESTIMATES = (1, 5)
_PREFACE = """# What asking costs

One estimate, and the five that are averaged by default, of the question that llmreg
puts about each card. Tokens are guessed by `estimate_cost` from the characters of the
question and the number of scores; no request was sent. What a model thinks before it
answers comes on top, at the price of output. Dollars: list prices{priced},
without the discount of a batch. An answer is kept: a task is paid for once, whatever
the number of rows and of fits.

"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program as `run_program` does; 1 where a fit failed."""
    return run_program(_run, _parser(), arguments)


def _run(options: argparse.Namespace) -> int:
    """Do what the options say."""
    groups = options.cards or (["all"] if options.costs else FITTED)
    cards = cards_of(groups)
    if options.costs:
        out = options.out.with_name(f"{options.out.stem}-costs.csv")
        echo(write_costs(cards, out))
        return 0
    file = ResultFile(options.out)
    if not options.report:
        draws = cells(cards, options.repetitions)
        complete(file, draws, methods_of(options.tables), options)
    frame = file.read()
    publish(ablation_report.write(frame), options.out.with_suffix(".md"))
    return report_failed(frame)


def cells(cards: Sequence[str], repetitions: int) -> list[Cell]:
    """List the draws, each card at the sizes of its kind.

    All of the first repetition come first.
    """
    found = [
        cell
        for kind, sizes in SIZES.items()
        for cell in plan([c for c in cards if load(c).kind == kind], sizes, repetitions)
    ]
    return sorted(found, key=lambda cell: cell.repetition)


def methods_of(tables: Sequence[str]) -> list[str]:
    """List the methods that tables need, the rows shared by all of them first."""
    asked = list(SHARED)
    for table in tables:
        for start, varied in TABLES[table].items():
            asked += [start, *varied]
    return list(dict.fromkeys(asked))


def costs(card: str) -> list[dict[str, object]]:
    """Estimate what a card takes, with every provider.

    One row for each provider and number of estimates.
    """
    about = read_card(card)
    task = task_of(about)
    return [
        {
            "card": card,
            "n_features": len(about["features"]),
            "n_scores": len(encoded_keys(about)) * len(task.outputs),
            "model": provider().model,
            "estimates": number,
            **count_tokens(provider, task, number),
        }
        for provider in PROVIDERS
        for number in ESTIMATES
    ]


def write_costs(cards: Sequence[str], out: Path) -> str:
    """Write the costs of cards: all numbers as CSV, a table beside it."""
    frame = pd.DataFrame([row for card in cards for row in costs(card)])
    out.parent.mkdir(parents=True, exist_ok=True)
    frame.to_csv(out, index=False, float_format="%.6g")
    text = _PREFACE.format(priced=_source()) + costs_table(frame)
    out.with_suffix(".md").write_text(text, encoding="utf-8")
    return text


def costs_table(frame: pd.DataFrame) -> str:
    """Write a row per card."""
    models = list(frame["model"].unique())
    numbers = sorted(frame["estimates"].unique())
    heads = ["card", "features", "scores"]
    heads += [f"tokens {way}, {n}" for n in numbers for way in ("in", "out")]
    heads += [f"{model}, {n}" for model in models for n in numbers]
    shape = ["n_features", "n_scores"]
    lines = [
        [card, *map(str, rows[shape].iloc[0]), *_sums(rows, models, numbers)]
        for card, rows in frame.groupby("card", sort=False)
    ]
    lines.append(["all", "", "", *_sums(frame, models, numbers)])
    return markdown(line(heads), lines)


def _sums(
    rows: pd.DataFrame, models: Sequence[str], numbers: Sequence[int]
) -> list[str]:
    """Add up rows of a table; the question is the same for every provider."""
    totals = rows.groupby(["model", "estimates"])
    tokens = totals[["tokens_in", "tokens_out"]].sum()
    dollars = totals["usd"].sum(min_count=1)
    cells = [f"{count:,}" for n in numbers for count in tokens.loc[(models[0], n)]]
    return cells + [
        "-" if pd.isna(dollars[model, n]) else f"${dollars[model, n]:.3f}"
        for model in models
        for n in numbers
    ]


def _source() -> str:
    """Name the prices."""
    try:
        return f" of genai-prices {metadata.version('genai-prices')}"
    except metadata.PackageNotFoundError:
        return " (not known: genai-prices is not installed)"


def _parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = make_parser("ablations", __doc__)
    add = parser.add_argument
    add(
        "--cards",
        nargs="+",
        metavar="NAME",
        help=f"data sets or groups of them: {', '.join(GROUPS)} ({' '.join(FITTED)}; "
        "for the costs all)",
    )
    add(
        "--tables",
        nargs="+",
        choices=list(TABLES),
        default=list(TABLES),
        metavar="NAME",
        help=f"what to vary, of {', '.join(TABLES)} (all)",
    )
    # Each kind of prediction has sizes of its own here.
    add_fits(parser, "ablations.csv", 5, shots=())
    add("--costs", action="store_true", help="fit nothing, write what asking costs")
    return parser
