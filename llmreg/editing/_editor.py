"""The editor of a prior card: one page, and an object that a notebook shows."""

import hashlib
import json
import os
import tempfile
import webbrowser
from base64 import b64encode
from collections.abc import Iterable, Mapping
from functools import cached_property
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from llmreg._utils._files import write_text

CARD_NAME = "prior.json"
#: Height of the page in a notebook, in pixels.
HEIGHT = 720
#: The pure part, which is tested without a browser, comes first.
SCRIPTS = ("card.js", "chart.js", "view.js")
N_BINS = 30
# What an HTML parser may take for markup within a script, as JSON escapes.
_MARKUP = {ord(c): f"\\u{ord(c):04x}" for c in "<>&"}


class PriorEditor:
    """A page on which a person edits a prior card, and saves it as a new one.

    The page is one HTML file that opens no connection: curves with knots to drag,
    scores as bars, reasons, units, typical ranges and base rates, and a sentence for
    each feature that says what it means. A notebook shows it in a frame.

    Parameters
    ----------
    card : str
        The text of a prior card, as `FeaturePrior.to_json` gives it.
    data : DataFrame or mapping of str to array-like, default=None
        A table whose numeric columns are counted, to draw their histograms under the
        curves. The page holds the counts, and no row.
    name : str, default="prior.json"
        The name under which the page saves the card.

    See Also
    --------
    llmreg.FeaturePrior.edit : Makes one.

    Examples
    --------
    >>> from llmreg import FeaturePrior
    >>> from llmreg.editing import PriorEditor
    >>> PriorEditor(FeaturePrior.from_dict({"age": 3, "bmi": 1}).to_json())
    PriorEditor of 2 features: .open() shows it in a browser, .write(path) keeps it
    """

    def __init__(self, card: str, data: Any = None, *, name: str = CARD_NAME) -> None:
        self.card = card
        self.data = data
        self.name = name

    @cached_property
    def html(self) -> str:
        """The text of the page."""
        card = json.loads(self.card)
        features = [entry["feature"] for entry in card["features"]]
        counts = {} if self.data is None else count_values(self.data, features)
        return format_page({"card": card, "histograms": counts, "name": self.name})

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write the page to a file, which is replaced if it is there."""
        write_text(path, self.html)

    def open(self) -> Path:
        """Show the page in a browser, from a temporary file of its owner alone."""
        path = Path(tempfile.mkdtemp(prefix="llmreg-")) / "editor.html"
        self.write(path)
        webbrowser.open(path.as_uri())
        return path

    def _repr_html_(self) -> str:
        """Show the page in a notebook, in a frame of its own."""
        return (
            f'<iframe title="Editor of a prior card" srcdoc="{escape(self.html)}" '
            f'width="100%" height="{HEIGHT}" frameborder="0"></iframe>'
        )

    def __repr__(self) -> str:
        count = len(json.loads(self.card)["features"])
        return (
            f"{type(self).__name__} of {count} feature{'s' * (count != 1)}: .open() "
            "shows it in a browser, .write(path) keeps it"
        )


class Editable:
    """Gives a prior, which writes itself as a card, a method that opens the editor."""

    def edit(self: Any, data: Any = None) -> PriorEditor:
        """Edit the prior by hand, on a page that a notebook shows.

        The prior itself stays as it is: the page saves a card, which `read` reads.

        Parameters
        ----------
        data : DataFrame or mapping of str to array-like, default=None
            A table to draw histograms of, as in `PriorEditor`.

        Returns
        -------
        PriorEditor
            Its methods `open` and `write` are for where there is no notebook.

        Examples
        --------
        >>> from llmreg import FeaturePrior
        >>> FeaturePrior.from_dict({"age": 3}).edit()
        PriorEditor of 1 feature: .open() shows it in a browser, .write(path) keeps it
        """
        return PriorEditor(self.to_json(), data)


def format_page(content: Mapping[str, Any]) -> str:
    """Write the page about a card: it fetches nothing, and runs its own script only."""
    folder = files("llmreg.editing") / "templates"
    page, style, *scripts = (
        (folder / name).read_text(encoding="utf-8")
        for name in ("editor.html", "editor.css", *SCRIPTS)
    )
    script = "\n".join(scripts)
    policy = (
        f"default-src 'none'; script-src {_hash(script)}; style-src {_hash(style)}; "
        "base-uri 'none'; form-action 'none'"
    )
    data = json.dumps(content, allow_nan=False).translate(_MARKUP)
    # The data come last: nothing in them is taken for a place to be filled.
    parts = {"policy": policy, "style": style, "script": script, "content": data}
    for name, text in parts.items():
        page = page.replace(f"{{{{{name}}}}}", text)
    return page


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
    found = {}
    for name in features:
        column = table.get(name)
        # One that is there twice is a table.
        if not isinstance(column, pd.Series) or column.dtype.kind not in "iuf":
            continue
        values = column.to_numpy(dtype=np.float64, na_value=np.nan)
        values = values[np.isfinite(values)]
        if not values.size:
            continue
        low, high = np.percentile(values, [1, 99])
        if not low < high:
            low, high = values.min(), values.max()
        counts, edges = np.histogram(values.clip(low, high), N_BINS, (low, high))
        found[name] = {"edges": edges.tolist(), "counts": counts.tolist()}
    return found
