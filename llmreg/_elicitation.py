"""How the estimators get their prior: the task in words, and whom they ask."""

from collections.abc import Callable
from typing import Any, Literal, Self

import numpy as np

from llmreg._parameters import AttributionParameters
from llmreg._utils import EstimatorMixin
from llmreg._utils._log import get_logger, showing
from llmreg.elicitation._cost import Cost, total
from llmreg.nn._net import AlignedNet
from llmreg.preprocessing._encoder import TableEncoder
from llmreg.prior._feature_prior import FeaturePrior
from llmreg.prior._names import describe, number_twins
from llmreg.prior._task import Task
from llmreg.providers._base import offline, optional
from llmreg.providers._resolve import (
    PriorSource,
    Provider,
    prior_source,
    resolve,
    resolve_or_warn,
)

logger = get_logger(__name__)


class ElicitationMixin(EstimatorMixin, AttributionParameters):
    """What is asked, shown and counted before `fit`, and what `fit` does about it."""

    encoder_: TableEncoder
    _has_names: bool
    # Of the target, of the outputs that have scores, and of the classes.
    _task_names: Callable[[], tuple[str, tuple[str, ...], tuple[str, ...]]]
    _encode: Callable[..., Any]
    _net_maker: Callable[..., Callable[..., AlignedNet]]
    # Whether labels are whole numbers from 0: the user's own, or perhaps those that a
    # meta-estimator gives to classes.
    _numbering: Literal["own", "open"] | None = None
    # Meta-estimators fit clones, and nothing else does so with numbers for labels.
    _is_clone = False

    def _is_asked(self, source: PriorSource | None) -> bool:
        return isinstance(source, Provider) and self.gamma != 0

    def _elicit(self, source: PriorSource | None) -> FeaturePrior | None:
        """Score the encoded columns; a provider is asked only if gamma is not 0."""
        if source is None:
            logger.info("no prior")
            return None
        if self._is_asked(source):
            # What the module or the settings have against training comes to light
            # before anything is paid for.
            self._net_maker(None, total_weight=1.0, seed=0)(0.0)
        elif isinstance(source, Provider):
            logger.info("no prior: gamma is 0, so the provider is not called")
            return None
        return self._resolve(source)

    def _resolve(self, source: PriorSource) -> FeaturePrior:
        """Score the encoded columns; a provider is asked."""
        task = self._describe_task(number=isinstance(source, np.ndarray))
        if self.on_error == "no_prior" and isinstance(source, Provider):
            return resolve_or_warn(source, task)
        return resolve(
            source,
            task,
            named=self._has_names,
            numbering=self._numbering,
            unseen=self.encoder_._unseen,
        )

    def _describe_task(self, *, number: bool = False) -> Task:
        """Put the task into words, after the encoder has been fitted."""
        target, outputs, classes = self._task_names()
        columns = self.encoder_.columns_
        columns = number_twins(columns) if number else columns
        return Task(
            features=describe(columns, self.feature_descriptions),
            target=target,
            outputs=outputs,
            kind="classification" if classes else "regression",
            classes=classes,
            description=self.task or "",
        )

    def elicit_prior(self, X: Any, y: Any) -> FeaturePrior | None:
        """Get the prior that `fit` would train with, and train nothing.

        A provider is asked here, once, unless its answers are in the cache. Set what
        comes back, plain data, as `prior` before a search, and none of it asks again.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_features)
            The table; for the last step of a pipeline also the one before it, if
            columns keep their names.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            The labels or the targets.

        Returns
        -------
        FeaturePrior or None
            A score, or NaN, for every encoded column; None where `prior` is None. A
            provider is asked with ``gamma=0`` too.

        Raises
        ------
        PriorError, ProviderError
            As in `fit`.

        Examples
        --------
        >>> import pandas as pd
        >>> from llmreg import LLMAttributionClassifier
        >>> X = pd.DataFrame({"age": [30, 60], "sex": ["female", "male"]})
        >>> model = LLMAttributionClassifier({"age": 8, "sex=male": 2})
        >>> prior = model.elicit_prior(X, ["healthy", "ill"])
        >>> prior.features, prior.outputs
        (('age', 'sex=female', 'sex=male'), ('ill',))
        >>> model = model.set_params(prior=prior)
        """
        self._validate_params()
        source = prior_source(self.prior)
        if source is None:
            return None
        with showing(type(self).__name__, int(self.verbose)):
            copy = self._encoded_copy(X, y, source)
            return copy._resolve(source)

    def preview_prompt(self, X: Any, y: Any) -> list[dict[str, Any]]:
        """Show what `fit` would send to the provider; nothing is sent or trained.

        Parameters
        ----------
        X, y : as in `elicit_prior`
            The table, and the labels, of which only the names of classes are sent.

        Returns
        -------
        list of dict
            The requests, as the provider's ``preview`` gives them; none where no
            provider would be asked, or everything is in the cache.

        Raises
        ------
        ProviderError
            If the provider cannot show what it sends.

        Examples
        --------
        >>> import pandas as pd
        >>> from llmreg import LLMAttributionClassifier
        >>> X = pd.DataFrame({"age": [30, 60], "sex": ["female", "male"]})
        >>> model = LLMAttributionClassifier("anthropic")
        >>> for request in model.preview_prompt(X, ["healthy", "ill"]):
        ...     print(request["method"], request["url"], request["times"], "times")
        POST https://api.anthropic.com/v1/messages 2 times
        """
        source, task = self._to_ask(X, y)
        return [] if task is None else optional(source, "preview", task)

    def estimate_cost(self, X: Any, y: Any) -> Cost:
        """Guess what asking the provider in `fit` would take; nothing is sent.

        Parameters
        ----------
        X, y : as in `elicit_prior`
            The table, and the labels or targets.

        Returns
        -------
        Cost
            Requests and tokens, in US dollars where ``genai-prices`` is installed and
            knows the model. Nothing where no provider would be asked, or everything is
            in the cache. The provider's own ``estimate_cost`` has the vendor count.

        Raises
        ------
        ProviderError
            If the provider cannot tell.

        Examples
        --------
        >>> import pandas as pd
        >>> from llmreg import LLMAttributionClassifier
        >>> X = pd.DataFrame({"age": [30, 60], "sex": ["female", "male"]})
        >>> model = LLMAttributionClassifier("anthropic")
        >>> model.estimate_cost(X, ["healthy", "ill"]).requests
        2
        >>> model = model.set_params(prior={"age": 8})
        >>> print(model.estimate_cost(X, ["healthy", "ill"]))
        no request: nothing would be sent
        """
        source, task = self._to_ask(X, y)
        if task is None:
            return total([])
        cost: Cost = optional(offline(source), "estimate_cost", task)
        return cost

    def _to_ask(self, X: Any, y: Any) -> tuple[PriorSource | None, Task | None]:
        """Return the prior, and the task if it is a provider that would be asked."""
        source = prior_source(self.prior)
        if not self._is_asked(source):
            return source, None
        return source, self._encoded_copy(X, y, source)._describe_task()

    def _encoded_copy(self, X: Any, y: Any, source: PriorSource | None) -> Self:
        """Return a copy that has learnt what the task is described by, and no more."""
        params = self.get_params(deep=False) | {"prior": None, "gamma": "auto"}
        copy = type(self)(**params)
        copy._is_clone = self._is_clone
        copy._encode(X, y, None, source)
        return copy
