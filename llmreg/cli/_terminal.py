"""Questions to whoever sits at the terminal, and how far the answers are."""

from __future__ import annotations

import sys
import threading


def confirm(question: str) -> bool:
    """Ask a question that takes yes or no; it is a no where there is no terminal."""
    if not sys.stdin.isatty():
        return False
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower().startswith("y")


class Progress:
    """How many answers are there, on stderr.

    One line that is written over in a terminal, a line each elsewhere.
    """

    def __init__(self, total: int) -> None:
        self.total = total
        self.count = 0
        self._counting = threading.Lock()

    def step(self) -> None:
        """Count one more, from any thread."""
        start, end = ("\r", "") if sys.stderr.isatty() else ("", "\n")
        with self._counting:
            self.count += 1
            of = f" of {self.total}" if self.total else ""
            sys.stderr.write(f"{start}answers: {self.count}{of}{end}")
            sys.stderr.flush()

    def close(self) -> None:
        """End the line."""
        if self.count and sys.stderr.isatty():
            sys.stderr.write("\n")
