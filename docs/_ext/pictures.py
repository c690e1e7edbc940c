"""Pictures of what the code of a page draws, on a light and on a dark ground.

    ```{picture} What is to be seen
    ```

stands after a block of Python. The blocks above it run in their order, the last one in
each style, and its figure is the picture. ``.. picture-of:: llmreg.inspection.X`` draws
what the example of a docstring does. Nothing is drawn for builders other than HTML's.
"""

import os
import re
import tempfile
import warnings
from contextlib import chdir, redirect_stdout
from doctest import DocTestParser
from html import escape
from importlib import import_module
from inspect import getdoc
from io import StringIO
from pathlib import Path

from cycler import cycler
from docutils import nodes
from sphinx.util.docutils import SphinxDirective

BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
PICTURE = re.compile(r"^```\{picture\} (.*)$", re.MULTILINE)
STYLES = {"light": "default", "dark": "dark_background"}
# The same picture is the same text; letters are paths, whatever fonts a reader has.
SETTINGS = {
    "svg.hashsalt": "llmreg",
    "svg.fonttype": "path",
    # The colours of the displays, in which all pictures of the site are.
    "axes.prop_cycle": cycler(color=["#0072B2", "#D55E00", "#009E73", "#E69F00"]),
}
#: By page: where the blocks above its last picture have run.
_PAGES = {}


def name_picture(docname, number, style):
    """Name the file of a picture of a page, the first of which has number 0."""
    return f"{docname.replace('/', '-')}-{number}-{style}.svg"


class Workshop:
    """Where the code of a page runs: in a folder that has no answers and no files."""

    def __init__(self):
        self.names, self.n_run = {"__name__": "page"}, 0
        self.folder = tempfile.TemporaryDirectory()

    def run(self, blocks):
        """Run code after that which has run before, in silence."""
        os.environ["LLMREG_CACHE_DIR"] = str(Path(self.folder.name) / "cache")
        with warnings.catch_warnings(), chdir(self.folder.name):
            warnings.simplefilter("ignore")
            with redirect_stdout(StringIO()):
                for block in blocks:
                    exec(compile(block, "page", "exec"), self.names)


def draw(blocks, shop, stem, folder):
    """Run the last block in each style, write its figure, and return its width."""
    import matplotlib.pyplot as plt

    *before, last = blocks
    shop.run(before)
    folder.mkdir(parents=True, exist_ok=True)
    for kind, style in STYLES.items():
        with plt.style.context(["default", style, SETTINGS]):
            plt.close("all")
            shop.run([last])
            figure = plt.gcf()
            look = {"transparent": True, "metadata": {"Date": None}}
            figure.savefig(folder / f"{stem}-{kind}.svg", **look)
            width = round(96 * figure.get_figwidth())
            plt.close("all")
    return width


class Drawn(SphinxDirective):
    """What both directives do with their code."""

    def show(self, blocks, shop, stem, says):
        """Draw, and return the markup that shows it in the style of the page."""
        if self.env.app.builder.format != "html":
            return []
        folder = Path(self.env.app.outdir) / "_images"
        width = draw(blocks, shop, stem, folder)
        up = "../" * self.env.docname.count("/")
        images = "".join(
            f'<img class="only-{kind}" src="{up}_images/{stem}-{kind}.svg" '
            f'alt="{escape(says)}" width="{width}">'
            for kind in STYLES
        )
        return [nodes.raw("", f'<div class="drawing">{images}</div>', format="html")]


class Picture(Drawn):
    """The figure of the last block above."""

    required_arguments = 1
    final_argument_whitespace = True

    def run(self):
        """Run what is above on the page, as far as it has not been."""
        name = self.env.docname
        path = Path(self.env.doc2path(name))
        text = path.read_text(encoding="utf-8")
        above = "\n".join(text.splitlines()[: self.lineno - 1])
        blocks = BLOCK.findall(above)
        number = len(PICTURE.findall(above))
        if not number:
            _PAGES[name] = Workshop()
        shop = _PAGES[name]
        shop.n_run, done = len(blocks), shop.n_run
        stem = name_picture(name, number, "")[:-5]
        return self.show(blocks[done:], shop, stem, self.arguments[0])


class PictureOf(Drawn):
    """The figure of the example in a docstring."""

    required_arguments = 1

    def run(self):
        """Run the example; where it draws nothing, its last line is left as it is."""
        module, _, name = self.arguments[0].rpartition(".")
        doc = getdoc(getattr(import_module(module), name))
        code = "".join(e.source for e in DocTestParser().get_examples(doc))
        says = f"The example of {name}"
        return self.show([code], Workshop(), self.arguments[0], says)


def setup(app):
    """Register the directives."""
    app.add_directive("picture", Picture)
    app.add_directive("picture-of", PictureOf)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
