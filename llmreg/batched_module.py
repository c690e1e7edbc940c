"""Passes of any module, for many members at once, and the plain loop behind them."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad_and_value, vjp, vmap

from llmreg.objective import Batch, Objective
from llmreg.reproducibility import torch_seed

# How far a row's outputs may move with the rows beside it and still be its own:
# rounding, in single precision too.
_ALONE = 1e-4
_ROWS_TOGETHER = 65_536


class ModuleProgram:
    """Losses and gradients of members of any module, by `torch.func`.

    Parameters
    ----------
    module : nn.Module
        The module. A copy of it is used.
    objective : Objective
        What is minimised.
    """

    def __init__(self, module: nn.Module, objective: Objective) -> None:
        # On no device of its own: the members bring the parameters.
        self.module = copy.deepcopy(module).train()
        self.objective = objective
        named = [(n, p) for n, p in module.named_parameters() if p.requires_grad]
        self.names = [name for name, _ in named]
        self.frozen = [p for p in self.module.parameters() if not p.requires_grad]

    def of_members(self, some: slice) -> ModuleProgram:
        """Return the program of some of the members."""
        return ModuleProgram(self.module, self.objective.of_members(some))

    def n_together(self, width: int, n_rows: int) -> int:
        """Return how many members are best trained together."""
        # Nothing is known of the module's inside: within bounds of memory, all.
        return _ROWS_TOGETHER // n_rows

    def gradients(
        self, parameters: list[Tensor], batch: Batch, out: list[Tensor]
    ) -> Tensor:
        """Write gradients into `out`, shaped as the parameters; return losses, (K,)."""
        objective = self.objective

        def loss(
            one: list[Tensor],
            weight: Tensor,
            gamma: Tensor,
            direction: Tensor,
            l2: Tensor,
            offset: Tensor,
        ) -> Tensor:
            return self._loss(one, batch, weight, gamma, direction, l2, offset)

        offset = batch.offset
        if offset is None:
            offset = objective.gamma.new_zeros(len(objective.gamma), 1, 1)
        gradients, losses = vmap(grad_and_value(loss), randomness="different")(
            [p.detach() for p in parameters],
            batch.weight,
            objective.gamma,
            objective.direction,
            objective.l2,
            offset,
        )
        for mine, gradient in zip(out, gradients, strict=True):
            mine.copy_(gradient)
        return losses

    def _loss(
        self,
        parameters: list[Tensor],
        batch: Batch,
        weight: Tensor,
        gamma: Tensor,
        direction: Tensor,
        l2: Tensor,
        offset: Tensor,
    ) -> Tensor:
        """Return the loss of one member."""
        named = dict(zip(self.names, parameters, strict=True))
        criterion = self.objective.criterion

        def forward(X: Tensor) -> Tensor:
            return functional_call(self.module, named, (X,))

        if self.objective.penalizes:
            outputs, pull = _pullback(forward, batch.X)
        else:
            outputs = forward(batch.X)
        loss = weight @ criterion.task_loss(outputs + offset, batch.y)
        if self.objective.penalizes:
            if criterion.attribution == "integrated_gradients":
                gradients = self._path_gradients(forward, batch.X)
            else:
                gradients = _pulled(pull, outputs)
            if criterion.attribution != "gradient":
                gradients = gradients * batch.X.unsqueeze(1)
            loss = loss + gamma * self._penalty(gradients, weight, direction)
        decayed = [p for p in (*self.frozen, *parameters) if p.ndim > 1]
        return loss + 0.5 * l2 * sum(p.square().sum() for p in decayed)

    def _penalty(
        self, attributions: Tensor, weight: Tensor, direction: Tensor
    ) -> Tensor:
        """Return the penalty of the attributions (n, o, d) of one member."""
        member = Objective(
            self.objective.criterion, weight, direction.unsqueeze(0), weight, True
        )
        if self.objective.criterion.penalty_on == "row":
            rows = attributions.unsqueeze(0)
            return member.penalty_of_rows(rows, weight.unsqueeze(0))[0]
        mean = torch.tensordot(weight, attributions, dims=1)
        return member.penalty_of_mean(mean.unsqueeze(0))[0]

    def _path_gradients(self, forward: Callable[[Tensor], Tensor], X: Tensor) -> Tensor:
        """Return the mean gradient over the line from 0 to each row, (n, o, d)."""
        n_steps = self.objective.criterion.n_steps
        fractions = torch.arange(n_steps, dtype=X.dtype, device=X.device) + 0.5
        points = ((fractions / n_steps)[:, None, None] * X).flatten(0, 1)
        outputs, pull = _pullback(forward, points)
        gradients = _pulled(pull, outputs)
        return gradients.view(n_steps, len(X), *gradients.shape[1:]).mean(dim=0)


def _pullback(
    forward: Callable[[Tensor], Tensor], X: Tensor
) -> tuple[Tensor, Callable[[Tensor], tuple[Tensor, ...]]]:
    """Return the outputs, and what turns their gradients into those of the rows."""
    outputs, pull, *_ = vjp(forward, X)
    return outputs, pull


def _pulled(pull: Callable[[Tensor], tuple[Tensor, ...]], outputs: Tensor) -> Tensor:
    """Return the gradient of each output by each row, (n, o, d)."""
    columns = torch.eye(outputs.shape[1], dtype=outputs.dtype, device=outputs.device)
    gradients = [pull(column.expand_as(outputs))[0] for column in columns]
    return torch.stack(gradients, dim=1)


def is_batchable(module: nn.Module, X: Tensor) -> bool:
    """Tell whether members may share one program: whether rows are on their own.

    Weights of zero leave rows out only where no row sees another, and buffers that
    a pass changes would be changed by rows of other members. Both are tried out,
    on a copy, in training and in evaluation mode.

    Parameters
    ----------
    module : nn.Module
        Any module.
    X : Tensor of shape (n_samples, n_features)
        Encoded rows, a few of which are passed through.

    Returns
    -------
    bool
        False also where it cannot be told, as with a module that draws numbers
        other than by torch's dropout layers.
    """
    if any(p.dtype != X.dtype for p in module.parameters()):
        return False
    probe = copy.deepcopy(module)
    rows = _unlike_rows(X)
    try:
        with torch.no_grad(), torch_seed(0, str(X.device)):
            return all(_is_alone(probe.train(mode), rows) for mode in (True, False))
    except (RuntimeError, TypeError, ValueError):
        # As batch normalisation on a single row: whatever it is, the loop will do.
        return False


def _unlike_rows(X: Tensor) -> Tensor:
    """Return three rows, two of them far apart."""
    far = (X - X[0]).square().sum(dim=1).argmax()
    other = X[0] + 0.37 * (X[far] - X[0]) + 0.11
    return torch.stack([X[0], X[far], other])


def _is_alone(probe: nn.Module, rows: Tensor) -> bool:
    """Tell whether outputs are each row's own, the same again, and leave no trace."""
    for part in probe.modules():
        if isinstance(part, nn.modules.dropout._DropoutNd):
            part.eval()
    before = {name: buffer.clone() for name, buffer in probe.named_buffers()}
    together = probe(rows)
    one_by_one = torch.cat([probe(row) for row in torch.split(rows, 1)])
    again = probe(rows)
    unchanged = all(torch.equal(before[n], b) for n, b in probe.named_buffers())
    close = torch.allclose(together, one_by_one, rtol=_ALONE, atol=_ALONE)
    return unchanged and close and torch.equal(together, again)


