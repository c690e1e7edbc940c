"""Boosted trees that are given what a prior knows, and trees on top of the curves.

Settings are each library's defaults. A margin is that of the default linear model with
curves: out of fold for training rows, so that trees see what it leaves over. The
HistGradientBoosting of scikit-learn takes no margin, and is fitted to the Newton step
from it, by squared error, or to the residual of a regression. Where trees are
"confirmed" they are small, and as many as lower the loss on rows that were left out, by
more than its standard error; otherwise there are none.

The linear model of a draw is fitted once for all methods on it, so the times of those
with a margin are without it, but for the first.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache, partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit, log_softmax, softmax
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.model_selection import KFold, StratifiedKFold

from benchmarks.data.datasets import Dataset, load
from benchmarks.data.knowledge import recorded_knowledge
from benchmarks.methods.baselines import Fit, FloatArray, Method, Predictor
from benchmarks.methods.curves import knowing
from benchmarks.methods.no_prior import untrained
from llmreg.export import boosting_margin, boosting_params

#: The libraries, by the module that has their models.
LIBRARIES: Mapping[str, str] = {
    "HistGradientBoosting": "sklearn.ensemble",
    "LightGBM": "lightgbm",
    "XGBoost": "xgboost",
    "CatBoost": "catboost",
}
#: What of a prior the trees are given.
KNOWLEDGE: Mapping[str, dict[str, bool]] = {
    "": {"monotone": False},
    ", signs": {"monotone": True},
    ", weights": {"monotone": False, "weights": True},
    ", no interactions": {"monotone": False, "additive": True},
}
#: The trees that are confirmed: small, and no more than these.
SMALL: Mapping[str, dict[str, Any]] = {
    "sklearn.ensemble": {"max_iter": 150, "learning_rate": 0.05, "max_leaf_nodes": 8},
    "catboost": {"iterations": 300, "learning_rate": 0.05, "depth": 4},
}
_FOLDS = 5
# The least weight of a row in a Newton step: rows that are certain would be far away.
_LEAST_WEIGHT = 0.01


def names_of(dataset: Dataset) -> list[str]:
    """List the classes as they are numbered, with the positive one of two last."""
    return sorted(dataset.classes, key=lambda name: name == dataset.positive)


def numbered(dataset: Dataset, y: pd.Series[Any]) -> NDArray[Any]:
    """Give the numbers of the classes; a target stays as it is."""
    if dataset.kind == "regression":
        return y.to_numpy(dtype=np.float64)
    names = names_of(dataset)
    return y.map({name: n for n, name in enumerate(names)}).to_numpy(dtype=np.int64)


@lru_cache(maxsize=1)
def linear_model(name: str, rows: tuple[int, ...], seed: int) -> Any:
    """Fit the default with curves on a draw; gives it and the margins of its rows."""
    import llmreg

    dataset, kept = load(name), list(rows)
    kind = "Regressor" if dataset.kind == "regression" else "Classifier"
    model = getattr(llmreg, f"LLMAttribution{kind}")(
        recorded_knowledge(name), random_state=seed, device="cpu"
    )
    X, y = dataset.X.iloc[kept], dataset.y.iloc[kept]
    model.fit(X, y)
    return model, of_names(dataset, model, boosting_margin(model, X, y, cv=_FOLDS))


def folds_of(dataset: Dataset) -> Any:
    """Divide rows as `boosting_margin` does: shuffled, for some tables are sorted."""
    kind = KFold if dataset.kind == "regression" else StratifiedKFold
    return kind(_FOLDS, shuffle=True, random_state=0)


def of_names(dataset: Dataset, model: Any, margin: FloatArray) -> FloatArray:
    """Bring the margins of a model into the order of the numbered classes."""
    if dataset.kind == "regression":
        return margin
    if margin.ndim == 1:
        return margin if model.classes_[1] == dataset.positive else -margin
    return margin[:, [list(model.classes_).index(name) for name in names_of(dataset)]]


def informed(library: str, **asked: bool) -> Fit:
    """Make a method of a library whose constructor is given what a prior knows."""

    def fit(
        dataset: Dataset, X: pd.DataFrame, y: pd.Series[Any], seed: int
    ) -> Predictor:
        classes = names_of(dataset) or None
        params = boosting_params(
            dataset.prior, X, library.split(".")[0], classes=classes, **asked
        )
        model = untrained(library, dataset, seed, **params)
        model.fit(X, numbered(dataset, y))
        if dataset.kind == "regression":
            return lambda rows: np.asarray(model.predict(rows), dtype=np.float64)

        def predict(rows: pd.DataFrame) -> FloatArray:
            table = np.asarray(model.predict_proba(rows), dtype=np.float64)
            return table[:, 1] if dataset.positive is not None else table

        return predict

    return fit


def grow(
    library: str,
    dataset: Dataset,
    X: pd.DataFrame,
    y: NDArray[Any],
    margin: FloatArray,
    seed: int,
    **more: Any,
) -> Any:
    """Fit trees of a library that start at a margin."""
    if library != "sklearn.ensemble":
        model = untrained(library, dataset, seed, **more)
        key = {"lightgbm": "init_score", "xgboost": "base_margin"}.get(library)
        return model.fit(X, y, **{key or "baseline": margin})
    trees = partial(HistGradientBoostingRegressor, random_state=seed, **more)
    if dataset.kind == "regression":
        return [trees().fit(X, y - margin)]
    p, truth = expit(margin)[:, None], (y == 1).astype(np.float64)[:, None]
    if margin.ndim == 2:
        p, truth = softmax(margin, axis=1), np.eye(margin.shape[1])[y]
    weight = np.maximum(p * (1 - p), _LEAST_WEIGHT)
    step = (truth - p) / weight
    return [trees().fit(X, step[:, k], weight[:, k]) for k in range(p.shape[1])]


def learnt(library: str, model: Any, rows: pd.DataFrame) -> FloatArray:
    """Give what trees add to the margin of rows."""
    if library == "lightgbm":
        # Of a regressor it is the prediction.
        return np.asarray(model.predict(rows, raw_score=True), dtype=np.float64)
    if library == "xgboost":
        shape = (len(rows), model.n_classes_) if _is_wide(model) else len(rows)
        none = np.zeros(shape, dtype=np.float32)
        found = model.predict(rows, output_margin=True, base_margin=none)
        return np.asarray(found, dtype=np.float64)
    if library == "catboost":
        found = model.predict(rows, prediction_type="RawFormulaVal")
        return np.asarray(found, dtype=np.float64)
    each = np.column_stack([one.predict(rows) for one in model])
    return each if len(model) > 1 else each[:, 0]


def _is_wide(model: Any) -> bool:
    """Tell whether a model of XGBoost has a margin per class."""
    return getattr(model, "n_classes_", 2) > 2


def stages(library: str, model: Any, rows: pd.DataFrame) -> FloatArray:
    """Give what the first so many trees add, no trees at first."""
    if library == "catboost":
        each = np.stack([*model.staged_predict(rows, prediction_type="RawFormulaVal")])
    else:
        each = np.stack([[*one.staged_predict(rows)] for one in model], axis=-1)
        each = each if len(model) > 1 else each[..., 0]
    return np.concatenate([np.zeros_like(each[:1]), each])


def losses(dataset: Dataset, y: NDArray[Any], raw: FloatArray) -> FloatArray:
    """Give the loss of each row, along the first axes if there are more."""
    if dataset.kind == "regression":
        return (raw - y) ** 2
    if dataset.positive is not None:
        return np.logaddexp(0, np.where(y == 1, -raw, raw))
    return -log_softmax(raw, axis=-1)[..., np.arange(len(y)), y]


def scores(dataset: Dataset, raw: FloatArray) -> FloatArray:
    """Make of a margin what is measured, classes in the order of the card."""
    if dataset.kind == "regression":
        return raw
    return expit(raw) if dataset.positive is not None else softmax(raw, axis=1)


def on_top(library: str, *, confirmed: bool = False) -> Fit:
    """Make a method whose trees start at the default with curves."""

    def fit(
        dataset: Dataset, X: pd.DataFrame, y: pd.Series[Any], seed: int
    ) -> Predictor:
        linear, margin = linear_model(dataset.name, tuple(X.index), seed)
        target = numbered(dataset, y)
        more = SMALL[library] if confirmed else {}
        kept = None
        if confirmed:
            kept = _confirmed(library, dataset, X, target, margin, seed)
        trees = None
        if kept != 0:
            trees = grow(library, dataset, X, target, margin, seed, **more)

        def predict(rows: pd.DataFrame) -> FloatArray:
            raw = of_names(dataset, linear, boosting_margin(linear, rows))
            if trees is None:
                return scores(dataset, raw)
            if kept is None:
                return scores(dataset, raw + learnt(library, trees, rows))
            return scores(dataset, raw + stages(library, trees, rows)[kept])

        return predict

    return fit


def _confirmed(
    library: str,
    dataset: Dataset,
    X: pd.DataFrame,
    y: NDArray[Any],
    margin: FloatArray,
    seed: int,
) -> int:
    """Choose the number of trees on rows left out; 0 where they do not confirm any."""
    more, found = SMALL[library], np.empty(0)
    for number, (train, test) in enumerate(folds_of(dataset).split(X, y)):
        trees = grow(
            library, dataset, X.iloc[train], y[train], margin[train], seed, **more
        )
        raw = margin[test] + stages(library, trees, X.iloc[test])
        if not number:
            found = np.empty((len(raw), len(y)))
        found[:, test] = losses(dataset, y[test], raw)
    best = int(found.mean(axis=1).argmin())
    gain = found[0] - found[best]
    return best if gain.mean() > gain.std() / np.sqrt(len(gain)) else 0


def _methods() -> dict[str, Method]:
    """List the methods by library."""
    found = {}
    for name, library in LIBRARIES.items():
        module = (library,)
        for what, asked in KNOWLEDGE.items():
            if "weights" in asked and library == "sklearn.ensemble":
                continue
            fit = knowing(informed(library, **asked))
            # Without knowledge the others are among the rivals already.
            if what or library == "sklearn.ensemble":
                found[f"{name}{what}"] = Method(fit, imports=(*module, "llmreg"))
        found[f"{name} on curves"] = Method(on_top(library), imports=module)
        if library in SMALL:
            fit = on_top(library, confirmed=True)
            found[f"{name} on curves, confirmed"] = Method(fit, imports=module)
    return found


ELSEWHERE: Mapping[str, Method] = _methods()
