"""What recorded response curves are worth before any model is trained with them.

For every data set with recorded knowledge: how well the sum of the curves ranks all
rows, beside the sum of scores times features, and how much of that is left with one
answer, with fewer knots, with straight lines, or with the percentiles of the rows in
the place of those that were said; how far two answers agree; how far percentiles and
base rates that were said are from the true ones; how long the answers are. No model is
asked and none is trained.

    python -m benchmarks knowledge                        all cards
    python -m benchmarks knowledge --cards packaged       no download
    python -m benchmarks knowledge --report               only redraw tables and plot

Tables that are public and those that nobody has published (worlds) are kept apart in
every report: what only the public ones show may be memory.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import softmax

from benchmarks.data.catalogue import RESULTS, cards_of, path_of
from benchmarks.data.datasets import Dataset, load
from benchmarks.data.knowledge import read_knowledge, recorded_knowledge
from benchmarks.data.results import note_run
from benchmarks.experiments.runner import Row, add_out
from benchmarks.methods.baselines import exponential, make_encoder, of_columns
from benchmarks.methods.curves import effects
from benchmarks.programs import Progress, make_parser, publish, run_program
from benchmarks.reporting import knowledge as report
from benchmarks.reporting.knowledge import plot
from benchmarks.reporting.metrics import FloatArray, measure, pearson
from llmreg.prior import FeaturePrior, ResponseCurve, TypicalRange

#: Nothing is drawn: all rows are ranked.
SEED = 0
#: What an effect of 1 is in log-odds where classes are weighed against one another.
LOGITS = 0.3
#: Characters of a token, roughly.
CHARACTERS = 4
PERCENTILES = (0.05, 0.5, 0.95)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program as `run_program` does."""
    errors = (FileNotFoundError,)
    return run_program(_run, _parser(), arguments, errors=errors, stopped="Stopped.")


def _run(options: argparse.Namespace) -> int:
    """Measure the cards, unless only the report is wanted, and write it."""
    if not options.report:
        _compute(options)
    worth, said, cards = (pd.read_csv(path) for path in _files(options.out))
    publish(report.tables(worth, said, cards), options.out.with_suffix(".md"))
    plot(worth, said, options.out.with_suffix(".png"))
    return 0


def _compute(options: argparse.Namespace) -> None:
    """Measure the chosen cards, and put them in the place of earlier results."""
    chosen = cards_of(options.cards)
    found: tuple[list[Row], ...] = ([], [], [])
    progress = Progress(len(chosen))
    for name in chosen:
        table = Table.of(name)
        about = {"card": name, "group": report.group_of(name)}
        about["task"] = table.dataset.task
        rows = (worth(table), said_and_true(table), [agreement(table)])
        for those, new in zip(found, rows, strict=True):
            those += [about | row for row in new]
        progress.step()
    note_run(options.out, {"seed": SEED, "cards": chosen})
    for path, new in zip(_files(options.out), found, strict=True):
        _replace_rows(path, pd.DataFrame(new))


def _replace_rows(path: Path, new: pd.DataFrame) -> None:
    """Write rows to a result file, in the place of those about the same cards."""
    if path.exists():
        old = pd.read_csv(path)
        new = pd.concat([old[~old["card"].isin(new["card"])], new])
        new = new.sort_values("card", key=report.places_of, kind="stable")
    new.to_csv(path, index=False, float_format="%.6g", lineterminator="\n")


def _files(out: Path) -> tuple[Path, Path, Path]:
    """Name the result files."""
    return (
        out,
        out.with_name(f"{out.stem}-said.csv"),
        out.with_name(f"{out.stem}-cards.csv"),
    )


@dataclass(frozen=True, eq=False)
class Table:
    """The rows of a data set, and what is known about it: of each answer, and of all.

    `encoded` has the shape (n_rows, n_columns): the columns of numbers first, scaled to
    [0, 1], then one for every level.
    """

    dataset: Dataset
    prior: FeaturePrior
    answers: tuple[FeaturePrior, ...]
    numeric: tuple[str, ...]
    encoded: FloatArray

    @classmethod
    def of(cls, name: str) -> Table:
        """Load a table and its knowledge."""
        dataset = load(name)
        n_answers = len(read_knowledge(name)["estimates"])
        return cls(
            dataset,
            recorded_knowledge(name),
            tuple(recorded_knowledge(name, [i]) for i in range(n_answers)),
            tuple(dataset.X.select_dtypes("number")),
            make_encoder(dataset).fit_transform(dataset.X),
        )

    def curves(self, prior: FeaturePrior, X: pd.DataFrame | None = None) -> FloatArray:
        """Sum the effects of each row; of shape (n_rows, n_outputs)."""
        return effects(prior, self.dataset.X if X is None else X).sum(axis=1)

    def scores(
        self,
        prior: FeaturePrior,
        transform: Callable[[FloatArray], FloatArray] = np.array,
        scale: Callable[[str, FloatArray], FloatArray] | None = None,
        rise: float = 1.0,
    ) -> FloatArray:
        """Sum scores times columns; of shape (n_rows, n_outputs).

        `scale` turns the values of a column of numbers into what is multiplied, in the
        place of [0, 1]; `rise` is how much a score is over a width of 1 of them.
        """
        of_prior = replace(self.dataset, prior=prior)
        encoder = make_encoder(of_prior).fit(of_prior.X)
        weights = transform(of_columns(of_prior, encoder, prior.scores))
        encoded = self.encoded.copy()
        for number, name in enumerate(self.numeric):
            if scale is not None:
                x = self.dataset.X[name].to_numpy("float64")
                encoded[:, number] = scale(name, x)
        weights[: len(self.numeric)] *= rise
        return np.asarray(encoded @ weights)

    def by_range(self, name: str, x: FloatArray) -> FloatArray:
        """Scale a column so that the typical range that was said has a width of 1."""
        said = self.prior.ranges.get(name) or TypicalRange(x.min(), x.mean(), x.max())
        width = said.high - said.low
        return (x - said.middle) / (width if width > 0 else 1.0)


