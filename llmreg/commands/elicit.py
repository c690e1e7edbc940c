"""`llmreg elicit`: ask a language model about a table, once, and write a prior card."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any, NamedTuple

from sklearn.base import clone

from llmreg.commands.show import draw
from llmreg.commands.table import read_descriptions, read_task
from llmreg.commands.terminal import Progress, confirm
from llmreg.commands.vendors import make_provider
from llmreg.exceptions import DataError, ProviderError
from llmreg.prompting import build_questionnaire, clean_text
from llmreg.providers import PriorCache
from llmreg.task import Task

LIMIT = 100_000
NAME_WIDTH = 40
MOST_NAMED = 12

# For providers that do not estimate their cost: characters of a token, and tokens of
# the answer for one feature.
CHARACTERS = 3.5
ANSWER = 60


class Plan(NamedTuple):
    """What an elicitation is about to take.

    Parameters
    ----------
    requests, tokens : int
        How many; tokens in and out together.
    text : str
        The same in words.
    """

    requests: int
    tokens: int
    text: str


class WatchedCache(PriorCache):
    """A cache that counts the answers as they come in.

    Parameters
    ----------
    cache : PriorCache
        Where they are kept.
    progress : Progress
        What counts.
    """

    def __init__(self, cache: PriorCache, progress: Progress) -> None:
        super().__init__(cache.folder)
        self.progress = progress

    def put(self, key: str, content: Any) -> None:
        """Write an entry, and count it.

        Parameters
        ----------
        key : str
            Hexadecimal digits.
        content : mapping
            The answer.
        """
        super().put(key, content)
        self.progress.step()


def add(commands: Any) -> None:
    """Describe the command.

    Parameters
    ----------
    commands : argparse sub-parsers
        What the command is added to.
    """
    parser = commands.add_parser(
        "elicit",
        help="ask a language model for the prior of a table",
        description="Ask a language model how the columns of a table bear on its "
        "target, and write a prior card. Names, types and levels of the columns are "
        "read from the table; no row, number or label leaves it.",
    )
    parser.set_defaults(run=run)
    parser.add_argument("table", type=Path, help="a CSV file with a header")
    parser.add_argument("--target", required=True, help="the column to be predicted")
    parser.add_argument("--task", default="", help="the task in a sentence")
    parser.add_argument("--provider", required=True, help="such as anthropic")
    parser.add_argument("--model", help="the model to ask")
    parser.add_argument("--base-url", help="another address of the provider")
    parser.add_argument("--n-estimates", type=_count, help="answers to average")
    parser.add_argument(
        "--descriptions", type=Path, help="a JSON file: what features mean, by name"
    )
    parser.add_argument("--kind", choices=["classification", "regression"])
    parser.add_argument(
        "--drop", action="append", default=[], help="a column that is no feature"
    )
    parser.add_argument(
        "-o", "--output", type=Path, default=Path("prior.json"), help="the card"
    )
    parser.add_argument("--cache", type=Path, help="the folder of the cache")
    parser.add_argument(
        "--limit",
        type=int,
        default=LIMIT,
        help="ask before spending more tokens than this (default: %(default)s)",
    )
    parser.add_argument("--yes", action="store_true", help="do not ask before spending")
    parser.add_argument(
        "--dry-run", action="store_true", help="print all that would be sent, and stop"
    )


def run(arguments: argparse.Namespace) -> None:
    """Run the command.

    Parameters
    ----------
    arguments : argparse.Namespace
        What the command line says.

    Raises
    ------
    ProviderError
        If it would cost more than the limit and nobody agrees, or the provider fails.
    """
    task = read_task(
        arguments.table,
        arguments.target,
        description=arguments.task,
        descriptions=read_descriptions(arguments.descriptions),
        kind=arguments.kind,
        drop=arguments.drop,
    )
    provider = make_provider(
        arguments.provider,
        {
            "model": arguments.model,
            "base_url": arguments.base_url,
            "n_estimates": arguments.n_estimates,
            "cache": arguments.cache,
        },
    )
    if arguments.dry_run:
        sys.stdout.write(_all_that_is_sent(provider, task))
        return
    if not arguments.output.absolute().parent.is_dir():
        raise DataError(f"The folder of {str(arguments.output)!r} is not there.")
    if hasattr(provider, "check_ready"):
        provider.check_ready(task)
    plan = make_plan(provider, task)
    sys.stderr.write(_summary(provider, task, plan, arguments.table))
    _agree(plan, arguments)
    with Progress("answers", plan.requests) as progress:
        if hasattr(provider, "cache") and hasattr(provider, "set_params"):
            kept = PriorCache.of(provider.cache)
            provider.set_params(cache=WatchedCache(kept, progress))
        prior = provider.elicit(task)
    prior.write(arguments.output)
    sys.stdout.write(draw(prior))
    used = ", ".join(f"{n} {name.replace('_', ' ')}" for name, n in prior.usage.items())
    sys.stderr.write(f"wrote {arguments.output}; {used or 'nothing was counted'}\n")


def make_plan(provider: Any, task: Task) -> Plan:
    """Say what an elicitation will take; nothing is sent.

    Parameters
    ----------
    provider : object with an ``elicit`` method
        Who would be asked; its own `estimate_cost` is used if it has one.
    task : Task
        What about.

    Returns
    -------
    Plan
        Requests and tokens.
    """
    if hasattr(provider, "estimate_cost"):
        if hasattr(provider, "network"):
            # A vendor that counts tokens is told the question. Nobody has agreed to
            # that yet, so the count is a guess.
            provider = clone(provider).set_params(network="never")
        cost = provider.estimate_cost(task)
        return Plan(cost.requests, cost.input_tokens + cost.output_tokens, str(cost))
    n_estimates = getattr(provider, "n_estimates", 1)
    asked = build_questionnaire(task)
    answer = ANSWER * len(task.features) * len(task.outputs)
    question = (len(asked.system) + len(asked.user)) / CHARACTERS
    tokens = round(n_estimates * (question + answer))
    text = f"at most {n_estimates} requests, about {tokens:,} tokens in and out"
    return Plan(n_estimates, tokens, text)


def _agree(plan: Plan, arguments: argparse.Namespace) -> None:
    """Go on only if the cost is small, or somebody says so."""
    if arguments.yes or plan.tokens <= arguments.limit:
        return
    if not confirm(f"That is more than {arguments.limit:,} tokens. Ask?"):
        raise ProviderError(
            f"Nothing was asked: about {plan.tokens:,} tokens are more than the limit "
            f"of {arguments.limit:,}. Say yes to the question, pass --yes, or raise "
            "--limit."
        )


def _summary(provider: Any, task: Task, plan: Plan, table: Path) -> str:
    """Say who is about to be told what."""
    who = type(provider).__name__
    if model := getattr(provider, "model", ""):
        who += f" ({model})"
    names = [clean_text(key, NAME_WIDTH) for key in task.keys[:MOST_NAMED]]
    if len(task.keys) > MOST_NAMED:
        names.append(f"and {len(task.keys) - MOST_NAMED} more")
    classes = ", ".join(clean_text(name, NAME_WIDTH) for name in task.classes)
    n_described = sum(bool(f.description or f.level_description) for f in task.features)
    lines = [
        f"asking {who}: {plan.text}",
        f"  task: {clean_text(task.description, 200) or '(none given)'}",
        f"  target: {clean_text(task.target, NAME_WIDTH)}"
        + (f", classes: {classes}" if classes else ""),
        f"  {len(task.keys)} features, {n_described} described: {', '.join(names)}",
        f"  no row of {table.name} is sent; --dry-run prints all that is",
    ]
    return "\n".join(lines) + "\n"


def _all_that_is_sent(provider: Any, task: Task) -> str:
    """Give the requests as JSON; of a provider that cannot tell, the question."""
    if hasattr(provider, "preview"):
        sent = provider.preview(task)
    else:
        asked = build_questionnaire(task)
        sent = [{"system": asked.system, "user": asked.user, "schema": asked.schema}]
    return json.dumps(sent, indent=2, default=str) + "\n"


def _count(text: str) -> Any:
    """Read a number of estimates; a word, such as auto, is the provider's matter."""
    return int(text) if text.isdecimal() else text
