"""`llmreg elicit`: ask a language model about tables, once, and write prior cards."""

from __future__ import annotations

import argparse
import json
import sys
import threading
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any, NamedTuple

from llmreg._utils._files import expand
from llmreg._utils._text import clean_text, escape, list_names
from llmreg.cli._cache import confirm
from llmreg.cli._cards import draw
from llmreg.cli._tables import Table, add_tables, read_tables
from llmreg.elicitation._cost import Cost, add_up
from llmreg.elicitation._prompt import check_distinct
from llmreg.elicitation._questions import WAYS, Questionnaire
from llmreg.elicitation._sampling import Request
from llmreg.exceptions import ProviderError
from llmreg.prior._task import Task
from llmreg.providers import PriorCache
from llmreg.providers import _resolve as registry
from llmreg.providers._base import offline, optional
from llmreg.providers._batch import Batching, collect_batch, count_lacking, submit_batch

LIMIT = 100_000
NAME_WIDTH = 40
MOST_NAMED = 12
# What the option `--batch` means without the id of a batch.
NEW = "new"
# What vendors take for a batch, as a share of the price of single requests.
BATCH_PRICE = 0.5
# Options that are parameters of providers, under the same names.
SETTINGS = ("model", "base_url", "n_estimates", "ask", "send_levels", "cache")


class Plan(NamedTuple):
    """What an elicitation will take: tokens in and out, and all of it in words."""

    requests: int
    tokens: int
    text: str


class WatchedCache(PriorCache):
    """A cache that tells on stderr how many answers have come in."""

    def __init__(self, cache: PriorCache, total: int) -> None:
        super().__init__(cache.folder)
        self.total = total
        self.count = 0
        self._counting = threading.Lock()

    def put(self, key: str, content: Any) -> None:
        """Write an entry, and count it, from any thread."""
        super().put(key, content)
        start, end = ("\r", "") if sys.stderr.isatty() else ("", "\n")
        with self._counting:
            self.count += 1
            of = f" of {self.total}" if self.total else ""
            sys.stderr.write(f"{start}answers: {self.count}{of}{end}")
            sys.stderr.flush()

    def close(self) -> None:
        """End the line."""
        if self.count and sys.stderr.isatty():
            sys.stderr.write("\n")


def add(commands: Any) -> None:
    """Describe the command."""
    parser = commands.add_parser(
        "elicit",
        help="ask a language model for the prior of a table",
        description="Ask a language model how the columns of a table bear on its "
        "target, and write a prior card. Names, types and levels of the columns are "
        "read from the table; no row, number or label leaves it. Several tables are "
        "asked about one after the other, or together with --batch.",
    )
    parser.set_defaults(run=run)
    add_tables(parser)
    add = parser.add_argument
    add("--provider", required=True, help="such as anthropic")
    add("--model", help="the model to ask")
    add("--base-url", help="another address of the provider")
    add("--n-estimates", type=_count, help="answers to average")
    text = "scores of all features at once, response curves with typical ranges and "
    text += "base rates, each column by itself, or a ranking with signs"
    add("--ask", choices=list(WAYS), help=text)
    text = "whether names of levels, which are values of the table, are sent; without "
    text += "them levels have no score (default: they are)"
    add("--send-levels", action=argparse.BooleanOptionalAction, help=text)
    add("--cache", type=expand, help="the folder of the cache")
    text = "ask through the vendor's batches, at half the price, and wait for the "
    text += "answers, which may take hours; with an ID, for those of an earlier batch"
    add("--batch", nargs="?", const=NEW, metavar="ID", help=text)
    text = "ask before spending more tokens than this (default: %(default)s)"
    add("--limit", type=int, default=LIMIT, help=text)
    add("--yes", action="store_true", help="do not ask before spending")
    text = "print all that would be sent, and stop"
    add("--dry-run", action="store_true", help=text)

    text = "list the models of a provider, and which are to be shut down"
    parser = commands.add_parser("models", help=text, description=text.capitalize())
    parser.set_defaults(run=run_models)
    parser.add_argument("--provider", required=True, help="such as anthropic")
    parser.add_argument("--base-url", help="another address of the provider")


