"""Time of fits and predictions beside other packages', time and memory of large fits.

Both sides of a comparison run in turns, in one process, on the same random table; a
figure is the median, in seconds of a core. Large fits have a process of their own,
since a process gives little memory back: memory is the peak above what the process held
before the table, the table included. Each row is kept as soon as it is there; a later
start measures what is missing.

    OMP_NUM_THREADS=1 python -m benchmarks speed --again             all of it anew
    OMP_NUM_THREADS=1 python -m benchmarks speed --again --only CatBoost
    python -m benchmarks speed --report                        only the tables again
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.sparse import csr_array
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV, Ridge
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import SplineTransformer

from benchmarks.data.results import ResultFile, read_runs, threads
from benchmarks.experiments.runner import add_measured, measure_missing
from benchmarks.programs import echo, make_parser, publish, run_program
from benchmarks.reporting.tables import line, markdown
from llmreg import (
    FeaturePrior,
    LLMAttributionClassifier,
    LLMAttributionRegressor,
)

SEED = 0
KEY = ("comparison", "size")
#: `load` is that of the machine before a row, one minute's mean; `run` is the number
#: of the run in the note beside the file.
COLUMNS = (
    *(*KEY, "ours", "theirs", "ratio", "bound", "rounds", "data_mb", "peak_mb"),
    *("load", "run"),
)
#: Seconds of a core that the rounds of a row may take, and their least and most number.
PATIENCE, FEWEST, MOST = 4.0, 3, 25
#: What Linux tells of this process.
STATUS = Path("/proc/self/status")

Call = Callable[[], Any]


def size_name(n_rows: int, n_columns: int) -> str:
    """Write a size as the result file has it."""
    return f"{n_rows} x {n_columns}"


class Table(NamedTuple):
    """A random table, its labels and targets, and a prior that knows a little."""

    X: np.ndarray
    labels: np.ndarray
    targets: np.ndarray
    scores: np.ndarray


def make_table(n_rows: int, n_columns: int, pair: float = 0.0) -> Table:
    """Draw a table of two classes, in which two columns may work together."""
    rng = np.random.default_rng(SEED)
    X, weight = rng.normal(size=(n_rows, n_columns)), rng.normal(size=n_columns)
    outputs = 2 * X @ weight / np.sqrt(n_columns) + pair * X[:, 0] * X[:, 1]
    labels = (outputs + rng.logistic(size=n_rows) > 0).astype(int)
    labels[:2] = 0, 1
    scores = np.clip(np.round(3 * weight + rng.normal(size=n_columns)), -10, 10)
    return Table(X, labels, outputs + rng.normal(size=n_rows), scores)


def curves_of(scores: np.ndarray) -> FeaturePrior:
    """Make a curve of five knots for every column, which rises as its score says."""
    values = np.linspace(-2, 2, 5)
    # An S, so that no straight line would do.
    return FeaturePrior.from_dict(
        {
            f"x{number}": [*zip(values, score * np.tanh(values), strict=True)]
            for number, score in enumerate(scores)
        }
    )


def make(table: Table, *, curves: bool = False, **settings: Any) -> Any:
    """Make a classifier, which has no trees on top where it is not told to."""
    prior = curves_of(table.scores) if curves else table.scores
    settings = {"trees": None, "random_state": SEED, "device": "cpu", **settings}
    return LLMAttributionClassifier(prior, **settings)


def logistic_cv(table: Table) -> LogisticRegressionCV:
    """Make the logistic regression that tunes itself; of few rows with fewer folds."""
    return LogisticRegressionCV(Cs=10, cv=min(5, int(np.bincount(table.labels).min())))


def mlp(table: Table, gamma: Any) -> tuple[Any, Any]:
    """Make both networks, with as many passes; fewer where they would take minutes."""
    n_iter = 200 if len(table.X) <= 1_000 else 20 if len(table.X) <= 10_000 else 2
    ours = make(table, gamma=gamma, hidden_layer_sizes=(100,), max_iter=n_iter)
    # Without a tolerance neither side stops before the last pass.
    settings: dict[str, Any] = {"tol": 0.0, "n_iter_no_change": 10**6}
    return ours, MLPClassifier((100,), max_iter=n_iter, random_state=SEED, **settings)


def catboost(table: Table) -> tuple[Any, Any]:
    """Make the default, trees and all, and CatBoost's."""
    from catboost import CatBoostClassifier

    settings = {"thread_count": 1, "verbose": False, "allow_writing_files": False}
    theirs = CatBoostClassifier(random_seed=SEED, **settings)
    return make(table, curves=True, trees="auto"), theirs


