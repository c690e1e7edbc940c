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

    Parameters
    ----------
    chi2, p : float
        Friedman's statistic, corrected for ties, and its p-value; missing with fewer
        than three methods or two data sets.
    f, p_of_f : float
        Iman and Davenport's F, which is less conservative, and its p-value.
    """

    chi2: float
    p: float
    f: float
    p_of_f: float


def average_ranks(scores: pd.DataFrame) -> pd.Series[float]:
    """Rank the methods on each data set, and average over the data sets.

    Parameters
    ----------
    scores : DataFrame of shape (n_data_sets, n_methods)
        More is better.

    Returns
    -------
    Series
        Method -> average rank, best first; 1 is best. Equal scores share the mean of
        their ranks.

    Examples
    --------
    >>> import pandas as pd
    >>> from benchmarks.reporting.rank_statistics import average_ranks
    >>> average_ranks(pd.DataFrame({"a": [0.7, 0.9], "b": [0.8, 0.9]})).to_dict()
    {'b': 1.25, 'a': 1.75}
    """
    return scores.rank(axis=1, ascending=False).mean().sort_values(kind="stable")


def friedman(scores: pd.DataFrame) -> Friedman:
    """Test whether all methods could have the same average rank.

    Parameters
    ----------
    scores : DataFrame of shape (n_data_sets, n_methods)
        More is better.

    Returns
    -------
    Friedman
        The statistics.
    """
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

    Parameters
    ----------
    methods : int
        How many methods are compared.
    alpha : float, default=0.05
        The level of the test.

    Returns
    -------
    float
        The Studentized range with infinite degrees of freedom, over the root of 2.

    Examples
    --------
    >>> from benchmarks.reporting.rank_statistics import nemenyi_q
    >>> round(nemenyi_q(5), 3)
    2.728
    """
    q = stats.studentized_range.ppf(1 - alpha, methods, np.inf)
    return float(q / np.sqrt(2))


def critical_difference(methods: int, data_sets: int, alpha: float = 0.05) -> float:
    """Give the least difference of two average ranks that the Nemenyi test tells.

    Parameters
    ----------
    methods, data_sets : int
        How many of each.
    alpha : float, default=0.05
        The level of the test, for all pairs together.

    Returns
    -------
    float
        The difference of ranks.

    Examples
    --------
    >>> from benchmarks.reporting.rank_statistics import critical_difference
    >>> round(critical_difference(methods=4, data_sets=14), 2)
    1.25
    """
    spread = np.sqrt(methods * (methods + 1) / (6 * data_sets))
    return nemenyi_q(methods, alpha) * float(spread)


def not_told_apart(ranks: pd.Series[float], difference: float) -> list[tuple[str, ...]]:
    """List the largest groups of methods whose ranks differ by less than asked.

    Parameters
    ----------
    ranks : Series
        Method -> average rank.
    difference : float
        The critical difference.

    Returns
    -------
    list of tuple of str
        Groups of at least two, none within another, best first.

    Examples
    --------
    >>> import pandas as pd
    >>> from benchmarks.reporting.rank_statistics import not_told_apart
    >>> not_told_apart(pd.Series({"a": 1.0, "b": 1.8, "c": 2.5, "d": 4.0}), 1.0)
    [('a', 'b'), ('b', 'c')]
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
