"""Texts for people and models: a name, some of many, a number that may be absent."""

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Container, Iterable, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

# Characters that a reader does not see and a model does: a name may carry a message
# in them. Those of the Unicode category C (bidirectional marks, zero widths, tags) go
# anyway.
_INVISIBLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u2800\u3164\uffa0"
    "\ufe00-\ufe0f\U000e0100-\U000e01ef]"
)


def clean_text(text: str, limit: int) -> str:
    """Return a text on one line, without control characters, cut to `limit`."""
    kept = (c for c in text if c.isspace() or unicodedata.category(c)[0] != "C")
    safe = " ".join(_INVISIBLE.sub("", "".join(kept)).split())
    return safe if len(safe) <= limit else safe[: limit - 1] + "…"


def escape(text: str, keep: str = "") -> str:
    """Show as escapes what could move a cursor or break a line."""
    return "".join(c if c.isprintable() or c in keep else repr(c)[1:-1] for c in text)


def shorten(text: str, width: int, tail: int = 0) -> str:
    """Cut and escape a text; of a key the last `tail` characters are the level."""
    safe = escape(text)
    if len(safe) <= width:
        return safe
    return safe[: width - 1 - tail] + "…" + safe[len(safe) - tail :]


def can_write(text: str, stream: Any) -> bool:
    """Tell whether the encoding of a stream, if it has one, has all characters."""
    try:
        text.encode(getattr(stream, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        return False
    return True


def number(value: float, spec: str) -> str:
    """Write a number, or a dash where there is none."""
    return "-" if math.isnan(value) else format(value + 0.0, spec)


def list_names(
    names: Iterable[str], limit: int = 10, write: Callable[[str], str] = repr
) -> str:
    """List the first names, and say how many more there are."""
    names = list(names)
    shown = ", ".join(map(write, names[:limit]))
    more = len(names) - limit
    return f"{shown} and {more} more" if more > 0 else shown


def repeated(items: Iterable[Any]) -> list[Any]:
    """List what is there more than once."""
    return [item for item, count in Counter(items).items() if count > 1]


def refuse_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Build an object of JSON; the parser alone would drop one of two equal names."""
    if twice := repeated(name for name, _ in pairs):
        raise ValueError(f"it has {sorted(twice)!r} twice in one object")
    return dict(pairs)


def lay_out(rows: Sequence[Sequence[str]], numeric: Container[int] = ()) -> list[str]:
    """Write a table as lines, those columns to the right that are numbers."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        sized = enumerate(zip(row, widths, strict=True))
        cells = (c.rjust(w) if i in numeric else c.ljust(w) for i, (c, w) in sized)
        lines.append("  ".join(cells).rstrip())
    return lines


@cache
def _notebook_style() -> str:
    return files("llmreg").joinpath("_data/notebook.css").read_text(encoding="utf-8")


def for_notebook(*parts: str) -> str:
    """Give markup the looks that it has on light and on dark pages of notebooks."""
    markup = "".join(parts)
    return f'<style>{_notebook_style()}</style><div class="llmreg">{markup}</div>'


def html_table(
    header: Iterable[str], rows: Iterable[Iterable[str]], caption: str = ""
) -> str:
    """Write a table; its cells are markup, which its caller has escaped."""
    head = "".join(f'<th scope="col">{cell}</th>' for cell in header)
    body = "".join(
        "<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows
    )
    named = f"<caption>{caption}</caption>" if caption else ""
    return f"<table>{named}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
