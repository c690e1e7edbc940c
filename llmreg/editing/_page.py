"""The text of the page: template, style, script, and the card as data."""

from __future__ import annotations

import hashlib
import json
from base64 import b64encode
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

#: The pure part, which is tested without a browser, comes first.
SCRIPTS = ("card.js", "chart.js", "view.js")

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
