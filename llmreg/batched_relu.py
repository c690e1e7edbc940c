"""The default perceptron, forward and backward written out for many members.

One hidden layer of rectified units, aligned by its mean gradient, is what most fits
train. Its loss needs the rows twice, as two products with the first weights, and
the penalty needs nothing of them but how often every unit is on: the gradient of
an output is the sum of the weights through the units that are.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from llmreg.criterion import TINY
from llmreg.objective import Batch, Objective

# Hidden activations held at a time: what the cache of a core has room for. An
# accelerator is faster the more it gets at once.
_TILE = 2**18
_TILE_DEVICE = 2**28


class Views:
    """Weights, and the places of their gradients, in the shapes that passes want.

    Parameters
    ----------
    parameters, out : list of Tensor
        Weights and biases of the two layers, and the places of their gradients.
    """

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
    """Losses and gradients of members with one hidden layer of rectified units.

    Parameters
    ----------
    objective : Objective
        What is minimised, see `serves`.
    """

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
