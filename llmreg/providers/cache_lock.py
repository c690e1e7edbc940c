"""One asks while the others wait: a lock between threads and processes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock

from llmreg.exceptions import PriorLockedError, ProviderError
from llmreg.log import get_logger

logger = get_logger(__name__)


@contextmanager
def hold(path: Path, timeout: float) -> Iterator[None]:
    """Hold a lock; the operating system gives it back when its holder dies.

    Parameters
    ----------
    path : Path
        The file that stands for the lock, in a folder that is there.
    timeout : float
        The most seconds to wait for it.

    Yields
    ------
    None
        While the lock is held.

    Raises
    ------
    PriorLockedError
        If someone else holds it for longer.
    ProviderError
        If the file cannot be opened or locked.
    """
    lock = filelock.FileLock(path)
    try:
        _acquire(lock, timeout)
    except filelock.Timeout:
        raise PriorLockedError(
            f"Another process has been asking for this prior for {timeout:g} s "
            f"(it holds {str(path)!r}). Wait for it, or raise `timeout`."
        ) from None
    except OSError as e:
        raise ProviderError(
            f"The lock {str(path)!r} of the cache cannot be taken: {e}. Let everybody "
            "who shares the folder write the files in it, or pass cache= a folder of "
            "your own."
        ) from e
    try:
        yield
    finally:
        lock.release()


def _acquire(lock: filelock.BaseFileLock, timeout: float) -> None:
    """Take a lock; whoever has to wait for it is told so."""
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        logger.info(
            "another process asks for the same prior; waiting for its answer, up to "
            "%g s",
            timeout,
        )
        lock.acquire(timeout=timeout)
