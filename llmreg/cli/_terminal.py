"""Talking to whoever sits at the terminal."""

from __future__ import annotations

import sys
import threading
from types import TracebackType
from typing import Self


def confirm(question: str) -> bool:
    """Ask a question that takes yes or no; nobody there is a no."""
    if not sys.stdin.isatty():
        return False
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower().startswith("y")


class Progress:
    """How many of several things are there, on stderr.

    One line that is written over in a terminal, a line each elsewhere.
    """

    def __init__(self, what: str, total: int | None = None) -> None:
        self.what = what
        self.total = total
        self.count = 0
        self._counting = threading.Lock()

    def step(self) -> None:
        """Count one more, from any thread."""
        of = f" of {self.total}" if self.total else ""
        start, end = ("\r", "") if sys.stderr.isatty() else ("", "\n")
        with self._counting:
            self.count += 1
            sys.stderr.write(f"{start}{self.what}: {self.count}{of}{end}")
            sys.stderr.flush()

    def __enter__(self) -> Self:
        """Say what is about to be counted."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the line."""
        if self.count and sys.stderr.isatty():
            sys.stderr.write("\n")
