"""`llmreg cache`: what has been answered, to list, show, export, import and clear."""

import argparse
import json
import sys
from collections.abc import Callable
from typing import Any

from llmreg._utils._files import expand
from llmreg._utils._text import clean_text, escape, lay_out
from llmreg.exceptions import PriorCacheError
from llmreg.providers import PriorCache

KEY_WIDTH = 12
TEXT_WIDTH = 40


def add(commands: Any) -> None:
    """Describe the command."""
    parser = commands.add_parser("cache", help="look after the answers that are kept")
    actions = parser.add_subparsers(required=True, metavar="action")
    _action(actions, "list", _list, "list the entries, the oldest first")
    show = _action(actions, "show", _show, "print one entry as JSON")
    show.add_argument("key", help="the first digits of its key")
    export = _action(actions, "export", _export, "write entries to one JSON file")
    export.add_argument("file", type=expand, help="the file; replaced if it is there")
    text = "first digits of keys (default: all)"
    export.add_argument("keys", nargs="*", metavar="key", help=text)
    load = _action(actions, "import", _import, "take in what `export` wrote")
    load.add_argument("file", type=expand)
    clear = _action(actions, "clear", _clear, "delete entries")
    text = "only those older than this"
    clear.add_argument("--older-than", type=float, metavar="DAYS", help=text)
    clear.add_argument("--provider", help="only those of providers with this name")
    clear.add_argument("--yes", action="store_true", help="do not ask")


def _action(
    actions: Any, name: str, run: Callable[[argparse.Namespace], None], text: str
) -> argparse.ArgumentParser:
    """Add an action; each takes the folder."""
    parser: argparse.ArgumentParser = actions.add_parser(name, help=text)
    parser.set_defaults(run=run)
    text = "the cache (default: LLMREG_CACHE_DIR, or the user's cache folder)"
    parser.add_argument("--folder", type=expand, help=text)
    return parser


def _list(arguments: argparse.Namespace) -> None:
    cache = PriorCache(arguments.folder)
    entries = cache.entries()
    lines = [f"{len(entries)} entries in {escape(str(cache.folder))}"]
    header = ("key", "date", "target", "estimate", "provider", "model", "task")
    kinds = {"prior": "all"}
    rows = [
        (
            entry.key[:KEY_WIDTH],
            clean_text(entry.created[:10], 10),
            clean_text(entry.target, TEXT_WIDTH),
            kinds.get(entry.kind, entry.kind)
            if entry.estimate is None
            else str(entry.estimate + 1),
            clean_text(entry.provider.rpartition(".")[2], TEXT_WIDTH),
            clean_text(entry.model, TEXT_WIDTH),
            clean_text(entry.task, TEXT_WIDTH),
        )
        for entry in entries
    ]
    lines += lay_out([header, *rows]) if rows else []
    sys.stdout.write("\n".join(lines) + "\n")


def _show(arguments: argparse.Namespace) -> None:
    entry = PriorCache(arguments.folder).find(arguments.key)
    # ASCII, since the text comes from a model and goes to a terminal.
    sys.stdout.write(json.dumps(entry.to_dict(), indent=2) + "\n")


def _export(arguments: argparse.Namespace) -> None:
    cache = PriorCache(arguments.folder)
    chosen = [cache.find(key) for key in arguments.keys] or cache.entries()
    count = cache.export(arguments.file, chosen)
    sys.stdout.write(f"{count} entries written to {escape(str(arguments.file))}\n")


def _import(arguments: argparse.Namespace) -> None:
    cache = PriorCache(arguments.folder)
    count = cache.load(arguments.file)
    sys.stdout.write(f"{count} new entries in {escape(str(cache.folder))}\n")


def _clear(arguments: argparse.Namespace) -> None:
    cache = PriorCache(arguments.folder)
    is_some = arguments.older_than is not None or arguments.provider is not None
    which = "the chosen entries" if is_some else "all entries"
    if not arguments.yes and not confirm(f"Delete {which} of {cache.folder}?"):
        raise PriorCacheError(
            "Nothing was deleted, since the answers were paid for. Answer the question "
            "with yes, or pass --yes."
        )
    count = cache.clear(older_than=arguments.older_than, provider=arguments.provider)
    sys.stdout.write(f"{count} entries deleted\n")


def confirm(question: str) -> bool:
    """Ask a question that takes yes or no; it is a no where there is no terminal."""
    if not sys.stdin.isatty():
        return False
    sys.stderr.write(f"{escape(question)} [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower().startswith("y")
