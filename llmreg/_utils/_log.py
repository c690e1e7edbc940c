"""What a fit says of its progress: records of `logging`, shown where `verbose` asks.

Every record goes to a logger under ``llmreg``, and nowhere else unless the program
has set up logging. A fit with `verbose` also writes its own records to stderr: those
of this fit alone, not of others in other threads, and without a change to any setting
of `logging`, which belongs to the program.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

# The program decides what becomes of records; without it, nothing is written.
logging.getLogger("llmreg").addHandler(logging.NullHandler())


@dataclass(frozen=True)
class _Shown:
    """A fit whose records are written to stderr."""

    name: str
    level: int
    start: float = field(default_factory=time.perf_counter)

    def write(self, text: str) -> None:
        seconds = time.perf_counter() - self.start
        # Names of columns may hold anything, commands to a terminal too.
        text = "".join(c if c.isprintable() else " " for c in text)
        # One call, so that lines of several threads do not get mixed up.
        sys.stderr.write(f"[{self.name} {seconds:6.2f} s] {text}\n")


_SHOWN: ContextVar[_Shown | None] = ContextVar("llmreg_shown", default=None)


class Teller(logging.LoggerAdapter):  # type: ignore[type-arg]
    """A logger whose records are also written where a fit has `verbose`."""

    def isEnabledFor(self, level: int) -> bool:
        """Tell whether anybody would see a record of this level."""
        shown = _SHOWN.get()
        is_shown = shown is not None and level >= shown.level
        return is_shown or self.logger.isEnabledFor(level)

    def log(self, level: int, msg: object, *args: object, **kwargs: Any) -> None:
        """Log a record, and write it where a fit with `verbose` says it."""
        shown = _SHOWN.get()
        if shown is not None and level >= shown.level:
            if not _is_on_screen(self.logger, level):
                shown.write(str(msg) % args if args else str(msg))
        if self.logger.isEnabledFor(level):
            # The record tells the line that called, not this one.
            kwargs["stacklevel"] = kwargs.get("stacklevel", 1) + 1
            self.logger.log(level, msg, *args, **kwargs)


def get_logger(name: str) -> Teller:
    """Give a module its logger."""
    return Teller(logging.getLogger(name), {})


@contextmanager
def showing(name: str, verbose: int) -> Iterator[None]:
    """Write the records of a block to stderr."""
    level = logging.DEBUG if verbose > 1 else logging.INFO
    token = _SHOWN.set(_Shown(name, level) if verbose else None)
    try:
        yield
    finally:
        _SHOWN.reset(token)


def _is_on_screen(logger: logging.Logger, level: int) -> bool:
    """Tell whether the program's own logging writes such records to the terminal."""
    if not logger.isEnabledFor(level):
        return False
    place: logging.Logger | None = logger
    while place is not None:
        for handler in place.handlers:
            stream = getattr(handler, "stream", None)
            if handler.level <= level and stream in (sys.stderr, sys.stdout):
                return True
        place = place.parent if place.propagate else None
    return False
