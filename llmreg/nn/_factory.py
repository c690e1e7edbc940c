"""From the parameters of an estimator to a skorch net, not trained yet."""

import copy
import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from skorch.callbacks import EarlyStopping
from torch import Tensor, nn

from llmreg._utils._reproducibility import torch_seed
from llmreg.exceptions import DataError, DeviceError
from llmreg.nn._additive import AdditiveModel
from llmreg.nn._loss import AttributionAlignedLoss
from llmreg.nn._net import (
    LBFGS,
    MLP,
    SGD,
    Adam,
    AlignedClassifierNet,
    AlignedNet,
    BatchIterator,
    EpochReport,
    LinearModel,
    say,
)
from llmreg.preprocessing._basis import CurveBasis
from llmreg.prior._feature_prior import FeaturePrior


def linear_part(module: nn.Module) -> Any:
    """Return the linear or additive model that hidden layers correct, or the module."""
    return module.linear if isinstance(module, CorrectedModel) else module


class CorrectedModel(nn.Module):
    """A linear model plus the residual ensemble: weighted copies of a module."""

    shares: Tensor

    def __init__(
        self,
        factory: Callable[[], nn.Module],
        n_features: int,
        n_outputs: int,
        n_corrections: int,
        basis: CurveBasis | None = None,
    ) -> None:
        super().__init__()
        self.linear = linear_module(n_features, n_outputs, basis)
        self.corrections = nn.ModuleList([factory() for _ in range(n_corrections)])
        self.register_buffer("shares", torch.zeros(n_corrections))

    def forward(self, X: Tensor) -> Tensor:
        """Return the outputs for rows, (n_samples, n_outputs)."""
        outputs: Tensor = self.linear(X)
        for share, correction in zip(self.shares, self.corrections, strict=True):
            outputs = outputs + share * correction(X)
        return outputs


SOLVERS = {"adam": Adam, "sgd": SGD, "lbfgs": LBFGS}

# Where "lbfgs" stops: tight enough that a row of weight 2 and the same row twice
# give the same model to seven digits.
_LBFGS_GRADIENT = 1e-9
_LBFGS_CHANGE = 1e-14

_RESERVED = (
    *("criterion", "module", "device", "max_epochs", "batch_size"),
    *("dtype", "l2", "n_features", "n_outputs"),
)


def resolve_device(device: str) -> str:
    """Turn "auto" into the best device there is; raise DeviceError if one is not."""
    if device == "auto":
        if torch.cuda.is_available():
            return "cuda"
        return "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        kind = torch.device(device)
        torch.empty(0, device=kind)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise DeviceError(
            f"device={device!r} is not available: {reason} Use device='cpu' or 'auto'."
        ) from error
    # "cpu:0" is no other one.
    return "cpu" if kind.type == "cpu" else device


