"""Evidence at a glance: every hypothesis judged from one fit, where rows are many.

With many more rows than columns the log-likelihood is close to a parabola around its
top. One fit finds top and curvature; the evidence of any Gaussian prior then has a
closed form, whatever the number of rows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from llmreg.evidence import GaussianPriors, fit_classifier, told_apart

# Prior of the one fit: weak, but enough to keep separable classes finite.
_PRECISION = 0.1


@dataclass(frozen=True, eq=False)
class Parabola:
    """A quadratic stand-in for the log-likelihood of every output's weights.

    Parameters
    ----------
    top : ndarray of shape (n_outputs, n_columns)
        Weights at which it was made, the intercept last.
    slope : ndarray of shape (n_outputs, n_columns)
        Its gradient there.
    curvature : ndarray of shape (n_outputs, n_columns, n_columns)
        Minus its second derivatives, each output's on its own, for weights that tell
        the outputs apart.
    """

    top: np.ndarray
    slope: np.ndarray
    curvature: np.ndarray


def sketch(design: np.ndarray, targets: np.ndarray, row_weight: np.ndarray) -> Parabola:
    """Fit once, under a weak prior, and keep top and curvature.

    Parameters
    ----------
    design : ndarray of shape (n_outputs, n_samples, n_columns)
        Inputs of every output, with a last column of ones.
    targets : ndarray of shape (n_outputs, n_samples)
        1 where a row is of the class, else 0.
    row_weight : ndarray of shape (n_samples,)
        How often a row counts.

    Returns
    -------
    Parabola
        The stand-in.
    """
    width = design.shape[2] - 1
    prior = GaussianPriors(np.zeros((1, width)), np.full((1, width), _PRECISION))
    fits = fit_classifier(design, targets, row_weight, prior)
    full = prior.with_bias()
    top = fits.weights[0]
    curvature = np.linalg.inv(fits.covariance[0])
    curvature -= np.diag(full.precision[0])
    curvature /= told_apart(len(design))
    # At the top of the posterior the likelihood climbs as the prior falls.
    return Parabola(top, full.precision * top, curvature)


def sketched_evidence(
    parabola: Parabola, change: np.ndarray, priors: GaussianPriors
) -> tuple[np.ndarray, np.ndarray]:
    """Judge hypotheses by a parabola.

    Parameters
    ----------
    parabola : Parabola
        The stand-in for the likelihood.
    change : ndarray of shape (n_outputs, n_columns, n_own_columns)
        Turns weights in the columns of the hypotheses into weights in those of the
        parabola, intercepts last in both.
    priors : GaussianPriors
        The hypotheses.

    Returns
    -------
    log_evidence : ndarray of shape (n_hypotheses,)
        Up to a constant that all share.
    weights : ndarray of shape (n_hypotheses, n_outputs, n_own_columns)
        Most likely weights, to start from.
    """
    priors = priors.with_bias()
    total = np.zeros(len(priors))
    share = told_apart(len(change))
    found = []
    for k, way in enumerate(change):
        curvature = way.T @ parabola.curvature[k] @ way
        pull = way.T @ (parabola.slope[k] + parabola.curvature[k] @ parabola.top[k])
        hessian = np.repeat(curvature[None], len(priors), axis=0)
        diagonal = np.arange(len(curvature))
        hessian[:, diagonal, diagonal] += priors.precision
        right = pull + priors.precision * priors.mean
        weights = np.linalg.solve(hessian, right[..., None])[..., 0]
        total += 0.5 * (right * weights).sum(axis=1)
        total -= 0.5 * (priors.precision * priors.mean**2).sum(axis=1)
        log_volume = np.log(priors.precision).sum(axis=1)
        log_volume -= np.linalg.slogdet(hessian)[1]
        total += 0.5 * share * log_volume
        found.append(weights)
    return total, np.stack(found, axis=1)
