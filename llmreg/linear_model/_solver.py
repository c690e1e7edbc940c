"""Minimizing the aligned loss of a linear model: Newton's method, then L-BFGS."""

import warnings
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
from scipy.linalg.lapack import dpotrf, dtrtrs
from scipy.optimize import minimize

from llmreg.linear_model._objective import DENSE, LinearObjective, Point

# Rows that decide the Hessian where there are many: at least so many, and so many
# times the number of parameters.
_PILOT_ROWS, _PILOT_RATIO = 1_000, 10
# Twice the distance to the minimum, as the curvature tells it, where Newton's
# method stops: its next step would change the weights in no digit that is shown.
_DECREMENT = 1e-14
# The same for some of the rows, whose minimum is that far from the one of all rows.
_PILOT_DECREMENT = 1e-5
_NEWTON_STEPS = 50
# The norm of weights that nothing is gained by shrinking further.
_SMALL, _COLLAPSED = 1e-3, 1e-8
# Where L-BFGS stops; its gradient is in units in which the Hessian is about one. Many
# rows leave weights uncertain by far more than the second.
_GRADIENT, _GRADIENT_OF_MANY = 1e-7, 1e-6
_MEMORY, _STEPS_IN_UNITS = 20, 100
# Misaligned beyond this, a minimum may not be the only one.
_ALIGNED = 0.9

Units = Callable[[np.ndarray], np.ndarray]


class Solution(NamedTuple):
    """The parameters found, their loss, the steps made, and whether that was all."""

    theta: np.ndarray
    value: float
    n_iter: int
    converged: bool
    # Of the last step of Newton's method, where it made it.
    hessian: np.ndarray | None = None