def make_net(
    params: Any,
    device: str,
    gamma: float,
    score_transform: Any = "auto",
    n_corrections: int | None = None,
    *,
    scores: np.ndarray | None,
    task: str,
    n_features: int,
    n_outputs: int,
    total_weight: float,
    seed: int,
    last_weights: dict[str, Any] | None = None,
    basis: CurveBasis | None = None,
) -> AlignedNet:
    """Build and initialize the net that an estimator's parameters describe.

    With `n_corrections` its module is a `CorrectedModel`, else it starts from
    `last_weights`, if given. With a `basis` the linear model is additive. Raises
    ModuleOutputError if the user's module does not fit, DataError if the weights do
    not, and ValueError if `net__*` sets what a parameter of the estimator's own
    decides.
    """
    solver, aligns = choose_solver(params), aligns_with_slopes(params)
    # Scores lie on a scale that their exponential suits best, slopes on that of logits.
    transform = "identity" if aligns and basis is not None else "exp"
    is_lbfgs = solver == "lbfgs"
    settings: dict[str, Any] = {
        "criterion__task": task,
        "criterion__scores": scores,
        "criterion__gamma": gamma if scores is not None else 0.0,
        "criterion__attribution": params.attribution,
        "criterion__score_transform": (
            transform if score_transform == "auto" else score_transform
        ),
        "criterion__penalty_on": "row" if params.penalty_on == "row" else "mean",
        "optimizer": SOLVERS[solver],
        "lr": 1.0 if is_lbfgs else params.learning_rate_init,
        "iterator_train": BatchIterator,
        "iterator_train__shuffle": not is_lbfgs,
        "iterator_train__seed": seed,
        "iterator_valid": BatchIterator,
        "train_split": None,
        "verbose": 0,
    }
    if aligns and basis is not None:
        settings |= {
            "criterion__penalty_on": "row",
            "criterion__basis": basis,
            # A module of the user's own may not take rows that are not there.
            "criterion__anchors": is_linear(params),
        }
    if is_lbfgs:
        settings |= {
            "optimizer__max_iter": params.max_iter,
            "optimizer__line_search_fn": "strong_wolfe",
            "optimizer__tolerance_grad": _LBFGS_GRADIENT,
            "optimizer__tolerance_change": _LBFGS_CHANGE,
        }
    settings |= user_settings(params)
    if settings["iterator_train"] is not BatchIterator:
        # Loaders of the user's own take torch's generator, which is seeded.
        del settings["iterator_train__seed"]
    settings |= _callbacks(params, settings)
    factory = module_factory(params, n_features, n_outputs, basis)
    if n_corrections is not None:
        factory = functools.partial(
            CorrectedModel, factory, n_features, n_outputs, n_corrections, basis
        )
    is_class = task in ("binary", "multiclass")
    kind = AlignedClassifierNet if is_class else AlignedNet
    # So that a linear model without a prior is ``LogisticRegression(C=1 / alpha)`` or
    # ``Ridge(alpha)``.
    alpha = 2 * params.alpha / n_outputs if task == "regression" else params.alpha
    with torch_seed(seed, device):
        net = kind(
            factory,
            AttributionAlignedLoss,
            n_features=n_features,
            n_outputs=n_outputs,
            # Small models are no slower for double precision on the CPU; accelerators
            # are slow at it or lack it.
            dtype=torch.float64 if device == "cpu" else torch.float32,
            l2=alpha / total_weight,
            device=device,
            **settings,
        ).initialize()
    if last_weights is None or n_corrections is not None or basis is not None:
        return net
    try:
        net.module_.load_state_dict(last_weights)
    except RuntimeError as error:
        raise DataError(
            "warm_start=True goes on from the last fit, which had another module, "
            "other encoded columns or other outputs. Fit a clone instead, or give "
            f"categorical columns a category dtype. {error}"
        ) from error
    net.is_warm = True
    return net


def choose_solver(params: Any) -> str:
    """Return the solver; "auto" is "lbfgs" for the linear model, "adam" for others."""
    if params.solver != "auto":
        return str(params.solver)
    # Settings meant for lbfgs would not fit an optimizer of the user's own.
    is_own = hasattr(params, "net__optimizer")
    return "lbfgs" if is_linear(params) and not is_own else "adam"


def is_linear(params: Any) -> bool:
    """Tell whether the model is the linear one."""
    return params.module is None and np.size(params.hidden_layer_sizes) == 0


def asks_for_loop(params: Any) -> bool:
    """Tell whether something of skorch's own training loop was asked for."""
    return any(not n.startswith("criterion__") for n in user_settings(params))


def is_solved(params: Any) -> bool:
    """Tell whether a fit has a closed form: the linear model under "lbfgs".

    Not where rows are aligned one by one and their attributions differ.
    """
    return (
        is_linear(params)
        and choose_solver(params) == "lbfgs"
        and not asks_for_loop(params)
        and (params.penalty_on != "row" or params.attribution == "gradient")
    )