def train_one(
    module: nn.Module,
    optimizer: torch.optim.Optimizer,
    objective: Objective,
    epoch: Iterable[Batch],
) -> Tensor:
    """Train one member for a pass, on the rows that have a weight for it.

    Parameters
    ----------
    module : nn.Module
        What is trained.
    optimizer : Optimizer
        Its optimizer.
    objective : Objective
        The objective of this one member.
    epoch : iterable of Batch
        The batches of the pass, with the weights of this one member.

    Returns
    -------
    Tensor
        The mean loss, a scalar.
    """
    total = torch.zeros((), dtype=objective.gamma.dtype, device=objective.gamma.device)
    count = 0
    module.train()
    for batch in epoch:
        present = batch.weight[0] > 0
        X = batch.X[present].requires_grad_(objective.penalizes)
        optimizer.zero_grad()
        matrices = [p for p in module.parameters() if p.ndim > 1]
        loss = 0.5 * objective.l2[0] * sum(p.square().sum() for p in matrices)
        if len(X):
            loss = loss + _aligned_loss(module, objective, X, batch, present)
        if loss.requires_grad:
            torch.autograd.backward(loss)
            optimizer.step()
        total = total + loss.detach() * len(X)
        count += len(X)
    return total / max(count, 1)


def _aligned_loss(
    module: nn.Module, objective: Objective, X: Tensor, batch: Batch, present: Tensor
) -> Tensor:
    """Return task loss and penalty of one member, by the criterion itself."""
    criterion = copy.copy(objective.criterion).train()
    # A copy of the buffers' table: the criterion of the other members stays.
    criterion._buffers = dict(criterion._buffers)
    criterion.direction = objective.direction[0]
    criterion.gamma = 0.0
    weight = batch.weight[0, present]
    outputs = module(X)
    known = 0.0 if batch.offset is None else batch.offset[0, present]
    loss: Tensor = criterion(outputs + known, batch.y[present], sample_weight=weight)
    if objective.penalizes:
        penalty = criterion.penalty(X, module, outputs, weight)
        loss = loss + objective.gamma[0] * penalty
    return loss
