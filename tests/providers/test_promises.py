"""What every vendor's provider promises, held against each of them.

The real SDK, over real HTTP, against a server on the loopback interface. What only one
vendor has is in the test module of its name.
"""

from __future__ import annotations

import copy
import io
import json
import logging
import pickle
import sys
import threading
import traceback
from dataclasses import replace

import joblib
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
from llmreg.prior._feature_prior import FeaturePrior
from llmreg.prior._task import Feature, Task
from tests.loopback import MODEL, Reply, entries
from tests.vendors import VENDORS, planted_key

pytestmark = [
    pytest.mark.usefixtures("key"),
    pytest.mark.parametrize("vendor", VENDORS, ids=repr),
]


def escaped(text):
    """Write a text as JSON may, every character by its number."""
    return "".join(f"\\u{ord(c):04x}" for c in text)


class TestHappyPath:
    def test_five_estimates_are_five_requests(self, server, provider, task, vendor):
        scores = iter([1, 2, 3, 4, 5])
        server.enqueue(
            *[lambda r, s=s: vendor.answer(r, lambda f, o: s) for s in scores]
        )
        prior = provider.set_params(n_estimates=5).elicit(task)
        assert len(server.requests) == 5
        assert prior.features == task.keys
        assert prior.outputs == ("yes",)
        assert prior.scores.tolist() == [[3, 3, 3]]
        assert sorted(prior.estimates[:, 0, 0]) == [1, 2, 3, 4, 5]
        assert prior.rationale["fare"] == "reason for f3"
        assert prior.provenance["model"] == MODEL
        assert prior.provenance["address"] == provider.base_url
        assert prior.provenance["tokens"] == "500 input tokens, 100 output tokens"
        assert prior.usage == {
            "requests": 5,
            "input_tokens": 500,
            "output_tokens": 100,
            "served_from_cache": 0,
        }

    def test_names_are_sent_and_nothing_else(self, server, provider, task, vendor):
        provider.elicit(task)
        (request,) = server.requests
        assert request.path == vendor.path
        assert [f["name"] for f in request.questionnaire["features"]] == [
            *("age", "sex", "fare")
        ]
        assert set(request.questionnaire) == {
            *("task", "kind", "target", "classes", "outputs", "features")
        }

    def test_estimates_go_side_by_side_up_to_the_limit(
        self, server, provider, task, vendor
    ):
        meeting, inside, most = threading.Barrier(2, timeout=20), [], []

        def respond(request):
            inside.append(request)
            most.append(len(inside))
            meeting.wait()
            inside.remove(request)
            return vendor.answer(request)

        server.respond = respond
        provider.set_params(n_estimates=6, max_parallel=2).elicit(task)
        assert (len(most), max(most)) == (6, 2)

    def test_half_a_character_costs_no_answer(
        self, server, provider, task, vendor, tmp_path
    ):
        def respond(request):
            found = entries(request)
            found[0]["reason"] = "cut off \ud83d"
            return vendor.message(json.dumps({"features": found}, ensure_ascii=False))

        server.respond = respond
        # As the command line gives what is no UTF-8.
        task = replace(task, description="caf\udce9")
        first, second = (provider.elicit(task) for _ in range(2))
        assert len(server.requests) == 1
        assert second.usage["served_from_cache"] == 1
        first.write(tmp_path / "card.json")
        assert FeaturePrior.read(tmp_path / "card.json").task == task.description

    def test_several_outputs(self, server, provider, vendor):
        task = Task(
            (Feature("legs"), Feature("wings")),
            "animal",
            ("cat", "dog", "bird"),
            "classification",
            ("cat", "dog", "bird"),
        )
        server.respond = lambda request: vendor.answer(
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

    def test_no_key_and_no_sdk_are_needed_for_what_is_cached(
        self, server, provider, task, vendor, monkeypatch
    ):
        provider.elicit(task)
        monkeypatch.delenv(vendor.key_variable)
        monkeypatch.setitem(sys.modules, vendor.kind._sdk, None)
        provider.check_ready(task)
        provider.elicit(task)
        with pytest.raises(MissingDependencyError):
            provider.check_ready()
        assert len(server.requests) == 1

    def test_after_a_failure_only_the_rest_is_asked(
        self, server, provider, task, vendor
    ):
        provider.set_params(n_estimates=5)
        server.enqueue(vendor.error(400, "no"))
        with pytest.raises(ProviderError, match="HTTP 400") as caught:
            provider.elicit(task)
        assert len(server.requests) == 5
        assert "4 of 5 estimates arrived" in caught.value.__notes__[0]
        prior = provider.elicit(task)
        assert len(server.requests) == 6
        assert (prior.usage["requests"], prior.usage["served_from_cache"]) == (1, 4)

    def test_what_shapes_an_answer_is_part_of_its_key(
        self, server, provider, task, vendor
    ):
        provider.elicit(task)
        provider.set_params(**vendor.shaping).elicit(task)
        provider.set_params(timeout=5.0, max_tokens=9000, max_attempts=2).elicit(task)
        assert len(server.requests) == 2

    def test_the_address_counts_wherever_it_comes_from(
        self, server, provider, task, vendor, monkeypatch
    ):
        provider.elicit(task)
        monkeypatch.setenv(vendor.kind._address_variable, provider.base_url)
        provider.set_params(base_url=None).elicit(task)
        assert len(server.requests) == 1
        monkeypatch.setenv(
            vendor.kind._address_variable, f"{server.url}/other{vendor.prefix}"
        )
        provider.elicit(task)
        assert server.requests[-1].path.startswith("/other/")

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


def error(status, text, headers=None, code=None):
    """Give what makes an error in the words of a vendor."""
    return lambda v: v.error(status, text, headers, code and v.codes[code])


def busy(wait):
    return [error(429, "slow down", {"retry-after": wait})]


def spoiled(change):
    return lambda v: v.spoiled(change)


def html(**reply):
    return lambda v: Reply("<html>Sign in</html>", **reply)


Refused, Unavailable = ProviderAuthenticationError, ProviderUnavailableError
Unusable = ProviderResponseError


class TestFaults:
    @pytest.mark.parametrize(
        ("fault", "kind", "match"),
        [
            (error(401, "you may not"), Refused, "HTTP 401: you may not.*_API_KEY"),
            (error(402, "you may not"), Refused, "HTTP 402: you may not.*billing"),
            (error(403, "you may not"), Refused, "HTTP 403: you may not.*permissions"),
            (error(400, "Your credit balance is too low."), Refused, "billing"),
            (error(429, "You have reached your spend limit."), Refused, "billing"),
            (error(429, "You paid for less.", code="money"), Refused, "billing"),
            (error(400, "roles must alternate"), ProviderError, "roles must alternate"),
            (*busy("86400"), Unavailable, "asks to wait 86400 s"),
            (
                error(529, "go away", {"x-should-retry": "false"}),
                *(Unavailable, "not to try again"),
            ),
            (
                lambda v: v.message("", stop="refusal"),
                *(ProviderRefusalError, "Reword the task"),
            ),
        ],
    )
    def test_what_ends_it_at_once(
        self, server, provider, task, sleeps, vendor, fault, kind, match
    ):
        server.enqueue(fault(vendor))
        with pytest.raises(kind, match=match):
            provider.elicit(task)
        assert (len(server.requests), sleeps) == (1, [])

    @pytest.mark.parametrize(
        ("faults", "waits"),
        [
            (busy("7"), [7]),
            ([error(529, "slow", {"retry-after": "7"})], [7]),
            ([error(503, "", {"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"})], [1]),
            # Waits that say nothing.
            (busy("Mon, 01 Jan 2026 00:00:00 +999999999999999999"), [1]),
            (busy("Mon, 01 Jan 0001 00:00:00 +2300"), [1]),
            (busy("Mon, 01 Jan 99999 00:00:00 GMT"), [1]),
            (busy("nan"), [1]),
            (busy("1e400"), [1]),
            (busy("-5"), [1]),
            (busy("9" * 5000), [1]),
            *([[error(status, "not now")] * 2, [1, 2]] for status in (429, 529, 500)),
            ([error(408, "not now")] * 2, [1, 2]),
            ([lambda v: Reply("<html>Bad</html>", 502, content_type="text/html")], [1]),
            ([lambda v: Reply('{"id": "msg', cut=True)], [1]),
        ],
    )
    def test_what_passes(self, server, provider, task, sleeps, vendor, faults, waits):
        server.enqueue(*(fault(vendor) for fault in faults))
        assert provider.elicit(task).usage["requests"] == len(server.requests)
        assert (len(server.requests), sleeps) == (len(faults) + 1, waits)

    def test_a_fault_that_stays_is_named(self, server, provider, task, sleeps, vendor):
        server.respond = lambda request: vendor.error(500, "broken")
        with pytest.raises(
            ProviderUnavailableError, match="failed 3 times: HTTP 500: broken"
        ):
            provider.set_params(max_attempts=3).elicit(task)
        assert len(server.requests) == 3

    def test_a_server_that_does_not_answer(
        self, server, provider, task, vendor, monkeypatch
    ):
        # However busy the machine is, the SDK's own timeout is the first.
        monkeypatch.setattr("llmreg.elicitation._sampling.GRACE", 20.0)
        with provider._connect():
            pass  # What is loaded for the first client takes time of its own.
        asked = threading.Event()

        def respond(request):
            asked.wait(20)
            return vendor.answer(request)

        server.respond = respond
        with pytest.raises(ProviderUnavailableError, match=r"within 1 s.*timed out"):
            provider.set_params(timeout=1).elicit(task)
        asked.set()

    def test_a_reply_that_is_cut_off_gets_twice_the_room(
        self, server, provider, task, vendor
    ):
        server.enqueue(vendor.message('{"features": [{"id', stop="length"))
        provider.elicit(task)
        assert [r.body["max_tokens"] for r in server.requests] == [8192, 16384]

    def test_a_reply_that_is_always_cut_off_is_an_error(
        self, server, provider, task, vendor
    ):
        server.respond = lambda request: vendor.message("{", stop="length")
        with pytest.raises(TruncatedReplyError, match="max_tokens=2000"):
            provider.set_params(max_tokens=1000).elicit(task)
        # All three features, then one of them: each with the room, and with twice it.
        assert len(server.requests) == 6

    @pytest.mark.parametrize(
        ("bad", "kind", "match"),
        [
            (lambda v: v.message("Sure! f1 is 3."), Unusable, "not valid JSON"),
            (lambda v: v.message('{"features": ['), Unusable, "not valid JSON"),
            (lambda v: v.message(""), Unusable, "not valid JSON"),
            (spoiled(lambda e: e.pop()), IncompleteReplyError, "'fare'"),
            (
                spoiled(lambda e: e.append({**e[0], "id": "f4"})),
                Unusable,
                "but is 'f4'",
            ),
            (spoiled(lambda e: e.append(e[0])), Unusable, "more than once"),
            (
                spoiled(lambda e: e[1]["scores"].update(o1=11)),
                Unusable,
                "but is 11",
            ),
            (
                spoiled(lambda e: e[1]["scores"].update(o1="x")),
                Unusable,
                "but is 'x'",
            ),
            (html(content_type="text/html"), Unusable, "an HTML page"),
            (html(), Unusable, "proxy"),
            (lambda v: Reply(v.error(529, "busy").body), Unusable, "of a success"),
            (lambda v: v.message("", stop="tool"), Unusable, "reason 'tool_"),
            (lambda v: Reply("null"), Unusable, "proxy"),
            (lambda v: Reply(""), Unusable, "proxy"),
        ],
    )
    def test_a_reply_that_cannot_be_used(
        self, server, provider, task, vendor, bad, kind, match
    ):
        reply = bad(vendor)
        server.enqueue(reply, reply)
        with pytest.raises(kind, match=match) as caught:
            provider.elicit(task)
        again = pickle.loads(pickle.dumps(caught.value))
        assert (type(again), str(again)) == (type(caught.value), str(caught.value))
        assert len(server.requests) == 2
        server.enqueue(reply)
        prior = provider.elicit(task)
        assert prior.usage["requests"] == 2

    @pytest.mark.parametrize(
        ("status", "text"),
        [(400, "The compiled grammar is too large"), (413, "too many bytes")],
    )
    def test_a_request_that_is_too_large_is_halved(
        self, server, provider, task, vendor, status, text
    ):
        server.enqueue(vendor.error(status, text))
        assert provider.elicit(task).features == task.keys
        told = [len(r.questionnaire["features"]) for r in server.requests]
        assert told == [3, 2, 1]
        # What was found out is kept: nothing is tried again.
        provider.set_params(n_estimates=2).elicit(task)
        assert len(server.requests) == 5

    def test_the_preview_is_what_is_sent(self, server, provider, task):
        (shown,) = provider.preview(task)
        assert server.requests == []
        provider.elicit(task)
        assert shown["body"] == server.requests[0].body
        assert shown["url"] == server.url + server.requests[0].path

    def test_missing_token_counts_cost_no_answer(self, server, provider, task, vendor):
        def respond(request):
            body = json.loads(vendor.answer(request).body)
            del body["usage"]
            return Reply(json.dumps(body))

        server.respond = respond
        assert provider.elicit(task).usage["input_tokens"] == 0


class TestBeforeAnythingIsSent:
    def test_a_missing_key_names_the_ways_out(self, task, vendor, monkeypatch):
        monkeypatch.delenv(vendor.key_variable)
        provider = vendor.kind()
        for ask in (provider.check_ready, lambda: provider.elicit(task)):
            with pytest.raises(MissingKeyError) as caught:
                ask()
            for way in (vendor.key_variable, "api_key=", "prior card"):
                assert way in str(caught.value)

    def test_a_function_may_give_the_key(
        self, server, provider, task, vendor, monkeypatch
    ):
        monkeypatch.delenv(vendor.key_variable)
        provider.set_params(api_key=lambda: "sk-from-a-function").elicit(task)
        assert server.requests[0].carried("sk-from-a-function")

    def test_a_function_without_a_key_does_not_fall_back(self, server, provider, task):
        with pytest.raises(MissingKeyError, match="function given as api_key"):
            provider.set_params(api_key=lambda: "").elicit(task)
        assert server.requests == []

    @pytest.mark.parametrize("given", ["sk-from-a-file\n", "\t sk-from-a-file \r\n"])
    def test_the_line_break_of_a_file_is_no_part_of_a_key(
        self, server, provider, task, vendor, monkeypatch, given
    ):
        provider.set_params(api_key=lambda: given).elicit(task)
        monkeypatch.setenv(vendor.key_variable, given)
        provider.set_params(api_key=None, n_estimates=2).elicit(task)
        assert [r.carried("sk-from-a-file") for r in server.requests] == [True, True]

    @pytest.mark.parametrize(
        "given", [" \n", "\u201csk-secret\u201d", "sk-\nsecret", b"sk-secret", 3]
    )
    def test_what_is_no_key_is_told_and_not_repeated(
        self, server, provider, task, sleeps, vendor, monkeypatch, given
    ):
        with pytest.raises(MissingKeyError, match="function given as api_key") as one:
            provider.set_params(api_key=lambda: given).elicit(task)
        assert "secret" not in str(one.value)
        if isinstance(given, str):
            monkeypatch.setenv(vendor.key_variable, given)
            with pytest.raises(MissingKeyError, match=vendor.key_variable) as two:
                provider.set_params(api_key=None).elicit(task)
            assert "secret" not in str(two.value)
        assert (server.requests, sleeps) == ([], [])

    def test_a_header_that_cannot_be_sent_is_no_outage(
        self, server, provider, task, sleeps, monkeypatch
    ):
        monkeypatch.setenv("ANTHROPIC_CUSTOM_HEADERS", "x-mine: a\rb")
        monkeypatch.setenv("OPENAI_ORG_ID", "\u201ca\u201d")
        with pytest.raises(ProviderError, match="nothing was sent") as caught:
            provider.elicit(task)
        assert type(caught.value) is ProviderError
        assert (server.requests, sleeps) == ([], [])

    def test_an_absent_sdk_is_named(self, provider, task, vendor, monkeypatch):
        monkeypatch.setitem(sys.modules, vendor.kind._sdk, None)
        with pytest.raises(MissingDependencyError, match=r"pip install \S*") as caught:
            provider.elicit(task)
        assert vendor.kind._requirement in str(caught.value)


class TestParameters:
    def test_wrong_ones_are_named(self, server, provider, task, vendor):
        for name, value in vendor.wrong.items():
            wrong = clone(provider).set_params(**{name: value})
            with pytest.raises(ValueError, match=f"The '{name}' parameter"):
                wrong.elicit(task)
        assert server.requests == []

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


class TestSecrets:
    """A planted key is in nothing that leaves the process or is shown."""

    def test_plain_keys_are_refused_without_being_repeated(self, key, provider, vendor):
        for assign in (
            lambda: vendor.kind(api_key=key),
            lambda: provider.set_params(api_key=key),
        ):
            with pytest.raises(TypeError, match="must be a function") as caught:
                assign()
            assert key not in str(caught.value)

    def test_in_no_output(self, key, server, provider, task, caplog, tmp_path):
        caplog.set_level(logging.DEBUG)
        prior = provider.elicit(task)
        assert server.requests[0].carried(key)
        dump = io.BytesIO()
        joblib.dump((provider, prior), dump)
        shown = [
            repr(provider),
            provider._repr_html_(),
            repr(provider.get_params()),
            repr(vars(provider)),
            repr(pickle.dumps((provider, prior))),
            repr(dump.getvalue()),
            prior.to_json(),
            repr(prior),
            prior._repr_html_(),
            caplog.text,
            *(p.read_text() for p in (tmp_path / "cache").iterdir()),
        ]
        assert len(shown) > 11
        assert "llmreg" in caplog.text
        for text in shown:
            assert key not in text

    @pytest.mark.parametrize(
        "make",
        [
            lambda v, key: v.error(401, f"bad key {key}"),
            lambda v, key: v.error(400, f"header Bearer {key}"),
            lambda v, key: v.error(500, f"crashed on {key}"),
            lambda v, key: Reply(f"{key} is no JSON", 400, content_type="text/plain"),
            lambda v, key: Reply(f"<html>{key}</html>", content_type="text/html"),
            lambda v, key: Reply(f"{{{key}"),
            lambda v, key: Reply(key, cut=True),
            lambda v, key: v.message(f"you sent {key}"),
            lambda v, key: v.message(f"you sent {key}", stop="refusal"),
            lambda v, key: v.message(f"you sent {key}", stop=key),
            lambda v, key: v.error(400, f"bad key {key[:9]}\u200b{key[9:]}"),
            lambda v, key: v.error(400, f"bad key {key[:9]}\x00{key[9:]}"),
            lambda v, key: v.message(f"you sent {key[:9]}\u200b{key[9:]}"),
            lambda v, key: Reply(f'{{"error": {{"message": "{escaped(key)}"}}}}', 400),
        ],
    )
    def test_in_no_exception_even_if_the_server_repeats_it(
        self, key, server, provider, task, sleeps, caplog, vendor, make
    ):
        caplog.set_level(logging.DEBUG, "llmreg")
        server.respond = lambda request: make(vendor, key)
        with pytest.raises(LLMRegError) as caught:
            provider.set_params(max_attempts=2).elicit(task)
        chain, link = [], caught.value
        while link is not None:
            chain.append(link)
            link = link.__cause__ or link.__context__
        for link in chain:
            assert not type(link).__module__.startswith((vendor.kind._sdk, "httpx"))
            assert key not in str(link)
            assert key not in repr(vars(link))
            assert key.encode() not in pickle.dumps(link)
        assert key not in caplog.text

    @pytest.mark.processes(end_in_error=True)
    def test_in_no_traceback_of_a_worker(self, key, server, task, vendor):
        server.respond = lambda request: vendor.error(401, f"bad key {key}")
        # Workers may be older than the environment of this test.
        provider = vendor.provider(server, api_key=planted_key)
        with pytest.raises(ProviderAuthenticationError) as caught:
            joblib.Parallel(n_jobs=2)([joblib.delayed(provider.elicit)(task)])
        told = "".join(traceback.format_exception(caught.value))
        assert "RemoteTraceback" in told
        assert "HTTP 401: bad key ***" in told
        assert key not in told

    @pytest.mark.parametrize(
        "repeat",
        [
            lambda key: key,
            lambda key: f"{key[:9]}\u200b{key[9:]}",
            lambda key: f"{key[:5]}\n{key[5:]}",
            lambda key: escaped(key),
            lambda key: f"{key[:5]}\\u200b\\n{escaped(key[5:])}",
        ],
    )
    def test_a_reply_that_repeats_it_is_kept_without_it(
        self, key, server, provider, task, vendor, tmp_path, repeat
    ):
        def respond(request):
            found = entries(request)
            found[0]["reason"] = "because KEY"
            text = json.dumps({"features": found}).replace("KEY", repeat(key))
            body = json.loads(vendor.message(text).body)
            return Reply(json.dumps({**body, "model": f"model of {repeat(key)}"}))

        server.respond = respond
        prior = provider.elicit(task)
        assert prior.rationale["age"] == "because ***"
        assert prior.provenance["model"] == "model of ***"
        for path in (tmp_path / "cache").iterdir():
            assert key not in path.read_text()
