"""The loss of LAAT: task loss plus a penalty on misaligned attributions."""

from collections.abc import Callable
from typing import cast

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn
from torch.nn import functional as F

from llmreg.linear_model._prior_grid import (
    SCORE_TRANSFORMS,
    directions,
    transform_scores,
)
from llmreg.nn._additive import CurveSlopes
from llmreg.nn._attribution import attribute
from llmreg.preprocessing._basis import CurveBasis

# Keeps the direction of a vanishing attribution defined. It is far below any
# attribution that a trained model shows, so the formula stays the paper's.
_TINY = 1e-12


class AttributionAlignedLoss(nn.Module):
    """Task loss plus `gamma` times the misalignment of attributions and prior.

    With a the attribution of an output and s its transformed scores, the penalty
    is the mean over the features of ``(a/|a| - s/|s|)^2``, which is
    ``2 (1 - cos(a, s)) / n_features`` [1]_. Features without a score (NaN) are left out
    of both vectors: no opinion is not "no effect". Outputs whose scores are all
    zero or absent have no direction and carry no penalty.

    Parameters
    ----------
    scores : array-like of shape (n_outputs, n_features), default=None
        The prior's scores, NaN where there is none. None: no penalty.
    task : {"binary", "multiclass", "regression", "poisson"}, default="binary"
        The task loss: cross entropy of one logit or of many, the squared error, or
        that of counts, whose means have the outputs as logarithms.
    gamma : float, default=100.0
        Weight of the penalty, at least 0.
    attribution : {"gradient", "input_x_gradient", "integrated_gradients"}, \
            default="gradient"
        How attributions are computed, see :func:`llmreg.nn.attribute`.
    score_transform : {"identity", "exp"} or callable, default="identity"
        Applied to the scores before they are normalised; "exp" is
        sign(s) exp(abs(s)), as in the code of the paper's authors. A callable maps
        a tensor of the scores of one output to a tensor of that shape.
    penalty_on : {"mean", "row"}, default="mean"
        Align the mean attribution of the batch, or every row's own.
    n_steps : int, default=16
        Steps of the integrated gradients.
    basis : CurveBasis, default=None
        The curves of the prior. With ``penalty_on="row"`` the direction of a row has
        the slopes of the curves there in place of their scores: half of what a curve
        would rise over the typical range, were all of it as steep. It is 0 beyond the
        knots and at codes; the slope of a straight curve is its score. For integrated
        gradients it is the mean slope on the way from 0 to the row. The mean
        attribution has one direction, that of the scores.
    anchors : bool, default=False
        Align also at a few rows of its own, in the middle of the segments of the
        curves, each of weight 1: rows may leave segments out.

    References
    ----------
    .. [1] Vukadin, Šilić, Delač, "Large Language Models as Attribution Regularizers
       for Efficient Model Training", arXiv 2502.20268.

    Examples
    --------
    >>> import torch
    >>> from llmreg.nn import AttributionAlignedLoss
    >>> layer = torch.nn.Linear(2, 1, bias=False)
    >>> _ = torch.nn.init.constant_(layer.weight, 1.0)
    >>> X = torch.tensor([[0.0, 1.0]], requires_grad=True)
    >>> loss = AttributionAlignedLoss([[3.0, -3.0]], gamma=10.0)
    >>> round(loss.penalty(X, layer, layer(X)).item(), 6)
    1.0
    """

    direction: Tensor
    known: Tensor

    def __init__(
        self,
        scores: ArrayLike | None = None,
        *,
        task: str = "binary",
        gamma: float = 100.0,
        attribution: str = "gradient",
        score_transform: str | Callable[[Tensor], Tensor] = "identity",
        penalty_on: str = "mean",
        n_steps: int = 16,
        basis: CurveBasis | None = None,
        anchors: bool = False,
    ) -> None:
        super().__init__()
        self.task = task
        self.gamma = gamma
        self.attribution = attribution
        self.score_transform = score_transform
        self.penalty_on = penalty_on
        self.n_steps = n_steps
        self.anchors = anchors
        if not callable(score_transform):
            score_transform = SCORE_TRANSFORMS[score_transform]
        self._transform = score_transform
        direction = known = np.zeros((1, 1))
        is_sloped = False
        if scores is not None:
            table = np.array(scores, dtype=np.float64)
            direction = directions(table, [score_transform])[0]
            known = (~np.isnan(table)).astype(np.float64)
            if basis is not None and penalty_on == "row":
                self.curves = CurveSlopes(basis, table)
                is_sloped = bool(self.curves.table.any())
        self.register_buffer("direction", torch.tensor(direction))
        self.register_buffer("known", torch.tensor(known))
        self._points_somewhere = bool(direction.any()) or is_sloped

    @property
    def is_local(self) -> bool:
        """Whether rows have directions of their own: those of curves."""
        return "curves" in self._modules

    @property
    def penalizes(self) -> bool:
        """Whether the penalty has any weight and any direction to pull to."""
        return self._points_somewhere and self.gamma > 0

    def forward(
        self,
        y_pred: Tensor,
        y_true: Tensor,
        X: Tensor | None = None,
        module: Callable[[Tensor], Tensor] | None = None,
        sample_weight: Tensor | None = None,
    ) -> Tensor:
        """Return the loss of a batch, a scalar.

        Parameters
        ----------
        y_pred : Tensor of shape (n_samples, n_outputs)
            Logits, predictions in regression, or logarithms of means.
        y_true : Tensor of shape (n_samples,) or (n_samples, n_outputs)
            Class indices, or targets.
        X : Tensor of shape (n_samples, n_features), default=None
            The inputs that `y_pred` was computed from, requiring gradients. None
            leaves the penalty out, as does evaluation mode: a validation loss says
            how well the task is done.
        module : callable, default=None
            What maps `X` to `y_pred`.
        sample_weight : Tensor of shape (n_samples,), default=None
            Weights of the rows, in the task loss and in the penalty.
        """
        loss = self.mean_loss(y_pred, y_true, sample_weight)
        if X is None or module is None or not (self.training and self.penalizes):
            return loss
        return loss + self.gamma * self.penalty(X, module, y_pred, sample_weight)

    def mean_loss(
        self, y_pred: Tensor, y_true: Tensor, sample_weight: Tensor | None
    ) -> Tensor:
        """Return the loss of rows without the penalty."""
        return _weighted_mean(self.task_loss(y_pred, y_true), sample_weight)

    def task_loss(self, y_pred: Tensor, y_true: Tensor) -> Tensor:
        """Return the loss of every row, of shape (n_samples,)."""
        if self.task == "binary":
            return F.binary_cross_entropy_with_logits(
                y_pred[:, 0], y_true.to(y_pred.dtype), reduction="none"
            )
        if self.task == "multiclass":
            return F.cross_entropy(y_pred, y_true.long(), reduction="none")
        if self.task == "poisson":
            return (y_pred.exp() - y_true * y_pred).mean(dim=1)
        return (y_pred - y_true).square().mean(dim=1)

    def penalty(
        self,
        X: Tensor,
        module: Callable[[Tensor], Tensor],
        y_pred: Tensor | None = None,
        sample_weight: Tensor | None = None,
    ) -> Tensor:
        """Return the misalignment with the prior, from 0 to 4 / n_features."""
        if self.is_local and self.anchors:
            if sample_weight is None:
                sample_weight = X.new_ones(len(X))
            X, sample_weight, y_pred = *self.with_anchors(X, sample_weight), None
        attributions = attribute(
            module,
            X,
            method=self.attribution,
            outputs=y_pred,
            n_steps=self.n_steps,
            create_graph=True,
        )
        aim = None if self.penalty_on == "mean" else self.aim(X)
        return self.penalty_of(attributions, aim, sample_weight)

    def penalty_of(
        self, attributions: Tensor, aim: Tensor | None, sample_weight: Tensor | None
    ) -> Tensor:
        """Return the penalty of the attributions of rows."""
        if self.penalty_on == "mean":
            return self.misalignment(_weighted_mean(attributions, sample_weight))
        return _weighted_mean(self.misalignment(attributions, aim), sample_weight)

    def with_anchors(self, X: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Add rows in the middle of all segments to those of a penalty."""
        more = cast(Tensor, self.curves.anchors)
        return torch.cat([X, more]), torch.cat([weight, weight.new_ones(len(more))])

    def aim(self, X: Tensor) -> Tensor:
        """Return the unit vectors to align with: one an output, or of every row."""
        if not self.is_local:
            return self.direction
        is_integrated = self.attribution == "integrated_gradients"
        slopes = self.curves(X.detach(), self.n_steps if is_integrated else 0)
        # Each on its own: a transform is told the scores of one output.
        rows = transform_scores(torch.vmap(self._transform), slopes.flatten(0, 1))
        return F.normalize(rows.view_as(slopes) * self.known, dim=-1)

    def misalignment(self, attributions: Tensor, aim: Tensor | None = None) -> Tensor:
        """Return the penalty of attributions (..., n_outputs, n_features)."""
        aim = self.direction if aim is None else aim
        gap = _normalize(attributions * self.known) - aim
        per_output = gap.square().sum(dim=-1) / self.known.sum(dim=-1).clamp_min(1)
        has_direction = aim.any(dim=-1).to(per_output.dtype)
        n_directions = has_direction.sum(dim=-1).clamp_min(1)
        return (per_output * has_direction).sum(dim=-1) / n_directions

    def cosine(self, attributions: Tensor, aim: Tensor | None = None) -> Tensor:
        """Return the cosine of each output's attributions and scores, NaN without."""
        aim = self.direction if aim is None else aim
        cosine = (_normalize(attributions * self.known) * aim).sum(dim=-1)
        absent = torch.full_like(cosine, torch.nan)
        return torch.where(aim.any(dim=-1), cosine, absent)


def _normalize(vectors: Tensor) -> Tensor:
    """Scale vectors along the last axis to unit length."""
    norms = (vectors.square().sum(dim=-1, keepdim=True) + _TINY**2).sqrt()
    return vectors / norms


def _weighted_mean(values: Tensor, weight: Tensor | None) -> Tensor:
    """Return the mean over the rows, weighted."""
    if weight is None:
        return values.mean(dim=0)
    weight = weight.to(values.dtype)
    return torch.tensordot(weight, values, dims=1) / weight.sum()
