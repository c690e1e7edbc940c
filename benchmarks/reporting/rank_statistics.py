"""Ranks of methods over data sets, and which of their differences mean something.

The source of all of it is Demšar, Statistical Comparisons of Classifiers over Multiple
Data Sets, JMLR 7 (2006): section 3.2.2 for ranks, the Friedman test, Iman and
Davenport's F and the Nemenyi test, section 3.2.4 for the picture. Data sets are the
independent observations; repetitions within one are not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats


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
    """Give the critical value of the Nemenyi test.

    The Studentized range with infinite degrees of freedom, over the root of 2.
    """
    q = stats.studentized_range.ppf(1 - alpha, methods, np.inf)
    return float(q / np.sqrt(2))


def critical_difference(methods: int, data_sets: int, alpha: float = 0.05) -> float:
    """Give the least difference of two average ranks that the Nemenyi test tells.

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
