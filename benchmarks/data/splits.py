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

    Parameters
    ----------
    card : str
        Name of the data set.
    shots : int or float
        Rows per class (rows, in a regression); below 1 a share of the rows.
    repetition : int
        Number of the draw, from 0.
    """

    card: str
    shots: Shots
    repetition: int

    @property
    def key(self) -> tuple[Any, ...]:
        """What tells its rows in a result file from those of other draws."""
        return self.card, str(self.shots), self.repetition


def parse_shots(text: str) -> Shots:
    """Read a number of rows, or a share of them.

    Parameters
    ----------
    text : str
        Such as ``"10"`` or ``"0.8"``.

    Returns
    -------
    int or float
        An int of at least 1, or a float between 0 and 1.

    Raises
    ------
    ValueError
        If it is neither.

    Examples
    --------
    >>> from benchmarks.data.splits import parse_shots
    >>> parse_shots("10"), parse_shots("0.8")
    (10, 0.8)
    """
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

    Parameters
    ----------
    cell : Cell
        The draw.
    base : int
        The seed of the whole experiment.

    Returns
    -------
    SeedSequence
        Its children, in order: the draw of the rows, the seed of the methods.
    """
    whole = isinstance(cell.shots, int)
    size = cell.shots if whole else round(cell.shots * 1_000_000)
    name = zlib.crc32(cell.card.encode())
    return np.random.SeedSequence([base, name, int(whole), int(size), cell.repetition])


def method_seed(cell: Cell, base: int) -> int:
    """Give the seed that every method of a cell receives.

    Parameters
    ----------
    cell : Cell
        The draw.
    base : int
        The seed of the whole experiment.

    Returns
    -------
    int
        Below 2 ** 31, so that any library takes it.
    """
    return int(seeds(cell, base).spawn(2)[1].generate_state(1)[0] >> 1)


def draw(y: NDArray[Any], classes: int, cell: Cell, base: int) -> tuple[Rows, Rows]:
    """Draw the training rows of a cell; all the rest are test rows.

    Parameters
    ----------
    y : ndarray of shape (n_rows,)
        The target.
    classes : int
        The number of classes; 0 in a regression, where rows are drawn from all.
    cell : Cell
        The draw.
    base : int
        The seed of the whole experiment.

    Returns
    -------
    train, test : ndarray of int
        Row numbers, each sorted; together they are all rows, without overlap.

    Raises
    ------
    ValueError
        If a class would be left without a training or a test row.

    Examples
    --------
    >>> import numpy as np
    >>> from benchmarks.data.splits import Cell, draw
    >>> y = np.array(["no"] * 5 + ["yes"] * 5)
    >>> train, test = draw(y, 2, Cell("toy", 2, 0), base=0)
    >>> sorted(y[train].tolist()), len(test)
    (['no', 'no', 'yes', 'yes'], 6)
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
