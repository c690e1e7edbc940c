"""Train many copies of one module side by side, as one tensor program.

A search over strengths of the prior, folds and repetitions trains the same small
module on the same rows many times. One by one, nearly all of the time goes into
calling torch; side by side, a call serves every copy, here called a member.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from llmreg import optimizers
from llmreg.batched_mlp import LayerProgram, layers_of
from llmreg.batched_module import ModuleProgram, is_batchable, train_one
from llmreg.batched_relu import ReluProgram
from llmreg.criterion import AttributionAlignedLoss
from llmreg.members import Members, trainable
from llmreg.objective import Batch, Batches, Objective
from llmreg.reproducibility import torch_seed
from llmreg.stages import steps

_BETAS = (0.9, 0.999)
_EPSILON = 1e-8

# What torch raises where an operation cannot be mapped over members. A mistake in
# a user's module raises them too, and raises them again in the plain loop.
_NOT_BATCHABLE = (RuntimeError, TypeError, ValueError)


class Program(Protocol):
    """What computes the losses of all members and their gradients."""

    def of_members(self, some: slice) -> Program:
        """Return the program of some of the members."""

    def n_together(self, width: int, n_rows: int) -> int:
        """Return how many members are best trained together."""

    def gradients(
        self, parameters: list[Tensor], batch: Batch, out: list[Tensor]
    ) -> Tensor:
        """Write gradients into `out`, shaped as the parameters; return losses, (K,)."""


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
    offset: Tensor | None = None,
) -> Members:
    """Train copies of a module on aligned loss with Adam, side by side.

    Member k ends where :class:`~llmreg.net.AlignedNet` ends that is trained alone,
    on the rows that have a weight in ``row_weight[k]``, up to rounding; a row
    without weight has no influence. The default modules take closed-form passes,
    other modules `torch.func`; a module that cannot be mapped over members (its
    rows see one another, its buffers change, an operation has no rule) is trained
    in a plain loop. All tensors are on one device and of one floating point type, but
    for `X`, which may be of less precision than the others.

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
    offset : Tensor of shape (n_members, n_samples, n_outputs), default=None
        Added to the outputs in the task loss: what another model says of the rows,
        for members that learn what it leaves over.

    Returns
    -------
    Members
        The trained members.

    Raises
    ------
    ValueError
        If `start` is unknown, or "varied" for a module that cannot draw new weights.
    """
    objective = Objective.of(criterion, gamma, direction, l2, like=row_weight)
    K = len(row_weight)
    batches = Batches(X, y, row_weight, batch_size or len(X), seed, offset)
    modules = _starts(module, K, start, seed)
    adam = (max_iter, learning_rate)
    layers = layers_of(module)
    if layers is not None:
        program: Program = (
            ReluProgram(objective)
            if ReluProgram.serves(layers, objective)
            else LayerProgram(layers, objective)
        )
        return _train_batched(program, modules, batches, *adam)
    if is_batchable(module, X):
        try:
            with torch_seed(seed, str(X.device)):
                generic = ModuleProgram(module, objective)
                return _train_batched(generic, modules, batches, *adam)
        except _NOT_BATCHABLE:
            # From the start, so that nothing of a broken run is left.
            batches = Batches(X, y, row_weight, batch_size or len(X), seed, offset)
            modules = _starts(module, K, start, seed)
    return _train_each(modules, objective, batches, *adam, seed)


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
    left = {id(p) for _, p in trainable(redrawn)}
    with torch_seed(seed):
        for part in redrawn.modules():
            reset = getattr(part, "reset_parameters", None)
            if callable(reset):
                reset()
                left -= {id(p) for p in part.parameters()}
    if left:
        names = [name for name, p in trainable(redrawn) if id(p) in left]
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
    """Train all members with one Adam, as many of them at a time as suits."""
    names = [name for name, _ in trainable(modules[0])]
    starts = [dict(trainable(m)) for m in modules]
    stacks = [torch.stack([s[name].detach() for s in starts]) for name in names]
    # One tensor holds the parameters of all members, so that a step of Adam is a
    # handful of operations whatever the module.
    state = Adam(torch.cat([stack.flatten() for stack in stacks]), learning_rate)
    views = [_views(vector, stacks) for vector in state.vectors]
    parts = list(_parts(program, views[0], views[1], batches.batch_size))
    history = []
    with torch.no_grad():
        epochs = batches.epochs(max_iter)
        for epoch in steps(epochs, "passes", "pass", max_iter, may_stop=True):
            losses, counts = [], []
            for batch in epoch:
                found = [part.gradients(batch) for part in parts]
                state.step()
                losses.append(found[0] if len(found) == 1 else torch.cat(found))
                counts.append(batch.n_rows)
            history.append(_mean_loss(losses, counts))
    stacked = _with_constants(modules, dict(zip(names, views[0], strict=True)))
    moments = tuple(dict(zip(names, views[i], strict=True)) for i in (2, 3))
    return Members(modules[0], stacked, torch.stack(history), moments, state.n_steps)


def _mean_loss(losses: list[Tensor], counts: list[Tensor]) -> Tensor:
    """Return the losses of an epoch, where a batch counts by its rows."""
    if len(losses) == 1:
        return losses[0]
    rows = torch.stack(counts)
    total = (torch.stack(losses) * rows).sum(dim=0)
    return total / rows.sum(dim=0).clamp_min(1)


@dataclass(frozen=True)
class Part:
    """Members whose gradients are computed together."""

    program: Program
    some: slice | None
    parameters: list[Tensor]
    out: list[Tensor]

    def gradients(self, batch: Batch) -> Tensor:
        """Write their gradients to their place; return their losses."""
        if self.some is not None:
            batch = batch.of_members(self.some)
        return self.program.gradients(self.parameters, batch, self.out)


def _parts(
    program: Program, parameters: list[Tensor], out: list[Tensor], n_rows: int
) -> Iterator[Part]:
    """Share out the members in parts that suit the machine."""
    n_members = len(parameters[0])
    width = max(p.shape[1] if p.ndim > 1 else 1 for p in parameters)
    n_together = max(1, program.n_together(width, n_rows))
    if n_together >= n_members:
        yield Part(program, None, parameters, out)
        return
    for first in range(0, n_members, n_together):
        some = slice(first, first + n_together)
        mine = ([p[some] for p in parameters], [g[some] for g in out])
        yield Part(program.of_members(some), some, *mine)


class Adam:
    """Adam on one vector, as torch's, with fewer operations.

    Parameters
    ----------
    values : Tensor
        What is trained, in place.
    learning_rate : float
        Step size.
    """

    def __init__(self, values: Tensor, learning_rate: float) -> None:
        self.learning_rate = learning_rate
        self.n_steps = 0
        # Values, gradient, and the running means of gradient and of its square.
        self.vectors = (values, *(torch.zeros_like(values) for _ in range(3)))

    def step(self) -> None:
        """Make a step."""
        self.n_steps += 1
        values, gradient, mean, square = self.vectors
        mean.lerp_(gradient, 1 - _BETAS[0])
        square.mul_(_BETAS[1]).addcmul_(gradient, gradient, value=1 - _BETAS[1])
        # The scale of the squares goes into the two numbers instead.
        scale = (1 - _BETAS[1] ** self.n_steps) ** 0.5
        rate = self.learning_rate / (1 - _BETAS[0] ** self.n_steps)
        divisor = square.sqrt().add_(_EPSILON * scale)
        values.addcdiv_(mean, divisor, value=-rate * scale)


def _views(flat: Tensor, stacks: list[Tensor]) -> list[Tensor]:
    """Cut a flat vector into views shaped as the stacked parameters."""
    parts = torch.split(flat, [stack.numel() for stack in stacks])
    return [part.view_as(stack) for part, stack in zip(parts, stacks, strict=True)]


def _with_constants(
    modules: list[nn.Module], trained: dict[str, Tensor]
) -> dict[str, Tensor]:
    """Complete trained parameters to what a state dict holds, stacked."""
    by_identity = {id(p): trained[name] for name, p in trainable(modules[0])}
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
    states, history, K = [], [], len(modules)
    for k, start in enumerate(steps(modules, "copies", "copy", K)):
        mine = objective.of_members(slice(k, k + 1))
        module = copy.deepcopy(start)
        optimizer = optimizers.Adam(module.parameters(), learning_rate)
        epochs = batches.of_member(k).epochs(max_iter)
        with torch_seed(seed + k, str(batches.X.device)):
            losses = [train_one(module, optimizer, mine, epoch) for epoch in epochs]
        states.append(module.state_dict())
        history.append(torch.stack(losses))
    stacked = {name: torch.stack([s[name] for s in states]) for name in states[0]}
    return Members(modules[0], stacked, torch.stack(history, dim=1))
