"""How long fits and predictions take beside scikit-learn's: medians of ratios.

Both sides of a row run in turns, in one process, on the same random table. Each row
is kept as soon as it is there; a later start measures what is missing.

Beside scikit-learn stands the training loop of the paper's authors: skorch's NeuralNet
with torch's DataLoader, Adam at 0.01 for 200 epochs, the gradient penalty by a second
backward pass. It is written for skorch and torch as they come, without any of this
package's own shortcuts but the loss itself.

    python -m benchmarks speed --out speed.csv
    python -m benchmarks speed --out speed.csv --again --only Ridge
    python -m benchmarks speed --out speed.csv --only curves
    python -m benchmarks speed --out speed.csv --report      only the table again
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from collections.abc import Callable, Container, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV, Ridge
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import SplineTransformer
from skorch import NeuralNet
from torch import Tensor, nn

from benchmarks.data.results import ResultFile, threads
from benchmarks.experiments.runner import add_measured, keep
from benchmarks.programs import make_parser, publish, run_program, say
from benchmarks.reporting.tables import line, markdown
from llmreg import (
    FeaturePrior,
    LLMAttributionClassifier,
    LLMAttributionRegressor,
)
from llmreg.nn import AttributionAlignedLoss

SEED = 0
WIDTH, MAX_ITER = 100, 200

Call = Callable[[], Any]
N_EPOCHS, LEARNING_RATE, BATCH_SIZE = 200, 0.01, 2_048
SIZES = ((10, 8), (100, 20), (1_000, 50), (10_000, 100), (200_000, 50))
_NAMED = {f"{n_rows}x{n_columns}": (n_rows, n_columns) for n_rows, n_columns in SIZES}
KEY = ("comparison", "size")
#: `run` is the number of the run in the note beside the file.
COLUMNS = (*KEY, "ours", "theirs", "ratio", "bound", "rounds", "note", "run")
#: Seconds that the rounds of a row may take together, and their least and most.
PATIENCE, FEWEST, MOST = 4.0, 3, 25


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


def measure(comparison: Comparison, patience: float = PATIENCE) -> dict[str, Any]:
    """Time both sides in turns.

    `patience` is in seconds, for all rounds together; three are run whatever they take.
    Returns the median seconds of both sides and the median of the ratios.
    """
    first = seconds(comparison.ours), seconds(comparison.theirs)
    rounds = int(np.clip(patience / sum(first), FEWEST, MOST))
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
    """Time a call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def run(
    sizes: Sequence[tuple[int, int]],
    only: str = "",
    finished: Container[tuple[str, str]] = (),
    patience: float = PATIENCE,
) -> Iterator[dict[str, Any]]:
    """Compare on tables of all sizes."""
    for n_rows, n_columns in sizes:
        size = size_name(n_rows, n_columns)
        every = [
            c for c in comparisons(make_table(n_rows, n_columns)) if only in c.name
        ]
        for number, comparison in enumerate(every, start=1):
            if (comparison.name, size) in finished:
                continue
            row = {"size": size, **measure(comparison, patience)}
            say(
                f"{size}, {number} of {len(every)}, {comparison.name}: "
                f"{row['ratio']:.3g}"
            )
            yield row


def size_name(n_rows: int, n_columns: int) -> str:
    """Write a size as the result file has it."""
    return f"{n_rows} x {n_columns}"


def table_of(results: pd.DataFrame) -> str:
    """Write results as tables in markdown: the ratios, then all that was measured.

    Ratios over their bound are in bold.
    """
    known = {size_name(*size): f"{size[0]:,} x {size[1]}" for size in SIZES}
    sizes = [size for size in known if (results["size"] == size).any()]
    ratios, times = [], []
    for name, rows in results.groupby("comparison", sort=False):
        aim, cells = f"{rows['bound'].iloc[0]:.3g}", []
        for size in sizes:
            here = rows[rows["size"] == size]
            cells.append("-" if here.empty else _ratio(here.iloc[0]))
            for _, row in here.iterrows():
                both = _duration(row["ours"]), _duration(row["theirs"])
                note = "" if pd.isna(row["note"]) else row["note"]
                times.append([str(name), known[size], *both, cells[-1], aim, note])
        ratios.append([str(name), aim, *cells])
    first = markdown(line(["", "aim", *(known[size] for size in sizes)]), ratios)
    second = markdown("| | size | llmreg | other | ratio | aim | |", times)
    return f"## Ratios\n\n{first}\n## Times\n\n{second}"


def _ratio(row: pd.Series[Any]) -> str:
    """Write a ratio, in bold where it is over its bound."""
    text = f"{row['ratio']:.3g}"
    return f"**{text}**" if row["ratio"] > row["bound"] else text


