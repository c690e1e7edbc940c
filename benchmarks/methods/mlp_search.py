"""A network of 100 hidden units without a prior, its settings found by a grid search.

What `tuned_without_prior` is to a linear model: scikit-learn's MLP, the strength of its
weight decay and its learning rate chosen by cross-validation on the training rows, over
three folds, since every fit is a training of its own. The middle of the grid where a
class has one row. A regression's target is standardised, as the network needs.
"""

from __future__ import annotations

import warnings
from typing import Any

import pandas as pd
from sklearn.compose import TransformedTargetRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, KFold, StratifiedKFold
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.preprocessing import StandardScaler

from benchmarks.data.datasets import Dataset
from benchmarks.methods.baselines import Predictor, make_encoder, predictor

ALPHAS = (1e-2, 1.0, 10.0)
LEARNING_RATES = (1e-3, 1e-2)
_UNTUNED = {"alpha": 1.0, "learning_rate_init": 1e-2}
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
            return MLPClassifier(**settings, **_UNTUNED)
        folds = StratifiedKFold(number, shuffle=True, random_state=seed)
        model, prefix, scoring = MLPClassifier(**settings), "", "neg_log_loss"
    grid = {
        f"{prefix}alpha": ALPHAS,
        f"{prefix}learning_rate_init": LEARNING_RATES,
    }
    return GridSearchCV(model, grid, scoring=scoring, cv=folds)
