"""Ensembles of trees, as somebody tries them first: every default of the library.

The random forest sees a column for every level. The three boosting libraries are given
the table with its categorical columns, which they split on in their own ways; CatBoost
is told to open them into levels (`one_hot_max_size`), for its own statistics of levels
take forty times as long on few rows of many classes. One thread, no output, seeded.
LightGBM's default wants 20 rows in a leaf: below 40 rows it cannot split, and predicts
the mean for every row. That is its default, and stays.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

from benchmarks.baselines import Fit, Predictor, make_encoder, of_classes
from benchmarks.datasets import Dataset

#: Makes an untrained model of a data set and a seed.
Make = Callable[[Dataset, int], Any]


def fit_random_forest(
    dataset: Dataset, X: pd.DataFrame, y: pd.Series[Any], seed: int
) -> Predictor:
    """Fit a random forest.

    Parameters
    ----------
    dataset : Dataset
        Says which kind of prediction this is.
    X : DataFrame of shape (n_rows, n_features)
        The training rows.
    y : Series of shape (n_rows,)
        Their target.
    seed : int
        Of the forest.

    Returns
    -------
    callable
        The predictor.
    """
    encoder = make_encoder(dataset).fit(X)
    regression = dataset.kind == "regression"
    kind = RandomForestRegressor if regression else RandomForestClassifier
    model = kind(n_jobs=1, random_state=seed).fit(encoder.transform(X), y)
    if regression:
        return lambda rows: model.predict(encoder.transform(rows))
    return lambda rows: of_classes(dataset, model, encoder.transform(rows))


def boosting(make: Make) -> Fit:
    """Make a method of a boosting library with the interface of scikit-learn.

    Parameters
    ----------
    make : callable
        `xgboost`, `lightgbm` or `catboost`.

    Returns
    -------
    callable
        The method. Classes are numbered in the card's order, with the positive one
        of two last, since not every library takes their names.
    """

    def fit(
        dataset: Dataset, X: pd.DataFrame, y: pd.Series[Any], seed: int
    ) -> Predictor:
        model = make(dataset, seed)
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


def xgboost(dataset: Dataset, seed: int) -> Any:
    """Make XGBoost's model.

    Parameters
    ----------
    dataset : Dataset
        Says which kind of prediction this is.
    seed : int
        Of the model.

    Returns
    -------
    XGBClassifier or XGBRegressor
        Untrained.
    """
    import xgboost as library

    regression = dataset.kind == "regression"
    kind = library.XGBRegressor if regression else library.XGBClassifier
    return kind(n_jobs=1, random_state=seed, enable_categorical=True, verbosity=0)


def lightgbm(dataset: Dataset, seed: int) -> Any:
    """Make LightGBM's model.

    Parameters
    ----------
    dataset : Dataset
        Says which kind of prediction this is.
    seed : int
        Of the model.

    Returns
    -------
    LGBMClassifier or LGBMRegressor
        Untrained.
    """
    import lightgbm as library

    regression = dataset.kind == "regression"
    kind = library.LGBMRegressor if regression else library.LGBMClassifier
    return kind(n_jobs=1, random_state=seed, verbosity=-1)


def catboost(dataset: Dataset, seed: int) -> Any:
    """Make CatBoost's model.

    Parameters
    ----------
    dataset : Dataset
        Says which kind of prediction this is, and which columns are categorical.
    seed : int
        Of the model.

    Returns
    -------
    CatBoostClassifier or CatBoostRegressor
        Untrained.
    """
    import catboost as library

    regression = dataset.kind == "regression"
    kind = library.CatBoostRegressor if regression else library.CatBoostClassifier
    return kind(
        thread_count=1,
        random_seed=seed,
        verbose=False,
        allow_writing_files=False,
        cat_features=list(dataset.X.select_dtypes("category").columns),
        one_hot_max_size=255,
    )
