"""What an elicitation will take, before it is paid for."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from operator import mul
from typing import Any, NamedTuple

from llmreg.elicitation._prompt import Questionnaire
from llmreg.elicitation._sampling import Request
from llmreg.prior._task import Task

# English prose has four to five characters a token, JSON and column names fewer.
CHARACTERS_PER_TOKEN = 3.5
# A reason of 20 words, an id, and the JSON around them; then each score. What a model
# thinks before it answers comes on top, and nobody knows it before.
TOKENS_PER_FEATURE = 50
TOKENS_PER_SCORE = 8


@dataclass(frozen=True)
class Cost:
    """What an elicitation will take.

    Parameters
    ----------
    requests : int
        Requests to be sent; retries not included.
    input_tokens : int
        Tokens of all requests together.
    output_tokens : int
        Tokens of all replies together: a guess, without what the model thinks.
    max_output_tokens : int
        The most that the replies may take, thinking included.
    counted_by : str
        Who counted `input_tokens`: "the vendor", or "a rough guess".
    usd : float or None, default=None
        US dollars for `input_tokens` and `output_tokens`; None where nobody knows.

    Examples
    --------
    >>> from llmreg.providers import Cost
    >>> print(Cost(5, 4000, 900, 40960, "a rough guess"))
    5 requests, 4,000 tokens in (a rough guess), about 900 tokens out (40,960 at most)
    """

    requests: int
    input_tokens: int
    output_tokens: int
    max_output_tokens: int
    counted_by: str
    usd: float | None = None

    def __str__(self) -> str:
        """Say it in a line."""
        price = "" if self.usd is None else f", about ${self.usd:.2f}"
        return (
            f"{self.requests} requests, {self.input_tokens:,} tokens in "
            f"({self.counted_by}), about {self.output_tokens:,} tokens out "
            f"({self.max_output_tokens:,} at most){price}"
        )


class Tokens(NamedTuple):
    """Tokens of one request and its reply."""

    input_tokens: int
    output_tokens: int


def count_roughly(asked: Questionnaire) -> Tokens:
    """Guess the tokens of a request and of its reply."""
    schema = json.dumps(asked.schema)
    n_characters = len(asked.system) + len(asked.user) + len(schema)
    document: dict[str, Any] = json.loads(asked.user)
    per_feature = TOKENS_PER_FEATURE + TOKENS_PER_SCORE * len(document["outputs"])
    return Tokens(
        round(n_characters / CHARACTERS_PER_TOKEN),
        per_feature * len(document["features"]),
    )


def add_up(
    requests: Sequence[Request], times: Sequence[int], counts: Sequence[int] | None
) -> Cost:
    """Add the tokens of requests up."""
    guessed = [count_roughly(request.questionnaire) for request in requests]
    sent = [g.input_tokens for g in guessed] if counts is None else counts
    return Cost(
        requests=sum(times),
        input_tokens=sum(map(mul, sent, times)),
        output_tokens=sum(map(mul, [g.output_tokens for g in guessed], times)),
        max_output_tokens=sum(map(mul, [r.max_tokens for r in requests], times)),
        counted_by="a rough guess" if counts is None else "the vendor",
    )


def total(costs: Sequence[Cost]) -> Cost:
    """Add the costs of several providers up."""
    asked = [cost for cost in costs if cost.requests]
    counters = {cost.counted_by for cost in asked}
    prices = [cost.usd for cost in asked if cost.usd is not None]
    return Cost(
        requests=sum(cost.requests for cost in asked),
        input_tokens=sum(cost.input_tokens for cost in asked),
        output_tokens=sum(cost.output_tokens for cost in asked),
        max_output_tokens=sum(cost.max_output_tokens for cost in asked),
        counted_by=counters.pop() if len(counters) == 1 else "a rough guess",
        usd=sum(prices) if len(prices) == len(asked) else None,
    )


def price(cost: Cost, model: str) -> Cost:
    """Add what the tokens cost, if the package ``genai-prices`` knows it."""
    try:
        import genai_prices
    except ImportError:
        return cost
    usage = genai_prices.Usage(
        input_tokens=cost.input_tokens, output_tokens=cost.output_tokens
    )
    try:
        calculated = genai_prices.calc_price(usage, model)
    except LookupError:
        return cost
    return replace(cost, usd=float(calculated.total_price))


class ForecastMixin:
    """Add `preview` and `estimate_cost` to a provider that asks a language model.

    A vendor's class may say more: how its SDK words a request (`_preview`), and how
    many tokens its own counter finds (`_count_tokens`).
    """

    def preview(self: Any, task: Task) -> list[dict[str, Any]]:
        """Show what would be sent for a task; nothing is sent, and no key is needed.

        Parameters
        ----------
        task : Task
            What is predicted from what.

        Returns
        -------
        list of dict
            The requests. "body" is the whole JSON body; "times" is how often it is
            sent, each time for an estimate of its own: the most, for
            ``n_estimates="auto"``. What is in the cache is not sent, and not here.
            A reply that cannot be used may lead to further requests: the same again,
            with more room, or for half the features.
        """
        self._validate_params()
        to_send = self._survey(task).to_send()
        shown = self._preview([self._request(question) for question, _ in to_send])
        return [
            {**request, "times": times}
            for request, (_, times) in zip(shown, to_send, strict=True)
        ]

    def estimate_cost(self: Any, task: Task) -> Cost:
        """Count the tokens that a task would take; no model is asked.

        Parameters
        ----------
        task : Task
            What is predicted from what.

        Returns
        -------
        Cost
            Requests and tokens of what is not in the cache. The tokens of the
            questions are counted by the vendor where it offers that and credentials
            are found, and are a rough guess otherwise; those of the replies always
            are a guess. US dollars where the package ``genai-prices`` is installed
            and knows the model. With ``network="never"`` all of it is a guess.
        """
        self._validate_params()
        to_send = self._survey(task).to_send()
        requests = [self._request(question) for question, _ in to_send]
        times = [times for _, times in to_send]
        # Counting is a request too, though the model is not asked.
        counts = None if self.network == "never" else self._count_tokens(requests)
        return price(add_up(requests, times, counts), str(self._settings()["model"]))

    def _preview(self: Any, requests: Sequence[Request]) -> list[dict[str, Any]]:
        """Show what `_complete` sends, "body" at least; vendors know better."""
        return [
            {
                "body": {
                    "model": self.model,
                    "system": request.questionnaire.system,
                    "user": request.questionnaire.user,
                    "schema": request.questionnaire.schema,
                    "max_tokens": request.max_tokens,
                }
            }
            for request in requests
        ]

    def _count_tokens(self, requests: Sequence[Request]) -> list[int] | None:
        """Count the tokens of requests; None where the vendor cannot be asked."""
        return None
