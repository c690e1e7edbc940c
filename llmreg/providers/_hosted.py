"""What the providers behind an address have in common: keys, addresses and errors.

The SDKs of Anthropic and of OpenAI come from one generator, so their errors have the
same names and the same shape, and one translation does for both.
"""

from __future__ import annotations

import json
import os
import socket
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from functools import partial
from typing import Any, ClassVar, TypeVar

from llmreg._utils import import_optional
from llmreg.elicitation._cache import PriorCache
from llmreg.elicitation._retry import Stop, TransientError, side_by_side
from llmreg.elicitation._sampling import GRACE, Completion, Request
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
from llmreg.providers._wire import (
    HiddenFunction,
    Secrets,
    bounded_client,
    chain,
    check_address,
    is_importable,
    is_sendable,
    message_of,
    plain,
    quote,
    retry_after,
    subject_of,
    tidy_address,
)

T = TypeVar("T")

# How the models of vendors are asked: measured to know more than scores, for less.
DEFAULT_ASK = "curves"

_TRANSIENT = {408, 409, 429}
# What the HTTP client raises over a header that it cannot write.
_UNSENDABLE = {"LocalProtocolError", "UnicodeEncodeError"}
# Of the errors of TLS, those that may pass.
_HANG_UPS = (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError)


class _Guarded:
    """A parameter that is checked when it is assigned, since later is after a repr."""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, provider: Any, owner: type | None = None) -> Any:
        # Of the class, it is the default of the parameter.
        value = None if provider is None else getattr(provider, f"_{self.name}")
        return value.function if isinstance(value, HiddenFunction) else value

    def __set__(self, provider: Any, value: Any) -> None:
        is_hidden = isinstance(value, HiddenFunction)
        if self.name == "base_url":
            check_address(value, self.name)
        elif isinstance(value, partial) or not (value is None or callable(value)):
            # The value is not repeated.
            raise TypeError(
                "api_key must be a function that returns the key, or None to take it "
                f"from {provider._key_variable}. A plain text, or one bound by "
                "functools.partial, would show up in repr, get_params and pickles."
            )
        elif not (value is None or is_importable(value) or is_hidden):
            value = HiddenFunction(value)
        vars(provider)[f"_{self.name}"] = value


