"""Asking a language model: several estimates side by side, each one checked.

A vendor's file turns a `Request` into a `Completion`. What happens around that is
the same for every vendor and lives here: retries within one budget, a second try with
more room for a reply that was cut off, halves where that does not help, one more try
for a reply that cannot be used.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

import numpy as np

from llmreg._utils._log import get_logger
from llmreg.elicitation._prompt import Answer, Questionnaire
from llmreg.elicitation._questions import Question
from llmreg.elicitation._responses import AnswerStore, Estimate, merge, now
from llmreg.elicitation._retry import RetryPolicy, Stop, side_by_side
from llmreg.exceptions import (
    MissingKeyError,
    ProviderAuthenticationError,
    ProviderRefusalError,
    ProviderResponseError,
    ProviderUnavailableError,
    RequestTooLargeError,
    TruncatedReplyError,
)
from llmreg.prior._task import Task

logger = get_logger(__name__)

FATAL = (MissingKeyError, ProviderAuthenticationError)

# Seconds for whoever asks to say itself why there is no answer in time.
GRACE = 0.5

Job = tuple[Question, int]


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

    Examples
    --------
    >>> from llmreg.elicitation._questions import plan
    >>> from llmreg.providers import Request
    >>> from llmreg import Feature, Task
    >>> task = Task((Feature("age"),), "survived", ("yes",), "classification")
    >>> question, *_ = plan(task)
    >>> request = Request(question.questionnaire, max_tokens=8192, timeout=600.0)
    >>> '"age"' in request.questionnaire.user
    True
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

    Examples
    --------
    >>> from llmreg.providers import Completion
    >>> Completion('{"features": []}', stop="end", model="mine").usage
    {}
    """

    text: str
    stop: Literal["end", "length", "refusal"]
    model: str
    usage: Mapping[str, int] = field(default_factory=dict)


class Interview:
    """Questions asked of one model, each several times."""

    def __init__(
        self,
        complete: Callable[[Request], Completion],
        policy: RetryPolicy,
        room: Callable[[Task], int],
        store: AnswerStore,
    ) -> None:
        self.complete = complete
        self.policy = policy
        self.room = room
        self.store = store
        self.usage: Counter[str] = Counter()
        self._counting = threading.Lock()
        self._stop = Stop()

    def ask(
        self, jobs: Sequence[Job], limit: int, deadline: float
    ) -> dict[Job, Estimate]:
        """Ask some questions side by side.

        Raises ProviderError if any of them failed; the others have been kept.
        """
        calls = [partial(self._one, *job, deadline) for job in jobs]
        left = deadline - self.policy.clock()
        late = ProviderUnavailableError(
            f"The provider gave no whole answer within {self.policy.budget:g} s; the "
            "request was still under way. Try again later, or raise `timeout`."
        )
        found = side_by_side(calls, limit, self._stop, left + GRACE, late)
        futures = dict(zip(jobs, found, strict=True))
        _raise_worst(futures)
        return {job: future.result() for job, future in futures.items()}

    def _one(self, question: Question, index: int, deadline: float) -> Estimate:
        """Get one answer and keep it, in halves where the question is too large."""
        if not self.store.is_split(question):
            try:
                return self._whole(question, index, deadline)
            except (TruncatedReplyError, RequestTooLargeError) as e:
                if not question.halves():
                    raise
                logger.warning("%s Asking for half the features at a time.", e)
                self.store.split(question)
        # A half may be in the cache, if the other one failed the last time.
        return merge(
            [
                self.store.load(half, index) or self._one(half, index, deadline)
                for half in question.halves()
            ]
        )

    def _whole(self, question: Question, index: int, deadline: float) -> Estimate:
        """Get one answer and keep it; the second usable reply at the latest."""
        try:
            try:
                completion, answer = self._estimate(question, deadline)
            except (ProviderRefusalError, TruncatedReplyError):
                raise
            except ProviderResponseError as e:
                logger.warning("estimate %d: %s Asking once more.", index + 1, e)
                completion, answer = self._estimate(question, deadline)
        except FATAL:
            # The others would be refused for the same reason.
            self._stop.set()
            raise
        self.store.save(question, index, completion)
        return Estimate(answer, completion.model, now())

    def _estimate(
        self, question: Question, deadline: float
    ) -> tuple[Completion, Answer]:
        """Send the questionnaire, with more room if need be, and read the reply."""
        room = self.room(question.task)
        completion = self._send(question, room, deadline)
        if completion.stop == "length":
            logger.warning("the reply was cut off; asking with twice the room")
            completion = self._send(question, 2 * room, deadline)
        if completion.stop == "length":
            raise TruncatedReplyError(
                f"The reply was cut off at max_tokens={2 * room}. Raise "
                "`max_tokens`, or score fewer features."
            )
        if completion.stop == "refusal":
            raise ProviderRefusalError(
                "The model declined to answer. Reword the task description and the "
                "feature descriptions, or ask another model."
            )
        return completion, question.read(completion.text)

    def _send(self, question: Question, max_tokens: int, deadline: float) -> Completion:
        """Send one request as often as the policy allows."""

        def send(seconds_left: float) -> Completion:
            self._count({"requests": 1})
            request = Request(question.questionnaire, max_tokens, seconds_left)
            return self.complete(request)

        completion = self.policy.run(send, deadline, self._stop)
        self._count(completion.usage)
        return completion

    def _count(self, usage: Mapping[str, int]) -> None:
        """Add to the usage; threads report at the same time."""
        with self._counting:
            self.usage.update(usage)


