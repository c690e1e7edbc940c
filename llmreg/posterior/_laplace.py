"""How well linear models explain the rows under many Gaussian priors, all at once.

For each prior the most likely weights and the evidence, the probability of the targets
with the weights integrated out, come from one batched Newton iteration: Laplace's
approximation, exact for the squared error [1]_.

Of several classes the rows tell only how their logits differ. The second derivatives
are taken class by class, and are as much too small for that as a class has others:
`softmax_correction` makes up for it, in the iteration and in the evidence.

References
----------
.. [1] D. MacKay, "The evidence framework applied to classification networks", Neural
   Computation 4(5), 1992.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from scipy.linalg import lapack
from scipy.sparse import csr_array
from sklearn.utils import gen_batches

#: Precision of the intercept: next to none, on inputs and targets of order 1.
BIAS_PRECISION = 1e-2
_MAX_NEWTON = 50
# What a step on all rows gains at last, in log-probability.
_ENOUGH = 1e-4
# Precision of the prior of the quadratic approximation: weak, but enough to keep
# separable classes finite.
_WEAK = 0.1
# So large a logarithm of a mean has a finite mean, whose square is finite too.
_MOST_LOG = 300.0
# Rows that are weighted at once, since all of them are a table more.
_BLOCK_ROWS = 8_192


class GaussianPriors(NamedTuple):
    """Means and inverse variances of the weights, of shape (n_priors, n_columns).

    `noise`, of shape (n_priors,), is the variance of targets that are numbers.
    """

    mean: np.ndarray
    precision: np.ndarray
    noise: np.ndarray | None = None


@dataclass
class Fits:
    """The most likely weights under every prior, and how likely the targets are.

    `hessian` are minus the second derivatives along each output's weights with those
    of the others held, of shape (n_priors, n_outputs, n_columns, n_columns).
    """

    weights: np.ndarray
    hessian: np.ndarray
    log_evidence: np.ndarray
    n_iter: int = 1

    @cached_property
    def covariance(self) -> np.ndarray:
        """The covariance of each output's weights, shaped like `hessian`."""
        return np.linalg.inv(self.hessian)


def softmax_correction(n_outputs: int) -> float:
    """Return the share of the weights of all outputs that the rows determine.

    One of as many weights as there are classes is free. Where the classes are equally
    likely, the second derivatives along all others are those of a class on its own,
    divided by this share, and their determinant is the product of the classes' own,
    to the power of it.
    """
    return 1.0 if n_outputs == 1 else (n_outputs - 1) / n_outputs


def fit_classifier(
    design: np.ndarray,
    targets: np.ndarray,
    row_weight: np.ndarray,
    priors: GaussianPriors,
    start: np.ndarray | None = None,
    tolerance: float = 1e-7,
    is_count: bool = False,
) -> Fits:
    """Fit logistic models, or those of counts, under many priors, by Newton's method.

    `design` has shape (n_outputs, n_samples, n_columns), its last column ones;
    `targets` (n_outputs, n_samples); `start` (n_priors, n_outputs, n_columns).
    """
    model = _LogisticModel(design, targets, row_weight, priors, is_count)
    every = active = np.arange(len(priors.mean))
    if start is None:
        weights = np.repeat(priors.mean[:, None], len(design), axis=1)
        # The mean of the prior says how logits differ, not where they are centred.
        centre = np.matmul(row_weight, design) / row_weight.sum()
        weights[:, :, -1] -= np.einsum("gkq,kq->gk", weights, centre)
    else:
        weights = start.copy()
    value, probabilities = model.log_joint(weights, every)
    log_joint, hessian = value.copy(), np.empty((*weights.shape, weights.shape[-1]))
    n_iter = 0
    while len(active) and n_iter < _MAX_NEWTON:
        n_iter += 1
        gradient = model.gradient(weights[active], probabilities, active)
        bends = model.hessian(probabilities, active)
        step = np.linalg.solve(bends, gradient[..., None])[..., 0]
        weights[active], value, probabilities = model.search(
            weights[active], step, value, active
        )
        # The last step is too short to bend anything else.
        log_joint[active], hessian[active] = value, bends
        going = (gradient * step).sum(axis=(1, 2)) > tolerance
        active, value, probabilities = active[going], value[going], probabilities[going]
    share = softmax_correction(len(design))
    log_volume = np.log(priors.precision).sum(axis=1) * len(design)
    log_volume -= np.linalg.slogdet(hessian)[1].sum(axis=1)
    hessian *= share
    _add_to_diagonal(hessian, (1 - share) * priors.precision[:, None])
    evidence = log_joint + 0.5 * share * log_volume
    return Fits(weights, hessian, evidence, n_iter)


