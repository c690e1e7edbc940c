"""What is predicted before the first row: recorded knowledge, and nothing trained.

All rows of a table are predicted by `from_prior`, and held against what is known
without any column: base rates of classes, the middle of a target.

    python -m benchmarks no-rows --cards packaged       no download
    python -m benchmarks no-rows --report               only the table again
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from sklearn.metrics import log_loss

from benchmarks.data.catalogue import RESULTS, WORLDS, cards_of
from benchmarks.data.datasets import Dataset, load
from benchmarks.data.knowledge import recorded_knowledge
from benchmarks.data.results import ResultFile
from benchmarks.experiments.knowledge import rank
from benchmarks.experiments.runner import Row, add_out, measure_groups
from benchmarks.methods.curves import effects
from benchmarks.programs import make_parser, publish, run_program
from benchmarks.reporting.metrics import FloatArray, measure
from benchmarks.reporting.tables import markdown
from llmreg import LLMAttributionClassifier, LLMAttributionRegressor
from llmreg.prior import FeaturePrior

LEVEL = 0.9
KEY = ("card", "prior")
#: By the model, by what is known without a column, and by the sum of curves.
COLUMNS = (*KEY, "roc_auc", "roc_auc_sum", "log_loss", "log_loss_known")
COLUMNS += ("r2", "r2_known", "inside", "run")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program as `run_program` does."""
    return run_program(_run, _parser(), arguments)


def scores_of(prior: FeaturePrior) -> FeaturePrior:
    """Leave scores of curves, over the typical range or all of the curve."""
    ranges = {
        name: (curve.values[0], float(np.median(curve.values)), curve.values[-1])
        for name, curve in prior.curves.items()
    }
    return replace(prior, curves={}, ranges={**ranges, **prior.ranges})


def predict(card: str) -> Iterator[Row]:
    """Measure one table, with curves and with the scores that they sum up to."""
    dataset, prior = load(card), recorded_knowledge(card)
    sums = rank(dataset, effects(prior, dataset.X).sum(axis=1))
    for name, known in (("curves", prior), ("scores", scores_of(prior))):
        found = _regression if dataset.kind == "regression" else _classification
        row = {"card": card, "prior": name, **found(dataset, known)}
        yield row | {"roc_auc_sum": sums.get("roc_auc", np.nan)}


def _classification(dataset: Dataset, prior: FeaturePrior) -> Row:
    model = LLMAttributionClassifier.from_prior(prior, classes=dataset.classes)
    found = model.predict_proba(dataset.X[model.feature_names_in_])
    y, classes = dataset.y.to_numpy(), list(model.classes_)
    rates = np.array([prior.base_rates[str(name)].rate for name in classes])
    without = np.broadcast_to(rates / rates.sum(), found.shape)
    places = [classes.index(name) for name in dataset.classes]
    scores = found[:, places]
    if dataset.positive is not None:
        scores = found[:, classes.index(dataset.positive)]
    return {
        "roc_auc": measure(dataset, y, scores, probabilities=False)["roc_auc"],
        "log_loss": log_loss(y, found, labels=classes),
        "log_loss_known": log_loss(y, without, labels=classes),
    }


def _regression(dataset: Dataset, prior: FeaturePrior) -> Row:
    model = LLMAttributionRegressor.from_prior(prior)
    X, y = dataset.X[model.feature_names_in_], dataset.y.to_numpy()

    def r2(found: FloatArray) -> float:
        return measure(dataset, y, found, probabilities=False)["r2"]

    low, high = model.predict_interval(X, LEVEL).T
    middle = np.full(len(y), prior.target_ranges["target"].middle)
    inside = float(np.mean((low <= y) & (y <= high)))
    return {"r2": r2(model.predict(X)), "r2_known": r2(middle), "inside": inside}


def table_of(results: pd.DataFrame) -> str:
    """Write the means over tables, public and unpublished, and each table."""
    numbers = list(COLUMNS[len(KEY) : -1])
    is_world = results["card"].isin(WORLDS)
    side = np.where(is_world, "unpublished", "public")
    kind = np.where(results["r2"].isna(), "classes", "targets")
    parts = [results.groupby([side, kind, "prior"])[numbers].mean()]
    parts.append(results.set_index(["card", "prior"])[numbers])
    lines = [
        [" ".join(key), *("" if np.isnan(x) else f"{x:.3f}" for x in row)]
        for part in parts
        for key, row in zip(part.index, part.to_numpy("float64"), strict=True)
    ]
    head = "| tables | ROC AUC | of the sum of curves | log loss | of base rates | R2 "
    return markdown(f"{head}| of the middle | in intervals of {LEVEL:g} |", lines)


def _run(options: argparse.Namespace) -> int:
    """Measure the chosen cards, unless only the report is wanted, and write it."""
    file = ResultFile(options.out, COLUMNS, KEY)
    if not options.report:
        cards = [(card,) for card in cards_of(options.cards)]
        done = {key[:1] for key in file.finished()}
        measure_groups(file, cards, done, predict, {})
    publish(table_of(file.read()), options.out.with_suffix(".md"))
    return 0


def _parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = make_parser("no-rows", __doc__)
    add_out(parser, RESULTS / "no-rows.csv")
    every = ["all", "development-large", "worlds"]
    help_ = "cards or groups of them"
    parser.add_argument("--cards", nargs="+", default=every, metavar="CARD", help=help_)
    return parser
