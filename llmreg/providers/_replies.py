"""What servers send: read within bounds, and told by the words of any of them."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from email.utils import parsedate_to_datetime
from typing import Any, Literal

import numpy as np

from llmreg._utils._log import rewriting
from llmreg._utils._text import clean_text
from llmreg.elicitation._sampling import Completion
from llmreg.exceptions import ProviderResponseError
from llmreg.providers._secrets import Secrets

# The most bytes of a reply, or of a line of one that is read line by line. The longest
# answers of models take some hundreds of kilobytes.
MAX_REPLY = 2**24
# Bytes that are looked at together.
_PIECE = 2**16
# Of these a piece grows a thousandfold at most; of others, or one in another, without
# bounds.
_ENCODINGS = ("gzip", "deflate")
# Those of the HTTP client that write what a server says.
_LOGGERS = ("httpx2", "httpcore2.http11", "httpcore2.http2")
_MAX_DETAIL = 300
Stop = Literal["end", "length", "refusal"]
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


def stop_reason(reason: object, text: str) -> Stop | None:
    """Read why a reply stopped, if it is told; None if it is no reply."""
    word = reason.lower() if isinstance(reason, str) else ""
    if word in _CUT_OFF:
        return "length"
    if word in _DECLINED:
        return "refusal"
    return "end" if text or word in _WHOLE else None


def completion(
    text: str, stop: Stop, model: object, counts: Mapping[str, object], secrets: Secrets
) -> Completion:
    """Keep what a reply holds, without secrets, and the counts that there are."""
    # The name of the model goes into every card.
    name = secrets.hide_in_reply(clean_text(str(model), _MAX_READ))
    usage = {what: n for what, n in counts.items() if isinstance(n, int)}
    hidden = secrets.hide_in_reply(text)
    return Completion(hidden, stop, clean_text(name, _MAX_DETAIL), usage)


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


def bounded_client(sdk: Any, **options: Any) -> Any:
    """Make a client that follows no redirect, and reads no reply without bounds.

    The timeouts of the SDK are for each read; here they are for the whole reply.
    """
    import httpx2

    class BoundedClient(sdk.DefaultHttpxClient):  # type: ignore[misc]
        def send(self, request: Any, *, stream: bool = False, **more: Any) -> Any:
            seconds = request.extensions.get("timeout", {}).get("read")
            deadline = time.monotonic() + (float("inf") if seconds is None else seconds)
            secrets = Secrets(request.headers)
            failure = None
            try:
                with rewriting(_LOGGERS, secrets.hide_in_reply):
                    response = super().send(request, stream=True, **more)
                    # Nobody reads an error line by line.
                    is_lines = stream and response.is_success
                    pieces = _pieces(response, deadline, is_lines)
                    content = pieces if is_lines else b"".join(pieces)
            except httpx2.TransportError as e:
                told = secrets.hide_in_reply(str(e))
                if told == str(e):
                    raise
                failure = type(e)(told, request=request)
            if failure is not None:
                # Without its cause, since the SDK writes all of that into its log.
                raise failure
            # The SDK may log the headers.
            encoding = response.headers.encoding
            headers = [
                (name.encode(encoding), secrets.hide_in_reply(value).encode(encoding))
                for name, value in response.headers.multi_items()
                if not name.lower().startswith(("content-encoding", "content-length"))
            ]
            return httpx2.Response(
                response.status_code,
                headers=headers,
                content=content,
                request=response.request,
                extensions={"http_version": response.http_version.encode()},
            )

    return BoundedClient(
        follow_redirects=False,
        headers={"accept-encoding": ", ".join(_ENCODINGS)},
        **options,
    )


def _pieces(response: Any, deadline: float, is_lines: bool) -> Iterator[bytes]:
    """Read a reply bit by bit, as long as it is within its bounds."""
    import httpx2

    size = 0
    with closing(response):
        encoding = response.headers.get("content-encoding", "identity").lower()
        if encoding not in (*_ENCODINGS, "identity", ""):
            raise ProviderResponseError(
                "The server compressed its reply in a way that was not asked for: "
                f"only {' and '.join(_ENCODINGS)} are read. Is there a proxy in "
                "between, or a wrong base_url?"
            )
        for piece in response.iter_bytes(_PIECE):
            end = piece.rfind(b"\n") + 1 if is_lines else 0
            size = len(piece) - end if end else size + len(piece)
            if size > MAX_REPLY:
                raise ProviderResponseError(
                    f"The server sent more than {MAX_REPLY >> 20} MB, which is no "
                    "answer to the question. Is there a proxy in between, or a wrong "
                    "base_url?"
                )
            if time.monotonic() > deadline:
                raise httpx2.ReadTimeout("too slow", request=response.request)
            yield piece
