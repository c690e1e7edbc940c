"""Many tasks through the batches of a vendor, at the price of batches.

A batch takes minutes to a day, so it fills the cache, and `fit` does not wait for it.
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

from llmreg._utils._log import get_logger
from llmreg.elicitation._questions import Questionnaire
from llmreg.elicitation._retry import TransientError
from llmreg.elicitation._sampling import Completion, is_cut
from llmreg.exceptions import (
    ProviderError,
    ProviderResponseError,
    ProviderUnavailableError,
)
from llmreg.prior._task import Task
from llmreg.providers._anthropic import AnthropicProvider
from llmreg.providers._hosted._faults import translate
from llmreg.providers._hosted._wire import Secrets, quote
from llmreg.providers._openai import OpenAIProvider

T = TypeVar("T")

logger = get_logger(__name__)

# The vendors that have batches; each has its own `_batches`, `_prepare` and `_result`.
Batching = AnthropicProvider | OpenAIProvider

# What vendors call the state of a batch.
_RUNNING = {"in_progress", "canceling", "validating", "finalizing", "cancelling"}
_ENDED = {"ended", "completed", "expired", "cancelled", "failed"}
_FAILURES = {"errored", "canceled", "expired"}
# Errors of connections after which a batch has not been accepted.
_UNSENT = {"ConnectError", "ConnectTimeout", "PoolTimeout"}
# After these a paid request may have been accepted; others come before it is sent.
_LOST = (TransientError, ProviderUnavailableError, ProviderResponseError)
_IN_DOUBT = (
    "The batch may have been accepted, and then it is paid for, so it is not sent "
    "again. Look for it in the list of batches in the vendor's console: if it is "
    "there, collect it by its id (collect_batch, or --batch ID); if not, send it again."
)


@dataclass(frozen=True)
class BatchReport:
    """The result of a batch.

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


class _Job(NamedTuple):
    """One answer to one question."""

    name: str
    question: Questionnaire
    number: int


def count_lacking(provider: Batching, tasks: Sequence[Task]) -> int:
    """Count the answers that a batch would ask for; nothing is sent.

    Those that the cache lacks; of ``n_estimates="auto"`` those of the next round.

    Examples
    --------
    >>> import tempfile
    >>> from llmreg.providers import AnthropicProvider, count_lacking
    >>> from llmreg import Feature, Task
    >>> task = Task((Feature("age"),), "survived", ("yes",), "classification")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     count_lacking(AnthropicProvider(n_estimates=3, cache=folder), [task])
    3
    """
    return len(_jobs(provider, tasks))


def submit_batch(provider: Batching, tasks: Sequence[Task]) -> str | None:
    """Send what the cache of a provider lacks about some tasks as one batch.

    Returns its id, for `collect_batch`; None if nothing is lacking.

    Raises
    ------
    ProviderError
        As `elicit` does, and if the reply was lost, so that the batch may have been
        accepted: it is not sent again, since it would then be paid for twice.

    Examples
    --------
    >>> from llmreg.providers import AnthropicProvider, submit_batch
    >>> submit_batch(AnthropicProvider(), tasks=[]) is None
    True
    """
    jobs = _jobs(provider, tasks)
    if not jobs:
        return None
    provider._check_network(next(iter(jobs.values())).question.task)
    requests = {key: provider._request(job.question) for key, job in jobs.items()}
    with provider._connect() as client:
        prepared = _call(provider, client, lambda c: provider._prepare(c, requests))
        batch = _call(
            provider,
            client,
            lambda c: provider._batches(c).create(**prepared),
            is_paid=True,
        )
    batch_id = getattr(batch, "id", None)
    if not isinstance(batch_id, str) or not batch_id:
        raise ProviderResponseError(f"The server gave no id of the batch. {_IN_DOUBT}")
    logger.info("batch %s: %d estimates of %d tasks", batch_id, len(jobs), len(tasks))
    return batch_id


