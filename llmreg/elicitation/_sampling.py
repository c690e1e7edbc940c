"""Sampling a language model: several estimates side by side, each one checked.

A vendor's file turns a `Request` into a `Completion`. What happens around that lives
here: the cache, retries within one budget, more room for a reply that was cut off,
halves where that does not help, one more try for a reply that cannot be used.
"""

import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import count
from numbers import Integral
from typing import Any, Literal

import numpy as np

from llmreg._utils._log import get_logger
from llmreg._utils._progress import tally
from llmreg.elicitation._cache import PriorCache, hash_key
from llmreg.elicitation._prompt import PROMPT_VERSION
from llmreg.elicitation._questions import Questionnaire
from llmreg.elicitation._responses import Estimate, merge, now, to_array
from llmreg.elicitation._retry import RetryPolicy, Stop, side_by_side
from llmreg.exceptions import (
    MissingKeyError,
    ProviderAuthenticationError,
    ProviderError,
    ProviderNotFoundError,
    ProviderRefusalError,
    ProviderResponseError,
    ProviderUnavailableError,
    RequestTooLargeError,
    TruncatedReplyError,
)
from llmreg.prior._scores import spread
from llmreg.prior._task import Task

logger = get_logger(__name__)

FATAL = (MissingKeyError, ProviderAuthenticationError, ProviderNotFoundError)
TOO_LARGE = (TruncatedReplyError, RequestTooLargeError)

# Seconds for the request itself to say why there is no answer in time.
GRACE = 0.5

# With n_estimates="auto": how many at first, how many more in each round, and at most.
AUTO_FIRST, AUTO_STEP, AUTO_MOST = 3, 2, 11
# The standard error that is small enough, on the scale of the scores from -10 to 10.
SETTLED = 1.0

# A question, and the number of the estimate that the answer belongs to.
Job = tuple[Questionnaire, int]


