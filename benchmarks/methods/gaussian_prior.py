"""A Gaussian prior on the coefficients, in the manner of AutoElicit (arXiv 2411.17284).

AutoElicit (Capstick et al. 2025) asks a language model, in many rephrasings, for a mean
and a standard deviation of every coefficient of a linear model of standardised
features, takes the mixture of these Gaussians as the prior, and samples the posterior
of logistic or linear regression. The prior is fixed before a row is seen.

The recorded answers are scores from -10 to 10, so two constants make coefficients of
them: the mean of a coefficient is the score times a scale, and the deviation of each
answer is so many points of doubt times the scale. Five answers that are equally likely
then have the mean of the scores and the variance of the answers around it plus the
doubt squared, and the Gaussian with these moments stands for the mixture, whose parts
lie far closer together than each is wide. Scale and doubt were chosen on ``--cards
development`` at 1, 5 and 50 rows per class by the log loss, and for regressions on
``--cards regression`` at 5, 25 and 100 rows by R2.

The posterior is Laplace's approximation, averaged over by the probit approximation
(MacKay 1992, doi 10.1162/neco.1992.4.5.720); with more than two classes, per class. In
a regression, of a standardised target, the posterior is exact given the noise, and the
noise has the half-Cauchy prior of the authors' code and is set where the evidence is
highest.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from scipy.linalg import cho_factor, cho_solve
from scipy.special import expit, logsumexp, softmax

from benchmarks.data.datasets import Dataset
from benchmarks.methods.baselines import Fit, FloatArray, Predictor, of_columns
from benchmarks.methods.tuning import Problem, prepare

#: What a point of the score is worth, in log odds (deviations of the target) per
#: deviation of the feature; and the deviation of one answer, in points of the score.
CONSTANTS = {"classification": (0.1, 4.0), "regression": (0.03, 2.0)}
#: The deviation of the intercept, which nobody was asked for: that of the prior that
#: the authors call uninformative.
_INTERCEPT = 1.0
_NOISES = np.logspace(-1.5, 0.5, 33)


def with_gaussian_prior(constants: Mapping[str, tuple[float, float]]) -> Fit:
    """Make the method for two constants.

    They are, by the kind of prediction, what a point of the score is worth and the
    deviation of one answer in points.
    """

    def fit(
        dataset: Dataset, X: pd.DataFrame, y: pd.Series[Any], seed: int
    ) -> Predictor:
        scale, doubt = constants[dataset.kind]
        problem = prepare(dataset, X, y, standardised=True)
        spread = answer_spread(dataset, problem)
        mean = scale * problem.scores
        variance = scale**2 * (spread**2 + doubt**2)
        if problem.task == "regression":
            return _regression(problem, mean[:, 0], variance[:, 0])
        return _classification(problem, mean, variance)

    return fit


def answer_spread(dataset: Dataset, problem: Problem) -> FloatArray:
    """Return the deviation of the recorded answers around their mean.

    In points of the score, of shape (n_columns, n_outputs); 0 where there was only one
    answer.
    """
    spread = dataset.prior.spread
    if spread is None:
        return np.zeros_like(problem.scores)
    return of_columns(dataset, problem.encoder, spread)


def _regression(problem: Problem, mean: FloatArray, variance: FloatArray) -> Predictor:
    """Take the posterior mean, at the noise with the highest evidence."""
    X, left = _with_ones(problem.X), problem.y[:, 0] - problem.X @ mean
    variance = np.append(variance, _INTERCEPT**2)
    values, vectors = np.linalg.eigh((X * variance) @ X.T)
    turned = vectors.T @ left
    total = np.maximum(values, 0)[None, :] + _NOISES[:, None] ** 2
    evidence = -0.5 * (np.log(total) + turned**2 / total).sum(axis=1)
    best = total[int((evidence - np.log1p(_NOISES**2)).argmax())]
    weights = variance * (X.T @ (vectors @ (turned / best)))
    weights[:-1] += mean
    return lambda rows: problem.finish(
        (_with_ones(problem.table(rows)) @ weights)[:, None]
    )


def _classification(
    problem: Problem, mean: FloatArray, variance: FloatArray
) -> Predictor:
    """Take Laplace's approximation, and average the probabilities over it."""
    X = _with_ones(problem.X)
    outputs = mean.shape[1]
    mean = np.vstack([mean, np.zeros(outputs)])
    precision = 1 / np.vstack([variance, np.full(outputs, _INTERCEPT**2)])
    weights, factor = laplace(X, problem.y, mean, precision)

    def predict(rows: pd.DataFrame) -> FloatArray:
        table = _with_ones(problem.table(rows))
        doubt = np.empty((len(table), outputs))
        width = table.shape[1]
        covariance = cho_solve(factor, np.eye(width * outputs))
        for k in range(outputs):
            block = covariance[k * width : (k + 1) * width, k * width : (k + 1) * width]
            doubt[:, k] = ((table @ block) * table).sum(axis=1)
        scores = (table @ weights) / np.sqrt(1 + np.pi * np.maximum(doubt, 0) / 8)
        return problem.finish(expit(scores) if outputs == 1 else softmax(scores, 1))

    return predict


