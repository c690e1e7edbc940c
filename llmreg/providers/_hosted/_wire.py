"""What passes between providers and servers: read within bounds, without secrets."""

from __future__ import annotations

import re
import sys
import time
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from html.entities import codepoint2name
from operator import attrgetter
from typing import Any, Literal
from urllib.parse import parse_qsl, unquote, urlsplit, urlunsplit

import numpy as np

from llmreg._utils._log import rewriting
from llmreg._utils._text import clean_text
from llmreg.elicitation._sampling import Completion
from llmreg.exceptions import ProviderError, ProviderResponseError

# What is in the name of a header, or of a field of an address, that holds a secret.
_SECRET_NAMES = (
    *("auth", "key", "token", "secret", "cookie", "session", "pass", "credential"),
    *("signature", "jwt"),
)
# A shorter secret is not looked for in pieces: ordinary words may hold it.
_MIN_SECRET_LENGTH = 8
# What may stand between two characters of a secret without being seen: characters
# outside of visible ASCII, as they are or as JSON escapes them. They may be taken out
# of a text later, which would bring the secret back.
_UNSEEN = (
    r"(?:[^!-~]|\\[bfnrt]"
    r"|\\u(?!00(?:2[1-9A-Fa-f]|[3-6][0-9A-Fa-f]|7[0-9A-Ea-e]))[0-9A-Fa-f]{4})*"
)


def is_secret_name(name: str) -> bool:
    """Tell whether what has this name is a secret."""
    return any(part in name.lower() for part in _SECRET_NAMES)


class Secrets:
    """What must never be repeated; unlike a list, its repr tells nothing."""

    def __init__(self, headers: Mapping[str, object], *more: str) -> None:
        values = [v for n, v in headers.items() if is_secret_name(n)]
        found = {p for v in (*more, *values) if isinstance(v, str) for p in _parts(v)}
        # The longest first, since one may be a part of another.
        self._values = sorted(found, key=len, reverse=True)

    def hide(self, text: str) -> str:
        """Take them out of a text, such as an error."""
        return hide(text, self._values)

    def hide_in_reply(self, text: str) -> str:
        """Take the long ones out of an answer; a key may be any word, such as "x"."""
        return hide(text, [s for s in self._values if len(s) >= _MIN_SECRET_LENGTH])


def _parts(header: str) -> Iterator[str]:
    """List what is secret in the value of a header: all of it, and long parts."""
    yield header.removeprefix("Bearer ").strip()
    for part in re.split(r"[\s;,]+", header):
        for secret in (part, part.partition("=")[2]):
            if len(secret) >= _MIN_SECRET_LENGTH:
                yield secret


def hide(text: str, secrets: Iterable[str]) -> str:
    """Take secrets out of a text, also where they are escaped or interrupted."""
    for secret in filter(None, secrets):
        text = text.replace(secret, "***")
        visible = "".join(secret.split())
        if len(visible) >= _MIN_SECRET_LENGTH:
            text = re.sub(_UNSEEN.join(map(_spellings, visible)), "***", text)
    return text


def _spellings(character: str) -> str:
    """Give a pattern for the ways to write a character in JSON, addresses and HTML."""
    n = ord(character)
    ways = rf"\\*{re.escape(character)}|\\+u(?i:{n:04x})|%(?i:{n:02x})|&\#0*{n};"
    named = f"|&{codepoint2name[n]};" if n in codepoint2name else ""
    return rf"(?:{ways}|&\#x0*(?i:{n:x});{named})"


class HiddenFunction:
    """A function whose repr does not show what it is bound to."""

    def __init__(self, function: Callable[[], str]) -> None:
        self.function = function

    def __call__(self) -> str:
        return self.function()

    def __reduce__(self) -> tuple[Any, ...]:
        # A pickle has None in its place, as that of the provider has.
        return type(None), ()

    def __copy__(self) -> HiddenFunction:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> HiddenFunction:
        # As for functions, so that `clone` finds the parameter unchanged.
        return self


def is_importable(function: Callable[..., Any] | None) -> bool:
    """Tell whether a function is pickled by its name, without what it holds."""
    module = getattr(function, "__module__", "__main__")
    if function is None or module == "__main__":
        return False
    try:
        return attrgetter(function.__qualname__)(sys.modules[module]) is function
    except (AttributeError, KeyError):
        return False


def check_address(value: Any, name: str) -> None:
    """Refuse an address with a password or a key in it, without repeating it."""
    text = value if isinstance(value, str) else repr(value)
    try:
        parts = urlsplit(text)
    except ValueError:
        parts = urlsplit("")
    _, *more = unquote(parts.path).split(";")
    told = "&".join([*more, parts.query, parts.fragment]).replace(";", "&")
    fields = {field for field, _ in parse_qsl(told, True)}
    # What names no host is no address, and goes no further with an @ in it.
    if "@" in unicodedata.normalize("NFKC", parts.netloc or text):
        secret = "a user's name or a password in front of an @"
    elif any(is_secret_name(field) or field in {"sig", "code"} for field in fields):
        secret = "a key behind its ?"
    else:
        return
    raise ProviderError(
        f"{name} has {secret}, which would show up in repr, get_params and logs. Give "
        "the address without it, and the key by api_key= a function, or in the "
        "environment."
    )


def tidy_address(value: str, name: str) -> str:
    """Check an address, and write it in one way, however it was spelled."""
    check_address(value, name)
    address = value.strip()
    try:
        parts = urlsplit(address)
        is_usable = parts.scheme in {"http", "https"} and parts.port != 0
        is_usable = is_usable and bool(parts.hostname) and address.isprintable()
    except ValueError:
        is_usable = False
    if not is_usable or " " in address:
        raise ProviderError(
            f"{name} is no address that can be asked. It must start with http:// or "
            "https://, then name a host, and have no blanks or line breaks in it, as "
            "'http://localhost:11434/v1' does."
        )
    usual = {"http": ":80", "https": ":443"}[parts.scheme]
    host = parts.netloc.lower().removesuffix(usual)
    path = parts.path.rstrip("/")
    return urlunsplit((parts.scheme, host, path, parts.query, parts.fragment))


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
    text: str, stop: Stop, model: object, counts: Mapping[str, Any], secrets: Secrets
) -> Completion:
    """Keep what a reply holds, without secrets, and the counts that there are."""
    # The name of the model goes into every card.
    name = secrets.hide_in_reply(clean_text(str(model), _MAX_READ))
    hidden = secrets.hide_in_reply(text)
    return Completion(hidden, stop, clean_text(name, _MAX_DETAIL), counts)


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


def quote(text: str, secrets: Secrets) -> str:
    """Quote what the server said, cut, on one line and without secrets."""
    text = secrets.hide(clean_text(text, _MAX_READ))
    return f": {clean_text(text, _MAX_DETAIL)}" if text else ""


def bounded_client(sdk: Any, **options: Any) -> Any:
    """Make a client that follows no redirect, and reads no reply without bounds."""
    import httpx2

    class BoundedClient(sdk.DefaultHttpxClient):  # type: ignore[misc]
        def send(self, request: Any, *, stream: bool = False, **more: Any) -> Any:
            # Of the SDK they are for each read, here for the whole reply.
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
