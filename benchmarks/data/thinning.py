"""Which training rows a biased collection of data would not have: the paper's rules.

LAAT (arXiv 2502.20268) removes a share of the training rows that say one thing about
one group, so that the rows left teach a wrong rule, and keeps the test rows as they
are. `RULES` names the rows of each table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.data.datasets import Dataset
from benchmarks.data.splits import Rows
from benchmarks.programs import RequestError

Mask = NDArray[np.bool_]


class NoRuleError(RequestError, LookupError):
    """A card without a rule on which rows are removed."""


@dataclass(frozen=True)
class Rule:
    """Which rows of a table are removed.

    The rows of the positive class are removed that `inside` is true of. Where `outside`
    describes all other rows, their rows of the negative class are removed as well (a
    two-sided rule).
    """

    words: str
    inside: Callable[[pd.DataFrame], pd.Series[bool]]
    outside: str = ""

    @property
    def feature(self) -> str:
        """The column along which rows are removed, with which the words begin."""
        return self.words.split()[0]


#: The first five are the paper's. Age 5 of breast-ljubljana is the decade of 60 to 69
#: years. That of titanic is ours, for a table that a package ships.
RULES: Mapping[str, Rule] = {
    "diabetes": Rule("Age below 50", lambda X: X["Age"] < 50),
    "breast-ljubljana": Rule("Age below 5 (under 60 years)", lambda X: X["Age"] < 5),
    "myocardial": Rule("SEX female", lambda X: X["SEX"] == "female"),
    "cdc-diabetes": Rule("Sex 1 (men)", lambda X: X["Sex"] == 1, "Sex 0 (women)"),
    "adult": Rule(
        "workclass not Private",
        lambda X: X["workclass"] != "Private",
        "workclass Private",
    ),
    "titanic": Rule("sex female", lambda X: X["sex"] == "female"),
}


def find_rule(card: str) -> Rule:
    """Return the rule of a card."""
    if card not in RULES:
        raise NoRuleError(
            f"No rule says which rows of {card!r} are removed. "
            f"There is one for: {', '.join(RULES)}."
        )
    return RULES[card]


def members(dataset: Dataset) -> Mask:
    """Return for each row of a table whether it is in the group."""
    return find_rule(dataset.name).inside(dataset.X).to_numpy(dtype=bool)


def removable(dataset: Dataset) -> list[Mask]:
    """Return which rows of a table are thinned out, one mask per side of the rule.

    The positive rows of the group; in a two-sided rule then the negative rows of all
    others.
    """
    group, positive = members(dataset), (dataset.y == dataset.positive).to_numpy()
    sides = [group & positive]
    if find_rule(dataset.name).outside:
        sides.append(~group & ~positive)
    return sides


def thin(
    train: Rows, sides: Sequence[Mask], share: float, generator: np.random.Generator
) -> Rows:
    """Remove a share of each side from the training rows.

    The rows are put in a random order that does not depend on the share, and removed
    from its beginning: what a smaller share removes, a larger one removes too. The
    generator has to be in the same state for every share.
    """
    if not 0 <= share <= 1:
        raise ValueError(f"A share is from 0 to 1, not {share!r}.")
    removed = []
    for side in sides:
        order = generator.permutation(train[side[train]])
        removed.append(order[: round(share * len(order))])
    return train[~np.isin(train, np.concatenate(removed))]


def cap(
    y: NDArray[Any], train: Rows, limit: int, generator: np.random.Generator
) -> Rows:
    """Draw at most so many of the training rows, each class in its share."""
    if len(train) <= limit:
        return train
    taken = []
    for label in np.unique(y[train]):
        rows = train[y[train] == label]
        size = max(1, round(limit * len(rows) / len(train)))
        taken.append(generator.choice(rows, size, replace=False))
    return np.sort(np.concatenate(taken))