def _raise_worst(futures: Mapping[Job, Future[Estimate]]) -> None:
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


AUTO_FIRST = 3
AUTO_STEP = 2
AUTO_MOST = 11
# On the scale of the scores, from -10 to 10.
SETTLED = 1.0


class Survey:
    """The questions of one task, and the answers to them so far."""

    def __init__(
        self,
        task: Task,
        questions: Sequence[Question],
        n_estimates: int | str,
        store: AnswerStore,
    ) -> None:
        self.task = task
        self.questions = questions
        self.store = store
        self.auto = isinstance(n_estimates, str)
        self.first = AUTO_FIRST if isinstance(n_estimates, str) else n_estimates
        self.answers: dict[Job, Estimate] = {}
        self.served = 0
        self._halves: dict[Question, tuple[Question, ...]] = {}

    @property
    def key(self) -> str:
        """What to lock while asking."""
        return self.store.key(self.questions)

    def run(
        self, ask: Callable[[Sequence[Job]], dict[Job, Estimate]]
    ) -> list[Estimate]:
        """Collect estimates until there are enough."""
        count = self.first
        while True:
            if missing := self.missing(count):
                self.answers |= ask(missing)
            estimates = [self._estimate(index) for index in range(count)]
            if not self.auto or count >= AUTO_MOST or settled(estimates):
                return estimates
            count = min(count + AUTO_STEP, AUTO_MOST)

    def missing(self, count: int) -> list[Job]:
        """List what has to be asked for a number of estimates."""
        missing = []
        for index in range(count):
            for question in self.questions:
                job = question, index
                if job in self.answers:
                    continue
                found = self.store.load(question, index)
                if found is None:
                    missing.append(job)
                else:
                    self.answers[job] = found
                    self.served += 1
        return missing

    def cached(self) -> list[Estimate] | None:
        """Collect estimates from the cache alone."""
        try:
            return self.run(_refuse)
        except _NotCached:
            return None

    def lacking(self) -> list[Job]:
        """List what has to be asked next, in the parts that are sent."""
        try:
            self.run(_refuse)
        except _NotCached as e:
            return [(part, i) for q, i in e.missing for part in self._parts(q, i)]
        return []

    def to_send(self) -> list[tuple[Question, int]]:
        """List the questions as they would be sent now, and how often each."""
        most = AUTO_MOST if self.auto else self.first
        if self.cached() is not None:
            return []
        times: dict[Question, int] = {}
        for question, index in self.missing(most):
            for part in self._parts(question, index):
                times[part] = times.get(part, 0) + 1
        return list(times.items())

    def _parts(self, question: Question, index: int) -> list[Question]:
        """Resolve a missing question into what is sent for it."""
        if not self.store.is_split(question):
            return [question]
        halves = self._halves.setdefault(question, question.halves())
        return [
            part
            for half in halves
            if self.store.load(half, index) is None
            for part in self._parts(half, index)
        ]

    def _estimate(self, index: int) -> Estimate:
        """Put the answers of one estimate together."""
        parts = [self.answers[question, index] for question in self.questions]
        return merge(parts, self.task)


class _NotCached(Exception):
    """Something would have to be asked."""

    def __init__(self, missing: Sequence[Job]) -> None:
        super().__init__()
        self.missing = missing


def _refuse(missing: Sequence[Job]) -> dict[Job, Estimate]:
    """Ask nobody."""
    raise _NotCached(missing)


def settled(estimates: Sequence[Estimate]) -> bool:
    """Tell whether more estimates would hardly move the mean."""
    scores = np.array(
        [[list(row.values()) for row in e.answer.scores.values()] for e in estimates]
    )
    errors = scores.std(axis=0, ddof=1) / np.sqrt(len(estimates))
    return bool((np.nan_to_num(errors) <= SETTLED).all())
