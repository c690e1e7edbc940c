"""How often other units than those of the prior are seen, and how often wrongly.

Every numeric column of the recorded curves is held against rows of its table, as they
are and in changed units: a false alarm is a column in its own units that is found.

    python -m benchmarks units --cards packaged       no download
    python -m benchmarks units --report               only the table again
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from benchmarks.data.catalogue import GROUPS, RESULTS, cards_of
from benchmarks.data.datasets import load
from benchmarks.data.knowledge import recorded_knowledge
from benchmarks.data.results import ResultFile
from benchmarks.experiments.runner import Row, add_out, measure_groups
from benchmarks.programs import make_parser, publish, run_program
from benchmarks.reporting.metrics import FloatArray
from benchmarks.reporting.tables import markdown
from llmreg.preprocessing._units import OtherUnits, _mentions, compare

#: What is done to a column: factor, offset, and words of columns that it suits.
CHANGES: Mapping[str, tuple[float, float, str]] = {
    "none": (1, 0, ""),
    "times 1000": (1000, 0, ""),
    "by 1000": (1 / 1000, 0, ""),
    "glucose, by 18.02": (1 / 18.02, 0, "glucose"),
    "weight, times 2.2": (2.2046, 0, "weigh|mass|kg|pound"),
    "weight, by 2.2": (1 / 2.2046, 0, "weigh|mass|kg|pound"),
    "length, by 2.54": (1 / 2.54, 0, "height|length|width|circumference"),
    "length, times 25.4": (25.4, 0, "height|length|width|circumference"),
    "years, times 12": (12, 0, "years?|age"),
    "Celsius to Fahrenheit": (1.8, 32, "temp|celsius"),
    # By the mean and the standard deviation of the rows themselves.
    "standardised": (0, 0, ""),
}
SIZES = (4, 10, 50, 0)
REPETITIONS = 10
SEED = 0
KEY = ("card", "rows", "change")
#: Pairs of a column and a draw: all, those found, and those whose change is named.
COLUMNS = (*KEY, "columns", "found", "right", "wrong", "run")
#: Where the limits were chosen, and where they were not.
PLACES = {
    "chosen on": ("packaged", "regression", "development-large"),
    "paper": ("paper", "multiclass"),
    "unpublished": ("worlds",),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program as `run_program` does."""
    return run_program(_run, _parser(), arguments)


def changed(x: FloatArray, change: str) -> FloatArray:
    """Give the values of a column in other units."""
    if change == "standardised":
        return (x - x.mean()) / x.std()
    factor, offset, _ = CHANGES[change]
    return factor * x + offset


def is_right(found: OtherUnits, change: str) -> bool:
    """Tell whether what was named is what was done."""
    if change == "standardised":
        return "standardised" in found.looks
    factor, offset, _ = CHANGES[change]
    named = found.change if isinstance(found.change, tuple) else (found.change or 0, 0)
    return bool(np.allclose(named, (factor, offset), rtol=0.01))


def measure(card: str, repetitions: int) -> Iterator[Row]:
    """Count what is found on one table, by the number of rows and the change."""
    dataset, prior = load(card), recorded_knowledge(card)
    # Of one text and not salted, so that every run draws the same rows.
    rng = np.random.default_rng([SEED, *card.encode()])
    for n_rows in SIZES:
        counts = {change: [0, 0, 0, 0] for change in CHANGES}
        for _ in range(repetitions if n_rows else 1):
            size = min(n_rows or len(dataset.X), len(dataset.X))
            rows = dataset.X.iloc[rng.permutation(len(dataset.X))[:size]]
            for name, said in prior.ranges.items():
                x = rows[name].to_numpy()
                about = dataset.card["features"][name]["description"]
                for change, count in counts.items():
                    suits = _mentions(f"{name} {about}", CHANGES[change][2])
                    # A column of one value shows no units, and has no curve to spoil.
                    if not suits or (change != "none" and np.ptp(x) == 0):
                        continue
                    found = compare(name, changed(x, change), said, about=about)
                    right = found is not None and is_right(found, change)
                    named = found is not None and found.change is not None
                    count[0] += 1
                    count[1] += found is not None
                    count[2] += right
                    count[3] += named and not right
        for change, count in counts.items():
            values = (card, n_rows, change, *count)
            yield dict(zip(COLUMNS, values, strict=False))


def table_of(results: pd.DataFrame) -> str:
    """Write shares of columns in markdown: found, and the right change named."""
    place = {
        card: name
        for name, groups in PLACES.items()
        for group in groups
        for card in GROUPS[group]
    }
    counts = list(COLUMNS[len(KEY) : -1])
    place_of = results["card"].map(place).rename("place")
    sums = results.groupby([place_of, "change", "rows"])[counts].sum()
    lines = []
    for name in PLACES:
        for change in CHANGES:
            if (name, change, 0) not in sums.index:
                continue
            each = [sums.loc[name, change, n_rows] for n_rows in SIZES]
            if not (last := each[-1])["columns"]:
                continue
            shares = [f"{one['found'] / one['columns']:.1%}" for one in each]
            of = max(last["found"], 1)
            named = [f"{last[what] / of:.0%}" for what in ("right", "wrong")]
            named = ["", ""] if change == "none" else named
            lines.append([name, change, f"{last['columns']}", *shares, *named])
    return markdown(
        "| tables | change | columns | found at 4 rows | 10 | 50 | all | right change "
        "named | wrong one |",
        lines,
    )


def _run(options: argparse.Namespace) -> int:
    """Measure the chosen cards, unless only the report is wanted, and write it."""
    file = ResultFile(options.out, COLUMNS, KEY)
    if not options.report:
        cards = [(card, options.repetitions) for card in cards_of(options.cards)]
        done = {(key[0], options.repetitions) for key in file.finished()}
        settings = {"seed": SEED, "repetitions": options.repetitions}
        measure_groups(file, cards, done, measure, settings)
    publish(table_of(file.read()), options.out.with_suffix(".md"))
    return 0


def _parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = make_parser("units", __doc__)
    add_out(parser, RESULTS / "units.csv")
    add = parser.add_argument
    every = [group for groups in PLACES.values() for group in groups]
    add("--cards", nargs="+", default=every, metavar="CARD", help="cards or groups")
    add("--repetitions", type=int, default=REPETITIONS, metavar="N", help="draws (10)")
    return parser
