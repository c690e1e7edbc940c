"""How many labels it takes, by who chooses the rows: the model, chance, or doubt.

Everything starts from one row of each class (two rows, in a regression) and a prior,
and chooses more from a pool. The model is fitted again at each of the sizes below; all
that are added in between are chosen at once.

    python -m benchmarks labelling --cards packaged        no download
    python -m benchmarks labelling --report                only the table again
"""

from __future__ import annotations

import argparse
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import entr, expit

from benchmarks.data.catalogue import RESULTS, cards_of
from benchmarks.data.datasets import Dataset, load
from benchmarks.data.knowledge import recorded_knowledge
from benchmarks.data.results import ResultFile
from benchmarks.experiments.runner import Row, add_out, measure_groups
from benchmarks.methods.misled import shuffled
from benchmarks.programs import make_parser, publish, run_program
from benchmarks.reporting import metrics
from benchmarks.reporting.metrics import FloatArray
from benchmarks.reporting.shapes import PLACES
from benchmarks.reporting.tables import markdown
from llmreg import LLMAttributionClassifier, LLMAttributionRegressor
from llmreg.prior import FeaturePrior

SIZES = (4, 6, 8, 12, 16, 24, 32, 48, 64)
_SHOWN = (4, 8, 16, 32, 64)
#: Shares of the way from the first rows to all rows of the pool.
GOALS = (0.9, 0.95, 0.99)
SEED, REPETITIONS = 0, 2
_POOL, _MOST_TEST, _LEAST_WAY = 500, 1_000, 0.005
OURS, ALL = "rank_unlabelled", "all rows"
KEY = ("card", "prior", "strategy", "repetition", "labels")
#: The score is the ROC AUC, or R2 in a regression, which has no log loss.
COLUMNS = (*KEY, "score", "log_loss", "run")

#: Takes a model, the rows, how many to choose and a source of chance.
Strategy = Callable[[Any, pd.DataFrame, int, np.random.Generator], Any]


def _uncertain(model: Any, X: pd.DataFrame, n_rows: int, _: Any) -> Any:
    """Choose the rows whose class, or whose number, the model is least sure of."""
    if hasattr(model, "classes_"):
        p = np.sort(model.predict_proba(X), axis=1)
        return np.argsort(p[:, -1] - p[:, -2], kind="stable")[:n_rows]
    return np.argsort(-model.predict(X, return_std=True)[1], kind="stable")[:n_rows]


def _informative(model: Any, X: pd.DataFrame, n_rows: int, _: Any) -> Any:
    """Choose by the mutual information of a row's label and the model (BALD)."""
    mean, deviation = model._uncertain(X)
    if not hasattr(model, "classes_"):
        return np.argsort(-deviation[:, 0], kind="stable")[:n_rows]
    nodes, weight = np.polynomial.hermite_e.hermegauss(20)
    p = expit(mean[..., None] + deviation[..., None] * nodes)
    weight = weight / weight.sum()
    each, whole = entr(p) + entr(1 - p), p @ weight
    told = (entr(whole) + entr(1 - whole) - each @ weight).sum(axis=1)
    return np.argsort(-told, kind="stable")[:n_rows]


