"""Train many copies of one module side by side, as one tensor program.

A search over strengths of the prior, folds and repetitions trains the same small
module on the same rows many times. One by one, nearly all of the time goes into
calling torch; side by side, a call serves every copy, here called a member.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Protocol

import torch
from torch import Tensor, nn

from llmreg.batched_mlp import LayerProgram, layers_of
from llmreg.batched_module import ModuleProgram, is_batchable, train_one
from llmreg.criterion import AttributionAlignedLoss
from llmreg.objective import Batch, Objective
from llmreg.reproducibility import torch_seed

_BETAS = (0.9, 0.999)
_EPSILON = 1e-8
_OUTPUT_ROWS = 8_192

# What torch raises where an operation cannot be mapped over members. A mistake in
# a user's module raises them too, and raises them again in the plain loop.
_NOT_BATCHABLE = (RuntimeError, TypeError, ValueError)


class Program(Protocol):
    """What computes the losses of all members and their gradients."""

    def gradients(
        self, parameters: list[Tensor], batch: Batch
    ) -> tuple[Tensor, list[Tensor]]:
        """Return losses, (K,), and gradients, shaped as the parameters."""


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
        if layers is not None:
            parameters = [self.stacked[name] for name, _ in _trainable(self.module)]
            run = LayerProgram(layers, None).outputs
            # All members at once: blocks keep the hidden layers of all in the cache.
            rows = max(1, _OUTPUT_ROWS // len(self))
            with torch.no_grad():
                return torch.cat(
                    [run(parameters, block) for block in torch.split(X, rows)], dim=1
                )
        module = copy.deepcopy(self.module).eval()
        parts = []
        with torch.no_grad():
            for k in range(len(self)):
                module.load_state_dict(self.state_dict(k))
                parts.append(
                    torch.cat([module(block) for block in torch.split(X, _OUTPUT_ROWS)])
                )
        return torch.stack(parts)


def train_members(
    module: nn.Module,
    X: Tensor,
    y: Tensor,
    *,
    row_weight: Tensor,
    criterion: AttributionAlignedLoss,
    gamma: Tensor,
    direction: Tensor | None = None,
    l2: Tensor | float = 0.0,
    max_iter: int = 200,
    learning_rate: float = 0.01,
    batch_size: int | None = None,
    seed: int = 0,
    start: str = "same",
) -> Members:
    """Train copies of a module on aligned loss with Adam, side by side.

    Member k ends where :class:`~llmreg.net.AlignedNet` ends that is trained alone,
    on the rows that have a weight in ``row_weight[k]``, up to rounding; a row
    without weight has no influence. The default modules take closed-form passes,
    other modules `torch.func`; a module that cannot be mapped over members (its
    rows see one another, its buffers change, an operation has no rule) is trained
    in a plain loop. All tensors are on one device and of one floating point type.

    Parameters
    ----------
    module : nn.Module
        The initialized module. It is not changed.
    X : Tensor of shape (n_samples, n_features)
        Encoded rows.
    y : Tensor of shape (n_samples,) or (n_samples, n_outputs)
        Encoded targets.
    row_weight : Tensor of shape (n_members, n_samples)
        Weights of the rows for each member, at least 0. Zero leaves a row out.
    criterion : AttributionAlignedLoss
        The loss. Its own `gamma` is not used.
    gamma : Tensor of shape (n_members,)
        Weight of the penalty for each member.
    direction : Tensor of shape (n_members, n_outputs, n_features), default=None
        Unit vectors that take the place of the criterion's, with zeros where the
        criterion knows no score. None: the criterion's own for every member.
    l2 : Tensor of shape (n_members,) or float, default=0.0
        Half of it times the squared weights (biases left out) is added to the loss.
    max_iter : int, default=200
        Passes over the rows.
    learning_rate : float, default=0.01
        Step size of Adam.
    batch_size : int, default=None
        Rows of a step, in a new order for every pass. None: all rows. A step in
        which a member has no row leaves it to the other terms of its loss.
    seed : int, default=0
        Seed of the orders, of the starts and of a module that draws numbers.
    start : {"same", "varied"}, default="same"
        Start every member from the weights of `module`, or member k from new ones,
        drawn from the seed `seed` + k.

    Returns
    -------
    Members
        The trained members.

    Raises
    ------
    ValueError
        If `start` is unknown, or "varied" for a module that cannot draw new weights.
    """
    objective = Objective.of(criterion, gamma, direction, l2, like=X)
    K = len(row_weight)
    batches = Batches(X, y, row_weight, batch_size or len(X), seed)
    modules = _starts(module, K, start, seed)
    adam = (max_iter, learning_rate)
    layers = layers_of(module)
    if layers is not None:
        program = LayerProgram(layers, objective)
        return _train_batched(program, modules, batches, *adam)
    if is_batchable(module, X):
        try:
            with torch_seed(seed, str(X.device)):
                generic = ModuleProgram(module, objective)
                return _train_batched(generic, modules, batches, *adam)
        except _NOT_BATCHABLE:
            # From the start, so that nothing of a broken run is left.
            batches = Batches(X, y, row_weight, batch_size or len(X), seed)
            modules = _starts(module, K, start, seed)
    return _train_each(modules, objective, batches, *adam, seed)


class Batches:
    """Rows, targets and weights in batches, in a seeded order.

    Parameters
    ----------
    X : Tensor of shape (n_samples, n_features)
        Encoded rows.
    y : Tensor of shape (n_samples,) or (n_samples, n_outputs)
        Encoded targets.
    row_weight : Tensor of shape (n_members, n_samples)
        Weights of the rows.
    batch_size : int
        Rows of a batch. No order is drawn where one holds all of them.
    seed : int
        Seed of the orders, which are those of :class:`~llmreg.net.BatchIterator`.
    """

    def __init__(
        self, X: Tensor, y: Tensor, row_weight: Tensor, batch_size: int, seed: int
    ) -> None:
        self.X, self.y, self.row_weight = X, y, row_weight
        self.batch_size = batch_size
        self.seed = seed

    def epochs(self, n_epochs: int) -> Iterator[list[Batch] | Iterator[Batch]]:
        """Yield the batches of every pass."""
        if self.batch_size >= len(self.X):
            # Nothing of it changes from pass to pass.
            whole = [Batch.of(self.X, self.y, self.row_weight)]
            for _ in range(n_epochs):
                yield whole
            return
        generator = torch.Generator().manual_seed(self.seed)
        for _ in range(n_epochs):
            order = torch.randperm(len(self.X), generator=generator)
            yield (self.take(rows) for rows in torch.split(order, self.batch_size))

    def take(self, rows: Tensor) -> Batch:
        """Return the batch of some rows."""
        rows = rows.to(self.X.device)
        return Batch.of(self.X[rows], self.y[rows], self.row_weight[:, rows])

    def of_member(self, k: int) -> Batches:
        """Return the batches as member `k` alone sees them."""
        return Batches(
            self.X, self.y, self.row_weight[k : k + 1], self.batch_size, self.seed
        )


def _trainable(module: nn.Module) -> list[tuple[str, nn.Parameter]]:
    """Name the parameters that are trained, each of them once."""
    return [(n, p) for n, p in module.named_parameters() if p.requires_grad]


def _starts(module: nn.Module, K: int, start: str, seed: int) -> list[nn.Module]:
    """Return the modules that the members start from; the same one, or new ones."""
    if start == "same":
        return [module] * K
    if start != "varied":
        raise ValueError(f"start must be 'same' or 'varied', got {start!r}.")
    return [_redrawn(module, seed + k) for k in range(K)]


def _redrawn(module: nn.Module, seed: int) -> nn.Module:
    """Return a copy with weights as new from a seed."""
    # In the type in which modules are made: others draw other numbers.
    redrawn = copy.deepcopy(module).to(torch.device("cpu"), torch.get_default_dtype())
    left = {id(p) for _, p in _trainable(redrawn)}
    with torch_seed(seed):
        for part in redrawn.modules():
            reset = getattr(part, "reset_parameters", None)
            if callable(reset):
                reset()
                left -= {id(p) for p in part.parameters()}
    if left:
        names = [name for name, p in _trainable(redrawn) if id(p) in left]
        raise ValueError(
            f"start='varied' draws new weights with reset_parameters, but {names} "
            "belong to modules without that method. Add it, or use start='same'."
        )
    state = redrawn.state_dict()
    redrawn = copy.deepcopy(module)
    redrawn.load_state_dict(state)
    return redrawn


def _train_batched(
    program: Program,
    modules: list[nn.Module],
    batches: Batches,
    max_iter: int,
    learning_rate: float,
) -> Members:
    """Train all members with one program and one Adam."""
    names = [name for name, _ in _trainable(modules[0])]
    starts = [dict(_trainable(m)) for m in modules]
    stacks = [torch.stack([s[name].detach() for s in starts]) for name in names]
    # One tensor holds the parameters of all members, so that a step of Adam is a
    # handful of operations whatever the module.
    flat = torch.cat([stack.flatten() for stack in stacks])
    gradient = torch.zeros_like(flat)
    mean, square = torch.zeros_like(flat), torch.zeros_like(flat)
    parameters, gradients, means, squares = (
        _views(vector, stacks) for vector in (flat, gradient, mean, square)
    )
    n_steps = 0
    history = []
    for epoch in batches.epochs(max_iter):
        total = count = torch.zeros((), dtype=flat.dtype, device=flat.device)
        for batch in epoch:
            losses, found = program.gradients(parameters, batch)
            with torch.no_grad():
                torch._foreach_copy_(gradients, found)
                n_steps += 1
                _adam(flat, gradient, mean, square, n_steps, learning_rate)
                total = total + losses * batch.n_rows
                count = count + batch.n_rows
        history.append(total / count.clamp_min(1))
    stacked = _with_constants(modules, dict(zip(names, parameters, strict=True)))
    moments = tuple(dict(zip(names, views, strict=True)) for views in (means, squares))
    return Members(modules[0], stacked, torch.stack(history), moments, n_steps)


def _adam(
    flat: Tensor,
    gradient: Tensor,
    mean: Tensor,
    square: Tensor,
    n_steps: int,
    learning_rate: float,
) -> None:
    """Make a step of Adam in place, in torch's own order of operations."""
    mean.lerp_(gradient, 1 - _BETAS[0])
    square.mul_(_BETAS[1]).addcmul_(gradient, gradient, value=1 - _BETAS[1])
    scale = (1 - _BETAS[1] ** n_steps) ** 0.5
    divisor = square.sqrt().div_(scale).add_(_EPSILON)
    flat.addcdiv_(mean, divisor, value=-learning_rate / (1 - _BETAS[0] ** n_steps))


