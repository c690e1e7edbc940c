"""How long fits and predictions take beside scikit-learn's: medians of ratios.

Both sides of a row run in turns, in one process, on the same random table.

python -m benchmarks.speed --out benchmarks/results/speed.csv
python -m benchmarks.speed --report --out benchmarks/results/speed.csv
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV, Ridge
from sklearn.neural_network import MLPClassifier
from sklearn.utils._param_validation import InvalidParameterError

from benchmarks.console import echo, say
from benchmarks.results import environment
from benchmarks.training_loop import fit_by_loop
from llmreg import LLMAttributionClassifier, LLMAttributionRegressor

SIZES = ((10, 8), (100, 20), (1_000, 50), (10_000, 100), (200_000, 50))
COLUMNS = ("comparison", "size", "ours", "theirs", "ratio", "bound", "rounds", "note")
WIDTH, MAX_ITER = 100, 200
SEED = 0
#: Seconds that the rounds of a row may take together, and their least and most.
PATIENCE, FEWEST, MOST = 4.0, 3, 25

Call = Callable[[], Any]


class Table(NamedTuple):
    """A random table, its labels and targets, and a prior that knows a little."""

    X: np.ndarray
    labels: np.ndarray
    targets: np.ndarray
    scores: np.ndarray


class Comparison(NamedTuple):
    """Two calls to time in turns, and the ratio that is aimed at."""

    name: str
    ours: Call
    theirs: Call
    bound: float
    note: str = ""


def make_table(n_rows: int, n_columns: int, seed: int = SEED) -> Table:
    """Draw a table.

    Parameters
    ----------
    n_rows, n_columns : int
        Its size.
    seed : int, default=0
        Seed of the draw.

    Returns
    -------
    Table
        With two classes, whatever the size.
    """
    rng = np.random.default_rng(seed)
    X, weight = rng.normal(size=(n_rows, n_columns)), rng.normal(size=n_columns)
    outputs = 2 * X @ weight / np.sqrt(n_columns)
    labels = (outputs + rng.logistic(size=n_rows) > 0).astype(int)
    labels[:2] = 0, 1
    scores = np.clip(np.round(3 * weight + rng.normal(size=n_columns)), -10, 10)
    return Table(X, labels, outputs + rng.normal(size=n_rows), scores)


def comparisons(table: Table) -> Iterator[Comparison]:
    """Yield all that is compared on a table.

    Parameters
    ----------
    table : Table
        The table.

    Yields
    ------
    Comparison
        A row of the result.
    """
    X, y, targets, scores = table
    make = partial(LLMAttributionClassifier, scores, random_state=SEED, device="cpu")
    fixed, plain = make(gamma=100.0), LogisticRegression()
    regressor = LLMAttributionRegressor(
        scores, gamma=100.0, random_state=SEED, device="cpu"
    )
    ridge = Ridge()
    # Predictions may be all that is asked for.
    for model, answers in (
        (fixed, y),
        (plain, y),
        (regressor, targets),
        (ridge, targets),
    ):
        model.fit(X, answers)
    yield Comparison(
        "linear, fixed gamma, to LogisticRegression",
        lambda: fixed.fit(X, y),
        lambda: plain.fit(X, y),
        3.0,
    )
    yield Comparison(
        "linear, fixed gamma, to Ridge",
        lambda: regressor.fit(X, targets),
        lambda: ridge.fit(X, targets),
        5.0,
    )
    for method, bound in (("predict", 1.5), ("predict_proba", 1.5)):
        yield Comparison(
            f"{method}, to LogisticRegression",
            partial(getattr(fixed, method), X),
            partial(getattr(plain, method), X),
            bound,
        )
    yield Comparison(
        "predict, to Ridge",
        lambda: regressor.predict(X),
        lambda: ridge.predict(X),
        1.5,
    )
    many = LogisticRegressionCV(Cs=10, cv=min(5, int(np.bincount(y).min())))
    auto: Any = "auto"
    yield Comparison(
        "linear, gamma auto, to LogisticRegressionCV",
        lambda: make(gamma=auto).fit(X, y),
        lambda: many.fit(X, y),
        2.0,
        "" if many.cv == 5 else f"cv={many.cv}: so few rows of a class",
    )
    yield from _networks(table, make)
    yield from _loops(table, make)


def _networks(table: Table, make: Callable[..., Any]) -> Iterator[Comparison]:
    """Yield the rows of the network: as many passes on both sides."""
    X, y = table.X, table.labels
    n_iter = MAX_ITER if len(X) <= 1_000 else 20 if len(X) <= 10_000 else 2
    short = "" if n_iter == MAX_ITER else f"{n_iter} passes instead of {MAX_ITER}"
    # Without a tolerance neither side stops before the last pass.
    theirs = MLPClassifier(
        (WIDTH,), max_iter=n_iter, random_state=SEED, tol=0.0, n_iter_no_change=10**6
    )
    auto: Any = "auto"
    for name, gamma, bound in (("fixed gamma", 100.0, 1.0), ("gamma auto", auto, 5.0)):
        model = make(gamma=gamma, hidden_layer_sizes=(WIDTH,), max_iter=n_iter)
        yield Comparison(
            f"MLP, {name}, to MLPClassifier",
            partial(model.fit, X, y),
            lambda: theirs.fit(X, y),
            bound,
            short,
        )


def _loops(table: Table, make: Callable[..., Any]) -> Iterator[Comparison]:
    """Yield the rows of the authors' loop; it is long, so only on small tables."""
    X, y, _, scores = table
    if len(X) > 1_000:
        return
    scaled = (X - X.min(axis=0)) / np.ptp(X, axis=0)
    for name, hidden, factor in (("linear", None, 30), ("MLP", WIDTH, 5)):
        model = make(gamma=100.0, hidden_layer_sizes=(hidden,) if hidden else ())
        yield Comparison(
            f"{name}, fixed gamma, to the authors' loop",
            partial(model.fit, X, y),
            partial(fit_by_loop, scaled, y, scores, hidden=hidden),
            1 / factor,
        )


