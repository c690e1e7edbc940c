"""How far to trust the prior: the model averaging behind ``gamma="auto"``.

Many Gaussian priors are weighed by how well they explain the training rows, and the
weights of the linear models that they lead to are averaged: Bayesian model averaging
with Laplace's approximation to the evidence.
"""

from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple, cast

import numpy as np
from scipy.special import logsumexp, ndtr

from llmreg._utils._progress import steps
from llmreg.exceptions import DivergenceError
from llmreg.linear_model._curve_space import CurveSpace, pilot_rows
from llmreg.linear_model._prior_grid import (
    SCORE_TRANSFORMS,
    TEMPERATURES,
    PriorGrid,
    Sharpen,
    Transform,
    directions,
    make_curve_grid,
    make_prior_grid,
    relative_variance,
)
from llmreg.linear_model._subspace import (
    Columns,
    Rest,
    Space,
    Subspace,
    choose_columns,
)
from llmreg.linear_model._trust import AveragedWeights, Trust, summarize
from llmreg.posterior._intervals import Noise, learn_dispersion, learn_noise
from llmreg.posterior._laplace import (
    Fits,
    GaussianPriors,
    approximate,
    approximate_evidence,
    fit_classifier,
    fit_regressor,
    follow_up,
    weighted_squares,
)
from llmreg.posterior._posterior import Posterior, make_gaussian
from llmreg.preprocessing._basis import CurveBasis
from llmreg.preprocessing._sparse import Centred
from llmreg.prior._feature_prior import FeaturePrior

#: More rows than this tell no more about a handful of numbers.
MOST_ROWS = 50_000
# Priors this much less likely than the best one are dropped early.
_NEGLIGIBLE = 1e-4
# And those this much less likely tell nothing of how sure the sign of a weight is.
_HEAVY = 0.02
# How exact the search for the most likely weights is, at first and in the end.
_ROUGH, _EXACT = 0.03, 1e-7
# From here on all priors are screened by one fit, and a few are fitted; fewer of them
# to a part of the rows.
_MUCH_WORK, _MANY_ROWS, _N_TYPICAL, _FEW, _FEWER = 3e7, 20, 100, 6, 3
# Rounds in which the noise is told from what many columns explain.
_NOISES = 4
# Fits by which priors with a design in common are screened, and counts' scatter told.
_ROUNDS = 2


class AveragedModel(NamedTuple):
    """The linear model of ``gamma="auto"``, and what the rows say of the prior."""

    coef: np.ndarray
    intercept: np.ndarray
    trust: tuple[Trust, ...]  # One for a classification, one a target in a regression.
    score_transform: Transform  # The likeliest.
    n_iter: int
    posterior: Posterior | None
    is_whole: bool  # Whether all rows and all that the columns hold had a say.

    @property
    def gamma(self) -> float:
        """The fixed gamma that would do about the same."""
        return float(np.mean([trust.gamma for trust in self.trust]))


