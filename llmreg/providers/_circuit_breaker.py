"""A circuit breaker: a provider that was out of reach is not asked again for a while.

Such a provider uses up its whole time before it gives up. A search that goes on without
a prior would wait for that in every fit.
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

#: Seconds for which a provider is not asked again.
OPEN_SECONDS = 300.0
MAX_FAILURES = 100


class CircuitBreaker:
    """Remembers, in this process, which providers were out of reach for which tasks.

    Only `ProviderUnavailableError` is remembered: a key or a parameter that is wrong
    fails at once, and may be right the next time. So is `PriorLockedError` not: the
    other process may have its answer by now. A provider that may try for longer or
    more often counts as another.
    """

    def __init__(
        self,
        seconds: float = OPEN_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.seconds = seconds
        self.clock = clock
        self._failures: dict[str, tuple[float, str]] = {}
        self._lock = threading.Lock()

    @contextmanager
    def watch(self, provider: Any, task: Task) -> Iterator[None]:
        """Ask a provider inside of this; raise instead if it was out of reach recently.

        Where it has the prior in its cache by now, it may be asked all the same.
        """
        key = _key(provider, task)
        since, reason = self._failures.get(key or "", (0.0, ""))
        passed = self.clock() - since
        if reason and passed < self.seconds and not is_at_hand(provider, task):
            raise ProviderUnavailableError(
                f"{reason} (This was {passed:.0f} s ago; the provider is not asked "
                f"again for {self.seconds - passed:.0f} s.)"
            )
        try:
            yield
        except PriorLockedError:
            raise
        except ProviderUnavailableError as error:
            if key is not None:
                self._remember(key, str(error))
            raise

    def reset(self) -> None:
        """Forget all failures."""
        with self._lock:
            self._failures.clear()

    def _remember(self, key: str, reason: str) -> None:
        """Remember a failure; of very many the latest."""
        with self._lock:
            self._failures.pop(key, None)
            self._failures[key] = self.clock(), reason
            while len(self._failures) > MAX_FAILURES:
                del self._failures[next(iter(self._failures))]


#: The one that all estimators of a process share.
CIRCUIT_BREAKER = CircuitBreaker()


def _key(provider: Any, task: Task) -> str | None:
    """Give a key to a provider and a task; None where one cannot be told by it."""
    try:
        asked = {"asked": plain(provider), "budgets": _budgets(provider)}
        return hash_key({"task": task.to_dict(), **asked})
    except ProviderError:
        return None


def _budgets(provider: Any) -> list[Any]:
    """List how long and how often a provider tries, and those that it asks."""
    members = getattr(provider, "providers", None)
    inner = [
        getattr(provider, "provider", None),
        *(members if isinstance(members, list | tuple) else ()),
    ]
    return [
        *(plain(getattr(provider, name, None)) for name in ("timeout", "max_attempts")),
        *(_budgets(each) for each in inner if hasattr(each, "elicit")),
    ]
