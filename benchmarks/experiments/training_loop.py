"""The training loop of the paper's authors: what the speed is measured against.

skorch's :class:`~skorch.NeuralNet` with torch's DataLoader, Adam at 0.01 for 200
epochs, the gradient penalty by a second backward pass. Written for skorch and torch
as they come, without any of this package's own shortcuts but the loss itself.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from skorch import NeuralNet
from torch import Tensor, nn

from llmreg.criterion import AttributionAlignedLoss

N_EPOCHS, LEARNING_RATE, BATCH_SIZE = 200, 0.01, 2_048


class PlainNet(NeuralNet):
    """A skorch net whose criterion gets the inputs and the module."""

    def train_step_single(self, batch: Any, **fit_params: Any) -> dict[str, Tensor]:
        """Train on a batch whose inputs collect gradients."""
        X, y = batch
        step: dict[str, Tensor] = super().train_step_single(
            (X.requires_grad_(True), y), **fit_params
        )
        return step

    def get_loss(
        self, y_pred: Tensor, y_true: Any, X: Any = None, training: bool = False
    ) -> Tensor:
        """Return the aligned loss of a batch."""
        loss: Tensor = self.criterion_(y_pred, y_true, X=X, module=self.module_)
        return loss


def fit_by_loop(
    X: np.ndarray,
    y: np.ndarray,
    scores: np.ndarray,
    *,
    hidden: int | None,
    n_epochs: int = N_EPOCHS,
) -> NeuralNet:
    """Train the linear model or the network of one hidden layer.

    The rows are scaled already, the classes are 0 and 1. Without `hidden` it is the
    linear model.
    """
    torch.manual_seed(0)
    width = X.shape[1]
    module: nn.Module = nn.Linear(width, 1)
    if hidden:
        module = nn.Sequential(
            nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, 1)
        )
    net = PlainNet(
        module,
        AttributionAlignedLoss,
        criterion__scores=scores[None],
        criterion__gamma=100.0,
        criterion__score_transform="exp",
        optimizer=torch.optim.Adam,
        lr=LEARNING_RATE,
        max_epochs=n_epochs,
        batch_size=BATCH_SIZE,
        train_split=None,
        verbose=0,
    )
    net.initialize()
    net.criterion_.float()
    return net.partial_fit(X.astype(np.float32), y.astype(np.float32))
