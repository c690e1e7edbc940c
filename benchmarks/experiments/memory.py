"""What memory a fit takes, and how time grows with rows and columns.

Each measurement has a process of its own, since a process gives little memory back.
Memory is the peak above what the process held before the data, the data included.
Each row is kept as soon as it is there; a later start measures what is missing.

    python -m benchmarks memory --out memory.csv
    python -m benchmarks memory --out memory.csv --report    only the table again
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.sparse import csr_array

from benchmarks.data.results import ResultFile, threads
from benchmarks.experiments.runner import add_measured, measure_missing
from benchmarks.programs import echo, make_parser, publish, run_program
from benchmarks.reporting.tables import markdown
from llmreg import LLMAttributionClassifier

#: Kind of fit, rows, columns: long tables, then longer and wider ones.
CASES = (
    ("auto", 1_000_000, 50),
    ("auto, MLP", 1_000_000, 50),
    ("linear", 1_000_000, 50),
    ("minibatches", 1_000_000, 50),
    ("partial_fit", 1_000_000, 50),
    *(("linear", n_rows, 50) for n_rows in (50_000, 100_000, 200_000, 400_000)),
    *(("linear", 1_000, n_columns) for n_columns in (625, 1_250, 2_500, 5_000)),
    *(("auto", 1_000, n_columns) for n_columns in (625, 1_250, 2_500, 5_000)),
    *(("minibatches", 1_000, n_columns) for n_columns in (1_250, 2_500, 5_000)),
    ("levels", 20_000, 5_000),
    ("levels, curve", 20_000, 5_000),
    ("sparse", 5_000, 10_000),
    ("sparse, curve", 5_000, 10_000),
)
PIECE = 10_000
BOUND = 3.0
SEED = 0
KEY = ("kind", "rows", "columns")
#: `run` is the number of the run in the note beside the file.
COLUMNS = (*KEY, "seconds", "data_mb", "peak_mb", "ratio", "n_iter", "run")


def peak() -> float:
    """Return the peak of this process's memory, in MB."""
    usage = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Kilobytes on Linux, bytes on macOS.
    return usage / (1e6 if sys.platform == "darwin" else 1e3) * 1.024


def measure(kind: str, n_rows: int, n_columns: int) -> dict[str, Any]:
    """Fit once, and tell the time and the memory that it took.

    The kinds are the default, linear or with 100 hidden units; the linear model's
    solver for a fixed gamma; Adam on batches for two passes; one pass over pieces of
    the table. The table is random, in single precision; of the kinds "levels" and
    "sparse" it is `mostly_zeros`, and the fit the default.
    """
    warm = np.random.default_rng(SEED).random((40, 3), dtype=np.float32)
    settings: dict[str, Any] = {"random_state": SEED, "device": "cpu", "gamma": 1.0}
    is_sparse = kind.startswith(("levels", "sparse"))
    if kind.startswith("auto") or is_sparse:
        settings["gamma"] = "auto"
        if kind == "auto, MLP":
            settings["hidden_layer_sizes"] = (100,)
    elif kind != "linear":
        settings |= {"solver": "adam", "max_iter": 2, "batch_size": 2_048}
    LLMAttributionClassifier(1.0, **settings).fit(warm, np.arange(40) % 2)
    before = peak()
    rng = np.random.default_rng(SEED)
    X: Any
    if is_sparse:
        X, y, size = mostly_zeros(kind, n_rows, n_columns, rng)
        prior: Any = {"n0" if kind.startswith("levels") else "x0": 5.0}
        if kind.endswith("curve"):
            prior = {name: [(-2, -5), (0, 0), (2, 5)] for name in prior}
            settings["on_unit_mismatch"] = "keep"
    else:
        X = rng.random((n_rows, n_columns), dtype=np.float32)
        weight = rng.normal(size=n_columns).astype(np.float32)
        y = (X[:, :8] @ weight[:8] > weight[:8].sum() / 2).astype(int)
        prior, size = np.clip(np.round(3 * weight), -10, 10), X.nbytes
    model = LLMAttributionClassifier(prior, **settings)
    start = time.perf_counter()
    if kind == "partial_fit":
        for piece in range(0, n_rows, PIECE):
            rows = slice(piece, piece + PIECE)
            model.partial_fit(X[rows], y[rows], classes=[0, 1])
    else:
        model.fit(X, y)
    seconds = time.perf_counter() - start
    data, top = size / 1e6, peak() - before
    return {
        "kind": kind,
        "rows": n_rows,
        "columns": n_columns,
        "seconds": seconds,
        "data_mb": data,
        "peak_mb": top,
        "ratio": top / data,
        "n_iter": model.n_iter_,
    }


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


def measure_apart(kind: str, n_rows: int, n_columns: int) -> dict[str, Any]:
    """Measure in a process of its own."""
    command = [sys.executable, "-m", "benchmarks", "memory", "--case", kind]
    done = subprocess.run(
        [*command, str(n_rows), str(n_columns)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def table_of(results: pd.DataFrame) -> str:
    """Write results as a table in markdown.

    Memory over the aim of three times a large table is marked.
    """
    head = "| | rows | columns | time | per million numbers | data | peak | ratio |"
    rows = []
    for row in results.itertuples():
        each = row.seconds / (row.rows * row.columns / 1e6)
        # What a fit takes for itself counts little beside a table of that size.
        over = " (over)" if row.data_mb >= 100 and row.ratio > BOUND else ""
        times = [f"{row.seconds:.2f} s", f"{each:.3f} s"]
        sizes = [f"{row.data_mb:.0f} MB", f"{row.peak_mb:.0f} MB"]
        shape = [row.kind, str(row.rows), str(row.columns)]
        rows.append([*shape, *times, *sizes, f"{row.ratio:.2f}{over}"])
    return markdown(head, rows)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program as `run_program` does."""
    return run_program(_run, _parser(), arguments)


def _run(given: argparse.Namespace) -> int:
    """Measure one case in this process, or what the file lacks, each in its own."""
    if given.case:
        kind, n_rows, n_columns = given.case
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            echo(json.dumps(measure(kind, int(n_rows), int(n_columns))))
        return 0
    file = ResultFile(given.out, COLUMNS, KEY)
    if not given.report:
        cases = [case for case in CASES if case[1] * case[2] <= given.largest]
        settings = {"seed": SEED, "cases": cases, "threads": threads()}
        measure_missing(file, given, cases, measure_apart, settings)
    publish(_table_in_order(file.read()), file.path.with_suffix(".md"))
    return 0


def _table_in_order(results: pd.DataFrame) -> str:
    """Write the table in the order of the cases, whichever was measured first."""
    order = results[list(KEY)].apply(tuple, axis=1).map(CASES.index)
    return table_of(results.iloc[order.argsort(kind="stable")])


def _parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = make_parser("memory", __doc__)
    add = parser.add_argument
    add_measured(parser)
    add(
        "--largest",
        type=float,
        default=np.inf,
        metavar="N",
        help="leave out tables of more than so many numbers",
    )
    add("--case", nargs=3, help=argparse.SUPPRESS)
    return parser
