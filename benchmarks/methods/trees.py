"""Ensembles of trees, as somebody tries them first: every default of the library.

The random forest sees a column for every level. The three boosting libraries are given
the table with its categorical columns, which they split on in their own ways; CatBoost
is told to open them into levels (`one_hot_max_size`), for its own statistics of levels
take forty times as long on few rows of many classes. One thread, no output, seeded.
LightGBM's default wants 20 rows in a leaf: below 40 rows it cannot split, and predicts
the mean for every row. That is its default, and stays.
"""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import pandas as pd
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

from benchmarks.data.datasets import Dataset
from benchmarks.methods.baselines import Fit, Predictor, make_encoder, predictor

#: The libraries of boosting, and how the names of their models begin.
_NAMES = {"xgboost": "XGB", "lightgbm": "LGBM", "catboost": "CatBoost"}


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
        model = _untrained(library, dataset, seed)
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


def _untrained(library: str, dataset: Dataset, seed: int) -> Any:
    """Make the model of a library, which only now has to be installed."""
    kind = "Regressor" if dataset.kind == "regression" else "Classifier"
    model = getattr(importlib.import_module(library), f"{_NAMES[library]}{kind}")
    return model(**_settings(library, dataset, seed))


def _settings(library: str, dataset: Dataset, seed: int) -> dict[str, Any]:
    """Give what a library is told: one thread, a seed, silence, and which levels."""
    if library == "catboost":
        return {
            "thread_count": 1,
            "random_seed": seed,
            "verbose": False,
            "allow_writing_files": False,
            "cat_features": list(dataset.X.select_dtypes("category").columns),
            "one_hot_max_size": 255,
        }
    settings: dict[str, Any] = {"n_jobs": 1, "random_state": seed}
    if library == "xgboost":
        return {**settings, "enable_categorical": True, "verbosity": 0}
    return {**settings, "verbosity": -1}
