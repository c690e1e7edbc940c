"""Batched fits under Gaussian priors, and their evidence."""

import numpy as np
import pytest
from scipy.optimize import approx_fprime
from scipy.special import expit, log_expit
from scipy.stats import multivariate_normal

from llmreg.posterior._laplace import (
    BIAS_PRECISION,
    GaussianPriors,
    approximate,
    approximate_evidence,
    fit_classifier,
    fit_regressor,
    weighted_squares,
)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def with_ones(X):
    return np.hstack([X, np.ones((len(X), 1))])


def make_priors(mean, precision, noise=None):
    """Add the intercept, of next to no precision, to priors of weights."""
    pad = (0, 0), (0, 1)
    precision = np.pad(precision, pad, constant_values=BIAS_PRECISION)
    return GaussianPriors(np.pad(mean, pad), precision, noise)


def some_priors(rng, n_priors, width, noise=None):
    mean = rng.normal(size=(n_priors, width))
    return make_priors(mean, rng.uniform(0.3, 5, size=mean.shape), noise)


def test_weighted_squares_are_the_plain_sums(rng):
    columns, weights = rng.normal(size=(30, 4)), rng.uniform(size=(5, 30))
    expected = np.stack([columns.T @ np.diag(w) @ columns for w in weights])
    found = weighted_squares(columns, weights)
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_regression_evidence_is_the_marginal_density(rng):
    X, y = with_ones(rng.normal(size=(9, 3))), rng.normal(size=9)
    noise = np.array([0.1, 0.5, 1.0, 2.0])
    full = some_priors(rng, 4, 3, noise)
    fits = fit_regressor(X[None], y[None], np.ones(9), full)
    for g in range(4):
        covariance = X @ np.diag(1 / full.precision[g]) @ X.T + noise[g] * np.eye(9)
        marginal = multivariate_normal(X @ full.mean[g], covariance)
        assert fits.log_evidence[g] == pytest.approx(marginal.logpdf(y))


@pytest.mark.parametrize("n_classes", [2, 3])
def test_classifier_ends_where_the_gradient_is_zero(rng, n_classes):
    X = with_ones(rng.normal(size=(20, 3)))
    label = rng.integers(n_classes, size=20)
    targets = np.eye(n_classes)[label].T
    if n_classes == 2:
        targets = targets[1:]
    weight = rng.uniform(0.5, 2, size=20)
    full = some_priors(rng, 3, 3)
    design = np.repeat(X[None], len(targets), axis=0)
    fits = fit_classifier(design, targets, weight, full, tolerance=1e-11)

    def log_joint(flat, g):
        w = flat.reshape(len(targets), 4)
        logits = w @ X.T
        if n_classes == 2:
            fit = np.where(targets[0] > 0, log_expit(logits[0]), log_expit(-logits[0]))
        else:
            fit = (targets * logits).sum(0) - np.log(np.exp(logits).sum(0))
        return weight @ fit - 0.5 * (full.precision[g] * (w - full.mean[g]) ** 2).sum()

    for g in range(3):
        gradient = approx_fprime(fits.weights[g].ravel(), log_joint, 1e-7, g)
        np.testing.assert_allclose(gradient, 0, atol=1e-3)


def log_integral(log_likelihood, x, most):
    """Integrate over a slope of mean 1 and precision 4, and a bias up to `most`."""
    slope, bias = np.meshgrid(np.linspace(-2, 4, 601), np.linspace(-most, most, 801))
    log_joint = log_likelihood(slope[..., None] * x + bias[..., None]).sum(-1)
    log_joint += 0.5 * np.log(4 / (2 * np.pi)) - 2 * (slope - 1) ** 2
    log_joint += 0.5 * np.log(BIAS_PRECISION / (2 * np.pi))
    log_joint -= 0.5 * BIAS_PRECISION * bias**2
    return np.log(np.exp(log_joint).sum() * (6 / 600) * (2 * most / 800))


def test_laplace_evidence_is_close_to_the_integral(rng):
    x, y = rng.normal(size=12), (rng.uniform(size=12) > 0.5).astype(float)
    design = with_ones(x[:, None])
    priors = make_priors(np.array([[1.0]]), np.array([[4.0]]))
    fits = fit_classifier(design[None], y[None], np.ones(12), priors)
    integral = log_integral(
        lambda logits: np.log(np.where(y > 0, expit(logits), expit(-logits))), x, 8
    )
    assert fits.log_evidence[0] == pytest.approx(integral, abs=0.1)


def test_counts_end_where_the_gradient_is_zero(rng):
    X, y = with_ones(rng.normal(size=(20, 3))), rng.poisson(2.0, 20).astype(float)
    weight, full = rng.uniform(0.5, 2, size=20), some_priors(rng, 3, 3)
    rows = X[None], y[None], weight
    fits = fit_classifier(*rows, full, tolerance=1e-11, is_count=True)
    for g in range(3):
        w = fits.weights[g, 0]
        mean = np.exp(X @ w)
        slope = X.T @ (weight * (y - mean)) - full.precision[g] * (w - full.mean[g])
        np.testing.assert_allclose(slope, 0, atol=1e-5)
        curved = (X.T * (weight * mean)) @ X + np.diag(full.precision[g])
        np.testing.assert_allclose(np.linalg.inv(fits.covariance[g, 0]), curved)


def test_evidence_of_counts_is_close_to_the_integral(rng):
    x = rng.normal(size=12)
    y = rng.poisson(np.exp(0.5 + x)).astype(float)
    design = with_ones(x[:, None])
    priors = make_priors(np.array([[1.0]]), np.array([[4.0]]))
    rows = design[None], y[None], np.ones(12)
    fits = fit_classifier(*rows, priors, is_count=True)
    integral = log_integral(lambda logs: y * logs - np.exp(logs), x, 4)
    assert fits.log_evidence[0] == pytest.approx(integral, abs=0.02)