def _views(flat: Tensor, stacks: list[Tensor]) -> list[Tensor]:
    """Cut a flat vector into views shaped as the stacked parameters."""
    parts = torch.split(flat, [stack.numel() for stack in stacks])
    return [part.view_as(stack) for part, stack in zip(parts, stacks, strict=True)]


def _with_constants(
    modules: list[nn.Module], trained: dict[str, Tensor]
) -> dict[str, Tensor]:
    """Complete trained parameters to what a state dict holds, stacked."""
    by_identity = {id(p): trained[name] for name, p in _trainable(modules[0])}
    tied = {
        name: by_identity[id(p)]
        for name, p in modules[0].named_parameters(remove_duplicate=False)
        if id(p) in by_identity
    }
    states = [module.state_dict() for module in modules]
    return {
        name: tied[name] if name in tied else torch.stack([s[name] for s in states])
        for name in states[0]
    }


def _train_each(
    modules: list[nn.Module],
    objective: Objective,
    batches: Batches,
    max_iter: int,
    learning_rate: float,
    seed: int,
) -> Members:
    """Train the members one after the other, as the net trains a module."""
    states, history = [], []
    for k, start in enumerate(modules):
        module = copy.deepcopy(start)
        optimizer = torch.optim.Adam(module.parameters(), learning_rate)
        epochs = batches.of_member(k).epochs(max_iter)
        with torch_seed(seed + k, str(batches.X.device)):
            losses = [
                train_one(module, optimizer, objective.of_member(k), epoch)
                for epoch in epochs
            ]
        states.append(module.state_dict())
        history.append(torch.stack(losses))
    stacked = {name: torch.stack([s[name] for s in states]) for name in states[0]}
    return Members(modules[0], stacked, torch.stack(history, dim=1))
