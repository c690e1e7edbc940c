"""How well linear models explain the rows under many Gaussian priors, all at once.

Every hypothesis is a prior over the weights of a linear model. For each of them the
most likely weights and the evidence, the probability of the targets with the weights
integrated out, come from one batched Newton iteration: Laplace's approximation, exact
for the squared error [1]_.

Of several classes the rows tell only how their logits differ. The second derivatives
are taken class by class, and are as much too small for that as a class has others:
`told_apart` makes up for it, in the iteration and in the evidence.

References
----------
.. [1] D. MacKay, "The evidence framework applied to classification networks", Neural
   Computation 4(5), 1992.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import log_expit

# Entries of a block of products of columns; 16 MB.
_BLOCK = 2_000_000
# So few weights are not worth the products of all pairs of columns.
_FEW = 32


class PairProducts:
    """``columns.T @ diag(w) @ columns`` for many weights w of the rows.

    Shapes: columns (n_samples, n_columns).
    """

    def __init__(self, columns: np.ndarray) -> None:
        self.columns = columns
        self._upper = np.triu_indices(columns.shape[1])
        # Few rows: their products of columns are made once, not at every step.
        small = len(columns) * len(self._upper[0]) <= _BLOCK
        self._kept = self._products(slice(None)) if small else None

    def weighted(self, weights: np.ndarray) -> np.ndarray:
        """Return the sums for weights of shape (n_weights, n_samples).

        Shapes: weights (n_weights, n_samples); returns (n_weights, n_columns,
        n_columns).
        """
        if len(weights) <= _FEW and self._kept is None:
            turned = self.columns.T
            return np.stack([(turned * weight) @ self.columns for weight in weights])
        # One product of matrices for all weights: far faster than a product for each,
        # once the products of columns are there.
        if self._kept is not None:
            total = weights @ self._kept
        else:
            total = np.zeros((len(weights), len(self._upper[0])))
            size = max(1, _BLOCK // len(self._upper[0]))
            for start in range(0, len(self.columns), size):
                rows = slice(start, start + size)
                total += weights[:, rows] @ self._products(rows)
        n_columns = self.columns.shape[1]
        sums = np.empty((len(weights), n_columns, n_columns))
        sums[:, self._upper[0], self._upper[1]] = total
        sums[:, self._upper[1], self._upper[0]] = total
        return sums

    def _products(self, rows: slice) -> np.ndarray:
        part = self.columns[rows]
        products: np.ndarray = part[:, self._upper[0]] * part[:, self._upper[1]]
        return products


# Precision of the intercept: next to none, on inputs and targets of order 1.
_BIAS_PRECISION = 1e-2
_MAX_NEWTON = 50


@dataclass(frozen=True, eq=False)
class GaussianPriors:
    """Gaussian priors over the coordinates of a linear model, one a hypothesis.

    Parameters
    ----------
    mean : ndarray of shape (n_hypotheses, n_columns)
        Means of the weights.
    precision : ndarray of shape (n_hypotheses, n_columns)
        Inverse variances, above 0.
    """

    mean: np.ndarray
    precision: np.ndarray

    def __len__(self) -> int:
        return len(self.mean)

    def __getitem__(self, rows: np.ndarray) -> GaussianPriors:
        return GaussianPriors(self.mean[rows], self.precision[rows])

    def with_bias(self) -> GaussianPriors:
        """Return the priors with a last column for the intercept."""
        mean = np.pad(self.mean, ((0, 0), (0, 1)))
        precision = np.pad(
            self.precision, ((0, 0), (0, 1)), constant_values=_BIAS_PRECISION
        )
        return GaussianPriors(mean, precision)


@dataclass(frozen=True, eq=False)
class Fits:
    """The most likely weights under every hypothesis, and how likely the targets are.

    Parameters
    ----------
    weights : ndarray of shape (n_hypotheses, n_outputs, n_columns + 1)
        Most likely weights, the intercept last.
    covariance : ndarray of shape (n_hypotheses, n_outputs, n_columns + 1, \
            n_columns + 1)
        Covariance of every output's weights with those of the others held.
    log_evidence : ndarray of shape (n_hypotheses,)
        Logarithm of the evidence.
    n_iter : int, default=1
        Steps until the last hypothesis was done.
    """

    weights: np.ndarray
    covariance: np.ndarray
    log_evidence: np.ndarray
    n_iter: int = 1


def fit_classifier(
    design: np.ndarray,
    targets: np.ndarray,
    row_weight: np.ndarray,
    priors: GaussianPriors,
    start: np.ndarray | None = None,
    tolerance: float = 1e-7,
) -> Fits:
    """Fit logistic models under many priors.

    Shapes: design (n_outputs, n_samples, n_columns + 1), targets (n_outputs,
    n_samples), row_weight (n_samples,), start (n_hypotheses, n_outputs, n_columns +
    1).
    """
    priors = priors.with_bias()
    shape = (len(priors), len(design), design.shape[2])
    if start is None:
        start = np.broadcast_to(priors.mean[:, None], shape).copy()
        # The mean of the prior says how logits differ, not where they are centred.
        centre = np.average(design, axis=1, weights=row_weight)
        start[:, :, -1] -= np.einsum("gkq,kq->gk", start, centre)
    problem = _Logistic(design, targets, row_weight, priors)
    weights = problem.maximize(start, tolerance)
    every = np.arange(len(priors))
    log_joint, likelihoods = problem.log_joint(weights, every)
    hessian = problem.curvature(likelihoods, every)
    share = told_apart(len(design))
    log_volume = np.log(priors.precision).sum(axis=1) * len(design)
    log_volume -= np.linalg.slogdet(hessian)[1].sum(axis=1)
    evidence = log_joint + 0.5 * share * log_volume
    hessian *= share
    diagonal = np.arange(shape[2])
    hessian[..., diagonal, diagonal] += (1 - share) * priors.precision[:, None]
    return Fits(weights, np.linalg.inv(hessian), evidence, problem.n_iter)


def told_apart(n_outputs: int) -> float:
    """Return the share of the weights of all outputs that the rows can tell of.

    What is added to the logits of all classes changes no probability, so one of as
    many weights as there are classes is free. Where the classes are equally likely,
    the second derivatives along all others are those of a class on its own, divided
    by this share; and the determinant of all is the product of the classes' own, to
    the power of it.
    """
    return 1.0 if n_outputs == 1 else (n_outputs - 1) / n_outputs


class _Logistic:
    """Log joint probability of targets and weights, its gradient and curvature."""

    def __init__(
        self,
        design: np.ndarray,
        targets: np.ndarray,
        row_weight: np.ndarray,
        priors: GaussianPriors,
    ) -> None:
        self.design, self.targets = design, targets
        self.row_weight, self.priors = row_weight, priors
        self.products = [PairProducts(columns) for columns in design]
        self.n_iter = 0
        several = len(design) > 1
        self._shared = several & (design == design[:1]).all(axis=(0, 1))

    def maximize(self, weights: np.ndarray, tolerance: float) -> np.ndarray:
        """Climb from `weights` to the top, every hypothesis at its own pace."""
        weights = weights.copy()
        active = np.arange(len(weights))
        value, probabilities = self.log_joint(weights, active)
        for self.n_iter in range(1, _MAX_NEWTON + 1):
            current = weights[active]
            gradient = self._gradient(current, probabilities, active)
            hessian = self.curvature(probabilities, active)
            step = np.linalg.solve(hessian, gradient[..., None])[..., 0]
            rise = (gradient * step).sum(axis=(1, 2))
            moved, value, probabilities = self._search(current, step, value, active)
            weights[active] = moved
            going = rise > tolerance
            active, value, probabilities = (
                active[going],
                value[going],
                probabilities[going],
            )
            if not len(active):
                break
        return weights

    def _search(
        self,
        weights: np.ndarray,
        step: np.ndarray,
        value: np.ndarray,
        active: np.ndarray,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Take the step, halved until it does not lead down."""
        moved = self._centred(weights + step, active)
        new, probabilities = self.log_joint(moved, active)
        slack = 1e-10 * np.abs(value)
        for _ in range(30):
            worse = new < value - slack
            if not worse.any():
                break
            step = np.where(worse[:, None, None], 0.5 * step, step)
            moved[worse] = self._centred((weights + step)[worse], active[worse])
            new[worse], probabilities[worse] = self.log_joint(
                moved[worse], active[worse]
            )
        return moved, new, probabilities

    def _centred(self, weights: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Put the mean over the classes, which only the prior knows, where it belongs.

        What is added to the logits of all classes changes no probability. A step
        made class by class creeps along that direction; this goes there at once.
        """
        if self._shared.any():
            mean = weights.mean(axis=1, keepdims=True)
            shift = self.priors.mean[rows, None] - mean
            weights = np.where(self._shared, weights + shift, weights)
        return weights

    def log_joint(
        self, weights: np.ndarray, rows: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return log joint probabilities, and the probabilities of the classes."""
        logits = np.matmul(weights.transpose(1, 0, 2), self.design.transpose(0, 2, 1))
        logits = logits.transpose(1, 0, 2)  # (n_hypotheses, n_outputs, n_samples)
        if len(self.design) == 1:
            log_p = log_expit(logits)
            fit = np.where(self.targets > 0, log_p, log_expit(-logits))
            probabilities = np.exp(log_p)
        else:
            # What SciPy's logsumexp does, which would take three times as long.
            logits -= logits.max(axis=1, keepdims=True)
            probabilities = np.exp(logits)
            total = probabilities.sum(axis=1, keepdims=True)
            fit = np.where(self.targets > 0, logits - np.log(total), 0.0)
            probabilities /= total
        likelihood = (fit.sum(axis=1) * self.row_weight).sum(axis=1)
        gap = weights - self.priors.mean[rows, None]
        prior = (self.priors.precision[rows, None] * gap**2).sum(axis=(1, 2))
        return likelihood - 0.5 * prior, probabilities

    def _gradient(
        self, weights: np.ndarray, probabilities: np.ndarray, rows: np.ndarray
    ) -> np.ndarray:
        residual = (self.targets - probabilities) * self.row_weight
        data = np.matmul(residual.transpose(1, 0, 2), self.design).transpose(1, 0, 2)
        gap = weights - self.priors.mean[rows, None]
        gradient: np.ndarray = data - self.priors.precision[rows, None] * gap
        return gradient

    def curvature(self, probabilities: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Return minus the second derivatives, one block an output."""
        row_weight = self.row_weight / told_apart(len(self.design))
        weight = probabilities * (1 - probabilities) * row_weight
        blocks = [
            products.weighted(weight[:, k]) for k, products in enumerate(self.products)
        ]
        hessian = np.stack(blocks, axis=1)
        diagonal = np.arange(hessian.shape[-1])
        hessian[..., diagonal, diagonal] += self.priors.precision[rows, None]
        return hessian


def fit_regressor(
    design: np.ndarray,
    targets: np.ndarray,
    row_weight: np.ndarray,
    priors: GaussianPriors,
    noise: np.ndarray,
) -> Fits:
    """Fit linear models with Gaussian noise under many priors; nothing is iterated.

    Shapes: design (1, n_samples, n_columns + 1), targets (1, n_samples), row_weight
    (n_samples,), noise (n_hypotheses,).
    """
    priors = priors.with_bias()
    columns, target = design[0], targets[0]
    products = PairProducts(columns).weighted(row_weight[None])[0]
    moments = (target * row_weight) @ columns
    square, count = float(row_weight @ target**2), float(row_weight.sum())
    hessian = products / noise[:, None, None]
    diagonal = np.arange(len(products))
    hessian[:, diagonal, diagonal] += priors.precision
    pull = moments / noise[:, None] + priors.precision * priors.mean
    weights = np.linalg.solve(hessian, pull[..., None])[..., 0]
    error = square - 2 * weights @ moments
    error += np.einsum("gp,pq,gq->g", weights, products, weights, optimize=True)
    gap = (priors.precision * (weights - priors.mean) ** 2).sum(axis=1)
    log_evidence = -0.5 * (count * np.log(2 * np.pi * noise) + error / noise + gap)
    log_evidence += 0.5 * np.log(priors.precision).sum(axis=1)
    log_evidence -= 0.5 * np.linalg.slogdet(hessian)[1]
    covariance = np.linalg.inv(hessian)
    return Fits(weights[:, None], covariance[:, None], log_evidence)


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

    Shapes: design (n_outputs, n_samples, n_columns), targets (n_outputs,
    n_samples), row_weight (n_samples,).
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

    Shapes: change (n_outputs, n_columns, n_own_columns); returns (n_hypotheses,),
    (n_hypotheses, n_outputs, n_own_columns).
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