def _standardised(name: str, x: FloatArray) -> FloatArray:
    """Scale a column of the rows to a mean of 0 and a variance of 1."""
    spread = float(x.std())
    return (x - x.mean()) / (spread if spread > 0 else 1.0)


def simplify(
    curve: ResponseCurve, n_knots: int, typical: TypicalRange | None
) -> ResponseCurve:
    """Keep the knots that stay closest to a curve over its typical range."""
    if len(curve.values) <= n_knots:
        return curve
    if typical is None or typical.low == typical.high:
        low, high = curve.values[[0, -1]]
        typical = TypicalRange(low, (low + high) / 2, high)
    x = np.interp(np.linspace(0.05, 0.95, 37), PERCENTILES, typical[:3])

    def keep(knots: Sequence[int]) -> ResponseCurve:
        return ResponseCurve(curve.values[[*knots]], curve.effects[:, [*knots]])

    def error(knots: Sequence[int]) -> float:
        return float(((keep(knots)(x) - curve(x)) ** 2).sum())

    return keep(min(combinations(range(len(curve.values)), n_knots), key=error))


def with_knots(prior: FeaturePrior, n_knots: int) -> FeaturePrior:
    """Simplify every curve of a prior."""
    curves = {
        name: simplify(curve, n_knots, prior.ranges.get(name))
        for name, curve in prior.curves.items()
    }
    return replace(prior, curves=curves)


def in_said_ranges(table: Table) -> pd.DataFrame:
    """Move the columns so that their percentiles are those that were said.

    Straight between the percentiles and on beyond them. It is the same as to move the
    knots the other way, and what a curve says is then said of the rows' own range.
    """
    X = table.dataset.X.copy()
    for name in table.numeric:
        said = table.prior.ranges.get(name)
        x = X[name].to_numpy("float64")
        true = np.quantile(x, PERCENTILES)
        if said is not None and true[0] < true[2] and said.low < said.high:
            X[name] = _move(x, true, np.array(said[:3]))
    return X


def _move(x: FloatArray, old: FloatArray, new: FloatArray) -> FloatArray:
    """Map three points to three others, and all values along."""
    if not (np.diff(old) > 0).all() or not (np.diff(new) > 0).all():
        # No slope of one half can be told: one for both.
        old, new = old[[0, 2]], new[[0, 2]]
    slopes = np.diff(new) / np.diff(old)
    below, above = np.minimum(x - old[0], 0), np.maximum(x - old[-1], 0)
    within = np.interp(x, old, new)
    return np.asarray(within + slopes[0] * below + slopes[-1] * above)


#: What is summed up, by what it is called.
VARIANTS: Mapping[str, Callable[[Table], FloatArray]] = {
    report.SCORES: lambda t: t.scores(t.dataset.prior),
    report.SCORES_EXP: lambda t: t.scores(t.dataset.prior, exponential),
    "scores, exp, standardised": lambda t: t.scores(
        t.dataset.prior, exponential, _standardised
    ),
    "scores, exp, typical range": lambda t: t.scores(
        t.dataset.prior, exponential, t.by_range
    ),
    # The score of a curve is what its best line rises over half of the range.
    report.STRAIGHT: lambda t: t.scores(t.prior, np.array, t.by_range, rise=2.0),
    report.CURVES: lambda t: t.curves(t.prior),
    "curves, first answer": lambda t: t.curves(t.answers[0]),
    "curves, second answer": lambda t: t.curves(t.answers[-1]),
    "curves, every knot of both": lambda t: np.mean(
        [t.curves(answer) for answer in t.answers], axis=0
    ),
    "curves, 4 knots": lambda t: t.curves(with_knots(t.prior, 4)),
    "curves, 3 knots": lambda t: t.curves(with_knots(t.prior, 3)),
    "curves, 2 knots": lambda t: t.curves(with_knots(t.prior, 2)),
    "curves, percentiles of the rows": lambda t: t.curves(t.prior, in_said_ranges(t)),
    "curves, weighed by confidence": lambda t: t.curves(
        recorded_knowledge(t.dataset.name, weigh=True)
    ),
}


