"""`llmreg demo`: models with and without a prior, on few rows of a real table."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any


def add(commands: Any) -> None:
    """Describe the command."""
    parser = commands.add_parser(
        "demo", help="compare models with and without a prior on few rows"
    )
    parser.set_defaults(run=run)
    parser.add_argument(
        "--provider",
        choices=["recorded", "anthropic"],
        default="recorded",
        help="where the prior comes from (default: recorded, no key needed)",
    )
    parser.add_argument("--model", help="the model that a live provider asks")
    parser.add_argument(
        "--plot",
        type=Path,
        default=Path("llmreg-demo.png"),
        help="where the plot goes (default: %(default)s)",
    )
    parser.add_argument(
        "--no-plot", dest="plot", action="store_const", const=None, help="draw none"
    )
    parser.add_argument(
        "--jobs", type=int, default=-1, help="processes (default: one a core)"
    )


def run(arguments: argparse.Namespace) -> None:
    """Run the command."""
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
