"""The parts of the pages that are made from result files.

    python -m benchmarks pages             README.md, docs/ and the pages of benchmarks/
    python -m benchmarks pages --check     changes nothing, tells what is stale

A block stands between two comments on lines of their own, of which the first says what
it is; whatever was between them is replaced::

    <!-- table fewshot roc_auc error methods="no prior, tuned;
    default linear = **the default**" shots="1 5 10" -->
    <!-- end -->

``table FILE METRIC``
    A row per method, a column per number of training rows, from a result file of
    `fewshot`. ``best``: the best of a column in bold. ``error``: with standard
    errors. ``caption``: a line on what the numbers are means of. ``methods``: the rows,
    set apart by semicolons, each a method, or ``method = what to call it``, or
    ``= words`` for a row of words. ``shots``: the columns. ``cards``: the data sets.
    What is not chosen is all there.
``include FILE.md``
    A generated page, or of it what stands under the heading ``section`` (or the one
    heading that begins so).
``provenance FILE``
    How a result file came about.

Files are those of the folder of results, without ``.csv``. Blocks in fenced code are
left as they are.
"""

from __future__ import annotations

import argparse
import inspect
import re
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path

import pandas as pd

from benchmarks.data.catalogue import RESULTS, ROOT
from benchmarks.data.results import ResultFile, ResultFileError, read_runs
from benchmarks.methods.registry import in_order
from benchmarks.programs import RequestError, make_parser, run_program, say
from benchmarks.reporting import tables as report

_MARK = re.compile(
    r"^```.*?^```[^\S\n]*$|^<!--(?P<words>.*?)-->[^\S\n]*$", re.MULTILINE | re.DOTALL
)
_HEADING = re.compile(r"^(?P<level>#+) +(?P<title>.*?)\s*$", re.MULTILINE)
END = "<!-- end -->"


class BlockError(RequestError, ValueError):
    """A block that cannot be filled."""