def test_counts_far_from_the_prior_are_reached(rng):
    X = with_ones(np.linspace(-1, 1, 30)[:, None])
    y = np.where(X[:, 0] > 0.8, 5_000.0, 0.0)
    priors = make_priors(np.array([[-30.0]]), np.array([[0.1]]))
    fits = fit_classifier(X[None], y[None], np.ones(30), priors, is_count=True)
    assert fits.weights[0, 0, 0] > 10 and np.isfinite(fits.log_evidence).all()


def full_curvature(X, p, row_weight):
    """Minus the second derivatives along the weights of all classes together."""
    probabilities = np.einsum("kn,kl->nkl", p, np.eye(len(p))) - np.einsum(
        "kn,ln->nkl", p, p
    )
    table = np.einsum("n,nkl,np,nq->kplq", row_weight, probabilities, X, X)
    return table.reshape(len(p) * X.shape[1], -1)


@pytest.mark.parametrize("n_classes", [3, 5])
def test_equally_likely_classes_have_the_evidence_of_all_together(rng, n_classes):
    X = np.repeat(with_ones(rng.normal(size=(6, 2))), n_classes, axis=0)
    targets = np.tile(np.eye(n_classes), 6)
    design = np.repeat(X[None], n_classes, axis=0)
    priors = make_priors(np.zeros((1, 2)), np.array([[0.7, 2.0]]))
    fits = fit_classifier(design, targets, np.ones(len(X)), priors)
    np.testing.assert_allclose(fits.weights, 0, atol=1e-8)
    assert fits.n_iter == 1

    precision = np.tile(priors.precision[0], n_classes)
    hessian = full_curvature(X, np.full(targets.shape, 1 / n_classes), np.ones(len(X)))
    hessian += np.diag(precision)
    evidence = len(X) * np.log(1 / n_classes)
    evidence += 0.5 * (np.log(precision).sum() - np.linalg.slogdet(hessian)[1])
    assert fits.log_evidence[0] == pytest.approx(evidence)
    # With the other classes' weights held, a class has the curvature of its own.
    np.testing.assert_allclose(
        fits.covariance[0, 0], np.linalg.inv(hessian[:3, :3]), atol=1e-12
    )


def test_several_classes_take_few_steps(rng):
    X = with_ones(rng.normal(size=(200, 5)))
    label = (X[:, :5] @ rng.normal(size=(5, 4)) * 3).argmax(axis=1)
    targets, weight = np.eye(4)[label].T, np.ones(200)
    priors = make_priors(np.zeros((3, 5)), np.full((3, 5), 0.5))
    fits = fit_classifier(np.repeat(X[None], 4, axis=0), targets, weight, priors)
    assert fits.n_iter < 30
    logits = X @ fits.weights[0].T
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    gradient = (targets.T - p).T @ X - priors.precision[0] * fits.weights[0]
    np.testing.assert_allclose(gradient, 0, atol=1e-2)


def test_priors_do_not_influence_one_another(rng):
    X, y = with_ones(rng.normal(size=(15, 4))), rng.integers(2, size=15)[None] * 1.0
    priors = some_priors(rng, 5, 4)
    together = fit_classifier(X[None], y, np.ones(15), priors)
    alone = fit_classifier(
        X[None], y, np.ones(15), GaussianPriors(priors.mean[3:4], priors.precision[3:4])
    )
    np.testing.assert_allclose(together.weights[3], alone.weights[0], atol=1e-6)
    assert together.log_evidence[3] == pytest.approx(alone.log_evidence[0])


def test_separable_classes_end_at_finite_weights():
    X = with_ones(np.linspace(-1, 1, 10)[:, None])
    y = (X[None, :, 0] > 0).astype(float)
    priors = make_priors(np.array([[50.0], [-50.0]]), np.array([[1e-3], [1e-3]]))
    fits = fit_classifier(X[None], y, np.ones(10), priors)
    assert np.isfinite(fits.log_evidence).all()
    assert np.isfinite(fits.weights).all()


def test_a_weight_of_two_is_a_row_twice(rng):
    X, y = with_ones(rng.normal(size=(8, 2))), rng.integers(2, size=8) * 1.0
    priors = some_priors(rng, 2, 2)
    weight = np.ones(8)
    weight[3] = 2
    weighted = fit_classifier(X[None], y[None], weight, priors)
    rows = np.append(np.arange(8), 3)
    doubled = fit_classifier(X[None, rows], y[None, rows], np.ones(9), priors)
    np.testing.assert_allclose(weighted.weights, doubled.weights, atol=1e-6)
    np.testing.assert_allclose(weighted.log_evidence, doubled.log_evidence)


def test_the_approximation_orders_priors_as_the_exact_evidence_does(rng):
    X = rng.uniform(size=(3000, 4))
    y = (rng.uniform(size=3000) < expit((X - 0.5) @ [2.0, -1.0, 0.5, 0.0])) * 1.0
    design, weight = with_ones(X - X.mean(axis=0))[None], np.ones(3000)
    priors = some_priors(rng, 6, 4)
    exact = fit_classifier(design, y[None], weight, priors)
    likelihood = approximate(design, y[None], weight)
    rough, start = approximate_evidence(likelihood, priors, np.eye(5)[None])
    np.testing.assert_allclose(
        rough - rough[0], exact.log_evidence - exact.log_evidence[0], atol=0.05
    )
    np.testing.assert_allclose(start, exact.weights, atol=0.02)
