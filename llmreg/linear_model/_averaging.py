"""How far to trust the prior: the search behind ``gamma="auto"``, linear models.

Many hypotheses about the prior are weighed by how well they explain the training rows,
and the weights that they lead to are averaged: Bayesian model averaging with Laplace's
approximation to the evidence. With few rows the average is close to the prior, with
many it is close to what the rows say alone, and a prior that the rows contradict loses
its weight.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp, ndtr

from llmreg._utils._progress import steps
from llmreg.linear_model._laplace import (
    Fits,
    GaussianPriors,
    fit_classifier,
    fit_regressor,
    sketch,
    sketched_evidence,
)
from llmreg.linear_model._prior_grid import Hypotheses, directions, make_hypotheses
from llmreg.linear_model._subspace import Coordinates

# Hypotheses this much less likely than the best one are dropped early.
_NEGLIGIBLE = 1e-4
# And those this much less likely tell nothing of how sure the sign of a weight is.
_HEAVY = 0.02
# How exact the search for the most likely weights is, at first and in the end.
_ROUGH, _EXACT = 0.03, 1e-7
# From here on all hypotheses are judged by one fit, and a few are fitted.
_MUCH_WORK, _MANY_ROWS, _N_TYPICAL, _FEW = 3e7, 20, 100, 6


@dataclass(frozen=True, eq=False)
class TrustedWeights:
    """The average over the hypotheses, and what they say one by one.

    Parameters
    ----------
    coef : ndarray of shape (n_outputs, n_columns)
        Mean weights.
    intercept : ndarray of shape (n_outputs,)
        Mean intercepts.
    hypotheses : Hypotheses
        What was weighed.
    posterior : ndarray of shape (n_hypotheses,)
        How likely each hypothesis is after the rows were seen.
    log_evidence : ndarray of shape (n_hypotheses,)
        Logarithms of the probabilities of the targets.
    agreement : ndarray of shape (n_outputs, n_columns)
        Probability that a weight has the sign of its score; NaN without one.
    n_iter : int
        Steps that the last fits took.
    is_whole : bool
        Whether the weights make use of all that the columns hold; not so where they
        are very many.
    """

    coef: np.ndarray
    intercept: np.ndarray
    hypotheses: Hypotheses
    posterior: np.ndarray
    log_evidence: np.ndarray
    agreement: np.ndarray
    n_iter: int
    is_whole: bool = True


def trust_prior(
    X: np.ndarray,
    targets: np.ndarray,
    row_weight: np.ndarray,
    scores: np.ndarray | None,
    *,
    task: str,
    transforms: Sequence[Callable[[np.ndarray], np.ndarray]],
    looseness: np.ndarray | None = None,
    alpha: float = 1.0,
) -> TrustedWeights:
    """Weigh a prior against the rows and return the weights that follow.

    Shapes: X (n_samples, n_columns), targets (n_outputs, n_samples), row_weight
    (n_samples,), scores (n_outputs, n_columns), looseness (n_columns,).
    """
    space = Coordinates(X, row_weight, scores, looseness)
    units = np.zeros((1, len(targets), X.shape[1]))
    if scores is not None and np.nan_to_num(scores).any():
        units = np.concatenate([directions(scores, transforms), units])
    table = make_hypotheses(len(units) - 1, int(space.scored.sum()), task)
    problem = _Problem(space, units, targets, row_weight, task, alpha)
    evidence, starts = problem.judge(table)
    log_posterior = table.log_prior + evidence
    kept = np.flatnonzero(log_posterior > log_posterior.max() + np.log(_NEGLIGIBLE))
    kept = kept[np.argsort(-log_posterior[kept], kind="stable")][: problem.most_kept]
    means = problem.average(table[kept], starts[kept], scores)
    posterior = np.zeros(len(table))
    posterior[kept] = means.posterior
    evidence[kept] = means.log_evidence
    coef, intercept = means.coef, means.intercept - means.coef @ space.centre
    return TrustedWeights(
        *(coef, intercept, table, posterior, evidence),
        *(means.agreement, means.n_iter, space.is_whole),
    )


class _Problem:
    """The rows and what is to be learnt from them, for hypotheses about the weights."""

    def __init__(
        self,
        space: Coordinates,
        units: np.ndarray,
        targets: np.ndarray,
        row_weight: np.ndarray,
        task: str,
        alpha: float,
    ) -> None:
        self.space, self.units, self.task, self.alpha = space, units, task, alpha
        self.targets, self.row_weight = targets, row_weight
        n_samples, width = space.inputs.shape
        # A pass over the rows for all hypotheses: products of pairs of columns.
        work = _N_TYPICAL * len(targets) * n_samples * width**2
        self.is_large = work > _MUCH_WORK and n_samples > _MANY_ROWS * width
        self.most_kept = _FEW if self.is_large and task != "regression" else None

    def judge(self, table: Hypotheses) -> tuple[np.ndarray, np.ndarray]:
        """Return evidence, roughly where that saves work, and weights to start from."""
        width = self.space.inputs.shape[1] + 2
        evidence = np.empty(len(table))
        starts = np.empty((len(table), len(self.targets), width))
        parabola = None
        if self.most_kept:
            plain = self.space.design(np.zeros_like(self.units[0]))[:, :, self._plain]
            parabola = sketch(plain, self.targets, self.row_weight)
        for unit, rows in self._groups(table):
            priors = self.space.priors(table[rows], self.alpha)
            if parabola is not None:
                change = self.space.change(unit)
                evidence[rows], starts[rows] = sketched_evidence(
                    parabola, change, priors
                )
            else:
                fits = self._fit(unit, table[rows], priors, None, _ROUGH)
                evidence[rows], starts[rows] = fits.log_evidence, fits.weights
        return evidence, starts

    def average(
        self, table: Hypotheses, starts: np.ndarray, scores: np.ndarray | None
    ) -> _Means:
        """Fit hypotheses to the end and average their weights by their probability."""
        shape = (len(table), *self.units[0].shape)
        coef, intercept = np.empty(shape), np.empty(shape[:2])
        evidence, shares = np.empty(len(table)), np.empty(len(table))
        done = []
        for unit, rows in self._groups(table):
            priors = self.space.priors(table[rows], self.alpha)
            fits = self._fit(unit, table[rows], priors, starts[rows], _EXACT)
            evidence[rows] = fits.log_evidence
            coef[rows] = self.space.back(fits.weights, unit)
            intercept[rows] = fits.weights[:, :, -1]
            shares[rows] = self._moderation(fits, unit)
            done.append((unit, rows, fits))
        coef *= shares[:, None, None]
        intercept *= shares[:, None]
        log_posterior = table.log_prior + evidence
        posterior = np.exp(log_posterior - logsumexp(log_posterior))
        # How sure signs are takes far longer to tell than the weights themselves.
        heavy = posterior > _HEAVY * posterior.max()
        deviation = np.zeros(shape)
        for unit, rows, fits in done:
            some = np.flatnonzero(heavy[rows])
            spread = self.space.deviation(fits.covariance[some], unit)
            deviation[rows[some]] = spread * shares[rows[some], None, None]
        return _Means(
            np.tensordot(posterior, coef, axes=1),
            posterior @ intercept,
            posterior,
            evidence,
            _agreement(scores, coef[heavy], deviation[heavy], posterior[heavy]),
            max(fits.n_iter for _, _, fits in done),
        )

    @property
    def _plain(self) -> np.ndarray:
        """The columns of a design that do not depend on the scores."""
        width = self.space.inputs.shape[1]
        return np.array([*range(width), width + 1])

    def _groups(self, table: Hypotheses) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Go over the transforms of the scores and the hypotheses that share each."""
        numbers = np.unique(table.transform)
        for number in steps(numbers, "hypotheses", "transform", len(numbers)):
            yield self.units[number], np.flatnonzero(table.transform == number)

    def _fit(
        self,
        unit: np.ndarray,
        table: Hypotheses,
        priors: GaussianPriors,
        start: np.ndarray | None,
        tolerance: float,
    ) -> Fits:
        design = self.space.design(unit)
        if self.task == "regression":
            return fit_regressor(
                design, self.targets, self.row_weight, priors, table.noise
            )
        return fit_classifier(
            design, self.targets, self.row_weight, priors, start, tolerance
        )

    def _moderation(self, fits: Fits, unit: np.ndarray) -> np.ndarray:
        """Return by how much logits shrink because the weights are not certain.

        MacKay's approximation to the mean probability, with the mean variance of the
        logits over the rows, so that the model stays linear.
        """
        total = np.zeros(len(fits.weights))
        if self.task == "regression":
            return np.ones_like(total)
        for k, columns in enumerate(self.space.design(unit)):
            mean = (columns.T * self.row_weight) @ columns / self.row_weight.sum()
            total += np.tensordot(fits.covariance[:, k], mean, axes=2)
        shrunk: np.ndarray = 1 / np.sqrt(1 + np.pi / 8 * total / len(self.targets))
        return shrunk


@dataclass(frozen=True, eq=False)
class _Means:
    """Averages over the hypotheses that were fitted to the end."""

    coef: np.ndarray
    intercept: np.ndarray
    posterior: np.ndarray
    log_evidence: np.ndarray
    agreement: np.ndarray
    n_iter: int


def _agreement(
    scores: np.ndarray | None,
    coef: np.ndarray,
    deviation: np.ndarray,
    posterior: np.ndarray,
) -> np.ndarray:
    """Return how likely every weight has the sign of its score."""
    if scores is None:
        return np.full(coef.shape[1:], np.nan)
    sign = np.sign(np.nan_to_num(scores))
    distance = np.divide(coef, deviation, out=np.zeros_like(coef), where=deviation > 0)
    share = np.tensordot(posterior / posterior.sum(), ndtr(sign * distance), axes=1)
    return np.where(sign != 0, share, np.nan)
