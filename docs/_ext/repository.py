"""Pages that are files of the repository elsewhere, and pages that may be missing.

`benchmarks/README.md` and others are read in two places: in the repository, where their
links must lead to files, and here, where they are pages of other names. Notebooks are
not part of every copy of the sources; the site is built without them, too.
"""

import re
from pathlib import Path, PurePosixPath
from posixpath import normpath

from sphinx.application import Sphinx
from sphinx.util.matching import patfilter

#: The page of every file of the repository that has one elsewhere than at its path.
PAGES = {
    "README.md": "docs/index.md",
    "CONTRIBUTING.md": "docs/contributing.md",
    "CHANGELOG.md": "docs/changelog.md",
    "benchmarks/README.md": "docs/benchmarks.md",
    "benchmarks/TABLES.md": "docs/tables.md",
    "notebooks/README.md": "docs/notebooks.md",
}
_LINK = re.compile(r"\[([^\[\]]+)\]\(([^)#\s:]+\.(?:md|ipynb))((?:#[^)\s]*)?)\)")
_NOTEBOOKS = "notebooks/"
_TOCTREE = re.compile(r"^```\{toctree\}\n.*?^```", re.MULTILINE | re.DOTALL)
_PATTERN = re.compile(r"^\S*[*\[]\S*\n", re.MULTILINE)


def rewrite(text: str, file: str) -> str:
    """Turn the links of a file of the repository into links between pages."""

    def replace(match: re.Match[str]) -> str:
        words, place, anchor = match.groups()
        target = normpath(str(PurePosixPath(file).parent / place))
        target = PAGES.get(target, target)
        if target.startswith(_NOTEBOOKS):
            # By the name of the page, since docs/notebooks leads out of docs/ on disk.
            page = PurePosixPath(target).with_suffix("")
            return f"{{doc}}`{words.replace('`', '')} </{page}>`"
        if target.startswith("docs/"):
            return f"[{words}](/{target.removeprefix('docs/')}{anchor})"
        return match[0]

    return _LINK.sub(replace, text)


def drop_unmatched(text: str, docname: str, found: set[str]) -> str:
    """Leave out patterns of toctrees that no page matches; Sphinx warns of them."""

    def keep(match: re.Match[str]) -> str:
        pattern = normpath(str(PurePosixPath(docname).parent / match[0].strip()))
        return match[0] if patfilter(found, pattern) else ""

    return _TOCTREE.sub(lambda tree: _PATTERN.sub(keep, tree[0]), text)


def _on_read(app: Sphinx, docname: str, source: list[str]) -> None:
    page = str(app.env.doc2path(docname, base=False))
    # docs/notebooks is a link to notebooks/, whose files link from there.
    file = page if page.startswith(_NOTEBOOKS) else f"docs/{page}"
    text = rewrite(source[0], file)
    source[0] = drop_unmatched(text, docname, app.env.found_docs)


def _on_include(app: Sphinx, path: Path, docname: str, source: list[str]) -> None:
    source[0] = rewrite(source[0], normpath(f"docs/{path}"))


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect the rewriting."""
    app.connect("source-read", _on_read)
    app.connect("include-read", _on_include)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
