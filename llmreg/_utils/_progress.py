"""The stages of a fit, told to the callbacks of scikit-learn.

scikit-learn 1.9 lets estimators tell callbacks, such as a progress bar, how far they
are; the API is experimental, and absent in 1.6 to 1.8. This module is all of the
package that knows it. A fit opens `follow`, wraps its parts in `stage` and its loops in
`steps`; without callbacks, and without the API, each of these does nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

try:
    from sklearn.callback import CallbackSupportMixin as CallbackSupportMixin
except ImportError:

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Stands where scikit-learn has no callbacks: there is no `set_callbacks`."""


T = TypeVar("T")


class Follower:
    """Tells the callbacks of an estimator what its fit does."""

    def __init__(self, estimator: Any, data: dict[str, Any], n_stages: int) -> None:
        self.estimator, self.data = estimator, data
        self.context = estimator._init_callback_context(max_subtasks=n_stages)
        #: Whether the estimator could predict with what it has learnt so far.
        self.is_usable = False
        self._in_loop = False
        self._begin(self.context)

    def close(self) -> None:
        """Tell that the fit is done."""
        self.is_usable = True
        self._end(self.context)

    @contextmanager
    def stage(self, name: str, n_steps: int | None) -> Iterator[None]:
        """Tell of a part of the fit."""
        outer = self.context
        self.context = outer.subcontext(task_name=name, max_subtasks=n_steps)
        self._begin(self.context)
        try:
            yield
            self._end(self.context)
        finally:
            self.context = outer

    @contextmanager
    def loop(self, name: str, n_steps: int | None) -> Iterator[bool]:
        """Tell of a loop, unless it is inside of another one."""
        if self._in_loop:
            yield False
            return
        self._in_loop = True
        try:
            with self.stage(name, n_steps):
                yield True
        finally:
            self._in_loop = False

    def begin_step(self, name: str) -> Any:
        """Tell that a step begins."""
        context = self.context.subcontext(task_name=name)
        self._begin(context)
        return context

    def end_step(self, context: Any) -> bool:
        """Tell that a step has ended."""
        return self._end(context)

    def _begin(self, context: Any) -> None:
        context.call_on_fit_task_begin(estimator=self.estimator, **self.data)

    def _end(self, context: Any) -> bool:
        # A callback that scores models is given one only where there is one.
        fitted: dict[str, Any] | None = {} if self.is_usable else None
        wants_stop = context.call_on_fit_task_end(
            estimator=self.estimator, **self.data, reconstruction_attributes=fitted
        )
        return bool(wants_stop)


_FOLLOWER: ContextVar[Follower | None] = ContextVar("llmreg_follower", default=None)


@contextmanager
def follow(
    estimator: Any, X: Any, y: Any, sample_weight: Any, n_stages: int
) -> Iterator[None]:
    """Tell the callbacks of an estimator of its fit, if it has any."""
    follower = None
    if getattr(estimator, "_skl_callbacks", None):
        metadata = None if sample_weight is None else {"sample_weight": sample_weight}
        data = {"X": X, "y": y, "metadata": metadata}
        follower = Follower(estimator, data, n_stages)
    # A fit inside of another one, of a provider's say, is not that one's concern.
    token = _FOLLOWER.set(follower)
    try:
        yield
        if follower is not None:
            follower.close()
    finally:
        _FOLLOWER.reset(token)


def following() -> Follower | None:
    """Give what tells the callbacks of the fit that is going on in this thread."""
    return _FOLLOWER.get()


@contextmanager
def stage(name: str, n_steps: int | None = 0) -> Iterator[None]:
    """Tell the callbacks of a part of the fit."""
    follower = _FOLLOWER.get()
    if follower is None:
        yield
        return
    with follower.stage(name, n_steps):
        yield


def steps(
    items: Iterable[T], many: str, one: str, total: int, *, may_stop: bool = False
) -> Iterable[T]:
    """Go through items, and tell the callbacks of each."""
    follower = _FOLLOWER.get()
    if follower is None:
        return items
    return _told(items, follower, (many, one), total, may_stop)


def _told(
    items: Iterable[T],
    follower: Follower,
    names: tuple[str, str],
    total: int,
    may_stop: bool,
) -> Iterator[T]:
    many, one = names
    with follower.loop(many, total) as is_told:
        for item in items:
            context = follower.begin_step(one) if is_told else None
            yield item
            if context is not None and follower.end_step(context) and may_stop:
                return
