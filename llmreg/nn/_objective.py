"""What the members of a batched training minimise, and the rows they see of it."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

from llmreg.nn._loss import AttributionAlignedLoss, misalignment


@dataclass(frozen=True)
class Batch:
    """Rows of one step, for all members.

    Parameters
    ----------
    X : Tensor of shape (n_samples, n_features)
        Encoded rows.
    y : Tensor of shape (n_samples,) or (n_samples, n_outputs)
        Encoded targets.
    weight : Tensor of shape (n_members, n_samples)
        Weights that sum to 1 for each member; all 0 for one without any row.
    n_rows : Tensor of shape (n_members,)
        How many rows have a weight.
    offset : Tensor of shape (n_members, n_samples, n_outputs) or None
        Added to the outputs: what another model says of the rows.
    """

    X: Tensor
    y: Tensor
    weight: Tensor
    n_rows: Tensor
    offset: Tensor | None = None

    @classmethod
    def of(
        cls, X: Tensor, y: Tensor, row_weight: Tensor, offset: Tensor | None = None
    ) -> Self:
        """Share out the weights of rows."""
        # Rows may be kept in less precision than they are trained in.
        X = X.to(row_weight.dtype)
        total = row_weight.sum(dim=1, keepdim=True)
        present = row_weight > 0
        weight = row_weight / torch.where(total > 0, total, torch.ones_like(total))
        return cls(X, y, weight, present.sum(dim=1).to(X.dtype), offset)

    def of_members(self, some: slice) -> Batch:
        """Return the batch as some of the members see it."""
        offset = None if self.offset is None else self.offset[some]
        return replace(
            self, weight=self.weight[some], n_rows=self.n_rows[some], offset=offset
        )


@dataclass(frozen=True)
class Objective:
    """The aligned loss of every member.

    Parameters
    ----------
    criterion : AttributionAlignedLoss
        Task, attribution, and which scores are known.
    gamma : Tensor of shape (n_members,)
        Weights of the penalty.
    direction : Tensor of shape (n_members, n_outputs, n_features)
        Unit vectors of the prior.
    l2 : Tensor of shape (n_members,)
        Strengths of the weight decay in the loss.
    penalizes : bool
        Whether any member has a penalty.
    """

    criterion: AttributionAlignedLoss
    gamma: Tensor
    direction: Tensor
    l2: Tensor
    penalizes: bool

    @classmethod
    def of(
        cls,
        criterion: AttributionAlignedLoss,
        gamma: Tensor,
        direction: Tensor | None,
        l2: Tensor | float,
        *,
        like: Tensor,
    ) -> Self:
        """Put together what members minimise, in the type and place of `like`."""
        criterion = copy.deepcopy(criterion).to(like)
        gamma = gamma.to(like)
        if direction is None:
            direction = criterion.direction.expand(len(gamma), -1, -1)
        direction = direction.to(like)
        l2 = torch.as_tensor(l2, dtype=like.dtype, device=like.device)
        penalizes = bool(direction.any()) and bool((gamma > 0).any())
        return cls(criterion, gamma, direction, l2.expand(len(gamma)), penalizes)

    def of_members(self, some: slice) -> Objective:
        """Return the objective of some of the members."""
        gamma, direction = self.gamma[some], self.direction[some]
        penalizes = bool(direction.any()) and bool((gamma > 0).any())
        return Objective(self.criterion, gamma, direction, self.l2[some], penalizes)

    def task_losses(self, outputs: Tensor, batch: Batch) -> Tensor:
        """Return the mean task loss of members, (K,), of outputs (K, n, o)."""
        K, n_samples, n_outputs = outputs.shape
        if batch.offset is not None:
            outputs = outputs + batch.offset
        targets = batch.y.expand(K, *batch.y.shape).flatten(0, 1)
        losses = self.criterion.task_loss(outputs.reshape(-1, n_outputs), targets)
        return (losses.view(K, n_samples) * batch.weight).sum(dim=1)

    def penalty_of_mean(self, attributions: Tensor) -> Tensor:
        """Return the penalty of members, (K,), of mean attributions (K, o, d)."""
        return misalignment(attributions, self.direction, self.criterion.known)

    def penalty_of_rows(self, attributions: Tensor, weight: Tensor) -> Tensor:
        """Return the penalty of members, (K,), of every row's (K, n, o, d)."""
        by_row = misalignment(
            attributions, self.direction.unsqueeze(1), self.criterion.known
        )
        return (by_row * weight).sum(dim=1)


class Batches:
    """Rows, targets and weights in batches, in a seeded order.

    Shapes: X (n_samples, n_features), y (n_samples,) or (n_samples, n_outputs),
    row_weight (n_members, n_samples), offset (n_members, n_samples, n_outputs).
    """

    def __init__(
        self,
        X: Tensor,
        y: Tensor,
        row_weight: Tensor,
        batch_size: int,
        seed: int,
        offset: Tensor | None = None,
    ) -> None:
        self.offset = offset
        self.X, self.y, self.row_weight = X, y, row_weight
        self.batch_size = batch_size
        self.seed = seed

    def epochs(self, n_epochs: int) -> Iterator[list[Batch] | Iterator[Batch]]:
        """Yield the batches of every pass."""
        if self.batch_size >= len(self.X):
            # Nothing of it changes from pass to pass.
            whole = [Batch.of(self.X, self.y, self.row_weight, self.offset)]
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
        offset = None if self.offset is None else self.offset[:, rows]
        return Batch.of(self.X[rows], self.y[rows], self.row_weight[:, rows], offset)

    def of_member(self, k: int) -> Batches:
        """Return the batches as member `k` alone sees them."""
        offset = None if self.offset is None else self.offset[k : k + 1]
        weight = self.row_weight[k : k + 1]
        return Batches(self.X, self.y, weight, self.batch_size, self.seed, offset)
