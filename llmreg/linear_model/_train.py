"""``gamma="auto"``: from encoded rows and a prior to a model that trusts it duly."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from llmreg.linear_model._averaging import TrustedWeights, trust_prior
from llmreg.linear_model._prior_grid import TEMPERATURES, directions
from llmreg.linear_model._trust import Trust, judge
from llmreg.prior._feature_prior import FeaturePrior
from llmreg.prior._transforms import SCORE_TRANSFORMS, Sharpen, transform_scores

Transform = Callable[[Tensor], Tensor]

#: More rows than this tell no more about a handful of numbers.
MOST_ROWS = 50_000


@dataclass(frozen=True, eq=False)
class TrustedModel:
    """The linear model of ``gamma="auto"``, and what the rows say of the prior.

    Parameters
    ----------
    coef : ndarray of shape (n_outputs, n_columns)
        Weights of the encoded columns.
    intercept : ndarray of shape (n_outputs,)
        Constants.
    trust : tuple of Trust
        One for a classification, one a target in a regression.
    score_transform : callable
        The transform of the scores that the rows find likeliest.
    n_iter : int
        Steps that the fits took.
    is_whole : bool
        Whether all rows, and all that the columns hold, had a say in the weights.
    """

    coef: np.ndarray
    intercept: np.ndarray
    trust: tuple[Trust, ...]
    score_transform: Transform
    n_iter: int
    is_whole: bool

    @property
    def gamma(self) -> float:
        """The fixed gamma that would do about the same."""
        return float(np.mean([trust.gamma for trust in self.trust]))


class TrustSearch:
    """Fits the linear model of ``gamma="auto"`` to rows."""

    def __init__(
        self,
        prior: FeaturePrior,
        *,
        task: str,
        score_transform: str | Transform,
        penalty_weights: str | None,
        alpha: float,
        seed: int,
    ) -> None:
        self.prior, self.task, self.alpha, self.seed = prior, task, alpha, seed
        self.transforms = _transforms(score_transform)
        self.looseness = _looseness(prior) if penalty_weights == "spread" else None

    def fit(
        self,
        X: np.ndarray,
        y: np.ndarray,
        sample_weight: np.ndarray,
        chosen: np.ndarray | None = None,
    ) -> TrustedModel:
        """Weigh the prior against rows.

        Shapes: X (n_samples, n_columns), y (n_samples,) or (n_samples, n_targets),
        sample_weight (n_samples,).
        """
        rows = np.arange(len(X)) if chosen is None else np.flatnonzero(chosen)
        n_samples, total_weight = len(rows), float(sample_weight[rows].sum())
        if n_samples > MOST_ROWS:
            generator = np.random.default_rng(self.seed)
            rows = np.sort(generator.choice(rows, MOST_ROWS, replace=False))
        if len(rows) < len(X):
            X, y, sample_weight = X[rows], y[rows], sample_weight[rows]
        targets = self._targets(y)
        scores = self.prior.scores
        apart = self.task == "regression"
        parts = (
            [slice(k, k + 1) for k in range(len(targets))] if apart else [slice(None)]
        )
        found = [
            trust_prior(
                np.asarray(X, dtype=np.float64),
                targets[part],
                sample_weight,
                scores[part],
                task=self.task,
                transforms=[_on_arrays(t) for t in self.transforms],
                looseness=self.looseness,
                alpha=self.alpha,
            )
            for part in parts
        ]
        trust = tuple(
            self._judge(trusted, part, n_samples, total_weight)
            for trusted, part in zip(found, parts, strict=True)
        )
        return TrustedModel(
            np.concatenate([trusted.coef for trusted in found]),
            np.concatenate([trusted.intercept for trusted in found]),
            trust,
            self._likeliest(found),
            max(trusted.n_iter for trusted in found),
            n_samples <= MOST_ROWS and all(trusted.is_whole for trusted in found),
        )

    def _targets(self, y: np.ndarray) -> np.ndarray:
        if self.task == "multiclass":
            targets: np.ndarray = np.arange(len(self.prior.outputs))[:, None] == y
            return targets.astype(np.float64)
        return y.reshape(len(y), -1).T

    def _judge(
        self, trusted: TrustedWeights, part: slice, n_samples: int, total_weight: float
    ) -> Trust:
        scores = self.prior.scores[part]
        return judge(
            trusted,
            scores,
            features=self.prior.features,
            outputs=self.prior.outputs[part],
            units=directions(scores, [_on_arrays(t) for t in self.transforms]),
            n_samples=n_samples,
            total_weight=total_weight,
        )

    def _likeliest(self, found: Sequence[TrustedWeights]) -> Transform:
        share = np.zeros(len(self.transforms))
        for trusted in found:
            guided = trusted.hypotheses.transform >= 0
            np.add.at(
                share, trusted.hypotheses.transform[guided], trusted.posterior[guided]
            )
        return self.transforms[int(share.argmax())]


def has_opinion(prior: FeaturePrior | None) -> bool:
    """Tell whether a prior has a score other than 0."""
    return prior is not None and bool(np.nan_to_num(prior.scores).any())


def _transforms(score_transform: str | Transform) -> list[Transform]:
    if callable(score_transform):
        return [score_transform]
    if score_transform == "auto":
        return [Sharpen(temperature) for temperature in TEMPERATURES]
    return [SCORE_TRANSFORMS[score_transform]]


def _on_arrays(transform: Transform) -> Callable[[np.ndarray], np.ndarray]:
    def on_array(scores: np.ndarray) -> np.ndarray:
        return transform_scores(transform, torch.as_tensor(scores)).numpy()

    return on_array


def _looseness(prior: FeaturePrior) -> np.ndarray | None:
    """Turn the spread of the estimates into variances around the scores."""
    spread: Any = prior.spread
    if spread is None:
        return None
    # A point of the scale is what even agreeing estimates may be wrong by.
    variance = (1 + np.nan_to_num(spread).mean(axis=0)) ** 2
    loose: np.ndarray = variance / variance.mean()
    return loose
