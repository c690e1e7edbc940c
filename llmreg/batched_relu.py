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

from llmreg.criterion import normalize_with_norms
from llmreg.objective import Batch, Objective

# Hidden activations held at a time: what the cache of a core has room for. An
# accelerator is faster the more it gets at once.
_TILE = 2**18
_TILE_DEVICE = 2**28


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
        self.known = None if bool(known.all()) else known

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
        """Write gradients into `out`, shaped as the parameters; return losses, (K,)."""
        mean_on = torch.empty_like(parameters[1])
        n_rows = max(1, self.n_units // mean_on.numel())
        losses = []
        for start in range(0, len(batch.X), n_rows):
            rows = slice(start, start + n_rows)
            block = (batch.X[rows], batch.y[rows], batch.weight[:, rows])
            # The first block overwrites what is there; the others add to it.
            add = int(start > 0)
            losses.append(self._task(parameters, *block, out, mean_on, add))
        loss = losses[0] if len(losses) == 1 else torch.stack(losses).sum(dim=0)
        if parameters[2].shape[1] == 1:
            # With one output the weight of a unit is a factor of all its rows.
            through = parameters[2].transpose(1, 2)
            out[0].mul_(through)
            out[1].mul_(through.squeeze(-1))
        if self.objective.penalizes:
            loss += self._penalty(parameters, mean_on, out)
        if self.has_l2:
            loss += self._decay(parameters, out)
        return loss

    def _task(
        self,
        parameters: list[Tensor],
        X: Tensor,
        y: Tensor,
        weight: Tensor,
        out: list[Tensor],
        mean_on: Tensor,
        add: int,
    ) -> Tensor:
        """Add the task's gradients of some rows, and how often units are on."""
        first, first_bias, second, second_bias = parameters
        shape = first.shape
        hidden = torch.addmm(first_bias.view(-1, 1), first.view(-1, shape[2]), X.T)
        hidden = hidden.view(*shape[:2], len(X)).relu_()
        outputs = torch.baddbmm(second_bias.unsqueeze(-1), second, hidden)
        loss, residual = self._residual(outputs, y, weight)
        out[2].baddbmm_(residual, hidden.transpose(1, 2), beta=add)
        _put(out[3], residual.sum(dim=-1), add)
        is_on = hidden.sign_()
        if second.shape[1] == 1:
            both = torch.stack([weight, residual.squeeze(1)], dim=-1)
            sums = torch.bmm(is_on, both)
            _put(mean_on, sums[..., 0], add)
            _put(out[1], sums[..., 1], add)
            back = is_on.mul_(residual)
        else:
            _put(mean_on, torch.bmm(is_on, weight.unsqueeze(-1)).squeeze(-1), add)
            back = is_on.mul_(torch.bmm(second.transpose(1, 2), residual))
            _put(out[1], back.sum(dim=-1), add)
        out[0].view(-1, shape[2]).addmm_(back.view(-1, len(X)), X, beta=add)
        return loss

    def _residual(
        self, outputs: Tensor, y: Tensor, weight: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return task losses, (K,), and their gradients by the outputs, (K, o, n)."""
        if self.task == "binary":
            logits = outputs.squeeze(1)
            losses = F.binary_cross_entropy_with_logits(
                logits, y.expand_as(logits), weight, reduction="none"
            )
            return losses.sum(dim=1), (logits.sigmoid_().sub_(y) * weight).unsqueeze(1)
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

    def _penalty(
        self, parameters: list[Tensor], mean_on: Tensor, out: list[Tensor]
    ) -> Tensor:
        """Add the penalty's gradients; return it, times gamma, (K,)."""
        first, _, second, _ = parameters
        on = mean_on.unsqueeze(1)
        through = second * on
        attributions = torch.bmm(through, first)
        if self.known is not None:
            attributions.mul_(self.known)
        units, norms = normalize_with_norms(attributions)
        gap = units - self.objective.direction
        # The derivative of a vector of length 1 has no part along the vector.
        by_unit = self.pull_twice * gap
        along = (units * by_unit).sum(dim=-1, keepdim=True)
        gradient = by_unit.addcmul_(units, along, value=-1).div_(norms)
        if self.known is not None:
            gradient.mul_(self.known)
        out[0].baddbmm_(through.transpose(1, 2), gradient)
        out[2].addcmul_(torch.bmm(gradient, first.transpose(1, 2)), on)
        return (gap.square_() * self.pull).sum(dim=(1, 2))

    def _decay(self, parameters: list[Tensor], out: list[Tensor]) -> Tensor:
        """Add the gradients of the squared weights; return their loss, (K,)."""
        l2 = self.objective.l2.view(-1, 1, 1)
        out[0].addcmul_(parameters[0], l2)
        out[2].addcmul_(parameters[2], l2)
        squares = [weight.square().sum(dim=(1, 2)) for weight in parameters[::2]]
        return (squares[0] + squares[1]).mul_(self.objective.l2).mul_(0.5)


def _put(place: Tensor, values: Tensor, add: int) -> None:
    """Write values into a place, or add them to what is there."""
    if add:
        place.add_(values)
    else:
        place.copy_(values)
