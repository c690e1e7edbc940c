"""Many tasks through Anthropic's message batches, at the price of batches.

A batch takes minutes to a day, so it is nothing to wait for in `fit`: it fills the
cache, where every later elicitation finds its estimates.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from llmreg.asking import Question
from llmreg.exceptions import ProviderError, ProviderUnavailableError
from llmreg.log import get_logger
from llmreg.providers.answers import AnswerStore
from llmreg.providers.anthropic import AnthropicProvider, read_message
from llmreg.providers.hosted import secrets_of
from llmreg.task import Task

T = TypeVar("T")

logger = get_logger(__name__)


@dataclass(frozen=True)
class BatchReport:
    """What came of a batch.

    Parameters
    ----------
    kept : int
        Estimates that are new in the cache.
    failed : mapping of str to str, default={}
        Why others are not, by target and number of the estimate, and of the question
        where there are several. `elicit`, or another batch, asks for them again.

    Examples
    --------
    >>> from llmreg.providers.anthropic_batch import BatchReport
    >>> BatchReport(kept=4, failed={"ill, estimate 5": "the request expired"}).kept
    4
    """

    kept: int
    failed: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Job:
    """One answer to one question."""

    name: str
    question: Question
    index: int
    store: AnswerStore
    options: dict[str, Any]

    @property
    def task(self) -> Task:
        """What the question is about."""
        return self.question.task


def count_lacking(provider: AnthropicProvider, tasks: Sequence[Task]) -> int:
    """Count the answers that a batch would ask for; nothing is sent.

    Parameters
    ----------
    provider : AnthropicProvider
        Whom to ask, and how many estimates.
    tasks : sequence of Task
        What about.

    Returns
    -------
    int
        Answers that the cache lacks; those of the next round with
        ``n_estimates="auto"``.

    Examples
    --------
    >>> import tempfile
    >>> from llmreg.providers import AnthropicProvider
    >>> from llmreg.providers.anthropic_batch import count_lacking
    >>> from llmreg.task import Feature, Task
    >>> task = Task((Feature("age"),), "survived", ("yes",), "classification")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     count_lacking(AnthropicProvider(n_estimates=3, cache=folder), [task])
    3
    """
    return len(_jobs(provider, tasks))


def submit_batch(provider: AnthropicProvider, tasks: Sequence[Task]) -> str | None:
    """Send what the cache lacks about some tasks as one batch.

    Parameters
    ----------
    provider : AnthropicProvider
        Whom to ask, and how many estimates; its cache is the one to be filled.
    tasks : sequence of Task
        What about.

    Returns
    -------
    str or None
        The id of the batch, for `collect_batch`; None if nothing is lacking.

    Raises
    ------
    ProviderError
        As `elicit` does.

    Examples
    --------
    Where the cache has everything, here because nothing is asked, nothing is sent.

    >>> from llmreg.providers import AnthropicProvider
    >>> from llmreg.providers.anthropic_batch import submit_batch
    >>> submit_batch(AnthropicProvider(), tasks=[]) is None
    True
    """
    jobs = _jobs(provider, tasks)
    if not jobs:
        return None
    provider._check_network(next(iter(jobs.values())).task)
    requests: list[Any] = [
        {"custom_id": name, "params": job.options} for name, job in jobs.items()
    ]
    with provider._connect() as client:
        batch = _call(
            provider, client, lambda: client.messages.batches.create(requests=requests)
        )
    logger.info("batch %s: %d estimates of %d tasks", batch.id, len(jobs), len(tasks))
    return str(batch.id)


def collect_batch(
    provider: AnthropicProvider,
    tasks: Sequence[Task],
    batch: str,
    *,
    timeout: float = 86400.0,
    pause: float = 60.0,
    sleep: Callable[[float], object] = time.sleep,
) -> BatchReport:
    """Wait for a batch to end, and put its answers into the cache.

    It can be called again, from another process too: nothing is paid for twice.

    Parameters
    ----------
    provider : AnthropicProvider
        The one that submitted it, or one with the same parameters.
    tasks : sequence of Task
        The tasks that were submitted.
    batch : str
        What `submit_batch` returned.
    timeout : float, default=86400.0
        The most seconds to wait for its end.
    pause : float, default=60.0
        Seconds between two looks.
    sleep : callable, default=time.sleep
        Waits the given seconds.

    Returns
    -------
    BatchReport
        How many estimates are new in the cache, and why others are not.

    Raises
    ------
    ProviderUnavailableError
        If the batch has not ended in time.
    ProviderError
        As `elicit` does.

    Examples
    --------
    What is in the cache already is not waited for.

    >>> from llmreg.providers import AnthropicProvider
    >>> from llmreg.providers.anthropic_batch import collect_batch
    >>> collect_batch(AnthropicProvider(), tasks=[], batch="msgbatch_1")
    BatchReport(kept=0, failed={})
    """
    jobs = _jobs(provider, tasks)
    if not jobs:
        return BatchReport(kept=0)
    provider._check_network(next(iter(jobs.values())).task)
    with provider._connect() as client:
        batches = client.messages.batches
        waited = 0.0
        while (
            _call(provider, client, lambda: batches.retrieve(batch)).processing_status
            != "ended"
        ):
            if waited >= timeout:
                raise ProviderUnavailableError(
                    f"The batch {batch!r} has not ended after {timeout:g} s. Collect "
                    "it later; its answers are kept by the vendor for some weeks."
                )
            sleep(pause)
            waited += pause
        results = _call(provider, client, lambda: list(batches.results(batch)))
        failed: dict[str, str] = {}
        for result in results:
            if (job := jobs.get(str(result.custom_id))) is not None:
                reason = _keep(job, result.result, secrets_of(client.default_headers))
                if reason:
                    failed[job.name] = reason
    kept = sum(
        job.store.load(job.question, job.index) is not None for job in jobs.values()
    )
    return BatchReport(kept=kept, failed=failed)


def _jobs(provider: AnthropicProvider, tasks: Sequence[Task]) -> dict[str, _Job]:
    """List the estimates that the cache lacks, by the key they will have in it."""
    provider._validate_params()
    return {name: job for task in tasks for name, job in _lacking(provider, task)}


def _lacking(provider: AnthropicProvider, task: Task) -> Iterator[tuple[str, _Job]]:
    """Go through the answers about one task that the cache lacks."""
    survey = provider._survey(task)
    numbers: dict[Question, int] = {}
    for question, index in survey.lacking():
        number = numbers.setdefault(question, len(numbers) + 1)
        name = f"{task.target}, estimate {index + 1}"
        if len(survey.questions) > 1:
            name += f", question {number}"
        options = provider._options(provider._request(question))
        del options["timeout"]
        key = survey.store.entry_key(question, index)
        yield key, _Job(name, question, index, survey.store, options)


def _keep(job: _Job, result: Any, secrets: tuple[str, ...]) -> str:
    """Put a result into the cache if it is usable; say why if it is not."""
    if result.type != "succeeded":
        return f"the request {result.type}"
    try:
        completion = read_message(result.message, secrets)
        if completion.stop != "end":
            return f"the reply stopped for {completion.stop!r}"
        job.question.read(completion.text)
    except ProviderError as e:
        return str(e)
    job.store.save(job.question, job.index, completion)
    return ""


def _call(provider: AnthropicProvider, client: Any, call: Callable[[], T]) -> T:
    """Call the vendor as often as the policy of the provider allows."""
    policy = provider._policy()

    def send(seconds_left: float) -> T:
        failure: Exception | None = None
        try:
            return call()
        except Exception as e:
            # As in `_complete`: what the SDK raises may hold the key.
            failure = provider._translator(
                secrets_of(client.default_headers)
            ).translate(e)
        raise failure

    return policy.run(send, policy.deadline(), threading.Event())
