"""Texts from a table or a model, made safe to use."""

from __future__ import annotations

import json
import re
import unicodedata
from typing import Any

from llmreg.exceptions import ProviderResponseError

# What a reader does not see and a model does: a name may carry a message in them.
# Those of the Unicode category C (bidirectional marks, zero widths, tags) go anyway.
_INVISIBLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u2800\u3164\uffa0"
    "\ufe00-\ufe0f\U000e0100-\U000e01ef]"
)


def clean_text(text: str, limit: int) -> str:
    r"""Make a text from a table safe to pass on: one line, no controls, not too long.

    Parameters
    ----------
    text : str
        Any text.
    limit : int
        The most characters to keep.

    Returns
    -------
    str
        The text with runs of white space made one space, and without control,
        formatting, surrogate, unassigned and other invisible characters.

    Examples
    --------
    >>> from llmreg.cleaning import clean_text
    >>> clean_text("blood\n  pressure\x1b", 99), clean_text("abcdef", 4)
    ('blood pressure', 'abc…')
    """
    kept = (c for c in text if c.isspace() or unicodedata.category(c)[0] != "C")
    safe = " ".join(_INVISIBLE.sub("", "".join(kept)).split())
    return safe if len(safe) <= limit else safe[: limit - 1] + "…"


def read_json(text: str) -> Any:
    """Parse the reply of a model.

    Parameters
    ----------
    text : str
        What it wrote.

    Returns
    -------
    object
        The value.

    Raises
    ------
    ProviderResponseError
        If it is no JSON, or an object has a name twice.

    Examples
    --------
    >>> from llmreg.cleaning import read_json
    >>> read_json('{"f1": 3}')
    {'f1': 3}
    """
    try:
        return json.loads(text, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as e:
        raise ProviderResponseError(
            f"The reply of the model is not valid JSON ({e}). It starts with "
            f"{clean_text(text, 80)!r}."
        ) from e


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Build a dict, refusing a name that is there twice."""
    if len(dict(pairs)) < len(pairs):
        raise ValueError("an object has the same name twice")
    return dict(pairs)
