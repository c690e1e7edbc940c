"""The entries of the cache, one in a file of its own and many in an export."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from stat import S_ISREG
from typing import Any

from llmreg._utils._files import expand
from llmreg._utils._text import clean_text
from llmreg.exceptions import PriorCacheError

CACHE_VERSION = 1
EXPORT_FORMAT = "llmreg prior cache"
EXPORT_VERSION = 1
# Answers are of some kilobytes; whatever is larger than this is none.
MAX_BYTES = 50_000_000

_KEY = re.compile("[0-9a-f]{2,128}")


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
        """``estimate`` for one reply of a model, ``prior`` for a whole prior.

        ``split`` for the note that a question was too large, and is asked in halves.
        """
        if "split" in self.content:
            return "split"
        return "estimate" if "estimate" in self.content else "prior"

    @property
    def estimate(self) -> int | None:
        """Which estimate it is, from 0; None for a whole prior."""
        number = self.content.get("estimate")
        return number if isinstance(number, int) else None

    @property
    def task(self) -> str:
        """The task in words; empty if it has none."""
        return self._text("task")

    @property
    def target(self) -> str:
        """Name of what is predicted."""
        return self._text("target")

    @property
    def provider(self) -> str:
        """The class that was asked, with its module."""
        return self._text("provider")

    @property
    def model(self) -> str:
        """The model that answered; empty where a provider names none."""
        return self._text("model")

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
        return {
            "version": CACHE_VERSION,
            "key": self.key,
            "created": self.created,
            "content": dict(self.content),
        }

    @classmethod
    def from_dict(cls, entry: Any) -> CacheEntry | None:
        """Build an entry from what `to_dict` gives, trusting none of it.

        None if it is no entry, or one of another version.
        """
        if not isinstance(entry, dict) or entry.get("version") != CACHE_VERSION:
            return None
        key, content = entry.get("key"), entry.get("content")
        if not isinstance(key, str) or not isinstance(content, dict):
            return None
        created = str(entry.get("created", ""))
        # The key becomes the name of a file, so it may be nothing but a hash.
        return cls(key, created, content) if _KEY.fullmatch(key) else None

    def __repr__(self) -> str:
        """Say what it is in one line."""
        what = self.kind if self.estimate is None else f"estimate {self.estimate + 1}"
        name = self.provider.rpartition(".")[2] or "an unnamed provider"
        model = f" ({self.model})" if self.model else ""
        about = repr(self.target or self.task)
        # The texts come from a server, or from an export of somebody else's.
        return (
            f"CacheEntry {self.key[:12]}: {about}, {what} of "
            f"{clean_text(name + model, 160)}, {clean_text(self.created[:10], 10)}"
        )

    def _text(self, name: str) -> str:
        """Give a text of the content; empty where there is none."""
        value = self.content.get(name, "")
        return value if isinstance(value, str) else ""


def read_entry(path: Path) -> CacheEntry | None:
    """Read the file of an entry; None if it is damaged or of another version."""
    found = path.stat()
    # To open a pipe would wait for somebody to write to it.
    if not S_ISREG(found.st_mode) or found.st_size > MAX_BYTES:
        return None
    try:
        entry = CacheEntry.from_dict(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, RecursionError):
        return None
    return entry if entry is not None and entry.key == path.stem else None


def format_export(entries: Iterable[CacheEntry]) -> str:
    """Write entries as one JSON text that differs only where entries do."""
    document = {
        "format": EXPORT_FORMAT,
        "version": EXPORT_VERSION,
        "entries": [e.to_dict() for e in sorted(entries, key=lambda e: e.key)],
    }
    return json.dumps(document, ensure_ascii=False, indent=1, sort_keys=True) + "\n"


def read_export(path: str | os.PathLike[str]) -> list[CacheEntry]:
    """Read what `format_export` gave; PriorCacheError if the file is anything else."""
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
            f"{name!r} is no export of a cache. A prior card is used as it is: pass "
            "its path as prior=."
        )
    entries = document.get("entries")
    if document.get("version") != EXPORT_VERSION or not isinstance(entries, list):
        raise PriorCacheError(
            f"The export {name!r} has version {document.get('version')!r}; this llmreg "
            f"reads version {EXPORT_VERSION}. Export it again with this version."
        )
    usable = [entry for entry in map(CacheEntry.from_dict, entries) if entry]
    if n_damaged := len(entries) - len(usable):
        raise PriorCacheError(
            f"{n_damaged} of the {len(entries)} entries of {name!r} are not of cache "
            f"version {CACHE_VERSION}, or damaged. Nothing was imported."
        )
    return usable
