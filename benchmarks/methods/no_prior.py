"""Rivals that know nothing but the rows: ensembles of trees, and a tuned network.

Of the trees every default, as somebody tries them first, and once more with what the
library's own page on tuning names first, chosen by cross-validation on the training
rows (`GRIDS`; the default where a class has one row). Explainable boosting has its
defaults, which its pages recommend, but for pairs of features. The random forest sees a
column for every level. The boosting libraries are given the table with its
categorical columns, which they split on in their own ways; CatBoost is told to open
them into levels (`one_hot_max_size`), for its own statistics of levels take forty times
as long on few rows of many classes. One thread, no output, seeded. LightGBM's default
wants 20 rows in a leaf: below 40 rows it cannot split, and predicts the mean for every
row. That is its default, and stays.

The network is what `tuned_without_prior` is to a linear model: scikit-learn's MLP of
100 hidden units, the strength of its weight decay and its learning rate chosen by
cross-validation on the training rows, over three folds, since every fit is a training
of its own. The middle of the grid where a class has one row. A regression's target is
standardised, as the network needs.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, KFold, StratifiedKFold
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.preprocessing import StandardScaler

from benchmarks.data.datasets import Dataset
from benchmarks.methods.baselines import Fit, Predictor, make_encoder, predictor

#: The libraries of boosting, and how the names of their models begin.
_NAMES = {
    "xgboost": "XGB",
    "lightgbm": "LGBM",
    "catboost": "CatBoost",
    "sklearn.ensemble": "HistGradientBoosting",
    "interpret.glassbox": "ExplainableBoosting",
}
_FOLDS = 3
#: What is searched: a few values around the default of what the guides name first.
GRIDS: Mapping[str, Mapping[str, Sequence[Any]]] = {
    "forest": {"max_features": ("sqrt", 0.5), "min_samples_leaf": (1, 5)},
    "xgboost": {"max_depth": (2, 6), "min_child_weight": (1, 5), "eta": (0.05, 0.3)},
    "lightgbm": {"num_leaves": (4, 31), "min_child_samples": (2, 5, 20)},
    "catboost": {"depth": (3, 6), "l2_leaf_reg": (3, 10)},
}


def random_forest(*, tuned: bool = False) -> Fit:
    """Make a method of random forests."""

    def fit(
        dataset: Dataset, X: pd.DataFrame, y: pd.Series[Any], seed: int
    ) -> Predictor:
        encoder = make_encoder(dataset).fit(X)
        regression = dataset.kind == "regression"
        kind = RandomForestRegressor if regression else RandomForestClassifier
        model = kind(n_jobs=1, random_state=seed)
        if tuned:
            model = search(dataset, model, GRIDS["forest"], y, seed)
        model.fit(encoder.transform(X), y)
        return predictor(dataset, encoder, model)

    return fit


def boosting(library: str, *, tuned: bool = False) -> Fit:
    """Make a method of a boosting library with the interface of scikit-learn.

    Classes are numbered in the card's order, with the positive one of two last, since
    not every library takes their names.
    """

    def fit(
        dataset: Dataset, X: pd.DataFrame, y: pd.Series[Any], seed: int
    ) -> Predictor:
        model = untrained(library, dataset, seed)
        if tuned:
            model = search(dataset, model, GRIDS[library], y, seed)
        if dataset.kind == "regression":
            model.fit(X, y)
            return lambda rows: np.asarray(model.predict(rows), dtype=np.float64)
        names = sorted(dataset.classes, key=lambda name: name == dataset.positive)
        model.fit(X, y.map({name: number for number, name in enumerate(names)}))

        def predict(rows: pd.DataFrame) -> Any:
            table = np.asarray(model.predict_proba(rows), dtype=np.float64)
            return table[:, 1] if dataset.positive is not None else table

        return predict

    return fit


def untrained(library: str, dataset: Dataset, seed: int, **more: Any) -> Any:
    """Make the model of a library, which only now has to be installed."""
    kind = "Regressor" if dataset.kind == "regression" else "Classifier"
    model = getattr(importlib.import_module(library), f"{_NAMES[library]}{kind}")
    return model(**{**_settings(library, dataset, seed), **more})


def _settings(library: str, dataset: Dataset, seed: int) -> dict[str, Any]:
    """Return the settings of a library: one thread, a seed, no output, the levels."""
    if library == "catboost":
        return {
            "thread_count": 1,
            "random_seed": seed,
            "verbose": False,
            "allow_writing_files": False,
            # A tuple, since a list is copied, and a search wants it as it was.
            "cat_features": tuple(dataset.X.select_dtypes("category").columns),
            "one_hot_max_size": 255,
        }
    if library == "sklearn.ensemble":
        return {"random_state": seed}
    settings: dict[str, Any] = {"n_jobs": 1, "random_state": seed}
    if library == "interpret.glassbox":
        # Pairs take minutes a fit at 30 columns, and spoil the log loss of few rows.
        return {**settings, "interactions": 0}
    if library == "xgboost":
        return {**settings, "enable_categorical": True, "verbosity": 0}
    return {**settings, "verbosity": -1}


def search(
    dataset: Dataset,
    model: Any,
    grid: Mapping[str, Sequence[Any]],
    y: pd.Series[Any],
    seed: int,
) -> Any:
    """Choose from a grid by the log loss, or the squared error, over three folds.

    The model as it is, where a class has too few rows to leave one out.
    """
    if dataset.kind == "regression":
        folds: Any = KFold(_FOLDS, shuffle=True, random_state=seed)
        return GridSearchCV(model, grid, scoring="neg_mean_squared_error", cv=folds)
    number = min(_FOLDS, int(y.value_counts().min()))
    if number < 2:
        return model
    folds = StratifiedKFold(number, shuffle=True, random_state=seed)
    return GridSearchCV(model, grid, scoring="neg_log_loss", cv=folds)


ALPHAS = (1e-2, 1.0, 10.0)
LEARNING_RATES = (1e-3, 1e-2)
_UNTUNED_MLP = {"alpha": 1.0, "learning_rate_init": 1e-2}


def fit_mlp_search(
    dataset: Dataset, X: pd.DataFrame, y: pd.Series[Any], seed: int
) -> Predictor:
    """Fit a network, its settings chosen by cross-validation."""
    encoder = make_encoder(dataset).fit(X)
    settings: dict[str, Any] = {"hidden_layer_sizes": (100,), "random_state": seed}
    prefix, model = "", MLPClassifier(**settings, **_UNTUNED_MLP)
    if dataset.kind == "regression":
        network, prefix = MLPRegressor(**settings), "regressor__"
        model = TransformedTargetRegressor(network, transformer=StandardScaler())
    grid = {f"{prefix}alpha": ALPHAS, f"{prefix}learning_rate_init": LEARNING_RATES}
    model = search(dataset, model, grid, y, seed)
    with warnings.catch_warnings():
        # 200 epochs are scikit-learn's default, whether or not the loss still falls.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(encoder.transform(X), y)
    return predictor(dataset, encoder, model)