STRATEGIES: Mapping[str, Strategy] = {
    "random": lambda model, X, n_rows, rng: rng.permutation(len(X))[:n_rows],
    "uncertainty": _uncertain,
    "mutual information": _informative,
    OURS: lambda model, X, n_rows, rng: model.rank_unlabelled(X, n_rows),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program as `run_program` does."""
    return run_program(_run, _parser(), arguments)


def measure(card: str, repetitions: int) -> Iterator[Row]:
    """Yield the rows of one table."""
    dataset = load(card)
    for number in range(repetitions):
        priors = {
            "curves": recorded_knowledge(card),
            "scores": dataset.prior,
            "scores, shuffled": shuffled(dataset.prior, number),
        }
        for name, prior in priors.items():
            # The same rows whatever the prior.
            rng = np.random.default_rng([SEED, number, zlib.crc32(card.encode())])
            for strategy, labels, found in _label(dataset, prior, rng):
                score = found.get("roc_auc", found.get("r2"))
                values = (card, name, strategy, number, labels, score)
                yield dict(zip(COLUMNS, (*values, found.get("log_loss")), strict=False))


def _label(
    dataset: Dataset, prior: FeaturePrior, rng: np.random.Generator
) -> Iterator[tuple[str, int, Mapping[str, float]]]:
    """Yield strategies, numbers of labels, and what was measured on other rows."""
    y = dataset.y.to_numpy()
    order = rng.permutation(len(y))
    pool, test = np.split(order, [min(_POOL, 2 * len(y) // 3)])
    X, y_pool, test = dataset.X.iloc[pool], y[pool], test[:_MOST_TEST]

    def fit(labelled: Sequence[int]) -> tuple[Any, Mapping[str, float]]:
        kind = LLMAttributionClassifier if dataset.classes else LLMAttributionRegressor
        model = kind(prior, trees=None, random_state=0)
        model.fit(X.iloc[labelled], y_pool[labelled])
        return model, metrics.measure(
            dataset, y[test], _scores(dataset, model, dataset.X.iloc[test]), True
        )

    start = [0, 1]
    if dataset.classes:
        start = [int(np.argmax(y_pool == label)) for label in dataset.classes]
    first = fit(start)
    yield ALL, len(pool), fit(range(len(pool)))[1]
    for name, strategy in STRATEGIES.items():
        labelled, (model, found) = list(start), first
        yield name, len(start), found
        for size in SIZES:
            if not len(labelled) < size < len(pool):
                continue
            rest = np.setdiff1d(np.arange(len(pool)), labelled)
            more = strategy(model, X.iloc[rest], size - len(labelled), rng)
            labelled += rest[more].tolist()
            model, found = fit(labelled)
            yield name, size, found


def _scores(dataset: Dataset, model: Any, X: pd.DataFrame) -> FloatArray:
    """Return what is measured: of the positive class, of all, or a number."""
    if not dataset.classes:
        return np.asarray(model.predict(X))
    wanted = [dataset.positive] if dataset.positive else dataset.classes
    columns = [list(model.classes_).index(label) for label in wanted]
    p = model.predict_proba(X)[:, columns]
    return np.asarray(p[:, 0] if dataset.positive else p)


def labels_needed(sizes: Sequence[int], scores: FloatArray, goal: float) -> float:
    """Return when scores reach a goal, between two sizes by the line; NaN if never."""
    reached = np.flatnonzero(scores >= goal)
    if not reached.size:
        return np.nan
    after = reached[0]
    if not after:
        return float(sizes[0])
    pair = slice(after - 1, after + 1)
    return float(np.interp(goal, scores[pair], sizes[pair]))


def table_of(results: pd.DataFrame, measured: str) -> str:
    """Write means over the draws, then the tables; and the labels that are needed."""
    place_of = {card: name for name, cards in PLACES.items() for card in cards}
    frame = results.assign(place=results["card"].map(place_of)).dropna(
        subset=[measured]
    )
    # The first rows of some tables are three or more, and stand at smaller sizes too.
    is_ours = frame["strategy"] != ALL
    first = frame.groupby(["card", "strategy"])["labels"].transform("min")
    frame["labels"] = frame["labels"].mask(is_ours & (frame["labels"] == first), 2)
    frame["labels"] = frame["labels"].where(is_ours, 0)
    by = ["place", "prior", "strategy"]
    each = frame.groupby([*by, "card", "labels"])[measured].mean().unstack()
    mean = each.ffill(axis=1).groupby(by).mean()
    lines = []
    for place in PLACES:
        for prior in dict.fromkeys(frame["prior"]):
            if (place, prior) not in mean.index:
                continue
            full = mean.loc[(place, prior, ALL), 0]
            for strategy in STRATEGIES:
                line = mean.loc[(place, prior, strategy)].dropna()
                cells = [f"{line.get(size, np.nan):.3f}" for size in (2, *_SHOWN)]
                needed = _needed(line, full) if measured == "score" else []
                lines.append([place, prior, strategy, *cells, f"{full:.3f}", *needed])
    shares = [f"{goal:.0%}" for goal in GOALS] if measured == "score" else []
    head = ["tables", "prior", "rows chosen by", "start", *map(str, _SHOWN), "all"]
    return markdown(f"| {' | '.join([*head, *shares])} |", lines)


def _needed(line: pd.Series[float], full: float) -> list[str]:
    """Write how many labels go each share of the way, where there is a way to go."""
    start = line.iloc[0]
    if full - start < _LEAST_WAY:
        return ["" for _ in GOALS]
    sizes, scores = line.index.to_list(), line.to_numpy()
    found = [labels_needed(sizes, scores, start + g * (full - start)) for g in GOALS]
    return [f"> {SIZES[-1]}" if np.isnan(one) else f"{one:.0f}" for one in found]


def beside_random(results: pd.DataFrame) -> str:
    """Write means over 4 to 64 labels less those of rows drawn by chance, by table."""
    place_of = {card: name for name, cards in PLACES.items() for card in cards}
    kept = "to choose on", "regression"
    place = results["card"].map(place_of).replace("cell_capacity", "regression")
    frame = results.assign(place=place.where(place.isin(kept), "not chosen on"))
    frame = frame[frame["labels"].isin(SIZES)]
    lines = []
    for (where, prior), part in frame.groupby(["place", "prior"]):
        by_card = part.groupby(["card", "strategy"])[["score", "log_loss"]].mean()
        cells = []
        for measured in ("score", "log_loss"):
            wide = by_card[measured].unstack()
            for strategy in list(STRATEGIES)[1:]:
                gap = (wide[strategy] - wide["random"]).dropna()
                error = gap.std() / np.sqrt(max(len(gap), 1))
                cells.append(f"{gap.mean():+.3f} ± {error:.3f}" if len(gap) else "")
        lines.append([str(where), str(prior), str(len(wide)), *cells])
    names = [*list(STRATEGIES)[1:], *(f"{one}, loss" for one in list(STRATEGIES)[1:])]
    return markdown(f"| {' | '.join(['on', 'prior', 'tables', *names])} |", lines)


def write(results: pd.DataFrame) -> str:
    """Write the tables, and what their columns are."""
    first = (
        "Mean ROC AUC (R2) over 4 to 64 labels, and mean log loss, less those of rows "
        "drawn by chance: means over the tables and their standard errors.\n\n"
    )
    note = (
        "\nROC AUC (R2 in a regression), the means over the draws of a table and then "
        "over the tables, by the number of labels; all: of all rows of the pool. Then "
        "the labels with which the mean has gone a share of the way from the start to "
        f"all rows, where that is {_LEAST_WAY} or more.\n\n"
    )
    loss = "\nLog loss of the same.\n\n"
    each = table_of(results, "score") + loss + table_of(results, "log_loss")
    return first + beside_random(results) + note + each


def _run(options: argparse.Namespace) -> int:
    """Measure the chosen cards, unless only the report is wanted, and write it."""
    file = ResultFile(options.out, COLUMNS, KEY)
    if not options.report:
        cards = [(card, options.repetitions) for card in cards_of(options.cards)]
        done = {(key[0], options.repetitions) for key in file.finished()}
        settings = {"seed": SEED, "repetitions": options.repetitions}
        measure_groups(file, cards, done, measure, settings)
    publish(write(file.read()), options.out.with_suffix(".md"))
    return 0


def _parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = make_parser("labelling", __doc__)
    add_out(parser, RESULTS / "labelling.csv")
    add = parser.add_argument
    every = [card for cards in PLACES.values() for card in cards]
    add("--cards", nargs="+", default=every, metavar="CARD", help="cards or groups")
    add("--repetitions", type=int, default=REPETITIONS, metavar="N", help="draws (2)")
    return parser
