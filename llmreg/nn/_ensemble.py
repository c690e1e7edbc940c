"""Train copies of one module side by side, stacked into one tensor program.

The residual ensemble trains the same small module on the same rows many times. One by
one, nearly all of the time goes into calling torch; stacked, a call serves every copy.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap
from torch.nn import functional as F

from llmreg._utils._progress import steps
from llmreg._utils._reproducibility import torch_seed
from llmreg.nn._loss import AttributionAlignedLoss
from llmreg.nn._net import MLP, Adam

# Hidden activations computed at a time: what the cache of a core has room for.
_TILE = 2**18
# How far the outputs of a row may move with the rows beside it and still be its own:
# rounding, in single precision too.
_ALONE = 1e-4
_BETAS = (0.9, 0.999)
_EPSILON = 1e-8


class Rows(NamedTuple):
    """Rows as K copies see them."""

    X: Tensor
    y: Tensor
    weight: Tensor  # (K, n)
    offset: Tensor  # Added to the outputs, (K, n, o).
    l2: Tensor  # Strengths of the weight decay, (K,).

    def take(self, rows: slice | Tensor) -> Rows:
        """Return a batch, with weights that sum to 1 for each copy, or are all 0."""
        weight = self.weight[:, rows]
        total = weight.sum(dim=1, keepdim=True)
        weight = weight / torch.where(total > 0, total, torch.ones_like(total))
        offset = self.offset[:, rows]
        return Rows(self.X[rows], self.y[rows], weight, offset, self.l2)

    def of(self, copies: slice) -> Rows:
        """Return the rows as some of the copies see them."""
        mine = [values[copies] for values in (self.weight, self.offset, self.l2)]
        return Rows(self.X, self.y, *mine)

    def epochs(
        self, n_epochs: int, batch_size: int, seed: int
    ) -> Iterator[Iterable[Rows]]:
        """Yield the batches of every epoch, in a seeded order."""
        if batch_size >= len(self.X):
            yield from [[self.take(slice(None))]] * n_epochs
            return
        generator = torch.Generator().manual_seed(seed)
        for _ in range(n_epochs):
            order = torch.randperm(len(self.X), generator=generator)
            batches = torch.split(order.to(self.X.device), batch_size)
            yield (self.take(rows) for rows in batches)


#: Writes the gradients of stacked parameters on a batch into the last argument.
Gradients = Callable[[list[Tensor], Rows, list[Tensor]], None]


def train_copies(
    module: nn.Module,
    rows: Rows,
    criterion: AttributionAlignedLoss,
    *,
    learning_rate: float,
    n_epochs: int,
    batch_size: int,
    seed: int,
) -> tuple[list[dict[str, Tensor]], int]:
    """Train copies of a module on the task loss with Adam; return states and epochs.

    Copy k ends where the module ends that is trained alone on its rows, up to rounding.
    A module that cannot be mapped over copies (its rows see one another, its buffers
    change, an operation has no rule) is trained in a plain loop.
    """
    device, n_copies = str(rows.X.device), len(rows.l2)

    def epochs(rows: Rows) -> Iterator[Iterable[Rows]]:
        return rows.epochs(n_epochs, batch_size, seed)

    if is_relu_mlp(module):
        tile = len(next(module.parameters())) * batch_size
        n_together = max(1, _TILE // tile) if device == "cpu" else n_copies
        gradients = functools.partial(_relu_gradients, criterion.task)
        stack = Stack(module, n_copies, learning_rate, n_together)
        return stack.train(gradients, epochs(rows), n_epochs)
    if is_batchable(module, rows.X):
        stack = Stack(module, n_copies, learning_rate, n_copies)
        try:
            with torch_seed(seed, device):
                by_func = _module_gradients(module, criterion)
                return stack.train(by_func, epochs(rows), n_epochs)
        except (RuntimeError, TypeError, ValueError):
            # What torch raises where an operation cannot be mapped over copies. A
            # mistake in a user's module raises them too, and again in the plain loop.
            pass
    states = []
    for k in steps(range(n_copies), "copies", "copy", n_copies):
        alone = copy.deepcopy(module).train()
        with torch_seed(seed + k, device):
            mine = epochs(rows.of(slice(k, k + 1)))
            _train_alone(alone, mine, criterion, learning_rate)
        states.append(alone.state_dict())
    return states, n_epochs


class Stack:
    """The trained parameters of all copies in one vector, with the state of Adam."""

    def __init__(
        self, module: nn.Module, n_copies: int, learning_rate: float, n_together: int
    ) -> None:
        self.module = copy.deepcopy(module)
        self.trained = [p for p in self.module.parameters() if p.requires_grad]
        stacks = [p.detach().expand(n_copies, *p.shape) for p in self.trained]
        self.values = torch.cat([stack.flatten() for stack in stacks])
        self.gradient, self.mean, self.square = (
            torch.zeros_like(self.values) for _ in range(3)
        )
        self.learning_rate = learning_rate
        self.parameters = _views(self.values, stacks)
        slopes = _views(self.gradient, stacks)
        parts = [slice(k, k + n_together) for k in range(0, n_copies, n_together)]
        self.parts = [
            (some, [v[some] for v in self.parameters], [g[some] for g in slopes])
            for some in parts
        ]

    def train(
        self, gradients: Gradients, epochs: Iterable[Iterable[Rows]], n_epochs: int
    ) -> tuple[list[dict[str, Tensor]], int]:
        """Train until a callback asks to stop; return the states and the epochs."""
        n_done = n_steps = 0
        with torch.no_grad():
            for epoch in steps(epochs, "epochs", "epoch", n_epochs, may_stop=True):
                for batch in epoch:
                    for copies, parameters, slopes in self.parts:
                        gradients(parameters, batch.of(copies), slopes)
                    n_steps += 1
                    self._step(n_steps)
                n_done += 1
            return [self._state(k) for k in range(len(self.parameters[0]))], n_done

    def _state(self, k: int) -> dict[str, Tensor]:
        for parameter, values in zip(self.trained, self.parameters, strict=True):
            parameter.copy_(values[k])
        return copy.deepcopy(self.module.state_dict())

    def _step(self, number: int) -> None:
        """Make a step of Adam, as torch's, with fewer operations."""
        self.mean.lerp_(self.gradient, 1 - _BETAS[0])
        self.square.mul_(_BETAS[1])
        self.square.addcmul_(self.gradient, self.gradient, value=1 - _BETAS[1])
        # The scale of the squares goes into the two numbers instead.
        scale = (1 - _BETAS[1] ** number) ** 0.5
        rate = self.learning_rate / (1 - _BETAS[0] ** number)
        divisor = self.square.sqrt().add_(_EPSILON * scale)
        self.values.addcdiv_(self.mean, divisor, value=-rate * scale)


