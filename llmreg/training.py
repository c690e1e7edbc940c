"""From the parameters of an estimator to a trained skorch net."""

from __future__ import annotations

import copy
import functools
import warnings
from typing import Any

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from skorch.callbacks import EarlyStopping
from skorch.helper import predefined_split
from torch import nn

from llmreg.attribution import attribute
from llmreg.criterion import AttributionAlignedLoss
from llmreg.exceptions import DataError, DeviceError
from llmreg.net import MLP, AlignedNet, BatchIterator, LinearModel, TableDataset

SOLVERS = {
    "adam": torch.optim.Adam,
    "sgd": torch.optim.SGD,
    "lbfgs": torch.optim.LBFGS,
}

# Up to here a step on all rows at once is faster than several on parts of them.
_FULL_BATCH_ROWS = 10_000
_AUTO_BATCH_ROWS = 2_048
_PREDICT_ROWS = 65_536

# Where "lbfgs" stops: tight enough that a row of weight 2 and the same row twice
# give the same model to seven digits.
_LBFGS_GRADIENT = 1e-9
_LBFGS_CHANGE = 1e-14
_RESERVED = ("criterion", "module", "device", "max_epochs", "batch_size")


def resolve_device(device: str) -> str:
    """Turn "auto" into the best device there is, and check any other.

    Parameters
    ----------
    device : str
        "auto", or a name that torch understands: "cpu", "cuda", "cuda:1", "mps".

    Returns
    -------
    str
        The device.

    Raises
    ------
    DeviceError
        If torch does not know it or it is not there.

    Examples
    --------
    >>> from llmreg.training import resolve_device
    >>> resolve_device("cpu")
    'cpu'
    """
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
    return device


def device_dtype(device: str) -> torch.dtype:
    """Return the floating point type that suits a device.

    Double precision on the CPU, where small models are no slower for it; single on
    accelerators, which are slow at double or lack it.
    """
    return torch.float64 if device == "cpu" else torch.float32


def make_net(
    params: Any,
    device: str,
    *,
    scores: np.ndarray | None,
    task: str,
    n_features: int,
    n_outputs: int,
    total_weight: float,
    seed: int,
) -> AlignedNet:
    """Build and initialize the net that an estimator's parameters describe.

    Parameters
    ----------
    params : estimator
        Where the parameters are read from.
    device : str
        Where to train.
    scores : ndarray of shape (n_outputs, n_features) or None
        The prior's scores.
    task : {"binary", "multiclass", "regression"}
        The kind of the task loss.
    n_features, n_outputs : int
        Widths of the module.
    total_weight : float
        Sum of the sample weights; `alpha` is shared out among them.
    seed : int
        Seed of the order of the rows.

    Returns
    -------
    AlignedNet
        The net, initialized and not trained.

    Raises
    ------
    ModuleOutputError
        If the user's module does not fit.
    ValueError
        If `net__*` sets what a parameter of the estimator's own decides.
    """
    solver = choose_solver(params)
    is_lbfgs = solver == "lbfgs"
    settings: dict[str, Any] = {
        "criterion__task": task,
        "criterion__scores": scores,
        "criterion__gamma": params.gamma if scores is not None else 0.0,
        "criterion__attribution": params.attribution,
        "criterion__score_transform": params.score_transform,
        "criterion__penalty_on": params.penalty_on,
        "optimizer": SOLVERS[solver],
        "lr": 1.0 if is_lbfgs else params.learning_rate_init,
        "iterator_train": BatchIterator,
        "iterator_train__shuffle": not is_lbfgs,
        "iterator_train__seed": seed,
        "iterator_valid": BatchIterator,
        "train_split": None,
        "verbose": params.verbose,
    }
    if is_lbfgs:
        settings |= {
            "optimizer__max_iter": params.max_iter,
            "optimizer__line_search_fn": "strong_wolfe",
            "optimizer__tolerance_grad": _LBFGS_GRADIENT,
            "optimizer__tolerance_change": _LBFGS_CHANGE,
        }
    settings |= user_settings(params)
    settings |= _callbacks(params, settings.get("callbacks"))
    return AlignedNet(
        module_factory(params, n_features, n_outputs),
        AttributionAlignedLoss,
        n_features=n_features,
        n_outputs=n_outputs,
        dtype=device_dtype(device),
        l2=l2_strength(params.alpha, task, n_outputs) / total_weight,
        device=device,
        **settings,
    ).initialize()


