"""Fit every method of a list of cells, side by side, one thread per worker."""

from __future__ import annotations

import importlib
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from joblib import Parallel, delayed, parallel_config
from threadpoolctl import threadpool_limits

from benchmarks.data.datasets import Dataset, load
from benchmarks.data.splits import Cell, Rows, draw, method_seed
from benchmarks.methods.registry import find
from benchmarks.reporting.metrics import FloatArray, measure

Row = dict[str, Any]
#: A cell, and the methods that are still to be fitted on it.
Job = tuple[Any, Sequence[str]]
#: Fits methods on one draw: takes the cell, their names and the experiment's seed.
RunCell = Callable[[Any, Sequence[str], int], list[Row]]


def pending(
    cells: Iterable[Cell],
    methods: Sequence[str],
    finished: set[tuple[Any, ...]],
) -> list[Job]:
    """List what is left to do.

    `finished` has the keys of the cells, with the method, that need no second run.
    """
    jobs: list[Job] = []
    for cell in cells:
        left = [method for method in methods if (*cell.key, method) not in finished]
        if left:
            jobs.append((cell, left))
    return jobs


def run(
    jobs: Sequence[Job], seed: int, workers: int, one: RunCell | None = None
) -> Iterator[list[Row]]:
    """Run the jobs and give the rows of each as it ends, in no fixed order.

    `one` does one job (by default `run_cell`); it is a function of a module, so that
    other processes find it. One worker is this process.
    """
    one = run_cell if one is None else one
    if workers == 1:
        yield from (one(cell, methods, seed) for cell, methods in jobs)
        return
    with parallel_config(backend="loky", inner_max_num_threads=1):
        yield from Parallel(
            n_jobs=workers, return_as="generator_unordered", batch_size=1
        )(delayed(one)(cell, methods, seed) for cell, methods in jobs)


def run_cell(cell: Cell, methods: Sequence[str], seed: int) -> list[Row]:
    """Fit and measure methods on one draw of training rows."""
    dataset = load(cell.card)
    y = dataset.y.to_numpy()
    train, test = draw(y, len(dataset.classes), cell, seed)
    rows = []
    for name in methods:
        row: Row = {
            "card": cell.card,
            "shots": str(cell.shots),
            "repetition": cell.repetition,
            "method": name,
            "seed": method_seed(cell, seed),
            "n_train": len(train),
            "n_test": len(test),
        }
        row |= fit_and_measure(dataset, train, test, name, row["seed"])
        rows.append(row)
    return rows


def fit_and_measure(
    dataset: Dataset,
    train: Rows,
    test: Rows,
    name: str,
    seed: int,
    more: Callable[[FloatArray], Row] | None = None,
) -> Row:
    """Fit a method on some rows and measure it on others, on one thread.

    Returns the measures and `fit_seconds`; or `error`, for one bad fit does not end an
    experiment of hours. `more` measures further things from the scores of the test
    rows.
    """
    row: Row = {}
    y = dataset.y.to_numpy()
    method = find(name)
    try:
        for module in method.imports:
            importlib.import_module(module)
        _hold_torch_to_one_thread()
        with threadpool_limits(1):
            start = time.perf_counter()
            predict = method.fit(
                dataset, dataset.X.iloc[train], dataset.y.iloc[train], seed
            )
            row["fit_seconds"] = time.perf_counter() - start
            scores = predict(dataset.X.iloc[test])
        row |= measure(dataset, y[test], scores, method.probabilities)
        return row if more is None else row | more(scores)
    except Exception as error:
        return row | {"error": f"{type(error).__name__}: {error}"[:300]}


def _hold_torch_to_one_thread() -> None:
    """Limit torch, which threadpoolctl does not reach everywhere, where it is used."""
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(1)
