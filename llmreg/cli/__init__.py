"""The command line: `llmreg elicit`, `show`, `edit`, `report` and others."""

import argparse
import re
import sys
from collections.abc import Sequence

from sklearn.utils._param_validation import InvalidParameterError

from llmreg import __version__
from llmreg._utils._text import escape
from llmreg.cli import _cache, _cards, _elicit, _report
from llmreg.exceptions import LLMRegError


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; return 0, or 1 after an error, whose text goes to stderr."""
    arguments = _parser().parse_args(argv)
    # A name that the encoding of the output lacks must not end what has been paid for.
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        code: int | None = arguments.run(arguments)
    except (LLMRegError, InvalidParameterError, OSError) as error:
        notes = "".join(f"\n{note}" for note in getattr(error, "__notes__", ()))
        # It may quote names of a table, or what a server said.
        told = _in_shell(f"llmreg: {error}{notes}\n")
        sys.stderr.write(escape(told, keep="\n"))
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("llmreg: interrupted\n")
        return 130
    return code or 0


def _in_shell(text: str) -> str:
    """Put parameters into the words of the command line."""
    text = text.replace(
        'feature_kinds={name: "categorical"}', "--feature-kind NAME=categorical"
    )
    names = "|".join(_elicit.SETTINGS)
    pattern = rf"`({names})`|\b(base_url)\b=?|\b(cache)=(?=[,.])"
    return re.sub(pattern, lambda m: f"--{m[m.lastindex or 0].replace('_', '-')}", text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="llmreg",
        description="Small models that follow what a language model knows.",
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="command")
    for command in (_elicit, _cards, _cache, _report):
        command.add(commands)
    return parser
