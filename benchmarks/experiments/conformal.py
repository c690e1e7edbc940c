"""Conformal intervals, sets and temperature scaling on tables of sixty rows.

Sixty rows of a table are all that there is: some of them train the model, the others
calibrate it, or ten folds do both. What is promised is held against all other rows.

    python -m benchmarks conformal --cards titanic    one table
    python -m benchmarks conformal --report           only the table again
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from sklearn.calibration import CalibratedClassifierCV
from sklearn.metrics import log_loss

from benchmarks.data.catalogue import RESULTS, cards_of
from benchmarks.data.datasets import load
from benchmarks.data.knowledge import recorded_knowledge
from benchmarks.data.results import ResultFile
from benchmarks.experiments.runner import Row, add_out, measure_groups
from benchmarks.programs import make_parser, publish, run_program
from benchmarks.reporting.tables import markdown
from llmreg import LLMAttributionClassifier, LLMAttributionRegressor

LEVEL, ROWS, FOLDS, SEED = 0.9, 60, 10, 0
#: Rows that calibrate; 0 stands for all of them in turn, by folds. MAPIE makes no set
#: out of fewer than ten.
HELD = {"regression": (9, 19, 0), "classification": (10, 19, 0)}
CARDS = ("auto-mpg", "salaries", "titanic", "low-birth-weight")
REPETITIONS = 100
KEY = ("card", "method", "repetition")
COLUMNS = (*KEY, "coverage", "size", "log_loss", "run")
#: Of any model that was fitted on a DataFrame: MAPIE asks it about a row of zeros.
NO_NAMES = "X does not have valid feature names"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program as `run_program` does."""
    return run_program(_run, _parser(), arguments)


def measure(card: str, repetition: int) -> Iterator[Row]:
    """Measure every way of calibration on one draw of sixty rows."""
    dataset, prior = load(card), recorded_knowledge(card)
    is_regression = dataset.kind == "regression"
    y = dataset.y.to_numpy()
    model: Any = LLMAttributionRegressor(prior)
    if not is_regression:
        # Temperature scaling numbers the classes, so the prior is not to name one.
        y = (y == dataset.positive).astype(int)
        prior = replace(prior, outputs=("target",), base_rates={})
        model = LLMAttributionClassifier(prior)
    # Of one text and not salted, so that every run draws the same rows.
    rng = np.random.default_rng([SEED, repetition, *card.encode()])
    rows = rng.permutation(len(y))
    train, test = rows[:ROWS], rows[ROWS:]
    split = dataset.X.iloc[train], y[train], dataset.X.iloc[test]
    name = {"card": card, "repetition": repetition}
    for held in HELD[dataset.kind]:
        method = f"{held} rows" if held else f"{FOLDS} folds"
        of = _intervals if is_regression else _sets
        found = of(model, *split, held)
        if is_regression:
            low, high = found.T
            inside = (low <= y[test]) & (y[test] <= high)
            size = np.mean(high - low) / np.subtract(*np.quantile(y, (0.95, 0.05)))
        else:
            inside, size = found[np.arange(len(test)), y[test]], found.sum(1).mean()
        measured = {"coverage": float(inside.mean()), "size": float(size)}
        yield {**name, "method": method, **measured}
    if not is_regression:
        scaled = CalibratedClassifierCV(
            model, method="temperature", cv=5, ensemble=False
        )
        for method, each in (("as it is", model), ("temperature", scaled)):
            proba = each.fit(*split[:2]).predict_proba(split[2])
            yield {**name, "method": method, "log_loss": log_loss(y[test], proba)}


def _intervals(
    model: Any, X: pd.DataFrame, y: np.ndarray, X_test: pd.DataFrame, held: int
) -> np.ndarray:
    """Return low and high ends, of shape (n_rows, 2)."""
    from mapie.regression import CrossConformalRegressor, SplitConformalRegressor

    if held:
        made = SplitConformalRegressor(model, LEVEL, prefit=False)
        made.fit(X[held:], y[held:]).conformalize(X[:held], y[:held])
    else:
        made = CrossConformalRegressor(model, LEVEL, cv=FOLDS, random_state=SEED)
        made.fit_conformalize(X, y)
    # Without it nine rows are refused, which are enough.
    return made.predict_interval(X_test, allow_infinite_bounds=True)[1][..., 0]


def _sets(
    model: Any, X: pd.DataFrame, y: np.ndarray, X_test: pd.DataFrame, held: int
) -> np.ndarray:
    """Return which classes are in the sets, of shape (n_rows, n_classes)."""
    from mapie.classification import CrossConformalClassifier, SplitConformalClassifier

    if held:
        made = SplitConformalClassifier(model, LEVEL, prefit=False)
        made.fit(X[held:], y[held:]).conformalize(X[:held], y[:held])
    else:
        made = CrossConformalClassifier(model, LEVEL, cv=FOLDS, random_state=SEED)
        made.fit_conformalize(X, y)
    return made.predict_set(X_test)[1][..., 0]


def table_of(results: pd.DataFrame) -> str:
    """Write means over the draws in markdown, and the coverage of the unlucky ones."""
    lines = []
    for (card, method), rows in results.groupby(["card", "method"], sort=False):
        coverage = rows["coverage"]
        means = rows[["coverage", "size", "log_loss"]].mean()
        cells = [
            means["coverage"],
            coverage.quantile(0.05),
            *means[["size", "log_loss"]],
        ]
        lines.append(
            [card, method, *("" if np.isnan(each) else f"{each:.2f}" for each in cells)]
        )
    return markdown(
        "| table | calibrated by | coverage, mean | 5% of the draws have less than | "
        "size | log loss |",
        lines,
    )


def _run(options: argparse.Namespace) -> int:
    """Measure the chosen cards, unless only the report is wanted, and write it."""
    file = ResultFile(options.out, COLUMNS, KEY)
    if not options.report:
        done = {(key[0], key[2]) for key in file.finished()}
        every = [
            (card, repetition)
            for card in cards_of(options.cards)
            for repetition in range(options.repetitions)
        ]
        settings = {"seed": SEED, "repetitions": options.repetitions}
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", NO_NAMES, UserWarning)
            measure_groups(file, every, done, measure, settings)
    publish(table_of(file.read()), options.out.with_suffix(".md"))
    return 0


def _parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = make_parser("conformal", __doc__)
    add_out(parser, RESULTS / "conformal.csv")
    add = parser.add_argument
    add("--cards", nargs="+", default=CARDS, metavar="CARD", help="cards or groups")
    add("--repetitions", type=int, default=REPETITIONS, metavar="N", help="draws (100)")
    return parser
