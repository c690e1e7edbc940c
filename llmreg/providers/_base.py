"""The one method of every provider, and providers that have their scores at hand."""

import os
from collections.abc import Mapping
from typing import Any

from sklearn.base import BaseEstimator, clone

from llmreg._utils import EstimatorMixin
from llmreg.elicitation._cost import Cost, total
from llmreg.exceptions import ProviderError
from llmreg.prior._feature_prior import FeaturePrior
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


class _AtHand(PriorProvider):
    """Scores for which no model is asked."""

    requires_feature_names = False

    def has_cached(self, task: Task) -> bool:
        """Tell that no model is asked: always True."""
        return True

    def estimate_cost(self, task: Task) -> Cost:
        """Tell that no request is sent."""
        return total([])

    def preview(self, task: Task) -> list[dict[str, Any]]:
        """Tell that nothing is sent: an empty list."""
        return []


# Caches know the two by the file that they were in.
_KNOWN_AS = "llmreg.providers.static"


class StaticPrior(_AtHand):
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

    _known_as = _KNOWN_AS

    def __init__(self, prior: Any) -> None:
        self.prior = prior

    def elicit(self, task: Task) -> FeaturePrior:
        """Give the scores; those of an array in the order of the task."""
        if isinstance(self.prior, FeaturePrior):
            return self.prior
        if isinstance(self.prior, str | os.PathLike):
            return FeaturePrior.read(self.prior)
        if isinstance(self.prior, Mapping):
            return FeaturePrior.from_dict(self.prior, output=task.outputs[0])
        return FeaturePrior.from_array(self.prior, task.keys, task.outputs)


class PriorCard(_AtHand):
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

    _known_as = _KNOWN_AS

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = path

    def elicit(self, task: Task) -> FeaturePrior:
        """Read the card; its scores are matched to the task by name later."""
        return FeaturePrior.read(self.path)
