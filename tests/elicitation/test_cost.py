"""What would be sent and what it would cost, against the loopback server."""

from __future__ import annotations

import json
import sys
from collections import Counter
from itertools import product
from types import SimpleNamespace

import pytest

from llmreg.elicitation._cost import CHARACTERS_PER_TOKEN, Cost, price
from llmreg.elicitation._sampling import AUTO_MOST
from llmreg.exceptions import ProviderAuthenticationError, ProviderResponseError
from llmreg.prior._task import Feature, Task
from llmreg.providers import AnthropicProvider
from tests.loopback import Reply, answer, error, filled_in
from tests.providers.test_base import Scripted


@pytest.fixture
def provider(server):
    return AnthropicProvider(
        base_url=server.url, ask="all", n_estimates=2, max_attempts=1
    )


@pytest.fixture
def no_prices(monkeypatch):
    monkeypatch.setitem(sys.modules, "genai_prices", None)


def wide(n_features):
    features = tuple(Feature(f"größe {i}", unit="µm") for i in range(n_features))
    return Task(features, "ill", ("yes",), "classification", ("no", "yes"))


class TestPreview:
    # The wide table has no levels, and more columns than a question holds; one by one
    # these are as good as a few.
    @pytest.mark.parametrize(
        ("ask", "send_levels", "n_features"),
        [
            *product(["all", "curves", "each"], [True, False], [None]),
            ("all", True, 130),
            ("curves", True, 130),
            ("each", True, 5),
        ],
    )
    def test_is_what_the_server_receives_byte_for_byte(
        self, server, provider, task, monkeypatch, ask, send_levels, n_features
    ):
        if n_features:
            task = wide(n_features)
        provider.set_params(ask=ask, send_levels=send_levels, effort="low")
        shown = provider.preview(task)
        assert server.requests == []
        monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-only-to-send")
        provider.elicit(task)
        expected = Counter()
        for request in shown:
            body = json.dumps(
                request["body"], ensure_ascii=False, separators=(",", ":")
            )
            expected[body.encode()] += request["times"]
            assert request["method"] == "POST"
            assert request["url"] == f"{server.url}/v1/messages"
        assert Counter(request.raw for request in server.requests) == expected

    def test_leaves_out_what_is_in_the_cache(self, server, provider, task, key):
        provider.elicit(task)
        assert provider.preview(task) == []
        (request,) = provider.set_params(n_estimates=5).preview(task)
        assert request["times"] == 3

    def test_of_auto_shows_the_most(self, provider, task):
        (request,) = provider.set_params(n_estimates="auto").preview(task)
        assert request["times"] == AUTO_MOST

    def test_of_other_vendors_shows_the_questionnaire(self, task):
        (request,) = Scripted([], n_estimates=4).preview(task)
        assert request["times"] == 4
        assert json.loads(request["body"]["user"])["features"][2]["name"] == "fare"


def counting(tokens):
    def respond(request):
        if request.path.endswith("/count_tokens"):
            return Reply(json.dumps({"input_tokens": tokens}))
        return answer(request)

    return respond


class TestCost:
    @pytest.mark.usefixtures("key", "no_prices")
    def test_the_vendor_counts_before(self, server, provider, task):
        server.respond = counting(1234)
        cost = provider.estimate_cost(task)
        (request,) = server.requests
        assert request.path == "/v1/messages/count_tokens"
        assert "max_tokens" not in request.body
        assert request.body["output_config"]["format"]["type"] == "json_schema"
        assert cost == Cost(
            requests=2,
            input_tokens=2468,
            output_tokens=2 * 3 * 58,
            max_output_tokens=2 * 8192,
            counted_by="the vendor",
        )
        provider.elicit(task)
        sent = server.requests[1].body
        assert sent["messages"] == request.body["messages"]
        assert sent["system"] == request.body["system"]

    @pytest.mark.usefixtures("key", "no_prices")
    def test_what_is_in_the_cache_costs_nothing(self, server, provider, task):
        provider.elicit(task)
        server.requests.clear()
        assert provider.estimate_cost(task) == Cost(0, 0, 0, 0, "the vendor")
        assert server.requests == []

    @pytest.mark.usefixtures("no_prices")
    def test_without_a_key_it_is_a_guess_and_says_so(self, server, provider, task):
        cost = provider.estimate_cost(task)
        assert cost.counted_by == "a rough guess"
        assert 500 < cost.input_tokens / 2 < 5000
        assert server.requests == []
        assert "a rough guess" in str(cost)

    @pytest.mark.usefixtures("no_prices")
    def test_other_vendors_guess(self, task):
        cost = Scripted([], n_estimates=3).estimate_cost(task)
        assert (cost.requests, cost.counted_by) == (3, "a rough guess")

    @pytest.mark.usefixtures("key", "no_prices")
    def test_grows_with_the_questions(self, server, provider):
        server.respond = counting(10)
        assert provider.estimate_cost(wide(250)).input_tokens == 3 * 2 * 10

    @pytest.mark.usefixtures("no_prices")
    def test_faults_of_the_counter_are_ours(self, server, provider, task, key):
        server.enqueue(error(401, "authentication_error", f"bad key {key}"))
        with pytest.raises(ProviderAuthenticationError) as caught:
            provider.estimate_cost(task)
        assert key not in str(caught.value)
        server.enqueue(Reply('{"type": "error"}'))
        with pytest.raises(ProviderResponseError, match="count tokens"):
            provider.estimate_cost(task)


class TestPrice:
    cost = Cost(1, 1_000_000, 1000, 8192, "the vendor")

    def test_comes_from_the_optional_package(self, monkeypatch):
        def calc_price(usage, model):
            assert (usage.input_tokens, usage.output_tokens) == (1_000_000, 1000)
            if model != "known":
                raise LookupError(model)
            return SimpleNamespace(total_price=3.015)

        fake = SimpleNamespace(Usage=SimpleNamespace, calc_price=calc_price)
        monkeypatch.setitem(sys.modules, "genai_prices", fake)
        assert price(self.cost, "known").usd == 3.015
        assert str(price(self.cost, "known")).endswith("about $3.02")
        assert price(self.cost, "unknown") == self.cost

    @pytest.mark.usefixtures("no_prices")
    def test_is_unknown_without_it(self):
        assert price(self.cost, "known").usd is None

    def test_of_the_package_itself(self):
        pytest.importorskip("genai_prices")
        assert price(self.cost, "claude-sonnet-4-5").usd > 0
        assert price(self.cost, "a-model-of-nobody").usd is None


@pytest.mark.usefixtures("key")
def test_usage_says_after(server, provider, task):
    prior = provider.elicit(task)
    assert prior.usage == {
        "requests": 2,
        "input_tokens": 200,
        "output_tokens": 40,
        "served_from_cache": 0,
    }


@pytest.mark.parametrize("ask", ["all", "curves"])
def test_the_guess_is_that_of_the_texts_that_are_sent(server, provider, key, ask):
    provider.set_params(ask=ask, n_estimates=1, network="never")
    cost = provider.estimate_cost(wide(60))
    provider.set_params(network="allow").elicit(wide(60))
    (request,) = server.requests
    body = request.body
    schema = json.dumps(body["output_config"]["format"]["schema"])
    sent = body["system"] + body["messages"][0]["content"] + schema
    assert cost.input_tokens == round(len(sent) / CHARACTERS_PER_TOKEN)
    reply = len(filled_in(request)) / CHARACTERS_PER_TOKEN
    assert reply < cost.output_tokens < cost.max_output_tokens
