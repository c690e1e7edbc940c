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

from llmreg._utils._log import get_logger
from llmreg.elicitation._questions import Questionnaire
from llmreg.elicitation._retry import TransientError
from llmreg.elicitation._sampling import ResponseStore
from llmreg.exceptions import (
    ProviderError,
    ProviderResponseError,
    ProviderUnavailableError,
)
from llmreg.prior._task import Task
from llmreg.providers._anthropic import AnthropicProvider, read_message
from llmreg.providers._hosted import secrets_of

T = TypeVar("T")

logger = get_logger(__name__)

_STATES = {"in_progress", "canceling", "ended"}
_FAILURES = {"errored", "canceled", "expired"}
# Statuses, and errors of connections, after which a batch has not been accepted.
_BUSY = {429, 529}
_UNSENT = {"ConnectError", "ConnectTimeout", "PoolTimeout"}
_IN_DOUBT = (
    "The batch may have been accepted, and then it is paid for, so it is not sent "
    "again. Look for it in the list of batches in the vendor's console: if it is "
    "there, collect it by its id (collect_batch, or --batch ID); if not, send it again."
)


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
    >>> from llmreg.providers import BatchReport
    >>> BatchReport(kept=4, failed={"ill, estimate 5": "the request expired"}).kept
    4
    """

    kept: int
    failed: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Job:
    """One answer to one question."""

    name: str
    question: Questionnaire
    index: int
    store: ResponseStore
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
    >>> from llmreg.providers import count_lacking
    >>> from llmreg import Feature, Task
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
    ProviderUnavailableError
        Also if nobody knows whether the batch was accepted, because the reply was
        lost: it is not sent again, since it may be there and be paid for.
    ProviderError
        As `elicit` does.

    Examples
    --------
    Where the cache has everything, here because nothing is asked, nothing is sent.

    >>> from llmreg.providers import AnthropicProvider
    >>> from llmreg.providers import submit_batch
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
            provider, client, lambda batches: batches.create(requests=requests), True
        )
    name = getattr(batch, "id", None)
    if not isinstance(name, str) or not name:
        raise ProviderResponseError(f"The server gave no id of the batch. {_IN_DOUBT}")
    logger.info("batch %s: %d estimates of %d tasks", name, len(jobs), len(tasks))
    return name


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
    >>> from llmreg.providers import collect_batch
    >>> collect_batch(AnthropicProvider(), tasks=[], batch="msgbatch_1")
    BatchReport(kept=0, failed={})
    """
    jobs = _jobs(provider, tasks)
    if not jobs:
        return BatchReport(kept=0)
    provider._check_network(next(iter(jobs.values())).task)
    with provider._connect() as client:
        waited = 0.0
        while not _has_ended(_call(provider, client, lambda b: b.retrieve(batch))):
            if waited >= timeout:
                raise ProviderUnavailableError(
                    f"The batch {batch!r} has not ended after {timeout:g} s. Collect "
                    "it later; its answers are kept by the vendor for some weeks."
                )
            sleep(pause)
            waited += pause
        results = _call(provider, client, lambda b: list(b.results(batch)))
        failed: dict[str, str] = {}
        for result in results:
            if job := jobs.get(str(getattr(result, "custom_id", None))):
                told = getattr(result, "result", None)
                reason = _keep(job, told, secrets_of(client.default_headers))
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
    sampler = provider._sampler(task)
    numbers: dict[Questionnaire, int] = {}
    for question, index in sampler.pending_parts():
        number = numbers.setdefault(question, len(numbers) + 1)
        name = f"{task.target}, estimate {index + 1}"
        if len(sampler.questions) > 1:
            name += f", question {number}"
        options = provider._options(provider._request(question))
        del options["timeout"]
        key = sampler.store.key(question, estimate=index)
        yield key, _Job(name, question, index, sampler.store, options)


def _keep(job: _Job, result: Any, secrets: tuple[str, ...]) -> str:
    """Put a result into the cache if it is usable; say why if it is not."""
    kind = getattr(result, "type", None)
    if kind != "succeeded":
        return f"the request {kind if kind in _FAILURES else 'has no known result'}"
    try:
        completion = read_message(getattr(result, "message", None), secrets)
        if completion.stop != "end":
            return f"the reply stopped for {completion.stop!r}"
        job.question.read(completion.text)
    except ProviderError as e:
        return str(e)
    job.store.save(job.question, job.index, completion)
    return ""


def _has_ended(batch: Any) -> bool:
    """Tell whether a batch has ended, if it is one."""
    status = getattr(batch, "processing_status", None)
    if status not in _STATES:
        raise ProviderResponseError(
            "The server did not answer as the batches of the Messages API do: it gave "
            f"none of the states {sorted(_STATES)}. Is there a proxy in between, or a "
            "wrong base_url?"
        )
    return bool(status == "ended")


def _call(
    provider: AnthropicProvider,
    client: Any,
    call: Callable[[Any], T],
    is_paid: bool = False,
) -> T:
    """Call the vendor's batches as often as the policy of the provider allows."""
    policy = provider._policy()

    def send(seconds_left: float) -> T:
        failure: Exception | None = None
        try:
            return call(client.with_options(timeout=seconds_left).messages.batches)
        except Exception as e:
            # As in `_complete`: what the SDK raises may hold the key.
            failure = provider._translator(
                secrets_of(client.default_headers)
            ).translate(e)
            if is_paid and not _is_refused(e):
                failure = _doubt(failure)
        raise failure

    return policy.run(send, policy.deadline(), threading.Event())


def _is_refused(error: Exception) -> bool:
    """Tell whether the vendor has certainly not accepted what was sent."""
    status = getattr(error, "status_code", None)
    if isinstance(status, int):
        return status in _BUSY or (300 <= status < 500 and status not in {408, 409})
    return type(error.__cause__).__name__ in _UNSENT


def _doubt(failure: Exception) -> Exception:
    """Say that a paid request may have been accepted, where the failure leaves it open.

    Other failures than a lost or strange reply come before anything is sent.
    """
    if isinstance(
        failure, TransientError | ProviderUnavailableError | ProviderResponseError
    ):
        return ProviderUnavailableError(
            f"The reply to a batch was lost ({str(failure).rstrip('.')}). {_IN_DOUBT}"
        )
    return failure
