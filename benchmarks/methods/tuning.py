"""What the linear rivals share: the table they see, and their cross-validation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.model_selection import KFold, StratifiedKFold

from benchmarks.data.datasets import Dataset
from benchmarks.methods.baselines import (
    INVERSE_STRENGTHS,
    FloatArray,
    Predictor,
    make_encoder,
    prior_scores,
)
from benchmarks.methods.solver import Penalty, losses, predict, solve

#: Makes the penalties of all settings for a number of training rows.
Grid = Callable[[int], Penalty]
#: While settings are compared, a rough solution tells which of them is best.
_ROUGH_TOL, _ROUGH_STEPS = 1e-4, 600


@dataclass(frozen=True, eq=False)
class Problem:
    """The training rows as numbers, and the scores of their columns.

    `X` are the encoded rows, less `middle` and divided by `spread`. `y` is as `solve`
    takes it; a regression's target has mean 0 and deviation 1, once `centre` was taken
    from it and it was divided by `unit`. `scores` has the shape (n_columns, n_outputs).
    """

    task: str
    encoder: ColumnTransformer
    X: FloatArray
    y: FloatArray
    scores: FloatArray
    middle: FloatArray
    spread: FloatArray
    centre: float
    unit: float

    def table(self, rows: pd.DataFrame) -> FloatArray:
        """Encode rows."""
        encoded: FloatArray = self.encoder.transform(rows)
        return (encoded - self.middle) / self.spread

    def finish(self, predicted: FloatArray) -> FloatArray:
        """Bring predictions to the form that the runner measures."""
        if self.task == "multiclass":
            return predicted
        one = predicted[:, 0]
        return one * self.unit + self.centre if self.task == "regression" else one

    def fit(self, penalty: Penalty) -> Predictor:
        """Fit one linear model to all training rows."""
        weights = solve(self.X, self.y, self.task, penalty)
        return lambda rows: self.finish(
            predict(self.table(rows), weights, self.task)[:, 0]
        )


def prepare(
    dataset: Dataset, X: pd.DataFrame, y: pd.Series[Any], *, standardised: bool = False
) -> Problem:
    """Encode training rows.

    `standardised` brings every column to mean 0 and deviation 1 in the training rows,
    rather than to their range alone. A column that does not vary is centred only.
    """
    encoder = make_encoder(dataset).fit(X)
    table = encoder.transform(X)
    middle, spread = np.zeros(table.shape[1]), np.ones(table.shape[1])
    if standardised:
        middle, spread = table.mean(axis=0), table.std(axis=0)
        spread = np.where(spread > 0, spread, 1.0)
    centre, unit = 0.0, 1.0
    if dataset.kind == "regression":
        target = y.to_numpy(dtype=np.float64)[:, None]
        centre, unit = float(target.mean()), float(target.std()) or 1.0
        target = (target - centre) / unit
    else:
        labels = dataset.classes if dataset.positive is None else (dataset.positive,)
        target = (y.to_numpy()[:, None] == np.array(labels)).astype(np.float64)
    return Problem(
        task=dataset.task,
        encoder=encoder,
        X=(table - middle) / spread,
        y=target,
        scores=prior_scores(dataset, encoder),
        middle=middle,
        spread=spread,
        centre=centre,
        unit=unit,
    )


def cross_validate(problem: Problem, grid: Grid, seed: int) -> FloatArray | None:
    """Measure all settings of a grid on rows left out, as `tuned_without_prior` does.

    Returns the loss of each, averaged over up to five folds; None where a class has one
    row, which leaves nothing to validate on.
    """
    X, y = problem.X, problem.y
    if problem.task == "regression":
        splitter: Any = KFold(min(5, len(y)), shuffle=True, random_state=seed)
        label = np.zeros(len(y))
    else:
        label = (y * np.arange(1, y.shape[1] + 1)).sum(axis=1)
        folds = min(5, int(np.unique(label, return_counts=True)[1].min()))
        if folds < 2:
            return None
        splitter = StratifiedKFold(folds, shuffle=True, random_state=seed)
    found = []
    for train, test in splitter.split(X, label):
        penalty = grid(len(train))
        weights = solve(
            X[train],
            y[train],
            problem.task,
            penalty,
            tol=_ROUGH_TOL,
            max_iter=_ROUGH_STEPS,
        )
        found.append(losses(X[test], y[test], problem.task, weights))
    return np.mean(found, axis=0)


def chosen(problem: Problem, grid: Grid, seed: int) -> Penalty | None:
    """Choose the setting of a grid with the least loss on rows left out.

    None where a class has one row.
    """
    found = cross_validate(problem, grid, seed)
    if found is None:
        return None
    return grid(len(problem.y)).only(int(found.argmin()))


def ridge_strengths(rows: int) -> FloatArray:
    """Return the L2 factors of `tuned_without_prior` as `Penalty` counts them.

    scikit-learn's C weighs the sum over the rows, `solve` their mean. The strongest
    comes first.
    """
    strengths: FloatArray = 1 / (INVERSE_STRENGTHS * rows)
    return strengths[None, :, None]