def minimize_aligned(
    objective: LinearObjective, start: np.ndarray | None, max_iter: int
) -> Solution:
    """Minimize the aligned loss of a linear model, from `start` or from the prior.

    Where the rows are many, some of them lead close to the minimum and give the
    curvature there; steps on all rows finish in its units.
    """
    theta = start
    if theta is None:
        table = np.zeros(objective.shape)
        if objective.gamma:
            table[:, :-1] = objective.direction
        theta = table.ravel()
    if theta.size > DENSE:
        return _descend_wide(objective, theta, max_iter)
    n_rows = len(objective.X)
    pilot_rows = max(_PILOT_ROWS, _PILOT_RATIO * theta.size)
    # Of a squared error all rows are summed up at once, and need no pilot.
    in_part = n_rows > 2 * pilot_rows and objective.task != "regression"
    pilot, enough = objective, _DECREMENT
    if in_part:
        pilot = objective.part(slice(None, None, n_rows // pilot_rows))
        enough = _PILOT_DECREMENT
    found = _settle(pilot, theta, max_iter, enough)
    # The misalignment is not convex: a model that follows the prior and one that
    # follows the data may both be minima, of which the lower one is taken.
    if pilot.gamma and start is None and not _is_aligned(pilot, found.theta):
        zero = np.zeros_like(theta)
        free = _settle(pilot.without_penalty(), zero, max_iter, enough)
        other = _settle(pilot, free.theta, max_iter, enough)
        n_iter = max(found.n_iter, free.n_iter, other.n_iter)
        found = min(found, other, key=lambda solution: solution.value)
        found = found._replace(n_iter=n_iter)
    if not in_part:
        return found
    units = _dense_units(found.hessian)
    last = _descend(objective, found.theta, max_iter, *units, _GRADIENT_OF_MANY)
    return last._replace(n_iter=min(max_iter, found.n_iter + last.n_iter))


def _settle(
    objective: LinearObjective, theta: np.ndarray, max_iter: int, enough: float
) -> Solution:
    """Minimize by Newton's method; finish by L-BFGS what it does not."""
    found = _newton(objective, theta, min(max_iter, _NEWTON_STEPS), enough)
    left = max_iter - found.n_iter
    if found.converged or left <= 0:
        return found
    last = _descend(objective, found.theta, left, *_dense_units(found.hessian))
    return last._replace(n_iter=found.n_iter + last.n_iter, hessian=found.hessian)


def _is_aligned(objective: LinearObjective, theta: np.ndarray) -> bool:
    W = _scored_weights(objective, theta)
    norm = np.sqrt(np.square(W).sum(axis=1))
    cosine = (W * objective.direction).sum(axis=1)
    aligned = (norm >= _SMALL) & (cosine > _ALIGNED * norm)
    return bool(aligned[objective.pulled].all())


def _scored_weights(objective: LinearObjective, theta: np.ndarray) -> np.ndarray:
    """Return the weights, 0 where a column has no score."""
    return theta.reshape(objective.shape)[:, :-1] * objective.known


def _newton(
    objective: LinearObjective, theta: np.ndarray, max_iter: int, enough: float
) -> Solution:
    """Minimize by damped Newton steps."""
    at = objective(theta, hessian=True)
    converged, n_iter = False, 0
    while n_iter < max_iter:
        n_iter += 1
        step = _step(objective, at, theta)
        decrement = -float(at.gradient @ step)
        size, moved, fell = 1.0, at, False
        for _ in range(20):
            moved = objective(theta + size * step, hessian=True)
            fell = moved.value <= at.value - 1e-4 * size * decrement
            if fell or decrement < enough:
                break
            size /= 4
        # Below the last digit of the loss nothing is seen to fall any more.
        visible = decrement > 1e-11 * max(1.0, abs(at.value))
        converged = decrement >= 0 and (decrement < enough or not (fell or visible))
        # So near the end the step is right, whatever the last digit of the loss says.
        if fell or 0 <= decrement < enough:
            theta, at = theta + size * step, moved
        if converged or not fell:
            break
    theta, value = _turn_collapsed(objective, theta, at.value)
    return Solution(theta, value, n_iter, converged, at.hessian)


def _turn_collapsed(
    objective: LinearObjective, theta: np.ndarray, value: float
) -> tuple[np.ndarray, float]:
    """Point weights that vanish exactly along the prior, which costs nothing there."""
    norm = np.sqrt(np.square(_scored_weights(objective, theta)).sum(axis=1))
    gone = objective.pulled & (norm < 10 * _COLLAPSED)
    if not objective.gamma or not gone.any():
        return theta, value
    turned = theta.reshape(objective.shape).copy()
    aim = objective.direction / np.maximum(objective.mean_input, 1e-3)
    move = gone[:, None] & (objective.known > 0)
    turned[:, :-1][move] = (_COLLAPSED * aim)[move]
    at = objective(turned.ravel())
    return (turned.ravel(), at.value) if at.value < value else (theta, value)


def _step(objective: LinearObjective, at: Point, theta: np.ndarray) -> np.ndarray:
    """Return Newton's step, held back where it would turn weights through zero.

    There the loss has no derivative. Weights that the data push there shrink a
    hundredfold a step, and then stay, while the rest goes on.
    """
    assert at.hessian is not None
    step = -_solve(at.hessian, at.gradient)
    if not objective.gamma:
        return step
    W = _scored_weights(objective, theta)
    square = np.square(W).sum(axis=1)

    def along(step: np.ndarray) -> np.ndarray:
        return (W * step.reshape(objective.shape)[:, :-1]).sum(axis=1)

    gone = objective.pulled & (along(step) < -0.99 * square)
    gone &= square < _COLLAPSED**2
    if gone.any():
        held = np.zeros(objective.shape, dtype=bool)
        held[:, :-1] = gone[:, None] & (objective.known > 0)
        free = ~held.ravel()
        step[~free] = 0.0
        step[free] = -_solve(at.hessian[np.ix_(free, free)], at.gradient[free])
    share = np.where(square < _SMALL**2, 0.99, 0.5)
    back = objective.pulled & (along(step) < -share * square)
    most = (share * square)[back] / -along(step)[back]
    return step * float(np.min(most, initial=1.0))


def _solve(hessian: np.ndarray, right: np.ndarray) -> np.ndarray:
    to_step, to_slope = _dense_units(hessian, free=0.0)
    return to_step(to_slope(right))


def _descend_wide(
    objective: LinearObjective, theta: np.ndarray, max_iter: int
) -> Solution:
    """Minimize over many parameters, in units that are renewed on the way.

    The curvature of the misalignment depends on the length of the weights.
    """
    n_iter, found = 0, Solution(theta, np.inf, 0, False)
    while n_iter < max_iter and not found.converged:
        steps = min(_STEPS_IN_UNITS, max_iter - n_iter)
        units = _wide_units(objective, found.theta)
        found = _descend(objective, found.theta, steps, units, units)
        n_iter += found.n_iter
        # Rounding errors end a search where nothing is left to gain.
        if found.n_iter == 0:
            break
    return found._replace(n_iter=n_iter)


def _wide_units(objective: LinearObjective, theta: np.ndarray) -> Units:
    """Return units for many parameters: the Hessian's diagonal, and its one ridge.

    Turning weights away from the prior is stiff, making them longer is not.
    """
    squares = sum(
        (weight @ (Z * Z) for Z, _, weight in objective.blocks()),
        np.zeros(objective.shape[1] - 1),
    )
    bend = {"regression": 2.0, "poisson": 1.0}.get(objective.task, 0.25)
    diagonal = np.full(objective.shape, bend)
    diagonal[:, :-1] = bend * squares + objective.l2
    scale = 1 / np.sqrt(np.where(diagonal > 0, diagonal, 1.0))
    if not objective.gamma:
        return lambda u: u * scale.ravel()
    W = _scored_weights(objective, theta)
    square = np.square(W).sum(axis=1, keepdims=True) + 1e-300
    unit = W / np.sqrt(square)
    stiff = 2 * objective.gamma * objective.shares[:, None] / square
    along = 1 / np.sqrt(bend * squares.mean() + objective.l2)
    turning = 1 / np.sqrt(1 / along**2 + stiff)
    turning = np.where(objective.known > 0, turning, scale[:, :-1])

    def to_step(u: np.ndarray) -> np.ndarray:
        table = u.reshape(objective.shape) * scale
        given = u.reshape(objective.shape)[:, :-1]
        length = (given * unit).sum(axis=1, keepdims=True)
        table[:, :-1] = turning * (given - length * unit) + along * length * unit
        return table.ravel()

    return to_step


def _dense_units(hessian: np.ndarray | None, free: float = 1.0) -> tuple[Units, Units]:
    """Return units in which a Hessian is the identity: for parameters, for slopes.

    The Hessian is bent to be positive. Where it has no curvature at all its rows tell
    nothing: `free` is the unit there, with 0 parameters stay where they are.
    """
    assert hessian is not None
    # In units of its diagonal: weights that vanish have a curvature that dwarfs all
    # others, which are no rounding error for that.
    units = np.sqrt(np.abs(hessian.diagonal()))
    is_told = units > 0
    units[~is_told] = 1.0
    scaled = hessian / units / units[:, None]
    scaled[~is_told, ~is_told] = 1.0
    # LAPACK itself: around it, SciPy's functions take longer than a small matrix does.
    lower, fault = dpotrf(scaled, lower=True, clean=True)
    # A pivot that is all rounding error makes steps of any length.
    if fault or not lower.diagonal().min() > 1e-7:
        told = np.ix_(is_told, is_told)
        values, vectors = np.linalg.eigh(scaled[told])
        size = np.abs(values)
        is_known = size > 1e-12 * size.max(initial=0.0)
        length = np.where(is_known, 1 / np.sqrt(np.maximum(size, 1e-300)), free)
        root = np.diag(np.where(is_told, 0.0, free))
        root[told] = vectors * length
        root /= units[:, None]
        return root.__matmul__, root.T.__matmul__
    lower = lower * units[:, None]

    def solve(right: np.ndarray, *, trans: bool = False) -> np.ndarray:
        found: np.ndarray = dtrtrs(lower, right, lower=True, trans=trans)[0]
        return found

    return partial(solve, trans=True), solve


def _descend(
    objective: LinearObjective,
    start: np.ndarray,
    max_iter: int,
    to_step: Units,
    to_slope: Units,
    enough: float = _GRADIENT,
) -> Solution:
    """Minimize by L-BFGS, in units in which the Hessian is near the identity."""

    def loss(u: np.ndarray) -> tuple[float, np.ndarray]:
        at = objective(start + to_step(u))
        return at.value, to_slope(at.gradient)

    limits = {"maxiter": max_iter, "maxfun": 20 * max_iter, "maxls": 40}
    options = limits | {"maxcor": _MEMORY, "gtol": enough, "ftol": 0.0}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        result = minimize(
            loss, np.zeros_like(start), jac=True, method="L-BFGS-B", options=options
        )
    # Status 2 is a line search that rounding errors ended.
    converged = result.status != 1
    theta = start + to_step(result.x)
    return Solution(theta, float(result.fun), int(result.nit), converged)
