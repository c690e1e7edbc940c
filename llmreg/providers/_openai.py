"""Priors from OpenAI, and from every server that speaks its chat completions."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from numbers import Real
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from sklearn.utils._param_validation import Interval, StrOptions

from llmreg.elicitation._cache import PriorCache
from llmreg.elicitation._prompt import in_order
from llmreg.elicitation._questions import Questionnaire
from llmreg.elicitation._sampling import Completion, Request
from llmreg.exceptions import ProviderResponseError
from llmreg.providers._hosted import HostedProvider, secrets_of
from llmreg.providers._sdk_errors import Translator, hide

if TYPE_CHECKING:
    import openai


DEFAULT_MODEL = "gpt-5.5"

# The SDK asks for some key; where there is none, the header is left out again.
_NO_KEY = "llmreg-has-no-key"
_STOPS: dict[str | None, Literal["end", "length", "refusal"]] = {
    "stop": "end",
    "length": "length",
    "content_filter": "refusal",
}
# Where the limit on tokens covers thinking too, it has another name.
_NEW_LIMIT_HOSTS = ("openai.com", "openai.azure.com")


class OpenAIProvider(HostedProvider):
    """Ask a model of OpenAI, or of a compatible server, once per task.

    With `base_url` this is the provider for Ollama, vLLM, LM Studio, the servers of
    llama.cpp, and the many vendors that speak the same protocol. What is sent: the
    task sentence, the target, the classes, and the name, the description, the
    unit and the level of each feature. No row of data is; `preview` shows it. It needs
    ``pip install llmreg[openai]``.

    Parameters
    ----------
    model : str, default="gpt-5.5"
        The model to ask, by the name that the server has for it.
    n_estimates : int or "auto", default=5
        Independent answers to average. More of them later cost only the difference.
        "auto" asks for 3, then for 2 more at a time, up to 11, until the standard
        error of every mean score is at most 1.
    ask : {"all", "each", "rank"}, default="all"
        Ask for the scores of all features at once, in parts of at most 100; of one
        column at a time, the names of the others beside it; or for a ranking with
        signs, from which the scores follow: of m features with a direction, the one
        at rank r gets 10 * (m - r + 1) / m.
    send_levels : bool, default=True
        Whether the names of levels are sent. Levels whose names are kept back are
        told of by number, and get no score.
    reply_format : {"json_schema", "json_object_schema", "json_object", "text"}, \
