"""A model file run by llama.cpp in this process, and one answer of it."""

from __future__ import annotations

import secrets
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from llmreg.exceptions import (
    ProviderError,
    ProviderUnavailableError,
    RequestTooLargeError,
)

# What llama.cpp calls a question that does not fit into the context.
_TOO_LARGE = "exceed_context_size_error"
# More layers than any model has: all of them.
_ALL_LAYERS = 999


@dataclass
class Reply:
    """An answer as it grows, token by token.

    Parameters
    ----------
    deadline : float
        When to stop, on the clock of `time.monotonic`.
    closing : threading.Event
        Set when nobody waits for the answer any more.
    """

    deadline: float
    closing: threading.Event
    pieces: list[str] = field(default_factory=list)
    reason: str | None = None
    usage: dict[str, int] = field(default_factory=dict)
    error: dict[str, Any] = field(default_factory=dict)
    is_late: bool = False

    def take(self, step: dict[str, Any]) -> bool:
        """Take the next piece.

        Parameters
        ----------
        step : dict
            A chunk of a streamed chat completion.

        Returns
        -------
        bool
            Whether to stop: llama.cpp swallows what is raised here.
        """
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
    """A model file, loaded when it is first needed; one answer at a time.

    Parameters
    ----------
    sdk : module
        The module ``xllamacpp``.
    path : Path
        A GGUF file.
    n_ctx : int
        The most tokens of a question and its answer together.
    n_threads : int or None
        Threads to compute with; None leaves it to llama.cpp.
    n_gpu_layers : int
        How many layers go to a GPU; -1 is all.
    """

    sdk: Any
    path: Path
    n_ctx: int
    n_threads: int | None
    n_gpu_layers: int
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _closing: threading.Event = field(default_factory=threading.Event)
    _server: Any = None

    def answer(self, options: dict[str, Any], timeout: float) -> Reply:
        """Answer a chat completion.

        Parameters
        ----------
        options : dict
            In the words of OpenAI's chat completions.
        timeout : float
            The most seconds to take, waiting for other answers included.

        Returns
        -------
        Reply
            The whole answer.

        Raises
        ------
        RequestTooLargeError
            If the question does not fit into the context.
        ProviderUnavailableError
            If there is no answer in time.
        ProviderError
            If llama.cpp cannot load the file, or cannot answer.
        """
        reply = Reply(time.monotonic() + timeout, self._closing)
        streamed = {
            **options,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        with self._lock:
            server = self._load()
            try:
                # Token by token, so that the clock can end it.
                last = server.handle_chat_completions(streamed, reply.take)
            except (ValueError, RuntimeError) as e:
                raise ProviderError(f"llama.cpp could not answer: {e}") from e
        if isinstance(last, dict):
            reply.take(last)
        _check(reply)
        return reply

    def close(self) -> None:
        """Let go of the model; an answer that is under way ends at its next token."""
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
                    f"llama.cpp cannot load {self.path.name!r}: {e} Is it a GGUF file "
                    "of a kind that the installed version knows?"
                ) from e
        return self._server

    def _parameters(self) -> Any:
        """Put the parameters into llama.cpp's words."""
        params = self.sdk.CommonParams()
        params.model.path = str(self.path)
        params.n_ctx = self.n_ctx
        params.n_parallel = 1
        params.n_gpu_layers = (
            _ALL_LAYERS if self.n_gpu_layers < 0 else self.n_gpu_layers
        )
        if self.n_threads is not None:
            params.cpuparams.n_threads = self.n_threads
            params.cpuparams_batch.n_threads = self.n_threads
        params.warmup = False
        params.verbosity = -1
        # No gigabytes for questions that are never asked again.
        params.cache_ram_mib = 0
        # The engine is a server, and opens a port on the loopback interface whether
        # or not anybody wants it. A key that nobody knows keeps everybody out.
        params.ui = False
        params.api_keys = [secrets.token_urlsafe(32)]
        return params


def _check(reply: Reply) -> None:
    """Raise what a reply says of itself."""
    if reply.error:
        told = str(reply.error.get("message", "no reason given"))
        if reply.error.get("type") == _TOO_LARGE:
            raise RequestTooLargeError(
                f"The question does not fit into the context of the model: {told}. "
                "Raise `n_ctx`, or shorten the descriptions."
            )
        raise ProviderError(f"llama.cpp could not answer: {told}")
    if reply.is_late and reply.reason is None:
        raise ProviderUnavailableError(
            "The model gave no answer in time. Raise `timeout`, or take a smaller "
            "model."
        )
