"""What the providers behind an address have in common: a key, and where it goes."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar, TypeVar
from urllib.parse import urlsplit

from llmreg._utils import import_optional
from llmreg._utils._text import clean_text
from llmreg.elicitation._sampling import Completion, Request
from llmreg.exceptions import (
    MissingKeyError,
    ProviderDependencyError,
    ProviderError,
    ProviderResponseError,
)
from llmreg.providers._llm import LLMProvider
from llmreg.providers._sdk_errors import Translator, hide

T = TypeVar("T")

_SECRET_HEADERS = ("auth", "key", "token", "secret")


def check_address(value: Any, name: str) -> None:
    """Refuse an address that holds a user's name or a password.

    Raises ProviderError if there is something in front of an ``@``; it is not
    repeated.
    """
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
    name = getattr(function, "__qualname__", None)
    module = getattr(function, "__module__", None)
    if name is None or module is None or module == "__main__":
        return False
    found: Any = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    return found is function


class HostedProvider(LLMProvider):
    """Base of the providers that reach their model over HTTP, through an SDK.

    A key is never a parameter: it comes from the environment or from a function when
    it is needed, and goes no further than the SDK's client. The class of a vendor has
    the parameters of `LLMProvider`, `api_key`, a function that returns the key or
    None, and `base_url`, the address of the server or None.

    Examples
    --------
    >>> from llmreg.providers import OpenAIProvider
    >>> from llmreg.providers import HostedProvider
    >>> issubclass(OpenAIProvider, HostedProvider)
    True
    >>> OpenAIProvider(base_url="http://me:secret@localhost/v1")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    llmreg.exceptions.ProviderError: ...
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
        """Turn an error of the SDK into one of our own."""
        vendor = self._vendor if self._address() is None else "The server"
        secrets = self._secrets(client)
        return Translator(
            self._import_sdk(), vendor, self._key_variable, self.model, secrets
        ).translate(error)

    def _secrets(self, client: Any) -> tuple[str, ...]:
        """List what must never be repeated, in case a server sends it back."""
        return secrets_of(client.default_headers)

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
        """Get the key from the function that was given, or from the environment."""
        if self.api_key is not None:
            return self._usable(self.api_key(), "The function given as api_key")
        key = os.environ.get(self._key_variable)
        return self._usable(key, self._key_variable) if key else None

    def _usable(self, key: object, place: str) -> str:
        """Take a key as a header can hold it: without the line break of a file."""
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


def secrets_of(headers: Mapping[str, Any]) -> tuple[str, ...]:
    """List the values of the headers that may hold a key."""
    return tuple(
        value.removeprefix("Bearer ")
        for name, value in headers.items()
        if value
        and isinstance(value, str)
        and any(part in name.lower() for part in _SECRET_HEADERS)
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
