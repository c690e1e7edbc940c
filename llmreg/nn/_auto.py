"""``gamma="auto"``, carried out: a net that trusts the prior as far as the rows do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np
import torch

from llmreg._utils._reproducibility import torch_seed
from llmreg.linear_model._train import TrustedModel, TrustSearch
from llmreg.nn._factory import CorrectedModel, is_averaged, is_linear, module_factory
from llmreg.nn._net import AlignedNet, check_module
from llmreg.nn._residual import train_residual
from llmreg.nn._training import train
from llmreg.prior._feature_prior import FeaturePrior

#: Makes a net; takes gamma, the score transform and the number of corrections.
MakeNet = Callable[..., AlignedNet]


def train_automatically(
    make_net: MakeNet,
    X: np.ndarray,
    y: np.ndarray,
    sample_weight: np.ndarray,
    prior: FeaturePrior,
    params: Any,
    *,
    task: str,
    device: str,
    seed: int,
) -> tuple[AlignedNet, TrustedModel]:
    """Find out how far the prior is to be trusted, and train a net accordingly.

    1. Weigh the prior against the rows, for a linear model.
    2. A linear model is done with that: its weights are the average.
    3. Other modules learn what the linear one leaves over.

    Where the parameters ask for something else, a training loop of skorch's, other
    attributions, the search chooses the gamma that the loop then trains with.

    Shapes: X (n_samples, n_columns), y (n_samples,) or (n_samples, n_outputs),
    sample_weight (n_samples,).
    """
    search = TrustSearch(
        prior,
        task=task,
        score_transform=params.score_transform,
        penalty_weights=params.penalty_weights,
        alpha=params.alpha,
        seed=seed,
    )
    model = search.fit(X, y, sample_weight)
    if not is_averaged(params):
        net = make_net(model.gamma, model.score_transform, None)
        with torch_seed(seed, device):
            train(net, X, y, sample_weight, params, seed=seed)
        return net, model
    linear = (model.coef, model.intercept)
    if is_linear(params):
        net = make_net(model.gamma, model.score_transform, None)
        if not model.is_whole:
            # A part of so large a table settles the gamma; the weights are for all.
            train(net, X, y, sample_weight, params, seed=seed)
            return net, model
        net.weight_seen = float(sample_weight.sum())
        net.module_.load_state_dict(
            {"weight": torch.as_tensor(linear[0]), "bias": torch.as_tensor(linear[1])}
        )
        net.n_steps = model.n_iter
        _record(net, 1)
        return net, model

    def fit_linear(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        part = search.fit(X, y, sample_weight, rows)
        return part.coef, part.intercept

    with torch_seed(seed, device):
        made = module_factory(params, X.shape[1], len(model.coef))()
        # What does not fit is told before it is trained; lazy layers become real.
        module = check_module(made, X.shape[1], len(model.coef), torch.float32)
        residual = train_residual(
            module,
            X,
            y,
            sample_weight,
            fit_linear,
            linear,
            task=task,
            alpha=params.alpha,
            learning_rate=params.learning_rate_init,
            max_iter=params.max_iter,
            device=device,
            seed=seed,
        )
    net = make_net(model.gamma, model.score_transform, len(residual.states))
    net.weight_seen = float(sample_weight.sum())
    module = cast(CorrectedModel, net.module_)
    module.load_state_dict(residual.model_state(linear))
    _record(net, residual.n_epochs)
    return net, model


def _record(net: AlignedNet, n_epochs: int) -> None:
    """Write passes into the history, as a training loop does."""
    for number in range(n_epochs):
        net.history.append({"batches": [], "epoch": number + 1})
