"""From a table to its prior: the half of the estimators that asks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import clone

from llmreg.describe import column_names, describe, number_twins
from llmreg.encoding import TableEncoder
from llmreg.exceptions import FeatureNamesError
from llmreg.log import get_logger, showing
from llmreg.parameters import AttributionParameters
from llmreg.prior import FeaturePrior
from llmreg.privacy import check_levels
from llmreg.providers.preview import preview_of
from llmreg.resolve import (
    WAYS_TO_NAMES,
    PriorSource,
    Provider,
    known_levels,
    needs_names,
    prior_source,
    resolve,
    resolve_or_warn,
)
from llmreg.task import Task

logger = get_logger(__name__)


class ElicitingEstimator(AttributionParameters):
    """The part of the estimators that describes a table and gets its prior."""

    if TYPE_CHECKING:
        _check_rows: Any
        _encode_target: Any
        _make_net: Any
        _task_names: Any

    def _fit_encoder(self, X: Any, source: PriorSource | None) -> None:
        names, self._has_names = column_names(X, self.feature_names)
        if self._is_asked(source):
            if needs_names(source) and not self._has_names:
                raise FeatureNamesError(
                    "The provider judges features by their names, but the columns of "
                    f"X have none. {WAYS_TO_NAMES}"
                )
            check_levels(X, names)
        self.encoder_ = TableEncoder(
            scaler=self.scaler,
            imputer=self.imputer,
            encoder=self.encoder,
            levels=known_levels(source, names),
        ).fit(X, feature_names=names)
        logger.info(
            "%d rows of %d columns, encoded in %d",
            *(len(X), len(names), len(self.encoder_.columns_)),
        )

    def _fit_names(self, X: Any, y: Any, source: PriorSource | None) -> None:
        """Learn what the task is described by, as `fit` does before it asks."""
        X, y, sample_weight = self._check_rows(X, y, None, reset=True)
        self._encode_target(y, sample_weight, reset=True)
        self._fit_encoder(X, source)

    def _elicit(self, source: PriorSource | None) -> FeaturePrior | None:
        """Score the encoded columns; a provider is asked only if it will be heard."""
        if source is None:
            logger.info("no prior")
            return None
        if isinstance(source, Provider):
            if not self._is_asked(source):
                logger.info("no prior: nobody is asked for one, since gamma is 0")
                return None
            # What the module or the settings have against training comes to light
            # before anything is paid for.
            self._make_net(scores=None, total_weight=1.0, seed=0)
        return self._resolve(source)

    def _resolve(self, source: PriorSource) -> FeaturePrior:
        """Score the encoded columns; a provider is asked."""
        task = self._describe_task(number=isinstance(source, np.ndarray))
        if self.on_error == "no_prior" and isinstance(source, Provider):
            return resolve_or_warn(source, task)
        return resolve(source, task, named=self._has_names)

    def _describe_task(self, *, number: bool = False) -> Task:
        """Put the task into words, after the encoder has been fitted."""
        target, outputs, classes = self._task_names()
        columns = self.encoder_.columns_
        if number:
            columns = number_twins(columns)
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

        A provider is asked here, once, unless its answers are in the cache. What comes
        back is plain data without key, provider or cache: set it as `prior` before a
        search, and no process of it asks anybody.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_features)
            The table. For a model at the end of a pipeline also the table as it is
            before the pipeline, if its columns keep their names in it.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            The labels or the targets.

        Returns
        -------
        FeaturePrior or None
            A score, or NaN, for every encoded column; None where `prior` is None. A
            provider is asked with ``gamma=0`` too: a search may try others.

        Raises
        ------
        PriorError
            If the prior does not fit the table.
        ProviderError
            If the provider gives no prior and `on_error` is "raise".

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
        # With gamma 0 names would not be checked: nobody would be told them.
        params = self.get_params(deep=False) | {"prior": None, "gamma": "auto"}
        copy = type(self)(**params)
        with showing(type(self).__name__, int(self.verbose)):
            copy._fit_names(X, y, source)
            return copy._resolve(source)

    def preview_prompt(self, X: Any, y: Any) -> list[dict[str, Any]]:
        """Show what `fit` would send to the provider; nothing is sent or trained.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_features)
            The table.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            The labels, of which the names of the classes are told, or the targets.

        Returns
        -------
        list of dict
            The requests, as the provider's ``preview`` gives them; none where no
            provider would be asked, or everything is in the cache.

        Raises
        ------
        ProviderError
            If the provider cannot show what it sends.
        """
        source = prior_source(self.prior)
        if not self._is_asked(source):
            return []
        copy = clone(self)
        copy._fit_names(X, y, source)
        return preview_of(source, copy._describe_task())

    def _is_asked(self, source: PriorSource | None) -> bool:
        """Tell whether somebody is asked for scores: with gamma 0 nobody is."""
        return isinstance(source, Provider) and self.gamma != 0
