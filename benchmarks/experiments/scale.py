"""A search of 500 fits on one worker and on two: time, and how often anybody is asked.

The prior is asked for once, in the parent, and shipped with the search. The workers are
started and have imported everything before the clock runs; what that takes has a column
of its own. Each row is kept as soon as it is there; a later start measures what is
missing.

    python -m benchmarks scale --out scale.csv
    python -m benchmarks scale --out scale.csv --report      only the table again
"""

from __future__ import annotations

import argparse
import os
import pickle
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
from joblib.externals.loky import get_reusable_executor
from sklearn.model_selection import GridSearchCV

from benchmarks.data.datasets import Dataset, load
from benchmarks.data.results import ResultFile, threads
from benchmarks.experiments.runner import add_measured, measure_missing
from benchmarks.programs import make_parser, publish, run_program
from benchmarks.reporting.tables import markdown
from llmreg import FeaturePrior, LLMAttributionClassifier, Task
from llmreg.providers import PriorProvider

SEED, FOLDS, CARD, ROWS = 0, 5, "breast-cancer-wisconsin", 200
#: Candidates are all pairs of these.
ALPHAS = (0.1, 0.3, 1.0, 3.0, 10.0)
GAMMAS = ("auto", 0.0, *np.logspace(-2, 3, 18).round(4).tolist())
KINDS: dict[str, dict[str, Any]] = {
    "linear": {},
    "MLP": {"hidden_layer_sizes": (100,), "max_iter": 50},
}
#: Backend and number of workers; one worker of joblib's own is no worker at all.
BACKENDS = (("none", 1), ("loky", 2), ("threading", 2), ("dask", 1), ("dask", 2))
KEY = ("kind", "backend", "workers")
#: `run` is the number of the run in the note beside the file.
COLUMNS = (
    *(*KEY, "fits", "start", "seconds", "slowest", "asked", "shipped", "best"),
    *("score", "load", "run"),
)


class Recorded(PriorProvider):
    """Answers with the scores of a card, and notes in a file that it was asked.

    Every process can write to that file.
    """

    def __init__(self, prior: FeaturePrior, notes: str) -> None:
        self.prior = prior
        self.notes = notes

    def elicit(self, task: Task) -> FeaturePrior:
        """Return the scores."""
        with Path(self.notes).open("a") as notes:
            notes.write(f"{os.getpid()}\n")
        return self.prior


@contextmanager
def started(backend: str, workers: int) -> Iterator[None]:
    """Start the workers of a backend, and end them.

    Backends are named as `joblib.parallel_config` does; "none" is a plain loop.
    """
    if backend == "dask":
        from distributed import Client, LocalCluster

        with (
            LocalCluster(
                n_workers=workers,
                threads_per_worker=1,
                host="127.0.0.1",
                dashboard_address=None,
            ) as cluster,
            Client(cluster),
            joblib.parallel_config("dask", n_jobs=workers),
        ):
            yield
        return
    name = "sequential" if backend == "none" else backend
    try:
        with joblib.parallel_config(name, n_jobs=workers):
            yield
    finally:
        if backend == "loky":
            get_reusable_executor().shutdown(wait=True)


