"""What only Anthropic has; the promises of all vendors are in `test_promises`."""

from __future__ import annotations

from typing import get_args

import anthropic
import pytest

from llmreg.exceptions import ProviderError
from llmreg.providers._anthropic import DEFAULT_MODEL
from tests.loopback import message

pytestmark = pytest.mark.usefixtures("key")


def test_what_is_sent(server, provider, task):
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


def test_thinking_shapes_an_answer(server, provider, task):
    provider.elicit(task)
    provider.set_params(thinking={"type": "disabled"}).elicit(task)
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    "thinking",
    [
        {"type": "enabled", "budget_tokens": 2048},
        {"type": "adaptive", "budget_tokens": 2048},
        {"type": "deep"},
        {"effort": "high"},
    ],
)
def test_thinking_that_the_api_refuses_is_not_sent(server, provider, task, thinking):
    provider.set_params(thinking=thinking)
    for call in provider.elicit, provider.preview, provider.check_ready:
        with pytest.raises(ProviderError, match=r"adaptive.*no budget") as caught:
            call(task)
    assert repr(thinking) in str(caught.value)
    assert server.requests == []


@pytest.mark.parametrize("kind", ["adaptive", "between_tools", "disabled"])
def test_thinking_that_the_api_takes_is_sent(server, provider, task, kind):
    provider.set_params(thinking={"type": kind}).elicit(task)
    assert server.requests[0].body["thinking"] == {"type": kind}


@pytest.mark.parametrize(
    ("settings", "is_marked"),
    [
        ({}, False),
        ({"n_estimates": 1, "ask": "each"}, False),
        ({"ask": "each"}, True),
        ({"ask": "curves"}, False),
    ],
)
def test_parts_that_are_asked_again_are_kept_by_the_vendor(
    server, provider, task, settings, is_marked
):
    provider.set_params(n_estimates=2).set_params(**settings)
    shown = provider.preview(task)
    provider.elicit(task)
    bodies = [request.body for request in server.requests]
    assert all(("cache_control" in body) == is_marked for body in bodies)
    if is_marked:
        assert bodies[0]["cache_control"] == {"type": "ephemeral"}
    assert all(request["body"] in bodies for request in shown)


def test_a_full_context_window_gets_twice_the_room(server, provider, task):
    full = "model_context_window_exceeded"
    server.enqueue(message('{"features": [{"id', stop_reason=full))
    provider.elicit(task)
    assert [r.body["max_tokens"] for r in server.requests] == [8192, 16384]


def test_a_key_is_needed_whatever_the_address(server, provider, task, monkeypatch):
    monkeypatch.delenv("ANTHROPIC_API_KEY")
    with pytest.raises(ProviderError, match="no credentials"):
        provider.elicit(task)
    assert server.requests == []


def test_other_credentials_of_the_sdk_will_do(server, provider, task, monkeypatch):
    monkeypatch.delenv("ANTHROPIC_API_KEY")
    monkeypatch.setenv("ANTHROPIC_AUTH_TOKEN", "a-token")
    provider.elicit(task)
    assert server.requests[0].carried("a-token")


def test_a_profile_that_is_not_there(provider, monkeypatch):
    monkeypatch.delenv("ANTHROPIC_API_KEY")
    monkeypatch.setenv("ANTHROPIC_PROFILE", "nowhere")
    with pytest.raises(ProviderError):
        provider.check_ready()


def test_the_default_model_is_known_to_the_sdk():
    known, _ = get_args(anthropic.types.ModelParam)
    assert DEFAULT_MODEL in get_args(known)
