"""The directive ``cli-help``, which shows what a command of llmreg says of itself."""

import os
from argparse import ArgumentParser, _SubParsersAction

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

from llmreg.cli import _parser


def find(words: list[str]) -> ArgumentParser:
    """Find the parser of a command, such as ``["cache", "list"]``."""
    parser = _parser()
    for word in words:
        (commands,) = (a for a in parser._actions if isinstance(a, _SubParsersAction))
        parser = commands.choices[word]
    return parser


class CommandHelp(SphinxDirective):
    """Show the help of the command that the arguments name."""

    required_arguments = 1
    final_argument_whitespace = True

    def run(self) -> list[nodes.Node]:
        """Make a block of text."""
        # As wide as the pages, whatever the terminal; without the colors of one.
        os.environ["COLUMNS"] = "72"
        os.environ["NO_COLOR"] = "1"
        text = find(self.arguments[0].split()).format_help()
        block = nodes.literal_block(text, text)
        block["language"] = "none"
        return [block]


def setup(app):
    """Register the directive."""
    app.add_directive("cli-help", CommandHelp)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
