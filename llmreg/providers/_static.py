"""Providers that need no language model: scores at hand, and prior cards."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from llmreg.elicitation._cost import Cost, total
from llmreg.prior._feature_prior import FeaturePrior
from llmreg.prior._task import Task
from llmreg.providers._base import PriorProvider


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

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = path

    def elicit(self, task: Task) -> FeaturePrior:
        """Read the card; its scores are matched to the task by name later."""
        return FeaturePrior.read(self.path)