@dataclass(frozen=True)
class Request:
    """One request to a language model.

    Parameters
    ----------
    questionnaire : Questionnaire
        What is asked: its `system` and `user` texts, and the JSON `schema` of the
        reply.
    max_tokens : int
        The most tokens of the reply, thinking included.
    timeout : float
        Seconds left for it.

    Examples
    --------
    >>> from llmreg.elicitation._questions import Questionnaire
    >>> from llmreg.providers import Request
    >>> from llmreg import Feature, Task
    >>> task = Task((Feature("age"),), "survived", ("yes",), "classification")
    >>> request = Request(Questionnaire(task), max_tokens=8192, timeout=600.0)
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

    def __post_init__(self) -> None:
        """Keep the counts that are some: servers leave out what they do not count."""
        counts = {n: int(k) for n, k in self.usage.items() if isinstance(k, Integral)}
        object.__setattr__(self, "usage", counts)


@dataclass(frozen=True)
class ResponseStore:
    """The responses of a provider with some settings, in a cache."""

    cache: PriorCache
    settings: dict[str, Any]
    # What a user has set; it shapes no answer, but decides what is too large.
    max_tokens: int | None = None

    def key(self, question: Questionnaire, **more: Any) -> str:
        """Give the key of what is kept about a question, such as `estimate=0`."""
        content = {"question": question.digest, "settings": self.settings}
        return hash_key({**content, **more})

    def load(self, question: Questionnaire, index: int) -> Estimate | None:
        """Look up a response, or the responses to both halves of the question."""
        whole = self._read(question, index)
        if whole is not None or not self._split_at(question):
            return whole
        halves = [self.load(part, index) for part in question.halves]
        known = [half for half in halves if half is not None]
        return merge(known) if len(known) == len(halves) else None

    def save(self, question: Questionnaire, index: int, completion: Completion) -> None:
        """Keep a response."""
        content = {
            **self._about(question),
            "model": completion.model,
            "prompt_version": PROMPT_VERSION,
            "prompt_hash": question.digest,
            "estimate": index,
            "created": now(),
            "usage": dict(completion.usage),
            "text": completion.text,
        }
        self.cache.put(self.key(question, estimate=index), content)

    def is_split(self, question: Questionnaire) -> bool:
        """Tell whether a question turned out to be too large for this setting."""
        return self.max_tokens in self._split_at(question)

    def split(self, question: Questionnaire) -> None:
        """Remember that a question is too large, so that it is not sent again."""
        rooms = [*self._split_at(question), self.max_tokens and int(self.max_tokens)]
        content = {**self._about(question), "split": True}
        if rooms != [None]:
            content["max_tokens"] = rooms
        self.cache.put(self.key(question, split=True), content)

    def _split_at(self, question: Questionnaire) -> list[int | None]:
        """List the `max_tokens` for which a question was too large."""
        note = self.cache.get(self.key(question, split=True)) or {}
        # A note without a list is about the usual setting.
        rooms = note.get("max_tokens", [None] if note else [])
        return rooms if isinstance(rooms, list) else []

    def _about(self, question: Questionnaire) -> dict[str, str]:
        """Say what an entry is about, for people who look into the cache."""
        about = {"task": question.task.description, "target": question.task.target}
        return {**about, "provider": self.settings.get("provider", "")}

    def _read(self, question: Questionnaire, index: int) -> Estimate | None:
        """Read one response, checking it as if it had just arrived."""
        key = self.key(question, estimate=index)
        entry = self.cache.get(key)
        if entry is None:
            return None
        try:
            estimate = question.read(str(entry["text"]))
            model, created = str(entry["model"]), str(entry["created"])
        except (ProviderResponseError, KeyError, TypeError):
            self.cache.set_aside(key)
            return None
        used = entry.get("usage")
        used = used if isinstance(used, dict) else {}
        usage = {name: n for name, n in used.items() if isinstance(n, int)}
        return replace(estimate, model=model, created=created, usage=usage)


class Sampler:
    """The questions of one task, and the responses to them so far."""

    def __init__(
        self,
        task: Task,
        questions: Sequence[Questionnaire],
        n_estimates: int | str,
        store: ResponseStore,
    ) -> None:
        self.task = task
        self.questions = questions
        self.store = store
        self.is_auto = isinstance(n_estimates, str)
        self.count = AUTO_FIRST if isinstance(n_estimates, str) else n_estimates
        self.served_from_cache = 0
        self._responses: dict[Job, Estimate] = {}

    @property
    def key(self) -> str:
        """What to lock while responses are requested."""
        digests = [question.digest for question in self.questions]
        return hash_key({"questions": digests, "settings": self.store.settings})

    def pending(self) -> list[Job]:
        """List what is missing for as many estimates as are needed by now."""
        while not (missing := self._missing(self.count)):
            if not self.is_auto or self.count >= AUTO_MOST or settled(self.estimates()):
                break
            self.count = min(self.count + AUTO_STEP, AUTO_MOST)
        return missing

    def run(self, request: Callable[[Sequence[Job]], dict[Job, Estimate]]) -> None:
        """Request responses until there are enough estimates."""
        while missing := self.pending():
            self._responses |= request(missing)

    def estimates(self) -> list[Estimate]:
        """Put the responses to all questions together, by estimate."""
        return [
            merge([self._responses[q, index] for q in self.questions], self.task)
            for index in range(self.count)
        ]

    def pending_parts(self) -> list[Job]:
        """List what is missing for this round, in the parts that are sent."""
        return [(part, i) for q, i in self.pending() for part in self._parts(q, i)]

    def to_send(self) -> list[tuple[Questionnaire, int]]:
        """List the questions as they would be sent now, and how often at most."""
        if not self.pending():
            return []
        missing = self._missing(AUTO_MOST if self.is_auto else self.count)
        return list(Counter(p for q, i in missing for p in self._parts(q, i)).items())

    def _missing(self, count: int) -> list[Job]:
        """List the responses that are not there, after a look into the cache."""
        missing = []
        for job in ((q, index) for index in range(count) for q in self.questions):
            if job in self._responses:
                continue
            if (response := self.store.load(*job)) is None:
                missing.append(job)
            else:
                self._responses[job] = response
                self.served_from_cache += 1
        return missing

    def _parts(self, question: Questionnaire, index: int) -> list[Questionnaire]:
        """Resolve a missing question into what is sent for it."""
        if not self.store.is_split(question):
            return [question]
        return [
            part
            for half in question.halves
            if self.store.load(half, index) is None
            for part in self._parts(half, index)
        ]


@dataclass(frozen=True)
class Requester:
    """Sends questions to one model, several at a time, and keeps the responses."""

    complete: Callable[[Request], Completion]
    # The most requests at one time.
    limit: int
    policy: RetryPolicy
    # A time on the clock of the policy.
    deadline: float
    # Gives `max_tokens` for a task.
    room: Callable[[Task], int]
    store: ResponseStore
    usage: Counter[str]
    _counting: threading.Lock = field(default_factory=threading.Lock)
    _stop: Stop = field(default_factory=Stop)

    def request(self, jobs: Sequence[Job]) -> dict[Job, Estimate]:
        """Send questions side by side; where one fails, the other answers are kept."""
        logger.info("requesting %d responses", len(jobs))
        done = count(1)

        def answer(job: Job) -> Estimate:
            estimate = self._one(*job)
            logger.info("response %d of %d is there", next(done), len(jobs))
            end_one()
            return estimate

        calls = [partial(answer, job) for job in jobs]
        late = ProviderUnavailableError(
            f"The provider gave no whole answer within {self.policy.budget:g} s; the "
            "request was still under way. Try again later, or raise `timeout`."
        )
        left = self.deadline - self.policy.clock()
        with tally("answers", "answer", len(jobs)) as end_one:
            futures = side_by_side(calls, self.limit, self._stop, left + GRACE, late)
        errors = [e for future in futures if (e := future.exception())]
        if not errors:
            return {job: f.result() for job, f in zip(jobs, futures, strict=True)}
        # The error that explains the others.
        error = next((e for e in errors if isinstance(e, FATAL)), errors[0])
        if saved := len(futures) - len(errors):
            error.add_note(
                f"{saved} of {len(futures)} estimates arrived and are in the cache; "
                "the next call requests the others only."
            )
        raise error

    def _one(self, question: Questionnaire, index: int) -> Estimate:
        """Get one response, in halves where the question is too large."""
        is_split = self.store.is_split(question)
        if not is_split:
            try:
                return self._whole(question, index)
            except TOO_LARGE as e:
                if not question.halves:
                    raise
                logger.warning("%s Requesting half the features at a time.", e)
        try:
            # A half may be in the cache, if the other one failed the last time.
            load = self.store.load
            return merge(
                [load(h, index) or self._one(h, index) for h in question.halves]
            )
        except TOO_LARGE:
            # Half is no better, so it is not the size; the next call starts anew.
            is_split = True
            raise
        finally:
            if not is_split:
                self.store.split(question)

    def _whole(self, question: Questionnaire, index: int) -> Estimate:
        """Get one response and keep it; the second usable reply at the latest."""
        try:
            try:
                completion, estimate = self._reply(question)
            except (ProviderRefusalError, TruncatedReplyError):
                raise
            except ProviderResponseError as e:
                logger.warning("estimate %d: %s Requesting it once more.", index + 1, e)
                completion, estimate = self._reply(question)
        except FATAL:
            # The others would be refused for the same reason.
            self._stop.set()
            raise
        self.store.save(question, index, completion)
        usage = dict(completion.usage)
        return replace(estimate, model=completion.model, created=now(), usage=usage)

    def _reply(self, question: Questionnaire) -> tuple[Completion, Estimate]:
        """Send a question, with more room if need be, and read the reply."""
        max_tokens = self.room(question.task)
        try:
            completion = self._send(question, max_tokens)
        except ProviderError as e:
            # The room is more than the model writes, and halves take less of it.
            smaller = min([max_tokens, *(self.room(h.task) for h in question.halves)])
            named = "max_tokens" in str(e) or "max_completion_tokens" in str(e)
            if type(e) is ProviderError and named and smaller < max_tokens:
                raise RequestTooLargeError(str(e)) from None
            raise
        if is_cut(question, completion):
            logger.warning("the reply was cut off; requesting it with twice the room")
            max_tokens *= 2
            try:
                completion = self._send(question, max_tokens)
            except ProviderError as e:
                # All else was accepted, so it is the room that is refused.
                if type(e) not in {ProviderError, RequestTooLargeError}:
                    raise
                raise TruncatedReplyError(
                    f"The reply was cut off at max_tokens={max_tokens // 2}, and twice "
                    f"that is refused. Score fewer features. {e}"
                ) from None
        if is_cut(question, completion):
            raise TruncatedReplyError(
                f"The reply was cut off at {max_tokens=}. Raise `max_tokens`, or score "
                "fewer features."
            )
        if completion.stop == "refusal":
            raise ProviderRefusalError(
                "The model declined to answer. Reword the task description and the "
                "feature descriptions, or ask another model."
            )
        return completion, question.read(completion.text)

    def _send(self, question: Questionnaire, max_tokens: int) -> Completion:
        """Send one request as often as the policy allows."""

        def send(seconds_left: float) -> Completion:
            self._count({"requests": 1})
            return self.complete(Request(question, max_tokens, seconds_left))

        completion = self.policy.run(send, self.deadline, self._stop)
        self._count(completion.usage)
        return completion

    def _count(self, usage: Mapping[str, int]) -> None:
        """Add to the usage; threads report at the same time."""
        with self._counting:
            self.usage.update(usage)


def is_cut(question: Questionnaire, completion: Completion) -> bool:
    """Tell whether a reply was cut off; what is whole was not, whatever is said."""
    if completion.stop != "length":
        return False
    try:
        question.read(completion.text)
    except ProviderResponseError:
        return True
    return False


def settled(estimates: Sequence[Estimate]) -> bool:
    """Tell whether more estimates would hardly move the mean."""
    scores = to_array(estimates)
    n_known = np.isfinite(scores).sum(axis=0)
    # Of a feature that some say nothing of, those of the others.
    errors = spread(scores) / np.sqrt(np.maximum(n_known - 1, 1))
    return bool((np.nan_to_num(errors) <= SETTLED).all())
