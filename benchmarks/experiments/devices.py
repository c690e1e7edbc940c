"""How long fits take on a CUDA device and on the CPU beside it.

The same random tables as `speed`; on the CPU every core may be used, in double
precision, and on the device numbers are single. Each row is kept as soon as it is
there. The best of three fits after one that warms up, or of one where it takes long.

    python -m benchmarks devices
    python -m benchmarks devices --report                    only the table again
"""

from __future__ import annotations

import argparse
import platform
import time
import warnings
from collections.abc import Sequence
from functools import partial
from typing import Any

import pandas as pd
import torch
from sklearn.metrics import roc_auc_score

from benchmarks.data.results import ResultFile
from benchmarks.experiments.runner import add_measured, measure_missing
from benchmarks.experiments.speed import curves_of, make_table, seconds, size_name
from benchmarks.programs import make_parser, publish, run_program, say
from benchmarks.reporting.tables import line, markdown
from llmreg import LLMAttributionClassifier

SEED, PATIENCE = 0, 10.0
SIZES = ((1_000, 50), (10_000, 100), (200_000, 50), (1_000_000, 50))
_NAMED = {f"{n_rows}x{n_columns}": (n_rows, n_columns) for n_rows, n_columns in SIZES}
_WIDE: dict[str, Any] = {"hidden_layer_sizes": (100,)}
MODELS: dict[str, dict[str, Any]] = {
    "linear, fixed gamma": {"gamma": 100.0},
    "linear, trust learnt": {},
    "linear, curves, trust learnt": {},
    "MLP, fixed gamma": {"gamma": 100.0, "max_iter": 30, **_WIDE},
    "MLP, trust learnt": {"max_iter": 30, **_WIDE},
    "MLP of 2 x 1000, fixed gamma": {
        "gamma": 100.0,
        "max_iter": 30,
        "hidden_layer_sizes": (1_000, 1_000),
    },
}
KEY = ("model", "size", "device")
COLUMNS = (*KEY, "seconds", "roc_auc", "hardware", "run")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program as `run_program` does."""
    return run_program(_run, _parser(), arguments)


def _run(given: argparse.Namespace) -> int:
    """Fit what the result file lacks on the devices that are here."""
    file = ResultFile(given.out, COLUMNS, KEY)
    if not given.report:
        devices = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
        if len(devices) == 1:
            say("There is no CUDA device here.")
        cases = [
            (model, size_name(*size), device)
            for size in (_NAMED[name] for name in given.sizes)
            for model in MODELS
            for device in devices[::-1]
            # Minutes, and they would say nothing that the size before does not.
            if device == "cuda" or "1000" not in model or size[0] <= SIZES[1][0]
        ]
        with warnings.catch_warnings():
            # Of convergence: the passes are as many as asked for.
            warnings.simplefilter("ignore")
            settings = {"seed": SEED, "threads": torch.get_num_threads()}
            measure_missing(file, given, cases, measure, settings)
    publish(table_of(file.read()), file.path.with_suffix(".md"))
    return 0


def measure(model: str, size: str, device: str) -> dict[str, Any]:
    """Time the fit of a model, and say how well it ranks the rows that it learnt."""
    table = make_table(*map(int, size.split(" x ")))
    prior = curves_of(table.scores) if "curves" in model else table.scores
    estimator = LLMAttributionClassifier(
        prior, device=device, random_state=SEED, **MODELS[model]
    )

    def fit() -> None:
        estimator.fit(table.X, table.labels)

    # Of a clock on the wall: a device works while the core waits.
    once = partial(seconds, fit, time.perf_counter)
    first = once()
    best = first if first > PATIENCE else min(once() for _ in range(3))
    score = roc_auc_score(table.labels, estimator.predict_proba(table.X)[:, 1])
    return {
        "model": model,
        "size": size,
        "device": device,
        "seconds": best,
        "roc_auc": score,
        "hardware": hardware(device),
    }


def hardware(device: str) -> str:
    """Name the device, or how many cores there are beside it."""
    if device == "cuda":
        return str(torch.cuda.get_device_name())
    return f"{torch.get_num_threads()} threads, {platform.machine()}"


def table_of(results: pd.DataFrame) -> str:
    """Write a table in markdown: seconds on both sides, and whether both agree."""
    rows = []
    for (model, size), fits in results.groupby(["model", "size"], sort=False):
        by = fits.set_index("device")
        cells = [
            f"{by['seconds'][device]:.3g}" if device in by.index else "-"
            for device in ("cpu", "cuda")
        ]
        ratio = gap = "-"
        if len(by) == 2:
            ratio = f"{by['seconds']['cpu'] / by['seconds']['cuda']:.2g}"
            gap = f"{abs(by['roc_auc']['cpu'] - by['roc_auc']['cuda']):.4f}"
        rows.append([str(model), str(size), *cells, ratio, gap])
    named = results.drop_duplicates("device").set_index("device")["hardware"]
    heads = ["fit", "rows x columns", *(f"{d}, s" for d in ("cpu", "cuda"))]
    text = markdown(line([*heads, "times faster", "gap of ROC AUC"]), rows)
    return f"{text}\n{'; '.join(f'{d}: {name}' for d, name in named.items())}.\n"


def _parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = make_parser("devices", __doc__)
    add_measured(parser)
    parser.add_argument(
        "--sizes", nargs="+", choices=_NAMED, default=list(_NAMED), help="sizes (all)"
    )
    return parser