_SIZES = ((10, 8), (100, 20), (1_000, 50), (10_000, 100), (200_000, 50))


class Comparison(NamedTuple):
    """Two models to time in turns, and the ratio that was aimed at beforehand.

    The aim is for tables of up to `most` rows. In a `pair` two columns work together.
    """

    models: Callable[[Table], tuple[Any, Any]]
    bound: float
    method: str = "fit"
    sizes: tuple[tuple[int, int], ...] = _SIZES
    most: float = np.inf
    pair: float = 0.0


_BESIDE_TREES = tuple((n_rows, 20) for n_rows in (500, 2_000, 10_000, 50_000))
_TREES = Comparison(catboost, 2.0, sizes=_BESIDE_TREES, most=10_000)
_SPLINES = make_pipeline(SplineTransformer(), LogisticRegression())
COMPARISONS = {
    "fit, curves, to the default with scores": Comparison(
        lambda t: (make(t, curves=True), make(t)), 3.0
    ),
    "fit, curves, to LogisticRegressionCV": Comparison(
        lambda t: (make(t, curves=True), logistic_cv(t)), 3.0
    ),
    "predict, curves, to SplineTransformer and LogisticRegression": Comparison(
        lambda t: (make(t, curves=True), _SPLINES), 3.0, "predict"
    ),
    "fit, scores, to LogisticRegressionCV": Comparison(
        lambda t: (make(t), logistic_cv(t)), 2.0
    ),
    "fit, fixed gamma, to LogisticRegression": Comparison(
        lambda t: (make(t, gamma=100.0), LogisticRegression()), 3.0
    ),
    "fit, fixed gamma, to Ridge": Comparison(
        lambda t: (LLMAttributionRegressor(t.scores, gamma=100.0), Ridge()), 5.0
    ),
    "predict_proba, scores, to LogisticRegression": Comparison(
        lambda t: (make(t, gamma=100.0), LogisticRegression()), 1.5, "predict_proba"
    ),
    "fit, MLP, fixed gamma, to MLPClassifier": Comparison(
        partial(mlp, gamma=100.0), 1.0
    ),
    "fit, MLP, to MLPClassifier": Comparison(partial(mlp, gamma="auto"), 5.0),
    "default, trees not confirmed, to CatBoost": _TREES,
    "default, trees on top, to CatBoost": _TREES._replace(pair=4.0),
}


class Fit(NamedTuple):
    """A large fit, what it may take in seconds, and in memory in times of the table."""

    size: tuple[int, int]
    seconds: float = np.nan
    times: float = np.nan
    settings: dict[str, Any] = {}  # noqa: RUF012


_LONG, _LEVELS, _SPARSE = (1_000_000, 50), (20_000, 5_000), (5_000, 10_000)
#: Minutes, and seconds, and of the order of the table.
FITS = {
    "scores": Fit(_LONG, 600, 3),
    "curves": Fit(_LONG, 600, 3),
    "curves, double precision": Fit(_LONG, 600, 3),
    "curves, trees=None": Fit(_LONG, 600, 3, {"trees": None}),
    "scores, MLP": Fit(_LONG, 600, 3, {"hidden_layer_sizes": (100,)}),
    "scores, partial_fit": Fit(_LONG, 600, 3),
    "levels": Fit(_LEVELS, 60, 10),
    "levels, a curve": Fit(_LEVELS, 60, 10),
    "sparse": Fit(_SPARSE, 60, 10),
    "sparse, a curve": Fit(_SPARSE, 60, 10),
    "scores, narrow": Fit((1_000, 10)),
    "scores, wide": Fit((1_000, 2_500)),
    "scores, wider": Fit((1_000, 5_000)),
}
CASES = [
    *((name, size_name(*size)) for name, c in COMPARISONS.items() for size in c.sizes),
    *((name, size_name(*fit.size)) for name, fit in FITS.items()),
]


def compare(comparison: Comparison, size: str, patience: float) -> dict[str, Any]:
    """Time both sides in turns; give the median seconds, and that of the ratios."""
    n_rows, n_columns = map(int, size.split(" x "))
    table = make_table(n_rows, n_columns, comparison.pair)
    calls = []
    for model in comparison.models(table):
        is_number = isinstance(model, Ridge | LLMAttributionRegressor)
        rows = table.X, table.targets if is_number else table.labels
        if comparison.method != "fit":
            model.fit(*rows)
            rows = rows[:1]
        calls.append(partial(getattr(model, comparison.method), *rows))
    times: list[list[float]] = []
    while len(times) < FEWEST or (np.sum(times) < patience and len(times) < MOST):
        times.append([seconds(call) for call in calls])
    ours, theirs = (statistics.median(side) for side in zip(*times, strict=True))
    return {
        "ours": ours,
        "theirs": theirs,
        "ratio": statistics.median(a / b for a, b in times),
        "bound": comparison.bound if n_rows <= comparison.most else np.nan,
        "rounds": len(times),
    }


