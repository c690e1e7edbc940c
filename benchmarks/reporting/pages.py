"""Fill the blocks of the pages that show figures from result files.

    python -m benchmarks pages                 README.md, docs/ and benchmarks/README.md
    python -m benchmarks pages --check         changes nothing, tells what is stale

What a block can be is told in `page_blocks.py`.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.console import say
from benchmarks.data.catalogue import RESULTS, ROOT
from benchmarks.programs import make_parser, run_program
from benchmarks.reporting.page_blocks import BlockError, Results, fill


def pages() -> list[Path]:
    """List the pages that may have blocks."""
    docs, ours = ROOT.glob("docs/**/*.md"), ROOT.glob("benchmarks/*.md")
    return [ROOT / "README.md", *sorted(docs), *sorted(ours)]


def stale(files: Sequence[Path], results: Path) -> Iterator[tuple[Path, str]]:
    """Find the pages that are not what the result files make of them."""
    source = Results(results)
    for path in files:
        text = path.read_text(encoding="utf-8")
        try:
            filled = fill(text, source)
        except BlockError as error:
            raise BlockError(f"{_name(path)}, {error}") from error
        if filled != text:
            yield path, filled


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program as `run_program` does; 1 where a page is stale under --check."""
    return run_program(_run, _parser(), arguments, stopped="Stopped.")


def _run(options: argparse.Namespace) -> int:
    """Fill the blocks, or tell which are stale."""
    found = list(stale(options.files or pages(), options.results))
    for path, text in found:
        say(f"{_name(path)}: {'stale' if options.check else 'written'}")
        if not options.check:
            path.write_text(text, encoding="utf-8")
    return int(options.check and bool(found))


def _name(path: Path) -> str:
    """Name a page as seen from the root: there are two of one name."""
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)


def _parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = make_parser("benchmarks pages", __doc__)
    add = parser.add_argument
    add("files", nargs="*", type=Path, metavar="PAGE.md", help="pages (all)")
    add("--check", action="store_true", help="change nothing; 1 where one is stale")
    add("--results", type=Path, default=RESULTS, metavar="FOLDER")
    return parser
