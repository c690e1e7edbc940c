"""What it takes to ask a language model about each card: tokens and dollars.

Nobody is asked, nothing is sent: the tokens are the guess of `estimate_cost`, without
what a model thinks before it answers, and the dollars are those of ``genai-prices``.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

import pandas as pd

from benchmarks.data.catalogue import encoded_keys, read_card
from benchmarks.data.questions import task_of
from llmreg.providers import AnthropicProvider, OpenAIProvider
from llmreg.task import Task

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
            **_cost(provider, task, number),
        }
        for provider in PROVIDERS
        for number in ESTIMATES
    ]


def write(cards: Sequence[str], out: Path) -> str:
    """Write the costs of cards: all numbers as CSV, a table beside it."""
    frame = pd.DataFrame([row for card in cards for row in costs(card)])
    out.parent.mkdir(parents=True, exist_ok=True)
    frame.to_csv(out, index=False, float_format="%.6g")
    text = _PREFACE.format(priced=_source()) + table(frame)
    out.with_suffix(".md").write_text(text, encoding="utf-8")
    return text


def table(frame: pd.DataFrame) -> str:
    """Write a row per card."""
    models = list(frame["model"].unique())
    numbers = sorted(frame["estimates"].unique())
    heads = ["card", "features", "scores"]
    heads += [f"tokens {way}, {n}" for n in numbers for way in ("in", "out")]
    heads += [f"{model}, {n}" for model in models for n in numbers]
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for card, rows in frame.groupby("card", sort=False):
        shape = [f"{rows[name].iloc[0]}" for name in ("n_features", "n_scores")]
        lines.append(_line([str(card), *shape], rows, models, numbers))
    lines.append(_line(["all", "", ""], frame, models, numbers))
    return "\n".join(lines) + "\n"


def _line(
    heads: Sequence[str],
    rows: pd.DataFrame,
    models: Sequence[str],
    numbers: Sequence[int],
) -> str:
    """Add up rows of a table; the question is the same for every provider."""
    totals = rows.groupby(["model", "estimates"])
    tokens = totals[["tokens_in", "tokens_out"]].sum()
    dollars = totals["usd"].sum(min_count=1)
    cells = [f"{count:,}" for n in numbers for count in tokens.loc[(models[0], n)]]
    cells += [
        "-" if pd.isna(dollars[model, n]) else f"${dollars[model, n]:.3f}"
        for model in models
        for n in numbers
    ]
    return f"| {' | '.join([*heads, *cells])} |"


def _cost(
    provider: type[AnthropicProvider] | type[OpenAIProvider], task: Task, number: int
) -> dict[str, object]:
    """Estimate with an empty cache, and without the vendor's own count."""
    with tempfile.TemporaryDirectory() as empty:
        asked = provider(n_estimates=number, cache=empty, network="never")
        cost = asked.estimate_cost(task)
    return {
        "model": asked.model,
        "estimates": number,
        "requests": cost.requests,
        "tokens_in": cost.input_tokens,
        "tokens_out": cost.output_tokens,
        "usd": cost.usd,
    }


def _source() -> str:
    """Name the prices."""
    try:
        return f" of genai-prices {metadata.version('genai-prices')}"
    except metadata.PackageNotFoundError:
        return " (not known: genai-prices is not installed)"
