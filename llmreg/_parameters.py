"""The parameters that classifier and regressor share: names, ranges and defaults."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from numbers import Integral, Real
from typing import Any, ClassVar, Self

from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import Interval, StrOptions

from llmreg.nn._attribution import ATTRIBUTIONS
from llmreg.nn._factory import SOLVERS
from llmreg.nn._net import ACTIVATIONS

_COUNT = Interval(Integral, 1, None, closed="left")
_NON_NEGATIVE = Interval(Real, 0, None, closed="left")


class AttributionParameters(BaseEstimator):
    """The parameters of both estimators, and those passed on to skorch.

    The loss is a regressor's.
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "gamma": [_NON_NEGATIVE, StrOptions({"auto"})],
        "attribution": [StrOptions(set(ATTRIBUTIONS))],
        "score_transform": [StrOptions({"auto", "exp", "identity"}), callable],
        "penalty_weights": [StrOptions({"spread"}), None],
        "penalty_on": [StrOptions({"auto", "mean", "row"})],
        "hidden_layer_sizes": ["array-like", _COUNT],
        "activation": [StrOptions(set(ACTIVATIONS))],
        "module": [callable, None],
        "trees": [StrOptions({"auto"}), None],
        "solver": [StrOptions({"auto", *SOLVERS})],
        "alpha": [_NON_NEGATIVE],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
        "max_iter": [_COUNT],
        "batch_size": [StrOptions({"auto"}), _COUNT],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [_COUNT],
        "tol": [_NON_NEGATIVE],
        "task": [str, None],
        "target_name": [str, None],
        "feature_descriptions": [Mapping, None],
        "feature_names": ["array-like", Mapping, None],
        "feature_kinds": [Mapping, None],
        "on_error": [StrOptions({"raise", "no_prior"})],
        "on_unit_mismatch": [StrOptions({"direction", "keep", "raise"})],
        "biased_features": [StrOptions({"all"}), "array-like", None],
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
        penalty_on: str = "auto",
        hidden_layer_sizes: Sequence[int] | int = (),
        activation: str = "relu",
        module: Callable[..., Any] | None = None,
        trees: str | None = "auto",
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
        feature_kinds: Mapping[str, str] | None = None,
        scaler: Any = "bounded",
        imputer: Any = "median",
        encoder: str | None = "onehot",
        on_error: str = "raise",
        on_unit_mismatch: str = "direction",
        biased_features: Sequence[str] | str | None = None,
        loss: str = "squared_error",
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
        self.trees = trees
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
        self.feature_kinds = feature_kinds
        self.scaler = scaler
        self.imputer = imputer
        self.encoder = encoder
        self.on_error = on_error
        self.on_unit_mismatch = on_unit_mismatch
        self.biased_features = biased_features
        self.loss = loss
        self.warm_start = warm_start
        self.random_state = random_state
        self.device = device
        self.n_jobs = n_jobs
        self.verbose = verbose
        self._set_net_params(net__params)

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Give pickles of version 0.1 the parameters that came later."""
        super().__setstate__({**vars(type(self)()), "trees": None, **state})

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
        params = super().get_params(deep=deep)
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
