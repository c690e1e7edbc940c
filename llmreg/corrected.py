"""A linear model, and nets that learn what it leaves over."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from llmreg.net import LinearModel


class CorrectedModel(nn.Module):
    """A linear model plus a weighted sum of corrections.

    This is what ``gamma="auto"`` makes of a module: the linear part is how far the
    prior is trusted, and what the rows say beyond it goes into copies of the module.

    Parameters
    ----------
    factory : callable
        Makes a module that maps inputs to outputs.
    n_features, n_outputs : int
        Widths of the input and of the output.
    n_corrections : int
        Number of copies of the module.

    Examples
    --------
    >>> import torch
    >>> from llmreg.corrected import CorrectedModel
    >>> model = CorrectedModel(lambda: torch.nn.Linear(3, 1), 3, 1, n_corrections=2)
    >>> model(torch.zeros(4, 3)).shape
    torch.Size([4, 1])
    """

    shares: Tensor

    def __init__(
        self,
        factory: Callable[[], nn.Module],
        n_features: int,
        n_outputs: int,
        n_corrections: int,
    ) -> None:
        super().__init__()
        self.linear = LinearModel(n_features, n_outputs)
        self.corrections = nn.ModuleList([factory() for _ in range(n_corrections)])
        self.register_buffer("shares", torch.zeros(n_corrections))

    def forward(self, X: Tensor) -> Tensor:
        """Return the outputs for rows.

        Parameters
        ----------
        X : Tensor of shape (n_samples, n_features)
            Encoded rows.

        Returns
        -------
        Tensor of shape (n_samples, n_outputs)
            Logits, or predictions.
        """
        outputs: Tensor = self.linear(X)
        for share, correction in zip(self.shares, self.corrections, strict=True):
            outputs = outputs + share * correction(X)
        return outputs