def average_models(
    X: np.ndarray,
    y: np.ndarray,
    sample_weight: np.ndarray,
    prior: FeaturePrior,
    *,
    task: str,
    score_transform: str | Transform = "auto",
    penalty_weights: str | None = "spread",
    alpha: float = 1.0,
    seed: int = 0,
    basis: CurveBasis | None = None,
    kept: np.ndarray | None = None,
) -> AveragedModel:
    """Weigh a prior against rows, for the targets of a regression one by one.

    With the basis of its curves the weights are those of segments, codes and columns.
    Of columns that are `kept` the model has what the prior says, whatever rows say.
    """
    n_samples, total_weight = len(X), float(sample_weight.sum())
    if n_samples > MOST_ROWS:
        generator = np.random.default_rng(seed)
        rows = np.sort(generator.choice(n_samples, MOST_ROWS, replace=False))
        X, y, sample_weight = X[rows], y[rows], sample_weight[rows]
    targets = y.reshape(len(y), -1).T
    parts = [slice(None)]
    if task == "multiclass":
        targets = (np.arange(len(prior.outputs))[:, None] == targets).astype(float)
    elif task == "regression":
        parts = [slice(k, k + 1) for k in range(len(targets))]
    transforms = _transforms(score_transform)
    relative = relative_variance(prior) if penalty_weights == "spread" else None
    averages, trust, columns = [], [], Columns(X, cast(CurveBasis, basis))
    for part in parts:
        scores, outputs = prior.scores[part], prior.outputs[part]
        if basis is None:
            some, weight = slice(None), sample_weight
            units = directions(scores, transforms)
            space: Space = Subspace(
                X, sample_weight, scores, relative, units, alpha, kept
            )
            features, of_kept = prior.features, kept
            n_transforms = len(units) if units.any() else 0
            grid = make_prior_grid(n_transforms, space.n_scored, task)
        else:
            columns = choose_columns(X, sample_weight, basis, kept)
            of_rows = targets[part], sample_weight, task, basis, seed
            some, weight = pilot_rows(*of_rows)
            few, basis_of = len(weight) < len(X), columns.basis
            of_kept = columns.of_kept(kept)
            rows_of = columns.X[some], weight, basis_of, part, few, of_kept
            space, features = CurveSpace(*rows_of), basis_of.features
            grid = make_curve_grid(task)
        grid = grid if kept is None else grid.aligned()
        problem = _Problem(targets[part][:, some], weight, space, grid, task)
        is_part = len(weight) < len(X) or columns.rest is not None
        evidence, starts = problem.screen()
        average = problem.average(evidence, starts, is_part)
        if is_part:
            more = columns, targets[part], sample_weight
            average, rest = problem.follow_up(average, *more)
        known = partial(summarize, n_samples=n_samples, total_weight=total_weight)
        found = known(average, space, features, outputs, kept=of_kept)
        if columns.rest is not None:
            wider = average.coef, average.intercept, average.uncertainty
            is_class = task in ("binary", "multiclass")
            wider = columns.widen(*wider, rest, X, sample_weight, is_class)
            average = average._replace(
                coef=wider[0], intercept=wider[1], uncertainty=wider[2]
            )
            told = found.agreement, found.shape_deviations
            agreement, heights = columns.widen_told(*told, rest)
            found = replace(found, agreement=agreement, shape_deviations=heights)
        averages.append(average)
        trust.append(found)
    likely = sum(average.of_transforms(len(transforms)) for average in averages)
    return AveragedModel(
        np.concatenate([average.coef for average in averages]),
        np.concatenate([average.intercept for average in averages]),
        tuple(trust),
        transforms[int(np.argmax(likely))],
        max(average.n_iter for average in averages),
        Posterior.join([average.uncertainty for average in averages]),
        n_samples <= MOST_ROWS and all(average.is_whole for average in averages),
    )


