"""Train many copies of one module side by side, as one tensor program.

A search over strengths of the prior, folds and repetitions trains the same small
module on the same rows many times. One by one, nearly all of the time goes into
calling torch; side by side, a call serves every copy, here called a member.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad_and_value, vjp, vmap
from torch.nn import functional as F

from llmreg._utils._progress import steps
from llmreg._utils._reproducibility import torch_seed
from llmreg.nn import _net as optimizers
from llmreg.nn._loss import TINY, AttributionAlignedLoss
from llmreg.nn._members import LayerProgram, Members, layers_of, trainable
from llmreg.nn._objective import Batch, Batches, Objective

# Hidden activations held at a time: what the cache of a core has room for. An
# accelerator is faster the more it gets at once.
_TILE = 2**18
_TILE_DEVICE = 2**28


class Views:
    """Weights, and the places of their gradients, in the shapes that passes want."""

    def __init__(self, parameters: list[Tensor], out: list[Tensor]) -> None:
        self.first, first_bias, self.second, second_bias = parameters
        self.to_first, self.to_first_bias, self.to_second, self.to_second_bias = out
        n_features = self.first.shape[2]
        # All members in one matrix.
        self.rows = self.first.view(-1, n_features)
        self.to_rows = self.to_first.view(-1, n_features)
        self.rows_bias = first_bias.view(-1, 1)
        self.columns = self.first.transpose(1, 2)
        self.second_bias = second_bias.unsqueeze(-1)
        self.back = self.second.transpose(1, 2)
        # Of one output.
        self.factor = self.back.squeeze(-1)
        self.vectors = [w.flatten(1) for w in (self.first, self.second)]
        self.mean_on = torch.empty_like(first_bias)
        self.on = self.mean_on.unsqueeze(1)


class ReluProgram:
    """Losses and gradients of members with one hidden layer of rectified units."""

    def __init__(self, objective: Objective) -> None:
        self.objective = objective
        self.n_units = _TILE if objective.gamma.device.type == "cpu" else _TILE_DEVICE
        self.task = objective.criterion.task
        self.has_l2 = bool(objective.l2.any())
        known = objective.criterion.known
        has_direction = objective.direction.any(dim=-1).to(known.dtype)
        n_directions = has_direction.sum(dim=-1, keepdim=True).clamp_min(1)
        share = has_direction / n_directions / known.sum(dim=-1).clamp_min(1)
        # What a squared gap of an output counts in the loss, (K, o, 1).
        self.pull = (share * objective.gamma.unsqueeze(-1)).unsqueeze(-1)
        self.pull_twice = 2 * self.pull
        self.away = -objective.direction
        self.known = None if bool(known.all()) else known
        self.views: Views | None = None

    @staticmethod
    def serves(activations: tuple[str, ...], objective: Objective) -> bool:
        """Tell whether a module and its objective are of the kind written out."""
        criterion = objective.criterion
        return activations == ("relu",) and (
            not objective.penalizes
            or (criterion.attribution, criterion.penalty_on) == ("gradient", "mean")
        )

    def of_members(self, some: slice) -> ReluProgram:
        """Return the program of some of the members."""
        return ReluProgram(self.objective.of_members(some))

    def n_together(self, width: int, n_rows: int) -> int:
        """Return how many members are best trained together."""
        return self.n_units // (width * n_rows)

    def gradients(
        self, parameters: list[Tensor], batch: Batch, out: list[Tensor]
    ) -> Tensor:
        """Write gradients into `out`, shaped as the parameters; return losses, (K,).

        Every call must bring the same tensors.
        """
        if self.views is None:
            self.views = Views(parameters, out)
        views = self.views
        n_rows = max(1, self.n_units // views.mean_on.numel())
        if n_rows >= len(batch.X):
            loss = self._task(views, batch, slice(None))
        else:
            loss = torch.zeros_like(batch.n_rows)
            for start in range(0, len(batch.X), n_rows):
                # The first block overwrites what is there; the others add to it.
                loss += self._task(views, batch, slice(start, start + n_rows))
        if views.second.shape[1] == 1:
            # With one output the weight of a unit is a factor of all its rows.
            views.to_first.mul_(views.back)
            views.to_first_bias.mul_(views.factor)
        if self.objective.penalizes:
            loss += self._penalty(views)
        if self.has_l2:
            loss += self._decay(views)
        return loss

    def _task(self, views: Views, batch: Batch, rows: slice) -> Tensor:
        """Write or add gradients of some rows' task, and how often units are on."""
        X, y, weight = batch.X[rows], batch.y[rows], batch.weight[:, rows]
        add = int(bool(rows.start))
        hidden = torch.addmm(views.rows_bias, views.rows, X.T)
        hidden = hidden.view(*views.mean_on.shape, len(X)).relu_()
        outputs = torch.baddbmm(views.second_bias, views.second, hidden)
        if batch.offset is not None:
            outputs += batch.offset[:, rows].transpose(1, 2)
        loss, residual = self._residual(outputs, y, weight)
        views.to_second.baddbmm_(residual, hidden.transpose(1, 2), beta=add)
        _put(views.to_second_bias, residual.sum(dim=-1), add)
        is_on = hidden.sign_()
        _put(views.mean_on, _dot(is_on, weight), add)
        if views.second.shape[1] == 1:
            back = is_on.mul_(residual)
        else:
            back = is_on.mul_(torch.bmm(views.back, residual))
        _put(views.to_first_bias, back.sum(dim=-1), add)
        views.to_rows.addmm_(back.view(-1, len(X)), X, beta=add)
        return loss

    def _residual(
        self, outputs: Tensor, y: Tensor, weight: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return task losses, (K,), and their gradients by the outputs, (K, o, n)."""
        if self.task == "binary":
            logits = outputs.squeeze(1)
            # Cross entropy is (1 - y) z - log sigmoid(z), and its derivative
            # sigmoid(z) - y.
            gap = logits.sigmoid().sub_(y).mul_(weight)
            losses = (logits * (1 - y)).sub_(F.logsigmoid(logits)).mul_(weight)
            return losses.sum(dim=1), gap.unsqueeze(1)
        if self.task == "multiclass":
            logs = F.log_softmax(outputs, dim=1)
            truth = F.one_hot(y.long(), outputs.shape[1]).T.to(outputs.dtype)
            losses = -(logs * truth).sum(dim=1)
            residual = (logs.exp() - truth).mul_(weight.unsqueeze(1))
            return (losses * weight).sum(dim=1), residual
        gap = outputs - y.T
        losses = gap.square().mean(dim=1)
        residual = gap.mul_(weight.unsqueeze(1)).mul_(2 / outputs.shape[1])
        return (losses * weight).sum(dim=1), residual

    def _penalty(self, views: Views) -> Tensor:
        """Add the penalty's gradients; return it, times gamma, (K,)."""
        through = views.second * views.on
        attributions = torch.bmm(through, views.first)
        if self.known is not None:
            attributions.mul_(self.known)
        inverse = attributions.square().sum(dim=-1, keepdim=True)
        inverse = inverse.add_(TINY**2).rsqrt_()
        units = attributions.mul_(inverse)
        # What a unit vector falls short of length 1, squared: of a vanishing one, all.
        short = (inverse * TINY).square_()
        cosine = (units * self.objective.direction).sum(dim=-1, keepdim=True)
        # |u - s|^2 is 2 - short - 2 cos, and its derivative has no part along u.
        gradient = torch.addcmul(self.away, units, cosine + short)
        gradient.mul_(inverse.mul_(self.pull_twice))
        if self.known is not None:
            gradient.mul_(self.known)
        views.to_first.baddbmm_(through.transpose(1, 2), gradient)
        views.to_second.addcmul_(torch.bmm(gradient, views.columns), views.on)
        gap = short.add_(cosine, alpha=2).neg_().add_(2)
        return gap.mul_(self.pull).sum(dim=(1, 2))

    def _decay(self, views: Views) -> Tensor:
        """Add the gradients of the squared weights; return their loss, (K,)."""
        l2 = self.objective.l2.view(-1, 1, 1)
        views.to_first.addcmul_(views.first, l2)
        views.to_second.addcmul_(views.second, l2)
        first, second = (torch.linalg.vector_norm(v, dim=1) for v in views.vectors)
        return torch.hypot(first, second).square_().mul_(self.objective.l2).mul_(0.5)


def _dot(values: Tensor, weight: Tensor) -> Tensor:
    """Sum (K, h, n) values over the rows by their weights, (K, n)."""
    return torch.bmm(values, weight.unsqueeze(-1)).squeeze(-1)


def _put(place: Tensor, values: Tensor, add: int) -> None:
    """Write values into a place, or add them to what is there."""
    if add:
        place.add_(values)
    else:
        place.copy_(values)


# How far a row's outputs may move with the rows beside it and still be its own:
# rounding, in single precision too.
_ALONE = 1e-4
_ROWS_TOGETHER = 65_536


class ModuleProgram:
    """Losses and gradients of members of any module, by `torch.func`."""

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

    Shapes: X (n_samples, n_features).
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
    """Train one member for a pass, on the rows that have a weight for it."""
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

    Member k ends where :class:`~llmreg.nn._net.AlignedNet` ends that is trained alone,
    on the rows that have a weight in ``row_weight[k]``, up to rounding; a row
    without weight has no influence. The default modules take closed-form passes,
    other modules `torch.func`; a module that cannot be mapped over members (its
    rows see one another, its buffers change, an operation has no rule) is trained
    in a plain loop. All tensors are on one device and of one floating point type, but
    for `X`, which may be of less precision than the others.

    Shapes: X (n_samples, n_features), y (n_samples,) or (n_samples, n_outputs),
    row_weight (n_members, n_samples), gamma (n_members,), direction (n_members,
    n_outputs, n_features), l2 (n_members,), offset (n_members, n_samples,
    n_outputs).

    Raises ValueError if `start` is unknown, or "varied" for a module that cannot
    draw new weights.
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
    """Adam on one vector, as torch's, with fewer operations."""

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
