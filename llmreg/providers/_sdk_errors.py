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
# No more of an error is read than this, whatever a server sends.
_MAX_READ = 20_000
# A shorter secret is not looked for in pieces: ordinary words may hold it.
_MIN_SECRET_LENGTH = 8
# What may stand between two characters of a secret without being seen: characters
# outside of visible ASCII, as they are or as JSON escapes them. They may be taken out
# of a text later, which would bring the secret back.
_UNSEEN = (
    r"(?:[^!-~]|\\[bfnrt]"
    r"|\\u(?!00(?:2[1-9A-Fa-f]|[3-6][0-9A-Fa-f]|7[0-9A-Ea-e]))[0-9A-Fa-f]{4})*"
)

_TRANSIENT = {408, 409, 429}
# What the HTTP client raises over a header that it cannot write.
_UNSENDABLE = {"LocalProtocolError", "UnicodeEncodeError"}
# A smaller question may go through, so these are told apart from other wrong requests.
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
    """Turns the errors of one SDK into those of llmreg."""

    sdk: Any
    vendor: str  # who answers, for messages
    key: str  # where the key comes from, for messages
    model: str
    secrets: tuple[str, ...]  # what must not appear in a message

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
            f"The {sdk.__name__} SDK failed with {name}{self._quote(str(error))}. The "
            "installed version may be too old or too new for llmreg."
        )

    def _from_status(self, error: Any) -> Exception:
        """Sort the HTTP statuses: refused for good, transient, or a wrong request."""
        status = int(error.status_code)
        message = _message(error)
        code = getattr(error, "error_code", None) or getattr(error, "code", None) or ""
        kinds = f"{error.type} {code} {message}".lower()
        details = f"HTTP {status}{self._quote(message)}"
        headers = error.response.headers
        refused = {
            401: f"Check the key in {self.key}.",
            402: "Check the billing of the account.",
            403: "The key is not allowed to do this; check its permissions.",
            404: "Check `model` and `base_url`.",
        }
        if 300 <= status < 400:
            return ProviderError(
                f"{self.vendor} points to another address (HTTP {status}"
                f"{self._quote(headers.get('location', ''))}). Redirects are not "
                "followed; check `base_url`."
            )
        if status in refused or any(word in kinds for word in _MONEY):
            return ProviderAuthenticationError(
                f"{self.vendor} refused the request to {self.model!r} ({details}). "
                f"{refused.get(status, refused[402])}"
            )
        if status in _TRANSIENT or status >= 500:
            if headers.get("x-should-retry") == "false":
                return ProviderUnavailableError(
                    f"{self.vendor} could not answer and says not to try again "
                    f"({details})."
                )
            return TransientError(details, _retry_after(headers))
        if status == 413 or any(word in kinds for word in _TOO_LARGE):
            return RequestTooLargeError(
                f"The question is too large for {self.model!r} ({details}). Score "
                "fewer features."
            )
        return ProviderError(
            f"{self.vendor} rejected the request to {self.model!r} ({details}). Check "
            "the parameters of the provider."
        )

    def _quote(self, text: str) -> str:
        """Quote what the server said, cut, on one line and without secrets."""
        text = hide(clean_text(text, _MAX_READ), self.secrets)
        return f": {clean_text(text, MAX_DETAIL_LENGTH)}" if text else ""


def hide(text: str, secrets: tuple[str, ...]) -> str:
    """Take secrets out of a text, also where they are escaped or interrupted."""
    for secret in filter(None, secrets):
        text = text.replace(secret, "***")
        visible = "".join(secret.split())
        if len(visible) >= _MIN_SECRET_LENGTH:
            text = re.sub(_UNSEEN.join(map(_spellings, visible)), "***", text)
    return text


def _spellings(character: str) -> str:
    """Give a pattern for the ways in which JSON may write a character."""
    return rf"(?:\\?{re.escape(character)}|\\u(?i:{ord(character):04x}))"


def _message(error: Any) -> str:
    """Find what the server says in words; a page of HTML says nothing."""
    body = getattr(error, "api_message", None) or error.body
    if isinstance(body, Mapping):
        inner = body.get("error", body)
        body = inner if isinstance(inner, str) else None
        if isinstance(inner, Mapping):
            body = inner.get("message") or inner.get("detail")
    return "" if body is None or "<html" in str(body).lower() else str(body)


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
