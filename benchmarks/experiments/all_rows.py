"""What all rows of a table say: the coefficients of a linear model fitted on them.

Nothing here is a fair opponent, since nothing is held out. It is the measure of how
far a prior, which has seen no row, agrees with what the rows hold.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression, Ridge

from benchmarks.data.datasets import Dataset
from benchmarks.experiments.agreement import pearson, spearman
from benchmarks.methods.baselines import exponential, make_encoder
from benchmarks.reporting.metrics import measure
from llmreg.prior import FeaturePrior

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class AllRows:
    """An encoded table, and a linear model of it.

    `encoded` has the shape (n_rows, n_keys): numbers scaled to [0, 1], a column for
    every level. `coefficients`, of shape (n_outputs, n_keys), are those of a logistic
    regression (C=1), or of a ridge regression of the standardized target (alpha=1), in
    the order of the card.
    """

    dataset: Dataset
    keys: tuple[str, ...]
    encoded: FloatArray
    coefficients: FloatArray

    @classmethod
    def of(cls, dataset: Dataset) -> AllRows:
        """Encode a table, and fit the model."""
        encoder = make_encoder(dataset).fit(dataset.X)
        encoded = encoder.transform(dataset.X)
        keys = tuple(str(key) for key in encoder.get_feature_names_out())
        return cls(dataset, keys, encoded, _coefficients(dataset, encoded))

    def in_order(self, prior: FeaturePrior) -> FloatArray:
        """Put the estimates of a prior in the order of the coefficients.

        Of shape (n_estimates, n_outputs, n_keys), zero where there is no opinion.
        """
        scores = prior.scores[None] if prior.estimates is None else prior.estimates
        many = self.dataset.task == "multiclass"
        outputs = self.dataset.classes if many else prior.outputs
        rows = [prior.outputs.index(output) for output in outputs]
        columns = [prior.features.index(key) for key in self.keys]
        found: FloatArray = np.nan_to_num(scores[:, rows][:, :, columns])
        return found

    def alone(self, weights: FloatArray) -> dict[str, float]:
        """Measure what weights make of the rows, nothing being trained.

        "roc_auc", or "r2" and "rank" (the rank correlation with the target) in a
        regression; both also for the exponential transform of the weights, under names
        that end in "_exp". For R2 the line from scores to the target is fitted on all
        rows, and does not fall.
        """
        found = self._measure(weights)
        transformed = self._measure(exponential(weights))
        return found | {f"{name}_exp": value for name, value in transformed.items()}

    def _measure(self, weights: FloatArray) -> dict[str, float]:
        """Measure one set of weights."""
        scores = self.encoded @ weights.T
        y = self.dataset.y.to_numpy()
        if self.dataset.kind == "regression":
            return {
                "r2": max(0.0, np.nan_to_num(pearson(scores[:, 0], y))) ** 2,
                "rank": float(np.nan_to_num(spearman(scores[:, 0], y))),
            }
        many = self.dataset.task == "multiclass"
        return measure(
            self.dataset, y, scores if many else scores[:, 0], probabilities=False
        )


def _coefficients(dataset: Dataset, encoded: FloatArray) -> FloatArray:
    """Fit the linear model, and put its coefficients in the order of the outputs."""
    if dataset.kind == "regression":
        y: pd.Series = (dataset.y - dataset.y.mean()) / dataset.y.std()
        line: FloatArray = Ridge(alpha=1.0).fit(encoded, y).coef_[None]
        return line
    model = LogisticRegression(C=1.0, max_iter=5000).fit(encoded, dataset.y)
    known = list(model.classes_)
    found: FloatArray = model.coef_
    if dataset.positive is not None:
        return found if known[1] == dataset.positive else -found
    return found[[known.index(name) for name in dataset.classes]]