def is_averaged(params: Any) -> bool:
    """Tell whether ``gamma="auto"`` makes the model itself, without a training loop."""
    if is_linear(params):
        return is_solved(params) and params.attribution == "gradient"
    return (
        params.attribution == "gradient"
        and choose_solver(params) == "adam"
        and not (asks_for_loop(params) or params.early_stopping)
    )


def prior_of_shapes(params: Any, prior: FeaturePrior | None) -> FeaturePrior | None:
    """Return the prior if it has curves, which shapes or slopes are to follow."""
    is_auto = params.gamma == "auto" and is_averaged(params)
    is_on = is_auto or aligns_with_slopes(params)
    return prior if is_on and prior is not None and prior.curves else None


def aligns_with_slopes(params: Any) -> bool:
    """Tell whether rows are aligned one by one with the slopes of a prior's curves."""
    if params.gamma == "auto" and is_averaged(params):
        return False
    return bool(params.gamma != 0 and params.penalty_on != "mean")


def user_settings(params: Any) -> dict[str, Any]:
    """Collect the `net__*` parameters, without their prefix, and check them."""
    settings = {
        name.removeprefix("net__"): value
        for name, value in vars(params).items()
        if name.startswith("net__")
    }
    for name in _RESERVED:
        if name in settings:
            raise ValueError(
                f"net__{name} cannot be set: the estimator makes its own. Its "
                "parameters module, device, max_iter and batch_size decide it, and "
                "net__criterion__* reach the aligned loss."
            )
    if settings.get("compile"):
        raise ValueError(
            "net__compile=True cannot be used: torch.compile does not support the "
            "double backward pass that the attribution penalty needs."
        )
    return settings


def linear_module(
    n_features: int, n_outputs: int, basis: CurveBasis | None = None
) -> LinearModel | AdditiveModel:
    """Make a linear model, or an additive one where columns have curves."""
    if basis is None:
        return LinearModel(n_features, n_outputs)
    return AdditiveModel(basis, n_features, n_outputs)


def module_factory(
    params: Any, n_features: int, n_outputs: int, basis: CurveBasis | None = None
) -> Any:
    """Return what skorch calls to make the module."""
    if params.module is not None:
        if isinstance(params.module, nn.Module):
            # A template: the parameter of an estimator is never trained itself.
            return functools.partial(copy.deepcopy, params.module)
        return functools.partial(params.module, n_features, n_outputs)
    sizes = np.atleast_1d(np.asarray(params.hidden_layer_sizes, dtype=float))
    hidden = sizes.astype(int).tolist()
    if sizes.ndim > 1 or (sizes < 1).any() or (sizes != hidden).any():
        raise ValueError(
            "hidden_layer_sizes must hold whole widths of at least 1; got "
            f"{params.hidden_layer_sizes!r}."
        )
    if not hidden:
        return functools.partial(linear_module, n_features, n_outputs, basis)
    return functools.partial(
        MLP,
        n_features,
        n_outputs,
        hidden_layer_sizes=tuple(hidden),
        activation=params.activation,
    )


def _callbacks(params: Any, settings: dict[str, Any]) -> dict[str, Any]:
    """Return the settings of early stopping and of the report of every epoch."""
    if settings.get("callbacks") == "disable":
        return {}
    callbacks = [*(settings.get("callbacks") or []), ("passes", EpochReport())]
    if params.early_stopping and choose_solver(params) != "lbfgs":
        stop = EarlyStopping(
            monitor="valid_loss",
            patience=params.n_iter_no_change,
            threshold=params.tol,
            threshold_mode="abs",
            load_best=True,
            sink=say,
        )
        callbacks.insert(0, ("early_stopping", stop))
    found: dict[str, Any] = {"callbacks": callbacks}
    if not settings["verbose"]:
        # skorch's own table, which it would print on stdout and nowhere else.
        found["callbacks__print_log"] = settings.get("callbacks__print_log")
    return found
