"""The way around skorch's loop, for fits that nobody looks into.

The loop of skorch serves callbacks, optimizers and modules of any kind, and takes
longer for that than for training a small module. Where nothing but the trained net
is asked for, the default modules are trained as a batch of one, and the net is
left as the loop would have left it.
"""

from __future__ import annotations

import time
from typing import Any

import torch

from llmreg.batched import train_members
from llmreg.building import asks_for_loop, choose_solver
from llmreg.members import Members
from llmreg.net import MLP, AlignedNet, LinearModel, TableDataset
from llmreg.passes import tell_losses


def trains_at_once(net: AlignedNet, params: Any) -> bool:
    """Tell whether a fit needs nothing of skorch's loop.

    Parameters
    ----------
    net : AlignedNet
        The net.
    params : estimator
        Where the parameters are read from.

    Returns
    -------
    bool
        True for the default modules under Adam, with no settings for skorch but
        those of the criterion, nothing to print or to stop for, and no earlier
        training to go on from.
    """
    return (
        type(net.module_) in (LinearModel, MLP)
        and params.module is None
        and choose_solver(params) == "adam"
        and not asks_for_loop(params)
        and not (params.early_stopping or params.warm_start)
        and not len(net.history)
    )


def train_at_once(
    net: AlignedNet, data: TableDataset, batch_size: int, max_iter: int, seed: int
) -> None:
    """Train a net on rows without skorch's loop, and leave it as the loop does.

    Weights, the moments of the optimizer and the losses of the epochs are those of
    the loop, up to rounding; ``net.history`` has no batches.

    Parameters
    ----------
    net : AlignedNet
        The net, initialized.
    data : TableDataset
        Rows, targets and weights.
    batch_size : int
        Rows of a batch.
    max_iter : int
        Passes over the rows.
    seed : int
        Seed of the order of the rows.
    """
    begin = time.perf_counter()
    device = torch.device(net.device)
    gamma = torch.tensor([net.criterion_.gamma], dtype=net.dtype, device=device)
    members = train_members(
        net.module_,
        data.X.to(device),
        data.y.to(device),
        row_weight=data.sample_weight.to(device).unsqueeze(0),
        criterion=net.criterion_,
        gamma=gamma,
        l2=net.l2,
        max_iter=max_iter,
        learning_rate=net.lr,
        batch_size=batch_size,
        seed=seed,
    )
    net.set_params(batch_size=batch_size, max_epochs=max_iter)
    net.module_.load_state_dict(members.state_dict(0))
    _load_moments(net, members)
    losses = members.history[:, 0].tolist()
    _record(net, losses, (time.perf_counter() - begin) / max_iter)


def _load_moments(net: AlignedNet, members: Members) -> None:
    """Leave the optimizer where it stopped, so that `partial_fit` goes on."""
    means, squares = members.moments
    for name, parameter in net.module_.named_parameters():
        net.optimizer_.state[parameter] = {
            "step": torch.tensor(float(members.n_steps)),
            "exp_avg": means[name][0].clone(),
            "exp_avg_sq": squares[name][0].clone(),
        }


def _record(net: AlignedNet, losses: list[float], seconds: float) -> None:
    """Write the epochs into the history."""
    best = float("inf")
    for loss in losses:
        # Epochs as `record` would write them, field by field and slower.
        net.history.append(
            {
                "batches": [],
                "epoch": len(net.history) + 1,
                "train_loss": loss,
                "train_loss_best": loss < best,
                "dur": seconds,
            }
        )
        best = min(best, loss)
        tell_losses(net.history[-1])
    # The callback remembers it, to judge the epochs of a later `partial_fit`.
    for name, callback in net.callbacks_:
        if name == "train_loss":
            callback.best_score_ = best
