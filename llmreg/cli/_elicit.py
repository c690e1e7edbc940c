"""`llmreg elicit`: ask a language model about tables, once, and write prior cards."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from llmreg._utils._text import clean_text, list_names
from llmreg.cli._cards import draw
from llmreg.cli._provider import (
    NEW,
    Plan,
    add_plans,
    check_batches,
    fill_cache,
    make_plan,
    make_provider,
)
from llmreg.cli._tables import Table, add_tables, read_tables
from llmreg.cli._terminal import Progress, confirm
from llmreg.elicitation._prompt import check_distinct
from llmreg.elicitation._questions import WAYS, Questionnaire
from llmreg.exceptions import ProviderError
from llmreg.prior._task import Task
from llmreg.providers import PriorCache

LIMIT = 100_000
NAME_WIDTH = 40
MOST_NAMED = 12

# Options that are parameters of providers, under the same names.
SETTINGS = ("model", "base_url", "n_estimates", "ask", "send_levels", "cache")


class WatchedCache(PriorCache):
    """A cache that counts the answers as they come in."""

    def __init__(self, cache: PriorCache, progress: Progress) -> None:
        super().__init__(cache.folder)
        self.progress = progress

    def put(self, key: str, content: Any) -> None:
        """Write an entry, and count it."""
        super().put(key, content)
        self.progress.step()


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
    text = "all features at once, each column by itself, or a ranking with signs"
    add("--ask", choices=list(WAYS), help=text)
    add(
        "--send-levels",
        action=argparse.BooleanOptionalAction,
        help="whether names of levels, which are values of the table, are sent; "
        "without them levels have no score (default: they are)",
    )
    add("--cache", type=Path, help="the folder of the cache")
    add(
        "--batch",
        nargs="?",
        const=NEW,
        metavar="ID",
        help="ask through the vendor's batches, at half the price, and wait for the "
        "answers, which may take hours; with an ID, for those of an earlier batch",
    )
    text = "ask before spending more tokens than this (default: %(default)s)"
    add("--limit", type=int, default=LIMIT, help=text)
    add("--yes", action="store_true", help="do not ask before spending")
    text = "print all that would be sent, and stop"
    add("--dry-run", action="store_true", help=text)


def run(arguments: argparse.Namespace) -> None:
    """Run the command."""
    tables = read_tables(arguments)
    provider = make_provider(
        arguments.provider, {name: getattr(arguments, name) for name in SETTINGS}
    )
    batch = arguments.batch is not None
    if batch:
        check_batches(provider)
    if arguments.dry_run:
        sent = [request for t in tables for request in _sent(provider, t.task)]
        sys.stdout.write(json.dumps(sent, indent=2, default=str) + "\n")
        return
    if hasattr(provider, "check_ready"):
        for table in tables:
            provider.check_ready(table.task)
    plans = [make_plan(provider, table.task, batch=batch) for table in tables]
    for table, plan in zip(tables, plans, strict=True):
        sys.stderr.write(_summary(provider, table, plan, batch))
    total = add_plans(plans)
    if len(tables) > 1:
        sys.stderr.write(f"in all: {total.text}\n")
    # A batch that was sent earlier has been paid for.
    if arguments.batch in {None, NEW}:
        _agree(total, arguments)
    if batch:
        fill_cache(provider, [table.task for table in tables], arguments.batch)
        # What a batch was to answer is not paid for at the full price.
        provider.set_params(network="never")
    _ask(provider, tables, total)


def _ask(provider: Any, tables: Sequence[Table], plan: Plan) -> None:
    """Ask for what is not in the cache; show and keep each prior as it comes."""
    with closing(Progress(plan.requests)) as progress:
        if hasattr(provider, "cache") and hasattr(provider, "set_params"):
            kept = PriorCache.of(provider.cache)
            provider.set_params(cache=WatchedCache(kept, progress))
        for table in tables:
            prior = provider.elicit(table.task)
            prior.write(table.card)
            sys.stdout.write(draw(prior))
            used = ", ".join(
                f"{n} {name.replace('_', ' ')}" for name, n in prior.usage.items()
            )
            sys.stderr.write(f"wrote {table.card}; {used or 'nothing was counted'}\n")


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
