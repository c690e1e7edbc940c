"""The provider of `llmreg elicit`: made, priced, and asked through batches."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from sklearn.base import clone

from llmreg.elicitation._cost import Cost
from llmreg.elicitation._prompt import check_distinct
from llmreg.elicitation._questions import Questionnaire
from llmreg.exceptions import ProviderError
from llmreg.prior._task import Task
from llmreg.providers import _resolve as registry
from llmreg.providers._anthropic import AnthropicProvider
from llmreg.providers._anthropic_batch import (
    collect_batch,
    count_lacking,
    submit_batch,
)

# What the option `--batch` means without the id of a batch.
NEW = "new"
# What vendors take for a batch, as a share of the price of single requests.
BATCH_PRICE = 0.5
# For providers that do not estimate their cost: characters of a token, and tokens of
# the answer for one feature.
CHARACTERS = 3.5
ANSWER = 60


class Plan(NamedTuple):
    """What an elicitation will take: tokens in and out, and all of it in words."""

    requests: int
    tokens: int
    text: str


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
        if "network" in getattr(provider, "get_params", dict)():
            # A vendor that counts tokens receives the question, which nobody has
            # agreed to yet: the count is a guess.
            provider = clone(provider).set_params(network="never")
        cost = provider.estimate_cost(task)
        if batch and isinstance(cost, Cost) and cost.usd is not None:
            cost = replace(cost, usd=BATCH_PRICE * cost.usd)
        return Plan(cost.requests, cost.input_tokens + cost.output_tokens, str(cost))
    n_estimates = getattr(provider, "n_estimates", 1)
    check_distinct(task)
    asked = Questionnaire(task)
    answer = ANSWER * len(task.features) * len(task.outputs)
    question = (len(asked.system) + len(asked.user)) / CHARACTERS
    tokens = round(n_estimates * (question + answer))
    text = f"at most {n_estimates} requests, about {tokens:,} tokens in and out"
    return Plan(n_estimates, tokens, text)


def add_plans(plans: Sequence[Plan]) -> Plan:
    """Add plans up."""
    if len(plans) == 1:
        return plans[0]
    requests, tokens = sum(p.requests for p in plans), sum(p.tokens for p in plans)
    text = f"{requests} requests, about {tokens:,} tokens in and out"
    return Plan(requests, tokens, text)


def check_batches(provider: Any) -> None:
    """Refuse a provider whose vendor has no batches that llmreg knows."""
    if not isinstance(provider, AnthropicProvider):
        raise ProviderError(
            f"{type(provider).__name__} has no batch interface that llmreg knows; "
            "--provider anthropic has one. Leave --batch out."
        )


def fill_cache(provider: Any, tasks: Sequence[Task], batch: str = NEW) -> None:
    """Put the answers about some tasks into the cache, through batches."""
    while count_lacking(provider, tasks):
        name = batch if batch != NEW else submit_batch(provider, tasks)
        sys.stderr.write(
            f"batch {name}: waiting for its end, which may take hours; you may "
            f"interrupt this, and collect it later with --batch {name}\n"
        )
        report = collect_batch(provider, tasks, str(name))
        sys.stderr.write(f"batch {name}: {report.kept} answers\n")
        # With n_estimates="auto" a batch is one round, and the next may be needed.
        # Only somebody who asks for a new batch has agreed to pay for it.
        if batch == NEW and report.kept and not report.failed:
            continue
        if lacking := count_lacking(provider, tasks):
            told = "; ".join(f"{who}: {why}" for who, why in report.failed.items())
            raise ProviderError(
                f"After the batch {name} {lacking} answers are lacking"
                f"{f' ({told})' if told else ''}. The others are in the cache. Run the "
                "same command with --batch and no id to ask for these in a new batch, "
                "or without --batch to ask at once, which also helps against replies "
                "that were cut off. A batch for other tables or options has no answer "
                "to these."
            )
