"""Displays as images inside the page, for a light ground and for a dark one."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from io import BytesIO
from typing import Any

from llmreg.panels import require_matplotlib
from llmreg.report.markup import Markup, element

# The same picture is the same text: ids are hashed, and nothing tells the time.
SETTINGS = {"svg.hashsalt": "llmreg", "svg.fonttype": "path", "font.size": 10}


def picture(draw: Callable[[], Any], *, says: str, caption: str) -> Markup:
    """Draw a display twice and set it as a figure.

    An SVG that is an image, and no part of the page, runs no script and fetches
    nothing, whatever its texts are.

    Parameters
    ----------
    draw : callable
        Makes a display, that is, an object with a `figure_`.
    says : str
        What there is to see, for those who cannot see it.
    caption : str
        How to read it.

    Returns
    -------
    Markup
        The figure.

    Raises
    ------
    MissingDependencyError
        If matplotlib is not installed.
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
