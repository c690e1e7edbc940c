"""The methods to measure llmreg against: data without a prior, a prior without data.

They do not use llmreg's own encoder, so that they stay where they are when llmreg
changes. Everything is fitted on the training rows; test values are not clipped.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, StandardScaler

from benchmarks.data.datasets import Dataset

FloatArray = NDArray[np.float64]
#: Gives a score per row, or per row and class where there are more than two.
Predictor = Callable[[pd.DataFrame], FloatArray]
Fit = Callable[[Dataset, pd.DataFrame, "pd.Series[Any]", int], Predictor]

INVERSE_STRENGTHS = np.logspace(-4, 2, 13)


def make_encoder(dataset: Dataset) -> ColumnTransformer:
    """Build the baselines' encoder: min-max scaling, a column for every level.

    Its `get_feature_names_out` gives the keys of the prior.
    """
    categorical = dataset.X.select_dtypes("category").columns
    onehot = OneHotEncoder(
        categories=[dataset.X[name].cat.categories.to_numpy() for name in categorical],
        feature_name_combiner=lambda name, level: f"{name}={level}",
        sparse_output=False,
    )
    return ColumnTransformer(
        [
            ("numeric", MinMaxScaler(), list(dataset.X.columns.drop(categorical))),
            ("levels", onehot, list(categorical)),
        ],
        verbose_feature_names_out=False,
    )


def prior_scores(dataset: Dataset, encoder: ColumnTransformer) -> FloatArray:
    """Put the scores of a prior in the order of the encoded columns."""
    return of_columns(dataset, encoder, dataset.prior.scores)


def of_columns(
    dataset: Dataset, encoder: ColumnTransformer, values: FloatArray
) -> FloatArray:
    """Put what a prior tells of its features in the order of the encoded columns.

    From (n_outputs, n_features) to (n_columns, n_outputs): zero where the prior tells
    nothing, outputs in the order of the classes.
    """
    prior = dataset.prior
    column = {key: number for number, key in enumerate(prior.features)}
    columns = [column[key] for key in encoder.get_feature_names_out()]
    outputs = dataset.classes if dataset.task == "multiclass" else prior.outputs
    rows = [prior.outputs.index(output) for output in outputs]
    return np.nan_to_num(values[np.ix_(rows, columns)]).T


def tuned_without_prior(
    dataset: Dataset,
    X: pd.DataFrame,
    y: pd.Series[Any],
    seed: int,
    *,
    standardised: bool = False,
) -> Predictor:
    """Fit a regularised linear model, its strength chosen by cross-validation.

    Classification takes logistic regression and the log loss over up to five stratified
    folds; with one row in a class there is nothing to validate on, and C is 1.
    Regression takes `RidgeCV`. `standardised` brings every column, levels as well, to
    mean 0 and deviation 1.
    """
    encoder: Any = make_encoder(dataset)
    if standardised:
        encoder = make_pipeline(encoder, StandardScaler())
    encoder.fit(X)
    table = encoder.transform(X)
    if dataset.kind == "regression":
        ridge = RidgeCV(alphas=1 / INVERSE_STRENGTHS).fit(table, y)
        return predictor(dataset, encoder, ridge)
    model: Any = LogisticRegression(C=1.0, max_iter=5000)
    folds = min(5, int(y.value_counts().min()))
    if folds > 1:
        model = GridSearchCV(
            model,
            {"C": INVERSE_STRENGTHS},
            scoring="neg_log_loss",
            cv=StratifiedKFold(folds, shuffle=True, random_state=seed),
        )
    model.fit(table, y)
    return predictor(dataset, encoder, model)


def prior_alone(transform: Callable[[FloatArray], FloatArray]) -> Fit:
    """Make a method that weighs the columns by their scores and trains nothing.

    In a regression its scores are brought to the scale of the target by a line through
    the training rows that does not fall, and that ends at the smallest and the largest
    target among them.
    """

    def fit(
        dataset: Dataset, X: pd.DataFrame, y: pd.Series[Any], seed: int
    ) -> Predictor:
        encoder = make_encoder(dataset).fit(X)
        weights = transform(prior_scores(dataset, encoder))

        def score(rows: pd.DataFrame) -> FloatArray:
            scores: FloatArray = encoder.transform(rows) @ weights
            return scores if dataset.task == "multiclass" else scores[:, 0]

        if dataset.kind == "regression":
            return on_the_scale_of(y.to_numpy(), score, X)
        return score

    return fit


def exponential(scores: FloatArray) -> FloatArray:
    """Transform scores as the reference does: sign(s) * exp(abs(s)), 0 staying 0."""
    return np.sign(scores) * np.exp(np.abs(scores))


def of_classes(dataset: Dataset, model: Any, rows: Any) -> FloatArray:
    """Return what a fitted classifier holds likely, as `measure` expects it.

    P(positive), or every class in the order of the card.
    """
    table = model.predict_proba(rows)
    known = list(model.classes_)
    if dataset.positive is not None:
        return table[:, known.index(dataset.positive)]
    return table[:, [known.index(name) for name in dataset.classes]]


def predictor(dataset: Dataset, encoder: Any, model: Any) -> Predictor:
    """Make the predictor of a model of encoded rows."""
    if dataset.kind == "regression":
        return lambda rows: np.asarray(model.predict(encoder.transform(rows)))
    return lambda rows: of_classes(dataset, model, encoder.transform(rows))


def on_the_scale_of(y: FloatArray, score: Predictor, X: pd.DataFrame) -> Predictor:
    """Fit the line from scores to the target; a prior's sign is not for it to turn.

    Where a few training rows agree in all that the prior holds important, the line is
    steep by chance, and a row that differs would be sent out of all proportion.
    """
    scores = score(X)
    centre, mean = scores.mean(), y.mean()
    spread = float(((scores - centre) ** 2).sum())
    slope = max(0.0, float((scores - centre) @ (y - mean)) / spread) if spread else 0.0
    low, high = y.min(), y.max()
    return lambda rows: np.clip(mean + slope * (score(rows) - centre), low, high)


@dataclass(frozen=True)
class Method:
    """A row of the tables.

    `fit(dataset, X_train, y_train, seed)` gives the predictor. `probabilities`: whether
    its scores are such, so that log loss, Brier score and accuracy can be measured.
    `imports` are modules to import before the clock starts.
    """

    fit: Fit
    probabilities: bool = True
    imports: tuple[str, ...] = ()
