"""Message batches against a server on the loopback interface that speaks them."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

import pytest

from llmreg.elicitation._retry import RetryPolicy
from llmreg.exceptions import (
    ProviderAuthenticationError,
    ProviderError,
    ProviderResponseError,
    ProviderUnavailableError,
)
from llmreg.providers import AnthropicProvider, OpenAIProvider
from llmreg.providers._batch import collect_batch, submit_batch
from llmreg.providers._hosted import HostedProvider
from tests.batches import Batches, ChatBatches
from tests.loopback import Reply, answer, error
from tests.providers.conftest import PLANTED_KEY
from tests.vendors import OPENAI

pytestmark = pytest.mark.usefixtures("key")


@pytest.fixture
def batches(server):
    server.respond = Batches(server.url)
    return server.respond


@pytest.fixture(autouse=True)
def hurry(monkeypatch):
    """No test sleeps."""

    def policy(provider):
        return RetryPolicy(
            provider.max_attempts, provider.timeout, sleep=lambda seconds: None
        )

    monkeypatch.setattr(HostedProvider, "_policy", policy)


@pytest.fixture
def provider(server):
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


@pytest.mark.parametrize(
    "lost",
    [
        Reply('{"id": "msgbatch_1"', cut=True),
        error(500, "api_error", PLANTED_KEY),
        Reply("{"),
    ],
)
def test_a_batch_that_may_be_there_is_not_sent_again(
    server, batches, provider, task, lost
):
    server.respond = lambda request: lost
    with pytest.raises(ProviderUnavailableError, match="list of batches") as caught:
        submit_batch(provider, [task])
    assert len(server.requests) == 1
    assert PLANTED_KEY not in str(caught.value)
    assert caught.value.__context__ is None


def test_a_batch_that_was_not_accepted_is_sent_again(server, batches, provider, task):
    server.enqueue(error(429, "rate_limit_error", "busy"))
    assert submit_batch(provider, [task]) == "msgbatch_01"
    assert len(server.requests) == 2
    provider.set_params(base_url="http://127.0.0.1:1", max_attempts=3)
    with pytest.raises(ProviderUnavailableError, match="refused: nothing listens"):
        submit_batch(provider, [task])


def test_what_is_refused_is_no_lost_reply(server, batches, provider, task):
    server.enqueue(error(400, "invalid_request_error", "no such field"))
    with pytest.raises(ProviderError, match="rejected") as caught:
        submit_batch(provider, [task])
    assert "list of batches" not in str(caught.value)


@pytest.mark.parametrize("body", ["{}", "null", '{"id": null}', '{"id": ""}', '"x"'])
def test_replies_that_are_no_batch(server, provider, task, body):
    server.respond = lambda request: Reply(body)
    with pytest.raises(ProviderResponseError, match="no id of the batch"):
        submit_batch(provider, [task])
    with pytest.raises(ProviderResponseError, match="none of the states"):
        collect_batch(provider, [task], "msgbatch_01")


@pytest.mark.parametrize("result", [{}, {"type": "odd"}, {"type": "succeeded"}, None])
def test_results_that_are_none(server, batches, provider, task, result):
    batches.spoil = {0: result}
    batch = submit_batch(provider, [task])
    report = collect_batch(provider, [task], batch, sleep=lambda _: None)
    assert report.kept == 1
    assert list(report.failed) == ["survived, estimate 1"]


def test_calls_are_bounded_in_time(server, batches, provider, task):
    release = threading.Event()

    def stall(request):
        release.wait(20)
        return batches(request)

    provider.set_params(timeout=0.3)
    server.enqueue(stall, stall)
    start = time.monotonic()
    with pytest.raises(ProviderUnavailableError, match="list of batches"):
        submit_batch(provider, [task])
    with pytest.raises(ProviderUnavailableError, match=r"within 0\.3 s"):
        collect_batch(provider, [task], "msgbatch_01")
    assert time.monotonic() - start < 10
    release.set()


@pytest.mark.parametrize(
    "line", ["{", "null", "[1]", "<html>", "3", '{"custom_id": "x"', "[" * 99_999]
)
def test_a_line_that_is_no_result_costs_no_other(server, provider, task, key, line):
    batches = Batches(server.url, looks=0)
    server.respond = batches
    number = submit_batch(provider.set_params(n_estimates=3), [task])

    def respond(request):
        reply = batches(request)
        if request.path.endswith("/results"):
            return Reply(f"{line}\n{reply.body}\n{line}")
        return reply

    server.respond = respond
    assert collect_batch(provider, [task], number, sleep=lambda _: None).kept == 3
    server.respond = lambda request: (
        Reply(line) if request.path.endswith("/results") else batches(request)
    )
    with pytest.raises(ProviderResponseError):
        collect_batch(
            provider.set_params(n_estimates=4), [task], number, sleep=lambda _: None
        )


def test_a_result_that_is_whole_is_kept_whatever_it_stopped_for(
    server, provider, task, key
):
    batches = Batches(server.url, looks=0)
    server.respond = batches
    number = submit_batch(provider.set_params(n_estimates=2), [task])
    whole = batches.result(0)["result"]
    whole["message"]["stop_reason"] = "max_tokens"
    batches.spoil = {0: whole}
    assert collect_batch(provider, [task], number, sleep=lambda _: None).kept == 2


class TestOpenAI:
    @pytest.fixture
    def vendor(self):
        return OPENAI

    @pytest.fixture
    def batches(self, server):
        server.respond = ChatBatches()
        return server.respond

    @pytest.fixture
    def provider(self, server):
        return OpenAIProvider(
            base_url=f"{server.url}/v1", n_estimates=2, extra_body={"seed": 1}
        )

    def test_many_tasks_fill_the_cache(self, server, batches, provider, tasks, key):
        waits = []
        batch = submit_batch(provider, tasks)
        report = collect_batch(provider, tasks, batch, sleep=waits.append)
        assert (batch, report.kept, report.failed) == ("batch_01", 6, {})
        assert len(waits) == 2
        assert batches.asked == {
            "input_file_id": "file-in",
            "endpoint": "/v1/chat/completions",
            "completion_window": "24h",
        }
        assert {(r["method"], r["url"]) for r in batches.requests} == {
            ("POST", "/v1/chat/completions")
        }
        assert all(request.carried(key) for request in server.requests)
        n_requests = len(server.requests)
        provider.set_params(network="never")
        for task in tasks:
            prior = provider.elicit(task)
            assert prior.usage["served_from_cache"] == 2
            assert prior.provenance["tokens"] == "200 input tokens, 40 output tokens"
        assert len(server.requests) == n_requests
        assert submit_batch(provider, tasks) is None

    def test_what_is_sent_is_what_elicit_sends(self, server, batches, provider, task):
        submit_batch(provider, [task])
        server.respond = OPENAI.answer
        provider.set_params(n_estimates=1).elicit(task)
        sent = batches.requests[0]["body"]
        assert sent == server.requests[-1].body and sent["seed"] == 1

    @pytest.mark.parametrize(
        ("line", "told"),
        [
            ({"error": {"code": "batch_expired", "message": "late"}}, "expired"),
            ({"error": {"code": "batch_cancelled"}, "response": None}, "canceled"),
            ({"response": {"status_code": 400, "body": {"error": {}}}}, "errored"),
            ({"response": {"status_code": 200, "body": {}}}, "did not answer"),
            ({"response": [], "error": "x"}, "errored"),
        ],
    )
    def test_what_failed_is_told_and_asked_again(
        self, server, batches, provider, task, line, told
    ):
        batches.spoil = {1: line}
        batch = submit_batch(provider, [task])
        report = collect_batch(provider, [task], batch, sleep=lambda _: None)
        assert report.kept == 1
        ((where, why),) = report.failed.items()
        assert where == "survived, estimate 2" and told in why
        server.respond = OPENAI.answer
        assert provider.elicit(task).usage["requests"] == 1

    def test_a_batch_that_is_refused_says_why(self, batches, provider, task):
        said = f"no such model, said {PLANTED_KEY}"
        batches.fate = {"status": "failed", "errors": {"data": [{"message": said}]}}
        batch = submit_batch(provider, [task])
        with pytest.raises(ProviderError, match=r"refused the batch: no such") as error:
            collect_batch(provider, [task], batch, sleep=lambda _: None)
        assert PLANTED_KEY not in str(error.value)

    def test_an_upload_that_is_lost_has_cost_nothing(self, server, provider, task):
        server.respond = batches = ChatBatches()
        server.enqueue(Reply("{", cut=True))
        assert submit_batch(provider, [task]) == "batch_01"
        assert [r.path for r in server.requests].count("/v1/batches") == 1
        server.requests.clear()
        server.enqueue(Reply('{"object": "file"}'))
        with pytest.raises(ProviderResponseError, match="no batch was sent"):
            submit_batch(provider, [replace(task, target="saved")])
        assert len(server.requests) == 1 and batches.looks == 2
