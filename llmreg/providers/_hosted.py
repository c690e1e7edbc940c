"""What the providers behind an address have in common: keys, addresses and errors.

The SDKs of Anthropic and of OpenAI come from one generator, so their errors have the
same names and the same shape, and one translation does for both.
"""

from __future__ import annotations

import json
import math
import os
import re
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from email.utils import parsedate_to_datetime
from functools import partial
from operator import attrgetter
from typing import Any, ClassVar, TypeVar
from urllib.parse import urlsplit

from llmreg._utils import import_optional
from llmreg._utils._text import clean_text
from llmreg.elicitation._retry import TransientError
from llmreg.elicitation._sampling import Completion, Request
from llmreg.exceptions import (
    MissingKeyError,
    ProviderAuthenticationError,
    ProviderDependencyError,
    ProviderError,
    ProviderResponseError,
    ProviderUnavailableError,
    RequestTooLargeError,
)
from llmreg.providers._llm import LLMProvider

T = TypeVar("T")

_SECRET_HEADERS = ("auth", "key", "token", "secret")
_MAX_DETAIL = 300
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


def check_address(value: Any, name: str) -> None:
    """Refuse an address with a user's name or a password, without repeating it."""
    if not isinstance(value, str):
        return
    try:
        is_safe = "@" not in urlsplit(value).netloc
    except ValueError:
        # No address at all. Whatever it is, it goes no further with an @ in it.
        is_safe = "@" not in value
    if not is_safe:
        raise ProviderError(
            f"{name} has a user's name or a password in front of an @, which would "
            "show up in repr, get_params and logs. Give the address without it, and "
            "the key by api_key= a function, or in the environment."
        )


def is_importable(function: Callable[..., Any] | None) -> bool:
    """Tell whether a function is pickled by its name alone.

    A closure, a lambda or a bound method takes what it holds along into a pickle,
    and what it holds may be the key.
    """
    module = getattr(function, "__module__", "__main__")
    if function is None or module == "__main__":
        return False
    try:
        return attrgetter(function.__qualname__)(sys.modules[module]) is function
    except (AttributeError, KeyError):
        return False