def average_counts(
    X: Any, y: np.ndarray, sample_weight: np.ndarray, **settings: Any
) -> AveragedModel:
    """Average models of counts, which scatter by more than Poisson's law has it.

    Rows tell less then. How much less is told by how counts vary, then by what a model
    of them leaves over.
    """
    basis, some = settings.get("basis"), slice(None, None, -(-len(X) // MOST_ROWS))
    rows = y[some, 0], sample_weight[some]
    columns = X[some] if basis is None else basis.design(X[some])
    # At first their mean alone, which is 1.
    mean, noise = np.ones(len(rows[0])), Noise(1.0, 0.0)
    variance = mean / rows[1].sum()
    for _ in range(_ROUNDS):
        noise = learn_dispersion(*rows, mean, variance, noise)
        model = average_models(X, y, sample_weight / noise.variance, **settings)
        posterior = cast(Posterior, model.posterior)
        mean = np.exp(columns @ model.coef[0] + model.intercept[0])
        variance = posterior.moments(columns)[1][:, 0] ** 2
    return model._replace(posterior=replace(posterior, noise=(noise,)))


class _Problem:
    """Rows, and the priors over the weights of a linear model that are weighed."""

    def __init__(
        self,
        targets: np.ndarray,
        row_weight: np.ndarray,
        space: Space,
        grid: PriorGrid,
        task: str,
    ) -> None:
        self.targets, self.row_weight = targets, row_weight
        self.space, self.grid, self.task = space, grid, task
        self.is_count = task == "poisson"
        of_classes = partial(fit_classifier, is_count=self.is_count)
        self.fit = fit_regressor if task == "regression" else of_classes
        n_samples = len(row_weight)
        # A pass over the rows for all priors: products of pairs of columns.
        work = _N_TYPICAL * len(targets) * n_samples * space.width**2
        enough = n_samples > _MANY_ROWS * space.width or space.shares_design
        self.is_large = work > _MUCH_WORK and enough and task != "regression"

    def screen(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the evidence, roughly where that saves work, and first weights."""
        space, grid = self.space, self.grid
        if self.is_large and space.shares_design:
            return self._screen_together()
        evidence = np.empty(len(grid))
        starts = np.empty((len(grid), len(self.targets), space.width + 2))
        # Only scores have directions of their own beside what all priors share.
        shared = space if self.is_large and isinstance(space, Subspace) else None
        if shared is not None:
            rows = shared.shared_design(), self.targets, self.row_weight
            likelihood = approximate(*rows, is_count=self.is_count)
        for group, points in self._groups(grid):
            priors = space.priors(group, grid[points])
            if shared is not None:
                maps = shared.to_shared(group)
                found = approximate_evidence(likelihood, priors, maps)
                evidence[points], starts[points] = found
            else:
                rows = space.design(group), self.targets, self.row_weight
                fits = self.fit(*rows, priors, tolerance=_ROUGH)
                evidence[points], starts[points] = fits.log_evidence, fits.weights
        return evidence, starts

    def _screen_together(self) -> tuple[np.ndarray, np.ndarray]:
        """Screen priors that have a design in common, by one fit, then a better one."""
        ((group, _),) = list[Any](self.space.groups(self.grid))
        rows = self.space.design(group), self.targets, self.row_weight
        priors = self.space.priors(group, self.grid)
        # From what is neither stiff nor free to the best that is found.
        transform, start = self.grid.transform, None
        best = np.flatnonzero(transform == transform.min())[-1]
        for _ in range(_ROUNDS):
            middle = GaussianPriors(priors.mean[[best]], priors.precision[[best]])
            likelihood = approximate(*rows, middle, start, _ROUGH, self.is_count)
            evidence, starts = approximate_evidence(likelihood, priors)
            best = np.argmax(self.grid.log_prior + evidence)
            start = starts[[best]]
        return evidence, starts

    def average(
        self, evidence: np.ndarray, starts: np.ndarray, is_part: bool = False
    ) -> AveragedWeights:
        """Fit the likely priors exactly and average their weights.

        Those of a part of the rows only tell how far to trust the prior.
        """
        log_posterior = self.grid.log_prior + evidence
        if not np.isfinite(log_posterior.max()):
            raise DivergenceError(
                "Some columns hold numbers so large that their squares are none. "
                'Scale the columns (scaler="bounded"), or give them other units.'
            )
        kept = np.flatnonzero(log_posterior > log_posterior.max() + np.log(_NEGLIGIBLE))
        kept = kept[np.argsort(-log_posterior[kept], kind="stable")]
        kept = kept[: (_FEWER if is_part else _FEW) if self.is_large else None]
        grid, starts, space = self.grid[kept], starts[kept], self.space
        coef = np.empty((len(kept), *space.shape))
        intercept = np.empty(coef.shape[:2])
        log_posterior, shrinkage = np.empty(len(kept)), np.empty(len(kept))
        done = []
        for group, points in self._groups(grid):
            priors = space.priors(group, grid[points])
            design = space.design(group)
            rows = design, self.targets, self.row_weight
            tolerance = _ROUGH if is_part else _EXACT
            fits = self.fit(*rows, priors, starts[points], tolerance)
            log_posterior[points] = grid.log_prior[points] + fits.log_evidence
            coef[points] = space.to_weights(fits.weights, group)
            intercept[points] = space.intercepts(fits.weights, group)
            shrinkage[points] = self._shrinkage(fits, design)
            done.append((group, points, fits, priors))
        posterior = np.exp(log_posterior - logsumexp(log_posterior))
        for group, points, fits, priors in done:
            # All rows go on from it, where these are some.
            if (own := points == np.argmax(posterior)).any():
                first = GaussianPriors(priors.mean[own], priors.precision[own])
                parts = fits.weights, fits.hessian, fits.log_evidence
                self.likeliest = group, first, Fits(*(part[own] for part in parts))
        uncertainty = self._uncertainty(done, grid, posterior)
        uncertainty.shift[:, :-1] = np.tensordot(posterior * (1 - shrinkage), coef, 1)
        uncertainty.shift[:, -1] = (posterior * (1 - shrinkage)) @ intercept
        coef *= shrinkage[:, None, None]
        intercept *= shrinkage[:, None]
        # How sure signs are takes far longer to tell than the weights themselves.
        heavy = posterior > _HEAVY * posterior.max()
        judged = space.judged(coef)
        deviation = np.zeros_like(judged)
        mean = np.tensordot(posterior, coef, axes=1)
        for group, points, fits, _ in done:
            some = np.flatnonzero(heavy[points])
            points, covariance = points[some], fits.covariance[some]
            spread = space.deviations(covariance, group)
            deviation[points] = spread * shrinkage[points, None, None]
        constant = posterior @ intercept
        heights = None
        if isinstance(space, CurveSpace):
            of = np.pad(space.heights, ((0, 0), (0, 1)))
            variance = np.stack([one.variance(of) for one in uncertainty.weights])
            heights = np.sqrt(variance) * (posterior @ shrinkage)
        if self.task == "regression":
            noise = self._noise(uncertainty, mean[0], constant, posterior @ grid.noise)
            uncertainty = replace(uncertainty, noise=(noise,))
        whole_posterior = np.zeros(len(self.grid))
        whole_posterior[kept] = posterior
        return AveragedWeights(
            mean,
            constant - mean @ space.centre,
            self.grid,
            whole_posterior,
            self._agreement(judged[heavy], deviation[heavy], posterior[heavy]),
            max(fits.n_iter for _, _, fits, _ in done),
            uncertainty,
            space.is_whole,
            heights,
        )

    def _uncertainty(
        self, done: list[Any], grid: PriorGrid, posterior: np.ndarray
    ) -> Posterior:
        """Sum up all fits: how uncertain each is, and how far they are apart."""
        space, n_outputs = self.space, len(self.targets)
        before = posterior @ space.before(grid)
        weights = []
        for k, root in enumerate(space.roots()):
            frame, places = space.frame([group for group, *_ in done], k)
            means = np.zeros((len(grid), frame.shape[1]))
            added = np.zeros((frame.shape[1],) * 2)
            for (_, points, fits, priors), place in zip(done, places, strict=True):
                known = posterior[points] @ (1 / priors.precision)
                known[-2:] = 0  # Of what rows always tell.
                found = np.tensordot(posterior[points], fits.covariance[:, k], axes=1)
                added[np.ix_(place, place)] += found - np.diag(known)
                means[np.ix_(points, place)] = fits.weights[:, k]
            means -= posterior @ means
            added += (means.T * posterior) @ means
            weights.append(make_gaussian(root, before, frame, added))
        shift = np.zeros((n_outputs, space.shape[1] + 1))
        return Posterior(space.centre, tuple(weights), shift)

    def _noise(
        self,
        uncertainty: Posterior,
        weights: np.ndarray,
        constant: np.ndarray,
        assumed: float,
    ) -> Noise:
        """Tell the noise of a regression from what the average leaves over."""
        columns = self.space.columns
        gap = self.targets[0] - columns @ weights - constant
        is_sparse = isinstance(columns, Centred)
        rows = columns.X if is_sparse else columns + self.space.centre
        variance = uncertainty.moments(rows)[1][:, 0] ** 2
        return learn_noise(gap, self.row_weight, variance, assumed)

    def follow_up(
        self,
        average: AveragedWeights,
        columns: Columns,
        targets: np.ndarray,
        row_weight: np.ndarray,
    ) -> tuple[AveragedWeights, Rest]:
        """Go on with all rows and columns from the likeliest prior of a part."""
        assert isinstance(self.space, CurveSpace)
        best = np.argmax(average.posterior)
        group, priors, fits = self.likeliest
        table = self.space.basis.design(columns.X, np.float32).T
        maps, rest = self.space.to_table(group), columns.rest
        free = float(self.grid.deviation[best] ** -2)
        noise = self.grid.noise[best] if self.task == "regression" else None
        for _ in range(1 if noise is None else _NOISES):
            start = table, maps, targets, row_weight, priors, fits, rest, free
            weights, variance, outputs = follow_up(*start, noise, self.is_count)
            if noise is not None:
                # What the rest explains is no noise.
                gap = targets[0] - outputs[0]
                unsure = rest.power(2).T @ variance[0]
                noise = row_weight @ (gap**2 + unsure) / row_weight.sum()
        uncertainty = average.uncertainty.around_mean()
        if noise is not None:
            unsure += uncertainty.moments(table.T)[1][:, 0] ** 2
            learnt = learn_noise(gap, row_weight, unsure, noise)
            uncertainty = replace(uncertainty, noise=(learnt,))
        n_told = priors.mean.shape[1]
        others = Rest(weights[0, :, n_told:], variance)
        weights = weights[:, :, :n_told]
        coef = self.space.to_weights(weights, group)[0]
        intercept = self.space.intercepts(weights, group)[0]
        average = average._replace(
            coef=coef,
            intercept=intercept - coef @ self.space.centre,
            uncertainty=uncertainty,
        )
        return average, others

    def _groups(self, grid: PriorGrid) -> Iterable[tuple[Any, np.ndarray]]:
        """Go over the parts of a grid that have a design in common, and report each."""
        groups = list(self.space.groups(grid))
        return steps(groups, "prior grid", "group", len(groups))

    def _shrinkage(self, fits: Fits, design: np.ndarray) -> np.ndarray:
        """Return by how much logits shrink because the weights are not certain.

        MacKay's approximation, with the mean variance of the logits over the rows.
        """
        total, weight = np.zeros(len(fits.weights)), self.row_weight.sum()
        if self.task in ("regression", "poisson"):
            return np.ones_like(total)
        for k, columns in enumerate(design):
            mean = weighted_squares(columns, self.row_weight[None] / weight)[0]
            total += np.tensordot(fits.covariance[:, k], mean, axes=2)
        return 1 / np.sqrt(1 + np.pi / 8 * total / len(self.targets))

    def _agreement(
        self, judged: np.ndarray, deviation: np.ndarray, posterior: np.ndarray
    ) -> np.ndarray:
        """Return how likely weights, or lengths, have the sign of the prior."""
        sign = self.space.signs
        ratio = np.divide(
            judged, deviation, out=np.zeros_like(judged), where=deviation > 0
        )
        share = np.tensordot(posterior / posterior.sum(), ndtr(sign * ratio), axes=1)
        return np.where(sign != 0, share, np.nan)


def _transforms(score_transform: str | Transform) -> list[Transform]:
    if callable(score_transform):
        return [score_transform]
    if score_transform == "auto":
        return [Sharpen(temperature) for temperature in TEMPERATURES]
    return [SCORE_TRANSFORMS[score_transform]]
