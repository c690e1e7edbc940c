"""How often intervals of outcomes and of probabilities hold what they say they hold.

Outcomes are those of regressions. Of probabilities nobody knows the true ones, so
labels are drawn from a model over real rows: its weights are drawn from what so many of
the rows' own labels leave open. The calibration error is that of the real labels.

    python -m benchmarks uncertainty --cards titanic salaries
    python -m benchmarks uncertainty --report               only the table again
"""

from __future__ import annotations

import argparse
import zlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import softmax

from benchmarks.data.catalogue import RESULTS, cards_of
from benchmarks.data.datasets import Dataset, load
from benchmarks.data.knowledge import recorded_knowledge
from benchmarks.data.results import ResultFile
from benchmarks.experiments.runner import Row, add_out, measure_groups
from benchmarks.programs import make_parser, publish, run_program
from benchmarks.reporting.metrics import FloatArray
from benchmarks.reporting.tables import markdown
from llmreg import LLMAttributionClassifier, LLMAttributionRegressor
from llmreg.prior import FeaturePrior

SIZES = (5, 10, 25, 50, 100, 200)
#: Labels that tell the model from which labels are drawn, and the rows that show it
#: what values there are.
LABELS, _SHOWN = (5, 25), 499
LEVEL, SEED, REPETITIONS = 0.9, 0, 8
CARDS = (
    *("auto-mpg", "carseats", "college-outstate", "diabetes-progression", "salaries"),
    *("wage", "concrete", "ames", "titanic", "low-birth-weight", "credit-default"),
    *("breast-cancer-wisconsin", "churn", "doctor-visits", "orange-juice"),
    *("auto-mpg>median", "carseats>median"),
)
_MOST_TEST, _FEWEST_TEST = 1_000, 20
_N_BINS = 10
OUTCOME, CALIBRATION = "outcome", "calibration error"
KEY = ("card", "prior", "of", "rows", "repetition")
#: The share of what is within its interval, or the calibration error; and the width.
COLUMNS = (*KEY, "found", "width", "run")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program as `run_program` does."""
    return run_program(_run, _parser(), arguments)


def measure(card: str, repetitions: int) -> Iterator[Row]:
    """Yield the rows of one table."""
    dataset = load(card)
    one = _outcomes if dataset.kind == "regression" else _probabilities
    priors = {"curves": recorded_knowledge(card), "scores": dataset.prior}
    for name, prior in priors.items():
        for n_rows in SIZES:
            for number in range(repetitions):
                rng = np.random.default_rng(
                    [SEED, number, n_rows, zlib.crc32(card.encode())]
                )
                order = rng.permutation(len(dataset.X))
                train, test = order[:n_rows], order[n_rows:][:_MOST_TEST]
                if len(test) < _FEWEST_TEST:
                    continue
                for of, found, width in one(dataset, prior, train, test, rng):
                    values = (card, name, of, n_rows, number, found, width)
                    yield dict(zip(COLUMNS, values, strict=False))


Found = Iterator[tuple[str, float, float]]


def _outcomes(
    dataset: Dataset, prior: FeaturePrior, train: Any, test: Any, rng: Any
) -> Found:
    """Tell how many outcomes are in their intervals; widths in standard deviations."""
    y = dataset.y.to_numpy(dtype=np.float64)
    model = LLMAttributionRegressor(prior, trees=None, random_state=0)
    model.fit(dataset.X.iloc[train], y[train])
    ends = model.predict_interval(dataset.X.iloc[test], LEVEL)
    yield OUTCOME, *_covered(y[test], ends, float(y.std()))


def _probabilities(
    dataset: Dataset, prior: FeaturePrior, train: Any, test: Any, rng: Any
) -> Found:
    """Tell how many true probabilities are in their intervals."""
    y, both = dataset.y.to_numpy(), np.concatenate([train, test])
    if len(np.unique(y[train])) == len(np.unique(y)):
        model = LLMAttributionClassifier(prior, trees=None, random_state=0)
        found = model.fit(dataset.X.iloc[train], y[train])
        p = found.predict_proba(dataset.X.iloc[test])
        truth = y[test][:, None] == model.classes_
        yield CALIBRATION, calibration_error(truth, p), np.nan
    shown = rng.permutation(len(y))[:_SHOWN]
    for n_labels in LABELS:
        known = LLMAttributionClassifier(prior, trees=None, random_state=0)
        weight = np.full(len(shown), n_labels / len(shown))
        known.fit(dataset.X.iloc[shown], y[shown], sample_weight=weight)
        p = draw_probabilities(known, dataset.X.iloc[both], rng)
        drawn = (rng.random(len(p))[:, None] > p.cumsum(axis=1)).sum(axis=1)
        labels = known.classes_[np.minimum(drawn, p.shape[1] - 1)][: len(train)]
        if len(np.unique(labels)) < len(known.classes_):
            continue
        model = LLMAttributionClassifier(prior, trees=None, random_state=0)
        model.fit(dataset.X.iloc[train], labels)
        ends = model.predict_proba_interval(dataset.X.iloc[test], LEVEL)
        yield f"probability, {n_labels} labels", *_covered(p[len(train) :], ends)


def draw_probabilities(model: Any, X: pd.DataFrame, rng: Any) -> FloatArray:
    """Draw a model from what is known of one, and return its probabilities."""
    logits, _ = model._uncertain(X)
    posterior, columns = model._known(X)
    for k, factor in enumerate(posterior.factors(columns)):
        logits[:, k] += factor @ rng.normal(size=factor.shape[1])
    if logits.shape[1] == 1:
        logits = np.hstack([np.zeros_like(logits), logits])
    return np.asarray(softmax(logits, axis=1))


def calibration_error(truth: Any, p: FloatArray) -> float:
    """Return the mean distance of probabilities and shares, in bins of equal size."""
    pairs = zip(np.transpose(truth[:, 1:]), p[:, 1:].T, strict=True)
    gaps = []
    for own, of in pairs:
        for part in np.array_split(np.argsort(of, kind="stable"), _N_BINS):
            gaps.append(abs(own[part].mean() - of[part].mean()))
    return float(np.mean(gaps))


def _covered(truth: Any, ends: FloatArray, unit: float = 1.0) -> tuple[float, float]:
    low, high = ends[..., 0], ends[..., 1]
    within = (truth >= low) & (truth <= high)
    return float(within.mean()), float((high - low).mean() / unit)


def table_of(results: pd.DataFrame) -> str:
    """Write the means over the tables, and how wide intervals are."""
    by_card = results.groupby(["of", "prior", "rows", "card"])[["found", "width"]]
    means = by_card.mean().groupby(["of", "prior", "rows"])
    mean, n_cards = means.mean(), means.size()
    lines = []
    for of, prior in dict.fromkeys((of, prior) for of, prior, _ in mean.index):
        cells = []
        for n_rows in SIZES:
            if (of, prior, n_rows) not in mean.index:
                cells.append("")
                continue
            found, width = mean.loc[of, prior, n_rows]
            wide = "" if np.isnan(width) else f" ({width:.2f})"
            cells.append(f"{found:.3f}{wide}")
        lines.append([of, prior, str(n_cards[of, prior].max()), *cells])
    error = results.groupby(["of", "prior", "rows"])["found"].sem().max()
    note = (
        f"Share of what lies in its {LEVEL:.0%} interval, in brackets the mean width: "
        "in standard deviations of the target, or in probability. Means over the draws "
        "of a table, then over the tables; standard errors over draws of up to "
        f"{error:.3f}.\n\n"
    )
    return note + markdown(
        f"| of | prior | tables | {' | '.join(map(str, SIZES))} rows |", lines
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
    parser = make_parser("uncertainty", __doc__)
    add_out(parser, RESULTS / "uncertainty.csv")
    add = parser.add_argument
    add("--cards", nargs="+", default=CARDS, metavar="CARD", help="cards or groups")
    add("--repetitions", type=int, default=REPETITIONS, metavar="N", help="draws (8)")
    return parser
