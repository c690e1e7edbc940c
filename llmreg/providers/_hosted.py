"""What the providers behind an address have in common: a key, and where it goes."""

from __future__ import annotations

import functools
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar
from urllib.parse import urlsplit

from llmreg._utils._imports import import_optional
from llmreg.elicitation._sampling import Request
from llmreg.exceptions import MissingKeyError, ProviderDependencyError, ProviderError
from llmreg.providers._llm import LLMProvider


def check_key_source(value: Any, variable: str) -> None:
    """Refuse what would show a key in `repr`, `get_params` and pickles.

    Raises TypeError if it is no function; the value is not repeated.
    """
    if value is None:
        return
    if not callable(value) or isinstance(value, functools.partial):
        raise TypeError(
            "api_key must be a function that returns the key, or None to take it "
            f"from {variable}. A plain text, or one bound by functools.partial, would "
            "show up in repr, get_params and pickles."
        )


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


_SECRET_HEADERS = ("auth", "key", "token", "secret")


class HostedProvider(LLMProvider):
    """Base of the providers that reach their model over HTTP, through an SDK.

    It sees to it that a key is never a parameter: it comes from the environment or
    from a function, when it is needed, and goes no further than the SDK's client.

    Parameters that the class of a vendor has, beside those of `LLMProvider`:

    api_key : callable or None
        A function that returns the key.
    base_url : str or None
        The address of the server.

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

    # The names of the SDK, of the extra that installs it, and of the environment
    # variables that hold the key and another address.
    _sdk: ClassVar[str]
    _extra: ClassVar[str]
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
        # Checked on assignment, since a later check would come after a repr.
        check_key_source(value, self._key_variable)
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
        return import_optional(self._sdk, self._extra, ProviderDependencyError)

    def _client(self, key: Any, **options: Any) -> Any:
        """Make a client of the SDK."""
        raise NotImplementedError

    def _http(self, **options: Any) -> Any:
        """Make an HTTP client that goes to no other address than the one named."""
        return self._import_sdk().DefaultHttpxClient(follow_redirects=False, **options)

    def _send(self, client: Any, request: Request) -> Any:
        """Let the SDK send one request."""
        raise NotImplementedError

    def _preview(self, requests: Sequence[Request]) -> list[dict[str, Any]]:
        """Let the SDK make the requests, and catch them before they leave."""
        self._import_sdk()
        import httpx2

        caught: list[Any] = []

        def catch(request: Any) -> Any:
            caught.append(request)
            return httpx2.Response(200, json={})

        http = self._http(transport=httpx2.MockTransport(catch))
        with self._client("none", http_client=http) as client:
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
            raise self._keyless(f"{place} has none.")
        if not isinstance(key, str):
            raise self._keyless(f"{place} gives {type(key).__name__}, and not text.")
        if not (key.isascii() and key.isprintable()):
            raise self._keyless(
                f"{place} has one with something in it that no key has: a line break, "
                "a curly quote, or a letter outside of ASCII."
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
    """List what must never be repeated, in case a server sends it back."""
    sent = (
        value
        for name, value in headers.items()
        if isinstance(value, str)
        and any(part in name.lower() for part in _SECRET_HEADERS)
    )
    return tuple(value.removeprefix("Bearer ") for value in sent if value)
