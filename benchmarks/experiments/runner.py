"""How experiments are run: their draws and options, and the rows that are kept.

Fits go side by side, one thread per worker; a run goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import time
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from joblib import Parallel, delayed, parallel_config
from threadpoolctl import threadpool_limits

from benchmarks.data.catalogue import RESULTS
from benchmarks.data.datasets import Dataset, load
from benchmarks.data.results import ResultFile, note_run
from benchmarks.data.splits import Cell, Rows, Shots, draw, method_seed, parse_shots
from benchmarks.methods.registry import SETS, find
from benchmarks.programs import Progress, say
from benchmarks.reporting.metrics import FloatArray, measure

#: Training rows per class, and in a regression, where nothing else is asked for.
SIZES: Mapping[str, tuple[Shots, ...]] = {
    "classification": (1, 5, 10, 25, 50, 100, 400, 0.8),
    "regression": (5, 10, 25, 50, 100, 200),
}
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


def plan(
    cards: Sequence[str], shots: Sequence[Shots] | None, repetitions: int
) -> list[Cell]:
    """List the cells of an experiment, those that a table is too small for left out.

    All cards and shots of the first repetition come first, so that a run that is
    stopped has whole repetitions to show. Without shots, those of `SIZES` are taken.
    """
    fitting = []
    for card in cards:
        dataset = load(card)
        for size in SIZES[dataset.kind] if shots is None else shots:
            try:
                draw(dataset.y.to_numpy(), len(dataset.classes), Cell(card, size, 0), 0)
            except ValueError as error:
                say(f"left out: {error}")
            else:
                fitting.append((card, size))
    return [
        Cell(card, size, repetition)
        for repetition in range(repetitions)
        for card, size in fitting
    ]


def complete(
    file: ResultFile,
    cells: Sequence[Cell],
    methods: Sequence[str],
    options: argparse.Namespace,
    *,
    more: Mapping[str, Any] | None = None,
    one: RunCell | None = None,
) -> None:
    """Fit what a result file lacks of an experiment, and note how it came about.

    `options` has the seed, the repetitions and the number of processes; `more` is what
    else the note is to say, and `one` is as `run` takes it.
    """
    left = pending(cells, methods, file.finished())
    fits = sum(len(methods_left) for _, methods_left in left)
    say(
        f"{len(cells) * len(methods)} fits asked for, {fits} to do, "
        f"in {len(left)} draws on {options.jobs} processes."
    )
    if not left:
        return
    note_run(
        file.path,
        {
            "seed": options.seed,
            "cards": list(dict.fromkeys(cell.card for cell in cells)),
            "shots": list(dict.fromkeys(cell.shots for cell in cells)),
            **(more or {}),
            "repetitions": options.repetitions,
            "methods": list(methods),
        },
    )
    progress, failed = Progress(len(left)), 0
    for rows in run(left, options.seed, options.jobs, one):
        for row in rows:
            file.append(row)
            failed += "error" in row
        progress.step(f", {failed} fits failed" if failed else "")


def add_fits(
    parser: argparse.ArgumentParser,
    out: str,
    repetitions: int,
    shots: Sequence[Shots] | None = None,
    methods: Sequence[str] = (),
) -> None:
    """Add the options of an experiment that fits methods on draws of rows.

    Without methods they are not to be chosen; without shots those of `SIZES` are taken,
    and where shots are empty, they are not to be chosen.
    """
    add = parser.add_argument
    every = [shots] if shots else SIZES.values()
    sizes = [" ".join(map(str, each)) for each in every]
    if shots is None or shots:
        add(
            "--shots",
            nargs="+",
            type=parse_shots,
            default=shots,
            metavar="N",
            help="training rows per class (rows, in a regression), or a share of the "
            f"rows such as 0.8 ({'; in a regression '.join(sizes)})",
        )
    add("--repetitions", type=int, default=repetitions, metavar="N", help="draws")
    if methods:
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
    add_out(parser, RESULTS / out)


def add_out(parser: argparse.ArgumentParser, out: Path | None = None) -> None:
    """Add the options that say where results go, and that only the report is wanted."""
    parser.add_argument(
        "--out",
        type=Path,
        default=out,
        required=out is None,
        metavar="FILE.csv",
        help="result file; tables, plots and notes are written beside it",
    )
    about = "run nothing, write tables and plots again"
    parser.add_argument("--report", action="store_true", help=about)


def add_measured(parser: argparse.ArgumentParser) -> None:
    """Add the options of an experiment that measures this machine."""
    add_out(parser)
    again = "measure what is there once more"
    parser.add_argument("--again", action="store_true", help=again)


def keep(
    file: ResultFile, rows: Iterable[Mapping[str, Any]], settings: Mapping[str, Any]
) -> None:
    """Write each row as soon as it is there, with the number of its run.

    `settings` is what the note says of the run; where there is no row, there is no
    note.
    """
    number = None
    for row in rows:
        if number is None:
            number = note_run(file.path, settings)
        file.append({**row, "run": number})


def measure_groups(
    file: ResultFile,
    groups: Iterable[tuple[Any, ...]],
    done: Container[tuple[Any, ...]],
    measure: Callable[..., Iterable[Row]],
    settings: Mapping[str, Any],
) -> None:
    """Measure what has several rows each, which are kept together or not at all."""
    left = [group for group in groups if group not in done]
    progress = Progress(len(left))

    def rows() -> Iterator[Row]:
        for group in left:
            yield from [*measure(*group)]
            progress.step()

    keep(file, rows(), settings)


def measure_missing(
    file: ResultFile,
    given: argparse.Namespace,
    cases: Sequence[tuple[Any, ...]],
    measure: Callable[..., Mapping[str, Any]],
    settings: Mapping[str, Any],
) -> None:
    """Measure the cases that a result file lacks, or, if asked to, all anew."""
    if given.again:
        file.forget(cases)
    finished = file.finished()
    left = [case for case in cases if case not in finished]
    progress = Progress(len(left), every=0)

    def rows() -> Iterator[Mapping[str, Any]]:
        for case in left:
            yield measure(*case)
            progress.step(f", {case}")

    keep(file, rows(), settings)