def measure(
    data: Dataset,
    kind: str,
    backend: str,
    workers: int,
    n_candidates: int,
    rounds: int = 1,
) -> dict[str, Any]:
    """Search, and tell the time that it took.

    The fastest round counts, since whatever else the machine does makes it slower.
    """
    rows = np.random.default_rng(SEED).permutation(len(data.X))[:ROWS]
    X, y = data.X.iloc[rows], data.y.iloc[rows]
    load_before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        notes = Path(folder) / "asked"
        provider = Recorded(data.prior, str(notes))
        model = LLMAttributionClassifier(provider, random_state=SEED, device="cpu")
        model.set_params(**KINDS[kind])
        model.set_params(prior=model.elicit_prior(X, y))
        pairs = product(GAMMAS, ALPHAS)
        grid = [{"gamma": [gamma], "alpha": [alpha]} for gamma, alpha in pairs]
        search = GridSearchCV(
            model, grid[:n_candidates], cv=FOLDS, scoring="neg_log_loss", refit=False
        )
        begin = time.perf_counter()
        with started(backend, workers):
            # Several for each worker: the first takes seconds, and the others wait.
            joblib.Parallel()(joblib.delayed(_warm_up)() for _ in range(3 * workers))
            middle = time.perf_counter()
            times = [_seconds(search, X, y) for _ in range(rounds)]
        asked = len(notes.read_text().splitlines())
    return {
        "kind": kind,
        "backend": backend,
        "workers": workers,
        "fits": FOLDS * len(search.cv_results_["params"]),
        "start": middle - begin,
        "seconds": min(times),
        "slowest": max(times),
        "asked": asked,
        "shipped": len(pickle.dumps(model)),
        "best": " ".join(f"{k}={v}" for k, v in sorted(search.best_params_.items())),
        "score": search.best_score_,
        "load": load_before,
    }


def _warm_up() -> None:
    """Train a small model: the first fit of a process imports and allocates."""
    LLMAttributionClassifier([1.0], device="cpu").fit([[0.0], [1.0]], [0, 1])


def _seconds(search: GridSearchCV, X: Any, y: Any) -> float:
    """Time a search."""
    begin = time.perf_counter()
    search.fit(X, y)
    return time.perf_counter() - begin


def table_of(results: pd.DataFrame) -> str:
    """Write results as a table in markdown.

    In the order of the cases; speed-ups are over the plain loop.
    """
    head = (
        "| | backend | workers | fits | start | search | slowest | fits a second "
        "| speed-up | asked | model and prior | best parameters | load |"
    )
    lines = []
    indexed = results.set_index(list(KEY))
    for case in _cases():
        if case not in indexed.index:
            continue
        row, plain = indexed.loc[case], (case[0], *BACKENDS[0])
        gain = "-"
        if plain in indexed.index:
            gain = f"{indexed.loc[plain, 'seconds'] / row['seconds']:.2f}"
        cells = [
            *map(str, case),
            f"{row['fits']}",
            f"{row['start']:.1f} s",
            f"{row['seconds']:.1f} s",
            f"{row['slowest']:.1f} s",
            f"{row['fits'] / row['seconds']:.1f}",
            gain,
            f"{row['asked']}",
            f"{row['shipped'] / 1e3:.1f} kB",
            f"{row['best']}",
            f"{row['load']:.1f}",
        ]
        lines.append(cells)
    return markdown(head, lines)


def _cases() -> list[tuple[str, str, int]]:
    """List all that is measured."""
    return [(kind, *case) for kind in KINDS for case in BACKENDS]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program as `run_program` does."""
    return run_program(_run, _parser(), arguments)


def _run(given: argparse.Namespace) -> int:
    """Measure what is missing, and write the table."""
    file = ResultFile(given.out, COLUMNS, KEY)
    if not given.report:
        cases = [
            case
            for case in _cases()
            if case[0] in given.kinds and case[1] in given.backends
        ]
        settings = {
            "seed": SEED,
            "card": CARD,
            "rows": ROWS,
            "candidates": given.candidates,
            "rounds": given.rounds,
            "threads": threads(),
        }

        def search(*case: Any) -> dict[str, Any]:
            return measure(load(CARD), *case, given.candidates, given.rounds)

        measure_missing(file, given, cases, search, settings)
    publish(table_of(file.read()), file.path.with_suffix(".md"))
    return 0


def _parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = make_parser("scale", __doc__)
    add = parser.add_argument
    add_measured(parser)
    most = len(GAMMAS) * len(ALPHAS)
    names = list(dict.fromkeys(backend for backend, _ in BACKENDS))
    add("--candidates", type=int, default=most, metavar="N", help=f"({most})")
    add("--rounds", type=int, default=3, metavar="N", help="the fastest of N (3)")
    add("--kinds", nargs="+", choices=KINDS, default=list(KINDS), help="models (all)")
    add("--backends", nargs="+", choices=names, default=names, help="backends (all)")
    return parser
