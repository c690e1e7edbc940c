"""Two methods on the same draws: how much the one gains over the other.

A gain is counted so that more is better: of the ROC AUC or R2 as it is, of a loss with
its sign turned, of RMSE as the logarithm of its ratio, since targets have units of
their own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from benchmarks.reporting.metrics import METRICS
from benchmarks.reporting.tables import size_order


@dataclass(frozen=True)
class Check:
    """One method against another at one size, and what is asked of their difference.

    `value` and `against` are the means of both on the scale of the gains. `gain` is the
    mean gain of the first over the second, `error` its standard error over the
    repetitions, from paired differences. `bound` is the least gain that is asked for,
    or None; if `strict`, the gain must be above it.
    """

    size: str
    method: str
    other: str
    value: float
    against: float
    gain: float
    error: float
    repetitions: int
    bound: float | None
    strict: bool = False

    @property
    def met(self) -> bool | None:
        """Whether the bound is met; None where nothing is asked or nothing was run."""
        if self.bound is None or np.isnan(self.gain):
            return None
        above = self.gain > self.bound
        return bool(above if self.strict else above or self.gain == self.bound)


def grid(frame: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Average a measure over the data sets, on a scale where more is better.

    A row per (size, repetition), a column per method. A value is missing unless the
    method has one for every data set that any method has at that size: a mean over
    other data sets is another number.
    """
    known = frame[frame[metric].notna()]
    values = np.log(known[metric]) if metric == "rmse" else known[metric]
    known = known.assign(value=values if METRICS[metric] else -values)
    cards = known.groupby("shots")["card"].nunique()
    by_cell = known.groupby(["shots", "repetition", "method"])["value"]
    count = by_cell.count()
    complete = count.to_numpy() == cards[count.index.get_level_values(0)].to_numpy()
    table: pd.DataFrame = by_cell.mean()[complete].unstack("method")
    return table


def sizes(table: pd.DataFrame) -> list[str]:
    """List the sizes of a grid in order, shares of the rows last."""
    return sorted(table.index.get_level_values(0).unique(), key=size_order)


def compare(
    table: pd.DataFrame,
    size: str,
    method: str,
    other: str,
    bound: float | None = None,
    *,
    strict: bool = False,
) -> Check:
    """Compare two methods at one size, on the repetitions that both have.

    Its numbers are missing where a method was not run.
    """
    both = table.loc[size].reindex(columns=[method, other]).dropna()
    gains = both[method] - both[other]
    return Check(
        size=size,
        method=method,
        other=other,
        value=both[method].mean(),
        against=both[other].mean(),
        gain=gains.mean(),
        error=gains.std(ddof=1) / np.sqrt(len(gains)) if len(gains) else np.nan,
        repetitions=len(gains),
        bound=bound,
        strict=strict,
    )
