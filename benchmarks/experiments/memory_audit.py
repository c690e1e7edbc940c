"""Which tables the language model knows by heart, by what it said of them unasked.

What was said of a table is held against its rows, in the manner of tabmemcheck (Bordt
et al., "Elephants Never Forget", arXiv 2404.06209): the base rate, as the factor
between said and true odds, and the 5th, 50th and 95th percentile of every column of
numbers, in true ranges (from the 5th percentile to the 95th). An expert who has never
seen the rows is off by a part of the range; who is off by less than 1% nearly
everywhere has seen them. No model is asked and none is trained.

    python -m benchmarks memory-audit                     all cards
    python -m benchmarks memory-audit --cards worlds      no download
    python -m benchmarks memory-audit --report            only the table again
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.data.catalogue import RESULTS, cards_of
from benchmarks.data.datasets import Dataset, load
from benchmarks.data.knowledge import recorded_knowledge
from benchmarks.data.results import ResultFile
from benchmarks.experiments.runner import Row, add_out, keep
from benchmarks.programs import Progress, make_parser, publish, run_program
from benchmarks.reporting.knowledge import group_of
from benchmarks.reporting.tables import line, markdown
from llmreg.prior import FeaturePrior, TypicalRange

#: Nothing is drawn: all rows are looked at.
SEED = 0
PERCENTILES = (0.05, 0.5, 0.95)
#: A percentile is met where it is off by less than this part of the true range.
MET = 0.01
#: By heart: this share of the percentiles is met, of at least so many.
SHARE, ENOUGH = 0.5, 6
HEART, NOT, OPEN = "known by heart", "not known", "too few to tell"
#: Who answered and when, as the provenance of the records has it.
_ASKED = re.compile(r"the answer of an? (?P<model>.+?), recorded (?P<asked>[\d-]+)")
KEY = ("card",)
COLUMNS = (
    *("card", "group", "model", "asked", "odds_factor", "said_rate", "true_rate"),
    *("percentiles", "met", "median_error", "every_error", "run"),
)
CAPTION = (
    f"Factor of odds: between the base rate that was said and the true one, of the "
    f"class where it is largest. Percentiles: the 5th, 50th and 95th of the columns of "
    f"numbers, and of the target of a regression, that nothing gives away: none that "
    f"is the least or the largest value of its column (a bound such as 0). Met: off by "
    f"less than {MET:.0%} of the true range, from the 5th to the 95th. Error: the "
    f"median, in true ranges. **{HEART}**: at least {SHARE:.0%} of at least {ENOUGH} "
    f"percentiles are met; with fewer than {ENOUGH}, {OPEN}. A base rate alone is no "
    f"verdict, since a single number can be met by chance."
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program as `run_program` does."""
    return run_program(_run, _parser(), arguments)


def audit(dataset: Dataset, prior: FeaturePrior) -> Row:
    """Hold what was said of a table against its rows."""
    every = [*_percentiles(dataset, prior)]
    telling = [error for error, is_given_away in every if not is_given_away]
    asked = _ASKED.search(str(prior.provenance.get("source", "")))
    return {
        **(asked.groupdict() if asked else {}),
        **_rates(dataset, prior),
        "percentiles": len(telling),
        "met": sum(error < MET for error in telling),
        "median_error": float(np.median(telling)) if telling else None,
        "every_error": float(np.median([e for e, _ in every])) if every else None,
    }


def _percentiles(dataset: Dataset, prior: FeaturePrior) -> Iterator[tuple[float, bool]]:
    """Give the errors of percentiles, each with whether it is given away."""
    found: list[tuple[TypicalRange, pd.Series]] = [
        (said, dataset.X[name]) for name, said in prior.ranges.items()
    ]
    found += [(said, dataset.y) for said in prior.target_ranges.values()]
    for said, column in found:
        x = column.to_numpy("float64")
        true = np.quantile(x, PERCENTILES)
        width = true[-1] - true[0]
        if column.nunique() <= 2 or width == 0:
            continue
        for one, other in zip(said[:3], true, strict=True):
            yield float(abs(one - other) / width), other in (x.min(), x.max())


