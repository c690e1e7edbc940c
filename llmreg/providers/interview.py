"""Asking a language model: several estimates side by side, each one checked.

A vendor's file turns a `Request` into a `Completion`. What happens around that is
the same for every vendor and lives here: retries within one budget, a second try with
more room for a reply that was cut off, one more for a reply that cannot be used.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Literal

from llmreg.exceptions import (
    MissingKeyError,
    ProviderAuthenticationError,
    ProviderRefusalError,
    ProviderResponseError,
    TruncatedReplyError,
)
from llmreg.prompting import Answer, Questionnaire, parse_reply
from llmreg.providers.retry import RetryPolicy
from llmreg.task import Task

logger = logging.getLogger(__name__)

FATAL = (MissingKeyError, ProviderAuthenticationError)


@dataclass(frozen=True)
class Request:
    """One request to a language model.

    Parameters
    ----------
    questionnaire : Questionnaire
        What is asked: system text, user text and the JSON schema of the reply.
    max_tokens : int
        The most tokens of the reply, thinking included.
    timeout : float
        Seconds left for it.
    """

    questionnaire: Questionnaire
    max_tokens: int
    timeout: float


@dataclass(frozen=True)
class Completion:
    """What a vendor's model replied.

    Parameters
    ----------
    text : str
        The reply.
    stop : {"end", "length", "refusal"}
        Why it ended: complete, cut off, or declined.
    model : str
        The model that answered.
    usage : mapping of str to int, default={}
        Tokens, such as ``input_tokens`` and ``output_tokens``.
    """

    text: str
    stop: Literal["end", "length", "refusal"]
    model: str
    usage: Mapping[str, int] = field(default_factory=dict)


class Interview:
    """The estimates of one task, asked of one model.

    Parameters
    ----------
    task : Task
        What the replies are checked against.
    questionnaire : Questionnaire
        What is asked each time.
    complete : callable
        Takes a `Request` and gives a `Completion`.
    policy : RetryPolicy
        How often and how long to try.
    max_tokens : int
        Room for a reply; doubled once for a reply that was cut off.

    Attributes
    ----------
    usage : Counter
        Requests and tokens so far, those of failed attempts included.
    """

    def __init__(
        self,
        task: Task,
        questionnaire: Questionnaire,
        complete: Callable[[Request], Completion],
        policy: RetryPolicy,
        max_tokens: int,
    ) -> None:
        self.task = task
        self.questionnaire = questionnaire
        self.complete = complete
        self.policy = policy
        self.max_tokens = max_tokens
        self.usage: Counter[str] = Counter()
        self._counting = threading.Lock()
        self._stop = threading.Event()

    def ask(
        self,
        indices: Sequence[int],
        limit: int,
        keep: Callable[[int, Completion], None],
    ) -> dict[int, tuple[Completion, Answer]]:
        """Ask for some estimates side by side.

        Parameters
        ----------
        indices : sequence of int
            Which ones; at least one.
        limit : int
            The most requests at one time.
        keep : callable
            Told of each usable completion as soon as it is there, from the thread
            that asked.

        Returns
        -------
        dict
            Completion and answer by index.

        Raises
        ------
        ProviderError
            If any of them failed; the others have been kept.
        """
        deadline = self.policy.deadline()
        with ThreadPoolExecutor(min(limit, len(indices)), "llmreg") as pool:
            try:
                futures = {
                    index: pool.submit(self._one, index, deadline, keep)
                    for index in indices
                }
                wait(futures.values())
            except BaseException:
                # An interrupt must not wait for requests that nobody has sent yet.
                self._stop.set()
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        _raise_worst(futures)
        return {index: future.result() for index, future in futures.items()}

    def _one(
        self, index: int, deadline: float, keep: Callable[[int, Completion], None]
    ) -> tuple[Completion, Answer]:
        """Get one estimate and keep it; the second usable reply at the latest."""
        try:
            try:
                completion, answer = self._estimate(deadline)
            except (ProviderRefusalError, TruncatedReplyError):
                raise
            except ProviderResponseError as e:
                logger.warning("estimate %d: %s Asking once more.", index + 1, e)
                completion, answer = self._estimate(deadline)
        except FATAL:
            # The others would be refused for the same reason.
            self._stop.set()
            raise
        keep(index, completion)
        return completion, answer

    def _estimate(self, deadline: float) -> tuple[Completion, Answer]:
        """Send the questionnaire, with more room if need be, and read the reply."""
        completion = self._send(self.max_tokens, deadline)
        if completion.stop == "length":
            logger.warning("the reply was cut off; asking with twice the room")
            completion = self._send(2 * self.max_tokens, deadline)
        if completion.stop == "length":
            raise TruncatedReplyError(
                f"The reply was cut off at max_tokens={2 * self.max_tokens}. Raise "
                "`max_tokens`, or score fewer features."
            )
        if completion.stop == "refusal":
            raise ProviderRefusalError(
                "The model declined to answer. Reword the task description and the "
                "feature descriptions, or ask another model."
            )
        return completion, parse_reply(completion.text, self.task)

    def _send(self, max_tokens: int, deadline: float) -> Completion:
        """Send one request as often as the policy allows."""

        def send(seconds_left: float) -> Completion:
            self._count({"requests": 1})
            request = Request(self.questionnaire, max_tokens, seconds_left)
            return self.complete(request)

        completion = self.policy.run(send, deadline, self._stop)
        self._count(completion.usage)
        return completion

    def _count(self, usage: Mapping[str, int]) -> None:
        """Add to the usage; threads report at the same time."""
        with self._counting:
            self.usage.update(usage)


def _raise_worst(futures: Mapping[int, Future[tuple[Completion, Answer]]]) -> None:
    """Raise the error that explains the others; say what was saved."""
    errors = [e for future in futures.values() if (e := future.exception())]
    if not errors:
        return
    fatal = [e for e in errors if isinstance(e, FATAL)]
    error = (fatal or errors)[0]
    if saved := len(futures) - len(errors):
        error.add_note(
            f"{saved} of {len(futures)} estimates arrived and are in the cache; the "
            "next call asks only for the others."
        )
    raise error
