"""Closed-form passes of the default modules, for many members at once.

A penalty on input gradients costs a second backward pass through the first one.
The input gradients of a perceptron are products of its weights and the slopes of
its activations, though, so they are written down here as ordinary outputs, which
one backward pass differentiates.
"""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from llmreg.nn._net import ACTIVATIONS, MLP, LinearModel
from llmreg.nn._objective import Batch, Objective

# Activations of one layer that are held at a time: what the cache has room for. An
# accelerator is faster the more it gets at once.
_TILE = 2**17
_TILE_DEVICE = 2**26

_SQRT_HALF = 0.5**0.5
_SQRT_2_PI = (2 * torch.pi) ** 0.5


def _relu_slope(z: Tensor, a: Tensor) -> Tensor:
    # A step: its own derivative is zero wherever there is one.
    return (z > 0).to(z.dtype)


def _tanh_slope(z: Tensor, a: Tensor) -> Tensor:
    return 1 - a.square()


def _silu_slope(z: Tensor, a: Tensor) -> Tensor:
    gate = z.sigmoid()
    return gate + a * (1 - gate)


def _gelu_slope(z: Tensor, a: Tensor) -> Tensor:
    below = 0.5 * (1 + torch.erf(z * _SQRT_HALF))
    return below + z * torch.exp(-0.5 * z.square()) / _SQRT_2_PI


# An activation, and its derivative from its input and its output.
_PASSES: dict[str, tuple[Callable[[Tensor], Tensor], Callable[..., Tensor]]] = {
    "relu": (torch.relu, _relu_slope),
    "tanh": (torch.tanh, _tanh_slope),
    "silu": (F.silu, _silu_slope),
    "gelu": (F.gelu, _gelu_slope),
}


def layers_of(module: nn.Module) -> tuple[str, ...] | None:
    """Return the activations of a module that has closed-form passes."""
    # Exact types: a subclass may compute something else. So may a hook.
    if type(module) is LinearModel:
        layers: list[nn.Module] = [module]
    elif type(module) is MLP:
        layers = list(module)
    else:
        return None
    names = {kind: name for name, kind in ACTIVATIONS.items()}
    linear, between = layers[::2], layers[1::2]
    found = tuple(names.get(type(layer), "") for layer in between)
    parameters = list(module.parameters())
    is_plain = (
        len(linear) == len(between) + 1
        and all(type(layer) in (nn.Linear, LinearModel) for layer in linear)
        and all(found)
        and all(getattr(layer, "approximate", "none") == "none" for layer in between)
        and not any(_has_hooks(part) for part in module.modules())
        # Every layer with a weight and a bias of its own, none of them frozen.
        and len(parameters) == 2 * len(linear)
        and all(p.requires_grad for p in parameters)
    )
    return found if is_plain else None


def _has_hooks(part: nn.Module) -> bool:
    hooks = (part._forward_hooks, part._forward_pre_hooks, part._backward_hooks)
    return any(map(bool, hooks))


