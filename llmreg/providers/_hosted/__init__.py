"""What the providers behind an address have in common: keys, addresses, clients."""

import json
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from difflib import get_close_matches
from functools import partial
from typing import Any, ClassVar, TypeVar

from llmreg._utils import import_optional
from llmreg._utils._text import clean_text, list_names
from llmreg.elicitation._cache import PriorCache
from llmreg.elicitation._retry import Stop, side_by_side
from llmreg.elicitation._sampling import GRACE, Completion, Request, Sampler
from llmreg.exceptions import (
    LLMRegError,
    MissingKeyError,
    ProviderDependencyError,
    ProviderError,
    ProviderNotFoundError,
    ProviderUnavailableError,
)
from llmreg.providers._hosted._faults import translate, unsendable
from llmreg.providers._hosted._wire import (
    HiddenFunction,
    Secrets,
    bounded_client,
    check_address,
    is_importable,
    is_sendable,
    plain,
    tidy_address,
)
from llmreg.providers._llm import LLMProvider

T = TypeVar("T")

# How the models of vendors are asked: measured to know more than scores, for less.
DEFAULT_ASK = "curves"

# Seconds to ask which models there are, after one was not found.
MODELS_SECONDS = 10.0
# The most characters of what a server says of a model.
MAX_REMARK = 120


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

    def models(self) -> dict[str, str]:
        """Ask the server which models it has, and which of them it is to shut down.

        A dict of remarks, empty for most, by name of the model. Raises what `elicit`
        does.
        """
        with self._connect() as client:
            secrets = self._secrets(client)

            def tidy(text: object) -> str:
                return clean_text(secrets.hide_in_reply(str(text)), MAX_REMARK)

            def send(seconds_left: float) -> dict[str, str]:
                listed = partial(client.models.list, timeout=seconds_left)
                return self._call(
                    client, lambda: {tidy(m.id): tidy(_fate(m)) for m in listed()}
                )

            return self._in_time([send], "Try again later, or raise `timeout`.")[0]

    def _run(self, sampler: Sampler) -> Counter[str]:
        """Request what is not in the cache; tell of a model that is not there."""
        try:
            return super()._run(sampler)
        except ProviderNotFoundError as error:
            if told := self._near_models():
                error.add_note(told)
            raise

    def _near_models(self) -> str:
        """Say what became of the model, or what others are called."""
        hurried: dict[str, Any] = {"max_attempts": 1}
        hurried["timeout"] = min(self.timeout, MODELS_SECONDS)
        try:
            known = type(self)(**self.get_params(deep=False) | hurried).models()
        except LLMRegError:
            return ""
        if fate := known.get(self.model):
            return f"{self.model!r} is {fate}."
        near = get_close_matches(self.model, known, cutoff=0.4)
        return f"The server has {list_names(near or list(known))}." if known else ""

    def _place(self) -> str:
        """Give the address to ask."""
        return self._address() or self._own_address

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
                    raise unsendable(self, "a header")
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
            failure = translate(self, client, e)
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


def _fate(model: Any) -> str:
    """Say what is to become of a model, as the server tells it."""
    state = getattr(model, "lifecycle", None)
    end = getattr(model, "retires_at", None) or getattr(model, "shutdown_date", None)
    told = [] if state in {None, "active"} else [str(state)]
    told += [f"shut down on {str(end)[:10]}"] if end else []
    return ", ".join(told)
