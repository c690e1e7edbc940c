"""Priors from the models of Anthropic, through the `anthropic` SDK."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import KW_ONLY, dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import quote

from sklearn.utils._param_validation import StrOptions

from llmreg._utils._text import list_names
from llmreg.elicitation._sampling import Completion, Request
from llmreg.exceptions import (
    MissingDependencyError,
    MissingKeyError,
    ProviderError,
    ProviderResponseError,
)
from llmreg.providers._hosted import HostedProvider
from llmreg.providers._hosted._wire import (
    Secrets,
    completion,
    plain,
    stop_reason,
    unusable,
)

if TYPE_CHECKING:
    import anthropic

DEFAULT_MODEL = "claude-sonnet-5-5"
# What the API takes since its version 2026-10-21, which all of the SDK's 2.x speak.
THINKING = ("adaptive", "between_tools", "disabled")

_TOKEN_COUNTS = (
    *("input_tokens", "output_tokens"),
    *("cache_read_input_tokens", "cache_creation_input_tokens"),
)


@dataclass(eq=False, repr=False)
class AnthropicProvider(HostedProvider):
    """Ask a model of Anthropic, once per task, and average several answers.

    No row of data is sent. The Notes of `LLMProvider` tell what is, and how the
    answers become scores; `preview` shows it.

    Parameters
    ----------
    model : str, default="claude-sonnet-5-5"
        The model to ask; ``"claude-haiku-5-5"`` is a cheap one.
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
        A function that returns the key; see `HostedProvider`. None lets the SDK find
        credentials: the environment variable ANTHROPIC_API_KEY, then other sources.
    base_url : str or None, default=None
        Another address of the Messages API.
    cache : PriorCache, str, path-like or None, default=None
        Where answers are kept; see `PriorCache`.
    network : {"allow", "never"}, default="allow"
        With "never" no connection is opened: the prior is in the cache, or an error.
    effort : {"low", "medium", "high", "xhigh", "max"} or None, default=None
        How thorough the model is; None leaves it to the model.
    thinking : dict or None, default=None
        How the model thinks: ``{"type": "adaptive"}``, or with the type
        "between_tools" or "disabled", of which a model takes one, not at all.

    See Also
    --------
    CachedProvider : The cache for providers without one of their own.
    StaticPrior : Scores at hand, for which no model is asked.

    Examples
    --------
    >>> from llmreg.providers import AnthropicProvider
    >>> AnthropicProvider(n_estimates=3, effort="high")
    AnthropicProvider(effort='high', n_estimates=3)
    """

    _vendor = "Anthropic"
    _sdk = "anthropic"
    _requirement = "anthropic"
    _key_variable = "ANTHROPIC_API_KEY"
    _address_variable = "ANTHROPIC_BASE_URL"
    _own_address = "https://api.anthropic.com"
    _shaping = ("model", "effort", "thinking")

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **HostedProvider._parameter_constraints,
        "effort": [StrOptions({"low", "medium", "high", "xhigh", "max"}), None],
        "thinking": [dict, None],
    }

    model: str = DEFAULT_MODEL
    _: KW_ONLY
    effort: str | None = None
    thinking: Mapping[str, Any] | None = None

    def _validate_params(self) -> None:
        """Check the parameters, and what the API is known to refuse."""
        super()._validate_params()
        given = self.thinking
        if given and ("budget_tokens" in given or given.get("type") not in THINKING):
            raise ProviderError(
                f"thinking must have one of the types {list_names(THINKING)}, and no "
                f"budget of tokens, which the Messages API refuses; got {given!r}. Set "
                "effort= to say how thorough the model is."
            )

    @contextmanager
    def _connect(self) -> Iterator[anthropic.Anthropic]:
        """Open a client with credentials, for one elicitation."""
        with self._client(self._key) as client:
            names = {name.lower() for name in client.default_headers}
            is_signed = bool(names & {"authorization", "x-api-key"})
            if client.credentials is None and not is_signed:
                raise self._keyless("No credentials for Anthropic found.")
            yield client

    def _send(self, client: anthropic.Anthropic, request: Request) -> Any:
        """Let the SDK send one request."""
        options = self._options(request)
        return client.messages.create(**options, timeout=request.timeout)

    def _read(self, reply: Any, secrets: Secrets) -> Completion:
        """Read a message of the Messages API."""
        content = getattr(reply, "content", None)
        reason = getattr(reply, "stop_reason", None)
        blocks = content if isinstance(content, list) else []
        texts = (b for b in blocks if getattr(b, "type", "") == "text")
        text = "".join(str(getattr(b, "text", None) or "") for b in texts)
        # As requests may have it, so do some gateways.
        text = content if isinstance(content, str) else text
        stop = stop_reason(reason, text)
        if not isinstance(content, list | str) or stop is None:
            raise unusable("the Messages API", reply, reason, secrets)
        usage = getattr(reply, "usage", None)
        counts = {name: getattr(usage, name, None) for name in _TOKEN_COUNTS}
        model = getattr(reply, "model", None) or self.model
        return completion(text, stop, model, counts, secrets)

    def _options(self, request: Request) -> dict[str, Any]:
        """Write a request for the Messages API."""
        asked = request.questionnaire
        form = {"type": "json_schema", "schema": asked.schema}
        options: dict[str, Any] = {
            "model": self.model,
            "system": asked.system,
            "messages": [{"role": "user", "content": asked.user}],
            "max_tokens": request.max_tokens,
            "output_config": {"format": form},
        }
        if "columns" in asked.context and self._n_estimates() != 1:
            # Of a table in parts, each is asked again when the others have been.
            options["cache_control"] = {"type": "ephemeral"}
        if self.effort is not None:
            options["output_config"]["effort"] = self.effort
        if self.thinking is not None:
            options["thinking"] = dict(self.thinking)
        sent: dict[str, Any] = plain(options)
        return sent

    def _batches(self, client: anthropic.Anthropic) -> Any:
        """Give the part of the client that knows batches."""
        return client.messages.batches

    def _prepare(
        self, client: anthropic.Anthropic, requests: Mapping[str, Request]
    ) -> dict[str, Any]:
        """Write a batch of requests, by the names that their answers will have."""
        listed = [
            {"custom_id": name, "params": self._options(request)}
            for name, request in requests.items()
        ]
        return {"requests": listed}

    def _result_paths(self, name: str, batch: Any) -> list[str]:
        """Say where the results of a batch are, at the address of the client."""
        return [f"/v1/messages/batches/{quote(name, safe='')}/results"]

    def _result(self, line: Mapping[str, Any]) -> tuple[str, Any]:
        """Give the reply that a line of the results holds, or why there is none."""
        from anthropic.types.messages import MessageBatchIndividualResponse

        found = MessageBatchIndividualResponse.construct(**line)
        result = getattr(found, "result", None)
        return getattr(result, "type", ""), getattr(result, "message", None)

    def _count_tokens(self, requests: Sequence[Request]) -> list[int] | None:
        """Ask the Messages API to count, which is free of charge."""
        if not requests:
            return []
        try:
            with self._connect() as client:
                calls = [partial(self._count_one, client, each) for each in requests]
                return self._in_time(calls, "Try again later, or raise `timeout`.")
        except (MissingKeyError, MissingDependencyError):
            return None

    def _count_one(
        self, client: anthropic.Anthropic, request: Request, seconds_left: float
    ) -> int:
        """Count the tokens of one request."""
        options = {**self._options(request), "timeout": seconds_left}
        del options["max_tokens"]
        count = partial(client.messages.count_tokens, **options)
        counted = getattr(self._call(client, count), "input_tokens", None)
        if not isinstance(counted, int):
            raise ProviderResponseError(
                "The server did not count tokens as the Messages API does. Is there a "
                "proxy in between, or a wrong base_url?"
            )
        return counted
