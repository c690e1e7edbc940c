"""`llmreg demo`: models with and without a prior, on few rows of a real table."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from llmreg.cli._elicit import make_provider


def add(commands: Any) -> None:
    """Describe the command."""
    text = "compare models with and without a prior on few rows"
    parser = commands.add_parser("demo", help=text)
    parser.set_defaults(run=run)
    add = parser.add_argument
    add(
        "--provider",
        choices=["recorded", "anthropic"],
        default="recorded",
        help="where the prior comes from (default: recorded, no key needed)",
    )
    add("--model", help="the model that a live provider asks")
    add(
        "--plot",
        type=Path,
        default=Path("llmreg-demo.png"),
        help="where the plot goes (default: %(default)s)",
    )
    add("--no-plot", dest="plot", action="store_const", const=None, help="draw none")
    add("--jobs", type=int, default=-1, help="processes (default: one a core)")


def run(arguments: argparse.Namespace) -> None:
    """Run the command; it stops at once where the provider has no key."""
    provider = None
    if arguments.provider != "recorded":
        provider = make_provider(arguments.provider, {"model": arguments.model})
        provider.check_ready()
    from llmreg.demo import run_demo

    run_demo(sys.stdout, provider, arguments.plot, n_jobs=arguments.jobs)