def train(
    net: AlignedNet,
    X: np.ndarray,
    y: np.ndarray,
    sample_weight: np.ndarray,
    params: Any,
    *,
    seed: int,
    one_pass: bool = False,
) -> None:
    """Train a net on encoded rows, from where it stands.

    Parameters
    ----------
    net : AlignedNet
        The net.
    X : ndarray of shape (n_samples, n_features)
        Encoded rows.
    y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        Encoded targets.
    sample_weight : ndarray of shape (n_samples,)
        Weights, all above 0.
    params : estimator
        Where the parameters are read from.
    seed : int
        Seed of the validation split.
    one_pass : bool, default=False
        Go over the rows once instead of `max_iter` times.
    """
    train_rows = np.arange(len(X))
    if params.early_stopping and choose_solver(params) != "lbfgs" and not one_pass:
        train_rows, valid_rows = train_test_split(
            train_rows,
            test_size=params.validation_fraction,
            random_state=seed,
            stratify=y if net.criterion_.task != "regression" else None,
        )
        valid = _dataset(net, X, y, sample_weight, valid_rows)
        net.set_params(train_split=predefined_split(valid))
    data = _dataset(net, X, y, sample_weight, train_rows)
    is_one = one_pass or choose_solver(params) == "lbfgs"
    net.set_params(
        batch_size=batch_rows(params, len(data)),
        max_epochs=1 if is_one else params.max_iter,
    )
    net.partial_fit(data)
    if choose_solver(params) == "lbfgs" and n_iterations(net) >= params.max_iter:
        warnings.warn(
            f"lbfgs stopped at max_iter={params.max_iter} before it converged. Raise "
            "max_iter, or alpha.",
            ConvergenceWarning,
            stacklevel=2,
        )
    # The split holds the validation rows, which have no place in a saved model.
    net.set_params(train_split=None)


def load_weights(net: AlignedNet, weights: dict[str, Any]) -> None:
    """Start a net from the weights of an earlier fit.

    Raises
    ------
    DataError
        If the weights belong to a module of another shape.
    """
    try:
        net.module_.load_state_dict(weights)
    except RuntimeError as error:
        raise DataError(
            "warm_start=True goes on from the last fit, which had another module, "
            "other encoded columns or other outputs. Fit a clone instead, or give "
            f"categorical columns a category dtype. {error}"
        ) from error


def predict_outputs(net: AlignedNet, X: np.ndarray) -> np.ndarray:
    """Return the outputs for encoded rows, of shape (n_samples, n_outputs)."""
    module = net.module_
    module.eval()
    with torch.no_grad():
        parts = [
            module(batch.to(net.device, net.dtype)).cpu()
            for batch in torch.split(torch.as_tensor(X), _PREDICT_ROWS)
        ]
    outputs: np.ndarray = torch.cat(parts).numpy()
    return outputs


def mean_attributions(
    net: AlignedNet, X: np.ndarray, sample_weight: np.ndarray
) -> torch.Tensor:
    """Return the weighted mean attributions, of shape (n_outputs, n_features)."""
    module, criterion = net.module_, net.criterion_
    module.eval()
    total = torch.zeros_like(criterion.direction)
    for start in range(0, len(X), _AUTO_BATCH_ROWS):
        rows = slice(start, start + _AUTO_BATCH_ROWS)
        attributions = attribute(
            module,
            torch.as_tensor(X[rows]).to(net.device, net.dtype),
            method=criterion.attribution,
            n_steps=criterion.n_steps,
        ).detach()
        weight = torch.as_tensor(sample_weight[rows]).to(net.device, net.dtype)
        total = total + torch.tensordot(weight, attributions, dims=1)
    return total / float(sample_weight.sum())


