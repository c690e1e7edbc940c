"""The method of every provider, scores at hand, and what stops asking."""

import functools
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import MethodType
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, clone

from llmreg._utils import EstimatorMixin
from llmreg.elicitation._cache import hash_key
from llmreg.elicitation._cost import Cost, total
from llmreg.exceptions import (
    PriorLockedError,
    ProviderError,
    ProviderUnavailableError,
)
from llmreg.prior._feature_prior import FeaturePrior
from llmreg.prior._scores import check_names
from llmreg.prior._task import Task


class PriorProvider(EstimatorMixin, BaseEstimator):
    """Base of what delivers a prior for a task.

    A provider of your own needs one method, `elicit`. Inheriting from this class
    gives it `get_params` and `set_params` as well, so that it is cloned with the
    estimator and a search can reach its parameters as ``prior__name``. As in every
    scikit-learn object, the constructor only assigns its arguments.

    Examples
    --------
    >>> from llmreg import FeaturePrior
    >>> from llmreg.providers import PriorProvider
    >>> from llmreg import Feature, Task
    >>> class Cautious(PriorProvider):
    ...     def elicit(self, task):
    ...         return FeaturePrior.from_dict({key: 1 for key in task.keys})
    >>> task = Task((Feature("age"),), "survived", ("yes",), "classification")
    >>> Cautious().elicit(task).scores
    array([[1.]])
    """

    @property
    def requires_feature_names(self) -> bool:
        """Whether columns without names are refused before anything is asked."""
        return True

    def elicit(self, task: Task) -> FeaturePrior:
        """Give a score, by name, for every feature and output of a task."""
        raise NotImplementedError(
            f"{type(self).__name__} must define elicit(self, task), which returns a "
            "FeaturePrior: for instance FeaturePrior.from_dict({key: score for key in "
            "task.keys})."
        )

    def identity(self) -> dict[str, Any]:
        """Name the class, and the parameters, that shape the answers in a cache."""
        return {"provider": qualified_name(self), **self.get_params(deep=False)}


def is_at_hand(provider: Any, task: Task) -> bool:
    """Tell whether a provider has its prior without asking for it."""
    return hasattr(provider, "has_cached") and bool(provider.has_cached(task))


def qualified_name(thing: object) -> str:
    """Name the class of an object, with its module."""
    module: str = vars(type(thing)).get("_known_as", type(thing).__module__)
    if module.startswith("llmreg."):
        module = module.replace("._", ".")
    return f"{module}.{type(thing).__qualname__}"


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


def by_name(prior: Any) -> Any:
    """Make a dict of a Series, or of a table by output, whose features have names."""
    columns = getattr(prior, "columns", None)
    if isinstance(columns, list) and hasattr(prior, "__array__"):
        prior = pd.DataFrame(np.asarray(prior), columns=columns)  # Such as of polars.
    is_pandas = isinstance(prior, pd.Series | pd.DataFrame)
    if not is_pandas or {type(name) for name in prior.keys()} != {str}:
        return prior
    check_names(list(prior.keys()), "feature")
    if isinstance(prior, pd.DataFrame) and len(prior) == 1:
        # A row by itself need not name its output.
        prior = prior if isinstance(prior.index[0], str) else prior.iloc[0]
    return prior.T.to_dict()


def optional(provider: Any, method: str, task: Task) -> Any:
    """Call a method that a provider may have; ProviderError if it has not."""
    if not hasattr(provider, method):
        raise ProviderError(
            f"{type(provider).__name__} has no method {method}(task), which would tell "
            "what it sends."
        )
    return getattr(provider, method)(task)


def offline(provider: Any) -> Any:
    """Copy a provider, and those that it asks, so that none opens a connection."""
    params = provider.get_params(deep=False) if hasattr(provider, "get_params") else {}
    changed: dict[str, Any] = {}
    if "network" in params:
        changed["network"] = "never"
    if hasattr(provider, "_members"):
        changed["providers"] = [offline(each) for each in provider._members().values()]
    elif hasattr(params.get("provider"), "elicit"):
        changed["provider"] = offline(params["provider"])
    return clone(provider).set_params(**changed) if changed else provider


class StaticPrior(PriorProvider):
    """Deliver scores that are there already.

    Parameters
    ----------
    prior : FeaturePrior, mapping, array-like or path
        The scores: a prior, a dict by feature name (or by output, then by feature
        name), an array with a column per feature of the task, or the path of a
        prior card.

    Examples
    --------
    >>> from llmreg.providers import StaticPrior
    >>> from llmreg import Feature, Task
    >>> task = Task((Feature("age"),), "survived", ("yes",), "classification")
    >>> StaticPrior({"age": -4}).elicit(task)
    FeaturePrior: 1 feature, output 'yes'
    feature  score
    age       -4.0
    """

    # Caches know it by the file that it was in.
    _known_as = "llmreg.providers.static"
    requires_feature_names = False

    def __init__(self, prior: Any) -> None:
        self.prior = prior

    def identity(self) -> dict[str, Any]:
        """Name the scores; of a card what it says, since it may be edited."""
        is_card = isinstance(self.prior, str | os.PathLike)
        said = {"card": FeaturePrior.read(self.prior)} if is_card else {}
        return {**super().identity(), **said}

    def has_cached(self, task: Task) -> bool:
        """Tell that no model is asked: always True."""
        return True

    def estimate_cost(self, task: Task) -> Cost:
        """Tell that no request is sent."""
        return total([])

    def preview(self, task: Task) -> list[dict[str, Any]]:
        """Tell that nothing is sent: an empty list."""
        return []

    def elicit(self, task: Task) -> FeaturePrior:
        """Give the scores; those of an array in the order of the task."""
        if isinstance(self.prior, FeaturePrior):
            return self.prior
        if isinstance(self.prior, str | os.PathLike):
            return FeaturePrior.read(self.prior)
        scores = by_name(self.prior)
        if isinstance(scores, Mapping):
            return FeaturePrior.from_dict(scores, output=task.outputs[0])
        return FeaturePrior.from_array(scores, task.keys, task.outputs)


class PriorCard(StaticPrior):
    """Deliver what a prior card says.

    The card is read each time that it is asked for, so an edit takes effect at the
    next `fit`.

    Parameters
    ----------
    path : str or path-like
        The JSON file of the card.

    Examples
    --------
    >>> from llmreg.providers import PriorCard
    >>> PriorCard("titanic.json")
    PriorCard(path='titanic.json')
    """

    _known_as = "llmreg.providers.static"

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = path

    @property
    def prior(self) -> str | os.PathLike[str]:  # type: ignore[override]
        """The path, which is read for the scores."""
        return self.path


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
