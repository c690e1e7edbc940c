"""What the two estimators share: fit as an outline, and the state it leaves."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import nullcontext
from typing import Any, Self

import numpy as np
from joblib import effective_n_jobs
from sklearn.base import clone
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from llmreg.automatic import train_automatically
from llmreg.building import make_net, resolve_device, user_settings
from llmreg.describe import column_names, describe, number_twins
from llmreg.encoding import TableEncoder
from llmreg.exceptions import FeatureNamesError
from llmreg.folding import raw_outputs
from llmreg.frames import is_foreign, to_pandas
from llmreg.net import AlignedNet
from llmreg.parameters import AttributionParameters
from llmreg.prior import FeaturePrior
from llmreg.privacy import check_levels
from llmreg.providers.preview import preview_of
from llmreg.reproducibility import limit_blas, limit_threads, torch_seed
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
from llmreg.rows import check_table, weigh_rows
from llmreg.task import Task
from llmreg.training import (
    linear_weights,
    load_weights,
    mean_attributions,
    n_iterations,
    predict_outputs,
    train,
)
from llmreg.trusted import has_opinion
from llmreg.verdict import Trust


class BaseAttributionEstimator(AttributionParameters, ABC):
    """Base of the estimators; not to be used on its own.

    A subclass says what it predicts: how targets are checked and encoded, what the
    outputs are called, and how they become predictions.
    """

    def _fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        *,
        goes_on: bool = False,
        one_pass: bool = False,
        **target_options: Any,
    ) -> Self:
        # What can fail without the data fails before they are touched, and before
        # anybody is asked for a prior.
        self._device = resolve_device(self.device)
        user_settings(self)
        source = None if goes_on else prior_source(self.prior)
        X, y, sample_weight = self._check_rows(X, y, sample_weight, reset=not goes_on)
        before = self._warm_state()
        if not goes_on and not self.warm_start:
            # A fit that fails from here on leaves no model, rather than the old net
            # behind a new encoding.
            self.__dict__.pop("net_", None)
        y, sample_weight = self._encode_target(
            y, sample_weight, reset=not goes_on, **target_options
        )
        if not goes_on:
            self._fit_encoder(X, source)
            self.prior_ = self._elicit(source)
        X = self.encoder_.encode(X)
        self._train(X, y, sample_weight, before, goes_on=goes_on, one_pass=one_pass)
        self._describe_model(X, sample_weight)
        return self

    def _check_rows(
        self, X: Any, y: Any, sample_weight: Any, *, reset: bool
    ) -> tuple[Any, Any, np.ndarray]:
        """Validate the rows, and leave out those of weight zero."""
        X = check_table(self, X, y, reset=reset)
        y = to_pandas(y) if is_foreign(y) else y
        return weigh_rows(X, self._check_target(y), sample_weight)

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

    def _fit_names(self, X: Any, y: Any, source: PriorSource | None) -> None:
        """Learn what the task is described by, as `fit` does before it asks."""
        X, y, sample_weight = self._check_rows(X, y, None, reset=True)
        self._encode_target(y, sample_weight, reset=True)
        self._fit_encoder(X, source)

    def _elicit(self, source: PriorSource | None) -> FeaturePrior | None:
        """Score the encoded columns; a provider is asked only if it will be heard."""
        if source is None:
            return None
        if isinstance(source, Provider):
            if not self._is_asked(source):
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

    def _train(
        self,
        X: np.ndarray,
        y: np.ndarray,
        sample_weight: np.ndarray,
        before: dict[str, Any] | None,
        *,
        goes_on: bool,
        one_pass: bool,
    ) -> None:
        """Build the net, or go on with the last one, and train it."""
        if not goes_on:
            random_state = check_random_state(self.random_state)
            self._seed = int(random_state.randint(np.iinfo(np.int32).max))
        else:
            self._seed += 1
        n_threads = self._n_threads()
        with limit_threads(n_threads), limit_blas(n_threads):
            if not goes_on:
                if self._is_automatic():
                    self._train_automatically(X, y, sample_weight, before)
                    return
                self.trust_: Trust | tuple[Trust, ...] | None = None
                self.net_ = self._make_net(
                    self._scores(), sample_weight.sum(), self._seed
                )
                if before is not None:
                    load_weights(self.net_, before)
            # A user's module may draw random numbers while it trains, as dropout
            # does; those of this package do not, and need not wait for one another.
            with (
                nullcontext()
                if self.module is None
                else torch_seed(self._seed, self._device)
            ):
                train(
                    self.net_,
                    X,
                    y,
                    sample_weight,
                    self,
                    seed=self._seed,
                    one_pass=one_pass,
                )
            self.gamma_ = float(self.net_.criterion_.gamma)

    def _train_automatically(
        self,
        X: np.ndarray,
        y: np.ndarray,
        sample_weight: np.ndarray,
        before: dict[str, Any] | None,
    ) -> None:
        """Train with as much trust in the prior as the rows warrant."""

        def make(gamma: float, score_transform: Any, n_corrections: int) -> AlignedNet:
            net = self._make_net(
                self._scores(),
                sample_weight.sum(),
                self._seed,
                gamma=gamma,
                score_transform=score_transform,
                n_corrections=n_corrections,
            )
            if before is not None and n_corrections is None:
                load_weights(net, before)
            return net

        assert self.prior_ is not None
        self.net_, model = train_automatically(
            make,
            X,
            y,
            sample_weight,
            self.prior_,
            self,
            task=self._loss_name(),
            device=self._device,
            seed=self._seed,
        )
        self.gamma_ = model.gamma
        self.trust_ = model.trust[0] if len(model.trust) == 1 else model.trust

    def _make_net(
        self,
        scores: np.ndarray | None,
        total_weight: float,
        seed: int,
        *,
        gamma: float | None = None,
        score_transform: Any = None,
        n_corrections: int | None = None,
    ) -> AlignedNet:
        if score_transform is None:
            score_transform = self.score_transform
        with torch_seed(seed, self._device):
            return make_net(
                self,
                self._device,
                scores=scores,
                gamma=self._fixed_gamma() if gamma is None else gamma,
                score_transform="exp" if score_transform == "auto" else score_transform,
                n_corrections=n_corrections,
                task=self._loss_name(),
                n_features=len(self.encoder_.columns_),
                n_outputs=self._n_outputs(),
                total_weight=total_weight,
                seed=seed,
            )

    def _is_asked(self, source: PriorSource | None) -> bool:
        """Tell whether somebody is asked for scores: with gamma 0 nobody is."""
        return isinstance(source, Provider) and self.gamma != 0

    def _is_automatic(self) -> bool:
        """Tell whether there is a prior whose weight the rows are to decide."""
        return self.gamma == "auto" and has_opinion(self.prior_)

    def _fixed_gamma(self) -> float:
        """Return the weight of the penalty where no search decides it."""
        return 0.0 if self.gamma == "auto" else float(self.gamma)

    def _scores(self) -> np.ndarray | None:
        """Return the scores to align with; None, and so gamma 0, without opinion."""
        if self.prior_ is None or np.isnan(self.prior_.scores).all():
            return None
        return self.prior_.scores

    def _warm_state(self) -> dict[str, Any] | None:
        """Return the weights to start from, where the last fit left some."""
        if not (self.warm_start and hasattr(self, "net_")):
            return None
        return dict(self.net_.module_.state_dict())

    def _describe_model(self, X: np.ndarray, sample_weight: np.ndarray) -> None:
        """Set the attributes that tell what the model has learnt."""
        self.n_iter_ = n_iterations(self.net_)
        with limit_threads(self._n_threads()):
            mean = mean_attributions(self.net_, X, sample_weight)
            self.alignment_ = self.net_.criterion_.cosine(mean).cpu().numpy()
        self.attributions_ = mean.cpu().numpy().astype(np.float64)
        for name in ("coef_", "intercept_"):
            self.__dict__.pop(name, None)
        if weights := linear_weights(self.net_):
            self._set_coef(*(values.copy() for values in weights))

    def _outputs(self, X: Any) -> np.ndarray:
        """Return the outputs of the module, of shape (n_samples, n_outputs)."""
        check_is_fitted(self, "net_")
        X = check_table(self, X, reset=False)
        n_threads = self._n_threads()
        weights, ranges = linear_weights(self.net_), self.encoder_.ranges
        is_plain = isinstance(X, np.ndarray) and X.dtype.kind == "f"
        if weights is not None and ranges is not None and is_plain:
            with limit_blas(n_threads):
                outputs = raw_outputs(X, *weights, ranges, self.encoder_.encode)
            if outputs is not None:
                return outputs
        X = self.encoder_.encode(X)
        with limit_threads(n_threads):
            return predict_outputs(self.net_, X)

    def _n_threads(self) -> int:
        return int(effective_n_jobs(self.n_jobs or 1))

    @abstractmethod
    def _check_target(self, y: Any) -> Any:
        """Check the targets as given."""

    @abstractmethod
    def _encode_target(
        self, y: Any, sample_weight: np.ndarray, *, reset: bool, **options: Any
    ) -> tuple[np.ndarray, np.ndarray]:
        """Turn targets into numbers; return them with the final weights."""

    @abstractmethod
    def _task_names(self) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
        """Return the names of the target, of the scored outputs, of the classes."""

    @abstractmethod
    def _loss_name(self) -> str:
        """Return the name of the task loss."""

    @abstractmethod
    def _n_outputs(self) -> int:
        """Return the width of the module's output."""

    @abstractmethod
    def _set_coef(self, weight: np.ndarray, bias: np.ndarray) -> None:
        """Set `coef_` and `intercept_` from the weights of a linear module."""

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = False
        tags.input_tags.allow_nan = self.imputer is not None
        tags.input_tags.string = self.encoder is not None
        tags.input_tags.categorical = self.encoder is not None
        return tags