def n_iterations(net: AlignedNet) -> int:
    """Return how many steps of the solver, or passes over the rows, were made."""
    if isinstance(net.optimizer_, torch.optim.LBFGS):
        states = net.optimizer_.state.values()
        return max((int(state.get("n_iter", 1)) for state in states), default=1)
    return len(net.history)


def batch_rows(params: Any, n_samples: int) -> int:
    """Return the number of rows of a batch."""
    if params.batch_size != "auto":
        return min(int(params.batch_size), n_samples)
    if choose_solver(params) == "lbfgs" or n_samples <= _FULL_BATCH_ROWS:
        return n_samples
    return _AUTO_BATCH_ROWS


def choose_solver(params: Any) -> str:
    """Return the solver; "auto" is "lbfgs" for the linear model, "adam" for others."""
    if params.solver != "auto":
        return str(params.solver)
    is_linear = params.module is None and np.size(params.hidden_layer_sizes) == 0
    return "lbfgs" if is_linear else "adam"


def l2_strength(alpha: float, task: str, n_outputs: int) -> float:
    """Scale `alpha` so that a linear model without prior is scikit-learn's own.

    Times half the squared weights, over the number of rows, beside the mean loss:
    that is ``LogisticRegression(C=1 / alpha)`` and ``Ridge(alpha)``.
    """
    return 2 * alpha / n_outputs if task == "regression" else alpha


def user_settings(params: Any) -> dict[str, Any]:
    """Collect the `net__*` parameters, without their prefix.

    Raises
    ------
    ValueError
        If one of them has a parameter of the estimator's own, or asks torch to
        compile the module, which cannot differentiate twice.
    """
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


def module_factory(params: Any, n_features: int, n_outputs: int) -> Any:
    """Return what skorch calls to make the module."""
    if params.module is not None:
        if isinstance(params.module, nn.Module):
            # A template: the parameter of an estimator is never trained itself.
            return functools.partial(copy.deepcopy, params.module)
        return functools.partial(params.module, n_features, n_outputs)
    hidden = tuple(np.atleast_1d(np.asarray(params.hidden_layer_sizes, dtype=int)))
    if not hidden:
        return functools.partial(LinearModel, n_features, n_outputs)
    return functools.partial(
        MLP,
        n_features,
        n_outputs,
        hidden_layer_sizes=tuple(int(size) for size in hidden),
        activation=params.activation,
    )


def _callbacks(params: Any, users: Any) -> dict[str, Any]:
    """Return the settings of early stopping and of what a quiet net prints."""
    if users == "disable":
        return {}
    settings: dict[str, Any] = {} if params.verbose else {"callbacks__print_log": None}
    if params.early_stopping and choose_solver(params) != "lbfgs":
        stop = EarlyStopping(
            monitor="valid_loss",
            patience=params.n_iter_no_change,
            threshold=params.tol,
            threshold_mode="abs",
            load_best=True,
        )
        settings["callbacks"] = [("early_stopping", stop), *(users or [])]
    return settings


def _dataset(
    net: AlignedNet,
    X: np.ndarray,
    y: np.ndarray,
    sample_weight: np.ndarray,
    rows: np.ndarray,
) -> TableDataset:
    """Turn rows into tensors in the net's dtype."""
    if len(rows) < len(X):
        X, y, sample_weight = X[rows], y[rows], sample_weight[rows]
    return TableDataset(
        torch.as_tensor(X, dtype=net.dtype),
        torch.as_tensor(y, dtype=net.dtype),
        torch.as_tensor(sample_weight, dtype=net.dtype),
    )