def _views(vector: Tensor, stacks: list[Tensor]) -> list[Tensor]:
    """Cut a vector into views shaped as the stacked parameters."""
    parts = torch.split(vector, [stack.numel() for stack in stacks])
    return [part.view(stack.shape) for part, stack in zip(parts, stacks, strict=True)]


def is_relu_mlp(module: nn.Module) -> bool:
    """Tell whether a module has the gradients of `_relu_gradients`."""
    # Exact types: a subclass may compute something else.
    return type(module) is MLP and len(module) == 3 and type(module[1]) is nn.ReLU


def _relu_gradients(
    task: str, parameters: list[Tensor], batch: Rows, out: list[Tensor]
) -> None:
    """Differentiate the task loss of one hidden layer of rectified units."""
    first, first_bias, second, second_bias = parameters
    to_first, to_first_bias, to_second, to_second_bias = out
    n_copies, n_units, n_features = first.shape
    has_one_output = second.shape[1] == 1
    # All copies in one matrix.
    hidden = torch.addmm(first_bias.view(-1, 1), first.view(-1, n_features), batch.X.T)
    hidden = hidden.view(n_copies, n_units, -1).relu_()
    outputs = torch.baddbmm(second_bias.unsqueeze(-1), second, hidden)
    residual = _residual(task, outputs, batch)
    torch.bmm(residual, hidden.transpose(1, 2), out=to_second)
    torch.sum(residual, dim=-1, out=to_second_bias)
    is_on = hidden.sign_()
    back = second.transpose(1, 2)
    # With one output the weight of a unit is a factor of all its rows.
    is_on.mul_(residual if has_one_output else torch.bmm(back, residual))
    torch.sum(is_on, dim=-1, out=to_first_bias)
    torch.mm(
        is_on.view(n_copies * n_units, -1), batch.X, out=to_first.view(-1, n_features)
    )
    if has_one_output:
        to_first.mul_(back)
        to_first_bias.mul_(back.squeeze(-1))
    for weight, slope in ((first, to_first), (second, to_second)):
        slope.addcmul_(weight, batch.l2.view(-1, 1, 1))


