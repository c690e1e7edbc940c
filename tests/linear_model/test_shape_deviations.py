"""How sure shapes are: what Gaussians say, worked out without any coordinates."""

import numpy as np
import pytest
from scipy.special import expit

from llmreg import LLMAttributionClassifier, LLMAttributionRegressor
from llmreg.linear_model import _averaging as averaging
from llmreg.linear_model import _curve_space as curve_space
from llmreg.linear_model._prior_grid import PriorGrid
from llmreg.posterior._laplace import BIAS_PRECISION

LENGTH, LENGTH_SD, BELIEF, DEVIATION, NOISE = 2.0, 0.5, 0.2, 0.6, 0.3
KNOTS = (0, 0.25, 0.5, 0.75, 1)


def one_point(task):
    """Make a grid of a single prior."""
    noise = NOISE if task == "regression" else 1.0
    values = (0, BELIEF**-2, LENGTH, LENGTH_SD, noise, 0.0, DEVIATION)
    return PriorGrid(*(np.array([value]) for value in values))


def model_of(estimator, X, y, monkeypatch, grid=one_point):
    """Fit curves of all columns but the last, which has a score."""
    monkeypatch.setattr(averaging, "make_curve_grid", grid)
    names = [f"x{i}" for i in range(X.shape[1])]
    prior = {name: [(v, 8 * v - 4 + (v == 0.5)) for v in KNOTS] for name in names}
    prior[names[-1]] = 3
    return estimator(prior, feature_names=names).fit(X, y)


def design_of(model, X):
    """Return centred columns, the prior covariance of weights, and heights of knots."""
    basis, rows = model.net_.module_.basis, model.encoder_.encode(X)
    columns = basis.design(rows)
    centre = columns.mean(axis=0)
    said = np.hstack([basis.steps, np.delete(basis.effects, basis.columns, axis=1)])[0]
    prior = DEVIATION**2 * np.eye(len(said))
    own = [np.flatnonzero(basis.curve_of == j) for j in range(len(basis.columns))]
    for segments in own:
        widths = basis.widths[segments]
        walk = np.outer(widths, widths) + 0.25 * np.diag(np.minimum(widths, 1))
        prior[np.ix_(segments, segments)] = DEVIATION**2 * walk
    for weights in (*own, [len(said) - 1]):
        curve = np.zeros_like(said)
        curve[weights] = said[weights]
        prior += BELIEF**2 * np.outer(curve, curve)
    prior += LENGTH_SD**2 * np.outer(said, said)
    heights, places = [], []
    for j, segments in enumerate(own):
        for knot in (*basis.low[segments], basis.high[segments[-1]]):
            at = np.zeros((1, rows.shape[1]))
            at[0, basis.columns[j]] = knot
            height = np.zeros_like(said)
            height[segments] = (basis.design(at)[0] - centre)[segments]
            heights.append(height)
        n_features = len(basis.features)
        places += [basis.feature_of[basis.columns[j]], *(n_features + segments)]
    return columns - centre, prior, said, np.array(heights), places


def with_intercept(columns, prior):
    n = len(prior)
    whole = np.zeros((n + 1, n + 1))
    whole[:n, :n], whole[n, n] = prior, 1 / BIAS_PRECISION
    return np.hstack([columns, np.ones((len(columns), 1))]), whole


