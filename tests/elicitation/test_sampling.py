"""Questions, ways of asking and rounds, against the loopback server."""

from __future__ import annotations

import json
import socket
import time
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from llmreg.elicitation._questions import WAYS
from llmreg.elicitation._responses import Estimate
from llmreg.elicitation._retry import RetryPolicy
from llmreg.elicitation._sampling import AUTO_FIRST, AUTO_MOST, AUTO_STEP, settled
from llmreg.exceptions import (
    PriorDisabledWarning,
    ProviderError,
    RequestTooLargeError,
    TruncatedReplyError,
)
from llmreg.prior._task import Feature, Task
from llmreg.providers import AnthropicProvider, CachedProvider
from llmreg.providers._resolve import resolve
from tests.loopback import Reply, answer, error, message

pytestmark = pytest.mark.usefixtures("key")


def wide(n_features):
    return Task(
        tuple(Feature(f"x{i}") for i in range(n_features)),
        "ill",
        ("yes",),
        "classification",
        ("no", "yes"),
        "Predict who falls ill.",
    )


def number(feature, output):
    """Score a feature by the number in its name."""
    return int(feature["name"][1:]) % 21 - 10


def by_name(request):
    return answer(request, number)


def names(request):
    return [feature["name"] for feature in request.questionnaire["features"]]


def by_schema(request):
    """Answer whatever is asked for: scores, curves, a ranking or drafts."""
    asked = request.body["output_config"]["format"]["schema"]["properties"]
    document = request.questionnaire
    ids = [feature["id"] for feature in document["features"]]
    if "rankings" in asked:
        ranking = [{"id": i, "direction": "negative"} for i in ids]
        rankings = {o["id"]: ranking for o in document["outputs"]}
        return message(json.dumps({"reasoning": "", "rankings": rankings}))
    if "features" not in asked:
        return answer(request)
    if "description" in asked["features"]["items"]["properties"]:
        drafts = [{"id": i, "description": f"about {i}"} for i in ids]
        return message(json.dumps({"features": drafts}))
    return answer(request)


@pytest.fixture
def provider(server):
    return AnthropicProvider(
        base_url=server.url, ask="all", n_estimates=1, max_attempts=1
    )


class TestChunks:
    def test_5000_features_are_50_questions(self, server, provider):
        server.respond = by_name
        task = wide(5000)
        start = time.process_time()
        prior = provider.elicit(task)
        assert time.process_time() - start < 15
        assert len(server.requests) == 50
        assert prior.features == task.keys
        expected = [number({"name": key}, None) for key in task.keys]
        assert prior.scores.tolist() == [expected]
        assert len(prior.rationale) == 5000
        assert provider.elicit(task).usage["served_from_cache"] == 50
        assert len(server.requests) == 50

    def test_answers_are_merged_by_estimate(self, server, provider):
        server.respond = by_name
        prior = provider.set_params(n_estimates=3).elicit(wide(250))
        assert len(server.requests) == 9
        assert prior.estimates.shape == (3, 1, 250)
        assert prior.usage["requests"] == 9
        assert prior.usage["input_tokens"] == 900
        assert not prior.spread.any()

    def test_only_the_question_that_failed_is_asked_again(self, server, provider):
        def fail_once(request):
            if "x249" in names(request):
                server.respond = by_name
                return error(400, "invalid_request_error", "no")
            return by_name(request)

        server.respond = fail_once
        with pytest.raises(ProviderError, match="HTTP 400"):
            provider.elicit(wide(250))
        before = len(server.requests)
        prior = provider.elicit(wide(250))
        assert [names(r)[-1] for r in server.requests[before:]] == ["x249"]
        assert (prior.usage["requests"], prior.usage["served_from_cache"]) == (1, 2)


def limited(most, refuse):
    """Make a model that answers for a few features at a time."""

    def respond(request):
        return refuse if len(names(request)) > most else by_name(request)

    return respond


CUT = message('{"features": [', stop_reason="max_tokens")
GRAMMAR = error(400, "invalid_request_error", "The compiled grammar is too large, ...")
TOO_LONG = error(400, "invalid_request_error", "prompt is too long: 300000 tokens")
TOO_LARGE = error(413, "request_too_large", "Request exceeds the maximum size")