def _residual(task: str, outputs: Tensor, batch: Rows) -> Tensor:
    """Differentiate the mean task losses by outputs of shape (K, o, n)."""
    outputs = outputs + batch.offset.transpose(1, 2)
    weight = batch.weight.unsqueeze(1)
    if task == "regression":
        return outputs.sub_(batch.y.T).mul_(weight).mul_(2 / outputs.shape[1])
    if task == "binary":
        return outputs.sigmoid_().sub_(batch.y).mul_(weight)
    if task == "poisson":
        return outputs.exp_().sub_(batch.y.T).mul_(weight)
    truth = F.one_hot(batch.y.long(), outputs.shape[1]).T.to(outputs.dtype)
    return outputs.log_softmax(dim=1).exp_().sub_(truth).mul_(weight)


def _module_gradients(
    module: nn.Module, criterion: AttributionAlignedLoss
) -> Gradients:
    """Return what differentiates the task loss of any module, by `torch.func`."""
    module = copy.deepcopy(module).train()
    names = [name for name, p in module.named_parameters() if p.requires_grad]

    def loss(parameters: list[Tensor], *values: Tensor) -> Tensor:
        batch = Rows(*values)
        named = dict(zip(names, parameters, strict=True))
        outputs = functional_call(module, named, (batch.X,)) + batch.offset
        loss = batch.weight @ criterion.task_loss(outputs, batch.y)
        return loss + 0.5 * batch.l2 * _squares(parameters)

    in_dims = (0, None, None, 0, 0, 0)
    run = vmap(grad(loss), in_dims=in_dims, randomness="different")

    def write(parameters: list[Tensor], batch: Rows, out: list[Tensor]) -> None:
        for mine, gradient in zip(out, run(parameters, *batch), strict=True):
            mine.copy_(gradient)

    return write


def is_batchable(module: nn.Module, X: Tensor) -> bool:
    """Tell whether copies may share one program: whether rows are on their own.

    Weights of zero leave rows out only where no row sees another, and buffers that
    a pass changes would be changed by rows of other copies.
    """
    probe = copy.deepcopy(module)
    for part in probe.modules():
        if isinstance(part, nn.modules.dropout._DropoutNd):
            part.p = 0.0
    # Three rows, two of them far apart.
    far = X[(X - X[0]).square().sum(dim=1).argmax()]
    rows = torch.stack([X[0], far, X[0] + 0.37 * (far - X[0]) + 0.11])
    before = [buffer.clone() for buffer in probe.buffers()]
    try:
        with torch.no_grad(), torch_seed(0, str(X.device)):
            for mode in (True, False):
                together = probe.train(mode)(rows)
                one_by_one = torch.cat([probe(row) for row in torch.split(rows, 1)])
                if not torch.equal(together, probe(rows)):
                    return False
                if not torch.allclose(together, one_by_one, rtol=_ALONE, atol=_ALONE):
                    return False
    except (RuntimeError, TypeError, ValueError):
        # As batch normalisation on a single row: whatever it is, the loop will do.
        return False
    return all(map(torch.equal, before, probe.buffers()))


def _train_alone(
    module: nn.Module,
    epochs: Iterable[Iterable[Rows]],
    criterion: AttributionAlignedLoss,
    learning_rate: float,
) -> None:
    """Train one copy on the rows that have a weight for it."""
    optimizer = Adam(module.parameters(), learning_rate)
    for epoch in epochs:
        for batch in epoch:
            present = batch.weight[0] > 0
            optimizer.zero_grad()
            loss = 0.5 * batch.l2[0] * _squares(module.parameters())
            if present.any():
                outputs = module(batch.X[present]) + batch.offset[0, present]
                weight = batch.weight[0, present]
                loss = loss + criterion(outputs, batch.y[present], sample_weight=weight)
            if loss.requires_grad:
                torch.autograd.backward(loss)
                optimizer.step()


def _squares(parameters: Iterable[Tensor]) -> Tensor | int:
    """Sum the squares of weights; biases are left out."""
    return sum(p.square().sum() for p in parameters if p.ndim > 1)