def seconds(call: Call, clock: Callable[[], float] = time.process_time) -> float:
    """Time a call, in seconds of a core, so that other work beside it counts little."""
    start = clock()
    call()
    return clock() - start


def peak() -> float:
    """Return the peak of this process's memory, in MB."""
    if STATUS.exists():
        # On Linux getrusage tells the peak of the process that started this one, where
        # that is higher.
        line = next(s for s in STATUS.read_text().splitlines() if "VmHWM" in s)
        return int(line.split()[1]) * 1.024e-3
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def measure_fit(name: str, n_rows: int, n_columns: int) -> dict[str, Any]:
    """Fit once, and tell the time and the memory that it took.

    The table is random, in single precision if not told, or `mostly_zeros`.
    """
    settings = {"random_state": SEED, "device": "cpu", **FITS[name].settings}
    # What is imported and set up once is not of the fit.
    warm = make_table(300, 3)
    LLMAttributionClassifier(1.0, **settings).fit(warm.X, warm.labels)
    before = peak()
    rng = np.random.default_rng(SEED)
    X: Any
    prior: Any
    if name.startswith(("levels", "sparse")):
        X, y, size = mostly_zeros(name, n_rows, n_columns, rng)
        prior = {"n0" if name.startswith("levels") else "x0": 5.0}
        if name.endswith("curve"):
            prior = {column: [(-2, -5), (0, 0), (2, 5)] for column in prior}
            settings["on_unit_mismatch"] = "keep"
    else:
        X = rng.standard_normal((n_rows, n_columns), dtype=np.float32)
        weight = rng.normal(size=n_columns).astype(np.float32)
        y = (X[:, :8] @ weight[:8] > rng.logistic(size=n_rows)).astype(int)
        X = X.astype(float) if name.endswith("double precision") else X
        prior, size = np.clip(np.round(3 * weight), -10, 10), X.nbytes
        prior = curves_of(prior) if name.startswith("curves") else prior
    model = LLMAttributionClassifier(prior, **settings)

    def fit() -> None:
        if name.endswith("partial_fit"):
            for first in range(0, n_rows, 10_000):
                rows = slice(first, first + 10_000)
                model.partial_fit(X[rows], y[rows], classes=[0, 1])
        else:
            model.fit(X, y)

    return {"ours": seconds(fit), "data_mb": size / 1e6, "peak_mb": peak() - before}


def mostly_zeros(
    kind: str, n_rows: int, n_columns: int, rng: np.random.Generator
) -> tuple[Any, np.ndarray, int]:
    """Make a table of zeros but for a few, its labels, and count its bytes.

    Of "levels" that is four numbers and a category of `n_columns` levels, of which all
    are as frequent; of "sparse" a sparse matrix of counts, 60 in a row, in which the
    column of rank k has a share of 1 / k.
    """
    if kind.startswith("levels"):
        level = rng.integers(0, n_columns, n_rows)
        X = pd.DataFrame({f"n{k}": rng.normal(size=n_rows) for k in range(4)})
        names = [f"level {k}" for k in range(n_columns)]
        X["level"] = pd.Categorical.from_codes(level, names)
        output = 2 * X["n0"] + rng.normal(size=n_columns)[level]
        size = int(X.memory_usage().sum())
    else:
        share = 1 / np.arange(1, n_columns + 1)
        words = rng.choice(n_columns, 60 * n_rows, p=share / share.sum())
        rows = np.repeat(np.arange(n_rows), 60)
        X = csr_array((np.ones(len(words)), (rows, words)), (n_rows, n_columns))
        X.sum_duplicates()
        output = X @ rng.normal(size=n_columns)
        size = X.data.nbytes + X.indices.nbytes + X.indptr.nbytes
    return X, (output > np.median(output)).astype(int), size


def measure(name: str, size: str, patience: float = PATIENCE) -> dict[str, Any]:
    """Measure a case; a large fit in a process of its own."""
    about = {"comparison": name, "size": size, "load": os.getloadavg()[0]}
    if name in COMPARISONS:
        return about | compare(COMPARISONS[name], size, patience)
    command = [sys.executable, "-m", "benchmarks", "speed", "--case", name, size]
    place = Path(__file__).parents[2]
    done = subprocess.run(
        command, cwd=place, stdout=subprocess.PIPE, text=True, check=True
    )
    found = json.loads(done.stdout)
    ratio = found["peak_mb"] / found["data_mb"]
    return about | found | {"ratio": ratio, "bound": FITS[name].times, "rounds": 1}


