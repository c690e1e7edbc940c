"""What an elicitation will take, before it is paid for."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from operator import mul

from llmreg.elicitation._sampling import Request

# English prose has four to five characters a token, JSON and column names fewer.
CHARACTERS_PER_TOKEN = 3.5
# A reason of 20 words, an id, and the JSON around them; then each score. What a model
# thinks before it answers comes on top, and is not known before.
TOKENS_PER_FEATURE = 50
TOKENS_PER_SCORE = 8
# Beside these the knots of a curve, five or so, and a typical range. Digits are more
# tokens than their number of characters tells.
TOKENS_PER_CURVE = 60


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
        US dollars for `input_tokens` and `output_tokens`; None if unknown.

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
        if not self.requests:
            return "no request: nothing would be sent"
        price = "" if self.usd is None else f", about ${self.usd:.2f}"
        return (
            f"{self.requests} requests, {self.input_tokens:,} tokens in "
            f"({self.counted_by}), about {self.output_tokens:,} tokens out "
            f"({self.max_output_tokens:,} at most){price}"
        )


def add_up(
    requests: Sequence[Request], times: Sequence[int], counts: Sequence[int] | None
) -> Cost:
    """Add up the tokens of requests; without `counts` those sent are a guess."""
    asked = [request.questionnaire for request in requests]
    texts = (q.system + q.user + json.dumps(q.schema) for q in asked)
    sent = counts or [round(len(text) / CHARACTERS_PER_TOKEN) for text in texts]
    guessed = [
        (TOKENS_PER_FEATURE + TOKENS_PER_SCORE * len(q.task.outputs))
        * len(q.task.features)
        + TOKENS_PER_CURVE * q.n_curves
        for q in asked
    ]
    return Cost(
        requests=sum(times),
        input_tokens=sum(map(mul, sent, times)),
        output_tokens=sum(map(mul, guessed, times)),
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
