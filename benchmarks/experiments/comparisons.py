"""What is timed beside scikit-learn: pairs of calls on random tables."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV, Ridge
from sklearn.neural_network import MLPClassifier

from benchmarks.experiments.training_loop import fit_by_loop
from llmreg import LLMAttributionClassifier, LLMAttributionRegressor

SEED = 0
WIDTH, MAX_ITER = 100, 200

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
    """Draw a table. It has two classes, whatever its size."""
    rng = np.random.default_rng(seed)
    X, weight = rng.normal(size=(n_rows, n_columns)), rng.normal(size=n_columns)
    outputs = 2 * X @ weight / np.sqrt(n_columns)
    labels = (outputs + rng.logistic(size=n_rows) > 0).astype(int)
    labels[:2] = 0, 1
    scores = np.clip(np.round(3 * weight + rng.normal(size=n_columns)), -10, 10)
    return Table(X, labels, outputs + rng.normal(size=n_rows), scores)


def comparisons(table: Table) -> Iterator[Comparison]:
    """Yield all that is compared on a table."""
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
