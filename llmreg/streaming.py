"""Going over pieces of a table that is never there as a whole."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from llmreg.net import AlignedNet, TableDataset
from llmreg.optimizers import Adam

# Rows of a step, where `batch_size` leaves it open: pieces of a few hundred rows are
# to be more than one step, and steps on fewer rows are noisy.
_BATCH_ROWS = 200


def stream(
    net: AlignedNet,
    X: np.ndarray,
    y: np.ndarray,
    sample_weight: np.ndarray,
    params: Any,
) -> None:
    """Go over one piece once, in small steps from where the net stands.

    What is not said by rows counts for less the more of them were seen: `alpha`, and
    the penalty of ``gamma="auto"``, are shared out among all rows so far.

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
    """
    if isinstance(net.optimizer_, torch.optim.LBFGS):
        _take_steps(net, params.learning_rate_init)
    weight = float(sample_weight.sum())
    if net.weight_seen:
        share = net.weight_seen / (net.weight_seen + weight)
        net.l2 *= share
        if params.gamma == "auto":
            net.criterion_.gamma *= share
    net.weight_seen += weight
    rows = _BATCH_ROWS if params.batch_size == "auto" else int(params.batch_size)
    # The rows of a piece may be sorted; "lbfgs" had no use for another order.
    net.iterator_train__shuffle = True
    net.set_params(batch_size=min(rows, len(X)), max_epochs=1)
    net.partial_fit(
        TableDataset(
            torch.as_tensor(X),
            torch.as_tensor(y, dtype=net.dtype),
            torch.as_tensor(sample_weight, dtype=net.dtype),
        )
    )


def _take_steps(net: AlignedNet, learning_rate: float) -> None:
    """Put Adam in the place of "lbfgs", which would forget all but the last piece."""
    net.optimizer_ = Adam(net.module_.parameters(), lr=learning_rate)