default="json_schema"
        How the server is held to the form of the reply. ``"json_schema"`` is what
        OpenAI, Ollama, vLLM, LM Studio and llama.cpp's own server take.
        ``"json_object_schema"`` puts a tighter schema beside the type
        ``json_object``: a server of llama.cpp then holds even a small model to one
        entry for each feature. ``"json_object"`` and ``"text"`` are for servers that
        know no schema: it is then part of the instructions.
    temperature : float or None, default=None
        How freely the model chooses its words; None leaves it to the server. Models
        that think refuse it.
    reasoning_effort : str or None, default=None
        How long the model thinks, such as ``"high"``; None leaves it to the model.
    extra_body : dict or None, default=None
        What else the server understands, sent as it is. Never a key.
    max_tokens : int or None, default=None
        The most tokens of an answer, thinking included; None goes by the number of
        features. Doubled once for an answer that was cut off.
    max_parallel : int, default=5
        The most requests at one time.
    max_attempts : int, default=8
        The most times that one request is sent.
    timeout : float, default=600.0
        Seconds for a whole elicitation, waits included.
    api_key : callable or None, default=None
        A function that returns the key. None takes it from the environment variable
        OPENAI_API_KEY; where there is none, a server at `base_url` is asked without.
        A key as plain text is refused, since scikit-learn prints parameters.
    base_url : str or None, default=None
        The address of another server, such as ``"http://localhost:11434/v1"``. None
        takes OPENAI_BASE_URL from the environment, then OpenAI's own address.
    cache : PriorCache, str, path-like or None, default=None
        Where answers are kept; see `PriorCache`.
    network : {"allow", "never"}, default="allow"
        With "never" no connection is opened: a prior comes from the cache, or there
        is an error that says how to get it there.

    See Also
    --------
    AnthropicProvider : The same for the models of Anthropic.
    LocalProvider : A model in this process, without a server.

    Examples
    --------
    >>> from llmreg.providers import OpenAIProvider
    >>> OpenAIProvider("llama3.3", base_url="http://localhost:11434/v1")
    OpenAIProvider(base_url='http://localhost:11434/v1', model='llama3.3')
    """

    _sdk = "openai"
    _extra = "llmreg[openai]"
    _key_variable = "OPENAI_API_KEY"
    _address_variable = "OPENAI_BASE_URL"
    _shaping = (
        "model",
        "reply_format",
        "temperature",
        "reasoning_effort",
        "extra_body",
    )

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **HostedProvider._parameter_constraints,
        "reply_format": [
            StrOptions({"json_schema", "json_object_schema", "json_object", "text"})
        ],
        "temperature": [Interval(Real, 0, 2, closed="both"), None],
        "reasoning_effort": [str, None],
        "extra_body": [dict, None],
    }

    def __init__(
        self,
        model: str = DEFAULT_MODEL,
        *,
        n_estimates: int | str = 5,
        ask: str = "all",
        send_levels: bool = True,
        reply_format: str = "json_schema",
        temperature: float | None = None,
        reasoning_effort: str | None = None,
        extra_body: Mapping[str, Any] | None = None,
        max_tokens: int | None = None,
        max_parallel: int = 5,
        max_attempts: int = 8,
        timeout: float = 600.0,
        api_key: Callable[[], str] | None = None,
        base_url: str | None = None,
        cache: PriorCache | str | os.PathLike[str] | None = None,
        network: str = "allow",
    ) -> None:
        self.model = model
        self.n_estimates = n_estimates
        self.ask = ask
        self.send_levels = send_levels
        self.reply_format = reply_format
        self.temperature = temperature
        self.reasoning_effort = reasoning_effort
        self.extra_body = extra_body
        self.max_tokens = max_tokens
        self.max_parallel = max_parallel
        self.max_attempts = max_attempts
        self.timeout = timeout
        self.api_key = api_key
        self.base_url = base_url
        self.cache = cache
        self.network = network

    @contextmanager
    def _connect(self) -> Iterator[openai.OpenAI]:
        """Open a client, with a key or for a server that asks for none."""
        self._import_sdk()
        address = self._address()
        key = self._key()
        if not key and address is None:
            raise self._keyless("No key for OpenAI found.")
        with self._client(key or _NO_KEY) as client:
            yield client

    def _client(self, key: str, **options: Any) -> openai.OpenAI:
        """Make a client that leaves trying again to us."""
        options.setdefault("http_client", self._http())
        client: openai.OpenAI = self._import_sdk().OpenAI(
            api_key=key, base_url=self._address(), max_retries=0, **options
        )
        return client

    def _send(self, client: openai.OpenAI, request: Request) -> Any:
        """Let the SDK send one request."""
        return client.chat.completions.create(**self._options(client, request))

    def _complete(self, client: openai.OpenAI, request: Request) -> Completion:
        """Send one request to the chat completions of the server."""
        failure: Exception | None = None
        secrets = _secrets(client)
        try:
            reply = self._send(client, request)
        except Exception as e:
            # Whatever the SDK or its HTTP client raises may hold the request, and
            # with it the key, so nothing of it may travel on, not even as context.
            failure = e
        if failure is not None:
            raise self._translator(secrets).translate(failure)
        return _read(reply, self.model, secrets)

    def _translator(self, secrets: tuple[str, ...]) -> Translator:
        """Give what turns the errors of the SDK into those of llmreg."""
        return Translator(
            self._import_sdk(),
            "OpenAI" if self._address() is None else "The server",
            self._key_variable,
            self.model,
            secrets,
        )

    def _options(self, client: openai.OpenAI, request: Request) -> dict[str, Any]:
        """Put a request into the words of the chat completions."""
        host = client.base_url.host
        is_new = any(host == h or host.endswith(f".{h}") for h in _NEW_LIMIT_HOSTS)
        system, form = _reply_form(self.reply_format, request.questionnaire)
        options: dict[str, Any] = {
            "model": self.model,
            "messages": [
                {"role": "system", "content": system},
                {"role": "user", "content": request.questionnaire.user},
            ],
            "max_completion_tokens" if is_new else "max_tokens": request.max_tokens,
            "timeout": request.timeout,
            "response_format": form,
            "temperature": self.temperature,
            "reasoning_effort": self.reasoning_effort,
            "extra_body": self.extra_body and dict(self.extra_body),
        }
        if client.api_key == _NO_KEY and not secrets_of(client.default_headers):
            options["extra_headers"] = {"Authorization": self._import_sdk().Omit()}
        return {name: value for name, value in options.items() if value is not None}


def _reply_form(
    reply_format: str, asked: Questionnaire
) -> tuple[str, dict[str, Any] | None]:
    """Give the instructions and the `response_format` that ask for the schema."""
    if reply_format == "json_schema":
        named = {"name": "scores", "strict": True, "schema": asked.schema}
        return asked.system, {"type": "json_schema", "json_schema": named}
    if reply_format == "json_object_schema":
        # Servers that make a grammar of the schema can hold the model to the order.
        form = {"type": "json_object", "schema": in_order(asked.schema)}
        return asked.system, form
    told = (
        f"{asked.system}\n\nReply with one JSON object and nothing else. Its JSON "
        f"schema is: {json.dumps(asked.schema)}"
    )
    return told, {"type": "json_object"} if reply_format == "json_object" else None


def _secrets(client: openai.OpenAI) -> tuple[str, ...]:
    """List what must never be repeated, in case a server sends it back."""
    key = () if client.api_key == _NO_KEY else (client.api_key,)
    return key + secrets_of(client.default_headers)


def _read(reply: Any, model: str, secrets: tuple[str, ...]) -> Completion:
    """Take text, reason to stop and usage out of a reply, if it is one.

    The SDK does not check replies: an error body or a proxy's page with status 200
    arrives here as a completion without choices, or as text.
    """
    choices = getattr(reply, "choices", None)
    choice = choices[0] if isinstance(choices, list) and choices else None
    message = getattr(choice, "message", None)
    reason = getattr(choice, "finish_reason", None)
    stop = _STOPS.get(reason if isinstance(reason, str) else None)
    if message is None or stop is None:
        raise ProviderResponseError(
            "The server did not answer as the chat completions API does: it sent "
            f"{_kind_of(reply, reason)}. Is there a proxy in between, or a wrong "
            "base_url?"
        )
    if getattr(message, "refusal", None):
        stop = "refusal"
    text = hide(str(getattr(message, "content", None) or ""), secrets)
    answered_by = hide(str(getattr(reply, "model", None) or model), secrets)
    return Completion(text, stop, answered_by, _count_tokens(reply))


def _kind_of(reply: Any, reason: object) -> str:
    """Describe an unusable reply without repeating what is in it."""
    if isinstance(reply, str):
        return "an HTML page" if "<html" in reply.lower() else "plain text"
    if getattr(reply, "error", None) is not None:
        return "an error with the status of a success"
    if not isinstance(reason, str):
        return "no completion"
    known = reason if reason in {"tool_calls", "function_call"} else "unknown"
    return f"a completion that stopped for the reason {known!r}"


def _count_tokens(reply: Any) -> dict[str, int]:
    """Read the token counts; a server that leaves them out costs no answer."""
    usage = getattr(reply, "usage", None)
    details = getattr(usage, "prompt_tokens_details", None)
    counts = {
        "input_tokens": getattr(usage, "prompt_tokens", None),
        "output_tokens": getattr(usage, "completion_tokens", None),
        "cache_read_input_tokens": getattr(details, "cached_tokens", None),
    }
    return {name: count for name, count in counts.items() if isinstance(count, int)}
