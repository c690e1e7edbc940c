"""Priors from OpenAI, and from every server that speaks its chat completions."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from numbers import Real
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import quote

from sklearn.utils._param_validation import Interval, StrOptions

from llmreg.elicitation._prompt import in_order, limit_enums
from llmreg.elicitation._questions import Questionnaire
from llmreg.elicitation._sampling import Completion, Request
from llmreg.exceptions import ProviderResponseError
from llmreg.providers._hosted import HostedProvider
from llmreg.providers._hosted._wire import (
    Secrets,
    completion,
    plain,
    stop_reason,
    unusable,
)

if TYPE_CHECKING:
    import openai


DEFAULT_MODEL = "gpt-6.2-sol"

# The address of requests in a batch, and what of a request is none of its body.
_CHAT = "/v1/chat/completions"
_OF_THE_CLIENT = {"timeout", "extra_headers", "extra_body"}
# The SDK asks for some key; where there is none, the header is left out again.
_NO_KEY = "llmreg-has-no-key"
# Where the limit on tokens covers thinking too, it has another name.
_NEW_LIMIT_HOSTS = ("openai.com", "openai.azure.com")
_LIMITS = ("max_tokens", "max_completion_tokens")
# The types of the parts of a message that are the answer.
_TEXTS = (None, "text", "output_text")
# How a server says that it does not know one of these names.
_UNKNOWN = ("support", "unrecognized", "unknown", "extra", "not permitted", "instead")


@dataclass(eq=False, repr=False)
class OpenAIProvider(HostedProvider):
    """Ask a model of OpenAI, or of a compatible server, once per task.

    With `base_url` this is the provider for Ollama, vLLM, LM Studio, llama.cpp's
    servers, and the many vendors that speak the same protocol. No row of data is
    sent. The Notes of `LLMProvider` tell what is, and how the answers become scores;
    `preview` shows it. It needs ``pip install "llmreg[openai]"``.

    Parameters
    ----------
    model : str, default="gpt-6.2-sol"
        The model to ask, by the name that the server has for it; ``"gpt-6-luna"`` is a
        cheap one.
    n_estimates : int, "auto" or None, default=None
        Independent answers to average; more of them later cost only the difference.
        None is 2 of curves, and 5 of scores; "auto" asks until the scores have settled.
    ask : {"curves", "all", "each", "rank"}, default="curves"
        Ask for response curves, typical ranges and base rates, for no more than the
        scores of all features at once, for the scores of one column at a time, or for
        a ranking with signs.
    send_levels : bool, default=True
        Whether the names of levels are sent; without them levels get no score.
    max_tokens : int or None, default=None
        The most tokens of an answer, thinking included; None goes by the features.
    max_parallel : int, default=5
        The most requests at one time.
    max_attempts : int, default=8
        The most times that one request is sent.
    timeout : float, default=600.0
        Seconds for a whole elicitation, waits included.
    api_key : callable or None, default=None
        A function that returns the key; see `HostedProvider`. None takes it from the
        environment variable OPENAI_API_KEY; where there is none, a server at
        `base_url` is asked without.
    base_url : str or None, default=None
        The server, such as ``"http://localhost:11434/v1"``. None takes OPENAI_BASE_URL
        from the environment, then OpenAI's own address.
    cache : PriorCache, str, path-like or None, default=None
        Where answers are kept; see `PriorCache`.
    network : {"allow", "never"}, default="allow"
        With "never" no connection is opened: the prior is in the cache, or an error.
    reply_format : {"json_schema", "json_object_schema", "json_object", "text"}, \
