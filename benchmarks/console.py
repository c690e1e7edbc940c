"""What the programs of the benchmarks say: results on stdout, progress on stderr."""

from __future__ import annotations

import sys
import time


def echo(text: str) -> None:
    """Write a line to stdout.

    Parameters
    ----------
    text : str
        The line, without a line break.
    """
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def say(text: str) -> None:
    """Write a line to stderr, so that it stays out of a piped result.

    Parameters
    ----------
    text : str
        The line, without a line break.
    """
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


class Progress:
    """Lines that tell how much is done and how much time is left.

    Parameters
    ----------
    total : int
        The number of steps.
    every : float, default=5.0
        Seconds between two lines, at least.

    Examples
    --------
    >>> from benchmarks.console import Progress
    >>> Progress(total=2, every=1e9).step()
    """

    def __init__(self, total: int, every: float = 5.0) -> None:
        self.total = total
        self.every = every
        self.done = 0
        self.start = self.last = time.monotonic()

    def step(self, note: str = "") -> None:
        """Count one more step, and write a line where one is due.

        Parameters
        ----------
        note : str, default=""
            What to add to the line.
        """
        self.done += 1
        now = time.monotonic()
        if now - self.last < self.every and self.done < self.total:
            return
        self.last = now
        left = (now - self.start) / self.done * (self.total - self.done)
        say(
            f"{self.done} of {self.total} ({self.done / self.total:.0%}), "
            f"{clock(now - self.start)} gone, about {clock(left)} left{note}"
        )


def clock(seconds: float) -> str:
    """Write a duration.

    Parameters
    ----------
    seconds : float
        The duration.

    Returns
    -------
    str
        Hours, minutes and seconds; hours only where there are some.

    Examples
    --------
    >>> from benchmarks.console import clock
    >>> clock(75), clock(3675)
    ('1:15', '1:01:15')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
