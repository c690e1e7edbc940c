"""What the programs have in common: how they start, how they end, what they print.

Results go to stdout, progress to stderr. A program is `run_program` with its command
line and its body; a body that cannot do what it is asked raises a `RequestError`.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd

#: What the exit status of a program says; 1 is for a part of the work that failed.
CANNOT_BE_MET, STOPPED = 2, 130
#: The message when a program is stopped whose rows are kept one at a time.
GOES_ON = "Stopped. The same command goes on from here."


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


class RequestError(Exception):
    """What was asked for cannot be done, and the message says why: the base class."""


def make_parser(name: str, about: str | None) -> argparse.ArgumentParser:
    """Begin the description of the command line of `python -m benchmarks NAME`."""
    return argparse.ArgumentParser(
        prog=f"python -m benchmarks {name}",
        description=about,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def run_program(
    body: Callable[[argparse.Namespace], int],
    parser: argparse.ArgumentParser,
    arguments: Sequence[str] | None,
    *,
    errors: tuple[type[Exception], ...] = (),
    stopped: str = GOES_ON,
) -> int:
    """Run a program, and say why where it cannot do what it is asked.

    Returns what the body returns; 2 where the request cannot be met, which `errors`
    adds exceptions to; 130 where the program was stopped.
    """
    options = parser.parse_args(arguments)
    met_with: tuple[type[Exception], ...] = (RequestError, *errors)
    try:
        return body(options)
    except met_with as error:
        say(f"error: {error}")
        return CANNOT_BE_MET
    except KeyboardInterrupt:
        say(stopped)
        return STOPPED


def report_failed(frame: pd.DataFrame) -> int:
    """Print which fits failed and why. Returns 1 where one failed."""
    failed = frame[frame["error"].notna()]
    for reason, rows in failed.groupby("error"):
        say(f"{len(rows)} fits failed ({', '.join(rows['method'].unique())}): {reason}")
    return int(not failed.empty)


def publish(text: str, path: Path) -> None:
    """Print a report, and write it."""
    echo(text)
    path.write_text(text, encoding="utf-8")
