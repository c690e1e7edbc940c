"""HTML from Python values: whatever is not HTML already is escaped."""

from __future__ import annotations

import html
from base64 import b64encode
from collections.abc import Callable, Iterable, Sequence
from io import BytesIO
from typing import Any

from llmreg.inspection._plotting import require_matplotlib

# Elements that have no end tag.
VOID = {"img", "meta"}


class Markup(str):
    """A text that is HTML already."""

    __slots__ = ()


def escape(text: object) -> Markup:
    """Make a text harmless in HTML, and visible what would hide or move others."""
    if isinstance(text, Markup):
        return text
    safe = "".join(
        c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in str(text)
    )
    return Markup(html.escape(safe, quote=True))


def element(name: str, /, *children: object, **attributes: str) -> Markup:
    """Build an element."""
    words = [name]
    for key, value in attributes.items():
        words.append(f'{key.rstrip("_").replace("_", "-")}="{escape(value)}"')
    start = f"<{' '.join(words)}>"
    if name in VOID:
        return Markup(start)
    return Markup(f"{start}{join(children)}</{name}>")


def join(children: Iterable[object]) -> Markup:
    """Put pieces one after the other."""
    return Markup("".join(escape(child) for child in children))


def table(
    header: Sequence[object],
    rows: Iterable[Sequence[object]],
    *,
    caption: str,
    numeric: Iterable[int] = (),
) -> Markup:
    """Build a table whose first column names the rows."""
    places = set(numeric)

    def cell(kind: str, place: int, content: object, scope: str = "") -> Markup:
        attributes = {"class_": "number"} if place in places else {}
        if scope:
            attributes["scope"] = scope
        return element(kind, content, **attributes)

    head = join(cell("th", i, name, "col") for i, name in enumerate(header))
    body = join(
        element(
            "tr",
            cell("th", 0, row[0], "row"),
            *(cell("td", i, content) for i, content in enumerate(row[1:], start=1)),
        )
        for row in rows
    )
    return element(
        "div",
        element(
            "table",
            element("caption", caption),
            element("thead", element("tr", head)),
            element("tbody", body),
        ),
        class_="wide",
    )


def facts(pairs: Iterable[tuple[object, object]]) -> Markup:
    """Build a list of names and what they stand for."""
    return element(
        "dl",
        *(
            element("div", element("dt", name), element("dd", content))
            for name, content in pairs
        ),
    )


def paragraphs(*texts: object) -> Markup:
    """Build a paragraph of each text that is not empty."""
    return join(element("p", text) for text in texts if text)


# Blue and vermilion as in the pictures.
STYLE = """
:root {
  color-scheme: light dark;
  --ground: #ffffff; --box: #f4f5f7; --line: #d5d8dd;
  --ink: #1b1f24; --soft: #57606a; --accent: #0072b2; --warn: #b34700;
}
@media screen and (prefers-color-scheme: dark) {
  :root {
    --ground: #111418; --box: #1b2027; --line: #39414b;
    --ink: #e6e9ed; --soft: #a3adb8; --accent: #58b4e8; --warn: #f59a52;
  }
}
img.dark { display: none; }
@media screen and (prefers-color-scheme: dark) {
  img.light { display: none; }
  img.dark { display: inline; }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; padding: 2rem 1.5rem 4rem; max-width: 60rem;
  background: var(--ground); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", "Noto Sans", sans-serif;
}
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 .3rem; }
h2 {
  font-size: 1.3rem; margin: 2.8rem 0 .8rem; padding-bottom: .3rem;
  border-bottom: 2px solid var(--line);
}
h3 { font-size: 1.05rem; margin: 1.6rem 0 .5rem; }
h1, h2, h3, p, dd, td, th, caption { overflow-wrap: anywhere; }
p { margin: .6rem 0; max-width: 46rem; }
.soft, figcaption, caption { color: var(--soft); }
.verdict {
  background: var(--box); border-left: 4px solid var(--accent);
  padding: .8rem 1rem; margin: 1rem 0; max-width: none;
}
.warn { border-left-color: var(--warn); }
dl { display: flex; flex-wrap: wrap; gap: .8rem; margin: 1.2rem 0; }
dl > div {
  flex: 1 1 15rem; background: var(--box); border-radius: 6px; padding: .7rem .9rem;
}
dt { color: var(--soft); font-size: .82rem; }
dd { margin: .15rem 0 0; }
.wide { overflow-x: auto; margin: 1rem 0; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; }
caption { text-align: left; padding-bottom: .4rem; }
th, td {
  text-align: left; vertical-align: top; padding: .35rem .7rem .35rem 0;
  border-bottom: 1px solid var(--line);
}
tbody th { font-weight: 600; min-width: 8rem; }
.number { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
figure { margin: 1.2rem 0; }
figure img { max-width: 100%; height: auto; }
figcaption { font-size: .85rem; }
pre {
  background: var(--box); border: 1px solid var(--line); border-radius: 6px;
  padding: .8rem; max-height: 24rem; overflow: auto; font-size: .8rem;
  white-space: pre-wrap; overflow-wrap: anywhere;
}
.sign td { height: 2.6rem; }
@page { margin: 16mm; }
@media print {
  :root { color-scheme: light; }
  body { padding: 0; max-width: none; font-size: 10.5pt; }
  h2, h3 { break-after: avoid; }
  figure, tr, dl > div, .verdict { break-inside: avoid; }
  figure img { max-height: 235mm; }
  thead { display: table-header-group; }
  pre { max-height: none; overflow: visible; }
  .wide { overflow: visible; }
}
"""


# The same picture is the same text: ids are hashed, and nothing tells the time.
SETTINGS = {"svg.hashsalt": "llmreg", "svg.fonttype": "path", "font.size": 10}


def picture(draw: Callable[[], Any], *, says: str, caption: str) -> Markup:
    """Draw a display twice and set it as a figure.

    An SVG that is an image, and no part of the page, runs no script and fetches
    nothing, whatever its texts are.

    Raises MissingDependencyError if matplotlib is not installed.
    """
    require_matplotlib()
    # Not <picture>: a browser that shows the dark source prints it, too, on white.
    images = []
    for kind, style in (("light", "default"), ("dark", "dark_background")):
        address, width = _draw(draw, style)
        images.append(element("img", class_=kind, src=address, alt=says, width=width))
    return element("figure", *images, element("figcaption", caption))


def _draw(draw: Callable[[], Any], style: str) -> tuple[str, str]:
    """Draw in a style; return the address that holds the image, and its width."""
    from matplotlib import pyplot as plt

    # "default" first: a matplotlibrc is the taste of a person, not of a report.
    with plt.style.context(["default", style, SETTINGS]):
        figure = draw().figure_
        file = BytesIO()
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
        plt.close(figure)
    text = b64encode(file.getvalue()).decode("ascii")
    width = round(96 * figure.get_figwidth())
    return f"data:image/svg+xml;base64,{text}", str(width)
