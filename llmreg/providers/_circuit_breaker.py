"""Outages that are remembered for a while, so that a search does not wait for each.

A provider that is out of reach uses up its whole time before it gives up. A search
that goes on without a prior would wait for that in every fit.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from llmreg.elicitation._cache import hash_key
from llmreg.exceptions import (
    PriorLockedError,
    ProviderError,
    ProviderUnavailableError,
)
from llmreg.prior._task import Task
from llmreg.providers._base import is_at_hand
from llmreg.providers._cached import plain

#: Seconds for which an outage is believed to last.
REMEMBERED = 300.0
MOST = 100


class Outages:
    """What providers were out of reach for, in this process.

    Only `ProviderUnavailableError` is remembered: a key or a parameter that is wrong
    is told at once, and may be right the next time. So is whoever waited for another
    process (`PriorLockedError`), which may have its answer now. A provider that may try
    for longer or more often counts as another. Nothing is written anywhere.
    """

    def __init__(
        self, seconds: float = REMEMBERED, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.seconds = seconds
        self.clock = clock
        self._known: dict[str, tuple[float, str]] = {}
        self._lock = threading.Lock()

    @contextmanager
    def watch(self, provider: Any, task: Task) -> Iterator[None]:
        """Ask a provider inside of this; not if it was out of reach a moment ago.

        Where it has the prior in its cache by now, it may be asked all the same.

        Raises ProviderUnavailableError if it is known to be out of reach.
        """
        key = _key(provider, task)
        if (told := self._recall(key)) and not is_at_hand(provider, task):
            raise ProviderUnavailableError(told)
        try:
            yield
        except PriorLockedError:
            raise
        except ProviderUnavailableError as error:
            self._note(key, str(error))
            raise

    def forget(self) -> None:
        """Forget all outages."""
        with self._lock:
            self._known.clear()

    def _recall(self, key: str | None) -> str:
        """Tell of an outage that is not over yet; nothing if there is none."""
        with self._lock:
            since, told = self._known.get(key or "", (0.0, ""))
            gone = self.clock() - since
            if not told or gone >= self.seconds:
                return ""
            return (
                f"{told} (That was {gone:.0f} s ago; nobody is asked again for "
                f"{self.seconds - gone:.0f} s.)"
            )

    def _note(self, key: str | None, told: str) -> None:
        """Remember an outage; of very many the latest."""
        if key is None:
            return
        with self._lock:
            self._known.pop(key, None)
            self._known[key] = self.clock(), told
            while len(self._known) > MOST:
                del self._known[next(iter(self._known))]


#: Those that all estimators of a process know.
OUTAGES = Outages()


def _key(provider: Any, task: Task) -> str | None:
    """Give a key to a provider and a task; None where one cannot be told by it."""
    try:
        asked = {"asked": plain(provider), "budgets": _budgets(provider)}
        return hash_key({"task": task.to_dict(), **asked})
    except ProviderError:
        return None


def _budgets(provider: Any) -> list[Any]:
    """List how long and how often a provider tries, and those that it asks."""
    asked = getattr(provider, "provider", None), getattr(provider, "providers", None)
    inner = [asked[0], *(asked[1] if isinstance(asked[1], list | tuple) else ())]
    return [
        *(plain(getattr(provider, name, None)) for name in ("timeout", "max_attempts")),
        *(_budgets(each) for each in inner if hasattr(each, "elicit")),
    ]