# Few rows are told in coordinates of their own; and rows may not reach all knots.
@pytest.mark.parametrize(
    ("n_rows", "n_columns", "high"), [(200, 3, 1), (15, 8, 1), (200, 3, 0.6)]
)
class TestDeviationsOfHeights:
    def rows(self, n_rows, n_columns, high):
        rng = np.random.default_rng(0)
        X = rng.uniform(0, high, (n_rows, n_columns))
        return X, X.sum(axis=1) + np.sin(6 * X[:, 0]) + 0.5 * rng.normal(size=n_rows)

    def test_of_a_regression_are_exact(self, n_rows, n_columns, high, monkeypatch):
        # With all directions; those that hardly vary are left out otherwise.
        monkeypatch.setattr(curve_space, "_MINOR", 1e-9)
        X, y = self.rows(n_rows, n_columns, high)
        model = model_of(LLMAttributionRegressor, X, y, monkeypatch)
        columns, prior, _, heights, places = design_of(model, X)
        columns, prior = with_intercept(columns, prior)
        both = columns @ prior
        rows = both @ columns.T + NOISE * np.eye(n_rows)
        posterior = (prior - both.T @ np.linalg.solve(rows, both))[:-1, :-1]
        exact = np.sqrt(np.einsum("hv,vw,hw->h", heights, posterior, heights))
        found = model.trust_.shape_deviations[0, places]
        np.testing.assert_allclose(found, exact, rtol=5e-3)

    def test_of_classes_are_those_of_samples(
        self, n_rows, n_columns, high, monkeypatch
    ):
        X, y = self.rows(n_rows, n_columns, high)
        y = (y > np.median(y)).astype(int)
        model = model_of(LLMAttributionClassifier, X, y, monkeypatch)
        columns, prior, said, heights, places = design_of(model, X)
        columns, prior = with_intercept(columns, prior)
        root = np.linalg.cholesky(prior)
        inputs, start = columns @ root, columns[:, :-1] @ said * LENGTH
        best = np.zeros(len(prior))
        for _ in range(30):
            p = expit(inputs @ best + start)
            hessian = (inputs.T * (p * (1 - p))) @ inputs + np.eye(len(best))
            best += np.linalg.solve(hessian, inputs.T @ (y - p) - best)
        posterior = root @ np.linalg.inv(hessian) @ root.T
        variance = np.einsum("nv,vw,nw->n", columns, posterior, columns).mean()
        rng = np.random.default_rng(0)
        weights = rng.multivariate_normal(np.zeros(len(prior)), posterior, 50_000)
        sampled = (weights[:, :-1] @ heights.T).std(axis=0)
        sampled /= np.sqrt(1 + np.pi / 8 * variance)
        found = model.trust_.shape_deviations[0, places]
        np.testing.assert_allclose(found, sampled, rtol=1.5e-2)


def test_priors_that_differ_leave_shapes_less_sure(monkeypatch):
    """The variance of a mixture is that within, and that between."""
    rng = np.random.default_rng(0)
    X = rng.uniform(size=(40, 2))
    y = X.sum(axis=1) + 0.3 * rng.normal(size=40)

    def points(deviation, length):
        def grid(task):
            one = vars(one_point(task))
            n = len(length)
            several = {name: np.repeat(value, n) for name, value in one.items()}
            several |= {"deviation": deviation, "scale": length}
            return PriorGrid(**several | {"log_prior": np.full(n, -np.log(n))})

        return grid

    deviation, length = np.array([0.4, 1.0]), np.array([1.0, 2.0])
    both, *fits = (
        model_of(
            LLMAttributionRegressor, X, y, monkeypatch, points(deviation[i], length[i])
        )
        for i in (slice(2), slice(1), slice(1, 2))
    )
    share = both.trust_.weights
    assert share.min() > 0.03
    within = [fit.trust_.shape_deviations[0] ** 2 for fit in fits]
    # At the knots of the first column, beginning with the lowest.
    steps = [fit.net_.module_.state_dict()["steps"].numpy()[0] for fit in fits]
    basis = both.net_.module_.basis
    through = basis.design(both.encoder_.encode(X))[:, : len(basis.low)]
    centre = through.mean(axis=0)
    means = np.array([np.cumsum([0, *s]) - s @ centre for s in steps])
    between = (share[:, None] * (means - share @ means) ** 2).sum(axis=0)
    places = [0, *(2 + np.arange(len(basis.low)))]
    expected = np.sqrt((share @ np.array(within))[places] + between)
    assert between.max() > 1e-3
    found = both.trust_.shape_deviations[0, places]
    np.testing.assert_allclose(found, expected, rtol=1e-4)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_every_output_has_deviations(n_classes):
    rng = np.random.default_rng(0)
    X = rng.uniform(size=(60, 2))
    y = rng.integers(n_classes, size=60)
    prior = {k: {"a": [(0, -k), (1, k)], "b": k} for k in range(n_classes)}
    if n_classes == 2:
        prior = prior[1]
    model = LLMAttributionClassifier(prior, feature_names=["a", "b"]).fit(X, y)
    found = model.trust_.shape_deviations
    assert len(found) == (1 if n_classes == 2 else 3)
    assert (found >= 0).all()
    assert found.mean() > 0
