"""Transforms of scores: how much larger scores count than small ones."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from llmreg.exceptions import PriorScoreError


class Sharpen:
    """Transform of scores: sign(s) * exp(abs(s) / temperature), up to a factor.

    Parameters
    ----------
    temperature : float
        The lower, the more the largest scores dominate; infinite leaves the scores as
        they are.

    Examples
    --------
    >>> import torch
    >>> from llmreg.nn import Sharpen
    >>> Sharpen(temperature=1.0)(torch.tensor([2.0, -1.0, 0.0])).numpy().round(2)
    array([ 1.  , -0.37,  0.  ], dtype=float32)
    """

    def __init__(self, temperature: float) -> None:
        self.temperature = temperature

    def __call__(self, scores: Tensor) -> Tensor:
        """Transform the scores of one output."""
        if self.temperature == float("inf"):
            return scores
        size = scores.abs()
        # Divided by the largest, so that scores of any size stay finite.
        return scores.sign() * torch.exp((size - size.max()) / self.temperature)

    def __repr__(self) -> str:
        return f"Sharpen({self.temperature:g})"


# Objects and not lambdas: a net keeps its transform, and is pickled with it.
signed_exp = Sharpen(temperature=1.0)

SCORE_TRANSFORMS: dict[str, Callable[[Tensor], Tensor]] = {
    "identity": Sharpen(float("inf")),
    "exp": signed_exp,
}


def transform_scores(transform: Callable[[Tensor], Tensor], scores: Tensor) -> Tensor:
    """Transform the scores of one output, of shape (n_features,)."""
    transformed = transform(scores)
    if transformed.shape != scores.shape or not torch.isfinite(transformed).all():
        raise PriorScoreError(
            "score_transform must turn scores into as many finite numbers; for "
            f"{scores.tolist()[:10]} it gave {str(transformed.tolist())[:100]}."
        )
    return transformed
