"""The demo: few rows of a real table, with a prior and without."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any, NamedTuple, TextIO

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV
from sklearn.preprocessing import MinMaxScaler

from llmreg._utils._imports import import_optional
from llmreg.classifier import LLMAttributionClassifier
from llmreg.prior._feature_prior import FeaturePrior
from llmreg.prior._task import Feature, Task

CARD = "breast-cancer-wisconsin.json"
SHOTS = (1, 5, 10, 50)
N_REPETITIONS = 20
SEED = 0
_TOP = 0.995
METHODS = (
    "no prior (tuned logistic regression)",
    "prior alone",
    "LAAT linear",
    "LAAT MLP",
)


class Draw(NamedTuple):
    """One draw of training rows: rows per class, and which repetition it is."""

    shots: int
    repetition: int


def run_demo(
    out: TextIO,
    provider: Any = None,
    plot: Path | None = None,
    *,
    shots: tuple[int, ...] = SHOTS,
    n_repetitions: int = N_REPETITIONS,
    n_jobs: int = -1,
) -> pd.DataFrame:
    """Compare models with and without the prior on few rows, and tell how they do.

    Raises ProviderError if the provider gives no prior.

    Raises MissingDependencyError if a plot is asked for and matplotlib is not
    installed.
    """
    if plot is not None:
        import_optional("matplotlib", "llmreg[plot]")
    X, y = load_table()
    recorded = load_card()
    prior = recorded if provider is None else provider.elicit(task_of(recorded))
    out.write(f"{recorded.task}\n{len(X)} rows, {X.shape[1]} features.\n\n{prior}\n\n")
    draws = [Draw(k, r) for k in shots for r in range(n_repetitions)]
    start = time.perf_counter()
    scores = [
        row
        for rows in _with_progress(_scores(X, y, prior, draws, n_jobs), len(draws), out)
        for row in rows
    ]
    frame = pd.DataFrame(scores).sort_values(["shots", "repetition"], kind="stable")
    seconds = time.perf_counter() - start
    out.write(
        f"\nROC AUC on the other rows: mean and standard deviation over "
        f"{n_repetitions} draws ({seconds:.0f} s).\n\n{format_table(frame)}\n"
    )
    if plot is not None:
        draw_plot(frame, plot)
        out.write(f"\nThe plot is in {plot}.\n")
    return frame


def load_table() -> tuple[pd.DataFrame, pd.Series]:
    """Load the Wisconsin breast cancer table that scikit-learn ships.

    Returns shape (569, 20), (569,).
    """
    data = load_breast_cancer(as_frame=True)
    X = data.data[[c for c in data.data if not c.endswith(" error")]]
    return X, data.target.map({0: "malignant", 1: "benign"}).rename("diagnosis")


def load_card() -> FeaturePrior:
    """Read the recorded prior that the package bundles."""
    with as_file(files("llmreg") / "_data" / CARD) as path:
        return FeaturePrior.read(path)


def task_of(card: FeaturePrior) -> Task:
    """Say what a provider is to score: the same questions as the recorded prior's."""
    return Task(
        features=tuple(
            Feature(name, card.descriptions.get(name, "")) for name in card.features
        ),
        target=card.target,
        outputs=("malignant",),
        kind="classification",
        classes=("benign", "malignant"),
        description=card.task,
    )


def format_table(frame: pd.DataFrame) -> str:
    """Set the mean and the spread of every method and size as text."""
    groups = frame.groupby(["method", "shots"])["roc_auc"]
    cells = groups.mean().map("{:.3f}".format) + groups.std().map(" ±{:.3f}".format)
    table = cells.unstack("shots").reindex(METHODS)
    table.columns = [f"{shots} per class" for shots in table.columns]
    table.index.name = None
    return str(table.to_string())


