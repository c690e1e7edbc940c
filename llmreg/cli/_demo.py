"""The demo: few rows of a real table, with a prior and without."""

import time
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from llmreg._utils import import_optional
from llmreg.classifier import LLMAttributionClassifier
from llmreg.prior._feature_prior import FeaturePrior
from llmreg.prior._task import Feature, Task

CARD = "breast-cancer-wisconsin.json"
SHOTS = (1, 5, 10, 50)
N_REPETITIONS = 20
SEED = 0
_TOP = 0.995
NO_PRIOR = "no prior (tuned logistic regression)"
METHODS = (NO_PRIOR, "prior alone", "LAAT linear", "LAAT MLP")


def run_demo(
    out: TextIO,
    provider: Any = None,
    plot: Path | None = None,
    *,
    shots: tuple[int, ...] = SHOTS,
    n_repetitions: int = N_REPETITIONS,
    n_jobs: int = -1,
) -> pd.DataFrame:
    """Compare models with and without the prior on few rows, and write how they do."""
    if plot is not None:
        import_optional("matplotlib", "llmreg[plot]")
    X, y = load_table()
    recorded = load_card()
    prior = recorded if provider is None else provider.elicit(task_of(recorded))
    out.write(f"{recorded.task}\n{len(X)} rows, {X.shape[1]} features.\n\n{prior}\n\n")
    draws = [(k, r) for k in shots for r in range(n_repetitions)]
    start = time.perf_counter()
    results = Parallel(n_jobs=n_jobs, return_as="generator_unordered")(
        delayed(_score_draw)(X, y, prior, *draw) for draw in draws
    )
    scores: list[dict[str, Any]] = []
    for n_done, rows in enumerate(results, start=1):
        scores += rows
        if n_done == len(draws) or n_done % -(-len(draws) // 8) == 0:
            out.write(f"{n_done:4d} of {len(draws)} draws\n")
            out.flush()
    seconds = time.perf_counter() - start
    frame = pd.DataFrame(scores).sort_values(["shots", "repetition"], kind="stable")
    out.write(
        f"\nROC AUC on the other rows: mean and standard deviation over "
        f"{n_repetitions} draws ({seconds:.0f} s).\n\n{format_table(frame)}\n"
    )
    if plot is not None:
        draw_plot(frame, plot)
        out.write(f"\nThe plot is in {plot}.\n")
    return frame


def load_table() -> tuple[pd.DataFrame, pd.Series]:
    """Load the Wisconsin breast cancer table that scikit-learn ships."""
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
        features=tuple(Feature(n, card.descriptions.get(n, "")) for n in card.features),
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
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.add_subplot()
    # Okabe and Ito's colours, told apart with any colour vision.
    colours = ("#000000", "#E69F00", "#0072B2", "#009E73")
    styles = ("--", ":", "-", "-")
    for method, colour, style in zip(METHODS, colours, styles, strict=True):
        groups = frame[frame["method"] == method].groupby("shots")["roc_auc"]
        mean, deviation = groups.mean(), groups.std()
        axes.plot(mean.index, mean, style, color=colour, marker="o", label=method)
        ends = mean - deviation, np.minimum(mean + deviation, _TOP)
        axes.fill_between(mean.index, *ends, color=colour, alpha=0.1, linewidth=0)
    shots = sorted(frame["shots"].unique())
    # Near the top a difference of 0.01 counts as much as one of 0.1 near 0.5.
    axes.set(yscale="logit", ylim=(0.5, _TOP), ylabel="ROC AUC on the other rows")
    axes.set(xscale="log", xlabel="training rows per class")
    ticks = (0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99)
    axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.set_xticks(shots, [str(k) for k in shots])
    axes.minorticks_off()
    axes.set_title("Breast cancer: what a prior is worth when rows are few")
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="lower right", frameon=False)
    figure.savefig(path, dpi=150)


def _score_draw(
    X: pd.DataFrame, y: pd.Series, prior: FeaturePrior, shots: int, repetition: int
) -> list[dict[str, Any]]:
    """Train every method on some rows of each class, and score it on all others."""
    rng = np.random.default_rng([SEED, shots, repetition])
    by_class = (np.flatnonzero(y == label) for label in ("benign", "malignant"))
    chosen = [rng.choice(rows, shots, replace=False) for rows in by_class]
    train = np.concatenate(chosen)
    test = np.setdiff1d(np.arange(len(y)), train)
    logistic = LogisticRegression(max_iter=1000)
    tuned: Any = Pipeline([("scaler", MinMaxScaler()), ("model", logistic)])
    if shots > 1:
        scalers = [MinMaxScaler(), StandardScaler()]
        grid = {"model__C": np.logspace(-2, 2, 5), "scaler": scalers}
        tuned = GridSearchCV(tuned, grid, cv=min(shots, 3), scoring="neg_log_loss")
    aligned = LLMAttributionClassifier(prior, random_state=SEED, device="cpu")
    models = {
        NO_PRIOR: tuned,
        METHODS[2]: aligned,
        METHODS[3]: clone(aligned).set_params(hidden_layer_sizes=(100,)),
    }
    X_train, X_test = X.iloc[train], X.iloc[test]
    # The prior alone: scaled features, weighted by their scores.
    scores = pd.Series(prior.scores[0], prior.features).reindex(X.columns, fill_value=0)
    found = {METHODS[1]: MinMaxScaler().fit(X_train).transform(X_test) @ scores}
    for name, model in models.items():
        found[name] = model.fit(X_train, y.iloc[train]).decision_function(X_test)
    is_malignant = y.iloc[test] == "malignant"
    about = {"shots": shots, "repetition": repetition}
    return [
        {**about, "method": name, "roc_auc": roc_auc_score(is_malignant, found[name])}
        for name in METHODS
    ]