@dataclass(eq=False, repr=False)
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
    # pip installs it as; the environment variables of the key and another address; the
    # address of the vendor.
    _vendor: ClassVar[str]
    _sdk: ClassVar[str]
    _requirement: ClassVar[str]
    _key_variable: ClassVar[str]
    _address_variable: ClassVar[str]
    _own_address: ClassVar[str]

    model: str
    _: KW_ONLY
    n_estimates: int | str | None = None
    ask: str = DEFAULT_ASK
    send_levels: bool = True
    max_tokens: int | None = None
    max_parallel: int = 5
    max_attempts: int = 8
    timeout: float = 600.0
    api_key: Callable[[], str] | None = _Guarded()  # type: ignore[assignment]
    base_url: str | None = _Guarded()  # type: ignore[assignment]
    cache: PriorCache | str | os.PathLike[str] | None = None
    network: str = "allow"

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **LLMProvider._parameter_constraints,
        "api_key": [callable, None],
        "base_url": [str, None],
    }

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Get the parameters, with a function for the key that does not show it."""
        return {**super().get_params(deep), "api_key": self._api_key}

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        # Elsewhere the key has to come from the environment there.
        if not is_importable(self._api_key):
            state["_api_key"] = None
        return state

    def _address(self) -> str | None:
        """Give the address to ask; None is the vendor's own."""
        for name in ("base_url", self._address_variable):
            given = self.base_url if name == "base_url" else os.environ.get(name)
            if given and given.strip():
                return tidy_address(given, name)
        return None

    def _settings(self) -> dict[str, Any]:
        """Name what shapes an answer; which server gives it is part of that."""
        settings = {**super()._settings(), "base_url": self._address()}
        try:
            settings = {name: plain(value) for name, value in settings.items()}
            json.dumps(
                settings, sort_keys=True, allow_nan=False, ensure_ascii=False
            ).encode()
        except (TypeError, ValueError, RecursionError) as e:
            raise ProviderError(
                f"One of {', '.join(self._shaping)} holds what JSON cannot "
                f"({type(e).__name__}). Use texts, finite numbers, booleans, None, and "
                "lists and dicts of these."
            ) from None
        return settings

    def _import_sdk(self) -> Any:
        """Import the SDK, which is not needed by anything else."""
        return import_optional(self._sdk, self._requirement, ProviderDependencyError)

    def _client(self, key: Callable[[], str | None], **http: Any) -> Any:
        """Make a client; the key is no local variable, since tracebacks show those."""
        sdk = self._import_sdk()
        address = self._address()
        if address is None and self._address_variable in os.environ:
            # It is empty, and the SDK would ask at an empty address.
            address = self._own_address
        try:
            client = getattr(sdk, self._vendor)(
                api_key=key(),
                base_url=address,
                max_retries=0,
                http_client=bounded_client(sdk, **http),
            )
        except ProviderError:
            raise
        except getattr(sdk, f"{self._vendor}Error") as e:
            failure: ProviderError = self._keyless(
                f"The {sdk.__name__} SDK has no credentials ({type(e).__name__})."
            )
        except Exception as e:
            failure = ProviderError(
                f"The HTTP client cannot be set up ({type(e).__name__}); nothing was "
                "sent. Check the proxies in HTTP_PROXY, HTTPS_PROXY and ALL_PROXY "
                "(http://HOST:PORT; socks5:// needs pip install socksio), the "
                "certificates in SSL_CERT_FILE and SSL_CERT_DIR, and the address."
            )
        else:
            # The HTTP client would put a header that it cannot write into its logs.
            for value in client.default_headers.values():
                if isinstance(value, str) and not is_sendable(value):
                    del value
                    client.close()
                    raise self._unsendable("a header")
            return client
        raise failure

    def _send(self, client: Any, request: Request) -> Any:
        """Let the SDK send one request."""
        raise NotImplementedError

    def _read(self, reply: Any, secrets: Secrets) -> Completion:
        """Take text, reason to stop and usage out of a reply, which may be anything.

        The SDK does not check replies: a proxy's page arrives as text, an error as an
        object without the usual attributes. These are ProviderResponseErrors.
        """
        raise NotImplementedError

    def _complete(self, client: Any, request: Request) -> Completion:
        """Send one request, and read the reply."""
        secrets = self._secrets(client)
        # Read inside of the call: a reply may repeat the key.
        return self._call(
            client, lambda: self._read(self._send(client, request), secrets)
        )

    def _call(self, client: Any, call: Callable[[], T]) -> T:
        """Call the SDK; its errors may hold the key, so not even context travels on."""
        try:
            return call()
        except Exception as e:
            failure = self._translate(client, e)
        raise failure

    def _in_time(self, sends: Sequence[Callable[[float], T]], late: str) -> list[T]:
        """Call one after the other, within `timeout` in all; else say `late`."""
        policy, stop = self._policy(), Stop()
        deadline = policy.deadline()

        def work() -> list[T]:
            return [policy.run(send, deadline, stop) for send in sends]

        failure = ProviderUnavailableError(
            f"The provider gave no whole answer within {policy.budget:g} s. {late}"
        )
        # In a thread, since a server may send its headers byte by byte.
        (future,) = side_by_side([work], 1, stop, policy.budget + GRACE, failure)
        return future.result()

    def _translate(self, client: Any, error: Exception) -> Exception:
        """Turn an error of the SDK into one that says whether to try again."""
        import httpx2

        sdk, name = self._import_sdk(), type(error).__name__
        if isinstance(error, sdk.APIStatusError):
            return self._from_status(client, error)
        links = list(chain(error))
        for link in links:
            if isinstance(link, ProviderError):
                return link.with_traceback(None)

        def is_due_to(*kinds: type[Exception]) -> bool:
            return any(isinstance(link, kinds) for link in links)

        if is_due_to(httpx2.TimeoutException):
            return TransientError("the request timed out")
        cause = type(error.__cause__ or error).__name__
        if cause in _UNSENDABLE:
            return self._unsendable(cause)
        if is_due_to(httpx2.UnsupportedProtocol, httpx2.InvalidURL):
            return ProviderError(
                f"The address cannot be asked ({cause}); nothing was sent. Check "
                f"base_url, {self._address_variable}, HTTP_PROXY and HTTPS_PROXY."
            )
        for link in links:
            if isinstance(link, socket.gaierror) and link.errno == socket.EAI_NONAME:
                return ProviderError(
                    "There is no host of this name. Check base_url, "
                    f"{self._address_variable}, the proxies, and the network."
                )
            if isinstance(link, ssl.SSLError) and not isinstance(link, _HANG_UPS):
                return ProviderError(
                    "No secure connection (TLS) could be made: the certificate of the "
                    f"server is not trusted, or it speaks no TLS ({link.reason}). If a "
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
            return TransientError(f"the connection failed ({cause})")
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
        said = quote(str(error), self._secrets(client))
        return ProviderError(
            f"The {sdk.__name__} SDK failed with {name}{said}. The installed version "
            "may be too old or too new for llmreg."
        )

    def _unsendable(self, what: str) -> ProviderError:
        """Say that a request holds what HTTP cannot."""
        return ProviderError(
            f"The request cannot be put into HTTP ({what}); nothing was sent. "
            "Look for line breaks and for letters outside of ASCII in "
            f"{self._key_variable}, in other variables that the SDK makes headers "
            "of, and in base_url."
        )

    def _from_status(self, client: Any, error: Any) -> Exception:
        """Sort the HTTP statuses: refused for good, transient, or a wrong request."""
        status = int(error.status_code)
        message = message_of(error)
        code = getattr(error, "error_code", None) or getattr(error, "code", None) or ""
        about = subject_of(f"{error.type} {code} {message}")
        # Those of the request know of credentials that the SDK fetched.
        secrets = self._secrets(client, error.request.headers)
        vendor = self._vendor if self._address() is None else "The server"
        details = f"HTTP {status}{quote(message, secrets)}"
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
                f"{quote(headers.get('location', ''), secrets)}). Redirects are not "
                "followed; check `base_url`."
            )
        if status in refused or about == "money":
            return ProviderAuthenticationError(
                f"{vendor} refused the request to {self.model!r} ({details}). "
                f"{refused.get(status, refused[402])}"
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
                f"The question is too large for {self.model!r} ({details}). Score "
                "fewer features."
            )
        return ProviderError(
            f"{vendor} rejected the request to {self.model!r} ({details}). Check "
            "the parameters of the provider."
        )

    def _secrets(self, client: Any, sent: Mapping[str, object] = {}) -> Secrets:
        """List what must never be repeated, in case a server sends it back."""
        return Secrets({**client.default_headers, **sent}, client.api_key or "")

    def _preview(self, requests: Sequence[Request]) -> list[dict[str, Any]]:
        """Let the SDK make the requests, and catch them before they leave."""
        self._import_sdk()
        import httpx2

        caught: list[Any] = []

        def catch(request: Any) -> Any:
            caught.append(request)
            return httpx2.Response(200, json={})

        with self._client(
            lambda: "none", transport=httpx2.MockTransport(catch)
        ) as client:
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
        if self._api_key is not None:
            key, place = self._call_for_key(), "The function given as api_key"
        elif not key:
            return None
        if isinstance(key, str):
            key = key.strip()
        if not key:
            what = "has no key"
        elif not isinstance(key, str):
            what = f"gives {type(key).__name__} instead of str"
        elif not is_sendable(key):
            what = (
                "has a key that cannot be sent: it holds a line break, a curly quote, "
                "or a letter outside of ASCII"
            )
        else:
            return key
        # A traceback may show the local variables.
        del key
        raise self._keyless(f"{place} {what}.")

    def _call_for_key(self) -> object:
        """Call the function for the key; what it raises may hold the key."""
        try:
            return self._api_key and self._api_key()
        except Exception as e:
            failure = self._keyless(
                f"The function given as api_key failed ({type(e).__name__})."
            )
        raise failure

    def _keyless(self, what: str) -> MissingKeyError:
        """Say that there is no key, and what to do."""
        return MissingKeyError(
            f"{what} Set {self._key_variable} in the environment, or pass api_key= a "
            "function that returns the key, or go without a model: prior= also takes "
            "a dict of scores, or the path of a prior card."
        )
