"""From what the `anthropic` SDK raises to exceptions of our own, without secrets."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any

from llmreg.exceptions import (
    ProviderAuthenticationError,
    ProviderError,
    ProviderResponseError,
    ProviderUnavailableError,
    RequestTooLargeError,
)
from llmreg.prompting import clean_text
from llmreg.providers.retry import TransientError

MAX_DETAIL_LENGTH = 300

_REFUSED = {
    401: "Check the key in ANTHROPIC_API_KEY.",
    402: "Check the billing of the account.",
    403: "The key is not allowed to do this; check its permissions.",
    404: "Check `model` and `base_url`.",
}
_PASSING = {408, 409, 429}
# A smaller question may go through, so these are told apart from other faults of ours.
_TOO_LARGE = (
    *("grammar is too large", "schema is too complex", "schema is too large"),
    *("request_too_large", "prompt is too long", "exceed context limit"),
)
# Errors about money come with several statuses, 429 among them.
_MONEY = ("billing", "spend_limit", "spend limit", "credit balance")


def to_own_error(error: Exception, model: str, secrets: tuple[str, ...]) -> Exception:
    """Choose the exception that says what happened and whether to try again.

    Parameters
    ----------
    error : Exception
        What the SDK or its HTTP client raised.
    model : str
        The model that was asked.
    secrets : tuple of str
        What must not appear in the message.

    Returns
    -------
    Exception
        A `TransientError` if trying again may help, a `ProviderError` if not.
    """
    import anthropic

    if isinstance(error, anthropic.APIStatusError):
        return _from_status(error, model, secrets)
    if isinstance(error, anthropic.APITimeoutError):
        return TransientError("the request timed out")
    if isinstance(error, anthropic.APIConnectionError):
        cause = type(error.__cause__ or error).__name__
        return TransientError(f"the connection failed ({cause})")
    if isinstance(error, anthropic.CredentialsError):
        return ProviderAuthenticationError(
            f"The credentials could not be used ({type(error).__name__}). Check the "
            "profile or the federation settings that the anthropic SDK reads."
        )
    if isinstance(error, anthropic.APIError | ValueError):
        return ProviderResponseError(
            f"The reply of the server could not be read ({type(error).__name__}). Is "
            "there a proxy in between, or a wrong base_url?"
        )
    detail = _detail(str(error), secrets)
    return ProviderError(
        f"The anthropic SDK failed with {type(error).__name__}{detail}. The installed "
        "version may be too old or too new for llmreg."
    )


def _from_status(error: Any, model: str, secrets: tuple[str, ...]) -> Exception:
    """Sort the HTTP statuses: refused for good, passing, or a fault of ours."""
    status = int(error.status_code)
    kinds = f"{error.type} {error.error_code} {error.api_message}".lower()
    said = f"HTTP {status}{_detail(error.api_message or '', secrets)}"
    if status in _REFUSED or any(word in kinds for word in _MONEY):
        hint = _REFUSED.get(status, _REFUSED[402])
        return ProviderAuthenticationError(
            f"Anthropic refused the request to {model!r} ({said}). {hint}"
        )
    if status in _PASSING or status >= 500:
        headers = error.response.headers
        if headers.get("x-should-retry") == "false":
            return ProviderUnavailableError(
                f"Anthropic could not answer and says not to try again ({said})."
            )
        return TransientError(said, _retry_after(headers))
    if status == 413 or any(word in kinds for word in _TOO_LARGE):
        return RequestTooLargeError(
            f"The question is too large for {model!r} ({said}). Score fewer features."
        )
    return ProviderError(
        f"Anthropic rejected the request to {model!r} ({said}). Check the parameters "
        "of the provider."
    )


def _detail(text: str, secrets: tuple[str, ...]) -> str:
    """Quote what the server said, cut, on one line and without secrets."""
    for secret in secrets:
        text = text.replace(secret, "***")
    return f": {clean_text(text, MAX_DETAIL_LENGTH)}" if text else ""


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Read how many seconds the server asks to wait; a number or a date."""
    given = headers.get("retry-after", "")
    try:
        seconds = float(given)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(given).timestamp() - time.time()
        except ValueError:
            return None
    return seconds if math.isfinite(seconds) and seconds >= 0 else None
