"""The one method of every provider."""

from __future__ import annotations

from typing import Any

from sklearn.base import BaseEstimator

from llmreg._utils import Documented
from llmreg.exceptions import ProviderError
from llmreg.prior._feature_prior import FeaturePrior
from llmreg.prior._task import Task


class PriorProvider(Documented, BaseEstimator):
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
    module = type(thing).__module__
    if module.startswith("llmreg."):
        module = module.replace("._", ".")
    return f"{module}.{type(thing).__qualname__}"


def preview_of(provider: Any, task: Task) -> list[dict[str, Any]]:
    """Show what a provider would send for a task; ProviderError if it cannot."""
    if not hasattr(provider, "preview"):
        raise ProviderError(
            f"{type(provider).__name__} has no method preview(task), which would show "
            "what it sends."
        )
    requests: list[dict[str, Any]] = provider.preview(task)
    return requests