default="json_schema"
        How the server is held to the form of the reply. ``"json_schema"`` is what
        OpenAI, Ollama, vLLM, LM Studio and llama.cpp's own server take; with
        ``"json_object_schema"`` the latter holds even a small model to one entry for
        each feature. ``"json_object"`` and ``"text"`` are for servers that know none.
    temperature : float or None, default=None
        How freely the model chooses its words; models that think refuse it.
    reasoning_effort : str or None, default=None
        How long the model thinks, such as ``"high"``.
    extra_body : dict or None, default=None
        Other fields of the request, sent as they are. Never a key.

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

    _vendor = "OpenAI"
    _sdk = "openai"
    _requirement = "llmreg[openai]"
    _key_variable = "OPENAI_API_KEY"
    _address_variable = "OPENAI_BASE_URL"
    _own_address = "https://api.openai.com/v1"
    _shaping = (
        *("model", "reply_format", "temperature"),
        *("reasoning_effort", "extra_body"),
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

    model: str = DEFAULT_MODEL
    _: KW_ONLY
    reply_format: str = "json_schema"
    temperature: float | None = None
    reasoning_effort: str | None = None
    extra_body: Mapping[str, Any] | None = None

    def _connect(self) -> Any:
        """Open a client, with a key or for a server that asks for none."""
        return self._client(self._key)

    def _key(self) -> str:
        """Get the key, or the mark that a server asks for none."""
        if key := super()._key():
            return key
        if self._address() is None:
            raise self._keyless("No key for OpenAI found.")
        return _NO_KEY

    def _send(self, client: openai.OpenAI, request: Request) -> Any:
        """Let the SDK send one request; the limit on tokens has one of two names."""
        options = self._options(client, request)
        sent, other = sorted(_LIMITS, key=lambda name: name not in options)
        try:
            return client.chat.completions.create(**options)
        except self._import_sdk().BadRequestError as e:
            said = str(e).lower()
            if _LIMITS[1] not in said or not any(word in said for word in _UNKNOWN):
                raise
        options[other] = options.pop(sent)
        return client.chat.completions.create(**options)

    def _read(self, reply: Any, secrets: Secrets) -> Completion:
        """Read a reply of the chat completions."""
        choices = getattr(reply, "choices", None)
        choice = choices[0] if isinstance(choices, list) and choices else None
        message = getattr(choice, "message", None)
        reason = getattr(choice, "finish_reason", None)
        text = _text(getattr(message, "content", None))
        stop = stop_reason(reason, text)
        if getattr(message, "refusal", None):
            stop = "refusal"
        if message is None or stop is None:
            raise unusable("the chat completions API", reply, reason, secrets)
        model = getattr(reply, "model", None) or self.model
        usage = getattr(reply, "usage", None)
        details = getattr(usage, "prompt_tokens_details", None)
        counts = {
            "input_tokens": getattr(usage, "prompt_tokens", None),
            "output_tokens": getattr(usage, "completion_tokens", None),
            "cache_read_input_tokens": getattr(details, "cached_tokens", None),
        }
        return completion(text, stop, model, counts, secrets)

    def _options(self, client: openai.OpenAI, request: Request) -> dict[str, Any]:
        """Write a request for the chat completions."""
        host = client.base_url.host
        is_new = any(host == h or host.endswith(f".{h}") for h in _NEW_LIMIT_HOSTS)
        system, form = _reply_form(self.reply_format, request.questionnaire)
        options: dict[str, Any] = {
            "model": self.model,
            "messages": [
                {"role": "system", "content": system},
                {"role": "user", "content": request.questionnaire.user},
            ],
            _LIMITS[is_new]: request.max_tokens,
            "timeout": request.timeout,
            "response_format": form,
            "temperature": self.temperature,
            "reasoning_effort": self.reasoning_effort,
            "extra_body": self.extra_body and dict(self.extra_body),
        }
        if client.api_key == _NO_KEY and not any(
            name.lower() == "authorization" for name in client.default_headers
        ):
            options["extra_headers"] = {"Authorization": self._import_sdk().Omit()}
        return {n: plain(value) for n, value in options.items() if value is not None}

    def _batches(self, client: openai.OpenAI) -> Any:
        """Give the part of the client that knows batches."""
        return client.batches

    def _prepare(
        self, client: openai.OpenAI, requests: Mapping[str, Request]
    ) -> dict[str, Any]:
        """Upload a file with a line for each request."""
        lines = []
        for name, request in requests.items():
            body = self._options(client, request)
            body = {n: body[n] for n in body if n not in _OF_THE_CLIENT}
            body |= plain(self.extra_body or {})
            asked = {"custom_id": name, "method": "POST", "url": _CHAT, "body": body}
            lines.append(json.dumps(asked))
        content = "\n".join(lines).encode("utf-8", "surrogatepass")
        file = client.files.create(file=("batch.jsonl", content), purpose="batch")
        if not isinstance(number := getattr(file, "id", None), str):
            raise ProviderResponseError(
                "The server gave no id of the file with the requests of the batch; no "
                "batch was sent."
            )
        about = {"endpoint": _CHAT, "completion_window": "24h"}
        return {"input_file_id": number, **about}

    def _result_paths(self, name: str, batch: Any) -> list[str]:
        """Say where the results of a batch are, at the address of the client."""
        names = "output_file_id", "error_file_id"
        files = (getattr(batch, name, None) for name in names)
        return [f"/files/{quote(file, safe='')}/content" for file in files if file]

    def _result(self, line: Mapping[str, Any]) -> tuple[str, Any]:
        """Tell of a line of the results how it ended, and give the reply."""
        from openai.types.chat import ChatCompletion

        match line:
            case {"response": {"status_code": 200, "body": dict(body)}}:
                return "succeeded", ChatCompletion.construct(**body)
            case {"error": {"code": "batch_expired"}}:
                return "expired", None
            case {"error": {"code": "batch_cancelled"}}:
                return "canceled", None
        return "errored", None


def _text(content: Any) -> str:
    """Read the text of a message, which may come in parts."""
    parts = content if isinstance(content, list) else [content]
    # Those of other types are thoughts, pictures and the like.
    texts = [
        p.get("text") if isinstance(p, dict) and p.get("type") in _TEXTS else p
        for p in parts
    ]
    return "".join(text for text in texts if isinstance(text, str))


def _reply_form(
    reply_format: str, asked: Questionnaire
) -> tuple[str, dict[str, Any] | None]:
    """Give the instructions and the `response_format` that ask for the schema."""
    if reply_format == "json_schema":
        named = {"name": "scores", "strict": True, "schema": limit_enums(asked.schema)}
        return asked.system, {"type": "json_schema", "json_schema": named}
    if reply_format == "json_object_schema":
        # Servers that make a grammar of the schema can hold the model to the order.
        return asked.system, {"type": "json_object", "schema": in_order(asked.schema)}
    system = (
        f"{asked.system}\n\nReply with one JSON object and nothing else. Its JSON "
        f"schema is: {json.dumps(asked.schema)}"
    )
    return system, {"type": "json_object"} if reply_format == "json_object" else None
