"""How much a method gains over another, with intervals over data sets.

An interval answers: had the benchmark other data sets of this kind, and other draws of
them, where would the mean gain be? So data sets are drawn with replacement first, then
the repetitions of each drawn one: the same draws for every method, since the methods
share them. With ten data sets such intervals are somewhat too narrow (the bootstrap
knows only the spread of these ten), so one that just misses zero proves little.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.reporting.blocks import Block

FloatArray = NDArray[np.float64]
#: Gains below this are ties: the third digit of a ROC AUC.
TIE = 0.001


@dataclass(frozen=True)
class Effect:
    """The gain of one method over another.

    `gain` is the mean over the data sets of the paired difference, `low` and `high` its
    95% percentile interval. On `wins` data sets the mean difference is above `TIE`, on
    `ties` within, on `losses` below.
    """

    method: str
    other: str
    gain: float
    low: float
    high: float
    wins: int
    ties: int
    losses: int


def effects(
    block: Block, of: Sequence[str], draws: int = 2000, seed: int = 0
) -> list[Effect]:
    """Compare some methods with each other one of a block.

    Methods that the block lacks are passed over.
    """
    scores = block.scores()
    tables = [
        [table.to_numpy() for table in block.tables[str(card)]] for card in scores.index
    ]
    means = resampled(tables, draws, np.random.default_rng(seed))
    column = {name: number for number, name in enumerate(block.methods)}
    found = []
    for method in of:
        for other in column:
            if method not in column or other == method:
                continue
            gains = (scores[method] - scores[other]).to_numpy()
            drawn = means[:, column[method]] - means[:, column[other]]
            low, high = np.quantile(drawn, [0.025, 0.975])
            wins, losses = int((gains > TIE).sum()), int((gains < -TIE).sum())
            ties = len(gains) - wins - losses
            spread = (float(gains.mean()), float(low), float(high))
            found.append(Effect(method, other, *spread, wins, ties, losses))
    return found


def resampled(
    tables: Sequence[Sequence[FloatArray]],
    draws: int,
    generator: np.random.Generator,
) -> FloatArray:
    """Draw data sets with replacement, then repetitions of each, and average.

    A data set has one table of shape (n_repetitions, n_methods) per size. Returns the
    mean over the drawn data sets of the mean over sizes of the mean over the drawn
    repetitions, of shape (draws, n_methods).
    """
    total = np.zeros((draws, tables[0][0].shape[1]))
    for _ in tables:
        chosen = generator.integers(len(tables), size=draws)
        for number, of_sizes in enumerate(tables):
            rows = np.flatnonzero(chosen == number)
            for table in of_sizes:
                picks = generator.integers(len(table), size=(len(rows), len(table)))
                total[rows] += table[picks].mean(axis=1) / len(of_sizes)
    return total / len(tables)
