"""The real SDK, over real HTTP, against a server on the loopback interface."""

from __future__ import annotations

import copy
import json
import logging
import pickle
import sys
import threading
from typing import get_args

import anthropic
import numpy as np
import pytest
from sklearn.base import clone

from llmreg.exceptions import (
    IncompleteReplyError,
    LLMRegError,
    MissingDependencyError,
    MissingKeyError,
    ProviderAuthenticationError,
    ProviderError,
    ProviderRefusalError,
    ProviderResponseError,
    ProviderUnavailableError,
    TruncatedReplyError,
)
from llmreg.providers import AnthropicProvider
from llmreg.providers.anthropic import DEFAULT_MODEL
from llmreg.providers.retry import RetryPolicy
from llmreg.task import Feature, Task
from tests.loopback import MODEL, Reply, answer, entries, error, message, spoiled

pytestmark = pytest.mark.usefixtures("key")


@pytest.fixture
def sleeps(monkeypatch):
    """No test sleeps: waits are noted, and the clock runs as it does."""
    waited = []

    def policy(provider):
        return RetryPolicy(
            provider.max_attempts,
            provider.timeout,
            sleep=waited.append,
            jitter=lambda: 1.0,
        )

    monkeypatch.setattr(AnthropicProvider, "_policy", policy)
    return waited


@pytest.fixture
def provider(server, sleeps):
    return AnthropicProvider(base_url=server.url, n_estimates=1)


class TestHappyPath:
    def test_five_estimates_are_five_requests(self, server, provider, task):
        scores = iter([1, 2, 3, 4, 5])
        server.enqueue(
            *[lambda r, s=s: answer(r, lambda feature, output: s) for s in scores]
        )
        prior = provider.set_params(n_estimates=5).elicit(task)
        assert len(server.requests) == 5
        assert prior.features == task.keys
        assert prior.outputs == ("yes",)
        assert prior.scores.tolist() == [[3, 3, 3]]
        assert sorted(prior.estimates[:, 0, 0]) == [1, 2, 3, 4, 5]
        assert prior.rationale["fare"] == "reason for f3"
        assert prior.provenance["model"] == MODEL
        assert prior.usage == {
            "requests": 5,
            "input_tokens": 500,
            "output_tokens": 100,
            "served_from_cache": 0,
        }

    def test_what_is_sent(self, server, provider, task):
        provider.set_params(effort="high", thinking={"type": "adaptive"})
        provider.elicit(task)
        (request,) = server.requests
        assert request.path == "/v1/messages"
        assert set(request.body) == {
            *("model", "system", "messages", "max_tokens", "output_config", "thinking")
        }
        assert request.body["model"] == DEFAULT_MODEL
        assert request.body["max_tokens"] == 8192
        assert request.body["thinking"] == {"type": "adaptive"}
        assert request.body["output_config"]["effort"] == "high"
        assert request.body["output_config"]["format"]["type"] == "json_schema"
        assert [f["name"] for f in request.questionnaire["features"]] == [
            *("age", "sex", "fare")
        ]

    def test_estimates_go_side_by_side(self, server, provider, task):
        meeting = threading.Barrier(3, timeout=20)

        def respond(request):
            meeting.wait()
            return answer(request)

        server.respond = respond
        provider.set_params(n_estimates=3, max_parallel=3).elicit(task)
        assert len(server.requests) == 3

    def test_the_limit_on_parallel_requests_holds(self, server, provider, task):
        lock, inside, most = threading.Lock(), 0, 0

        def respond(request):
            nonlocal inside, most
            with lock:
                inside += 1
                most = max(most, inside)
            reply = answer(request)
            with lock:
                inside -= 1
            return reply

        server.respond = respond
        provider.set_params(n_estimates=8, max_parallel=2).elicit(task)
        assert most <= 2

    def test_several_outputs(self, server, provider):
        task = Task(
            (Feature("legs"), Feature("wings")),
            "animal",
            ("cat", "dog", "bird"),
            "classification",
            ("cat", "dog", "bird"),
        )
        server.respond = lambda request: answer(
            request, lambda f, o: -7 if (f["id"], o["id"]) == ("f2", "o3") else 1
        )
        prior = provider.elicit(task)
        assert prior.scores.tolist() == [[1, 1], [1, 1], [1, -7]]


