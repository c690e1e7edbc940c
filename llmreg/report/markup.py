"""HTML from Python values: whatever is not HTML already is escaped."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence

# Elements that have no end tag.
VOID = {"img", "meta"}


class Markup(str):
    """A text that is HTML already."""

    __slots__ = ()


def escape(text: object) -> Markup:
    """Make a text harmless in HTML, and visible what would hide or move others.

    Parameters
    ----------
    text : object
        `Markup` stays as it is; anything else becomes a text.

    Returns
    -------
    Markup
        The text.

    Examples
    --------
    >>> from llmreg.report.markup import escape
    >>> escape("<b> & 'c'")
    '&lt;b&gt; &amp; &#x27;c&#x27;'
    """
    if isinstance(text, Markup):
        return text
    safe = "".join(
        c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in str(text)
    )
    return Markup(html.escape(safe, quote=True))


def element(name: str, /, *children: object, **attributes: str) -> Markup:
    """Build an element.

    Parameters
    ----------
    name : str
        Its name.
    *children : object
        What is in it; what is no `Markup` is escaped.
    **attributes : str
        Its attributes; an underscore at the end of a name is left out, one inside is
        a dash.

    Returns
    -------
    Markup
        The element.

    Examples
    --------
    >>> from llmreg.report.markup import element
    >>> element("p", "1 < 2", class_="note")
    '<p class="note">1 &lt; 2</p>'
    """
    words = [name]
    for key, value in attributes.items():
        words.append(f'{key.rstrip("_").replace("_", "-")}="{escape(value)}"')
    start = f"<{' '.join(words)}>"
    if name in VOID:
        return Markup(start)
    return Markup(f"{start}{join(children)}</{name}>")


def join(children: Iterable[object]) -> Markup:
    """Put pieces one after the other.

    Parameters
    ----------
    children : iterable of object
        The pieces; what is no `Markup` is escaped.

    Returns
    -------
    Markup
        All of them.
    """
    return Markup("".join(escape(child) for child in children))


def table(
    header: Sequence[object],
    rows: Iterable[Sequence[object]],
    *,
    caption: str,
    numeric: Iterable[int] = (),
) -> Markup:
    """Build a table whose first column names the rows.

    Parameters
    ----------
    header : sequence of object
        Names of the columns.
    rows : iterable of sequence of object
        The cells.
    caption : str
        What it shows.
    numeric : iterable of int, default=()
        Columns that hold numbers.

    Returns
    -------
    Markup
        The table, in a box that scrolls where it is too wide.
    """
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
    """Build a list of names and what they stand for.

    Parameters
    ----------
    pairs : iterable of tuple
        Names and contents.

    Returns
    -------
    Markup
        The list.
    """
    return element(
        "dl",
        *(
            element("div", element("dt", name), element("dd", content))
            for name, content in pairs
        ),
    )


def paragraphs(*texts: object) -> Markup:
    """Build a paragraph of each text that is not empty.

    Parameters
    ----------
    *texts : object
        The texts.

    Returns
    -------
    Markup
        The paragraphs.
    """
    return join(element("p", text) for text in texts if text)
