"""How experiments are run: their draws and options, and the rows that are kept.

Fits go side by side, one thread per worker; a run goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from joblib import Parallel, delayed, parallel_config
from threadpoolctl import threadpool_limits

from benchmarks.data.datasets import Dataset, load
from benchmarks.data.results import ResultFile, note_run
from benchmarks.data.splits import Cell, Rows, Shots, draw, method_seed, parse_shots
from benchmarks.methods.registry import SETS, find
from benchmarks.programs import publish
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


def add_shots(
    parser: argparse.ArgumentParser, shots: Sequence[Shots] | None, help: str
) -> None:
    """Add the option that says how many rows to draw."""
    parser.add_argument(
        "--shots",
        nargs="+",
        type=parse_shots,
        default=None if shots is None else list(shots),
        metavar="N",
        help=help,
    )


def add_draws(
    parser: argparse.ArgumentParser,
    repetitions: int,
    methods: Sequence[str] | None = None,
) -> None:
    """Add the options that say what is fitted how often, and how."""
    add = parser.add_argument
    add(
        "--repetitions",
        type=int,
        default=repetitions,
        metavar="N",
        help=f"draws of rows ({repetitions})",
    )
    if methods is not None:
        add(
            "--methods",
            nargs="+",
            default=list(methods),
            metavar="NAME",
            help=f"sets of methods ({', '.join(SETS)}) or single ones "
            f"({'; '.join(methods)})",
        )
    add("--seed", type=int, default=0, help="seed of the whole experiment (0)")
    add("--jobs", type=int, default=1, metavar="N", help="processes (1)")


def add_out(
    parser: argparse.ArgumentParser, out: Path, beside: str, report: str
) -> None:
    """Add the options that say where results go, and that only the report is wanted."""
    parser.add_argument(
        "--out",
        type=Path,
        default=out,
        metavar="FILE.csv",
        help=f"result file; {beside} written beside it",
    )
    parser.add_argument("--report", action="store_true", help=report)


def add_measured(parser: argparse.ArgumentParser, *, required: bool = True) -> None:
    """Add the options that all of these programs have."""
    add = parser.add_argument
    add("--out", type=Path, required=required, metavar="FILE.csv", help="result file")
    add("--report", action="store_true", help="measure nothing, write the table again")
    add("--again", action="store_true", help="measure what is there once more")


def keep(
    file: ResultFile,
    rows: Iterable[Mapping[str, Any]],
    settings: Callable[[], Mapping[str, Any]],
) -> None:
    """Write each row as soon as it is there, with the number of its run.

    `settings` gives what the note says of the run; where there is no row, there is no
    note.
    """
    number = None
    for row in rows:
        if number is None:
            number = note_run(file.path, settings())
        file.append({**row, "run": number})


def complete_and_report(
    file: ResultFile,
    given: argparse.Namespace,
    compute: Callable[[ResultFile, argparse.Namespace], None],
    table_of: Callable[[pd.DataFrame], str],
) -> int:
    """Measure what is missing, and write the table of all that there is.

    `compute` is not called where only the report is wanted.
    """
    if not given.report:
        compute(file, given)
    publish(table_of(file.read()), file.path.with_suffix(".md"))
    return 0