def draw_plot(frame: pd.DataFrame, path: Path) -> None:
    """Draw the mean ROC AUC over the rows per class, with a band of one deviation."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    # Okabe and Ito's colours, told apart with any colour vision.
    colours = ("#000000", "#E69F00", "#0072B2", "#009E73")
    for method, colour, style in zip(
        METHODS, colours, ("--", ":", "-", "-"), strict=True
    ):
        groups = frame[frame["method"] == method].groupby("shots")["roc_auc"]
        mean, deviation = groups.mean(), groups.std()
        axes.plot(mean.index, mean, style, color=colour, marker="o", label=method)
        axes.fill_between(
            mean.index,
            mean - deviation,
            np.minimum(mean + deviation, _TOP),
            color=colour,
            alpha=0.1,
            linewidth=0,
        )
    shots = sorted(frame["shots"].unique())
    # Near the top a difference of 0.01 counts as much as one of 0.1 near 0.5.
    axes.set_yscale("logit")
    axes.set_ylim(0.5, _TOP)
    ticks = (0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99)
    axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.set_xscale("log")
    axes.set_xticks(shots, [str(k) for k in shots])
    axes.minorticks_off()
    axes.set_xlabel("training rows per class")
    axes.set_ylabel("ROC AUC on the other rows")
    axes.set_title("Breast cancer: what a prior is worth when rows are few")
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="lower right", frameon=False)
    figure.savefig(path, dpi=150)


def _scores(
    X: pd.DataFrame, y: pd.Series, prior: FeaturePrior, draws: list[Draw], n_jobs: int
) -> Iterator[list[dict[str, Any]]]:
    """Score every draw, in the order in which they get done."""
    jobs = (delayed(_score_draw)(X, y, prior, draw) for draw in draws)
    done: Iterator[list[dict[str, Any]]] = Parallel(
        n_jobs=n_jobs, return_as="generator_unordered"
    )(jobs)
    return done


def _score_draw(
    X: pd.DataFrame, y: pd.Series, prior: FeaturePrior, draw: Draw
) -> list[dict[str, Any]]:
    """Train every method on one draw, and score it on all other rows."""
    rng = np.random.default_rng([SEED, *draw])
    train = np.concatenate(
        [rng.choice(rows, draw.shots, replace=False) for rows in _rows_by_class(y)]
    )
    test = np.setdiff1d(np.arange(len(y)), train)
    rows = (X.iloc[train], y.iloc[train], X.iloc[test])
    fits: dict[str, Callable[[], np.ndarray]] = {
        METHODS[0]: lambda: _tuned(*rows, draw.shots),
        METHODS[1]: lambda: _alone(*rows, prior),
        METHODS[2]: lambda: _aligned(*rows, prior, ()),
        METHODS[3]: lambda: _aligned(*rows, prior, (100,)),
    }
    is_malignant = y.iloc[test] == "malignant"
    return [
        {
            **draw._asdict(),
            "method": name,
            "roc_auc": roc_auc_score(is_malignant, fit()),
        }
        for name, fit in fits.items()
    ]


def _rows_by_class(y: pd.Series) -> list[np.ndarray]:
    return [np.flatnonzero(y == label) for label in ("benign", "malignant")]


def _tuned(
    X: pd.DataFrame, y: pd.Series, X_test: pd.DataFrame, shots: int
) -> np.ndarray:
    """Fit a logistic regression whose C is chosen by cross-validation."""
    scaler = MinMaxScaler().fit(X)
    model = LogisticRegression(max_iter=1000)
    if shots > 1:
        grid = {"C": np.logspace(-2, 2, 5)}
        model = GridSearchCV(model, grid, cv=min(shots, 3), scoring="neg_log_loss")
    model.fit(scaler.transform(X), y.to_numpy())
    return np.asarray(model.decision_function(scaler.transform(X_test)))


def _alone(
    X: pd.DataFrame, y: pd.Series, X_test: pd.DataFrame, prior: FeaturePrior
) -> np.ndarray:
    """Add up the scaled features, weighted by their scores, without training."""
    scores = dict(zip(prior.features, prior.scores[0], strict=True))
    weights = np.array([scores.get(str(name), 0.0) for name in X])
    return np.asarray(MinMaxScaler().fit(X).transform(X_test) @ weights)


def _aligned(
    X: pd.DataFrame,
    y: pd.Series,
    X_test: pd.DataFrame,
    prior: FeaturePrior,
    hidden_layer_sizes: tuple[int, ...],
) -> np.ndarray:
    model = LLMAttributionClassifier(
        prior, hidden_layer_sizes=hidden_layer_sizes, random_state=SEED, device="cpu"
    )
    return model.fit(X, y).decision_function(X_test)


def _with_progress(
    results: Iterator[Any], n_results: int, out: TextIO
) -> Iterator[Any]:
    """Pass results on, and show how many there are."""
    start = time.perf_counter()
    is_terminal = out.isatty()
    for n_done, result in enumerate(results, start=1):
        yield result
        share = n_done / n_results
        left = (time.perf_counter() - start) * (1 - share) / share
        bar = "#" * round(30 * share)
        line = f"{n_done:4d} of {n_results} draws [{bar:<30}] {left:3.0f} s left"
        if is_terminal:
            out.write(f"\r{line}" + "\n" * (n_done == n_results))
        elif n_done == n_results or n_done % -(-n_results // 8) == 0:
            out.write(f"{line}\n")
        out.flush()