class TestSplitting:
    @pytest.mark.parametrize(
        ("refuse", "each"), [(CUT, 2), (GRAMMAR, 1), (TOO_LONG, 1), (TOO_LARGE, 1)]
    )
    def test_a_question_that_is_too_large_is_halved(
        self, server, provider, refuse, each
    ):
        server.respond = limited(3, refuse)
        prior = provider.elicit(wide(10))
        assert prior.scores.tolist() == [list(range(-10, 0))]
        # 10 features, then 5 twice, fail; 3 + 2 twice do not.
        assert len(server.requests) == 3 * each + 4
        assert prior.usage["requests"] == len(server.requests)

    def test_what_was_learnt_about_the_size_is_kept(self, server, provider):
        server.respond = limited(3, GRAMMAR)
        provider.elicit(wide(10))
        before = len(server.requests)
        provider.set_params(n_estimates=2).elicit(wide(10))
        assert [len(names(r)) for r in server.requests[before:]] == [3, 2, 3, 2]
        provider.elicit(wide(10))
        assert len(server.requests) == before + 4

    def test_a_half_that_arrived_is_not_asked_again(self, server, provider):
        server.enqueue(GRAMMAR, by_name, error(500, "api_error", "down"))
        with pytest.raises(ProviderError):
            provider.elicit(wide(4))
        assert [len(names(r)) for r in server.requests] == [4, 2, 2]
        server.respond = by_name
        provider.elicit(wide(4))
        assert [names(r) for r in server.requests[3:]] == [["x2", "x3"]]

    @pytest.mark.parametrize(
        ("refuse", "kind"),
        [(CUT, TruncatedReplyError), (GRAMMAR, RequestTooLargeError)],
    )
    def test_one_feature_that_is_too_large_is_an_error(
        self, server, provider, refuse, kind
    ):
        server.respond = lambda request: refuse
        with pytest.raises(kind):
            provider.elicit(wide(1))

    @pytest.mark.parametrize("wrong", [100, 1500])
    @pytest.mark.parametrize("right", [None, 3000, 9000])
    def test_what_was_learnt_of_one_room_is_not_held_against_another(
        self, server, provider, wrong, right
    ):
        server.respond = lambda request: (
            by_name(request)
            if request.body["max_tokens"] >= 4096
            else limited(3, CUT)(request)
        )
        provider.set_params(max_tokens=wrong).elicit(wide(10))
        before = len(server.requests)
        provider.set_params(max_tokens=right, n_estimates=2)
        provider.elicit(wide(10))
        # A reply cut off at 3000 is asked for again with twice the room.
        cut = right == 3000
        assert [len(names(r)) for r in server.requests[before:]] == [10] * (1 + cut)
        provider.set_params(max_tokens=wrong, n_estimates=3).elicit(wide(10))
        assert [len(names(r)) for r in server.requests[before + 1 + cut :]] == [
            *(3, 2, 3, 2)
        ]

    @pytest.mark.parametrize("refuse", [CUT, GRAMMAR, TOO_LONG, TOO_LARGE])
    def test_that_all_parts_were_refused_says_nothing_of_the_size(
        self, server, provider, refuse
    ):
        server.respond = lambda request: refuse
        with pytest.raises(ProviderError):
            provider.elicit(wide(8))
        before = len(server.requests)
        server.respond = by_name
        assert provider.elicit(wide(8)).scores.shape == (1, 8)
        assert len(server.requests) == before + 1

    @pytest.mark.parametrize(
        "text",
        [
            "max_tokens: 16384 > 8192, which is the maximum allowed number of output "
            "tokens for claude-3-5-haiku-20241022",
            "max_tokens is too large: 16384. This model supports at most 8192 "
            "completion tokens",
            "This model's maximum context length is 8192 tokens",
            "`max_new_tokens` must be <= 8192",
            "",
        ],
    )
    def test_a_reply_cut_at_the_limit_of_the_model_is_halved(
        self, server, provider, text
    ):
        def respond(request):
            if request.body["max_tokens"] > 8192:
                return error(400, "invalid_request_error", text)
            return limited(3, CUT)(request)

        server.respond = respond
        prior = provider.elicit(wide(6))
        assert prior.scores.tolist() == [list(range(-10, -4))]
        rooms = [(len(names(r)), r.body["max_tokens"]) for r in server.requests]
        assert rooms == [(6, 8192), (6, 16384), (3, 8192), (3, 8192)]
        server.respond = lambda r: (
            CUT if r.body["max_tokens"] <= 8192 else error(400, "invalid", text)
        )
        with pytest.raises(TruncatedReplyError, match="max_tokens=8192, and twice"):
            provider.elicit(wide(1))

    @pytest.mark.parametrize(
        ("status", "kind"), [(401, "authentication_error"), (529, "overloaded_error")]
    )
    def test_other_errors_of_the_second_try_are_what_they_are(
        self, server, provider, status, kind
    ):
        server.enqueue(CUT, error(status, kind, "no"))
        with pytest.raises(ProviderError) as caught:
            provider.elicit(wide(6))
        assert not isinstance(caught.value, TruncatedReplyError)
        assert len(server.requests) == 2


