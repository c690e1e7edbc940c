"""The cache: answers that were paid for once, kept as JSON files in a folder.

One file per key, written to a temporary name and renamed, so a reader never sees half
a file. A lock per key lets one process ask while the others wait for its answer. Keys
are hashes; neither parameters nor credentials of a provider are written.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import tempfile
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import filelock
import platformdirs

from llmreg.exceptions import ProviderError, ProviderUnavailableError

CACHE_VERSION = 1
CACHE_VARIABLE = "LLMREG_CACHE_DIR"

logger = logging.getLogger(__name__)


class PriorCache:
    """A folder of JSON files, safe to share between threads and processes.

    Parameters
    ----------
    folder : str, path-like or None, default=None
        The folder, made when it is needed. None is the one that the environment
        variable LLMREG_CACHE_DIR names, or the user's cache folder.

    Examples
    --------
    >>> import tempfile
    >>> from llmreg.providers import PriorCache
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     cache = PriorCache(folder)
    ...     cache.put("0f", {"score": 3})
    ...     cache.get("0f"), cache.get("1e")
    ({'score': 3}, None)
    """

    def __init__(self, folder: str | os.PathLike[str] | None = None) -> None:
        chosen = folder or os.environ.get(CACHE_VARIABLE)
        self.folder = Path(chosen or platformdirs.user_cache_dir("llmreg"))

    @classmethod
    def of(cls, cache: PriorCache | str | os.PathLike[str] | None) -> PriorCache:
        """Turn what users give as `cache` into a cache.

        Parameters
        ----------
        cache : PriorCache, str, path-like or None
            A cache, its folder, or None for the default folder.

        Returns
        -------
        PriorCache
            The cache.
        """
        return cache if isinstance(cache, PriorCache) else cls(cache)

    def get(self, key: str) -> dict[str, Any] | None:
        """Look an entry up.

        Parameters
        ----------
        key : str
            Hexadecimal digits, as `hash_key` gives.

        Returns
        -------
        dict or None
            The entry. None if there is none, or if it cannot be read or is of
            another version; such a file is set aside.
        """
        path = self._path(key)
        try:
            entry = json.loads(path.read_text(encoding="utf-8"))
            valid = entry["version"] == CACHE_VERSION and entry["key"] == key
            content = entry["content"]
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, KeyError):
            valid, content = False, None
        if valid and isinstance(content, dict):
            return content
        self.set_aside(key)
        return None

    def put(self, key: str, content: Mapping[str, Any]) -> None:
        """Write an entry, whole or not at all.

        An answer that is at hand is worth more than its copy, so a disk that is
        full or gone is logged and not an error.

        Parameters
        ----------
        key : str
            Hexadecimal digits.
        content : mapping
            What can be written as JSON.
        """
        entry = {
            "version": CACHE_VERSION,
            "key": key,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "content": dict(content),
        }
        text = json.dumps(entry, ensure_ascii=False, indent=1)
        try:
            self._write(self._path(key), text)
        except OSError as e:
            logger.warning("an answer could not be written to the cache: %s", e)

    def set_aside(self, key: str) -> None:
        """Rename an entry that cannot be used, so that it can be looked at.

        Parameters
        ----------
        key : str
            Hexadecimal digits.
        """
        path = self._path(key)
        aside = path.with_suffix(f".{uuid.uuid4().hex[:8]}.unusable")
        try:
            os.replace(path, aside)
        except OSError:
            # Another process did it first, or the folder cannot be written: the
            # entry counts as absent either way.
            return
        logger.warning("a cache entry could not be used; it is now %s", aside.name)

    @contextmanager
    def lock(self, key: str, timeout: float) -> Iterator[None]:
        """Keep others from asking for the same thing at the same time.

        The operating system gives the lock back when its holder dies.

        Parameters
        ----------
        key : str
            Hexadecimal digits.
        timeout : float
            The most seconds to wait for the lock.

        Yields
        ------
        None
            While the lock is held.

        Raises
        ------
        ProviderUnavailableError
            If someone else holds it for longer.
        ProviderError
            If the folder cannot be written.
        """
        self._make_folder()
        path = self.folder / f"{key}.lock"
        lock = filelock.FileLock(path, timeout=timeout)
        try:
            lock.acquire()
        except filelock.Timeout:
            raise ProviderUnavailableError(
                f"Another process has been asking for this prior for {timeout:g} s "
                f"(it holds {str(path)!r}). Wait for it, or raise `timeout`."
            ) from None
        try:
            yield
        finally:
            lock.release()

    def __repr__(self) -> str:
        """Name the folder."""
        return f"PriorCache({str(self.folder)!r})"

    def _path(self, key: str) -> Path:
        """Give the file of a key."""
        return self.folder / f"{key}.json"

    def _write(self, path: Path, text: str) -> None:
        """Write to a temporary name, then rename: readers see all or nothing."""
        self.folder.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=self.folder, suffix=".tmp")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
            os.replace(name, path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise

    def _make_folder(self) -> None:
        """Make the folder; refuse before anything is paid for if that fails."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            writable = os.access(self.folder, os.W_OK)
        except OSError:
            writable = False
        if not writable:
            raise ProviderError(
                f"The cache folder {str(self.folder)!r} cannot be written. Set "
                f"{CACHE_VARIABLE}, or pass cache=, to a folder that can."
            )


def hash_key(content: Any) -> str:
    """Make a cache key of plain data.

    Parameters
    ----------
    content : object
        Dicts, lists, strings, numbers, None.

    Returns
    -------
    str
        64 hexadecimal digits; the same for equal content in every process.

    Examples
    --------
    >>> from llmreg.providers.cache import hash_key
    >>> hash_key({"a": 1, "b": 2}) == hash_key({"b": 2, "a": 1})
    True
    """
    text = json.dumps(content, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
