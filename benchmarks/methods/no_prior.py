"""Rivals that know nothing but the rows: ensembles of trees, and a tuned network.

Of the trees every default, as somebody tries them first. The random forest sees a
column for every level. The three boosting libraries are given the table with its
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
}


def fit_random_forest(
    dataset: Dataset, X: pd.DataFrame, y: pd.Series[Any], seed: int
) -> Predictor:
    """Fit a random forest."""
    encoder = make_encoder(dataset).fit(X)
    regression = dataset.kind == "regression"
    kind = RandomForestRegressor if regression else RandomForestClassifier
    model = kind(n_jobs=1, random_state=seed).fit(encoder.transform(X), y)
    return predictor(dataset, encoder, model)


def boosting(library: str) -> Fit:
    """Make a method of a boosting library with the interface of scikit-learn.

    Classes are numbered in the card's order, with the positive one of two last, since
    not every library takes their names.
    """

    def fit(
        dataset: Dataset, X: pd.DataFrame, y: pd.Series[Any], seed: int
    ) -> Predictor:
        model = untrained(library, dataset, seed)
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
            "cat_features": list(dataset.X.select_dtypes("category").columns),
            "one_hot_max_size": 255,
        }
    if library == "sklearn.ensemble":
        return {"random_state": seed}
    settings: dict[str, Any] = {"n_jobs": 1, "random_state": seed}
    if library == "xgboost":
        return {**settings, "enable_categorical": True, "verbosity": 0}
    return {**settings, "verbosity": -1}


ALPHAS = (1e-2, 1.0, 10.0)
LEARNING_RATES = (1e-3, 1e-2)
_UNTUNED_MLP = {"alpha": 1.0, "learning_rate_init": 1e-2}
_FOLDS = 3


def fit_mlp_search(
    dataset: Dataset, X: pd.DataFrame, y: pd.Series[Any], seed: int
) -> Predictor:
    """Fit a network, its settings chosen by cross-validation."""
    encoder = make_encoder(dataset).fit(X)
    model = _search(dataset, y, seed)
    with warnings.catch_warnings():
        # 200 epochs are scikit-learn's default, whether or not the loss still falls.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(encoder.transform(X), y)
    return predictor(dataset, encoder, model)


def _search(dataset: Dataset, y: pd.Series[Any], seed: int) -> Any:
    """Make the grid search, or a single network where nothing can be left out."""
    settings = {"hidden_layer_sizes": (100,), "random_state": seed}
    if dataset.kind == "regression":
        folds: Any = KFold(_FOLDS, shuffle=True, random_state=seed)
        model: Any = TransformedTargetRegressor(
            MLPRegressor(**settings), transformer=StandardScaler()
        )
        prefix, scoring = "regressor__", "neg_mean_squared_error"
    else:
        number = min(_FOLDS, int(y.value_counts().min()))
        if number < 2:
            return MLPClassifier(**settings, **_UNTUNED_MLP)
        folds = StratifiedKFold(number, shuffle=True, random_state=seed)
        model, prefix, scoring = MLPClassifier(**settings), "", "neg_log_loss"
    grid = {
        f"{prefix}alpha": ALPHAS,
        f"{prefix}learning_rate_init": LEARNING_RATES,
    }
    return GridSearchCV(model, grid, scoring=scoring, cv=folds)