def worth(table: Table) -> Iterator[Row]:
    """Measure how well each sum ranks all rows."""
    for name, sums in VARIANTS.items():
        found = sums(table)
        yield {"variant": name, **rank(table.dataset, found)}
        is_many = table.dataset.task == "multiclass"
        if is_many and name in (report.SCORES, report.CURVES):
            shares = softmax(LOGITS * found, axis=1)
            yield {"variant": f"{name}, softmax", **rank(table.dataset, shares)}


def rank(dataset: Dataset, sums: FloatArray) -> Row:
    """Give the ROC AUC, that of each class by its own sum; or the correlation."""
    y = dataset.y.to_numpy()
    if dataset.kind == "regression":
        found = float(np.nan_to_num(pearson(sums[:, 0], y)))
        return {"correlation": found, "r2": max(0.0, found) ** 2}
    scores = sums if dataset.task == "multiclass" else sums[:, 0]
    return measure(dataset, y, scores, probabilities=False)


def said_and_true(table: Table) -> Iterator[Row]:
    """Hold percentiles and base rates that were said against the true ones.

    The error of a percentile is in true ranges, from the 5th percentile to the 95th; of
    columns with two values, and of those that are nearly constant, there is none.
    """
    dataset, prior = table.dataset, table.prior
    ranges = {name: dataset.X[name] for name in table.numeric if name in prior.ranges}
    of_features = {name: (prior.ranges[name], x) for name, x in ranges.items()}
    of_target = {name: (r, dataset.y) for name, r in prior.target_ranges.items()}
    for what, found in (("feature", of_features), ("target", of_target)):
        for name, (said, x) in found.items():
            true = np.quantile(x.to_numpy("float64"), PERCENTILES)
            if x.nunique() <= 2 or true[0] == true[2]:
                continue
            for share, one, other in zip(PERCENTILES, said[:3], true, strict=True):
                error = abs(one - other) / (true[2] - true[0])
                row = {"said": one, "true": other, "error": error}
                yield {"what": what, "name": name, "percentile": share, **row}
    for name in prior.base_rates if dataset.kind == "classification" else ():
        # The other one of two tells the same again.
        if dataset.positive in (None, name):
            said_rate, true_rate = prior.base_rates[name].rate, (dataset.y == name)
            one, other = said_rate, float(true_rate.mean())
            row = {"said": one, "true": other, "error": abs(one - other)}
            yield {"what": "base rate", "name": name, **row}


def agreement(table: Table) -> Row:
    """Measure how far two answers agree, and how long they are."""
    one, other = table.answers[0], table.answers[-1]
    sums = _correlations(table.curves(one).T, table.curves(other).T)
    curves = [
        value
        for name in table.numeric
        if table.dataset.X[name].nunique() > 2
        for x in [table.dataset.X[name].to_numpy("float64")]
        for value in _correlations(one.curves[name](x), other.curves[name](x))
    ]
    levels = np.array(["=" in key for key in one.features]) & ~np.isnan(one.scores[0])
    effects = _correlations(one.scores[:, levels], other.scores[:, levels])
    name = table.dataset.name
    record = read_knowledge(name)
    scores = json.loads(path_of("priors", table.dataset.card["table"]).read_text())
    return {
        "n_rows": len(table.dataset.X),
        "n_features": table.dataset.X.shape[1],
        "n_outputs": len(one.outputs),
        "agreement_sums": _mean(sums),
        "agreement_curves": _mean(curves),
        "agreement_levels": _mean(effects),
        "tokens_question": tokens(record["questionnaire"] + record["task"]),
        "tokens_curves": np.mean([tokens(each) for each in record["estimates"]]),
        "tokens_scores": np.mean([tokens(each) for each in scores["estimates"]]),
    }


def tokens(what: Any) -> int:
    """Guess the tokens of a text, or of an answer as it would be written."""
    text = what if isinstance(what, str) else json.dumps(what)
    return -(-len(text) // CHARACTERS)


def _correlations(one: FloatArray, other: FloatArray) -> list[float]:
    """Correlate row by row."""
    return [pearson(a, b) for a, b in zip(one, other, strict=True) if len(a)]


def _mean(values: Sequence[float]) -> float:
    """Average what is known: a flat curve agrees with nothing."""
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else float("nan")


def _parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = make_parser("knowledge", __doc__)
    parser.add_argument(
        "--cards",
        nargs="+",
        default=["all", "development-large", "worlds"],
        metavar="NAME",
        help="data sets or groups of them: paper, multiclass, packaged, regression, "
        "development-large, worlds, all; tables come from where `fewshot` takes them",
    )
    add_out(parser, RESULTS / "knowledge.csv")
    return parser
