"""Ranks of methods over data sets, and which of their differences mean something.

The source of the statistics is Demšar, Statistical Comparisons of Classifiers over
Multiple Data Sets, JMLR 7 (2006): section 3.2.2 for ranks, the Friedman test, Iman and
Davenport's F and the Nemenyi test. Data sets are the independent observations;
repetitions within one are not.

An interval of an effect answers: had the benchmark other data sets of this kind, and
other draws of them, where would the mean gain be? So data sets are drawn with
replacement first, then the repetitions of each drawn one: the same draws for every
method, since the methods share them. With ten data sets such intervals are somewhat too
narrow (the bootstrap knows only the spread of these ten), so one that just misses zero
proves little.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from benchmarks.methods.registry import in_order
from benchmarks.programs import say
from benchmarks.reporting.metrics import FloatArray
from benchmarks.reporting.tables import more_is_better, ordered, size_order

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
    known = known.assign(value=more_is_better(known, metric))
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


@dataclass(frozen=True)
class Friedman:
    """Whether the ranks of several methods differ at all.

    `chi2` is Friedman's statistic, corrected for ties, and missing with fewer than
    three methods or two data sets; `f` is Iman and Davenport's F, which is less
    conservative.
    """

    chi2: float
    p: float
    f: float
    p_of_f: float


def average_ranks(scores: pd.DataFrame) -> pd.Series[float]:
    """Rank the methods on each data set, and average over the data sets.

    Best first; 1 is best. Equal scores share the mean of their ranks.
    """
    return scores.rank(axis=1, ascending=False).mean().sort_values(kind="stable")


def friedman(scores: pd.DataFrame) -> Friedman:
    """Test whether all methods could have the same average rank."""
    n, k = scores.shape
    alike = (scores.nunique(axis=1) == 1).all()
    if n < 2 or k < 3 or alike:
        return Friedman(np.nan, np.nan, np.nan, np.nan)
    chi2, p = stats.friedmanchisquare(*(scores[name] for name in scores))
    left = n * (k - 1) - chi2
    # All data sets agree on every rank: nothing is left to divide by.
    f = np.inf if np.isclose(left, 0) else (n - 1) * chi2 / left
    p_of_f = stats.f.sf(f, k - 1, (k - 1) * (n - 1))
    return Friedman(float(chi2), float(p), float(f), float(p_of_f))


def nemenyi_q(methods: int, alpha: float = 0.05) -> float:
    """Return the critical value of the Nemenyi test.

    The Studentized range with infinite degrees of freedom, over the root of 2.
    """
    q = stats.studentized_range.ppf(1 - alpha, methods, np.inf)
    return float(q / np.sqrt(2))


def critical_difference(methods: int, data_sets: int, alpha: float = 0.05) -> float:
    """Return the least difference of two average ranks that the Nemenyi test tells.

    `alpha` is for all pairs together.
    """
    spread = np.sqrt(methods * (methods + 1) / (6 * data_sets))
    return nemenyi_q(methods, alpha) * float(spread)


def not_told_apart(ranks: pd.Series[float], difference: float) -> list[tuple[str, ...]]:
    """List the largest groups of methods whose ranks differ by less than asked.

    Groups of at least two, none within another, best first.
    """
    ranks = ranks.sort_values(kind="stable")
    places = ranks.to_numpy()
    groups: list[tuple[str, ...]] = []
    reached = 0
    for start in range(len(places)):
        end = int((places < places[start] + difference).sum())
        if end - start > 1 and end > reached:
            groups.append(tuple(ranks.index[start:end]))
        reached = max(reached, end)
    return groups


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


#: Whose gains are reported where nothing else is asked for.
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
    frame = ordered(frame, in_order())
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