class HostedProvider(LLMProvider):
    """Base of the providers that reach their model over HTTP, through an SDK.

    A key is never a parameter, since scikit-learn prints those: it comes from the
    environment or from a function when it is needed, and goes no further than the
    SDK's client. The class of a vendor has the parameters of `LLMProvider`, `api_key`,
    a function that returns the key or None, and `base_url`, the address of the server
    or None. A function at the top level of a module is pickled by its name, any other
    not at all.

    Examples
    --------
    >>> from llmreg.providers import HostedProvider, OpenAIProvider
    >>> issubclass(OpenAIProvider, HostedProvider)
    True
    """

    # The vendor, which is also the name of the client in its SDK; the SDK and what
    # pip installs it as; the environment variables of the key and another address.
    _vendor: ClassVar[str]
    _sdk: ClassVar[str]
    _requirement: ClassVar[str]
    _key_variable: ClassVar[str]
    _address_variable: ClassVar[str]

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **LLMProvider._parameter_constraints,
        "api_key": [callable, None],
        "base_url": [str, None],
    }

    @property
    def api_key(self) -> Callable[[], str] | None:
        """The function that returns the key, or None."""
        return self._api_key

    @api_key.setter
    def api_key(self, value: Callable[[], str] | None) -> None:
        # Checked on assignment, since a later check would come after a repr. The value
        # is not repeated.
        if isinstance(value, partial) or not (value is None or callable(value)):
            raise TypeError(
                "api_key must be a function that returns the key, or None to take it "
                f"from {self._key_variable}. A plain text, or one bound by "
                "functools.partial, would show up in repr, get_params and pickles."
            )
        self._api_key = value

    @property
    def base_url(self) -> str | None:
        """The address of the server, or None."""
        return self._base_url

    @base_url.setter
    def base_url(self, value: str | None) -> None:
        # On assignment, for the same reason.
        check_address(value, "base_url")
        self._base_url = value

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        # Elsewhere the key has to come from the environment there.
        if not is_importable(self._api_key):
            state["_api_key"] = None
        return state

    def _address(self) -> str | None:
        """Give the address to ask; None is the vendor's own."""
        address = self.base_url or os.environ.get(self._address_variable) or None
        check_address(address, self._address_variable)
        return address

    def _settings(self) -> dict[str, Any]:
        """Name what shapes an answer; which server gives it is part of that."""
        return {**super()._settings(), "base_url": self._address()}

    def _import_sdk(self) -> Any:
        """Import the SDK, which is not needed by anything else."""
        return import_optional(self._sdk, self._requirement, ProviderDependencyError)

    def _client(self, key: Any, **http: Any) -> Any:
        """Make a client that sends each request once, and follows no redirect."""
        sdk = self._import_sdk()
        return getattr(sdk, self._vendor)(
            api_key=key,
            base_url=self._address(),
            max_retries=0,
            http_client=sdk.DefaultHttpxClient(follow_redirects=False, **http),
        )

    def _send(self, client: Any, request: Request) -> Any:
        """Let the SDK send one request."""
        raise NotImplementedError

    def _read(self, reply: Any, secrets: tuple[str, ...]) -> Completion:
        """Take text, reason to stop and usage out of a reply of the SDK.

        The SDK does not check replies: an error body or a proxy's page with status
        200 arrives as an object without the usual attributes, or as text.

        Raises ProviderResponseError if it is none that can be read.
        """
        raise NotImplementedError

    def _complete(self, client: Any, request: Request) -> Completion:
        """Send one request, and read the reply."""
        reply = self._call(client, partial(self._send, client, request))
        return self._read(reply, self._secrets(client))

    def _call(self, client: Any, call: Callable[[], T]) -> T:
        """Call the SDK, and raise errors of our own.

        Whatever the SDK or its HTTP client raises may hold the request, and with it
        the key, so nothing of it may travel on, not even as context.
        """
        try:
            return call()
        except Exception as e:
            failure = self._translate(client, e)
        raise failure

    def _translate(self, client: Any, error: Exception) -> Exception:
        """Turn an error of the SDK into one that says whether to try again."""
        sdk, name = self._import_sdk(), type(error).__name__
        if isinstance(error, sdk.APIStatusError):
            return self._from_status(client, error)
        if isinstance(error, sdk.APITimeoutError):
            return TransientError("the request timed out")
        cause = type(error.__cause__ or error).__name__
        if cause in _UNSENDABLE:
            return ProviderError(
                f"The request cannot be put into HTTP ({cause}); nothing was sent. "
                "Look for line breaks and for letters outside of ASCII in "
                f"{self._key_variable}, in other variables that the SDK makes headers "
                "of, and in base_url."
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
        said = _quote(str(error), self._secrets(client))
        return ProviderError(
            f"The {sdk.__name__} SDK failed with {name}{said}. The installed version "
            "may be too old or too new for llmreg."
        )

    def _from_status(self, client: Any, error: Any) -> Exception:
        """Sort the HTTP statuses: refused for good, transient, or a wrong request."""
        status = int(error.status_code)
        message = _message(error)
        code = getattr(error, "error_code", None) or getattr(error, "code", None) or ""
        kinds = f"{error.type} {code} {message}".lower()
        secrets = self._secrets(client)
        vendor = self._vendor if self._address() is None else "The server"
        details = f"HTTP {status}{_quote(message, secrets)}"
        headers = error.response.headers
        refused = {
            401: f"Check the key in {self._key_variable}.",
            402: "Check the billing of the account.",
            403: "The key is not allowed to do this; check its permissions.",
            404: "Check `model` and `base_url`.",
        }
        if 300 <= status < 400:
            return ProviderError(
                f"{vendor} points to another address (HTTP {status}"
                f"{_quote(headers.get('location', ''), secrets)}). Redirects are not "
                "followed; check `base_url`."
            )
        if status in refused or any(word in kinds for word in _MONEY):
            return ProviderAuthenticationError(
                f"{vendor} refused the request to {self.model!r} ({details}). "
                f"{refused.get(status, refused[402])}"
            )
        if status in _TRANSIENT or status >= 500:
            if headers.get("x-should-retry") == "false":
                return ProviderUnavailableError(
                    f"{vendor} could not answer and says not to try again ({details})."
                )
            return TransientError(details, _retry_after(headers))
        if status == 413 or any(word in kinds for word in _TOO_LARGE):
            return RequestTooLargeError(
                f"The question is too large for {self.model!r} ({details}). Score "
                "fewer features."
            )
        return ProviderError(
            f"{vendor} rejected the request to {self.model!r} ({details}). Check "
            "the parameters of the provider."
        )

    def _secrets(self, client: Any) -> tuple[str, ...]:
        """List what must never be repeated, in case a server sends it back."""
        return tuple(
            value.removeprefix("Bearer ")
            for name, value in client.default_headers.items()
            if value
            and isinstance(value, str)
            and any(part in name.lower() for part in _SECRET_HEADERS)
        )

    def _preview(self, requests: Sequence[Request]) -> list[dict[str, Any]]:
        """Let the SDK make the requests, and catch them before they leave."""
        self._import_sdk()
        import httpx2

        caught: list[Any] = []

        def catch(request: Any) -> Any:
            caught.append(request)
            return httpx2.Response(200, json={})

        with self._client("none", transport=httpx2.MockTransport(catch)) as client:
            for request in requests:
                self._send(client, request)
        return [
            {"method": r.method, "url": str(r.url), "body": json.loads(r.content)}
            for r in caught
        ]

    def _key(self) -> str | None:
        """Get the key, as a header can hold it: without the line break of a file."""
        key: object = os.environ.get(self._key_variable)
        place = self._key_variable
        if self.api_key is not None:
            key, place = self.api_key(), "The function given as api_key"
        elif not key:
            return None
        if isinstance(key, str):
            key = key.strip()
        if not key:
            raise self._keyless(f"{place} has no key.")
        if not isinstance(key, str):
            raise self._keyless(f"{place} gives {type(key).__name__} instead of str.")
        if not (key.isascii() and key.isprintable()):
            raise self._keyless(
                f"{place} has a key that cannot be sent: it holds a line break, a "
                "curly quote, or a letter outside of ASCII."
            )
        return key

    def _keyless(self, what: str) -> MissingKeyError:
        """Say that there is no key, and what to do."""
        return MissingKeyError(
            f"{what} Set {self._key_variable} in the environment, or pass api_key= a "
            "function that returns the key, or go without a model: prior= also takes "
            "a dict of scores, or the path of a prior card."
        )


def unusable(
    api: str, reply: Any, reason: object, secrets: tuple[str, ...]
) -> ProviderResponseError:
    """Say that a reply is none of the API, without repeating what is in it."""
    if isinstance(reply, str):
        got = "an HTML page" if "<html" in reply.lower() else "plain text"
    elif getattr(reply, "type", None) == "error" or getattr(reply, "error", None):
        got = "an error with the status of a success"
    else:
        shown = clean_text(hide(repr(reason), secrets), 40)
        got = f"a reply that stopped for the reason {shown}"
    return ProviderResponseError(
        f"The server did not answer as {api} does: it sent {got}. Is there a proxy in "
        "between, or a wrong base_url?"
    )


def token_counts(counts: Mapping[str, object]) -> dict[str, int]:
    """Keep the counts that there are; a server that leaves them out costs no answer."""
    return {name: count for name, count in counts.items() if isinstance(count, int)}


def _quote(text: str, secrets: tuple[str, ...]) -> str:
    """Quote what the server said, cut, on one line and without secrets."""
    text = hide(clean_text(text, _MAX_READ), secrets)
    return f": {clean_text(text, _MAX_DETAIL)}" if text else ""


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
