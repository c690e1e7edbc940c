"""Trained copies of one module: their weights, their losses, their outputs."""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn

from llmreg.batched_mlp import LayerProgram, layers_of

_OUTPUT_ROWS = 8_192


def trainable(module: nn.Module) -> list[tuple[str, nn.Parameter]]:
    """Name the parameters that are trained, each of them once."""
    return [(n, p) for n, p in module.named_parameters() if p.requires_grad]


class Members:
    """Trained copies of one module.

    Parameters
    ----------
    module : nn.Module
        What they are copies of.
    stacked : dict of str to Tensor
        Parameters and buffers by name, with the members along the first axis.
    history : Tensor of shape (n_epochs, n_members)
        Training losses, the mean over the batches of each epoch.
    moments : list of dict of str to Tensor, default=()
        The two moments of Adam where it stopped, by name, as `stacked`.
    n_steps : int, default=0
        Steps that Adam has made.

    Examples
    --------
    >>> import torch
    >>> from llmreg.batched import train_members
    >>> from llmreg.criterion import AttributionAlignedLoss
    >>> from llmreg.net import MLP
    >>> X = torch.rand(6, 2)
    >>> y = torch.tensor([0.0, 1.0, 0.0, 1.0, 0.0, 1.0])
    >>> members = train_members(
    ...     MLP(2, 1),
    ...     X,
    ...     y,
    ...     row_weight=torch.ones(3, 6),
    ...     criterion=AttributionAlignedLoss([[3.0, -1.0]]),
    ...     gamma=torch.tensor([0.0, 1.0, 100.0]),
    ...     max_iter=5,
    ... )
    >>> members.outputs(X).shape, members.history.shape
    (torch.Size([3, 6, 1]), torch.Size([5, 3]))
    """

    def __init__(
        self,
        module: nn.Module,
        stacked: dict[str, Tensor],
        history: Tensor,
        moments: tuple[dict[str, Tensor], ...] = (),
        n_steps: int = 0,
    ) -> None:
        self.module = module
        self.stacked = stacked
        self.history = history
        self.moments = moments
        self.n_steps = n_steps

    def __len__(self) -> int:
        return self.history.shape[1]

    def state_dict(self, k: int) -> dict[str, Tensor]:
        """Return what ``module.load_state_dict`` takes.

        Parameters
        ----------
        k : int
            Which member.

        Returns
        -------
        dict of str to Tensor
            Its parameters and buffers.
        """
        return {name: values[k].clone() for name, values in self.stacked.items()}

    def outputs(self, X: Tensor) -> Tensor:
        """Return the outputs of all members, in evaluation mode.

        Parameters
        ----------
        X : Tensor of shape (n_samples, n_features)
            Encoded rows.

        Returns
        -------
        Tensor of shape (n_members, n_samples, n_outputs)
            Logits, or predictions in regression.
        """
        layers = layers_of(self.module)
        with torch.no_grad():
            if layers is not None:
                parameters = [self.stacked[name] for name, _ in trainable(self.module)]
                run = LayerProgram(layers, None).outputs
                # All members at once: the hidden layers of a block stay in the cache.
                n_rows = max(1, _OUTPUT_ROWS // len(self))
                return in_blocks(lambda block: run(parameters, block), X, n_rows, dim=1)
            module = copy.deepcopy(self.module).eval()
            parts = []
            for k in range(len(self)):
                module.load_state_dict(self.state_dict(k))
                parts.append(in_blocks(module, X, _OUTPUT_ROWS))
            return torch.stack(parts)


def in_blocks(
    run: Callable[[Tensor], Tensor], X: Tensor, n_rows: int, dim: int = 0
) -> Tensor:
    """Compute outputs for blocks of rows, one after the other.

    They are written into one tensor. Collected in a list they would lie between what
    each block needs for a moment, and the allocator could not use that again: a million
    rows took 700 MB more, now and then.

    Parameters
    ----------
    run : callable
        Computes the outputs of a block.
    X : Tensor of shape (n_samples, n_features)
        The rows.
    n_rows : int
        Rows of a block.
    dim : int, default=0
        The axis of the outputs along which the rows lie.

    Returns
    -------
    Tensor
        The outputs of all rows.

    Examples
    --------
    >>> import torch
    >>> from llmreg.members import in_blocks
    >>> in_blocks(lambda block: block.sum(dim=1), torch.ones(5, 2), n_rows=2)
    tensor([2., 2., 2., 2., 2.])
    """
    first = run(X[:n_rows])
    if len(X) <= n_rows:
        return first
    shape = list(first.shape)
    shape[dim] = len(X)
    found = first.new_empty(shape)
    found.narrow(dim, 0, n_rows).copy_(first)
    for start in range(n_rows, len(X), n_rows):
        block = run(X[start : start + n_rows])
        found.narrow(dim, start, block.shape[dim]).copy_(block)
    return found
