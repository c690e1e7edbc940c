"""Tiles of notebooks and of pages with pictures, and "Examples using" a name.

``{gallery}`` shows what there is; ``.. examples-using:: llmreg.X`` what uses a name,
found by the imports of its code and by the attributes that objects of ours are got by.
"""

import ast
import json
import re
from base64 import b64decode
from functools import cache
from html import escape
from pathlib import Path

from docutils import nodes
from pictures import BLOCK, PICTURE, STYLES, name_picture
from sphinx.util.docutils import SphinxDirective

DOCS = Path(__file__).parents[1]
NOTEBOOKS = DOCS.parent / "notebooks"
#: Pages whose code is about something else, or is elsewhere too.
LEFT_OUT = {"index", "changelog", "contributing", "benchmarks", "tables"}
#: Attributes, keywords and functions by which classes are got that nobody imports.
HELD = {
    "base_rates": "BaseRate",
    "contradictions": "Contradiction",
    "curves": "ResponseCurve",
    "edit": "PriorEditor",
    "encoder_": "TableEncoder",
    "estimate_cost": "Cost",
    "predict_proba_interval": "Posterior",
    "rank_unlabelled": "Posterior",
    "ranges": "TypicalRange",
    "shapes": "Shape",
    "trust_": "Trust",
}
MOST = 8
_LINE = re.compile(r"^\| \[[^]]+\]\((\S+)\.ipynb\) \| (.*) \|$", re.MULTILINE)


@cache
def pages():
    """Read titles, code and pictures of all pages: {docname: (title, code, images)}."""
    found = {}
    for path in sorted(DOCS.rglob("*.md")):
        name = path.relative_to(DOCS).with_suffix("").as_posix()
        if name.startswith(("_build", "api", "notebooks/")) or name in LEFT_OUT:
            continue
        text = path.read_text(encoding="utf-8")
        if title := re.search(r"^# (.+)$", text, re.MULTILINE):
            code = "\n".join(BLOCK.findall(text))
            images = PICTURE.findall(text)
            found[name] = title[1].replace("`", ""), code, images
    for path in sorted(NOTEBOOKS.glob("[0-9]*.ipynb")):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        title = "".join(cells[0]["source"]).splitlines()[0].lstrip("# ")
        kinds = {"code": [], "markdown": []}
        for cell in cells:
            kinds[cell["cell_type"]].append("".join(cell["source"]))
        images = [
            output["data"]["image/png"]
            for cell in cells
            for output in cell.get("outputs", ())
            if "image/png" in output.get("data", {})
        ]
        found[f"notebooks/{path.stem}"] = title, "\n".join(kinds["code"]), images
    return found


@cache
def uses():
    """Find the pages that use a name of llmreg: {name: [docname]}."""
    found = {}
    for docname, (_, code, _) in pages().items():
        lines = [line for line in code.splitlines() if line[:1] not in "%!"]
        names, held = set(), set()
        for node in ast.walk(ast.parse("\n".join(lines))):
            if isinstance(node, ast.ImportFrom) and node.module.startswith("llmreg"):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.Attribute):
                held.add(node.attr)
            elif isinstance(node, ast.keyword):
                held.add(node.arg)
        names |= {HELD[name] for name in held | names if name in HELD}
        for name in names:
            found.setdefault(name, []).append(docname)
    return found


def write_images(folder):
    """Write the last picture of each notebook, as its thumbnail."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, (_, _, images) in pages().items():
        if name.startswith("notebooks/") and images:
            image = b64decode(images[-1])
            (folder / f"{name.replace('/', '-')}.png").write_bytes(image)


def tile(docname, words, up):
    """Show a page as a picture, its title and some words."""
    title, _, images = pages()[docname]
    if docname.startswith("notebooks/"):
        files = {"paper": f"{docname.replace('/', '-')}.png"} if images else {}
    else:
        files = {f"only-{s}": name_picture(docname, 0, s) for s in STYLES if images}
    shown = "".join(
        f'<img class="{kind}" src="{up}_images/{file}" alt="">'
        for kind, file in files.items()
    )
    return (
        f'<a class="tile" href="{up}{docname}.html"><span class="view">{shown}</span>'
        f"<strong>{escape(title)}</strong><span>{escape(words)}</span></a>"
    )


def tiles(docnames, up, words=None):
    """Put tiles side by side."""
    inner = "".join(tile(name, (words or {}).get(name, ""), up) for name in docnames)
    return nodes.raw("", f'<div class="tiles">{inner}</div>', format="html")


class Gallery(SphinxDirective):
    """All notebooks, or with ``pages`` all other pages that have a picture."""

    optional_arguments = 1

    def run(self):
        """Show them in their order."""
        write_images(Path(self.env.app.outdir) / "_images")
        readme = NOTEBOOKS / "README.md"
        lines = readme.read_text(encoding="utf-8") if readme.exists() else ""
        words = {f"notebooks/{n}": w.replace("`", "") for n, w in _LINE.findall(lines)}
        words |= {
            name: images[0]
            for name, (_, _, images) in pages().items()
            if images and not name.startswith("notebooks/")
        }
        wanted = [
            name
            for name, (_, _, images) in pages().items()
            if name.startswith("notebooks/") != bool(self.arguments) and images
        ]
        return [tiles(wanted, "../" * self.env.docname.count("/"), words)]


class ExamplesUsing(SphinxDirective):
    """The pages and notebooks that use a name, those with pictures as tiles."""

    required_arguments = 1

    def run(self):
        """Show them under a headline, if there are any."""
        name = self.arguments[0].rpartition(".")[2]
        found = uses().get(name, ())
        if not found:
            return []
        # A notebook shows more than a page does.
        found = sorted(found, key=lambda n: not n.startswith("notebooks/"))
        up = "../" * self.env.docname.count("/")
        seen = [n for n in found if pages()[n][2]][:MOST]
        others = [n for n in found if n not in seen][:MOST]
        links = "".join(
            f'<li><a href="{up}{n}.html">{escape(pages()[n][0])}</a></li>'
            for n in others
        )
        parts = [nodes.rubric("", f"Examples using {name}")]
        if seen:
            parts.append(tiles(seen, up))
        if links:
            listed = f'<ul class="simple">{links}</ul>'
            parts.append(nodes.raw("", listed, format="html"))
        return parts


def setup(app):
    """Register the directives."""
    app.add_directive("gallery", Gallery)
    app.add_directive("examples-using", ExamplesUsing)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
