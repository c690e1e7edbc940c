"""Which rows are trained on: drawn the same for every method, on every machine."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Rows per class (rows, in a regression), or a share of the rows between 0 and 1.
Shots = int | float
Rows = NDArray[np.intp]


@dataclass(frozen=True)
class Cell:
    """One draw of training rows: what every method of a comparison shares.

    `shots` are rows per class (rows, in a regression); below 1 they are a share.
    """

    card: str
    shots: Shots
    repetition: int

    @property
    def key(self) -> tuple[Any, ...]:
        """What tells its rows in a result file from those of other draws."""
        return self.card, str(self.shots), self.repetition


def parse_shots(text: str) -> Shots:
    """Read a number of rows, or a share of them."""
    number = float(text)
    if 0 < number < 1:
        return number
    if number >= 1 and number == int(number):
        return int(number)
    raise ValueError(
        f"{text!r} is neither a number of rows (1, 2, ...) nor a share below 1."
    )


def seeds(cell: Cell, base: int) -> np.random.SeedSequence:
    """Derive the randomness of a cell from its name alone.

    Its children, in order: the draw of the rows, the seed of the methods. `base` is the
    seed of the whole experiment.
    """
    whole = isinstance(cell.shots, int)
    size = cell.shots if whole else round(cell.shots * 1_000_000)
    name = zlib.crc32(cell.card.encode())
    return np.random.SeedSequence([base, name, int(whole), int(size), cell.repetition])


def method_seed(cell: Cell, base: int) -> int:
    """Return the seed that every method of a cell receives.

    It is below 2 ** 31, so that any library takes it.
    """
    return int(seeds(cell, base).spawn(2)[1].generate_state(1)[0] >> 1)


def draw(y: NDArray[Any], classes: int, cell: Cell, base: int) -> tuple[Rows, Rows]:
    """Draw the training rows of a cell; all the rest are test rows.

    Returns sorted row numbers. `classes` is 0 in a regression, where rows are drawn
    from all. Raises ValueError where a class would be left without a training or a test
    row.
    """
    generator = np.random.default_rng(seeds(cell, base).spawn(2)[0])
    groups = [np.arange(len(y))]
    if classes:
        groups = [np.flatnonzero(y == label) for label in np.unique(y)]
        if len(groups) < classes:
            raise ValueError(f"{cell.card} has no row of one of its classes.")
    taken = []
    for group in groups:
        size = cell.shots if isinstance(cell.shots, int) else cell.shots * len(group)
        if not 1 <= round(size) < len(group):
            raise ValueError(
                f"{cell.card} has {len(group)} rows in its smallest group: "
                f"{cell.shots} shots leave none to train or to test on."
            )
        taken.append(generator.choice(group, round(size), replace=False))
    train = np.sort(np.concatenate(taken))
    return train, np.setdiff1d(np.arange(len(y)), train)