class TestWays:
    @pytest.mark.parametrize(
        ("ask", "n_requests", "score"),
        [("all", 1, 3), ("curves", 1, 3), ("each", 3, 3), ("rank", 1, None)],
    )
    def test_are_selectable(self, server, provider, task, ask, n_requests, score):
        server.respond = by_schema
        prior = provider.set_params(ask=ask).elicit(task)
        assert len(server.requests) == n_requests
        assert prior.provenance["ask"] == ask
        expected = [-10, -20 / 3, -10 / 3] if score is None else [score] * 3
        np.testing.assert_allclose(prior.scores, [expected])

    def test_one_at_a_time_names_the_others(self, server, provider, task):
        provider.set_params(ask="each").elicit(task)
        for request in server.requests:
            assert len(names(request)) == 1
            assert request.questionnaire["columns"] == ["age", "sex", "fare"]

    def test_have_answers_of_their_own_in_the_cache(self, server, provider, task):
        server.respond = by_schema
        for _ in range(2):
            for ask in WAYS:
                provider.set_params(ask=ask).elicit(task)
        assert len(server.requests) == 1 + 1 + 3 + 1

    def test_are_kept_apart_by_a_cache_around_them(self, server, provider, task):
        server.respond = by_schema
        for ask in WAYS:
            prior = CachedProvider(provider.set_params(ask=ask)).elicit(task)
            assert prior.provenance["ask"] == ask

    def test_an_unknown_way_is_named(self, provider, task):
        with pytest.raises(ValueError, match="The 'ask' parameter"):
            provider.set_params(ask="nicely").elicit(task)


class TestLevels:
    def test_kept_back_get_no_score(self, server, provider, task):
        prior = provider.set_params(send_levels=False).elicit(task)
        assert prior.features == task.keys
        np.testing.assert_array_equal(prior.scores, [[3, np.nan, 3]])
        aligned = resolve(provider, task)
        assert aligned.missing == ()
        assert "sex=female" not in prior.rationale
        assert b"female" not in server.requests[0].raw

    def test_are_part_of_the_key(self, server, provider, task):
        provider.elicit(task)
        provider.set_params(send_levels=False).elicit(task)
        assert len(server.requests) == 2

    def test_alone_and_kept_back_ask_for_nothing(self, server, provider, task):
        levels = replace(task, features=task.features[1:2])
        provider.set_params(send_levels=False, n_estimates=2)
        with pytest.warns(PriorDisabledWarning):
            prior = resolve(provider, levels)
        assert np.isnan(prior.scores).all()
        assert server.requests == []


class TestAuto:
    def respond_in_turn(self, server, scores):
        server.enqueue(
            *[lambda r, s=s: answer(r, lambda feature, output: s) for s in scores]
        )

    def test_estimates_that_agree_end_it(self, server, provider, task):
        self.respond_in_turn(server, [4, 5, 5])
        prior = provider.set_params(n_estimates="auto").elicit(task)
        assert len(prior.estimates) == len(server.requests) == AUTO_FIRST

    def test_estimates_that_differ_call_for_more(self, server, provider, task):
        self.respond_in_turn(server, [1, 5, 9, 5, 5])
        prior = provider.set_params(n_estimates="auto").elicit(task)
        # Standard errors: 4 / sqrt(3) = 2.3, then 2.8 / sqrt(5) = 1.3, then 1.0.
        assert len(prior.estimates) == AUTO_FIRST + 2 * AUTO_STEP

    def test_one_feature_that_has_not_settled_is_enough(self, server, provider, task):
        turns = iter(range(100))

        def respond(request):
            turn = next(turns)
            return answer(
                request, lambda f, o: turn % 2 * 8 if f["name"] == "fare" else 3
            )

        server.respond = respond
        provider.set_params(n_estimates="auto", max_parallel=1).elicit(task)
        assert len(server.requests) > AUTO_FIRST

    @pytest.mark.filterwarnings("ignore:The .* estimates disagree")
    def test_it_ends(self, server, provider, task):
        turns = iter(range(100))
        server.respond = lambda r: answer(r, lambda f, o: (-1) ** next(turns) * 10)
        provider.set_params(n_estimates="auto").elicit(task)
        assert len(server.requests) == AUTO_MOST

    def test_the_second_time_nothing_is_asked(
        self, server, provider, task, monkeypatch
    ):
        self.respond_in_turn(server, [1, 5, 9, 5, 5])
        first = provider.set_params(n_estimates="auto").elicit(task)
        before = len(server.requests)
        monkeypatch.delenv("ANTHROPIC_API_KEY")
        provider.check_ready(task)
        again = provider.elicit(task)
        assert len(server.requests) == before
        np.testing.assert_array_equal(first.estimates, again.estimates)

    def test_estimates_from_before_count(self, server, provider, task):
        provider.set_params(n_estimates=5).elicit(task)
        prior = provider.set_params(n_estimates="auto").elicit(task)
        assert len(server.requests) == 5
        assert prior.usage["served_from_cache"] == AUTO_FIRST

    @pytest.mark.parametrize(
        ("scores", "expected"),
        [
            ([-8, 8, np.nan], False),
            ([3, 5, np.nan], True),
            ([1, 4, 1, np.nan, 4], True),
            ([0, 5, 0, np.nan, 5], False),
            ([-8, np.nan, np.nan], True),
            ([np.nan] * 3, True),
        ],
    )
    def test_one_that_says_nothing_settles_nothing(self, scores, expected):
        answers = [Estimate({"yes": {"a": 1, "b": score}}, {}) for score in scores]
        assert settled(answers) == expected

    def test_another_word_is_refused(self, provider, task):
        with pytest.raises(ValueError, match="The 'n_estimates' parameter"):
            provider.set_params(n_estimates="many").elicit(task)