def collect_batch(
    provider: Batching,
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
    provider : AnthropicProvider or OpenAIProvider
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

    Raises
    ------
    ProviderError
        As `elicit` does, and if the batch has not ended in time.

    Examples
    --------
    >>> from llmreg.providers import AnthropicProvider, collect_batch
    >>> collect_batch(AnthropicProvider(), tasks=[], batch="msgbatch_1")
    BatchReport(kept=0, failed={})
    """
    jobs = _jobs(provider, tasks)
    if not jobs:
        return BatchReport(kept=0)
    provider._check_network(next(iter(jobs.values())).question.task)
    with provider._connect() as client:
        start, waited = time.monotonic(), 0.0
        secrets = provider._secrets(client)
        while not _has_ended(
            found := _call(
                provider, client, lambda c: provider._batches(c).retrieve(batch)
            ),
            secrets,
        ):
            if waited >= timeout:
                raise ProviderUnavailableError(
                    f"The batch {batch!r} has not ended after {timeout:g} s. Collect "
                    "it later; its answers are kept by the vendor for some weeks."
                )
            sleep(pause)
            waited = max(waited + pause, time.monotonic() - start)
        paths = provider._result_paths(batch, found)
        results = _call(
            provider,
            client,
            lambda c: {
                key: _read(provider, jobs[key], *provider._result(line), secrets)
                for path in paths
                for key, line in _lines(c, path)
                if key in jobs
            },
        )
    failed: dict[str, str] = {}
    store = provider._store()
    for key, result in results.items():
        job = jobs[key]
        if isinstance(result, Completion):
            store.save(job.question, job.number, result)
        else:
            failed[job.name] = result
    kept = [job for job in jobs.values() if store.load(job.question, job.number)]
    return BatchReport(kept=len(kept), failed=failed)


def _lines(client: Any, path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Read the results of a batch line by line, from the address of the client."""
    import httpx2

    # Methods of the SDK take the key to whatever address the server names.
    response = client.get(
        path,
        cast_to=httpx2.Response,
        options={"headers": {"Accept": "application/binary"}},
        stream=True,
    )
    n_read, fault = 0, None
    for text in filter(str.strip, response.iter_lines()):
        try:
            line = {**json.loads(text)}
        except (ValueError, TypeError, RecursionError) as e:
            # The others were paid for, whatever happened to this one.
            fault = e
            continue
        n_read += 1
        yield str(line.get("custom_id")), line
    if fault and not n_read:
        raise ValueError("no line is a result") from fault


def _jobs(provider: Batching, tasks: Sequence[Task]) -> dict[str, _Job]:
    """List the answers that the cache lacks, by the key they will have in it."""
    jobs = {}
    for task in tasks:
        sampler = provider._sampler(task)
        places: dict[Questionnaire, int] = {}
        for question, number in sampler.pending_parts():
            place = places.setdefault(question, len(places) + 1)
            name = f"{task.target}, estimate {number + 1}"
            if len(sampler.questions) > 1:
                name += f", question {place}"
            key = sampler.store.key(question, estimate=number)
            jobs[key] = _Job(name, question, number)
    return jobs


def _read(
    provider: Batching, job: _Job, kind: str, reply: Any, secrets: Secrets
) -> Completion | str:
    """Read a result; say why if it is not usable."""
    if kind != "succeeded":
        return f"the request {kind if kind in _FAILURES else 'has no known result'}"
    try:
        completion = provider._read(reply, secrets)
        if completion.stop == "refusal" or is_cut(job.question, completion):
            return f"the reply stopped for {completion.stop!r}"
        job.question.read(completion.text)
    except ProviderError as e:
        return str(e)
    return completion


def _has_ended(batch: Any, secrets: Secrets) -> bool:
    """Tell whether a batch has ended, if it is one."""
    status = getattr(batch, "processing_status", None) or getattr(batch, "status", None)
    if status == "failed":
        faults = getattr(getattr(batch, "errors", None), "data", None) or ()
        said = "; ".join(str(getattr(fault, "message", "")) for fault in faults)
        raise ProviderError(
            f"The vendor refused the batch{quote(said, secrets)}. Check the parameters "
            "of the provider, and send a new one."
        )
    if status not in _RUNNING | _ENDED:
        raise ProviderResponseError(
            "The server did not answer as the batches of the vendor do: it gave none "
            "of the states that they have. Is there a proxy in between, or a wrong "
            "base_url?"
        )
    return status in _ENDED


def _call(
    provider: Batching,
    client: Any,
    call: Callable[[Any], T],
    is_paid: bool = False,
) -> T:
    """Call the vendor's batches as often as the policy of the provider allows."""

    def send(seconds_left: float) -> T:
        try:
            return call(client.with_options(timeout=seconds_left))
        except Exception as e:
            # As for single requests: what the SDK raises may hold the key.
            failure = translate(provider, client, e)
            if is_paid and not _is_refused(e) and isinstance(failure, _LOST):
                failure = ProviderUnavailableError(
                    f"The reply to a batch was lost ({str(failure).rstrip('.')}). "
                    f"{_IN_DOUBT}"
                )
        raise failure

    late = _IN_DOUBT if is_paid else "Try again later, or raise `timeout`."
    return provider._in_time([send], late)[0]


def _is_refused(error: Exception) -> bool:
    """Tell whether the vendor has certainly not accepted what was sent."""
    status = getattr(error, "status_code", None)
    if isinstance(status, int):
        return status == 529 or (300 <= status < 500 and status not in {408, 409})
    return type(error.__cause__).__name__ in _UNSENT
