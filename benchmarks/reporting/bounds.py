"""What is asked of the default: each bound as a list of checks.

The thresholds are the goals that were set before anything was measured. Gains are
those of `paired`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from benchmarks.methods.estimators import GAMMAS, TRANSFORMS
from benchmarks.reporting.paired import Check, compare, grid, sizes

TUNED = "no prior, tuned"
LINEAR, MLP = "default linear", "default MLP"
#: The rows whose upper envelope the default has to reach.
NAMED = (
    TUNED,
    "prior alone",
    "prior alone, exp",
    *(f"LAAT linear, gamma {g}, {name}" for g in GAMMAS for name in TRANSFORMS),
)
FIXED = "LAAT linear, gamma 100, exp"
REFERENCES = {LINEAR: "LAAT linear (reference)", MLP: "LAAT MLP (reference)"}
HINDSIGHT = "the best row of each table"


def envelope(table: pd.DataFrame, slack: float = 0.003) -> list[Check]:
    """Hold the default against the best of the named rows, size by size.

    The best is picked by the numbers that it is then compared by, which favours it.
    """
    checks = []
    for size in sizes(table):
        rows = table.loc[size].reindex(columns=list(NAMED)).dropna()
        best = str(rows.mean().idxmax()) if len(rows) else "one was not run"
        checks.append(compare(table, size, LINEAR, best, -slack))
    return checks


def over_sizes(table: pd.DataFrame) -> list[Check]:
    """Hold the default against every other row on the mean over the sizes.

    The named rows must be below it.
    """
    checks = []
    for other in [*NAMED, *REFERENCES.values(), MLP]:
        each = [compare(table, size, LINEAR, other) for size in sizes(table)]
        checks.append(
            Check(
                size="mean",
                method=LINEAR,
                other=other,
                value=_mean([check.value for check in each]),
                against=_mean([check.against for check in each]),
                gain=_mean([check.gain for check in each]),
                # The draws of two sizes are independent.
                error=float(np.sqrt(np.sum([c.error**2 for c in each])) / len(each)),
                repetitions=min(check.repetitions for check in each),
                bound=0.0 if other in NAMED else None,
                strict=True,
            )
        )
    return checks


def over_reference(table: pd.DataFrame) -> list[Check]:
    """Hold the defaults against the configuration of the paper's authors.

    Above it from 5 rows up, by 0.01 from 50 up.
    """
    return [
        compare(
            table,
            size,
            method,
            other,
            0.01 if _from(size, 50) else 0.0 if _from(size, 5) else None,
            strict=not _from(size, 50),
        )
        for method, other in REFERENCES.items()
        for size in sizes(table)
    ]


def with_hindsight(frame: pd.DataFrame, metric: str) -> list[Check]:
    """Hold what any choice of rows could give against the authors' configuration.

    For each table and size the best of the named rows and the linear default is taken,
    by its mean on the test rows: no method that chooses among them can be above that.
    Nothing is asked.
    """
    named = frame[frame["method"].isin([*NAMED, LINEAR])]
    cells = ["shots", "card", "method"]
    means = named.groupby(cells)[metric].mean()
    best = means.groupby(["shots", "card"]).idxmax().dropna()
    chosen = named.set_index(cells).loc[list(best)].reset_index()
    table = grid(pd.concat([frame, chosen.assign(method=HINDSIGHT)]), metric)
    return [
        compare(table, size, HINDSIGHT, REFERENCES[LINEAR]) for size in sizes(table)
    ]


def with_wrong_priors(table: pd.DataFrame) -> list[Check]:
    """Hold the defaults with a wrong prior against tuning without one.

    At most 0.02 below at 10 rows, 0.01 from 25 up. A fixed gamma stands beside them, of
    which nothing is asked.
    """
    checks = []
    for method in (LINEAR, MLP, FIXED):
        for how in ("flipped", "shuffled"):
            for size in sizes(table):
                slack = 0.01 if _from(size, 25) else 0.02 if _from(size, 10) else None
                bound = None if slack is None or method == FIXED else -slack
                name = f"{method}, {how} prior"
                checks.append(compare(table, size, name, TUNED, bound))
    return checks


def of_the_mlp(table: pd.DataFrame) -> list[Check]:
    """Hold the MLP against the linear model.

    At most 0.005 below, and above on a share of the rows.
    """
    return [
        compare(
            table,
            size,
            MLP,
            LINEAR,
            0.0 if float(size) < 1 else -0.005,
            strict=float(size) < 1,
        )
        for size in sizes(table)
    ]


def over_tuned(table: pd.DataFrame) -> list[Check]:
    """Hold the defaults against tuning without a prior. Better at every size."""
    return [
        compare(table, size, method, TUNED, 0.0, strict=True)
        for method in (LINEAR, MLP)
        for size in sizes(table)
    ]


def _from(size: str, least: int) -> bool:
    """Say whether a size is at least so many rows; a share counts as many."""
    return float(size) < 1 or float(size) >= least


def _mean(values: Sequence[float]) -> float:
    """Average; missing where one is."""
    return float(np.mean(values))
