"""From what a vendor's SDK raises to exceptions of our own, without secrets.

The SDKs of Anthropic and of OpenAI come from one generator, so their errors have the
same names and the same shape, and one translation does for both.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

from llmreg._utils._text import clean_text
from llmreg.elicitation._retry import TransientError
from llmreg.exceptions import (
    ProviderAuthenticationError,
    ProviderError,
    ProviderResponseError,
    ProviderUnavailableError,
    RequestTooLargeError,
)

MAX_DETAIL_LENGTH = 300
# Nobody reads more of an error, whatever a server sends.
_MOST_READ = 20_000
# A shorter secret is not looked for in pieces, which ordinary words may hold.
_SHORT = 8
# Characters that JSON escapes, and those that nobody sees. What is neither is a
# visible character as it is.
_ESCAPED = r"\\u([0-9a-fA-F]{4})|\\([\"\\/bfnrt])"
_UNUSUAL = re.compile(_ESCAPED + r"|[^!-~]+")
_CHARACTER = re.compile(_ESCAPED + r"|[!-~]")

_PASSING = {408, 409, 429}
# What the HTTP client raises over a header that it cannot write.
_UNSENDABLE = {"LocalProtocolError", "UnicodeEncodeError"}
# A smaller question may go through, so these are told apart from other faults of ours.
_TOO_LARGE = (
    *("grammar is too large", "schema is too complex", "schema is too large"),
    *("request_too_large", "prompt is too long", "exceed context limit"),
    *("context_length_exceeded", "maximum context length"),
    *("exceed_context_size", "available context size"),
)
# Errors about money come with several statuses, 429 among them.
_MONEY = ("billing", "spend_limit", "spend limit", "credit balance", "_quota")


@dataclass(frozen=True)
class Translator:
    """Turn the errors of one SDK into those of llmreg.

    Parameters
    ----------
    sdk : module
        The SDK.
    vendor : str
        Who answers, for messages.
    key : str
        Where the key comes from, for messages.
    model : str
        The model that is asked.
    secrets : tuple of str
        What must not appear in a message.
    """

    sdk: Any
    vendor: str
    key: str
    model: str
    secrets: tuple[str, ...]

    def translate(self, error: Exception) -> Exception:
        """Choose the exception that says what happened and whether to try again."""
        sdk, name = self.sdk, type(error).__name__
        if isinstance(error, sdk.APIStatusError):
            return self._from_status(error)
        if isinstance(error, sdk.APITimeoutError):
            return TransientError("the request timed out")
        cause = type(error.__cause__ or error).__name__
        if cause in _UNSENDABLE:
            return ProviderError(
                f"The request cannot be put into HTTP ({cause}); nothing was sent. "
                f"Look for line breaks and for letters outside of ASCII in {self.key}, "
                "in other variables that the SDK makes headers of, and in base_url."
            )
        if isinstance(error, sdk.APIConnectionError):
            return TransientError(f"the connection failed ({cause})")
        if isinstance(error, getattr(sdk, "CredentialsError", ())):
            return ProviderAuthenticationError(
                f"The credentials could not be used ({name}). Check the profile or the "
                f"federation settings that the {sdk.__name__} SDK reads."
            )
        if isinstance(error, sdk.APIError | ValueError):
            return ProviderResponseError(
                f"The reply of the server could not be read ({name}). Is there a "
                "proxy in between, or a wrong base_url?"
            )
        return ProviderError(
            f"The {sdk.__name__} SDK failed with {name}{self._detail(str(error))}. The "
            "installed version may be too old or too new for llmreg."
        )

    def _from_status(self, error: Any) -> Exception:
        """Sort the HTTP statuses: refused for good, passing, or a fault of ours."""
        status = int(error.status_code)
        words = _words(error)
        kinds = f"{error.type} {_code(error)} {words}".lower()
        said = f"HTTP {status}{self._detail(words)}"
        refused = {
            401: f"Check the key in {self.key}.",
            402: "Check the billing of the account.",
            403: "The key is not allowed to do this; check its permissions.",
            404: "Check `model` and `base_url`.",
        }
        if 300 <= status < 400:
            to = self._detail(error.response.headers.get("location", ""))
            return ProviderError(
                f"{self.vendor} points to another address (HTTP {status}{to}), and "
                "nothing is sent to where nobody has told llmreg to send it. Check "
                "`base_url`."
            )
        if status in refused or any(word in kinds for word in _MONEY):
            return ProviderAuthenticationError(
                f"{self.vendor} refused the request to {self.model!r} ({said}). "
                f"{refused.get(status, refused[402])}"
            )
        if status in _PASSING or status >= 500:
            headers = error.response.headers
            if headers.get("x-should-retry") == "false":
                return ProviderUnavailableError(
                    f"{self.vendor} could not answer and says not to try again "
                    f"({said})."
                )
            return TransientError(said, _retry_after(headers))
        if status == 413 or any(word in kinds for word in _TOO_LARGE):
            return RequestTooLargeError(
                f"The question is too large for {self.model!r} ({said}). Score fewer "
                "features."
            )
        return ProviderError(
            f"{self.vendor} rejected the request to {self.model!r} ({said}). Check the "
            "parameters of the provider."
        )

    def _detail(self, text: str) -> str:
        """Quote what the server said, cut, on one line and without secrets."""
        text = hide(clean_text(text, _MOST_READ), self.secrets)
        return f": {clean_text(text, MAX_DETAIL_LENGTH)}" if text else ""


def hide(text: str, secrets: tuple[str, ...]) -> str:
    """Take secrets out of a text."""
    for secret in filter(None, secrets):
        text = text.replace(secret, "***")
        visible = "".join(secret.split())
        if len(visible) >= _SHORT:
            text = _hide_pieces(text, visible)
    return text


def _hide_pieces(text: str, secret: str) -> str:
    """Take out a secret whose visible characters have something between them."""
    seen = _UNUSUAL.sub(_visible, text)
    at = seen.find(secret)
    if at < 0:
        return text
    found = [(c, m.span()) for m in _CHARACTER.finditer(text) if (c := _visible(m))]
    parts, done = [], 0
    while at >= 0:
        parts += [text[done : found[at][1][0]], "***"]
        at += len(secret)
        done = found[at - 1][1][1]
        at = seen.find(secret, at)
    return "".join([*parts, text[done:]])


def _visible(match: re.Match[str]) -> str:
    """Give the visible character that was matched; none for what nobody sees.

    What is invisible may be taken out later, and must not keep a secret from being
    seen before that.
    """
    code, escaped = match.groups()
    if code:
        character = chr(int(code, 16))
    else:
        character = "" if escaped in set("bfnrt") else escaped or match[0]
    return character if len(character) == 1 and "!" <= character <= "~" else ""


def _words(error: Any) -> str:
    """Find what the server says in words; a page of HTML says nothing."""
    body = getattr(error, "api_message", None) or error.body
    if isinstance(body, Mapping):
        inner = body.get("error", body)
        body = inner if isinstance(inner, str) else None
        if isinstance(inner, Mapping):
            body = inner.get("message") or inner.get("detail")
    return "" if body is None or "<html" in str(body).lower() else str(body)


def _code(error: Any) -> str:
    """Give the machine-readable kind of an error, wherever the SDK keeps it."""
    return str(getattr(error, "error_code", None) or getattr(error, "code", None) or "")


def _retry_after(headers: Mapping[str, str]) -> float | None:
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
