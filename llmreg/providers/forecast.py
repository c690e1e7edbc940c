"""What a provider would send, and what that would take, before anything is sent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llmreg.providers.costs import Cost, add_up, price
from llmreg.providers.interview import Request
from llmreg.task import Task


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
