"""Message batches against a server on the loopback interface that speaks them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from llmreg.exceptions import (
    ProviderAuthenticationError,
    ProviderError,
    ProviderUnavailableError,
)
from llmreg.providers import AnthropicProvider
from llmreg.providers.anthropic_batch import collect_batch, submit_batch
from llmreg.providers.retry import RetryPolicy
from tests.batches import Batches
from tests.loopback import answer, error
from tests.providers.conftest import PLANTED_KEY

pytestmark = pytest.mark.usefixtures("key")


@pytest.fixture
def batches(server):
    server.respond = Batches(server.url)
    return server.respond


@pytest.fixture
def provider(server, monkeypatch):
    def policy(provider):
        return RetryPolicy(
            provider.max_attempts, provider.timeout, sleep=lambda seconds: None
        )

    monkeypatch.setattr(AnthropicProvider, "_policy", policy)
    return AnthropicProvider(base_url=server.url, n_estimates=2)


@pytest.fixture
def tasks(task):
    return [task, replace(task, target="drowned"), replace(task, target="saved")]


def test_many_tasks_fill_the_cache(server, batches, provider, tasks):
    waits = []
    batch = submit_batch(provider, tasks)
    report = collect_batch(provider, tasks, batch, sleep=waits.append)
    assert (batch, report.kept, report.failed) == ("msgbatch_01", 6, {})
    assert len(waits) == 2
    ids = [request["custom_id"] for request in batches.requests]
    assert len(set(ids)) == 6
    assert all(len(name) == 64 for name in ids)
    n_requests = len(server.requests)
    provider.set_params(network="never")
    for task in tasks:
        prior = provider.elicit(task)
        assert prior.usage["served_from_cache"] == 2
        assert prior.scores.tolist() == [[3, 3, 3]]
    assert len(server.requests) == n_requests
    assert submit_batch(provider, tasks) is None
    assert collect_batch(provider, tasks, batch).kept == 0


def test_what_is_sent_is_what_elicit_sends(server, batches, provider, task):
    submit_batch(provider.set_params(effort="low"), [task])
    params = batches.requests[0]["params"]
    server.respond = answer
    provider.set_params(n_estimates=1).elicit(task)
    assert params == server.requests[-1].body


def test_only_what_is_lacking_is_asked(server, batches, provider, tasks):
    server.respond = answer
    provider.elicit(tasks[0])
    server.respond = batches
    submit_batch(provider, tasks)
    assert len(batches.requests) == 4


@pytest.mark.parametrize(
    ("result", "told"),
    [
        ({"type": "expired"}, "expired"),
        ({"type": "canceled"}, "canceled"),
        (
            {
                "type": "errored",
                "error": {
                    "type": "error",
                    "error": {"type": "api_error", "message": "x"},
                },
            },
            "errored",
        ),
        (
            {"type": "succeeded", "message": {}},
            "did not answer",
        ),
    ],
)
def test_what_failed_is_told_and_asked_again(
    server, batches, provider, task, result, told
):
    batches.spoil = {1: result}
    batch = submit_batch(provider, [task])
    report = collect_batch(provider, [task], batch, sleep=lambda seconds: None)
    assert report.kept == 1
    ((where, why),) = report.failed.items()
    assert where == "survived, estimate 2"
    assert told in why
    server.respond = answer
    assert provider.elicit(task).usage["requests"] == 1


def test_waiting_is_bounded(batches, provider, task):
    batches.looks = 10**9
    batch = submit_batch(provider, [task])
    waits = []
    with pytest.raises(ProviderUnavailableError, match="Collect it later"):
        collect_batch(
            provider, [task], batch, timeout=300, pause=100, sleep=waits.append
        )
    assert waits == [100, 100, 100]


def test_faults_are_ours_and_bounded(server, batches, provider, task):
    server.enqueue(error(529, "overloaded_error", "busy"))
    assert submit_batch(provider, [task]) == "msgbatch_01"
    server.enqueue(error(401, "authentication_error", PLANTED_KEY))
    with pytest.raises(ProviderAuthenticationError) as caught:
        submit_batch(provider, [task])
    assert PLANTED_KEY not in str(caught.value)
    assert caught.value.__context__ is None


def test_without_a_network_nothing_is_submitted(server, batches, provider, task):
    with pytest.raises(ProviderError, match="network='never'"):
        submit_batch(provider.set_params(network="never"), [task])
    with pytest.raises(ProviderError, match="network='never'"):
        collect_batch(provider, [task], "msgbatch_01")
    assert not server.requests


def test_parts_and_rounds(server, batches, task):
    provider = AnthropicProvider(base_url=server.url, n_estimates="auto", ask="each")
    batch = submit_batch(provider, [task])
    # Three columns, and three estimates to begin with.
    assert len(batches.requests) == 9
    report = collect_batch(provider, [task], batch, sleep=lambda _: None)
    assert (report.kept, dict(report.failed)) == (9, {})
    n_requests = len(server.requests)
    assert provider.elicit(task).estimates.shape == (3, 1, 3)
    assert len(server.requests) == n_requests
    assert submit_batch(provider, [task]) is None
