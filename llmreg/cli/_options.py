"""What an elicitation is about to take, in words and numbers, before it is sent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from sklearn.base import clone

from llmreg.elicitation._cost import Cost
from llmreg.elicitation._questions import Questionnaire
from llmreg.exceptions import ProviderError
from llmreg.prior._task import Task
from llmreg.providers import _resolve as registry


def make_provider(name: str, settings: dict[str, Any]) -> Any:
    """Make a provider by its name.

    Raises PriorError if there is none of that name.

    Raises ProviderError if it does not take a setting.

    Raises MissingDependencyError if what registers it cannot be imported.
    """
    provider = registry.make_provider(name)
    given = {key: value for key, value in settings.items() if value is not None}
    taken = provider.get_params(deep=False) if hasattr(provider, "get_params") else ()
    if strange := [key for key in given if key not in taken]:
        options = ", ".join(f"--{key.replace('_', '-')}" for key in strange)
        raise ProviderError(f"The provider {name!r} does not take {options}.")
    return provider.set_params(**given) if given else provider


# For providers that do not estimate their cost: characters of a token, and tokens of
# the answer for one feature.
CHARACTERS = 3.5
ANSWER = 60
# What vendors take for a batch, as a share of the price of single requests.
BATCH_PRICE = 0.5


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


def make_plan(provider: Any, task: Task, *, batch: bool = False) -> Plan:
    """Say what an elicitation will take; nothing is sent."""
    if hasattr(provider, "estimate_cost"):
        if "network" in getattr(provider, "get_params", dict)():
            # A vendor that counts tokens is told the question. Nobody has agreed to
            # that yet, so the count is a guess.
            provider = clone(provider).set_params(network="never")
        cost = provider.estimate_cost(task)
        if batch and isinstance(cost, Cost) and cost.usd is not None:
            cost = replace(cost, usd=BATCH_PRICE * cost.usd)
        return Plan(cost.requests, cost.input_tokens + cost.output_tokens, str(cost))
    n_estimates = getattr(provider, "n_estimates", 1)
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
