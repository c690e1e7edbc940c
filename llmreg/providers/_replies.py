"""How servers put things: reasons to stop, errors, waits, and replies that are none."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Iterator, Mapping
from email.utils import parsedate_to_datetime
from typing import Any, Literal

import numpy as np

from llmreg._utils._text import clean_text
from llmreg.exceptions import ProviderResponseError
from llmreg.providers._secrets import Secrets

_MAX_DETAIL = 300
# No more of an error is read than this, whatever a server sends.
_MAX_READ = 20_000

# What else than a whole answer the reasons to stop tell, with any server.
_CUT_OFF = (
    *("length", "max_tokens", "max_output_tokens", "max_length", "model_length"),
    *("model_context_window_exceeded", "context_length_exceeded"),
)
_DECLINED = ("refusal", "content_filter", "safety", "prohibited_content", "blocklist")
_WHOLE = ("stop", "end_turn", "stop_sequence")
# A smaller question may go through, so these are told apart from other wrong requests.
_TOO_LARGE = (
    *("grammar is too large", "schema is too complex", "schema is too large"),
    *("too many properties", "too many states", "string too long"),
    *("request_too_large", "request too large", "exceeds the maximum size"),
    *("prompt is too long", "input is too long", "range of input length"),
    *("too many tokens", "too many input tokens", "maximum number of tokens"),
    *("input tokens exceed", "`inputs` tokens", "maximum prompt length"),
    *("exceed context limit", "context_length_exceeded", "maximum context length"),
    *("model's context length", "context length of only", "maximum model length"),
    *("exceed_context_size", "available context size"),
)
# What some errors point to, whatever they are about.
_LINK = re.compile(r"https?://\S+")
# Errors about money come with several statuses, 429 among them.
_MONEY = ("billing", "spend_limit", "spend limit", "credit balance", "_quota")


def unusable(
    api: str, reply: Any, reason: object, secrets: Secrets
) -> ProviderResponseError:
    """Say that a reply is none of the API, without repeating what is in it."""
    if isinstance(reply, str):
        got = "an HTML page" if "<html" in reply.lower() else "plain text"
    elif getattr(reply, "type", None) == "error" or getattr(reply, "error", None):
        got = "an error with the status of a success"
    else:
        shown = clean_text(secrets.hide(repr(reason)), 40)
        got = f"a reply that stopped for the reason {shown}"
    return ProviderResponseError(
        f"The server did not answer as {api} does: it sent {got}. Is there a proxy in "
        "between, or a wrong base_url?"
    )


def stop_reason(
    reason: object, text: str
) -> Literal["end", "length", "refusal"] | None:
    """Read why a reply stopped; None if it is none.

    Servers leave the reason out, or have words of their own. Where there is a text, it
    is read, and checked as every other.
    """
    word = reason.lower() if isinstance(reason, str) else ""
    if word in _CUT_OFF:
        return "length"
    if word in _DECLINED:
        return "refusal"
    return "end" if text or word in _WHOLE else None


def model_name(told: object, secrets: Secrets) -> str:
    """Take the name of the model that answered, which goes into every card."""
    shown = clean_text(str(told), _MAX_READ)
    return clean_text(secrets.hide_in_reply(shown), _MAX_DETAIL)


def token_counts(counts: Mapping[str, object]) -> dict[str, int]:
    """Keep the counts that there are; a server that leaves them out costs no answer."""
    return {name: count for name, count in counts.items() if isinstance(count, int)}


def plain(value: Any) -> Any:
    """Turn numbers and arrays of numpy into those of Python, which JSON can hold."""
    if isinstance(value, Mapping):
        return {name: plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    return value.tolist() if isinstance(value, np.generic | np.ndarray) else value


def is_sendable(value: str) -> bool:
    """Tell whether a header can hold a text."""
    return value.isascii() and value.replace("\t", " ").isprintable()


def chain(error: BaseException) -> Iterator[BaseException]:
    """Follow an error to what caused it."""
    link: BaseException | None = error
    for _ in range(20):
        if link is None:
            return
        yield link
        link = link.__cause__ or link.__context__


def quote(text: str, secrets: Secrets) -> str:
    """Quote what the server said, cut, on one line and without secrets."""
    text = secrets.hide(clean_text(text, _MAX_READ))
    return f": {clean_text(text, _MAX_DETAIL)}" if text else ""


def message_of(error: Any) -> str:
    """Find what the server says in words; a page of HTML says nothing."""
    body = getattr(error, "api_message", None) or error.body
    if isinstance(body, Mapping):
        inner = body.get("error", body)
        body = inner if isinstance(inner, str) else None
        if isinstance(inner, Mapping):
            body = inner.get("message") or inner.get("detail")
    return "" if body is None or "<html" in str(body).lower() else str(body)


def subject_of(error: str) -> Literal["money", "size"] | None:
    """Tell what an error is about, by its words; money first, which no half mends."""
    told = _LINK.sub("", error.lower())
    if any(word in told for word in _MONEY):
        return "money"
    return "size" if any(word in told for word in _TOO_LARGE) else None


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Read how many seconds the server asks to wait; a number or a date."""
    given = headers.get("retry-after", "")
    try:
        seconds = float(given)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(given).timestamp() - time.time()
        except (ValueError, TypeError, OverflowError, OSError):
            return None
    return seconds if math.isfinite(seconds) and seconds >= 0 else None