def measure(comparison: Comparison) -> dict[str, Any]:
    """Time both sides in turns.

    Parameters
    ----------
    comparison : Comparison
        What to time.

    Returns
    -------
    dict
        Median seconds of both sides and the median of the ratios.
    """
    first = seconds(comparison.ours), seconds(comparison.theirs)
    rounds = int(np.clip(PATIENCE / sum(first), FEWEST, MOST))
    times = [
        (seconds(comparison.ours), seconds(comparison.theirs)) for _ in range(rounds)
    ]
    ours, theirs = (statistics.median(side) for side in zip(*times, strict=True))
    return {
        "comparison": comparison.name,
        "ours": ours,
        "theirs": theirs,
        "ratio": statistics.median(a / b for a, b in times),
        "bound": comparison.bound,
        "rounds": rounds,
        "note": comparison.note,
    }


def seconds(call: Call) -> float:
    """Time a call.

    Parameters
    ----------
    call : callable
        What to call.

    Returns
    -------
    float
        Seconds.
    """
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def run(sizes: Sequence[tuple[int, int]], only: str = "") -> Iterator[dict[str, Any]]:
    """Compare on tables of all sizes.

    Parameters
    ----------
    sizes : sequence of (int, int)
        Rows and columns.
    only : str, default=""
        Leave out comparisons whose name does not hold this.

    Yields
    ------
    dict
        A row of the result file.
    """
    for n_rows, n_columns in sizes:
        for comparison in comparisons(make_table(n_rows, n_columns)):
            if only not in comparison.name:
                continue
            row: dict[str, Any] = {"comparison": comparison.name}
            try:
                row = measure(comparison)
            except InvalidParameterError:
                row["note"] = "skipped: this version does not take gamma='auto'"
            row["size"] = f"{n_rows} x {n_columns}"
            say(f"{row['size']}, {row['comparison']}: {row.get('ratio', row['note'])}")
            yield row


def table_of(results: pd.DataFrame) -> str:
    """Write results as a table in markdown.

    Parameters
    ----------
    results : DataFrame
        Rows with the columns of `COLUMNS`.

    Returns
    -------
    str
        A line per row; ratios over their bound are marked.
    """
    lines = [
        "| | size | llmreg | other | ratio | aim | |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in results.fillna({"note": ""}).itertuples():
        cells = [row.comparison, row.size]
        if np.isnan(row.ratio):
            cells += ["-"] * 4
        else:
            over = " (over)" if row.ratio > row.bound else ""
            cells += [_duration(row.ours), _duration(row.theirs)]
            cells += [f"{row.ratio:.3g}{over}", f"{row.bound:.3g}"]
        lines.append(f"| {' | '.join([*cells, row.note])} |")
    return "\n".join(lines) + "\n"


def _duration(value: float) -> str:
    """Write seconds, or thousandths of them."""
    return f"{value:.3g} s" if value >= 1 else f"{1e3 * value:.3g} ms"


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and write the result, the note on it and the table.

    Parameters
    ----------
    arguments : sequence of str, default=None
        Command line arguments; those of the process by default.
    """
    parser = argparse.ArgumentParser(prog="benchmarks.speed", description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--report", action="store_true", help="write the table again")
    parser.add_argument("--only", default="", help="comparisons whose name has this")
    parser.add_argument("--sizes", nargs="*", help="such as 10x8; by default all")
    given = parser.parse_args(arguments)
    if not given.report:
        known = {f"{rows}x{columns}": (rows, columns) for rows, columns in SIZES}
        sizes = [known[size] for size in given.sizes or known]
        with warnings.catch_warnings():
            # Of convergence, on both sides: the passes are as many as asked for.
            warnings.simplefilter("ignore")
            rows = list(run(sizes, given.only))
        given.out.parent.mkdir(parents=True, exist_ok=True)
        frame = pd.DataFrame(rows, columns=list(COLUMNS))
        frame.to_csv(given.out, index=False, float_format="%.6g")
        settings = {"seed": SEED, "sizes": sizes, "only": given.only}
        note = {"settings": settings, **environment()}
        given.out.with_suffix(".json").write_text(json.dumps(note, indent=1) + "\n")
    text = table_of(pd.read_csv(given.out))
    given.out.with_suffix(".md").write_text(text)
    echo(text)


if __name__ == "__main__":
    main()
