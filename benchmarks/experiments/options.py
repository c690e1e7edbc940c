"""The options that the programs share which fit methods on draws of rows."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from benchmarks.data.splits import Shots, parse_shots
from benchmarks.methods.registry import SETS


def add_shots(
    parser: argparse.ArgumentParser, shots: Sequence[Shots] | None, help: str
) -> None:
    """Add the option that says how many rows to draw."""
    parser.add_argument(
        "--shots",
        nargs="+",
        type=parse_shots,
        default=None if shots is None else list(shots),
        metavar="N",
        help=help,
    )


def add_draws(
    parser: argparse.ArgumentParser,
    repetitions: int,
    methods: Sequence[str] | None = None,
) -> None:
    """Add the options that say what is fitted how often, and how."""
    add = parser.add_argument
    add(
        "--repetitions",
        type=int,
        default=repetitions,
        metavar="N",
        help=f"draws of rows ({repetitions})",
    )
    if methods is not None:
        add(
            "--methods",
            nargs="+",
            default=list(methods),
            metavar="NAME",
            help=f"sets of methods ({', '.join(SETS)}) or single ones "
            f"({'; '.join(methods)})",
        )
    add("--seed", type=int, default=0, help="seed of the whole experiment (0)")
    add("--jobs", type=int, default=1, metavar="N", help="processes (1)")


def add_out(
    parser: argparse.ArgumentParser, out: Path, beside: str, report: str
) -> None:
    """Add the options that say where results go, and that only the report is wanted."""
    parser.add_argument(
        "--out",
        type=Path,
        default=out,
        metavar="FILE.csv",
        help=f"result file; {beside} written beside it",
    )
    parser.add_argument("--report", action="store_true", help=report)
