"""The wire of each vendor, so that one table of promises is held against them all."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from llmreg.providers import AnthropicProvider, OpenAIProvider
from llmreg.providers._hosted import HostedProvider
from tests import loopback
from tests.loopback import MODEL, MessagesServer, Recorded, Reply, Respond, Score

PLANTED_KEY = "sk-ant-planted-1f0e9d8c"


def planted_key() -> str:
    return PLANTED_KEY


@dataclass(frozen=True)
class Vendor:
    """How a vendor puts things, and the provider that asks it.

    `message(text, stop, tokens)` builds a reply that stopped for the reason "end",
    "length", "refusal" or "tool"; `error(status, text, headers, code)` an error.
    """

    name: str
    kind: type[HostedProvider]
    key_variable: str
    path: str
    prefix: str
    codes: Mapping[int | str, str]
    message: Callable[..., Reply]
    error_body: Callable[[str, str], dict[str, Any]]
    # A change of a parameter that shapes answers, and some that are wrong.
    shaping: Mapping[str, Any]
    wrong: Mapping[str, Any]

    def __repr__(self) -> str:
        return self.name

    def provider(self, server: MessagesServer, **params: Any) -> HostedProvider:
        """Make one that asks once, for scores unless it is told otherwise."""
        given = {"base_url": server.url + self.prefix, "n_estimates": 1, "ask": "all"}
        return self.kind(**{**given, **params})

    def error(
        self,
        status: int,
        text: str,
        headers: Mapping[str, str] | None = None,
        code: str | None = None,
    ) -> Reply:
        body = self.error_body(code or self.codes.get(status, "api_error"), text)
        return Reply(json.dumps(body), status, headers or {})

    def answer(
        self, request: Recorded, score: Score = lambda feature, output: 3
    ) -> Reply:
        return self.message(loopback.filled_in(request, score))

    def spoiled(self, change: Callable[[list[dict[str, Any]]], object]) -> Respond:
        """Answer with entries that `change` has been at, in place."""

        def respond(request: Recorded) -> Reply:
            found = loopback.entries(request)
            change(found)
            return self.message(json.dumps({"features": found}))

        return respond


def _claude_message(
    text: str, stop: str = "end", tokens: tuple[int, int] = (100, 20)
) -> Reply:
    reasons = {"end": "end_turn", "length": "max_tokens", "tool": "tool_use"}
    reason = reasons.get(stop, stop)
    return loopback.message(text, stop_reason=reason, tokens=tokens)


def _claude_error(code: str, text: str) -> dict[str, Any]:
    return {"type": "error", "error": {"type": code, "message": text}}


def _chat_message(
    text: str, stop: str = "end", tokens: tuple[int, int] = (100, 20)
) -> Reply:
    reasons = {"end": "stop", "refusal": "content_filter", "tool": "tool_calls"}
    choice = {
        "index": 0,
        "finish_reason": reasons.get(stop, stop),
        "message": {"role": "assistant", "content": text or None, "refusal": None},
        "logprobs": None,
    }
    body = {
        "id": "chatcmpl-01",
        "object": "chat.completion",
        "created": 1,
        "model": MODEL,
        "choices": [choice],
        "usage": {
            "prompt_tokens": tokens[0],
            "completion_tokens": tokens[1],
            "total_tokens": sum(tokens),
        },
    }
    return Reply(json.dumps(body))


def _chat_error(code: str, text: str) -> dict[str, Any]:
    return {"error": {"message": text, "type": code, "param": None, "code": code}}


ANTHROPIC = Vendor(
    name="anthropic",
    kind=AnthropicProvider,
    key_variable="ANTHROPIC_API_KEY",
    path="/v1/messages",
    prefix="",
    codes={
        400: "invalid_request_error",
        401: "authentication_error",
        402: "billing_error",
        403: "permission_error",
        404: "not_found_error",
        408: "timeout_error",
        429: "rate_limit_error",
        529: "overloaded_error",
        "money": "billing_error",
    },
    message=_claude_message,
    error_body=_claude_error,
    shaping={"effort": "low"},
    wrong={"effort": "huge", "thinking": "yes"},
)
OPENAI = Vendor(
    name="openai",
    kind=OpenAIProvider,
    key_variable="OPENAI_API_KEY",
    path="/v1/chat/completions",
    prefix="/v1",
    codes={
        400: "invalid_request_error",
        401: "invalid_api_key",
        402: "billing_not_active",
        403: "unsupported_country_region_territory",
        404: "model_not_found",
        429: "rate_limit_exceeded",
        500: "server_error",
        "money": "insufficient_quota",
    },
    message=_chat_message,
    error_body=_chat_error,
    shaping={"reasoning_effort": "low"},
    wrong={"temperature": 3.0, "reply_format": "xml", "extra_body": "num_ctx=9"},
)
VENDORS = (ANTHROPIC, OPENAI)
