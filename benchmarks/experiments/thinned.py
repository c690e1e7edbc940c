"""A draw of training rows of which some are removed, and what is fitted on the rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from benchmarks.data.datasets import load
from benchmarks.data.splits import Cell, Rows, draw, method_seed, seeds
from benchmarks.data.thinning import cap, members, removable, thin
from benchmarks.experiments.runner import Row, fit_and_measure
from benchmarks.methods.registry import find
from benchmarks.reporting.group_metrics import GROUP_METRICS, measure_group

KEY = ("card", "shots", "repetition", "delta", "method")
COLUMNS = (
    *KEY,
    "seed",
    "max_train",
    "n_train",
    "n_removed",
    "n_test",
    "roc_auc",
    "log_loss",
    "brier",
    "accuracy",
    "f1",
    *GROUP_METRICS,
    "fit_seconds",
    "error",
)


@dataclass(frozen=True)
class ThinnedCell(Cell):
    """A draw of training rows, of which some are then removed.

    `delta` is the share that is removed of the rows that the rule names, `max_train`
    the most rows to train on before any are removed. The randomness of the draw does
    not depend on them.
    """

    delta: float = 0.0
    max_train: int = 4000

    @property
    def key(self) -> tuple[Any, ...]:
        """What tells its rows in the result file from those of other cells."""
        return *super().key, self.delta


def split(cell: ThinnedCell, seed: int) -> tuple[Rows, Rows, int]:
    """Give the rows of a cell.

    Returns the training rows, the test rows, which are the same for every delta, and
    how many rows were removed.
    """
    dataset = load(cell.card)
    y = dataset.y.to_numpy()
    train, test = draw(y, len(dataset.classes), cell, seed)
    # The first two children are those of the draw and of the methods.
    _, _, for_cap, for_thinning = seeds(cell, seed).spawn(4)
    train = cap(y, train, cell.max_train, np.random.default_rng(for_cap))
    generator = np.random.default_rng(for_thinning)
    kept = thin(train, removable(dataset), cell.delta, generator)
    return kept, test, len(train) - len(kept)


def run_thinned(cell: ThinnedCell, names: Sequence[str], seed: int) -> list[Row]:
    """Fit and measure methods on one thinned draw."""
    dataset = load(cell.card)
    train, test, removed = split(cell, seed)
    truth = (dataset.y == dataset.positive).to_numpy()[test]
    group = members(dataset)[test]
    rows = []
    for name in names:
        row: Row = {
            **dict(zip(KEY, (*cell.key, name), strict=True)),
            "seed": method_seed(cell, seed),
            "max_train": cell.max_train,
            "n_train": len(train),
            "n_removed": removed,
            "n_test": len(test),
        }
        certain = find(name).probabilities
        more = partial(measure_group, truth, group, probabilities=certain)
        row |= fit_and_measure(dataset, train, test, name, row["seed"], more)
        rows.append(row)
    return rows