def run_models(arguments: argparse.Namespace) -> None:
    """Run `llmreg models`."""
    provider = make_provider(arguments.provider, {"base_url": arguments.base_url})
    if not hasattr(provider, "models"):
        raise ProviderError(f"{type(provider).__name__} has no list of models.")
    for name, fate in provider.models().items():
        notes = [fate, "the default" if name == provider.model else ""]
        told = ", ".join(filter(None, notes))
        sys.stdout.write(escape(f"{name}{told and ': '}{told}") + "\n")


def run(arguments: argparse.Namespace) -> None:
    """Run the command."""
    tables = read_tables(arguments)
    settings = {name: getattr(arguments, name) for name in SETTINGS}
    provider = make_provider(arguments.provider, settings)
    batch = arguments.batch is not None
    if batch and not isinstance(provider, Batching):
        raise ProviderError(
            f"{type(provider).__name__} has no batch interface that llmreg knows; "
            "--provider anthropic and openai have one. Leave --batch out."
        )
    if arguments.dry_run:
        sent = [request for t in tables for request in _sent(provider, t.task)]
        sys.stdout.write(json.dumps(sent, indent=2, default=str) + "\n")
        return
    if hasattr(provider, "check_ready"):
        for table in tables:
            provider.check_ready(table.task)
    plans = [make_plan(provider, table.task, batch=batch) for table in tables]
    for table, plan in zip(tables, plans, strict=True):
        sys.stderr.write(escape(_summary(provider, table, plan, batch), keep="\n"))
    n_requests = sum(plan.requests for plan in plans)
    n_tokens = sum(plan.tokens for plan in plans)
    if len(tables) > 1:
        sys.stderr.write(
            f"in all: {n_requests} requests, about {n_tokens:,} tokens in and out\n"
        )
    # A batch that was sent earlier has been paid for.
    if arguments.batch in {None, NEW}:
        _agree(n_tokens, arguments)
    if batch:
        fill_cache(provider, [table.task for table in tables], arguments.batch)
        # What a batch was to answer is not paid for at the full price.
        provider.set_params(network="never")
    _ask(provider, tables, n_requests)


def make_provider(name: str, settings: dict[str, Any]) -> Any:
    """Make a provider by its name; None is a setting that is not given."""
    provider = registry.make_provider(name)
    given = {key: value for key, value in settings.items() if value is not None}
    taken = provider.get_params(deep=False) if hasattr(provider, "get_params") else ()
    if strange := [key for key in given if key not in taken]:
        options = ", ".join(f"--{key.replace('_', '-')}" for key in strange)
        raise ProviderError(f"The provider {name!r} does not take {options}.")
    return provider.set_params(**given) if given else provider


def make_plan(provider: Any, task: Task, *, batch: bool = False) -> Plan:
    """Say what an elicitation will take; nothing is sent."""
    if hasattr(provider, "estimate_cost"):
        # A vendor that counts tokens receives the question, which nobody has agreed to
        # yet: the count is a guess.
        cost = optional(offline(provider), "estimate_cost", task)
        if batch and isinstance(cost, Cost) and cost.usd is not None:
            cost = replace(cost, usd=BATCH_PRICE * cost.usd)
        return Plan(cost.requests, cost.input_tokens + cost.output_tokens, str(cost))
    n_estimates = getattr(provider, "n_estimates", 1)
    check_distinct(task)
    cost = add_up([Request(Questionnaire(task), 0, 0.0)], [n_estimates], None)
    tokens = cost.input_tokens + cost.output_tokens
    text = f"at most {n_estimates} requests, about {tokens:,} tokens in and out"
    return Plan(n_estimates, tokens, text)


