"""The methods of a result file, ranked at each size and over all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from benchmarks.console import say
from benchmarks.methods.registry import in_order
from benchmarks.reporting.blocks import WRONG, Block, block, over_sizes
from benchmarks.reporting.effects import Effect, effects
from benchmarks.reporting.rank_statistics import (
    Friedman,
    average_ranks,
    critical_difference,
    friedman,
    not_told_apart,
)
from benchmarks.reporting.tables import size_order

#: Whose gains are told where nothing else is asked for.
OURS = ("default linear", "default MLP")
ALPHA = 0.05
ALL = "all"


@dataclass(frozen=True, eq=False)
class Ranking:
    """The methods of one block, ranked and compared.

    `difference` is the critical difference of the Nemenyi test, `effects` are the gains
    of our methods.
    """

    size: str
    block: Block
    ranks: pd.Series[float]
    test: Friedman
    difference: float
    effects: list[Effect]

    @classmethod
    def of(cls, size: str, block: Block, ours: Sequence[str], draws: int) -> Ranking:
        """Rank the methods of a block."""
        scores = block.scores()
        n, k = scores.shape
        return cls(
            size=size,
            block=block,
            ranks=average_ranks(scores),
            test=friedman(scores),
            difference=critical_difference(k, n, ALPHA),
            effects=effects(block, ours, draws),
        )

    @property
    def differ(self) -> bool:
        """Whether the Friedman test (its F) rejects that all ranks are the same."""
        return bool(self.test.p_of_f < ALPHA)

    @property
    def groups(self) -> list[tuple[str, ...]]:
        """Methods not told apart; all, where the Friedman test does not reject."""
        wide = self.difference if self.differ else np.inf
        return not_told_apart(self.ranks, wide)


def rank(
    frame: pd.DataFrame, metric: str, ours: Sequence[str] = OURS, draws: int = 2000
) -> list[Ranking]:
    """Rank the methods of a result file at each size, and over all sizes.

    In the order of the sizes, all sizes last where there are several. Sizes at which
    nothing can be compared are passed over.
    """
    frame = frame[~frame["method"].str.endswith(WRONG)]
    order = {name: number for number, name in enumerate(in_order())}
    frame = frame.sort_values(
        "method", key=lambda column: column.map(order).fillna(len(order)), kind="stable"
    )
    found: dict[str, Block] = {}
    for size in sorted(frame["shots"].unique(), key=size_order):
        one = block(frame, metric, size)
        if one is None:
            say(f"left out: {size} shots, no two methods can be compared")
        else:
            found[size] = one
    if len(found) > 1:
        together = over_sizes(list(found.values()))
        if together is not None:
            found[ALL] = together
    return [Ranking.of(size, one, ours, draws) for size, one in found.items()]