def table_of(results: pd.DataFrame, n_cores: object = "an unknown number of") -> str:
    """Write results as tables in markdown; what is over its aim is in bold."""
    rows = {(row.comparison, row.size): row for row in results.itertuples(index=False)}
    load = results["load"]
    text = (
        f"A machine of {n_cores} cores; its load before a row, one minute's mean: "
        f"{load.min():.1f} to {load.max():.1f}. With 1 and more other work ran beside, "
        "and single figures are less sure.\n"
    )
    for head, sizes in ("Ratios", _SIZES), ("Beside CatBoost", _BESIDE_TREES):
        named = {name: c for name, c in COMPARISONS.items() if c.sizes == sizes}
        cells = [
            [
                name,
                f"{c.bound:g}",
                *(_ratio(rows.get((name, size_name(*n)))) for n in sizes),
            ]
            for name, c in named.items()
        ]
        names = line(["", "aim", *(_shown(size_name(*size)) for size in sizes)])
        text += f"\n## {head}\n\n{markdown(names, cells)}"
    found = [rows[case] for case in CASES if case in rows]
    cells = [
        [
            *(r.comparison, _shown(r.size)),
            *map(_duration, (r.ours, r.theirs)),
            _ratio(r),
        ]
        for r in found
        if r.comparison in COMPARISONS
    ]
    text += f"\n## Times\n\n{markdown('| | size | llmreg | other | ratio |', cells)}"
    cells = []
    for row in found:
        if (fit := FITS.get(row.comparison)) is None:
            continue
        took = _bold(_duration(row.ours), row.ours > fit.seconds)
        memory = (f"{row.data_mb:.3g} MB", f"{row.peak_mb:.0f} MB", _ratio(row))
        aims = ["-" if np.isnan(aim) else f"{aim:g}" for aim in fit[1:3]]
        name = (row.comparison, _shown(row.size))
        cells.append([*name, took, aims[0], *memory, aims[1]])
    names = "| | size | time | aim, s | table | peak | times the table | aim |"
    return f"{text}\n## Large fits\n\n{markdown(names, cells)}"


def _shown(size: str) -> str:
    """Write a size with commas."""
    return " x ".join(f"{int(number):,}" for number in size.split(" x "))


def _bold(text: str, is_over: bool) -> str:
    return f"**{text}**" if is_over else text


def _ratio(row: Any) -> str:
    """Write a ratio, in bold where it is over its bound."""
    return "-" if row is None else _bold(f"{row.ratio:.3g}", row.ratio > row.bound)


def _duration(value: float) -> str:
    """Write seconds, or thousandths of them."""
    return f"{value:.3g} s" if value >= 1 else f"{1e3 * value:.3g} ms"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program as `run_program` does."""
    return run_program(_run, _parser(), arguments)


def _run(given: argparse.Namespace) -> int:
    """Measure one fit in this process, or what the file lacks; write the tables."""
    # Of convergence, on both sides: the passes are as many as asked for.
    warnings.simplefilter("ignore")
    if given.case:
        name, size = given.case
        echo(json.dumps(measure_fit(name, *map(int, size.split(" x ")))))
        return 0
    file = ResultFile(given.out, COLUMNS, KEY)
    if not given.report:
        cases = [
            (name, size)
            for name, size in CASES
            if given.only in name
            and np.prod([int(number) for number in size.split(" x ")]) <= given.largest
        ]
        settings = {"seed": SEED, "patience": given.patience, "threads": threads()}
        timed = partial(measure, patience=given.patience)
        measure_missing(file, given, cases, timed, settings)
    runs = read_runs(file.path)
    cores = {"n_cores": runs[-1]["machine"]["cpu_count"]} if runs else {}
    publish(table_of(file.read(), **cores), file.path.with_suffix(".md"))
    return 0


def _parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = make_parser("speed", __doc__)
    add = parser.add_argument
    add_measured(parser)
    add("--only", default="", metavar="WORDS", help="cases whose name has this")
    about = "leave out tables of more than so many numbers"
    add("--largest", type=float, default=np.inf, metavar="N", help=about)
    about = f"seconds for the rounds of a row; {FEWEST} are run anyhow ({PATIENCE:g})"
    add("--patience", type=float, default=PATIENCE, metavar="SECONDS", help=about)
    add("--case", nargs=2, help=argparse.SUPPRESS)
    return parser
