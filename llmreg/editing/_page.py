"""The text of the page: template, style, script, the card and counts as data."""

import hashlib
import json
from base64 import b64encode
from collections.abc import Iterable, Mapping
from importlib.resources import files
from typing import Any

import numpy as np
import pandas as pd

#: The pure part, which is tested without a browser, comes first.
SCRIPTS = ("card.js", "chart.js", "view.js")
N_BINS = 30
# What an HTML parser may take for markup within a script, as JSON escapes.
_MARKUP = {ord(c): f"\\u{ord(c):04x}" for c in "<>&"}


def format_page(content: Mapping[str, Any]) -> str:
    """Write the page about a card: it fetches nothing, and runs its own script only."""
    style = _read("editor.css")
    script = "\n".join(map(_read, SCRIPTS))
    policy = (
        f"default-src 'none'; script-src {_hash(script)}; style-src {_hash(style)}; "
        "base-uri 'none'; form-action 'none'"
    )
    data = json.dumps(content, allow_nan=False).translate(_MARKUP)
    page = _read("editor.html")
    # The data come last: nothing in them is taken for a place to be filled.
    parts = {"policy": policy, "style": style, "script": script, "content": data}
    for name, text in parts.items():
        page = page.replace(f"{{{{{name}}}}}", text)
    return page


def _read(name: str) -> str:
    """Read a part of the page."""
    folder = files("llmreg.editing") / "templates"
    return (folder / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """Name a style or a script by what it is, as a policy of a page does."""
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return f"'sha256-{b64encode(digest).decode('ascii')}'"


def count_values(data: Any, features: Iterable[str]) -> dict[str, dict[str, list]]:
    """Count the values of numeric columns in bins: the edges and the counts, by name.

    The bins go from the 1st to the 99th percentile, and the first and the last count
    what lies beyond them too, so that one outlier leaves room for the others.
    """
    table = data.to_pandas() if hasattr(data, "to_pandas") else pd.DataFrame(data)
    return {
        name: _count(table[name])
        for name in features
        if name in table and _is_drawn(table[name])
    }


def _is_drawn(column: Any) -> bool:
    """Tell whether a column has a histogram; one that is there twice has none."""
    if not isinstance(column, pd.Series) or column.dtype.kind not in "iuf":
        return False
    return bool(_finite(column).size)


def _finite(column: pd.Series) -> np.ndarray:
    values = column.to_numpy(dtype=np.float64, na_value=np.nan)
    return values[np.isfinite(values)]


def _count(column: pd.Series) -> dict[str, list]:
    """Count the values of one column."""
    values = _finite(column)
    low, high = np.percentile(values, [1, 99])
    if not low < high:
        low, high = values.min(), values.max()
    counts, edges = np.histogram(values.clip(low, high), N_BINS, (low, high))
    return {"edges": edges.tolist(), "counts": counts.tolist()}
