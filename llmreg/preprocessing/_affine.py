"""Weights of the columns of a table, where its encoding is an affine map of them."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from llmreg._utils._text import list_names
from llmreg.exceptions import CoefficientsError
from llmreg.preprocessing._scaler import BoundedScaler

# What to call in place of `coef_`.
HINT = (
    "attributions_ has a value for each encoded column; "
    "shap.KernelExplainer(model.predict_proba, X), of a regressor model.predict, "
    "explains the rows as they are; SelectFromModel takes importance_getter."
)


def weigh_columns(weight: Any, bias: Any, encoder: Any) -> tuple[Any, Any]:
    """Turn weights of encoded columns into those of the columns of the table.

    The weights are of shape (n_columns,) or (n_outputs, n_columns). Values that level
    off beyond the range of the training rows are weighted as within it.
    """
    factor, offset = _factor_and_offset(encoder)
    with np.errstate(over="ignore", invalid="ignore"):
        coef, intercept = weight * factor, bias + weight @ offset
    if not (np.isfinite(coef).all() and np.isfinite(intercept).all()):
        raise CoefficientsError(
            "The weights of the columns in their own units are too large for numbers. "
            f"Give the columns other units. {HINT}"
        )
    return coef, intercept


def _factor_and_offset(encoder: Any) -> tuple[Any, Any]:
    """Give what turns complete columns into encoded ones; raise if nothing does."""
    if encoder._categorical:
        names = list_names(encoder._names[i] for i in encoder._categorical)
        raise CoefficientsError(
            "coef_ and intercept_ fit the columns that fit was given, which must be "
            f"numbers; these have levels, each with a weight of its own: {names}. "
            f"{HINT} llmreg.export.to_sklearn(model) has the weights of the levels."
        )
    imputer, scaler = encoder.imputer, encoder.scaler_
    if imputer is not None and not isinstance(imputer, str):
        raise _unknown_map("imputer", imputer)
    if scaler is None:
        return np.ones(encoder.n_features_in_), np.zeros(encoder.n_features_in_)
    if type(scaler) in (MinMaxScaler, BoundedScaler) and not scaler.clip:
        return scaler.scale_, scaler.min_
    if type(scaler) is StandardScaler:
        ones = np.ones(encoder.n_features_in_)
        with np.errstate(over="ignore"):
            factor = ones / scaler.scale_ if scaler.with_std else ones
        return factor, -scaler.mean_ * factor if scaler.with_mean else 0 * ones
    raise _unknown_map("scaler", scaler)


def _unknown_map(what: str, transformer: Any) -> CoefficientsError:
    return CoefficientsError(
        "coef_ and intercept_ fit the columns that fit was given, and what the "
        f"{what} {type(transformer).__name__} makes of those may not be a multiple. "
        f"Give {what} as a string to have them. {HINT}"
    )
