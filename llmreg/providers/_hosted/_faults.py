"""What went wrong between a provider and its server, and whether to try again.

The SDKs of Anthropic and of OpenAI come from one generator, so their errors have the
same names and the same shape, and one translation does for both.
"""

import math
import re
import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from email.utils import parsedate_to_datetime
from typing import Any, Literal

from llmreg.elicitation._retry import TransientError
from llmreg.exceptions import (
    ProviderAuthenticationError,
    ProviderError,
    ProviderNotFoundError,
    ProviderResponseError,
    ProviderUnavailableError,
    RequestTooLargeError,
)
from llmreg.providers._hosted._wire import quote

_TRANSIENT = {408, 409, 429}
# What the HTTP client raises over a header that it cannot write.
_UNSENDABLE = {"LocalProtocolError", "UnicodeEncodeError"}
# Of the errors of TLS, those that may pass.
_HANG_UPS = (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError)
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


def translate(provider: Any, client: Any, error: Exception) -> Exception:
    """Turn an error of the SDK into one that says whether to try again."""
    import httpx2

    sdk, name = provider._import_sdk(), type(error).__name__
    if isinstance(error, sdk.APIStatusError):
        return _from_status(provider, client, error)
    links = list(chain(error))
    for link in links:
        if isinstance(link, ProviderError):
            return link.with_traceback(None)

    def is_due_to(*kinds: type[Exception]) -> bool:
        return any(isinstance(link, kinds) for link in links)

    place = provider._place()
    if is_due_to(httpx2.TimeoutException):
        what = "connection" if is_due_to(httpx2.ConnectTimeout) else "request"
        return TransientError(f"the {what} to {place} timed out")
    cause = type(error.__cause__ or error).__name__
    if cause in _UNSENDABLE:
        return unsendable(provider, cause)
    if is_due_to(httpx2.UnsupportedProtocol, httpx2.InvalidURL):
        return ProviderError(
            f"The address {place} cannot be asked ({cause}); nothing was sent. "
            f"Check base_url, {provider._address_variable}, HTTP_PROXY and HTTPS_PROXY."
        )
    for link in links:
        if isinstance(link, socket.gaierror):
            if link.errno != socket.EAI_NONAME:
                return TransientError(f"the host of {place} could not be looked up")
            return ProviderError(
                f"There is no host of this name: {place}. Check base_url, "
                f"{provider._address_variable}, the proxies, and the network."
            )
        if isinstance(link, ConnectionRefusedError):
            return ProviderUnavailableError(
                f"The connection to {place} was refused: nothing listens there, or "
                "at the proxy on the way. Start the server, or check base_url, "
                f"{provider._address_variable} and the proxies."
            )
        if isinstance(link, ssl.SSLError) and not isinstance(link, _HANG_UPS):
            return ProviderError(
                f"No secure connection (TLS) to {place} could be made: the "
                "certificate of the server is not trusted, or it speaks no TLS "
                f"({link.reason}). If a "
                "company's proxy stands in between, name the file of its "
                "certificate in SSL_CERT_FILE; if the server has none, its address "
                "starts with http://."
            )
        if isinstance(link, httpx2.ProxyError) and str(link)[:2] == "40":
            return ProviderError(
                f"The proxy refused the connection (HTTP {str(link)[:3]}). Check "
                "HTTP_PROXY, HTTPS_PROXY and ALL_PROXY, and the name and password "
                "in them."
            )
    if is_due_to(httpx2.TransportError, sdk.APIConnectionError):
        return TransientError(f"the connection to {place} failed ({cause})")
    if isinstance(error, getattr(sdk, "CredentialsError", ())):
        return ProviderAuthenticationError(
            f"The credentials could not be used ({name}). Check the profile or the "
            f"federation settings that the {sdk.__name__} SDK reads."
        )
    if isinstance(error, sdk.APIError | ValueError | RecursionError):
        return ProviderResponseError(
            f"The reply of the server could not be read ({name}). Is there a "
            "proxy in between, or a wrong base_url?"
        )
    said = quote(str(error), provider._secrets(client))
    return ProviderError(
        f"The {sdk.__name__} SDK failed with {name}{said}. The installed version "
        "may be too old or too new for llmreg."
    )


def unsendable(provider: Any, what: str) -> ProviderError:
    """Say that a request holds what HTTP cannot."""
    return ProviderError(
        f"The request cannot be put into HTTP ({what}); nothing was sent. "
        "Look for line breaks and for letters outside of ASCII in "
        f"{provider._key_variable}, in other variables that the SDK makes headers "
        "of, and in base_url."
    )


def _from_status(provider: Any, client: Any, error: Any) -> Exception:
    """Sort the HTTP statuses: refused for good, transient, or a wrong request."""
    status = int(error.status_code)
    message = message_of(error)
    code = getattr(error, "error_code", None) or getattr(error, "code", None) or ""
    about = subject_of(f"{error.type} {code} {message}")
    # Those of the request know of credentials that the SDK fetched.
    secrets = provider._secrets(client, error.request.headers)
    address = provider._address()
    vendor = provider._vendor if address is None else f"The server at {address}"
    details = f"HTTP {status}{quote(message, secrets)}"
    headers = error.response.headers
    refused = {
        401: f"Check the key in {provider._key_variable}.",
        402: "Check the billing of the account.",
        403: "The key is not allowed to do this; check its permissions.",
    }
    if 300 <= status < 400:
        return ProviderError(
            f"{vendor} points to another address (HTTP {status}"
            f"{quote(headers.get('location', ''), secrets)}). Redirects are not "
            "followed; check `base_url`."
        )
    if status in refused or about == "money":
        return ProviderAuthenticationError(
            f"{vendor} refused the request to {provider.model!r} ({details}). "
            f"{refused.get(status, refused[402])}"
        )
    if status == 404:
        return ProviderNotFoundError(
            f"{vendor} does not know the model {provider.model!r}, or has nothing at "
            f"{error.request.url.path} ({details}). Check `model` and `base_url`."
        )
    is_too_large = status == 413 or about == "size"
    if status >= 500 or (status in _TRANSIENT and not is_too_large):
        if headers.get("x-should-retry") == "false":
            return ProviderUnavailableError(
                f"{vendor} could not answer and says not to try again ({details})."
            )
        return TransientError(details, retry_after(headers))
    if is_too_large:
        return RequestTooLargeError(
            f"The question is too large for {provider.model!r} ({details}). Score "
            "fewer features."
        )
    return ProviderError(
        f"{vendor} rejected the request to {provider.model!r} ({details}). Check "
        "the parameters of the provider."
    )


def chain(error: BaseException) -> Iterator[BaseException]:
    """Follow an error to what caused it."""
    link: BaseException | None = error
    for _ in range(20):
        if link is None:
            return
        yield link
        link = link.__cause__ or link.__context__


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
