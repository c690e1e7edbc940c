"""The command line: `llmreg demo` and `llmreg show`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from llmreg import FeaturePrior, __version__
from llmreg.exceptions import LLMRegError


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Parameters
    ----------
    argv : sequence of str, default=None
        The words of the command line; those of the process by default.

    Returns
    -------
    int
        0, or 1 after an error of llmreg, whose text goes to stderr.
    """
    arguments = _parser().parse_args(argv)
    try:
        arguments.run(arguments)
    except LLMRegError as error:
        sys.stderr.write(f"llmreg: {error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("llmreg: interrupted\n")
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="llmreg",
        description="Small models that follow what a language model knows.",
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="command")
    demo = commands.add_parser(
        "demo", help="compare models with and without a prior on few rows"
    )
    demo.set_defaults(run=_demo)
    demo.add_argument(
        "--provider",
        choices=["recorded", "anthropic"],
        default="recorded",
        help="where the prior comes from (default: recorded, no key needed)",
    )
    demo.add_argument("--model", help="the model that a live provider asks")
    demo.add_argument(
        "--plot",
        type=Path,
        default=Path("llmreg-demo.png"),
        help="where the plot goes (default: %(default)s)",
    )
    demo.add_argument(
        "--no-plot", dest="plot", action="store_const", const=None, help="draw none"
    )
    demo.add_argument(
        "--jobs", type=int, default=-1, help="processes (default: one a core)"
    )
    show = commands.add_parser("show", help="show a prior card as a table")
    show.set_defaults(run=_show)
    show.add_argument("card", type=Path, help="the JSON file")
    return parser


def _demo(arguments: argparse.Namespace) -> None:
    provider = _provider(arguments)
    from llmreg.demo import run_demo

    run_demo(sys.stdout, provider, arguments.plot, n_jobs=arguments.jobs)


def _provider(arguments: argparse.Namespace) -> Any:
    """Make the live provider, and stop here if it has no key."""
    if arguments.provider == "recorded":
        return None
    from llmreg.providers import AnthropicProvider

    settings = {"model": arguments.model} if arguments.model else {}
    provider = AnthropicProvider(**settings)
    provider.check_ready()
    return provider


def _show(arguments: argparse.Namespace) -> None:
    sys.stdout.write(f"{FeaturePrior.read(arguments.card)!r}\n")


if __name__ == "__main__":
    sys.exit(main())
