"""Keys and other secrets: where one may stand, and how it is taken out of a text."""

from __future__ import annotations

import re
import sys
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from html.entities import codepoint2name
from operator import attrgetter
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit, urlunsplit

from llmreg.exceptions import ProviderError

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
