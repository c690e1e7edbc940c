"""The code blocks of the pages run, one page after the other, top to bottom.

On every page, in the repository and on the site, a block of Python is fenced

- ``python``: it runs, after the blocks above it on the page, in an empty folder;
- ``python no-run``: it cannot run here, and the text near it says why.

A block fenced ``text output`` right after one that runs is what that one prints. Of
the commands of llmreg in ``console`` blocks every word is known to its parser.
"""

import os
import re
import shlex
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import pytest

from llmreg.cli import _parser

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    str(path.relative_to(ROOT))
    for path in [
        *(ROOT / name for name in ("README.md", "CONTRIBUTING.md")),
        *(ROOT / "benchmarks").glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
    ]
    if not {"_build", "generated", "notebooks"} & set(path.parts)
)
BLOCK = re.compile(
    r"^(?P<fence>```+)(?P<kind>[^`\n]*)\n(?P<code>.*?)^(?P=fence)[ ]*$",
    re.MULTILINE | re.DOTALL,
)


def read(page):
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(page):
    """List the blocks of a page: what they are fenced as, and what is in them."""
    return [(m["kind"].strip(), m["code"]) for m in BLOCK.finditer(read(page))]


def commands(page):
    """List the commands of llmreg that a page shows, as lists of words."""
    for kind, code in blocks(page):
        if kind == "console":
            for line in code.replace("\\\n", " ").splitlines():
                words = shlex.split(line, comments=True)
                while words and (words[0] == "$" or "=" in words[0]):
                    words = words[1:]
                if words[:1] == ["llmreg"]:
                    yield words[1:]


def has_python(page):
    return any(kind == "python" for kind, _ in blocks(page))


# What the libraries of a page say of one another is not ours.
@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")
@pytest.mark.parametrize("page", list(filter(has_python, PAGES)))
def test_code_blocks_run(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "agg")
    monkeypatch.setenv("LLMREG_CACHE_DIR", str(tmp_path / "cache"))
    names = {"__name__": "page"}
    printed = StringIO()
    for kind, code in blocks(page):
        if kind == "python":
            printed = StringIO()
            with redirect_stdout(printed):
                exec(compile(code, page, "exec"), names)
        elif kind == "text output":
            assert printed.getvalue().split() == code.split()
    close_figures()


def close_figures():
    from matplotlib import pyplot as plt

    plt.close("all")


@pytest.mark.parametrize("page", PAGES)
def test_python_is_run_or_says_that_it_is_not(page):
    kinds = {kind for kind, _ in blocks(page) if kind.startswith("py")}
    assert kinds <= {"python", "python no-run"}


@pytest.mark.parametrize("page", [page for page in PAGES if list(commands(page))])
def test_commands_are_known(page):
    for words in commands(page):
        try:
            _parser().parse_args(words)
        except SystemExit as end:
            # --help and --version end the parser too, and well.
            assert end.code == 0, f"{page}: llmreg {shlex.join(words)}"


def test_pages_are_found():
    assert {"README.md", os.path.join("docs", "index.md")} <= set(PAGES)
