"""What asking costs: tokens by table and way of asking, and their price.

Tokens are those of `estimate_cost`, from the characters of the question and what an
answer has to hold; no request is sent. Beside them stand the recorded answers, put into
the form of a reply and counted by their characters in the same way.

    python -m benchmarks costs
    python -m benchmarks costs --cards titanic
    python -m benchmarks costs --report                      only the tables again
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from importlib import metadata
from typing import Any

import pandas as pd

from benchmarks.data.catalogue import RESULTS, cards_of, read_card, read_prior, task_of
from benchmarks.data.knowledge import recorded_knowledge
from benchmarks.data.results import ResultFile
from benchmarks.experiments.elicitation import count_tokens
from benchmarks.experiments.runner import add_out, keep
from benchmarks.programs import make_parser, publish, run_program
from benchmarks.reporting.tables import line, markdown
from llmreg.elicitation._cost import CHARACTERS_PER_TOKEN
from llmreg.providers import AnthropicProvider, OpenAIProvider

#: Ways of asking, with the number of estimates that is the default of each.
WAYS = {"curves": 2, "all": 5}
#: Who is asked: the defaults, and cheap models.
MODELS: Mapping[str, Any] = {
    AnthropicProvider().model: AnthropicProvider,
    OpenAIProvider().model: OpenAIProvider,
    "claude-haiku-5-5": AnthropicProvider,
    "gpt-6-luna": OpenAIProvider,
}
KEY = ("card", "ask", "model")
COLUMNS = (
    *(*KEY, "n_features", "estimates", "requests", "tokens_in", "tokens_out"),
    *("recorded_out", "usd", "run"),
)


def costs(card: str) -> Iterator[dict[str, Any]]:
    """Estimate what a card takes: a row for each way of asking and model.

    Tokens and dollars are those of all estimates, `recorded_out` that of one.
    """
    about = read_card(card)
    task = task_of(about)
    for ask, number in WAYS.items():
        said = len(json.dumps(recorded_reply(card, ask))) / CHARACTERS_PER_TOKEN
        for model, provider in MODELS.items():
            yield {
                "card": card,
                "ask": ask,
                "model": model,
                "n_features": len(about["features"]),
                "estimates": number,
                "recorded_out": round(said),
                **count_tokens(provider, task, number, ask=ask, model=model),
            }


def recorded_reply(card: str, ask: str) -> dict[str, Any]:
    """Put a recorded answer into the form of a reply; no reasons were recorded."""
    prior = read_prior(card) if ask == "all" else recorded_knowledge(card, [0])
    every: list[dict[str, Any]] = []
    for j, key in enumerate(prior.features):
        entry: dict[str, Any] = {"id": f"f{j}", "reason": ""}
        curve, scores = prior.curves.get(key), prior.scores[:, j]
        if curve is None:
            entry["scores"] = {f"o{k}": float(s) for k, s in enumerate(scores)}
        else:
            entry["range"] = [*prior.ranges[key][:3]] if key in prior.ranges else []
            entry["curve"] = {
                f"o{k}": [*map(list, zip(curve.values.tolist(), row, strict=True))]
                for k, row in enumerate(curve.effects.tolist())
            }
            entry["special"] = {output: [] for output in entry["curve"]}
        every.append(entry)
    return {"features": every}


def table_of(results: pd.DataFrame) -> str:
    """Write the mean of a task by way of asking, then a row per card."""
    models = list(results["model"].unique())
    heads = ["", "estimates", "tokens in", "tokens out", "recorded out"]
    heads += [f"US cents, {model}" for model in models]
    counted = ["tokens_in", "tokens_out"]
    rows, each = [], []
    for (ask, model), part in results.groupby(["ask", "model"], sort=False):
        number = int(part["estimates"].iloc[0])
        if model == models[0]:
            tokens = [*part[counted].mean(), number * part["recorded_out"].mean()]
            cells = [f"{count:,.0f}" for count in tokens]
            rows.append([f'`ask="{ask}"`', str(number), *cells])
            for row in part.itertuples():
                shape = (str(row.card), f'`ask="{ask}"`', str(row.n_features))
                found = (row.tokens_in, row.tokens_out, number * row.recorded_out)
                each.append([*shape, *(f"{count:,}" for count in found)])
        cents = 100 * part["usd"].mean()
        rows[-1].append("-" if pd.isna(cents) else f"{cents:.1f}")
    n_cards = results["card"].nunique()
    cards = markdown(line(["card", "", "features", *heads[2:5]]), each)
    return (
        f"## Per task\n\n{markdown(line(heads), rows)}\n"
        f"Means over {n_cards} tables, of all estimates; list prices of genai-prices, "
        "without what a model thinks and without the discount of a batch. Recorded "
        "answers have no reasons, which take up to 35 tokens a feature.\n\n"
        f"## By table\n\n{cards}"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program as `run_program` does."""
    return run_program(_run, _parser(), arguments)


def _run(given: argparse.Namespace) -> int:
    """Estimate all cards anew, which takes seconds, and write the tables."""
    file = ResultFile(given.out, COLUMNS, KEY)
    if not given.report:
        file.forget(file.finished())
        try:
            prices = f"genai-prices {metadata.version('genai-prices')}"
        except metadata.PackageNotFoundError:
            prices = "none"
        rows = (row for card in cards_of(given.cards) for row in costs(card))
        keep(file, rows, {"seed": 0, "prices": prices})
    publish(table_of(file.read()), given.out.with_suffix(".md"))
    return 0


def _parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = make_parser("costs", __doc__)
    add_out(parser, RESULTS / "costs.csv")
    about = "cards or groups of them (all)"
    parser.add_argument("--cards", nargs="+", default=["all"], help=about)
    return parser
