"""The stages of a fit, reported to the callbacks of scikit-learn.

The API is experimental, and absent in 1.6 to 1.8; nothing else of the package knows it.
Without callbacks or the API, `follow`, `stage` and `steps` do nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from threading import Lock
from typing import Any, TypeVar

try:
    from sklearn.callback import CallbackSupportMixin as CallbackSupportMixin
except ImportError:

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Stands where scikit-learn has no callbacks: there is no `set_callbacks`."""


T = TypeVar("T")


class Follower:
    """Reports to the callbacks of an estimator what its fit does."""

    def __init__(self, estimator: Any, data: dict[str, Any], n_stages: int) -> None:
        self.estimator, self.data = estimator, data
        #: Whether the estimator could predict with what it has learnt so far.
        self.is_usable = False
        self._in_loop = False
        # Several providers may be asked, and answer, side by side.
        self._lock = Lock()
        root = estimator._init_callback_context(max_subtasks=n_stages)
        self.context = self._begin(root)

    @contextmanager
    def stage(self, name: str, n_steps: int | None) -> Iterator[None]:
        """Report a part of the fit."""
        outer = self.context
        inner = outer.subcontext(task_name=name, max_subtasks=n_steps)
        self.context = self._begin(inner)
        try:
            yield
            self.end_step(inner)
        finally:
            self.context = outer

    @contextmanager
    def loop(self, name: str, n_steps: int | None) -> Iterator[bool]:
        """Report a loop, unless it is inside of another one; yields whether it does."""
        if self._in_loop:
            yield False
            return
        self._in_loop = True
        try:
            with self.stage(name, n_steps):
                yield True
        finally:
            self._in_loop = False

    @contextmanager
    def tally(self, many: str, one: str, total: int) -> Iterator[Callable[[], None]]:
        """Report steps that end in threads: what it yields is called after each."""
        with self._lock:
            inner = self.context.subcontext(task_name=many, max_subtasks=total)
            self._begin(inner)

        def end_one() -> None:
            with self._lock:
                # One that is late ends after all is over.
                if not is_over:
                    self.end_step(self._begin(inner.subcontext(task_name=one)))

        is_over = False
        try:
            yield end_one
        finally:
            with self._lock:
                is_over = True
                self.end_step(inner)

    def begin_step(self, name: str) -> Any:
        """Report that a step begins; returns its context."""
        return self._begin(self.context.subcontext(task_name=name))

    def end_step(self, context: Any) -> bool:
        """Report that a step has ended; returns whether a callback asks to stop."""
        # A callback that scores models is given one only where there is one.
        fitted: dict[str, Any] | None = {} if self.is_usable else None
        return bool(
            context.call_on_fit_task_end(
                estimator=self.estimator, **self.data, reconstruction_attributes=fitted
            )
        )

    def _begin(self, context: Any) -> Any:
        context.call_on_fit_task_begin(estimator=self.estimator, **self.data)
        return context


_FOLLOWER: ContextVar[Follower | None] = ContextVar("llmreg_follower", default=None)


@contextmanager
def follow(
    estimator: Any, X: Any, y: Any, sample_weight: Any, n_stages: int
) -> Iterator[None]:
    """Report a fit to the callbacks of its estimator, if it has any."""
    follower = None
    if getattr(estimator, "_skl_callbacks", None):
        metadata = None if sample_weight is None else {"sample_weight": sample_weight}
        data = {"X": X, "y": y, "metadata": metadata}
        follower = Follower(estimator, data, n_stages)
    # A fit inside of another one, of a provider's say, does not report to that one's.
    token = _FOLLOWER.set(follower)
    try:
        yield
        if follower is not None:
            follower.is_usable = True
            follower.end_step(follower.context)
    finally:
        _FOLLOWER.reset(token)


def following() -> Follower | None:
    """Give what the fit in this thread reports to, if it does."""
    return _FOLLOWER.get()


def stage(name: str, n_steps: int | None = 0) -> AbstractContextManager[None]:
    """Report a part of the fit."""
    follower = _FOLLOWER.get()
    return nullcontext() if follower is None else follower.stage(name, n_steps)


def tally(
    many: str, one: str, total: int
) -> AbstractContextManager[Callable[[], None]]:
    """Report steps that end in threads: what it yields is called after each."""
    follower = _FOLLOWER.get()
    if follower is None:
        return nullcontext(lambda: None)
    return follower.tally(many, one, total)


def steps(
    items: Iterable[T], many: str, one: str, total: int, *, may_stop: bool = False
) -> Iterable[T]:
    """Go through items, and report each; `may_stop` lets a callback end the loop."""
    follower = _FOLLOWER.get()
    if follower is None:
        return items

    def reported() -> Iterator[T]:
        with follower.loop(many, total) as is_reported:
            for item in items:
                context = follower.begin_step(one) if is_reported else None
                yield item
                if context is not None and follower.end_step(context) and may_stop:
                    return

    return reported()
