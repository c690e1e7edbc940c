"""Records of `logging` under ``llmreg``, and lines on stderr where a fit has `verbose`.

Those lines are of this fit alone, and change no setting of `logging`, which belongs to
the program.
"""

import logging
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple

# The program decides what becomes of records; without it, nothing is written.
logging.getLogger("llmreg").addHandler(logging.NullHandler())


class _VerboseFit(NamedTuple):
    """A fit whose records of a level and above are written to stderr."""

    name: str
    level: int
    start: float


_FIT: ContextVar[_VerboseFit | None] = ContextVar("llmreg_verbose_fit", default=None)


class FitLogger(logging.LoggerAdapter):  # type: ignore[type-arg]
    """A logger whose records are also written where a fit has `verbose`."""

    def isEnabledFor(self, level: int) -> bool:
        """Tell whether a record of this level would be written anywhere."""
        fit = _FIT.get()
        is_shown = fit is not None and level >= fit.level
        return is_shown or self.logger.isEnabledFor(level)

    def log(self, level: int, msg: object, *args: object, **kwargs: Any) -> None:
        """Log a record, and write it if a fit with `verbose` made it."""
        fit = _FIT.get()
        if fit and level >= fit.level and not _is_on_screen(self.logger, level):
            text = str(msg) % args if args else str(msg)
            # Names of columns may hold anything, commands to a terminal too.
            text = "".join(c if c.isprintable() else " " for c in text)
            seconds = time.perf_counter() - fit.start
            # One call, so that lines of several threads do not get mixed up.
            sys.stderr.write(f"[{fit.name} {seconds:6.2f} s] {text}\n")
        if self.logger.isEnabledFor(level):
            # The record names the line that called, not this one.
            kwargs["stacklevel"] = kwargs.get("stacklevel", 1) + 1
            self.logger.log(level, msg, *args, **kwargs)


def get_logger(name: str) -> FitLogger:
    """Give a module its logger."""
    return FitLogger(logging.getLogger(name), {})


@contextmanager
def showing(name: str, verbose: int) -> Iterator[None]:
    """Write the records of a block to stderr."""
    level = logging.DEBUG if verbose > 1 else logging.INFO
    fit = _VerboseFit(name, level, time.perf_counter()) if verbose else None
    token = _FIT.set(fit)
    try:
        yield
    finally:
        _FIT.reset(token)


@contextmanager
def rewriting(names: Iterable[str], rewrite: Callable[[str], str]) -> Iterator[None]:
    """Rewrite what some loggers, of other packages too, write during a block."""

    def change(record: logging.LogRecord) -> bool:
        record.msg, record.args = rewrite(record.getMessage()), ()
        return True

    loggers = [logging.getLogger(name) for name in names]
    for logger in loggers:
        logger.addFilter(change)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(change)


def _is_on_screen(logger: logging.Logger, level: int) -> bool:
    """Tell whether the program's own logging writes such records to the terminal."""
    place = logger if logger.isEnabledFor(level) else None
    while place is not None:
        for handler in place.handlers:
            stream = getattr(handler, "stream", None)
            if handler.level <= level and stream in (sys.stderr, sys.stdout):
                return True
        place = place.parent if place.propagate else None
    return False