class TestCache:
    def test_the_second_time_nothing_is_sent(self, server, provider, task):
        first = provider.elicit(task)
        second = clone(provider).elicit(task)
        assert len(server.requests) == 1
        assert second.usage == {
            "requests": 0,
            "input_tokens": 0,
            "output_tokens": 0,
            "served_from_cache": 1,
        }
        np.testing.assert_array_equal(first.estimates, second.estimates)
        assert first.provenance == second.provenance

    def test_no_key_is_needed_for_what_is_cached(
        self, server, provider, task, monkeypatch
    ):
        provider.elicit(task)
        monkeypatch.delenv("ANTHROPIC_API_KEY")
        provider.check_ready(task)
        provider.elicit(task)
        with pytest.raises(MissingKeyError):
            provider.check_ready()

    def test_after_a_failure_only_the_rest_is_asked(self, server, provider, task):
        provider.set_params(n_estimates=5)
        server.enqueue(error(400, "invalid_request_error", "no"))
        with pytest.raises(ProviderError, match="HTTP 400") as caught:
            provider.elicit(task)
        assert len(server.requests) == 5
        assert "4 of 5 estimates arrived" in caught.value.__notes__[0]
        prior = provider.elicit(task)
        assert len(server.requests) == 6
        assert (prior.usage["requests"], prior.usage["served_from_cache"]) == (1, 4)

    @pytest.mark.parametrize(
        "change", [{"effort": "low"}, {"thinking": {"type": "disabled"}}]
    )
    def test_what_shapes_an_answer_is_part_of_its_key(
        self, server, provider, task, change
    ):
        provider.elicit(task)
        provider.set_params(**change).elicit(task)
        provider.set_params(timeout=5.0, max_tokens=9000, max_attempts=2).elicit(task)
        assert len(server.requests) == 2

    def test_threads_ask_once(self, server, provider, task):
        threads = [
            threading.Thread(target=clone(provider).elicit, args=(task,))
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(server.requests) == 1


class TestFaults:
    @pytest.mark.parametrize(
        ("status", "kind", "hint"),
        [
            (401, "authentication_error", "ANTHROPIC_API_KEY"),
            (402, "billing_error", "billing"),
            (403, "permission_error", "permissions"),
            (404, "not_found_error", "`model`"),
        ],
    )
    def test_a_refused_account_ends_it_at_once(
        self, server, provider, task, sleeps, status, kind, hint
    ):
        server.enqueue(error(status, kind, "you may not"))
        with pytest.raises(ProviderAuthenticationError, match=hint) as caught:
            provider.elicit(task)
        assert f"HTTP {status}: you may not" in str(caught.value)
        assert (len(server.requests), sleeps) == (1, [])

    @pytest.mark.parametrize(
        ("status", "kind", "text"),
        [
            (400, "invalid_request_error", "Your credit balance is too low."),
            (429, "rate_limit_error", "You have reached your spend limit."),
        ],
    )
    def test_money_is_a_refusal_whatever_the_status(
        self, server, provider, task, sleeps, status, kind, text
    ):
        server.enqueue(error(status, kind, text))
        with pytest.raises(ProviderAuthenticationError, match="billing"):
            provider.elicit(task)
        assert (len(server.requests), sleeps) == (1, [])

    def test_a_wait_of_a_day_fails_at_once(self, server, provider, task, sleeps):
        busy = error(429, "rate_limit_error", "slow down", {"retry-after": "86400"})
        server.enqueue(busy)
        with pytest.raises(ProviderUnavailableError, match="asks to wait 86400 s"):
            provider.elicit(task)
        assert (len(server.requests), sleeps) == (1, [])

    def test_a_short_wait_is_kept(self, server, provider, task, sleeps):
        server.enqueue(error(429, "rate_limit_error", "slow", {"retry-after": "7"}))
        provider.elicit(task)
        assert (len(server.requests), sleeps) == (2, [7])

    def test_a_date_to_wait_for_is_read(self, server, provider, task, sleeps):
        past = {"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}
        server.enqueue(error(503, "api_error", "down", past))
        provider.elicit(task)
        assert sleeps == [1]

    @pytest.mark.parametrize(
        ("status", "kind"),
        [(529, "overloaded_error"), (500, "api_error"), (408, "timeout_error")],
    )
    def test_passing_faults_pass(self, server, provider, task, sleeps, status, kind):
        server.enqueue(error(status, kind, "not now"), error(status, kind, "not now"))
        prior = provider.elicit(task)
        assert (prior.usage["requests"], sleeps) == (3, [1, 2])

    def test_a_fault_that_stays_is_named(self, server, provider, task, sleeps):
        server.respond = lambda request: error(500, "api_error", "broken")
        with pytest.raises(
            ProviderUnavailableError, match="failed 3 times: HTTP 500: broken"
        ):
            provider.set_params(max_attempts=3).elicit(task)
        assert len(server.requests) == 3

    def test_the_server_may_forbid_to_try_again(self, server, provider, task, sleeps):
        forbid = {"x-should-retry": "false"}
        server.enqueue(error(529, "overloaded_error", "go away", forbid))
        with pytest.raises(ProviderUnavailableError, match="not to try again"):
            provider.elicit(task)
        assert sleeps == []

    def test_a_connection_that_is_cut(self, server, provider, task, sleeps):
        server.enqueue(Reply('{"id": "msg', cut=True))
        provider.elicit(task)
        assert (len(server.requests), sleeps) == (2, [1])

    def test_a_server_that_is_not_there(self, provider, task, sleeps):
        provider.set_params(base_url="http://127.0.0.1:9", max_attempts=2)
        with pytest.raises(ProviderUnavailableError, match="connection failed"):
            provider.elicit(task)
        assert sleeps == [1]

    def test_a_server_that_does_not_answer(self, server, provider, task):
        asked = threading.Event()

        def respond(request):
            asked.wait(20)
            return answer(request)

        server.respond = respond
        with pytest.raises(ProviderUnavailableError, match=r"within 0\.2 s.*timed out"):
            provider.set_params(timeout=0.2).elicit(task)
        asked.set()

    def test_a_refusal_is_not_repeated(self, server, provider, task):
        server.enqueue(message("", stop_reason="refusal"))
        with pytest.raises(ProviderRefusalError, match="Reword the task"):
            provider.elicit(task)
        assert len(server.requests) == 1

    @pytest.mark.parametrize("stop", ["max_tokens", "model_context_window_exceeded"])
    def test_a_reply_that_is_cut_off_gets_twice_the_room(
        self, server, provider, task, stop
    ):
        server.enqueue(message('{"features": [{"id', stop_reason=stop))
        provider.elicit(task)
        assert [r.body["max_tokens"] for r in server.requests] == [8192, 16384]

    def test_a_reply_that_is_always_cut_off_is_an_error(self, server, provider, task):
        server.respond = lambda request: message("{", stop_reason="max_tokens")
        with pytest.raises(TruncatedReplyError, match="max_tokens=2000"):
            provider.set_params(max_tokens=1000).elicit(task)
        # All three features, then one of them: each with the room, and with twice it.
        assert len(server.requests) == 6

    @pytest.mark.parametrize(
        ("bad", "kind", "told"),
        [
            (message("Sure! f1 is 3."), ProviderResponseError, "not valid JSON"),
            (message(""), ProviderResponseError, "not valid JSON"),
            (spoiled(lambda e: e.pop()), IncompleteReplyError, "'fare'"),
            (
                spoiled(lambda e: e.append({**e[0], "id": "f4"})),
                ProviderResponseError,
                "'f4' is not",
            ),
            (
                spoiled(lambda e: e.append(e[0])),
                ProviderResponseError,
                "f1 is answered 2 times",
            ),
            (
                spoiled(lambda e: e[1]["scores"].update(o1=11)),
                ProviderResponseError,
                "f2 has 11",
            ),
            (
                Reply("<html>Sign in</html>", content_type="text/html"),
                ProviderResponseError,
                "an HTML page",
            ),
            (Reply("<html>Sign in</html>"), ProviderResponseError, "proxy"),
            (
                Reply(error(529, "overloaded_error", "busy").body),
                ProviderResponseError,
                "the status of a success",
            ),
            (
                message("", stop_reason="tool_use"),
                ProviderResponseError,
                "reason 'tool_use'",
            ),
            (Reply("null"), ProviderResponseError, "proxy"),
            (Reply(""), ProviderResponseError, "proxy"),
        ],
    )
    def test_a_reply_that_cannot_be_used(self, server, provider, task, bad, kind, told):
        server.enqueue(bad, bad)
        with pytest.raises(kind, match=told):
            provider.elicit(task)
        assert len(server.requests) == 2
        server.enqueue(bad)
        prior = provider.elicit(task)
        assert prior.usage["requests"] == 2

    def test_a_request_that_is_wrong_is_not_repeated(self, server, provider, task):
        text = "messages: roles must alternate"
        server.enqueue(error(400, "invalid_request_error", text))
        with pytest.raises(ProviderError, match=text):
            provider.elicit(task)
        assert len(server.requests) == 1

    def test_missing_token_counts_cost_no_answer(self, server, provider, task):
        def respond(request):
            body = json.loads(answer(request).body)
            del body["usage"]
            return Reply(json.dumps(body))

        server.respond = respond
        assert provider.elicit(task).usage["input_tokens"] == 0


class TestBeforeAnythingIsSent:
    def test_a_missing_key_names_the_ways_out(
        self, server, provider, task, monkeypatch
    ):
        monkeypatch.delenv("ANTHROPIC_API_KEY")
        for ask in (provider.check_ready, lambda: provider.elicit(task)):
            with pytest.raises(MissingKeyError) as caught:
                ask()
            for way in ("ANTHROPIC_API_KEY", "api_key=", "prior card"):
                assert way in str(caught.value)
        assert server.requests == []

    def test_a_function_may_give_the_key(self, server, provider, task, monkeypatch):
        monkeypatch.delenv("ANTHROPIC_API_KEY")
        provider.set_params(api_key=lambda: "sk-from-a-function").elicit(task)
        assert server.requests[0].headers["Authorization"] == (
            "Bearer sk-from-a-function"
        )

    def test_a_function_without_a_key_does_not_fall_back(self, server, provider, task):
        with pytest.raises(MissingKeyError, match="function given as api_key"):
            provider.set_params(api_key=lambda: "").elicit(task)
        assert server.requests == []

    def test_other_credentials_of_the_sdk_will_do(
        self, server, provider, task, monkeypatch
    ):
        monkeypatch.delenv("ANTHROPIC_API_KEY")
        monkeypatch.setenv("ANTHROPIC_AUTH_TOKEN", "a-token")
        provider.elicit(task)
        assert server.requests[0].headers["Authorization"] == "Bearer a-token"

    def test_a_profile_that_is_not_there(self, provider, monkeypatch):
        monkeypatch.delenv("ANTHROPIC_API_KEY")
        monkeypatch.setenv("ANTHROPIC_PROFILE", "nowhere")
        with pytest.raises(ProviderError):
            provider.check_ready()

    def test_an_absent_sdk_is_named(self, provider, task, monkeypatch):
        monkeypatch.setitem(sys.modules, "anthropic", None)
        with pytest.raises(MissingDependencyError, match="pip install anthropic"):
            provider.elicit(task)

    @pytest.mark.parametrize("change", [{"effort": "huge"}, {"thinking": "yes"}])
    def test_wrong_parameters_are_named(self, server, provider, task, change):
        (name,) = change
        with pytest.raises(ValueError, match=f"The '{name}' parameter"):
            provider.set_params(**change).elicit(task)
        assert server.requests == []


class TestParameters:
    def test_clone_copy_and_pickle_before_and_after_use(self, server, provider, task):
        for _ in range(2):
            for again in (
                clone(provider),
                copy.deepcopy(provider),
                pickle.loads(pickle.dumps(provider)),
            ):
                assert again.get_params() == provider.get_params()
                assert again.elicit(task).features == task.keys
        assert len(server.requests) == 1

    def test_the_default_model_is_known_to_the_sdk(self):
        known, _ = get_args(anthropic.types.ModelParam)
        assert DEFAULT_MODEL in get_args(known)


class TestSecrets:
    """A planted key is in nothing that leaves the process or is shown."""

    def test_plain_keys_are_refused_without_being_repeated(self, key, provider):
        for assign in (
            lambda: AnthropicProvider(api_key=key),
            lambda: provider.set_params(api_key=key),
        ):
            with pytest.raises(TypeError, match="must be a function") as caught:
                assign()
            assert key not in str(caught.value)

    def test_in_no_output(self, key, server, provider, task, caplog, tmp_path):
        caplog.set_level(logging.DEBUG)
        prior = provider.elicit(task)
        assert server.requests[0].headers["Authorization"] == f"Bearer {key}"
        shown = [
            repr(provider),
            provider._repr_html_(),
            repr(provider.get_params()),
            repr(vars(provider)),
            repr(pickle.dumps(provider)),
            prior.to_json(),
            caplog.text,
            *(p.read_text() for p in (tmp_path / "cache").iterdir()),
        ]
        assert len(shown) > 8
        assert "llmreg" in caplog.text
        for text in shown:
            assert key not in text

    @pytest.mark.parametrize(
        "make",
        [
            lambda key: error(401, "authentication_error", f"bad key {key}"),
            lambda key: error(400, "invalid_request_error", f"header Bearer {key}"),
            lambda key: error(500, "api_error", f"crashed on {key}"),
            lambda key: Reply(f"<html>{key}</html>", content_type="text/html"),
            lambda key: Reply(f"{{{key}"),
            lambda key: Reply(key, cut=True),
            lambda key: message(f"you sent {key}"),
            lambda key: message(f"you sent {key}", stop_reason="refusal"),
        ],
    )
    def test_in_no_exception_even_if_the_server_repeats_it(
        self, key, server, provider, task, sleeps, caplog, make
    ):
        caplog.set_level(logging.DEBUG, "llmreg")
        server.respond = lambda request: make(key)
        with pytest.raises(LLMRegError) as caught:
            provider.set_params(max_attempts=2).elicit(task)
        chain, link = [], caught.value
        while link is not None:
            chain.append(link)
            link = link.__cause__ or link.__context__
        for link in chain:
            assert not type(link).__module__.startswith(("anthropic", "httpx"))
            assert key not in str(link)
            assert key not in repr(vars(link))
            assert key.encode() not in pickle.dumps(link)
        assert key not in caplog.text

    def test_a_reply_that_repeats_it_is_kept_without_it(
        self, key, server, provider, task, tmp_path
    ):
        def respond(request):
            found = entries(request)
            found[0]["reason"] = f"because {key}"
            return message(json.dumps({"features": found}))

        server.respond = respond
        prior = provider.elicit(task)
        assert prior.rationale["age"] == "because ***"
        for path in (tmp_path / "cache").iterdir():
            assert key not in path.read_text()
