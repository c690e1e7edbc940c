"""What the programs of the benchmarks say: results on stdout, progress on stderr."""

from __future__ import annotations

import sys
import time


def echo(text: str) -> None:
    """Write a line to stdout."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def say(text: str) -> None:
    """Write a line to stderr, so that it stays out of a piped result."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


class Progress:
    """Lines that tell how much is done and how much time is left."""

    def __init__(self, total: int, every: float = 5.0) -> None:
        self.total = total
        self.every = every
        self.done = 0
        self.start = self.last = time.monotonic()

    def step(self, note: str = "") -> None:
        """Count one more step, and write a line where one is due."""
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
    """Write a duration."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