class Results:
    """The folder that blocks are filled from; no file is read twice."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.summary = cache(self._summary)
        self.frame = cache(self._frame)

    def path(self, name: str) -> Path:
        """Return the path of a file that has to be there."""
        path = self.folder / name
        if path.parent != self.folder or not path.is_file():
            raise BlockError(f"there is no result file {name!r}")
        return path

    def _frame(self, name: str) -> pd.DataFrame:
        """Read a result file, its rows in the order of the tables."""
        try:
            frame = ResultFile(self.path(f"{name}.csv")).read()
        except ResultFileError as error:
            raise BlockError(str(error)) from error
        return report.ordered(frame, in_order())

    def _summary(self, name: str, metric: str, cards: tuple[str, ...]) -> pd.DataFrame:
        """Average a measure over data sets, all where none are named."""
        frame = self.frame(name)
        if metric not in report.LABELS:
            raise BlockError(f"no measure is called {metric!r}")
        _all_known(cards, frame["card"].unique(), f"data set in {name}.csv")
        if cards:
            frame = frame[frame["card"].isin(cards)]
        return report.summarise(frame, metric)


def fill(text: str, results: Results) -> str:
    """Fill the blocks of a page.

    Raises BlockError, with the number of the line, where a block is not closed or asks
    for what is not there.
    """
    parts, done, start = [], 0, None
    for mark in _MARK.finditer(text):
        kind = ((mark["words"] or "").split() or [""])[0]
        if kind not in (*KINDS, "end"):
            continue
        if (kind == "end") == (start is None):
            what = "ends no block" if start is None else "stands in an open block"
            raise BlockError(f"{_line(mark)}: <!--{mark['words']}--> {what}")
        if kind != "end":
            start = mark
            continue
        assert start is not None
        try:
            content = make(start["words"], results)
        except BlockError as error:
            raise BlockError(f"{_line(start)}: {error}") from error
        parts.append(f"{text[done : start.end()]}\n\n{content.strip()}\n\n{END}")
        done, start = mark.end(), None
    if start is not None:
        raise BlockError(f"{_line(start)}: no {END} follows")
    return "".join(parts) + text[done:]


def _line(mark: re.Match[str]) -> str:
    """Name the line that a comment begins in."""
    return f"line {mark.string.count(chr(10), 0, mark.start()) + 1}"


def make(words: str, results: Results) -> str:
    """Make what a block holds."""
    try:
        kind, *asked = shlex.split(words)
        plain = [word for word in asked if not re.match(r"\w+=", word)]
        named = dict(word.split("=", 1) for word in asked if word not in plain)
        block = KINDS[kind]
        inspect.signature(block).bind(results, *plain, **named)
    except (ValueError, KeyError, TypeError) as error:
        raise BlockError(f"{words.strip()!r} cannot be read: {error}") from error
    return block(results, *plain, **named)


def _table(
    results: Results,
    name: str,
    metric: str,
    *flags: str,
    methods: str = "",
    shots: str = "",
    cards: str = "",
) -> str:
    """Make a table of methods by numbers of training rows."""
    _all_known(flags, _FLAGS, "flag of a table")
    summary = results.summary(name, metric, tuple(cards.split()))
    where = f"in {name}.csv with a {report.LABELS[metric]}"
    _all_known(shots.split(), summary["shots"].unique(), f"number of rows {where}")
    if shots:
        summary = summary[summary["shots"].isin(shots.split())]
    rows = [_row(words) for words in methods.split(";")] if methods else None
    asked = [method for _, method in rows or () if method]
    _all_known(asked, summary["method"].unique(), f"method {where}")
    return report.table(
        summary, metric, rows, **{flag: flag in flags for flag in _FLAGS}
    )


def _row(words: str) -> tuple[str, str]:
    """Read a row: what to call it, and its method."""
    text = f" {' '.join(words.split())} "
    method, _, label = (part.strip() for part in text.partition(" = "))
    return label or method, method


def _include(results: Results, name: str, section: str = "") -> str:
    """Copy a generated page, or a section of it, without its title."""
    text = results.path(name).read_text(encoding="utf-8")
    heads = list(_HEADING.finditer(text))
    if not section:
        title = heads and heads[0].start() == 0 and len(heads[0]["level"]) == 1
        return text[heads[0].end() :] if title else text
    found = [head for head in heads if head["title"] == section] or [
        head for head in heads if head["title"].startswith(section)
    ]
    if len(found) != 1:
        raise BlockError(f"{len(found)} sections of {name} are called {section!r}")
    (head,) = found
    after = (
        other.start()
        for other in heads
        if other.start() > head.start() and len(other["level"]) <= len(head["level"])
    )
    return text[head.end() : next(after, len(text))]


def _provenance(results: Results, name: str) -> str:
    """Describe how a result file came about."""
    runs = read_runs(results.path(f"{name}.csv"))
    if not runs:
        raise BlockError(f"there is no note {name}.json")
    machines = [
        "{cpu_count} CPUs, {system}, {architecture}".format(**run["machine"])
        for run in runs
    ]
    versions = {
        package: _each(run["versions"].get(package) for run in runs)
        for package in dict.fromkeys(key for run in runs for key in run["versions"])
    }
    days = sorted(
        run[key] for run in runs for key in ("begun", "continued") if key in run
    )
    settings = [run["settings"] for run in runs]
    counts = [each["threads"] for each in settings if "threads" in each]
    said = [
        f"seed {_each(str(each['seed']) for each in settings)}",
        f"commit {_each(_short(run['commit']) for run in runs)}",
        *([f"measured from {days[0]} to {days[-1]}"] if days else []),
        _each(machines),
        *([f"threads {_each(map(str, counts))}"] if counts else []),
        ", ".join(f"{package} {each}" for package, each in versions.items()),
    ]
    return f"`results/{name}.csv`: {'; '.join(said)}."


def _short(commit: str | None) -> str:
    """Shorten the name of a commit."""
    if commit is None:
        return "unknown"
    name, changed, _ = commit.partition("-dirty")
    return f"{name[:7]} with changes" if changed else name[:7]


def _each(values: Iterable[str | None]) -> str:
    """Write values once each, in their order."""
    return ", then ".join(dict.fromkeys(value for value in values if value))


def _all_known(asked: Sequence[str], known: Iterable[str], what: str) -> None:
    """Raise where something is asked for that is not there."""
    strangers = set(asked).difference(known)
    if strangers:
        raise BlockError(f"no {what}: {', '.join(map(repr, sorted(strangers)))}")


_FLAGS = ("best", "error", "caption")
KINDS: Mapping[str, Callable[..., str]] = {
    "table": _table,
    "include": _include,
    "provenance": _provenance,
}


def pages() -> list[Path]:
    """List the pages that may have blocks."""
    ours, docs = ROOT.glob("benchmarks/*.md"), ROOT.glob("docs/**/*.md")
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
    parser = make_parser("pages", __doc__)
    add = parser.add_argument
    add("files", nargs="*", type=Path, metavar="PAGE.md", help="pages (all)")
    add("--check", action="store_true", help="change nothing; 1 where one is stale")
    add("--results", type=Path, default=RESULTS, metavar="FOLDER")
    return parser