def follow_up(
    table: np.ndarray,
    maps: np.ndarray,
    targets: np.ndarray,
    row_weight: np.ndarray,
    priors: GaussianPriors,
    fits: Fits,
    rest: Any = None,
    free: float = 1.0,
    noise: float | None = None,
    is_count: bool = False,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Go on from the weights that some of the rows led to, with all of them.

    There is one prior. `maps`, of shape (n_outputs, n_columns + 1, n_weights), turn
    weights into those of a `table`, (n_columns, n_samples), and constants. Columns of
    the `rest`, sparse and of the same shape, have weights of precision `free`, which
    come last, and are returned with their variances and the outputs for all rows. With
    a `noise` targets are numbers. These are conjugate gradients, with the fits to some
    rows to tell which steps are long.
    """
    weights, covariance, n_told = fits.weights[0], fits.covariance[0], maps.shape[2]
    mean, precision = priors.mean, priors.precision
    if rest is None:
        rest = csr_array((0, table.shape[1]))
    squares = rest.power(2)
    more = ((0, 0), (0, rest.shape[0]))
    weights, mean = np.pad(weights, more), np.pad(mean, more)
    precision = np.pad(precision, more, constant_values=free)
    most = (1.0 if is_count else 0.25) if noise is None else 1 / noise
    spread = 1 / (free + most * (squares @ row_weight))

    def outputs(weights: np.ndarray) -> np.ndarray:
        of_table = np.einsum("kcw,kw->kc", maps, weights[:, :n_told])
        logits: np.ndarray = of_table[:, :-1].astype(table.dtype) @ table
        return logits + of_table[:, -1:] + weights[:, n_told:] @ rest

    def value(weights: np.ndarray, logits: np.ndarray) -> tuple[float, np.ndarray]:
        if noise is None:
            losses, found = losses_of(logits, targets, is_count)
        else:
            losses, found = ((targets - logits) ** 2).sum(axis=0) / (2 * noise), logits
        gap = (precision * (weights - mean) ** 2).sum()
        return float(losses @ row_weight + 0.5 * gap), found

    def bends(found: np.ndarray, along: np.ndarray) -> np.ndarray:
        if noise is not None:
            return (along**2).sum(axis=0) / noise
        curved = (found * along**2).sum(axis=0)
        if not is_count:
            curved -= (found * along).sum(axis=0) ** 2
        return np.asarray(curved)

    logits = outputs(weights)
    now, probabilities = value(weights, logits)
    step, before, gain = np.zeros_like(weights), np.zeros_like(weights), np.inf
    for _ in range(_MAX_NEWTON):
        residual = (targets - probabilities) * row_weight / (noise or 1.0)
        data = residual.astype(table.dtype) @ table.T
        data = np.column_stack([data, residual.sum(axis=1)])
        gradient = np.einsum("kcw,kc->kw", maps, data)
        gradient = np.hstack([gradient, residual @ rest.T])
        gradient -= precision * (weights - mean)
        ahead = np.einsum("kpq,kq->kp", covariance, gradient[:, :n_told])
        ahead = np.hstack([ahead, spread * gradient[:, n_told:]])
        turn = max(0.0, float(((gradient - before) * ahead).sum()) / gain)
        before, gain = gradient, float((gradient * ahead).sum())
        if gain < _ENOUGH:
            break
        step = ahead + turn * step
        along = outputs(step)
        bend = bends(probabilities, along)
        curvature = bend @ row_weight + (precision * step**2).sum()
        length = float((gradient * step).sum() / curvature)
        for _ in range(30):
            moved = weights + length * step, logits + length * along
            new, probabilities = value(*moved)
            if new <= now + _ENOUGH:
                break
            length /= 2
        (weights, logits), now = moved, new
    told = row_weight / (noise or 1.0)
    if noise is None:
        told = told * variance_of(probabilities, is_count)
    variance = 1 / (free + np.atleast_2d(told) @ squares.T)
    return weights[None], variance, logits


def losses_of(
    logits: np.ndarray, targets: np.ndarray, is_count: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Return cross entropies, and the probabilities of the classes.

    Of logits of shape (..., n_outputs, n_samples); those of one output are binary, or
    logarithms of the means of counts, whose losses are up to a constant.
    """
    if is_count:
        mean = np.exp(np.minimum(logits, _MOST_LOG))
        return (mean - targets * logits)[..., 0, :], mean
    if logits.shape[-2] == 1:
        small = np.exp(-np.abs(logits))
        loss = np.log1p(small) + (np.maximum(logits, 0.0) - targets * logits)
        return loss[..., 0, :], np.where(logits >= 0, 1.0, small) / (1.0 + small)
    # What SciPy's logsumexp does, which would take three times as long.
    logits = logits - logits.max(axis=-2, keepdims=True)
    probabilities = np.exp(logits)
    total = probabilities.sum(axis=-2, keepdims=True)
    probabilities /= total
    loss = np.where(targets > 0, np.log(total) - logits, 0.0)
    return loss.sum(axis=-2), probabilities


def variance_of(found: np.ndarray, is_count: bool) -> np.ndarray:
    """Return second derivatives of the loss of an output: variances of targets."""
    return found if is_count else found * (1.0 - found)


@dataclass
class _LogisticModel:
    """Log joint probability of targets and weights, and its derivatives."""

    design: np.ndarray
    targets: np.ndarray
    row_weight: np.ndarray
    priors: GaussianPriors
    is_count: bool

    def __post_init__(self) -> None:
        several = len(self.design) > 1
        self._shared = several & (self.design == self.design[:1]).all(axis=(0, 1))

    def log_joint(
        self, weights: np.ndarray, rows: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return log joint probabilities, and the probabilities of the classes."""
        logits = np.matmul(weights.transpose(1, 0, 2), self.design.transpose(0, 2, 1))
        logits = logits.transpose(1, 0, 2)  # (n_priors, n_outputs, n_samples)
        losses, probabilities = losses_of(logits, self.targets, self.is_count)
        gap = weights - self.priors.mean[rows, None]
        prior = (self.priors.precision[rows, None] * gap**2).sum(axis=(1, 2))
        return -(losses @ self.row_weight) - 0.5 * prior, probabilities

    def gradient(
        self, weights: np.ndarray, probabilities: np.ndarray, rows: np.ndarray
    ) -> np.ndarray:
        """Return the first derivatives."""
        residual = (self.targets - probabilities) * self.row_weight
        data = np.matmul(residual.transpose(1, 0, 2), self.design).transpose(1, 0, 2)
        gap = weights - self.priors.mean[rows, None]
        return data - self.priors.precision[rows, None] * gap

    def hessian(self, probabilities: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Return minus the second derivatives, one block an output."""
        row_weight = self.row_weight / softmax_correction(len(self.design))
        weight = variance_of(probabilities, self.is_count) * row_weight
        squares = map(weighted_squares, self.design, weight.swapaxes(0, 1))
        hessian = np.stack(list(squares), axis=1)
        _add_to_diagonal(hessian, self.priors.precision[rows, None])
        return hessian

    def search(
        self, weights: np.ndarray, step: np.ndarray, value: np.ndarray, rows: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Take the step, halved until it does not lead down."""
        moved = self._centred(weights + step, rows)
        new, probabilities = self.log_joint(moved, rows)
        slack = 1e-10 * np.abs(value)
        for _ in range(30):
            worse = new < value - slack
            if not worse.any():
                break
            step = np.where(worse[:, None, None], 0.5 * step, step)
            moved[worse] = self._centred((weights + step)[worse], rows[worse])
            new[worse], probabilities[worse] = self.log_joint(moved[worse], rows[worse])
        return moved, new, probabilities

    def _centred(self, weights: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Put the mean over the classes, which only the prior knows, where it belongs.

        A step made class by class creeps along that direction; this goes there at once.
        """
        if self._shared.any():
            mean = weights.mean(axis=1, keepdims=True)
            shift = self.priors.mean[rows, None] - mean
            weights = np.where(self._shared, weights + shift, weights)
        return weights


def weighted_squares(columns: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return ``columns.T @ diag(w) @ columns`` for each row w of the weights."""
    found = np.zeros((len(weights), columns.shape[1], columns.shape[1]))
    for rows in gen_batches(len(columns), _BLOCK_ROWS):
        for total, root in zip(found, np.sqrt(weights[:, rows]), strict=True):
            # Of a matrix with itself BLAS makes one half only.
            half = columns[rows] * root[:, None]
            total += half.T @ half
    return found


def _add_to_diagonal(matrices: np.ndarray, values: np.ndarray) -> None:
    diagonal = np.arange(matrices.shape[-1])
    matrices[..., diagonal, diagonal] += values


def fit_regressor(
    design: np.ndarray,
    targets: np.ndarray,
    row_weight: np.ndarray,
    priors: GaussianPriors,
    start: np.ndarray | None = None,
    tolerance: float = 0.0,
) -> Fits:
    """Fit linear models of one output in closed form; nothing else differs."""
    assert priors.noise is not None
    columns, target, noise = design[0], targets[0], priors.noise
    products = weighted_squares(columns, row_weight[None])[0]
    moments = (target * row_weight) @ columns
    square, count = float(row_weight @ target**2), float(row_weight.sum())
    hessian = products / noise[:, None, None]
    right = moments / noise[:, None] + priors.precision * priors.mean
    _add_to_diagonal(hessian, priors.precision)
    weights = np.linalg.solve(hessian, right[..., None])[..., 0]
    log_volume = np.log(priors.precision).sum(axis=1) - np.linalg.slogdet(hessian)[1]
    error = square - 2 * weights @ moments
    error += np.einsum("gp,pq,gq->g", weights, products, weights, optimize=True)
    gap = (priors.precision * (weights - priors.mean) ** 2).sum(axis=1)
    evidence = -0.5 * (count * np.log(2 * np.pi * noise) + error / noise + gap)
    evidence += 0.5 * log_volume
    return Fits(weights[:, None], hessian[:, None], evidence)


def approximate(
    design: np.ndarray,
    targets: np.ndarray,
    row_weight: np.ndarray,
    prior: GaussianPriors | None = None,
    start: np.ndarray | None = None,
    tolerance: float = 1e-7,
    is_count: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """Approximate the likelihood around the best fit under one prior, or a weak one.

    Returns its gradient at weights of 0 and minus its second derivatives, one block an
    output.
    """
    if prior is None:
        mean = np.zeros((1, design.shape[2]))
        prior = GaussianPriors(mean, np.full_like(mean, _WEAK))
        prior.precision[:, -1] = BIAS_PRECISION
    rows = design, targets, row_weight
    fits = fit_classifier(*rows, prior, start, tolerance, is_count)
    top, bends = fits.weights[0], fits.hessian[0]
    _add_to_diagonal(bends, -prior.precision)
    bends /= softmax_correction(len(design))
    # At the top of the posterior the likelihood climbs as the prior falls.
    gradient = prior.precision * (top - prior.mean)
    return gradient + np.einsum("kpq,kq->kp", bends, top), bends


def approximate_evidence(
    likelihood: tuple[np.ndarray, np.ndarray],
    priors: GaussianPriors,
    maps: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return evidence, up to a constant, and the most likely weights.

    `maps` turn weights under the priors into weights of the approximation, where these
    are others.
    """
    evidence, weights = np.zeros(len(priors.mean)), []
    share = softmax_correction(len(likelihood[0]))
    for k, (gradient, hessian) in enumerate(zip(*likelihood, strict=True)):
        if maps is not None:
            gradient, hessian = maps[k].T @ gradient, maps[k].T @ hessian @ maps[k]
        right = gradient + priors.precision * priors.mean
        log_volume, top = np.log(priors.precision).sum(axis=1), np.empty_like(right)
        for point, precision in enumerate(priors.precision):
            # In the order of LAPACK, which then needs no copy of its own.
            bends = hessian.copy(order="F")
            _add_to_diagonal(bends, precision)
            root = lapack.dpotrf(bends, overwrite_a=True)[0]
            top[point] = lapack.dpotrs(root, right[point])[0]
            log_volume[point] -= 2 * np.log(root.diagonal()).sum()
        evidence += 0.5 * (right * top).sum(axis=1)
        evidence -= 0.5 * (priors.precision * priors.mean**2).sum(axis=1)
        evidence += 0.5 * share * log_volume
        weights.append(top)
    return evidence, np.stack(weights, axis=1)