class TestDescribe:
    def test_drafts_what_is_missing(self, server, provider, task):
        server.respond = by_schema
        drafts = provider.describe(task)
        assert drafts == {"sex": "about f1", "fare": "about f2"}
        assert provider.describe(task) == drafts
        assert len(server.requests) == 1

    def test_changes_no_prior(self, server, provider, task):
        server.respond = by_schema
        provider.describe(task)
        prior = provider.elicit(task)
        assert prior.descriptions == {
            "age": "age in years",
            "sex=female": "woman or girl",
        }
        assert b"about f1" not in server.requests[-1].raw

    def test_asks_nothing_where_all_is_described(self, server, provider):
        task = Task((Feature("age", "in years"),), "y", ("y",), "regression")
        assert provider.describe(task) == {}
        assert server.requests == []

    def test_of_many_columns_comes_in_parts(self, server, provider):
        server.respond = by_schema
        assert len(provider.describe(wide(250))) == 250
        assert len(server.requests) == 3


def test_requests_are_as_the_preview_says_even_after_a_split(server, provider):
    server.respond = limited(3, GRAMMAR)
    provider.elicit(wide(10))
    server.requests.clear()
    provider.set_params(n_estimates=3)
    shown = provider.preview(wide(10))
    assert [(len(p["body"]["messages"]), p["times"]) for p in shown] == [(1, 2)] * 4
    provider.elicit(wide(10))
    received = Counter(json.dumps(request.body) for request in server.requests)
    assert received == {json.dumps(p["body"]): p["times"] for p in shown}


def test_a_reply_may_be_anything(server, provider, task):
    server.respond = lambda request: Reply("null")
    with pytest.raises(ProviderError):
        provider.set_params(ask="rank").elicit(task)


@pytest.mark.parametrize(
    "text",
    [
        "max_tokens: 13696 > 8192, which is the most output tokens",
        "max_tokens is too large: 13696. This model supports at most 8192 tokens",
        "`max_tokens` must be less than or equal to `8192`",
        "Invalid max_tokens value, the valid range of max_tokens is [1, 8192]",
        "max_completion_tokens exceeds the limit of the model",
    ],
)
def test_a_room_above_the_limit_from_the_start_is_halved(server, provider, text):
    server.respond = lambda r: (
        error(400, "invalid_request_error", text)
        if r.body["max_tokens"] > 8192
        else by_name(r)
    )
    assert provider.elicit(wide(100)).scores.shape == (1, 100)
    rooms = [r.body["max_tokens"] for r in server.requests]
    assert (len(rooms), min(rooms)) == (7, 8192)
    # Where halves take as much, that is told at once.
    with pytest.raises(ProviderError, match="max_"):
        provider.set_params(max_tokens=9000, n_estimates=2).elicit(wide(6))
    assert len(server.requests) == 9


@pytest.mark.parametrize("budget", [1e10, 1e300, float("inf")])
def test_a_budget_beyond_the_clocks_of_the_system_is_none(budget):
    policy = RetryPolicy(budget=budget, clock=lambda: 0.0)
    with socket.socket() as one:
        one.settimeout(policy.deadline())
        assert one.gettimeout() > 86400