class LayerProgram:
    """Losses and gradients of members that are stacks of linear layers.

    Activations have the shape (n_members, width, n_samples): the first layers of
    all members are then one matrix product with the rows.
    """

    def __init__(self, activations: tuple[str, ...], objective: Objective | None):
        self.activations = activations
        self.objective = objective

    def outputs(self, parameters: list[Tensor], X: Tensor) -> Tensor:
        """Return the outputs of all members, (K, n, o)."""
        return self._forward(parameters, X)[0].transpose(1, 2)

    def of_members(self, some: slice) -> LayerProgram:
        """Return the program of some of the members."""
        return LayerProgram(self.activations, self._asked().of_members(some))

    def n_together(self, width: int, n_rows: int) -> int:
        """Return how many members are best trained together."""
        tile = _TILE if self._asked().gamma.device.type == "cpu" else _TILE_DEVICE
        return tile // (width * n_rows)

    def gradients(
        self, parameters: list[Tensor], batch: Batch, out: list[Tensor]
    ) -> Tensor:
        """Write gradients into `out`, shaped as the parameters; return losses, (K,)."""
        leaves = [p.detach().requires_grad_(True) for p in parameters]
        with torch.enable_grad():
            losses = self.losses(leaves, batch)
            gradients = torch.autograd.grad(losses.sum(), leaves)
        torch._foreach_copy_(out, list(gradients))
        return losses.detach()

    def losses(self, parameters: list[Tensor], batch: Batch) -> Tensor:
        """Return the losses of all members, (K,)."""
        objective = self._asked()
        outputs, slopes = self._forward(parameters, batch.X)
        loss = objective.task_losses(outputs.transpose(1, 2), batch)
        if objective.penalizes:
            loss = loss + objective.gamma * self._penalty(parameters, batch, slopes)
        squares = sum(w.square().sum(dim=(1, 2)) for w in parameters[::2])
        return loss + 0.5 * objective.l2 * squares

    def _asked(self) -> Objective:
        if self.objective is None:
            raise ValueError("A program without an objective gives outputs only.")
        return self.objective

    def _forward(
        self, parameters: list[Tensor], X: Tensor
    ) -> tuple[Tensor, list[Tensor]]:
        """Return outputs, (K, o, n), and the slopes of the hidden layers."""
        slopes = []
        weights, biases = parameters[::2], parameters[1::2]
        z = torch.matmul(weights[0].flatten(0, 1), X.T)
        z = z.view(*weights[0].shape[:2], len(X)) + biases[0].unsqueeze(-1)
        for name, weight, bias in zip(
            self.activations, weights[1:], biases[1:], strict=True
        ):
            activate, slope = _PASSES[name]
            a = activate(z)
            if self.objective is not None and self.objective.penalizes:
                slopes.append(slope(z, a))
            z = torch.baddbmm(bias.unsqueeze(-1), weight, a)
        return z, slopes

    def _penalty(
        self, parameters: list[Tensor], batch: Batch, slopes: list[Tensor]
    ) -> Tensor:
        """Return the penalty of all members, (K,)."""
        objective = self._asked()
        criterion = objective.criterion
        X = None if criterion.attribution == "gradient" else batch.X
        if not slopes:
            return self._penalty_linear(parameters[0], batch, X)
        if criterion.attribution == "integrated_gradients":
            through = self._path_sensitivity(parameters, batch.X)
        elif len(slopes) == 1 and X is None and criterion.penalty_on == "mean":
            # Only the mean slope of a unit matters, not every row's own.
            slope = torch.matmul(slopes[0], batch.weight.unsqueeze(-1))
            through = parameters[2] * slope.transpose(1, 2)
            return objective.penalty_of_mean(torch.bmm(through, parameters[0]))
        else:
            through = _sensitivity(parameters, slopes)
        return self._penalty_through(through, parameters[0], batch, X)

    def _penalty_through(
        self, through: Tensor, first: Tensor, batch: Batch, X: Tensor | None
    ) -> Tensor:
        """Return the penalty, of sensitivities (K, o, h, n) to the first layer."""
        objective = self._asked()
        weight = batch.weight[:, None, None, :]
        if objective.criterion.penalty_on == "row":
            rows = torch.matmul(through.transpose(2, 3), first.unsqueeze(1))
            rows = rows.transpose(1, 2)
            if X is not None:
                rows = rows * X.unsqueeze(1)
            return objective.penalty_of_rows(rows, batch.weight)
        if X is None:
            mean = torch.matmul((through * weight).sum(dim=-1), first)
        else:
            per_unit = torch.matmul(through * weight, X)
            mean = (per_unit * first.unsqueeze(1)).sum(dim=2)
        return objective.penalty_of_mean(mean)

    def _penalty_linear(self, weight: Tensor, batch: Batch, X: Tensor | None) -> Tensor:
        """Return the penalty of a linear map, whose gradient is its weights."""
        objective = self._asked()
        if X is None:
            # Every row's attribution is the mean's, but a member without rows has
            # no penalty.
            return objective.penalty_of_mean(weight) * batch.weight.sum(dim=1)
        if objective.criterion.penalty_on == "row":
            rows = weight.unsqueeze(1) * X.unsqueeze(1)
            return objective.penalty_of_rows(rows, batch.weight)
        mean = torch.matmul(batch.weight, X)
        return objective.penalty_of_mean(weight * mean.unsqueeze(1))

    def _path_sensitivity(self, parameters: list[Tensor], X: Tensor) -> Tensor:
        """Return the mean sensitivity over the line from 0 to each row."""
        n_steps = self._asked().criterion.n_steps
        fractions = (torch.arange(n_steps, dtype=X.dtype, device=X.device) + 0.5) / (
            n_steps
        )
        points = (fractions[:, None, None] * X).flatten(0, 1)
        _, slopes = self._forward(parameters, points)
        through = _sensitivity(parameters, slopes)
        return through.view(*through.shape[:-1], n_steps, len(X)).mean(dim=-2)


def _sensitivity(parameters: list[Tensor], slopes: list[Tensor]) -> Tensor:
    """Differentiate the outputs by the first layer before its activation.

    From (K, h, n) slopes, (K, o, h1, n).
    """
    weights = parameters[::2]
    through = weights[-1].unsqueeze(-1) * slopes[-1].unsqueeze(1)
    for weight, slope in zip(weights[-2:0:-1], slopes[-2::-1], strict=True):
        through = torch.matmul(weight.transpose(1, 2).unsqueeze(1), through)
        through = through * slope.unsqueeze(1)
    return through


_OUTPUT_ROWS = 8_192


def trainable(module: nn.Module) -> list[tuple[str, nn.Parameter]]:
    """Name the parameters that are trained, each of them once."""
    return [(n, p) for n, p in module.named_parameters() if p.requires_grad]


class Members:
    """Trained copies of one module.

    Shapes: history (n_epochs, n_members).
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
        """Return what ``module.load_state_dict`` takes."""
        return {name: values[k].clone() for name, values in self.stacked.items()}

    def outputs(self, X: Tensor) -> Tensor:
        """Return the outputs of all members, in evaluation mode.

        Shapes: X (n_samples, n_features); returns (n_members, n_samples, n_outputs).
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

    Shapes: X (n_samples, n_features).
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
