"""Makes the tables of the worlds anew, and says whether they have the same bits.

The simulators are an extra of the project: `make worlds` installs them at the versions
of constraints-worlds.txt, in an environment of their own, and calls this.

    python -m benchmarks worlds-make                      every world that has no table
    python -m benchmarks worlds-make --check              makes all, writes none
    python -m benchmarks worlds-make NAME                 this one, in place of the old
"""

from __future__ import annotations

import argparse
import gzip
import importlib
import time
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.data.catalogue import WORLDS, names, path_of, read_card
from benchmarks.programs import RequestError, clock, echo, make_parser, run_program


class GeneratorError(RequestError):
    """A world whose generator cannot run, or makes what its card does not say."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program as `run_program` does."""
    return run_program(_run, _parser(), arguments, stopped="Stopped.")


def _run(options: argparse.Namespace) -> int:
    """Make tables. Returns 1 where one has other bits than that which is there."""
    there = {name for name in WORLDS if path_of("tables", name).exists()}
    asked = options.names or [
        name for name in WORLDS if options.check or name not in there
    ]
    differs = False
    for name in asked:
        if name not in WORLDS:
            names(name)
            raise GeneratorError(f"{name!r} is no world. Worlds: {', '.join(WORLDS)}.")
        start = time.monotonic()
        text = make(name)
        gone = clock(time.monotonic() - start)
        path = path_of("tables", name)
        verdict = compare(path, text)
        differs |= name in there and verdict != SAME
        echo(f"{name}: {verdict} ({gone})")
        if not options.check and verdict != SAME:
            write(path, text)
    return int(differs)


def make(name: str) -> str:
    """Make the table of a world, as the text of a CSV file."""
    try:
        generator = importlib.import_module(f"benchmarks.data.worlds.{name}")
    except ImportError as error:
        raise GeneratorError(
            f"The simulator of {name!r} is not at hand ({error}). Call `make worlds`, "
            "or install what the extra `worlds` in pyproject.toml lists."
        ) from error
    with warnings.catch_warnings():
        # Of the simulators, about themselves.
        warnings.simplefilter("ignore")
        table = generator.make(np.random.default_rng(generator.SEED))
    refuse_strange(table, read_card(name), generator.N_ROWS)
    return table.to_csv(index=False, lineterminator="\n")


def refuse_strange(table: pd.DataFrame, card: Mapping[str, Any], n_rows: int) -> None:
    """Raise where a table is not as its card says."""
    name, columns = card["name"], [*card["features"], card["target"]]
    if [*table] != columns or len(table) != n_rows:
        raise GeneratorError(
            f"The generator of {name!r} makes {len(table)} rows of {[*table]}, not "
            f"{n_rows} rows of {columns}. Change it, or the card."
        )
    levels = {
        column: set(about["levels"])
        for column, about in card["features"].items()
        if about["kind"] == "categorical"
    }
    if "classes" in card:
        levels[card["target"]] = set(card["classes"])
    for column, known in levels.items():
        if odd := set(table[column]) ^ known:
            raise GeneratorError(
                f"The levels {sorted(odd)} of {column!r} are in the table or on the "
                f"card of {name!r}, not in both. Change the generator or the card."
            )


SAME = "the same bits"


def compare(path: Path, text: str) -> str:
    """Hold a new table against the one that is there, line by line."""
    if not path.exists():
        return "new"
    # Not as packed bytes: these hang on the version of zlib.
    old = gzip.decompress(path.read_bytes()).decode()
    if old == text:
        return SAME
    lines = [*zip(old.splitlines(), text.splitlines(), strict=False)]
    return f"other bits in {sum(a != b for a, b in lines)} of {len(lines)} lines"


def write(path: Path, text: str) -> None:
    """Write a packed table, with no time in it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(text.encode(), mtime=0))


def _parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = make_parser("worlds-make", __doc__)
    add = parser.add_argument
    add("names", nargs="*", metavar="NAME", help="worlds (those without a table)")
    add("--check", action="store_true", help="make all, write none; 1 if one differs")
    return parser
