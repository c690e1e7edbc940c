"""The part of a result file in which every method has a value for every data set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from benchmarks.reporting.metrics import METRICS

#: What the name of a row ends in that was given a wrong prior on purpose.
WRONG = (", flipped prior", ", shuffled prior")


@dataclass(frozen=True, eq=False)
class Block:
    """A measure of all methods on the same draws of the same data sets.

    `tables` has for each data set one table per size: a row per repetition, a column
    per method, without gaps; more is better. `left_out` are methods that lack a data
    set, or share no repetition with the others.
    """

    sizes: tuple[str, ...]
    tables: Mapping[str, tuple[pd.DataFrame, ...]]
    left_out: tuple[str, ...]

    @property
    def methods(self) -> list[str]:
        """The methods, in the order of the file."""
        return list(next(iter(self.tables.values()))[0])

    @property
    def repetitions(self) -> tuple[int, int]:
        """The fewest and the most repetitions of a data set and size."""
        counts = [len(table) for tables in self.tables.values() for table in tables]
        return min(counts), max(counts)

    def scores(self) -> pd.DataFrame:
        """Average over the repetitions, then over the sizes that a data set has."""
        means = {
            card: sum(table.mean() for table in tables) / len(tables)
            for card, tables in self.tables.items()
        }
        return pd.DataFrame(means).T[self.methods]


def block(frame: pd.DataFrame, metric: str, size: str) -> Block | None:
    """Take what can be compared at one size.

    A method that lacks a data set which another has is left out. Of the others only the
    repetitions count that all of them have; where there is none, the method with the
    fewest fits is left out, until there is one. None where fewer than two methods can
    be compared.
    """
    known = frame[(frame["shots"] == size) & frame[metric].notna()]
    values = np.log(known[metric]) if metric == "rmse" else known[metric]
    known = known.assign(value=values if METRICS[metric] else -values)
    table = known.pivot(
        index=["card", "repetition"], columns="method", values="value"
    ).reindex(columns=known["method"].unique())
    everywhere = table.groupby("card").count().gt(0).all()
    chosen = list(table.columns[everywhere])
    cards = table.index.get_level_values("card").unique()
    while chosen:
        whole = table[chosen].dropna()
        if set(cards) == set(whole.index.get_level_values("card")):
            break
        chosen.remove(str(table[chosen].count().idxmin()))
    if len(chosen) < 2:
        return None
    tables = {
        str(card): (whole.loc[card],)
        for card in sorted(whole.index.get_level_values("card").unique())
    }
    left_out = tuple(name for name in table if name not in chosen)
    return Block((size,), tables, left_out)


def over_sizes(blocks: Sequence[Block]) -> Block | None:
    """Put the blocks of several sizes together.

    With the methods that are in each of them; None where these are fewer than two.
    """
    every = list(dict.fromkeys(name for one in blocks for name in one.methods))
    shared = [name for name in every if all(name in one.methods for one in blocks)]
    if len(shared) < 2:
        return None
    tables: dict[str, tuple[pd.DataFrame, ...]] = {}
    for one in blocks:
        for card, (table,) in one.tables.items():
            tables[card] = (*tables.get(card, ()), table[shared])
    absent = [name for one in blocks for name in one.left_out]
    left_out = tuple(n for n in dict.fromkeys([*every, *absent]) if n not in shared)
    return Block(tuple(size for one in blocks for size in one.sizes), tables, left_out)
