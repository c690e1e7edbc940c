"""Files that are there whole or not at all, at paths as people write them."""

import os
import shutil
import uuid
from pathlib import Path


def expand(path: str | os.PathLike[str]) -> Path:
    """Make a path of what a person wrote, `~` included."""
    return Path(os.path.expanduser(path))


def write_text(
    path: str | os.PathLike[str],
    text: str,
    *,
    errors: str = "backslashreplace",
    mode: int | None = None,
) -> None:
    """Write UTF-8, as `write_bytes` does, with half characters escaped as in JSON."""
    write_bytes(path, text.encode("utf-8", errors), mode=mode)


def write_bytes(
    path: str | os.PathLike[str], content: bytes, *, mode: int | None = None
) -> None:
    """Write under another name, then rename: readers see all or nothing.

    Without `mode` the file is a person's: its permissions stay, a link to it stays a
    link, and a pipe is written to. With `mode` whatever has the name is replaced.
    """
    target = expand(path)
    if mode is None:
        target = Path(os.path.realpath(target))
        if target.exists() and not target.is_file():
            target.write_bytes(content)
            return
    draft = target.with_name(f"{uuid.uuid4().hex}.tmp")
    try:
        draft.write_bytes(content)
        if mode is not None:
            draft.chmod(mode)
        elif target.exists():
            shutil.copymode(target, draft)
        os.replace(draft, target)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