def _rates(dataset: Dataset, prior: FeaturePrior) -> Row:
    """Give the base rate that is furthest off, as a factor of odds."""
    rates = [
        {
            "odds_factor": odds_factor(said.rate, float((dataset.y == name).mean())),
            "said_rate": said.rate,
            "true_rate": float((dataset.y == name).mean()),
        }
        for name, said in prior.base_rates.items()
        # The other one of two tells the same again.
        if dataset.positive in (None, name)
    ]
    return max(rates, key=lambda row: row["odds_factor"], default={})


def odds_factor(said: float, true: float) -> float:
    """Divide the larger odds by the smaller ones."""
    ratio = (said / (1 - said)) / (true / (1 - true))
    return max(ratio, 1 / ratio)


def verdict(row: Mapping[str, Any]) -> str:
    """Tell whether a table is known by heart, by the rule of the caption."""
    if row["percentiles"] < ENOUGH:
        return OPEN
    return HEART if row["met"] >= SHARE * row["percentiles"] else NOT


def table_of(results: pd.DataFrame) -> str:
    """Write the verdicts in markdown, then a row per card."""
    rows = results.to_dict("records")
    verdicts = pd.Series([verdict(row) for row in rows], results.index)
    groups = results.groupby("group", sort=False)
    summary = [
        [
            str(group),
            *(str((verdicts[these.index] == one).sum()) for one in (HEART, NOT, OPEN)),
            *(
                _number(these[name].median())
                for name in ("odds_factor", "median_error")
            ),
            f"{these['met'].sum() / max(these['percentiles'].sum(), 1):.0%}",
        ]
        for group, these in groups
    ]
    cards = [
        [
            row["card"],
            row["group"],
            *(_number(row[name]) for name in ("said_rate", "true_rate", "odds_factor")),
            f"{row['met']} of {row['percentiles']}",
            *(_number(row[name]) for name in ("median_error", "every_error")),
            f"**{found}**" if found == HEART else found,
        ]
        for row, found in zip(rows, verdicts, strict=True)
    ]
    asked = results[["model", "asked"]].fillna("not recorded").drop_duplicates()
    who = "; ".join(f"{row.model}, {row.asked}" for row in asked.itertuples())
    head = ["", HEART, NOT, OPEN, "factor of odds", "error", "percentiles met"]
    each = ["card", "group", "rate said", "true", "factor of odds", "percentiles met"]
    each += ["error", "error, all percentiles", "verdict"]
    return (
        "# What the model knows by heart\n\n"
        f"## Verdicts\n\n{markdown(line(head), summary)}\n"
        f"Cards by verdict; medians over the cards.\n\n{CAPTION}\n\n"
        f"Asked (model, day): {who}. The records name no version of the model.\n\n"
        f"## Each card\n\n{markdown(line(each), cards)}"
    )


def _number(value: float | None) -> str:
    """Write a number with three digits, or that there is none."""
    return "-" if value is None or np.isnan(value) else f"{value:.3f}"


def _run(options: argparse.Namespace) -> int:
    """Audit the chosen cards, unless only the report is wanted, and write it."""
    file = ResultFile(options.out, COLUMNS, KEY)
    if not options.report:
        chosen = cards_of(options.cards)
        # Seconds for all of them: what was there is measured again.
        file.forget([(card,) for card in chosen])
        progress = Progress(len(chosen))

        def rows() -> Iterator[Row]:
            for card in chosen:
                about = {"card": card, "group": group_of(card)}
                yield about | audit(load(card), recorded_knowledge(card))
                progress.step()

        keep(file, rows(), {"seed": SEED, "cards": chosen})
    publish(table_of(file.read()), options.out.with_suffix(".md"))
    return 0


def _parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = make_parser("memory-audit", __doc__)
    add_out(parser, RESULTS / "memory-audit.csv")
    every = ["all", "development-large", "worlds"]
    parser.add_argument(
        "--cards", nargs="+", default=every, metavar="CARD", help="cards or groups"
    )
    return parser
