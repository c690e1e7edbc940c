"""What memory a fit takes, and how time grows with rows and columns.

Each measurement has a process of its own, since a process gives little memory back.
Memory is the peak above what the process held before the data, the data included.

python -m benchmarks.memory --out benchmarks/results/memory.csv
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

from benchmarks.console import echo, say
from benchmarks.results import environment
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
)
PIECE = 10_000
BOUND = 3.0


def peak() -> float:
    """Return the peak of this process's memory, in MB."""
    usage = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Kilobytes on Linux, bytes on macOS.
    return usage / (1e6 if sys.platform == "darwin" else 1e3) * 1.024


def measure(kind: str, n_rows: int, n_columns: int) -> dict[str, Any]:
    """Fit once, and tell the time and the memory that it took.

    Parameters
    ----------
    kind : {"auto", "auto, MLP", "linear", "minibatches", "partial_fit"}
        The default, linear or with 100 hidden units; the linear model's solver for a
        fixed gamma; Adam on batches for two passes; one pass over pieces of the table.
    n_rows, n_columns : int
        Size of a random table in single precision.

    Returns
    -------
    dict
        Seconds, MB of the data, MB at the peak, and their ratio.
    """
    warm = np.random.default_rng(0).random((40, 3), dtype=np.float32)
    settings: dict[str, Any] = {"random_state": 0, "device": "cpu", "gamma": 1.0}
    if kind.startswith("auto"):
        settings["gamma"] = "auto"
        if kind == "auto, MLP":
            settings["hidden_layer_sizes"] = (100,)
    elif kind != "linear":
        settings |= {"solver": "adam", "max_iter": 2, "batch_size": 2_048}
    LLMAttributionClassifier(1.0, **settings).fit(warm, np.arange(40) % 2)
    before = peak()
    rng = np.random.default_rng(0)
    X = rng.random((n_rows, n_columns), dtype=np.float32)
    weight = rng.normal(size=n_columns).astype(np.float32)
    y = (X[:, :8] @ weight[:8] > weight[:8].sum() / 2).astype(int)
    scores = np.clip(np.round(3 * weight), -10, 10)
    model = LLMAttributionClassifier(scores, **settings)
    start = time.perf_counter()
    if kind == "partial_fit":
        for piece in range(0, n_rows, PIECE):
            rows = slice(piece, piece + PIECE)
            model.partial_fit(X[rows], y[rows], classes=[0, 1])
    else:
        model.fit(X, y)
    seconds = time.perf_counter() - start
    data, top = X.nbytes / 1e6, peak() - before
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


def measure_apart(kind: str, n_rows: int, n_columns: int) -> dict[str, Any]:
    """Measure in a process of its own.

    Parameters
    ----------
    kind : str
        As in `measure`.
    n_rows, n_columns : int
        As in `measure`.

    Returns
    -------
    dict
        As `measure` returns.
    """
    command = [sys.executable, "-m", "benchmarks.memory", "--case", kind]
    done = subprocess.run(
        [*command, str(n_rows), str(n_columns)],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        check=True,
    )
    row: dict[str, Any] = json.loads(done.stdout)
    return row


def table_of(results: pd.DataFrame) -> str:
    """Write results as a table in markdown.

    Parameters
    ----------
    results : DataFrame
        What `measure` returned, a row each.

    Returns
    -------
    str
        The table; memory over the aim of three times a large table is marked.
    """
    lines = [
        "| | rows | columns | time | per million numbers | data | peak | ratio |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in results.itertuples():
        each = row.seconds / (row.rows * row.columns / 1e6)
        # What a fit takes for itself counts little beside a table of that size.
        over = " (over)" if row.data_mb >= 100 and row.ratio > BOUND else ""
        lines.append(
            f"| {row.kind} | {row.rows} | {row.columns} | {row.seconds:.2f} s | "
            f"{each:.3f} s | {row.data_mb:.0f} MB | {row.peak_mb:.0f} MB | "
            f"{row.ratio:.2f}{over} |"
        )
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure all cases, or one of them for the process that asked for it.

    Parameters
    ----------
    arguments : sequence of str, default=None
        Command line arguments; those of the process by default.
    """
    parser = argparse.ArgumentParser(prog="benchmarks.memory", description=__doc__)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--report", action="store_true", help="write the table again")
    parser.add_argument("--case", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.case:
        kind, n_rows, n_columns = given.case
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            echo(json.dumps(measure(kind, int(n_rows), int(n_columns))))
        return
    if given.out is None:
        parser.error("--out is needed")
    if not given.report:
        rows = []
        for case in CASES:
            rows.append(measure_apart(*case))
            say(str(rows[-1]))
        given.out.parent.mkdir(parents=True, exist_ok=True)
        pd.DataFrame(rows).to_csv(given.out, index=False, float_format="%.6g")
        note = {"settings": {"seed": 0, "cases": CASES}, **environment()}
        given.out.with_suffix(".json").write_text(json.dumps(note, indent=1) + "\n")
    text = table_of(pd.read_csv(given.out))
    given.out.with_suffix(".md").write_text(text)
    echo(text)


if __name__ == "__main__":
    main()
