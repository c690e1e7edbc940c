"""``gamma="auto"``, carried out: a net that trusts the prior as far as the rows do."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from typing import Any

import numpy as np
import torch

from llmreg._utils._reproducibility import torch_seed
from llmreg.linear_model._averaging import AveragedModel, average_models
from llmreg.nn._factory import is_averaged, is_linear, module_factory
from llmreg.nn._net import AlignedNet, check_module
from llmreg.nn._residual import train_residual
from llmreg.nn._training import train
from llmreg.prior._feature_prior import FeaturePrior


def train_automatically(
    make_net: Callable[..., AlignedNet],
    X: np.ndarray,
    y: np.ndarray,
    sample_weight: np.ndarray,
    prior: FeaturePrior,
    params: Any,
    *,
    task: str,
    device: str,
    seed: int,
) -> tuple[AlignedNet, AveragedModel]:
    """Find out how far the prior is to be trusted, and train a net accordingly.

    1. Weigh the prior against the rows, for a linear model.
    2. A linear model is done with that: its weights are the average.
    3. Other modules learn what the linear one leaves over.

    Where the parameters ask for something else, a training loop of skorch's, other
    attributions, the average chooses the gamma that the loop then trains with.
    `make_net` takes gamma, the score transform and the number of corrections.
    """
    average = partial(
        average_models,
        prior=prior,
        task=task,
        score_transform=params.score_transform,
        penalty_weights=params.penalty_weights,
        alpha=params.alpha,
        seed=seed,
    )
    model = average(X, y, sample_weight)
    make_net = partial(make_net, model.gamma, model.score_transform)
    in_loop = not is_averaged(params)
    if in_loop or (is_linear(params) and not model.is_whole):
        # A part of a very large table settles the gamma; the weights are for all rows.
        net = make_net(None)
        with torch_seed(seed, device) if in_loop else nullcontext():
            train(net, X, y, sample_weight, params, seed=seed)
        return net, model
    linear = (model.coef, model.intercept)
    if is_linear(params):
        net, n_epochs = make_net(None), 1
        net.n_steps = model.n_iter
        state = dict(zip(("weight", "bias"), map(torch.as_tensor, linear), strict=True))
    else:

        def fit_linear(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            part = average(X[rows], y[rows], sample_weight[rows])
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
        net, n_epochs = make_net(len(residual.states)), residual.n_epochs
        state = residual.model_state(linear)
    net.weight_seen = float(sample_weight.sum())
    net.module_.load_state_dict(state)
    for number in range(n_epochs):
        # As a training loop writes passes into the history.
        net.history.append({"batches": [], "epoch": number + 1})
    return net, model
