"""The cache: answers that were paid for once, kept as JSON files in a folder.

Keys are hashes; neither parameters nor credentials of a provider are written. What
cannot be written is told once, and kept in memory until the process ends.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
import uuid
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from stat import S_ISREG
from typing import Any

import filelock
import platformdirs

from llmreg._utils._files import expand, write_text
from llmreg._utils._log import get_logger
from llmreg._utils._text import clean_text
from llmreg.exceptions import (
    PriorCacheError,
    PriorCacheWarning,
    PriorLockedError,
    ProviderError,
)

logger = get_logger(__name__)

CACHE_VARIABLE = "LLMREG_CACHE_DIR"
CACHE_VERSION = 1
EXPORT_FORMAT, EXPORT_VERSION = "llmreg prior cache", 1
# Answers are of some kilobytes; whatever is larger than this is none.
MAX_BYTES = 50_000_000
# A temporary file this old belongs to a process that was killed while writing.
STALE_SECONDS = 3600.0

# By folder what could not be written to it: content by key.
_UNWRITTEN: dict[str, dict[str, dict[str, Any]]] = {}
MOST_UNWRITTEN = 10_000

_KEY = re.compile("[0-9a-f]{2,128}")


def _text(name: str, about: str) -> Any:
    """Make a property of a text of the content; empty where there is none."""

    def read(entry: CacheEntry) -> str:
        value = entry.content.get(name, "")
        return value if isinstance(value, str) else ""

    return property(read, doc=about)


@dataclass(frozen=True)
class CacheEntry:
    """One answer in the cache.

    Parameters
    ----------
    key : str
        Hexadecimal digits; the name of its file.
    created : str
        When it was written, in UTC, in ISO format.
    content : mapping
        What is kept.

    Examples
    --------
    >>> from llmreg.providers import CacheEntry
    >>> info = {"target": "ill", "provider": "mine.Oracle", "model": "m", "estimate": 0}
    >>> CacheEntry("0f", "2026-01-31T12:00:00+00:00", info)
    CacheEntry 0f: 'ill', estimate 1 of Oracle (m), 2026-01-31
    """

    key: str
    created: str
    content: Mapping[str, Any]

    @property
    def kind(self) -> str:
        """``estimate`` of a model, whole ``prior``, or ``split``: asked in halves."""
        kinds = ("split", "estimate")
        return next((kind for kind in kinds if kind in self.content), "prior")

    @property
    def estimate(self) -> int | None:
        """Which estimate it is, from 0; None for a whole prior."""
        number = self.content.get("estimate")
        return number if isinstance(number, int) else None

    task = _text("task", "The task in words; empty if it has none.")
    target = _text("target", "Name of what is predicted.")
    provider = _text("provider", "The class that was asked, with its module.")
    model = _text("model", "The model that answered; empty where none is named.")

    def age(self) -> float:
        """Tell how many days old the entry is; infinity where it does not say."""
        try:
            made = datetime.fromisoformat(self.created)
        except ValueError:
            return float("inf")
        made = made if made.tzinfo else made.replace(tzinfo=UTC)
        return (datetime.now(UTC) - made).total_seconds() / 86400

    def to_dict(self) -> dict[str, Any]:
        """Give the entry as it is kept in its file, ready for `json.dumps`."""
        fields = {"key": self.key, "created": self.created}
        return {"version": CACHE_VERSION, **fields, "content": dict(self.content)}

    @classmethod
    def from_dict(cls, entry: Any) -> CacheEntry | None:
        """Build an entry from what `to_dict` gives, trusting none of it; else None."""
        if not isinstance(entry, dict) or entry.get("version") != CACHE_VERSION:
            return None
        key, content = entry.get("key"), entry.get("content")
        if not isinstance(key, str) or not isinstance(content, dict):
            return None
        created = str(entry.get("created", ""))
        # The key becomes the name of a file, so it may be nothing but a hash.
        return cls(key, created, content) if _KEY.fullmatch(key) else None

    @classmethod
    def _read(cls, path: Path) -> CacheEntry | None:
        """Read the file of an entry; None if it is damaged or of another version."""
        found = path.stat()
        # To open a pipe would wait for somebody to write to it.
        if not S_ISREG(found.st_mode) or found.st_size > MAX_BYTES:
            return None
        try:
            entry = cls.from_dict(json.loads(path.read_text(encoding="utf-8")))
        except (ValueError, RecursionError):
            return None
        return entry if entry is not None and entry.key == path.stem else None

    def __repr__(self) -> str:
        what = self.kind if self.estimate is None else f"estimate {self.estimate + 1}"
        name = self.provider.rpartition(".")[2] or "an unnamed provider"
        model = f" ({self.model})" if self.model else ""
        about = repr(self.target or self.task)
        # The texts come from a server, or from an export of somebody else's.
        who, date = clean_text(name + model, 160), clean_text(self.created[:10], 10)
        return f"CacheEntry {self.key[:12]}: {about}, {what} of {who}, {date}"


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
        self.folder = expand(chosen or platformdirs.user_cache_dir("llmreg"))

    @classmethod
    def of(cls, cache: PriorCache | str | os.PathLike[str] | None) -> PriorCache:
        """Turn a cache, its folder, or None for the default folder, into a cache."""
        return cache if isinstance(cache, PriorCache) else cls(cache)

    def get(self, key: str) -> dict[str, Any] | None:
        """Look up an entry by the hexadecimal digits of its key.

        None if there is none that may be read. A damaged file, or one of another
        version, is set aside.
        """
        if key in (unwritten := self._unwritten()):
            return dict(unwritten[key])
        try:
            entry = CacheEntry._read(self.folder / f"{key}.json")
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as e:
            # It may be a good one: of another user, or there are too many open files.
            logger.warning("a cache entry could not be read: %s", e)
            return None
        if entry is not None:
            return dict(entry.content)
        self.set_aside(key)
        return None

    def put(self, key: str, content: Mapping[str, Any]) -> None:
        """Write an entry, whole or not at all.

        Where the disk is full or gone, PriorCacheWarning says so, once a folder, and
        the entry stays in memory until the process ends. `content` is what can be
        written as JSON.
        """
        created = datetime.now(UTC).isoformat(timespec="seconds")
        try:
            self._write(CacheEntry(key, created, content))
        except (OSError, ValueError) as e:
            logger.warning("an answer could not be written to the cache: %s", e)
            first: dict[str, dict[str, Any]] = {}
            unwritten = _UNWRITTEN.setdefault(str(self.folder), first)
            if len(unwritten) < MOST_UNWRITTEN:
                unwritten[key] = dict(content)
            if unwritten is first:
                warnings.warn(
                    "An answer could not be written to the cache "
                    f"{str(self.folder)!r}: {e}. It is kept in memory, and other "
                    "processes and later ones ask for it again. Free the disk, or set "
                    f"{CACHE_VARIABLE}, or pass cache=, to a folder that can be "
                    "written.",
                    PriorCacheWarning,
                    stacklevel=2,
                )
        else:
            self._unwritten().pop(key, None)

    def set_aside(self, key: str) -> None:
        """Rename an entry that cannot be used, so that it can be looked at."""
        self._unwritten().pop(key, None)
        path = self.folder / f"{key}.json"
        aside = path.with_suffix(f".{uuid.uuid4().hex[:8]}.unusable")
        # Another process may have done it, or the folder cannot be written.
        with suppress(OSError):
            os.replace(path, aside)
            logger.warning("a cache entry could not be used; it is now %s", aside.name)

    @contextmanager
    def lock(self, key: str, timeout: float) -> Iterator[None]:
        """Keep others from requesting the same thing at the same time.

        Used in ``with``, it waits `timeout` seconds at most. The operating system
        gives the lock back when its holder dies.

        Raises
        ------
        PriorLockedError
            If someone else holds it for longer.
        ProviderError
            If the folder cannot be written, or the lock not be taken.
        """
        self._make_folder()
        path = self.folder / f"{key}.lock"
        lock = filelock.FileLock(path, mode=self._mode())
        try:
            with suppress(filelock.Timeout):
                lock.acquire(timeout=0)
            if not lock.is_locked:
                what = "another process requests the same prior; waiting for it"
                logger.info("%s, up to %g s", what, timeout)
                lock.acquire(timeout=timeout)
        except filelock.Timeout:
            raise PriorLockedError(
                f"Another process has been requesting this prior for {timeout:g} s "
                f"(it holds {str(path)!r}). Wait for it, or raise `timeout`."
            ) from None
        except OSError as e:
            raise ProviderError(
                f"The lock {str(path)!r} of the cache cannot be taken: {e}. Give all "
                "who share the folder the right to write to its files, or pass "
                "another folder as cache=."
            ) from e
        try:
            yield
        finally:
            lock.release()

    def entries(self) -> list[CacheEntry]:
        """List the usable entries, the oldest first; of one moment, by estimate."""
        entries = []
        for path in self.folder.glob("*.json"):
            with suppress(OSError):
                if entry := CacheEntry._read(path):
                    entries.append(entry)
        return sorted(
            entries, key=lambda e: (e.created, e.target, e.estimate or 0, e.key)
        )

    def find(self, start: str) -> CacheEntry:
        """Find the one entry whose key starts with some digits.

        Raises
        ------
        PriorCacheError
            If no entry starts so, or several do.
        """
        matches = [e for e in self.entries() if start and e.key.startswith(start)]
        if len(matches) != 1:
            raise PriorCacheError(
                f"{len(matches) or 'No'} entries of {str(self.folder)!r} have a key "
                f"that starts with {start!r}; one was expected. `llmreg cache list` "
                "shows the keys."
            )
        return matches[0]

    def export(
        self, path: str | os.PathLike[str], entries: Iterable[CacheEntry] | None = None
    ) -> int:
        """Write entries to one JSON file, made to be committed.

        Equal entries give an equal file, sorted by key. None takes all entries.
        Returns how many were written.
        """
        chosen = self.entries() if entries is None else entries
        rows = [e.to_dict() for e in sorted(chosen, key=lambda e: e.key)]
        document = {"format": EXPORT_FORMAT, "version": EXPORT_VERSION, "entries": rows}
        text = json.dumps(document, ensure_ascii=False, indent=1, sort_keys=True)
        write_text(path, text + "\n")
        return len(rows)

    def load(self, path: str | os.PathLike[str]) -> int:
        """Take in the entries that `export` wrote; those at hand stay as they are.

        Returns how many are new.

        Raises
        ------
        PriorCacheError
            If the file is no export, or any entry of it is damaged.
        ProviderError
            If the folder cannot be written.
        """
        name = os.fspath(path)
        try:
            document = json.loads(expand(path).read_text(encoding="utf-8-sig"))
        except (OSError, ValueError, RecursionError) as e:
            raise PriorCacheError(
                f"The export {name!r} cannot be read: {e}. It must be a file that "
                "`llmreg cache export` wrote."
            ) from e
        if not isinstance(document, dict) or document.get("format") != EXPORT_FORMAT:
            raise PriorCacheError(
                f"{name!r} is no export of a cache. A prior card is used as it is: "
                "pass its path as prior=."
            )
        version, entries = document.get("version"), document.get("entries")
        if version != EXPORT_VERSION or not isinstance(entries, list):
            raise PriorCacheError(
                f"The export {name!r} has version {version!r}; this llmreg reads "
                f"version {EXPORT_VERSION}. Export it again with this version."
            )
        usable = [entry for entry in map(CacheEntry.from_dict, entries) if entry]
        if n_damaged := len(entries) - len(usable):
            raise PriorCacheError(
                f"{n_damaged} of the {len(entries)} entries of {name!r} are not of "
                f"cache version {CACHE_VERSION}, or damaged. Nothing was imported."
            )
        new = [entry for entry in usable if self.get(entry.key) is None]
        self._make_folder()
        for entry in new:
            self._write(entry)
        return len(new)

    def clear(
        self, *, older_than: float | None = None, provider: str | None = None
    ) -> int:
        """Delete all entries, or those that meet every condition; return their number.

        Without a condition what is unusable, or half written, goes too, and so do the
        files of locks that nobody holds.

        Parameters
        ----------
        older_than : float or None, default=None
            Only entries older than this many days.
        provider : str or None, default=None
            Only entries of providers with this in their class name, in any case,
            such as "anthropic".
        """
        chosen = [
            entry
            for entry in self.entries()
            if (older_than is None or entry.age() > older_than)
            and (provider or "").lower() in entry.provider.lower()
        ]
        for entry in chosen:
            (self.folder / f"{entry.key}.json").unlink(missing_ok=True)
        if older_than is None and provider is None:
            self._unwritten().clear()
            before = time.time() - STALE_SECONDS
            for path in [*self.folder.glob("*.unusable"), *self.folder.glob("*.tmp")]:
                # It may be gone, or a folder, which somebody else has put there.
                with suppress(OSError):
                    if path.suffix != ".tmp" or path.lstat().st_mtime < before:
                        path.unlink()
            for path in self.folder.glob("*.lock"):
                with (
                    suppress(OSError, filelock.Timeout),
                    filelock.FileLock(path, timeout=0, mode=self._mode()),
                ):
                    path.unlink()
        return len(chosen)

    def __repr__(self) -> str:
        return f"PriorCache({str(self.folder)!r})"

    def _unwritten(self) -> dict[str, dict[str, Any]]:
        return _UNWRITTEN.get(str(self.folder), {})

    def _write(self, entry: CacheEntry) -> None:
        """Write to a temporary name, then rename: readers see all or nothing."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        text = json.dumps(entry.to_dict(), ensure_ascii=False, indent=1)
        write_text(self.folder / f"{entry.key}.json", text, mode=self._mode())

    def _mode(self) -> int:
        """Give the permissions of files: those who may write to the folder share it."""
        shared = self.folder.stat().st_mode & 0o022
        return 0o600 | shared | shared << 1

    def _make_folder(self) -> None:
        """Make the folder; refuse before anything is paid for if that fails."""
        writable = False
        with suppress(OSError, ValueError):
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            writable = os.access(self.folder, os.W_OK)
        if not writable:
            raise ProviderError(
                f"The cache folder {str(self.folder)!r} cannot be written. Set "
                f"{CACHE_VARIABLE}, or pass cache=, to a folder that can."
            )


def hash_key(content: Any) -> str:
    """Make a cache key of plain data."""
    text = json.dumps(content, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
