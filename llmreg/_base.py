"""What the two estimators share: fit as an outline, and the state it leaves."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import torch
from joblib import effective_n_jobs
from sklearn.base import BaseEstimator, clone
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from llmreg._utils._log import get_logger, showing
from llmreg._utils._progress import CallbackSupportMixin, follow, stage
from llmreg._utils._reproducibility import limit_blas, limit_threads, torch_seed
from llmreg.exceptions import FeatureNamesError
from llmreg.linear_model._trust import Trust, each_trust, has_opinion
from llmreg.nn._attribution import ATTRIBUTIONS
from llmreg.nn._auto import train_automatically
from llmreg.nn._factory import (
    SOLVERS,
    asks_for_loop,
    make_net,
    resolve_device,
    user_settings,
)
from llmreg.nn._net import ACTIVATIONS, AlignedNet
from llmreg.nn._training import (
    check_weights,
    linear_weights,
    load_weights,
    mean_attributions,
    n_iterations,
    predict_outputs,
    train,
)
from llmreg.preprocessing._columns import refuse_cell_values
from llmreg.preprocessing._encoder import TableEncoder
from llmreg.preprocessing._frames import is_foreign, to_pandas
from llmreg.preprocessing._validation import check_table, weigh_rows
from llmreg.prior._feature_prior import FeaturePrior
from llmreg.prior._names import column_names, describe, number_twins
from llmreg.prior._task import Task
from llmreg.prior._transforms import SCORE_TRANSFORMS
from llmreg.providers._base import preview_of
from llmreg.providers._resolve import (
    WAYS_TO_NAMES,
    PriorSource,
    Provider,
    known_levels,
    needs_names,
    prior_source,
    resolve,
    resolve_or_warn,
)


class AttributionParameters(BaseEstimator):
    """Parameters that classifier and regressor share; their docstrings explain them.

    Beside those of the signature, any ``net__*`` is taken and passed on to skorch.
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "gamma": [Interval(Real, 0, None, closed="left"), StrOptions({"auto"})],
        "attribution": [StrOptions(set(ATTRIBUTIONS))],
        "score_transform": [StrOptions({"auto", *SCORE_TRANSFORMS}), callable],
        "penalty_weights": [StrOptions({"spread"}), None],
        "penalty_on": [StrOptions({"mean", "row"})],
        "hidden_layer_sizes": [
            "array-like",
            Interval(Integral, 1, None, closed="left"),
        ],
        "activation": [StrOptions(set(ACTIVATIONS))],
        "module": [callable, None],
        "solver": [StrOptions({"auto", *SOLVERS})],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "batch_size": [
            StrOptions({"auto"}),
            Interval(Integral, 1, None, closed="left"),
        ],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "task": [str, None],
        "target_name": [str, None],
        "feature_descriptions": [Mapping, None],
        "feature_names": ["array-like", Mapping, None],
        "on_error": [StrOptions({"raise", "no_prior"})],
        "warm_start": ["boolean"],
        "random_state": ["random_state"],
        "device": [str],
        "n_jobs": [Integral, None],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        prior: Any = None,
        *,
        gamma: float | str = "auto",
        attribution: str = "gradient",
        score_transform: str | Callable[..., Any] = "auto",
        penalty_weights: str | None = "spread",
        penalty_on: str = "mean",
        hidden_layer_sizes: Sequence[int] | int = (),
        activation: str = "relu",
        module: Callable[..., Any] | None = None,
        solver: str = "auto",
        alpha: float = 1.0,
        learning_rate_init: float = 0.01,
        max_iter: int = 200,
        batch_size: int | str = "auto",
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
        tol: float = 1e-4,
        task: str | None = None,
        target_name: str | None = None,
        feature_descriptions: Mapping[str, Any] | None = None,
        feature_names: Sequence[str] | Mapping[str, str] | None = None,
        scaler: Any = "bounded",
        imputer: Any = "median",
        encoder: str | None = "onehot",
        on_error: str = "raise",
        warm_start: bool = False,
        random_state: Any = None,
        device: str = "auto",
        n_jobs: int | None = None,
        verbose: int = 0,
        **net__params: Any,
    ) -> None:
        self.prior = prior
        self.gamma = gamma
        self.attribution = attribution
        self.score_transform = score_transform
        self.penalty_weights = penalty_weights
        self.penalty_on = penalty_on
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.module = module
        self.solver = solver
        self.alpha = alpha
        self.learning_rate_init = learning_rate_init
        self.max_iter = max_iter
        self.batch_size = batch_size
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.task = task
        self.target_name = target_name
        self.feature_descriptions = feature_descriptions
        self.feature_names = feature_names
        self.scaler = scaler
        self.imputer = imputer
        self.encoder = encoder
        self.on_error = on_error
        self.warm_start = warm_start
        self.random_state = random_state
        self.device = device
        self.n_jobs = n_jobs
        self.verbose = verbose
        self._set_net_params(net__params)

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Get the parameters, those passed on to skorch (`net__*`) included.

        Parameters
        ----------
        deep : bool, default=True
            Also return the parameters of parameters that have some.

        Returns
        -------
        dict
            Values by name.
        """
        params: dict[str, Any] = super().get_params(deep=deep)
        return params | {k: v for k, v in vars(self).items() if k.startswith("net__")}

    def set_params(self, **params: Any) -> Self:
        """Set parameters, those passed on to skorch (`net__*`) included.

        Parameters
        ----------
        **params : dict
            Values by name.

        Returns
        -------
        self
            The estimator.
        """
        own = {k: v for k, v in params.items() if not k.startswith("net__")}
        super().set_params(**own)
        self._set_net_params({k: v for k, v in params.items() if k not in own})
        return self

    def _set_net_params(self, params: Mapping[str, Any]) -> None:
        for name, value in params.items():
            if not name.startswith("net__"):
                raise TypeError(
                    f"{type(self).__name__} got an unexpected parameter {name!r}. "
                    "Parameters for skorch start with net__."
                )
            setattr(self, name, value)


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
            refuse_cell_values(X, names)
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


# What describes a net, and must not outlive it.
_OF_THE_NET = (
    *("net_", "coef_", "intercept_", "n_iter_", "gamma_"),
    *("trust_", "attributions_", "alignment_"),
)
# What a fit learns beside names that end in "_".
_LEARNT_BESIDE = {
    *("_device", "_seed", "_has_names"),
    *("_is_single", "_target_label", "_target_labels"),
}


def undo_fit(estimator: Any, before: dict[str, Any]) -> None:
    """Take back what a fit that failed has learnt.

    With `warm_start` the last model comes back. Else there is none afterwards, unless
    the fit failed before it touched the last one; what was paid for, the prior, stays.
    """
    now = estimator.__dict__
    if estimator.warm_start and "net_" in before:
        learnt = {name for name in {*now, *before} if name.endswith("_")}
        for name in learnt | _LEARNT_BESIDE:
            now.pop(name, None)
            if name in before:
                now[name] = before[name]
    elif "net_" not in now or now["net_"] is not before.get("net_"):
        for name in _OF_THE_NET:
            now.pop(name, None)


logger = get_logger(__name__)


class BaseAttributionEstimator(CallbackSupportMixin, ElicitingEstimator, ABC):
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
        n_stages = 2 if goes_on else 3
        before = dict(vars(self))
        try:
            with (
                showing(type(self).__name__, int(self.verbose)),
                follow(self, X, y, sample_weight, n_stages),
                torch.enable_grad(),
            ):
                self._go_through_stages(
                    X, y, sample_weight, goes_on, one_pass, target_options
                )
        except BaseException:
            if not goes_on:
                undo_fit(self, before)
            raise
        return self

    def _go_through_stages(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        goes_on: bool,
        one_pass: bool,
        target_options: dict[str, Any],
    ) -> None:
        # What can fail without the data fails before they are touched, and before
        # anybody is asked for a prior.
        if one_pass and self.early_stopping:
            raise ValueError(
                "partial_fit does not support early_stopping=True: it goes over a "
                "piece once, and holds back no rows of it. Set early_stopping=False."
            )
        self._device = resolve_device(self.device)
        user_settings(self)
        source = None if goes_on else prior_source(self.prior)
        with stage("encode"):
            X, y, sample_weight = self._check_rows(
                X, y, sample_weight, reset=not goes_on
            )
            before = self._warm_state()
            if not goes_on and not self.warm_start:
                # A fit that fails from here on leaves no model, rather than the old
                # net behind a new encoding.
                self.__dict__.pop("net_", None)
            y, sample_weight = self._encode_target(
                y, sample_weight, reset=not goes_on, **target_options
            )
            if not sample_weight.all():
                # Classes of weight zero: their rows are not there, either.
                X, y, sample_weight = weigh_rows(X, y, sample_weight)
            if not goes_on:
                self._fit_encoder(X, source)
        if not goes_on:
            with stage("ask"):
                self.prior_ = self._elicit(source)
        with stage("train", None):
            X = self.encoder_.encode(X)
            self._train(X, y, sample_weight, before, goes_on=goes_on, one_pass=one_pass)
            check_weights(self.net_)
            self._describe_model(X, sample_weight)
        self._tell_result()

    def _check_rows(
        self, X: Any, y: Any, sample_weight: Any, *, reset: bool
    ) -> tuple[Any, Any, np.ndarray]:
        """Validate the rows, and leave out those of weight zero."""
        X = check_table(self, X, y, reset=reset)
        y = to_pandas(y) if is_foreign(y) else y
        return weigh_rows(X, self._check_target(y), sample_weight)

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
            # does, and so may a loader; those of this package do not, and need not
            # wait for one another.
            with (
                nullcontext()
                if self.module is None and not asks_for_loop(self)
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

    def _tell_result(self) -> None:
        """Log what has come of the fit."""
        for trust in each_trust(self.trust_):
            logger.info("%s", trust.verdict)
        if self.prior_ is None:
            logger.info("trained in %d steps", self.n_iter_)
            return
        logger.info(
            "trained in %d steps; gamma %.3g, alignment with the prior %s",
            *(self.n_iter_, self.gamma_),
            ", ".join(f"{cosine:.3f}" for cosine in self.alignment_),
        )

    def _outputs(self, X: Any) -> np.ndarray:
        """Return the outputs of the module, of shape (n_samples, n_outputs)."""
        check_is_fitted(self, "net_")
        X = check_table(self, X, reset=False)
        X = self.encoder_.encode(X)
        with limit_threads(self._n_threads()):
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
