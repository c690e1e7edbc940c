"""Calls side by side, which nobody is made to wait for.

The threads of `concurrent.futures` are joined when a block or the interpreter ends, so
that an interrupt waits for every request that is under way, and so does a time limit.
These threads are left behind: what they bring in later is kept, or lost.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait
from contextvars import ContextVar, copy_context
from functools import partial
from typing import TypeVar

T = TypeVar("T")


class Stop(threading.Event):
    """A wish to stop, which reaches those who are asked by those who are asked.

    Examples
    --------
    >>> from llmreg.providers.side_by_side import Stop, side_by_side
    >>> stop = Stop()
    >>> (made,) = side_by_side([Stop], 1, stop)
    >>> stop.set()
    >>> made.result().is_set()
    True
    """

    def __init__(self) -> None:
        super().__init__()
        self._inner: list[Stop] = []
        if (outer := _OUTER.get()) is not None:
            outer._adopt(self)

    def set(self) -> None:
        """Ask to stop, whoever is asked in turn too."""
        super().set()
        for inner in tuple(self._inner):
            inner.set()

    def _adopt(self, inner: Stop) -> None:
        """Hand the wish on, also where it was there before."""
        self._inner.append(inner)
        if self.is_set():
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
    """Make calls in threads, each in the context of whoever asks for them.

    Parameters
    ----------
    calls : sequence of callable
        What to call; at least one.
    limit : int
        The most calls at one time.
    stop : Stop
        Is set if the wait ends early: by an interrupt, which is raised again, or
        because the time is up.
    seconds : float or None, default=None
        The most seconds to wait.
    late : Exception or None, default=None
        What a call has failed with that has not ended by then.

    Returns
    -------
    list of Future
        What the calls gave or raised, in their order; each of them is done.

    Examples
    --------
    >>> from llmreg.providers.side_by_side import Stop, side_by_side
    >>> [f.result() for f in side_by_side([lambda: 1, lambda: 2], 2, Stop())]
    [1, 2]
    """
    futures: list[Future[T]] = [Future() for _ in calls]
    waiting = deque(
        (future, _bind(call, stop)) for future, call in zip(futures, calls, strict=True)
    )
    try:
        for n in range(min(limit, len(calls))):
            work = partial(_work, waiting)
            threading.Thread(target=work, name=f"llmreg-{n}", daemon=True).start()
        most = None if seconds is None else min(max(seconds, 0), threading.TIMEOUT_MAX)
        done = wait(futures, most).done
    except BaseException:
        waiting.clear()
        stop.set()
        raise
    if len(done) < len(futures):
        waiting.clear()
        stop.set()
    return [future if future in done else _failed(late) for future in futures]


def _bind(call: Callable[[], T], stop: Stop) -> Callable[[], T]:
    """Make a call run in this context, so that what it logs is shown with it."""
    context = copy_context()
    context.run(_OUTER.set, stop)
    return partial(context.run, call)


def _work(waiting: deque[tuple[Future[T], Callable[[], T]]]) -> None:
    """Make one call after the other, until none is left."""
    while True:
        try:
            future, call = waiting.popleft()
        except IndexError:
            return
        try:
            future.set_result(call())
        except BaseException as e:
            future.set_exception(e)


def _failed(error: Exception | None) -> Future[T]:
    """Give what a call that is too late has come to."""
    future: Future[T] = Future()
    future.set_exception(error or TimeoutError())
    return future