def fill_cache(provider: Any, tasks: Sequence[Task], batch: str = NEW) -> None:
    """Put the answers about some tasks into the cache, through batches."""
    while count_lacking(provider, tasks):
        name = batch if batch != NEW else submit_batch(provider, tasks)
        # The server has made it up.
        shown = clean_text(str(name), NAME_WIDTH)
        sys.stderr.write(
            f"batch {shown}: waiting for its end, which may take hours; you may "
            f"interrupt this, and collect it later with --batch {shown}\n"
        )
        report = collect_batch(provider, tasks, str(name))
        sys.stderr.write(f"batch {shown}: {report.kept} answers\n")
        # With n_estimates="auto" a batch is one round, and the next may be needed.
        # Only somebody who asks for a new batch has agreed to pay for it.
        if batch == NEW and report.kept and not report.failed:
            continue
        if lacking := count_lacking(provider, tasks):
            told = "; ".join(f"{who}: {why}" for who, why in report.failed.items())
            raise ProviderError(
                f"After the batch {shown} {lacking} answers are lacking"
                f"{f' ({told})' if told else ''}. The others are in the cache. Run the "
                "same command with --batch and no id to ask for these in a new batch, "
                "or without --batch to ask at once, which also helps against replies "
                "that were cut off. A batch for other tables or options has no answer "
                "to these."
            )


def _ask(provider: Any, tables: Sequence[Table], n_requests: int) -> None:
    """Ask for what is not in the cache; show and keep each prior as it comes."""
    kept = PriorCache.of(getattr(provider, "cache", None))
    with closing(WatchedCache(kept, n_requests)) as watched:
        if hasattr(provider, "cache") and hasattr(provider, "set_params"):
            provider.set_params(cache=watched)
        for table in tables:
            prior = provider.elicit(table.task)
            prior.write(table.card)
            sys.stdout.write(draw(prior))
            used = ", ".join(
                f"{n} {name.replace('_', ' ')}" for name, n in prior.usage.items()
            )
            card = escape(str(table.card))
            sys.stderr.write(f"wrote {card}; {used or 'nothing was counted'}\n")


def _agree(n_tokens: int, arguments: argparse.Namespace) -> None:
    """Go on only if the cost is small, or somebody says so."""
    if arguments.yes or n_tokens <= arguments.limit:
        return
    if not confirm(f"That is more than {arguments.limit:,} tokens. Ask?"):
        raise ProviderError(
            f"Nothing was asked: about {n_tokens:,} tokens are more than the limit "
            f"of {arguments.limit:,}. Say yes to the question, pass --yes, or raise "
            "--limit."
        )


def _summary(provider: Any, table: Table, plan: Plan, batch: bool) -> str:
    """Say who is about to be told what."""
    who, task = type(provider).__name__, table.task
    if model := getattr(provider, "model", ""):
        who += f" ({model})"
    if batch:
        who += " in a batch, at half the price"
    names = list_names(task.keys, MOST_NAMED, lambda key: clean_text(key, NAME_WIDTH))
    classes = ", ".join(clean_text(name, NAME_WIDTH) for name in task.classes)
    n_described = sum(bool(f.description or f.level_description) for f in task.features)
    lines = [
        f"asking {who}: {plan.text}",
        f"  task: {clean_text(task.description, 200) or '(none given)'}",
        f"  target: {clean_text(task.target, NAME_WIDTH)}"
        + (f", classes: {classes}" if classes else ""),
        f"  {len(task.keys)} features, {n_described} described: {names}",
        f"  no row of {table.path.name} is sent; --dry-run prints all that is",
    ]
    if getattr(provider, "send_levels", True) is False:
        lines.append("  names of levels are not sent, and get no score")
    return "\n".join(lines) + "\n"


def _sent(provider: Any, task: Task) -> list[dict[str, Any]]:
    """Give the requests about a task; of a provider that cannot tell, the question."""
    if hasattr(provider, "preview"):
        shown: list[dict[str, Any]] = provider.preview(task)
        return shown
    check_distinct(task)
    asked = Questionnaire(task)
    return [{"system": asked.system, "user": asked.user, "schema": asked.schema}]


def _count(text: str) -> Any:
    """Read a number of estimates; a word, such as auto, is the provider's matter."""
    return int(text) if text.isdecimal() else text
