"""Boosted trees on top of a linear or additive model, as far as rows confirm them.

Trees are grown without the prior. Rows that neither they nor the additive model have
seen tell how much of each the model takes, and whether trees earn a place in it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.optimize import minimize
from scipy.special import log_softmax
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
)
from sklearn.model_selection import (
    KFold,
    ShuffleSplit,
    StratifiedKFold,
    StratifiedShuffleSplit,
)

from llmreg._utils._log import get_logger
from llmreg._utils._progress import steps
from llmreg._utils._text import list_names
from llmreg.linear_model._averaging import AveragedModel
from llmreg.posterior._intervals import Noise
from llmreg.posterior._posterior import Posterior
from llmreg.preprocessing._basis import CurveBasis
from llmreg.preprocessing._sparse import dense_blocks, to_dense
from llmreg.prior._task import Feature

logger = get_logger(__name__)

# Rows from which on trees are grown, rows of each class that this takes, and the rows
# of a very large table that are enough.
_LEAST_ROWS, _LEAST_OF_CLASS, _MOST_ROWS = 200, 10, 200_000
# Rows from which on one part of them is held out, a fifth, and how many at most.
_ONE_PART, _MOST_HELD_OUT = 2_000, 10_000
# Of a block that becomes double.
_BLOCK_ROWS = 8_192
# Encoded columns, and levels of a column that the trees can tell apart.
_MOST_COLUMNS, _MOST_LEVELS = 1_000, 250
# Trees earn their place by how much less the loss of rows is that they have not seen,
# as a share, and by how much likelier these are, in nats: 20 times.
_GAIN, _NATS = 0.01, 3.0
# Trees; of many rows, that hold out one part, as many as go on lowering its loss.
_FEW, _N_TREES, _MOST_TREES = 40, 120, 960
# The share of columns that a split looks at, and the least number.
_SHARE, _LEAST_COLUMNS = 0.3, 3
_SETTINGS: dict[str, Any] = {
    "learning_rate": 0.1,
    "max_leaf_nodes": 16,
    "min_samples_leaf": 5,
    "l2_regularization": 1.0,
    "early_stopping": False,
    "warm_start": True,
}
# Of interactions: pairs of rows that are compared, columns that are looked at, pairs of
# columns that are told, their least share of what columns move, and of the strongest.
_N_PAIRS, _N_LOOKED_AT, _N_TOLD, _OF_ALL, _OF_STRONGEST = 100, 6, 3, 0.02, 0.25
# Numbers of such rows that are made at once; 16 MB.
_MOST_NUMBERS = 2_000_000

#: Fits the linear or additive model to rows, targets and weights.
Fit = Callable[[Any, np.ndarray, np.ndarray], AveragedModel]


@dataclass(frozen=True, eq=False)
class Trees:
    """Boosted trees on top of an additive model.

    Parameters
    ----------
    models : tuple of tuple
        Forests of HistGradientBoosting, whose outputs are averaged; of several targets
        one for each.
    weights : ndarray of shape (2,)
        What the outputs of the additive model, and of the trees, are multiplied by.
    losses : tuple of float
        The mean loss of rows that were not seen, without trees and with them: the log
        loss, or the share of the variance of a target that is left.
    n_unseen : int
        How many rows these are.
    errors : ndarray of shape (n_outputs,)
        The mean squared errors of their targets; of classes nothing is told by them.
    interactions : tuple of (str, str)
        Pairs of columns that work together, the strongest first.
    table : ndarray of shape (n_encoded, n_columns)
        What makes the columns of the trees of encoded ones: levels become numbers.
    shift : ndarray of shape (n_outputs,) or float, default=0.0
        What is added to all outputs, by `base_rate`.

    Examples
    --------
    >>> import numpy as np
    >>> from llmreg import LLMAttributionClassifier
    >>> X = np.random.default_rng(0).uniform(-1, 1, size=(400, 3))
    >>> y = X[:, 0] * X[:, 1] > 0
    >>> model = LLMAttributionClassifier([1, 1, 1], random_state=0).fit(X, y)
    >>> model.trees_.interactions[0]
    ('x0', 'x1')
    """

    models: tuple[tuple[Any, ...], ...] = field(repr=False)
    weights: np.ndarray
    losses: tuple[float, float]
    n_unseen: int
    errors: np.ndarray = field(repr=False)
    interactions: tuple[tuple[str, str], ...]
    table: np.ndarray = field(repr=False)
    shift: np.ndarray | float = 0.0

    def add_to(self, outputs: np.ndarray, X: Any) -> np.ndarray:
        """Return the outputs of additive model and trees together, for encoded rows."""
        table = _table(X, self.table)
        found = np.mean([_margins(model, table) for model in self.models], axis=0)
        outputs = self.weights[0] * outputs + self.weights[1] * found
        return np.asarray(outputs + self.shift)

    def settle(self, posterior: Posterior) -> Posterior | None:
        """Return the posterior with the noise that is left over with trees.

        None for classes: it does not know how uncertain the logits of trees are.
        """
        noise = [Noise(error, self.n_unseen) for error in self.errors.tolist()]
        return replace(posterior, noise=tuple(noise)) if posterior.noise else None

    def __str__(self) -> str:
        before, after = self.losses
        text = (
            "Boosted trees on top lower the loss on rows that they had not seen from "
            f"{before:.3f} to {after:.3f}"
        )
        if self.interactions:
            pairs = [" with ".join(pair) for pair in self.interactions]
            text += f"; what works together: {list_names(pairs, _N_TOLD, str)}"
        return text + "."


def grow_trees(
    X: Any,
    y: np.ndarray,
    sample_weight: np.ndarray,
    fit: Fit,
    columns: Sequence[Feature],
    basis: CurveBasis | None,
    *,
    task: str,
    n_classes: int,
    seed: int,
) -> Trees | None:
    """Grow trees, and keep them if rows that are held out confirm them.

    `n_classes` is 0 in a regression.
    """
    is_class = n_classes > 0
    if len(y) < _LEAST_ROWS or len(columns) > _MOST_COLUMNS:
        return None
    if len(X) > _MOST_ROWS:
        some = np.random.default_rng(seed).permutation(len(X))[:_MOST_ROWS]
        X, y, sample_weight = X[some], y[some], sample_weight[some]
    to_table, categorical = _to_table(columns)
    table = _table(X, to_table)
    folds = _folds(table, y, n_classes, seed)
    if folds is None:
        return None
    share = min(1.0, max(_SHARE, _LEAST_COLUMNS / table.shape[1]))
    settings = {**_SETTINGS, "max_features": share, "random_state": seed}
    make: Any = HistGradientBoostingRegressor
    targets = y.reshape(len(y), -1).T
    if is_class:
        make, targets = HistGradientBoostingClassifier, targets.astype(int)

    def grow(rows: Any, n_trees: int, begun: tuple[Any, ...] = ()) -> tuple[Any, ...]:
        # Equal weights are left out: with weights columns are binned more slowly.
        weight = sample_weight[rows] if np.ptp(sample_weight) else None
        options = {**settings, "categorical_features": categorical}
        models = begun or tuple(make(**options) for _ in targets)
        for trees, target in zip(models, targets, strict=True):
            trees.set_params(max_iter=n_trees).fit(table[rows], target[rows], weight)
        return models

    linear, alone = [], []
    models: list[tuple[Any, ...]] = []
    for train, test in steps(folds, "trees", "fold", len(folds)):
        model = fit(X[train], y[train], sample_weight[train])
        linear.append(outputs_of(model, X[test], basis))
        if not models:
            begun = grow(train, _FEW)
            few = [_margins(begun, table[test])]
            first = _weigh(linear, few, y[test], sample_weight[test], task)
            if not first.is_gain(_GAIN / 2):
                # What a few trees do not begin to show more do not show either.
                return None
        models.append(grow(train, _N_TREES, () if models else begun))
        alone.append(_margins(models[-1], table[test]))
    unseen = np.concatenate([test for _, test in folds])
    found = _weigh(linear, alone, y[unseen], sample_weight[unseen], task)
    logger.info(
        "boosted trees change the loss of %d held out rows from %.4f to %.4f",
        *(len(unseen), *found.losses),
    )
    if not found.is_gain(_GAIN) or found.nats < _NATS:
        return None
    if len(folds) == 1:
        n_trees = _N_TREES
        while n_trees < _MOST_TREES:
            more = [_margins(grow(train, 2 * n_trees, models[0]), table[test])]
            better = _weigh(linear, more, y[unseen], sample_weight[unseen], task)
            if better.losses[1] > (1 - _GAIN / 2) * found.losses[1]:
                break
            n_trees, found = 2 * n_trees, better
        # Held out rows have told what they can, and now are learnt from.
        models = [grow(slice(None), n_trees)]
    return Trees(
        models=tuple(models),
        weights=found.weights,
        losses=found.losses,
        n_unseen=len(unseen),
        errors=found.errors,
        interactions=_interactions(models, table, columns, seed),
        table=to_table,
    )


def _folds(
    table: np.ndarray, y: np.ndarray, n_classes: int, seed: int
) -> list[tuple[np.ndarray, np.ndarray]] | None:
    """Divide rows into those that trees learn from, and those that are held out.

    None where a class has too few rows.
    """
    first = kind = np.arange(len(y))
    rows = pd.DataFrame(table)
    keys = pd.util.hash_pandas_object(rows, index=False).to_numpy()
    with_target = pd.DataFrame(np.column_stack([keys, y.reshape(len(y), -1)]))
    if len(with_target.drop_duplicates()) == len(np.unique(keys)):
        # Equal rows that never differ in their target are copies, and trees would know
        # them again. Few distinct rows, as of levels alone, are none.
        _, first, kind = np.unique(keys, return_index=True, return_inverse=True)
    labels = y[first]
    if n_classes:
        counts = np.bincount(labels.astype(int), minlength=n_classes)
        if counts.min() < _LEAST_OF_CLASS:
            return None
    elif len(first) < _LEAST_OF_CLASS:
        return None
    options: dict[str, Any] = {"random_state": seed}
    if len(first) > _ONE_PART:
        split = StratifiedShuffleSplit if n_classes else ShuffleSplit
        options |= {"n_splits": 1, "test_size": min(len(first) // 5, _MOST_HELD_OUT)}
    else:
        split = StratifiedKFold if n_classes else KFold
        options |= {"n_splits": 5, "shuffle": True}
    found = split(**options).split(first, labels if n_classes else None)
    held_out = [np.isin(kind, some) for _, some in found]
    return [(np.flatnonzero(~rows), np.flatnonzero(rows)) for rows in held_out]


def outputs_of(model: AveragedModel, X: Any, basis: CurveBasis | None) -> np.ndarray:
    """Return the outputs of a linear or additive model for encoded rows."""
    # In parts, since all rows in double may be more than the memory holds.
    parts = (part for _, part in dense_blocks(X, _BLOCK_ROWS))
    tables = (part if basis is None else basis.design(part) for part in parts)
    return np.concatenate([t @ model.coef.T + model.intercept for t in tables])


def _places(columns: Sequence[Feature]) -> dict[Any, str]:
    """Return the columns of the table by what tells them apart, with their names.

    Levels are gathered by name; numbers of the same name are columns of their own.
    """
    return {
        c.name if c.level is not None else (number,): c.name
        for number, c in enumerate(columns)
    }


def _to_table(columns: Sequence[Feature]) -> tuple[np.ndarray, list[int] | None]:
    """Make the matrix that gathers levels into columns, and tell which have levels."""
    places = [*_places(columns)]
    matrix = np.zeros((len(columns), len(places)))
    n_levels = np.zeros(len(places), dtype=int)
    for number, column in enumerate(columns):
        place = places.index((number,) if column.level is None else column.name)
        n_levels[place] += column.level is not None
        matrix[number, place] = max(n_levels[place], 1)
    categorical = np.flatnonzero((n_levels > 0) & (n_levels <= _MOST_LEVELS)).tolist()
    return matrix, categorical or None


def _table(X: Any, to_table: np.ndarray) -> np.ndarray:
    return to_dense(X @ to_table)


def _margins(models: tuple[Any, ...], table: np.ndarray) -> np.ndarray:
    """Return logits, or targets, of shape (n_rows, n_outputs)."""
    found = [
        getattr(model, "decision_function", model.predict)(table) for model in models
    ]
    return np.column_stack(found)


class _Weighed(NamedTuple):
    """How much of the additive model and of trees is best, and what comes of it."""

    weights: np.ndarray
    losses: tuple[float, float]
    rescaled: float
    nats: float
    errors: np.ndarray

    def is_gain(self, share: float) -> bool:
        """Tell whether trees take a share of the loss that a length alone leaves."""
        return self.losses[1] < (1 - share) * self.rescaled


def _weigh(
    linear: Sequence[np.ndarray],
    alone: Sequence[np.ndarray],
    y: np.ndarray,
    sample_weight: np.ndarray,
    task: str,
) -> _Weighed:
    """Weigh outputs for rows that were not seen, neither with less than nothing."""
    parts = np.stack([np.concatenate(linear), np.concatenate(alone)])
    targets, total = y.reshape(len(y), -1), sample_weight.sum()
    row_weight = sample_weight / total
    spread = row_weight @ (targets - row_weight @ targets) ** 2
    # A constant target has no variance to explain.
    varies = spread > 1e-12
    parts_of = varies / np.where(varies, spread, 1.0) / max(varies.sum(), 1)

    def loss(weights: np.ndarray) -> float:
        outputs = np.tensordot(weights, parts, axes=1)
        if task == "regression":
            each = (outputs - targets) ** 2 @ parts_of
        elif task == "binary":
            each = np.logaddexp(0, (1 - 2 * y) * outputs[:, 0])
        else:
            each = -log_softmax(outputs, axis=1)[np.arange(len(y)), y.astype(int)]
        return float(row_weight @ each)

    found = minimize(loss, np.full(2, 0.5), bounds=[(0, None)] * 2)
    # What another length of the additive model would do is no merit of trees.
    rescaled = minimize(loss, [1.0, 0.0], bounds=[(0, None), (0, 0)]).fun
    before, after = loss(np.array([1.0, 0.0])), float(found.fun)
    nats = total * (rescaled - after)
    if task == "regression":
        ratio = max(rescaled, 1e-12) / max(after, 1e-12)
        nats = total / 2 * varies.sum() * np.log(ratio)
    both = np.tensordot(found.x, parts, axes=1)
    errors = row_weight @ (both - targets) ** 2
    return _Weighed(found.x, (before, after), float(rescaled), nats, errors)


def _interactions(
    models: Sequence[tuple[Any, ...]],
    table: np.ndarray,
    columns: Sequence[Feature],
    seed: int,
) -> tuple[tuple[str, str], ...]:
    """Find the pairs of columns whose effects on the trees are not a sum.

    Rows take the values of other rows, in one column, in another, and in both.
    """
    names = [*_places(columns).values()]
    generator = np.random.default_rng(seed)
    rows, others = table[generator.integers(len(table), size=(2, _N_PAIRS))]

    def outputs(*swapped: Sequence[int]) -> np.ndarray:
        margins, at_once = [], max(1, _MOST_NUMBERS // rows.size)
        for first in range(0, len(swapped), at_once):
            part = swapped[first : first + at_once]
            found = np.repeat(rows[None], len(part), axis=0)
            for one, some in zip(found, part, strict=True):
                one[:, some] = others[:, some]
            flat = found.reshape(-1, rows.shape[1])
            margins.append(np.mean([_margins(model, flat) for model in models], axis=0))
        return np.concatenate(margins).reshape(len(swapped), len(rows), -1)

    whole, *alone = outputs([], *([j] for j in range(len(names))))
    moved = np.array([np.mean((one - whole) ** 2) for one in alone])
    looked_at = np.sort(np.argsort(-moved, kind="stable")[:_N_LOOKED_AT])
    pairs = list(combinations(looked_at, 2))
    if not pairs:
        return ()
    left = [
        np.mean((both - alone[j] - alone[k] + whole) ** 2)
        for both, (j, k) in zip(outputs(*pairs), pairs, strict=True)
    ]
    order = np.argsort(left)[::-1][:_N_TOLD]
    least = max(_OF_ALL * moved.sum(), _OF_STRONGEST * max(left))
    return tuple(
        (names[j], names[k]) for j, k in (pairs[n] for n in order if left[n] > least)
    )