def laplace(
    X: FloatArray, y: FloatArray, mean: FloatArray, precision: FloatArray
) -> tuple[FloatArray, Any]:
    """Find the most likely weights of a logistic regression, and their curvature.

    `X` has a column of ones for the intercept; `y` has one column for two classes, a
    column for each of more. `mean` and `precision` of the Gaussian prior have the shape
    of the weights, (n_columns, n_outputs). Returns the weights and the curvature as
    `scipy.linalg.cho_factor` gives it, the columns of the first output first.
    """
    weights = mean.copy()
    value = _energy(X, y, weights, mean, precision)
    for _ in range(100):
        likely = _likely(X @ weights)
        slope = X.T @ (likely - y) + precision * (weights - mean)
        factor = cho_factor(_curvature(X, likely, precision))
        step = cho_solve(factor, slope.T.ravel()).reshape(weights.T.shape).T
        gain, length = float((slope * step).sum()), 1.0
        if gain < 1e-10:
            break
        while length > 1e-8:
            tried = weights - length * step
            there = _energy(X, y, tried, mean, precision)
            if there <= value - 1e-4 * length * gain:
                break
            length /= 2
        weights, value = tried, there
    return weights, factor


def _curvature(X: FloatArray, likely: FloatArray, precision: FloatArray) -> FloatArray:
    """Return the second derivatives of the energy."""
    outputs, width = likely.shape[1], X.shape[1]
    matrix = np.diag(precision.T.ravel())
    for k in range(outputs):
        for m in range(outputs):
            weight = likely[:, k] * ((k == m) - likely[:, m])
            block = (X.T * weight) @ X
            matrix[k * width : (k + 1) * width, m * width : (m + 1) * width] += block
    return matrix


def _energy(
    X: FloatArray,
    y: FloatArray,
    weights: FloatArray,
    mean: FloatArray,
    precision: FloatArray,
) -> float:
    """Return the negative log of the posterior, but for a constant."""
    scores = X @ weights
    if scores.shape[1] == 1:
        loss = np.logaddexp(0, scores).sum() - (y * scores).sum()
    else:
        loss = logsumexp(scores, axis=1).sum() - (y * scores).sum()
    return float(loss + 0.5 * (precision * (weights - mean) ** 2).sum())


def _likely(scores: FloatArray) -> FloatArray:
    """Return the probabilities of scores."""
    return expit(scores) if scores.shape[1] == 1 else softmax(scores, 1)


def _with_ones(table: FloatArray) -> FloatArray:
    """Append the column of the intercept."""
    return np.column_stack([table, np.ones(len(table))])