def _duration(value: float) -> str:
    """Write seconds, or thousandths of them."""
    return f"{value:.3g} s" if value >= 1 else f"{1e3 * value:.3g} ms"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program as `run_program` does."""
    return run_program(_run, _parser(), arguments)


def _run(given: argparse.Namespace) -> int:
    """Measure what the result file lacks, or all if asked to; write the table."""
    file = ResultFile(given.out, COLUMNS, KEY)
    if not given.report:
        sizes = [_NAMED[size] for size in given.sizes]
        if given.again:
            asked = {size_name(*size) for size in sizes}
            file.forget(
                key
                for key in file.finished()
                if given.only in key[0] and key[1] in asked
            )
        settings = {
            "sizes": sizes,
            "only": given.only,
            "seed": SEED,
            "patience": given.patience,
            "threads": threads(),
        }
        with warnings.catch_warnings():
            # Of convergence, on both sides: the passes are as many as asked for.
            warnings.simplefilter("ignore")
            rows = run(sizes, given.only, file.finished(), given.patience)
            keep(file, rows, settings)
    publish(table_of(file.read()), file.path.with_suffix(".md"))
    return 0


def _parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = make_parser("speed", __doc__)
    add = parser.add_argument
    add_measured(parser)
    add("--only", default="", metavar="WORDS", help="comparisons whose name has this")
    add("--sizes", nargs="+", choices=_NAMED, default=list(_NAMED), help="sizes (all)")
    add(
        "--patience",
        type=float,
        default=PATIENCE,
        metavar="SECONDS",
        help=f"time for the rounds of a row; {FEWEST} are run anyhow ({PATIENCE:g})",
    )
    return parser


def make_table(n_rows: int, n_columns: int, seed: int = SEED) -> Table:
    """Draw a table. It has two classes, whatever its size."""
    rng = np.random.default_rng(seed)
    X, weight = rng.normal(size=(n_rows, n_columns)), rng.normal(size=n_columns)
    outputs = 2 * X @ weight / np.sqrt(n_columns)
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


def comparisons(table: Table) -> Iterator[Comparison]:
    """Yield all that is compared on a table."""
    X, y, targets, scores = table
    # The linear model by itself: what trees take hangs on what the rows hold.
    make = partial(
        LLMAttributionClassifier, scores, random_state=SEED, device="cpu", trees=None
    )
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
    yield from _curves(table, make, many)
    yield from _networks(table, make)
    yield from _loops(table, make)


def _curves(
    table: Table, make: Callable[..., Any], many: LogisticRegressionCV
) -> Iterator[Comparison]:
    """Yield the rows of a prior of curves, whose scores stand in the other prior."""
    X, y, _, scores = table
    auto: Any = "auto"
    curved, plain = make(gamma=auto), make(gamma=auto)
    curved.set_params(prior=curves_of(scores))
    splines = make_pipeline(SplineTransformer(), LogisticRegression())
    for name, other in (("scores", plain), ("LogisticRegressionCV", many)):
        yield Comparison(
            f"linear, curves, to {name}",
            partial(curved.fit, X, y),
            partial(other.fit, X, y),
            3.0,
        )
    yield Comparison(
        "predict, curves, to SplineTransformer and LogisticRegression",
        partial(_predict, curved, X, y),
        partial(_predict, splines, X, y),
        3.0,
    )


def _predict(model: Any, X: np.ndarray, y: np.ndarray) -> Any:
    """Predict; what the rows before have not fitted is only now, for it takes long."""
    if not hasattr(model, "classes_"):
        model.fit(X, y)
    return model.predict(X)


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


class PlainNet(NeuralNet):
    """A skorch net whose criterion gets the inputs and the module."""

    def train_step_single(self, batch: Any, **fit_params: Any) -> dict[str, Tensor]:
        """Train on a batch whose inputs collect gradients."""
        X, y = batch
        return super().train_step_single((X.requires_grad_(True), y), **fit_params)

    def get_loss(
        self, y_pred: Tensor, y_true: Any, X: Any = None, training: bool = False
    ) -> Tensor:
        """Return the aligned loss of a batch."""
        return self.criterion_(y_pred, y_true, X=X, module=self.module_)


def fit_by_loop(
    X: np.ndarray,
    y: np.ndarray,
    scores: np.ndarray,
    *,
    hidden: int | None,
    n_epochs: int = N_EPOCHS,
) -> NeuralNet:
    """Train the linear model or the network of one hidden layer in the authors' loop.

    The rows are scaled already, the classes are 0 and 1. Without `hidden` it is the
    linear model.
    """
    torch.manual_seed(0)
    width = X.shape[1]
    module: nn.Module = nn.Linear(width, 1)
    if hidden:
        module = nn.Sequential(
            nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, 1)
        )
    net = PlainNet(
        module,
        AttributionAlignedLoss,
        criterion__scores=scores[None],
        criterion__gamma=100.0,
        criterion__score_transform="exp",
        optimizer=torch.optim.Adam,
        lr=LEARNING_RATE,
        max_epochs=n_epochs,
        batch_size=BATCH_SIZE,
        train_split=None,
        verbose=0,
    )
    net.initialize()
    net.criterion_.float()
    return net.partial_fit(X.astype(np.float32), y.astype(np.float32))
