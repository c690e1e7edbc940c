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
from llmreg.linear_model._averaging import MOST_ROWS, AveragedModel
from llmreg.posterior._intervals import Noise
from llmreg.posterior._posterior import Posterior
from llmreg.preprocessing._basis import CurveBasis
from llmreg.preprocessing._sparse import dense_blocks, to_dense
from llmreg.prior._task import Feature

logger = get_logger(__name__)

# Rows from which on trees are grown, rows of each class that this takes, and the rows
# of a very large table that are enough.
_LEAST_ROWS, _LEAST_OF_CLASS, _MOST_ROWS = 200, 10, 150_000
# Rows from which on one part of them is held out, a fifth, and how many at most.
ONE_PART, _MOST_HELD_OUT = 2_000, 10_000
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

#: Models of HistGradientBoosting, one for each target.
Forest = tuple[Any, ...]
#: An encoded column, after the place of the column of the table that it is of.
Encoded = tuple[int, Feature]
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

    models: tuple[Forest, ...] = field(repr=False)
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
    columns: Sequence[Encoded],
    basis: CurveBasis | None,
    in_double: Callable[[Any], Any] | None = None,
    *,
    task: str,
    n_outputs: int,
    seed: int,
) -> Trees | None:
    """Grow trees, and keep them if rows that are held out confirm them.

    `in_double` encodes some of the rows anew, in double precision.
    """
    if len(y) < _LEAST_ROWS or len(columns) > _MOST_COLUMNS:
        return None
    some: Any = slice(None)
    if len(X) > _MOST_ROWS:
        some = np.random.default_rng(seed).permutation(len(X))[:_MOST_ROWS]
    # Trees split at values of rows, which single precision has rounded.
    X = in_double(some) if in_double and X.dtype == np.float32 else X[some]
    y, sample_weight = y[some], sample_weight[some]
    to_table, categorical = _to_table(columns)
    table = _table(X, to_table)
    is_class = task != "regression"
    if is_class and len(np.unique(y)) < max(2, n_outputs):
        return None
    kinds, least = _copies(table, y), _LEAST_OF_CLASS
    held_out = hold_out(kinds, y, is_class=is_class, least=least, seed=seed)
    if held_out is None:
        return None
    grow = _Grower(table, y, sample_weight, is_class, categorical, seed)
    linear, alone = np.zeros((2, len(y), n_outputs))

    def weigh(rows: np.ndarray) -> _Weighed:
        parts = np.stack([linear[rows], alone[rows]])
        return _weigh(parts, y[rows], sample_weight[rows], task)

    forests: list[Forest] = []
    for rows in steps(held_out, "trees", "fold", len(held_out)):
        known = np.flatnonzero(~rows)
        # The average takes no more, and what it leaves is copied for nothing.
        known = known[:: max(1, len(known) // MOST_ROWS)]
        model = fit(X[known], y[known], sample_weight[known])
        linear[rows] = outputs_of(model, X[rows], basis)
        begun: Forest = ()
        if not forests:
            begun = grow(~rows, _FEW)
            alone[rows] = _margins(begun, table[rows])
            if not weigh(rows).is_gain(_GAIN / 2):
                # What a few trees do not begin to show more do not show either.
                return None
        forests.append(grow(~rows, _N_TREES, begun))
        alone[rows] = _margins(forests[-1], table[rows])
    unseen = np.logical_or.reduce(held_out)
    found = weigh(unseen)
    logger.info(
        "boosted trees change the loss of %d held out rows from %.4f to %.4f",
        *(unseen.sum(), *found.losses),
    )
    if not found.is_gain(_GAIN) or found.nats < _NATS:
        return None
    if len(held_out) == 1:
        (forest,), n_trees = forests, _N_TREES
        while n_trees < _MOST_TREES:
            forest = grow(~unseen, 2 * n_trees, forest)
            alone[unseen] = _margins(forest, table[unseen])
            more = weigh(unseen)
            if more.losses[1] > (1 - _GAIN / 2) * found.losses[1]:
                break
            n_trees, found = 2 * n_trees, more
        # Held out rows have told what they can, and now are learnt from.
        forests = [grow(np.ones_like(unseen), n_trees)]
    return Trees(
        models=tuple(forests),
        weights=found.weights,
        losses=found.losses,
        n_unseen=int(unseen.sum()),
        errors=found.errors,
        interactions=_interactions(forests, table, columns, seed),
        table=to_table,
    )


@dataclass(frozen=True, eq=False)
class _Grower:
    """Grows a forest, of as many classifiers or regressors as there are targets."""

    table: np.ndarray
    y: np.ndarray
    sample_weight: np.ndarray
    is_class: bool
    categorical: list[int] | None
    seed: int

    def __call__(self, rows: np.ndarray, n_trees: int, begun: Forest = ()) -> Forest:
        """Return a forest of so many trees of some rows; one that is begun goes on."""
        # Equal weights are left out: with weights columns are binned more slowly.
        weight = self.sample_weight[rows] if np.ptp(self.sample_weight) else None
        targets = self.y[rows].reshape(rows.sum(), -1).T
        forest = begun or tuple(self._make() for _ in targets)
        for model, target in zip(forest, targets, strict=True):
            model.set_params(max_iter=n_trees).fit(self.table[rows], target, weight)
        return forest

    def _make(self) -> Any:
        make: Any = HistGradientBoostingRegressor
        if self.is_class:
            make = HistGradientBoostingClassifier
        return make(
            max_features=min(1.0, max(_SHARE, _LEAST_COLUMNS / self.table.shape[1])),
            categorical_features=self.categorical,
            random_state=self.seed,
            **_SETTINGS,
        )


def _copies(table: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Give each row a number, and copies of a row the same one."""
    keys = pd.util.hash_pandas_object(pd.DataFrame(table), index=False).to_numpy()
    # A column of their own: among targets, which are floats, they would be rounded.
    with_target = pd.DataFrame(y.reshape(len(y), -1)).assign(key=keys)
    # Equal rows that never differ in their target are copies, and trees would know them
    # again. Few distinct rows, as of levels alone, are none.
    is_copied = len(with_target.drop_duplicates()) == len(np.unique(keys))
    # Numbered as they come: in the order of keys, folds would hang on the last bit.
    return pd.factorize(keys)[0] if is_copied else np.arange(len(y))


def hold_out(
    kinds: np.ndarray,
    y: np.ndarray,
    *,
    is_class: bool,
    n_folds: int = 5,
    least: int = 2,
    seed: int,
) -> np.ndarray | None:
    """Choose the rows held out of each fold, as a mask (n_folds, n_samples).

    Rows of a kind stay together. One part of many kinds is held out; of few every one,
    in turn. None where there are too few, of any class.
    """
    _, first, kind = np.unique(kinds, return_index=True, return_inverse=True)
    labels = y[first].astype(int) if is_class else None
    smallest = len(first) if labels is None else int(np.bincount(labels).min())
    if smallest < least or len(first) < 4:
        return None
    options: dict[str, Any] = {"random_state": seed}
    if len(first) > ONE_PART:
        is_even = is_class and smallest >= _LEAST_OF_CLASS
        split = StratifiedShuffleSplit if is_even else ShuffleSplit
        options |= {"n_splits": 1, "test_size": min(len(first) // 5, _MOST_HELD_OUT)}
    else:
        split = StratifiedKFold if is_class else KFold
        options |= {"n_splits": min(n_folds, smallest), "shuffle": True}
    parts = split(**options).split(first, labels)
    return np.stack([np.isin(kind, some) for _, some in parts])


def outputs_of(model: AveragedModel, X: Any, basis: CurveBasis | None) -> np.ndarray:
    """Return the outputs of a linear or additive model for encoded rows."""
    # In parts, since all rows in double may be more than the memory holds.
    parts = (part for _, part in dense_blocks(X, _BLOCK_ROWS))
    tables = (part if basis is None else basis.design(part) for part in parts)
    return np.concatenate([t @ model.coef.T + model.intercept for t in tables])


def _to_table(columns: Sequence[Encoded]) -> tuple[np.ndarray, list[int] | None]:
    """Make the matrix that gathers levels into columns, and tell which have levels."""
    n_places = columns[-1][0] + 1
    matrix = np.zeros((len(columns), n_places))
    n_levels = np.zeros(n_places, dtype=int)
    for number, (place, column) in enumerate(columns):
        n_levels[place] += column.level is not None
        matrix[number, place] = max(n_levels[place], 1)
    categorical = np.flatnonzero((n_levels > 0) & (n_levels <= _MOST_LEVELS)).tolist()
    return matrix, categorical or None


def _table(X: Any, to_table: np.ndarray) -> np.ndarray:
    """Gather the levels of encoded rows; rows of numbers alone are a table already."""
    if np.array_equal(to_table, np.eye(len(to_table))):
        return to_dense(X)
    return to_dense(X @ to_table.astype(X.dtype))


def _margins(forest: Forest, table: np.ndarray) -> np.ndarray:
    """Return logits, or targets, of shape (n_rows, n_outputs)."""
    found = [
        getattr(model, "decision_function", model.predict)(table) for model in forest
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
    parts: np.ndarray, y: np.ndarray, sample_weight: np.ndarray, task: str
) -> _Weighed:
    """Weigh outputs for rows that were not seen, neither with less than nothing."""
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
    models: Sequence[Forest],
    table: np.ndarray,
    columns: Sequence[Encoded],
    seed: int,
) -> tuple[tuple[str, str], ...]:
    """Find the pairs of columns whose effects on the trees are not a sum.

    Rows take the values of other rows, in one column, in another, and in both.
    """
    names = [*{place: column.name for place, column in columns}.values()]
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
