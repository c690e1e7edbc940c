"""When to ask again, and when to give up: bounded by attempts and by wall clock."""

import random
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait
from contextlib import suppress
from contextvars import ContextVar, copy_context
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from llmreg._utils._log import get_logger
from llmreg.exceptions import ProviderUnavailableError

T = TypeVar("T")

logger = get_logger(__name__)

# Seconds; the operating system takes no longer ones for a connection.
LONGEST_BUDGET = 2e6


class TransientError(Exception):
    """A request failed in a way that may pass; a vendor file raises it.

    Parameters
    ----------
    message : str
        What happened, without secrets.
    retry_after : float or None, default=None
        Seconds that the server asked to wait.

    Examples
    --------
    >>> from llmreg.providers import TransientError
    >>> TransientError("the server is busy (429)", retry_after=20).retry_after
    20
    """

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


@dataclass(frozen=True)
class RetryPolicy:
    """How often and how long a request is tried; all times are in seconds."""

    attempts: int = 8
    # For all requests and waits of one elicitation together.
    budget: float = 600.0
    # Each wait is twice the one before, up to the longest.
    first_wait: float = 1.0
    longest_wait: float = 60.0
    clock: Callable[[], float] = time.monotonic
    # Without one a wait ends early where `stop` is set.
    sleep: Callable[[float], object] | None = None
    # Waits vary by this share, so that requests that failed together are not all sent
    # again at one moment.
    jitter: Callable[[], float] = random.random

    def deadline(self) -> float:
        """Give the moment, on `clock`, when the budget is spent."""
        return self.clock() + min(self.budget, LONGEST_BUDGET)

    def run(
        self, send: Callable[[float], T], deadline: float, stop: threading.Event
    ) -> T:
        """Send until there is an answer, or attempts or time are used up."""
        reason = "nothing was sent"
        for attempt in range(self.attempts):
            left = deadline - self.clock()
            if left <= 0 or stop.is_set():
                break
            try:
                return send(left)
            except TransientError as e:
                reason, asked = str(e), e.retry_after
            if attempt + 1 < self.attempts:
                wait = self._wait(attempt, asked, deadline - self.clock(), reason)
                logger.info("attempt %d: %s; waiting %.1f s", attempt + 1, reason, wait)
                (self.sleep or stop.wait)(wait)
        if stop.is_set():
            message = f"Stopped, because another estimate failed for good ({reason})."
        elif deadline <= self.clock():
            message = (
                f"The provider gave no answer within {self.budget:g} s: {reason}. "
                "Try again later, or raise `timeout`."
            )
        else:
            message = (
                f"The provider failed {self.attempts} times: {reason}. Try again "
                "later, or raise `max_attempts`."
            )
        raise ProviderUnavailableError(message)

    def _wait(
        self, attempt: int, asked: float | None, left: float, reason: str
    ) -> float:
        """Choose the seconds to wait; give up at once where they are not left."""
        if asked is not None and asked > left:
            raise ProviderUnavailableError(
                f"The provider asks to wait {asked:g} s before the next request "
                f"({reason}), and {max(left, 0):.0f} s of the {self.budget:g} s "
                "allowed are left. Try again later, or raise `timeout`."
            )
        own = min(self.first_wait * 2.0**attempt, self.longest_wait)
        own *= 0.5 + self.jitter() / 2
        return max(asked or 0.0, min(own, max(left, 0.0)))


class Stop(threading.Event):
    """A wish to stop, which is handed on to the calls inside of calls."""

    def __init__(self) -> None:
        super().__init__()
        self._inner: list[Stop] = []
        if (outer := _OUTER.get()) is not None:
            outer._inner.append(self)
            # It may have been set before.
            if outer.is_set():
                self.set()

    def set(self) -> None:
        """Ask to stop, also whatever is called in turn."""
        super().set()
        for inner in tuple(self._inner):
            inner.set()


# What stops the calls around the present one.
_OUTER: ContextVar[Stop | None] = ContextVar("llmreg_stop", default=None)


def side_by_side(
    calls: Sequence[Callable[[], T]],
    limit: int,
    stop: Stop,
    seconds: float | None = None,
    late: Exception | None = None,
) -> list[Future[T]]:
    """Make calls in threads, each in the context of the caller."""
    futures: list[Future[T]] = [Future() for _ in calls]
    waiting: deque[tuple[Future[T], Callable[[], T]]] = deque()
    for future, call in zip(futures, calls, strict=True):
        # What it logs is shown with what the caller logs.
        context = copy_context()
        context.run(_OUTER.set, stop)
        waiting.append((future, partial(context.run, call)))
    try:
        for n in range(min(limit, len(calls))):
            work = partial(_work, waiting)
            # Those of a ThreadPoolExecutor would be waited for at the end of Python.
            threading.Thread(target=work, name=f"llmreg-{n}", daemon=True).start()
        most = None if seconds is None else min(max(seconds, 0), threading.TIMEOUT_MAX)
        left = wait(futures, most).not_done
    except BaseException:
        waiting.clear()
        stop.set()
        raise
    if left:
        waiting.clear()
        stop.set()
    # A call that is too late may still end, so its future is not set here.
    too_late: Future[T] = Future()
    too_late.set_exception(late or TimeoutError())
    return [too_late if future in left else future for future in futures]


def _work(waiting: deque[tuple[Future[T], Callable[[], T]]]) -> None:
    """Make one call after the other, until none is left."""
    with suppress(IndexError):
        while True:
            future, call = waiting.popleft()
            try:
                future.set_result(call())
            except BaseException as e:
                future.set_exception(e)
