"""What is remembered of any provider: its priors, and that it was out of reach."""

import functools
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from types import MethodType
from typing import Any

from llmreg.elicitation._cache import PriorCache, hash_key
from llmreg.elicitation._cost import Cost, total
from llmreg.exceptions import (
    LLMRegError,
    PriorLockedError,
    ProviderError,
    ProviderUnavailableError,
)
from llmreg.prior._feature_prior import FeaturePrior
from llmreg.prior._task import Task
from llmreg.providers._base import (
    PriorProvider,
    is_at_hand,
    optional,
    qualified_name,
)


@dataclass(eq=False, repr=False)
class CachedProvider(PriorProvider):
    """Ask another provider once per task, and remember its prior.

    A prior is found again under the same class and parameters of the provider and
    the same task. A change in the code of the provider is not seen. The average of
    an `EnsembleProvider` that went on without some of its members is not kept.

    Parameters
    ----------
    provider : object with an ``elicit`` method
        The provider to ask.
    cache : PriorCache, str, path-like or None, default=None
        Where priors are kept; see `PriorCache`.
    timeout : float, default=600.0
        The most seconds to wait while another process asks for the same prior.

    Examples
    --------
    >>> import tempfile
    >>> from llmreg.providers import CachedProvider, StaticPrior
    >>> from llmreg import Feature, Task
    >>> task = Task((Feature("age"),), "survived", ("yes",), "classification")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     provider = CachedProvider(StaticPrior({"age": 1}), cache=folder)
    ...     provider.elicit(task).usage, provider.elicit(task).usage
    ({}, {'served_from_cache': 1})
    """

    provider: Any
    cache: PriorCache | str | os.PathLike[str] | None = None
    timeout: float = 600.0

    def elicit(self, task: Task) -> FeaturePrior:
        """Give the prior from the cache, or ask for it and keep it.

        The usage of the prior says whether it came from the cache.
        """
        cache = PriorCache.of(self.cache)
        key = self._key(task)
        if found := self._load(cache, key):
            return found
        with cache.lock(key, self.timeout):
            # Another process may have asked while this one waited.
            if found := self._load(cache, key):
                return found
            prior: FeaturePrior = self.provider.elicit(task)
            # Members of an ensemble that failed are to be asked again.
            if "failed" not in prior.provenance:
                # The card, and what the list of the cache shows.
                content = {
                    "task": task.description,
                    "target": task.target,
                    "provider": qualified_name(self.provider),
                    "model": str(prior.provenance.get("model", "")),
                    "card": prior.to_json(),
                }
                cache.put(key, content)
            return prior

    @property
    def requires_feature_names(self) -> bool:
        """Whether the provider that is asked needs columns with names."""
        return bool(getattr(self.provider, "requires_feature_names", True))

    def has_cached(self, task: Task) -> bool:
        """Tell whether the prior is in this cache, or in that of the provider."""
        found = self._load(PriorCache.of(self.cache), self._key(task))
        return found is not None or is_at_hand(self.provider, task)

    def check_ready(self, task: Task | None = None) -> None:
        """Check that the provider can be asked, unless the prior is cached."""
        is_needed = task is None or not self.has_cached(task)
        if is_needed and hasattr(self.provider, "check_ready"):
            self.provider.check_ready()

    def estimate_cost(self, task: Task) -> Cost:
        """Give what the provider would take; nothing where the prior is cached."""
        if self.has_cached(task):
            return total([])
        cost: Cost = optional(self.provider, "estimate_cost", task)
        return cost

    def preview(self, task: Task) -> list[dict[str, Any]]:
        """Show what the provider would send; nothing where the prior is cached."""
        if self.has_cached(task):
            return []
        requests: list[dict[str, Any]] = optional(self.provider, "preview", task)
        return requests

    def identity(self) -> dict[str, Any]:
        """Name what shapes the answers: the inner provider alone."""
        return {"asked": plain(self.provider)}

    def _key(self, task: Task) -> str:
        """Give the key of the prior for a task."""
        return hash_key({"task": task.to_dict(), **self.identity()})

    def _load(self, cache: PriorCache, key: str) -> FeaturePrior | None:
        """Read a prior from the cache; None if it is not there or not usable."""
        entry = cache.get(key)
        if entry is None:
            return None
        try:
            prior = FeaturePrior.from_json(entry["card"])
        except (LLMRegError, KeyError, TypeError):
            cache.set_aside(key)
            return None
        return replace(prior, usage={"served_from_cache": 1})


def plain(value: Any) -> Any:
    """Turn a provider, or a parameter, into data that is the same in every process."""
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if isinstance(value, FeaturePrior):
        return value.to_json()
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, Mapping):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        items = [plain(item) for item in value]
        return items if isinstance(value, list | tuple) else sorted(items, key=repr)
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, functools.partial):
        parts = (value.func, value.args, value.keywords)
        return ["partial", *map(plain, parts)]
    if isinstance(value, MethodType):
        return ["method", plain(value.__func__), plain(value.__self__)]
    if callable(value) and hasattr(value, "__qualname__"):
        name = f"{value.__module__}.{value.__qualname__}"
        # What was defined inside of a function shares its name with others.
        if "<" not in name:
            return name
    elif hasattr(value, "identity"):
        return plain(value.identity())
    elif hasattr(value, "get_params"):
        return [qualified_name(value), plain(value.get_params(deep=False))]
    elif _is_its_attributes(value):
        return [qualified_name(value), plain(vars(value))]
    name = getattr(value, "__qualname__", qualified_name(value))
    raise ProviderError(
        f"The provider holds {name}, and the cache cannot tell one such object from "
        "another. Give the provider plain values, functions from the top level of a "
        "module, or a method identity() that returns plain values."
    )


def _is_its_attributes(value: object) -> bool:
    """Tell whether an object has no state beside its attributes."""
    kind: Any = type(value)
    usual = kind.__reduce_ex__ is object.__reduce_ex__
    return hasattr(value, "__dict__") and usual and kind.__reduce__ is object.__reduce__


#: Seconds for which a provider is not asked again.
OPEN_SECONDS = 300.0
MAX_FAILURES = 100


@dataclass
class CircuitBreaker:
    """Keeps a provider that was out of reach from using up its time in every fit.

    Only `ProviderUnavailableError` is remembered, in this process: what else is wrong
    may be right the next time, and another process that held a lock may be done.
    """

    seconds: float = OPEN_SECONDS
    clock: Callable[[], float] = time.monotonic
    _failures: dict[str, tuple[float, str]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def watch(self, provider: Any, task: Task) -> Iterator[None]:
        """Ask a provider inside of this; raise if it was out of reach a while ago."""
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
                with self._lock:
                    self._failures.pop(key, None)
                    self._failures[key] = self.clock(), str(error)
                    # Of very many the latest.
                    while len(self._failures) > MAX_FAILURES:
                        del self._failures[next(iter(self._failures))]
            raise

    def reset(self) -> None:
        """Forget all failures."""
        with self._lock:
            self._failures.clear()


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
