"""What only OpenAI and its like have; the promises of all are in `test_promises`."""

from __future__ import annotations

import json
from typing import get_args

import openai
import pytest
from packaging.version import Version

from llmreg.elicitation._prompt import in_order
from llmreg.elicitation._questions import Questionnaire
from llmreg.elicitation._sampling import Request
from llmreg.exceptions import ProviderRefusalError, ProviderResponseError
from llmreg.providers import OpenAIProvider
from llmreg.providers._openai import DEFAULT_MODEL
from tests.loopback import Reply
from tests.vendors import OPENAI


@pytest.fixture
def vendor():
    return OPENAI


def test_what_is_sent(server, provider, task):
    provider.set_params(
        reasoning_effort="high", temperature=0.5, extra_body={"num_ctx": 9}
    )
    provider.elicit(task)
    (request,) = server.requests
    assert set(request.body) == {
        *("model", "messages", "max_tokens", "response_format"),
        *("reasoning_effort", "temperature", "num_ctx"),
    }
    assert request.body["model"] == DEFAULT_MODEL
    assert [m["role"] for m in request.body["messages"]] == ["system", "user"]
    assert request.body["response_format"] == {
        "type": "json_schema",
        "json_schema": {
            "name": "scores",
            "strict": True,
            "schema": Questionnaire(task).schema,
        },
    }


@pytest.mark.parametrize(
    ("reply_format", "sent", "is_told"),
    [
        ("json_object", {"type": "json_object"}, True),
        ("text", None, True),
        ("json_object_schema", {"type": "json_object", "schema": {}}, False),
    ],
)
def test_servers_that_know_no_strict_schema(
    server, provider, task, reply_format, sent, is_told
):
    provider.set_params(reply_format=reply_format).elicit(task)
    (request,) = server.requests
    schema = Questionnaire(task).schema
    if sent is not None and "schema" in sent:
        sent = {**sent, "schema": in_order(schema)}
    assert request.body.get("response_format") == sent
    told = request.body["messages"][0]["content"]
    assert (json.dumps(schema) in told) is is_told


@pytest.mark.parametrize(
    "change",
    [{"reply_format": "text"}, {"temperature": 0.0}, {"extra_body": {"num_ctx": 9}}],
)
def test_what_shapes_an_answer_is_part_of_its_key(server, provider, task, change):
    provider.elicit(task)
    provider.set_params(**change).elicit(task)
    assert len(server.requests) == 2


def test_a_server_that_asks_for_no_key_gets_none(server, provider, task):
    provider.check_ready()
    provider.elicit(task)
    assert not any("auth" in name.lower() for name in server.requests[0].headers)


def test_a_server_may_be_named_in_the_environment(server, task, monkeypatch):
    monkeypatch.setenv("OPENAI_BASE_URL", f"{server.url}/v1")
    OpenAIProvider(n_estimates=1).elicit(task)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("https://api.openai.com/v1", "max_completion_tokens"),
        ("https://mine.openai.azure.com/openai/v1", "max_completion_tokens"),
        ("http://localhost:11434/v1", "max_tokens"),
        ("https://notopenai.com/v1", "max_tokens"),
    ],
)
def test_the_limit_on_tokens_has_the_name_that_the_server_knows(task, address, name):
    provider = OpenAIProvider(base_url=address)
    with provider._connect() as client:
        options = provider._options(client, Request(Questionnaire(task), 77, 1.0))
    assert options[name] == 77
    assert len({"max_tokens", "max_completion_tokens"} & set(options)) == 1


def test_a_refusal_in_words(server, provider, task, vendor):
    body = json.loads(vendor.message("").body)
    body["choices"][0]["message"]["refusal"] = "I cannot help with that."
    server.enqueue(Reply(json.dumps(body)))
    with pytest.raises(ProviderRefusalError):
        provider.elicit(task)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"choices": []},
        {"choices": [3]},
        {"choices": "none"},
        {"choices": [{"finish_reason": "stop"}]},
        {"choices": [{"finish_reason": ["stop"], "message": {"content": "{}"}}]},
        {"choices": [{"finish_reason": "stop", "message": {"content": [1]}}]},
        {"choices": [{"finish_reason": "stop", "message": "hello"}]},
    ],
)
def test_replies_of_any_other_form_are_errors_of_ours(server, provider, task, body):
    server.respond = lambda request: Reply(json.dumps(body))
    with pytest.raises(ProviderResponseError):
        provider.elicit(task)


def test_errors_without_the_usual_form_are_quoted(server, provider, task):
    server.enqueue(Reply('{"detail": "no such route"}', 422))
    with pytest.raises(Exception, match="HTTP 422: no such route"):
        provider.elicit(task)


@pytest.mark.skipif(
    Version(openai.__version__) < Version("3.57"), reason="older than the model"
)
def test_the_default_model_is_known_to_the_sdk():
    assert DEFAULT_MODEL in get_args(openai.types.ChatModel)
