"""What both exports read off a fitted model: how its table is encoded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from sklearn.utils.validation import check_is_fitted

from llmreg._base import BaseAttributionEstimator
from llmreg.exceptions import ExportError
from llmreg.preprocessing._scaler import BoundedScaler, scale_of


class Scaling(NamedTuple):
    """Subtract, multiply and, where asked for, level off beyond 0 and 1."""

    offset: np.ndarray
    factor: np.ndarray
    bounded: bool


class Plan(NamedTuple):
    """A table's columns, and how they are encoded."""

    names: tuple[str, ...]
    # Whether the table had names, or they were made up for an array.
    is_named: bool
    # Places of the columns of either kind, and the levels of the second.
    numeric: tuple[int, ...]
    categorical: tuple[int, ...]
    levels: tuple[tuple[str, ...], ...]
    # For each encoded column its place among the numeric ones followed by those of
    # the levels.
    order: np.ndarray


def check_model(model: Any) -> None:
    """Raise unless something is a fitted estimator of llmreg."""
    if not isinstance(model, BaseAttributionEstimator):
        raise ExportError(
            "Expected an LLMAttributionClassifier or LLMAttributionRegressor; got "
            f"{type(model).__name__}. Of a search pass best_estimator_, of a "
            "pipeline its last step."
        )
    check_is_fitted(model, "net_")


def plan_of(model: BaseAttributionEstimator) -> Plan:
    """Read off a fitted model how its table is encoded."""
    encoder = model.encoder_
    names = getattr(model, "feature_names_in_", None)
    is_level = np.array([column.level is not None for column in encoder.columns_])
    # Numeric columns keep their order among themselves, and so do those of levels.
    order = np.argsort(np.argsort(is_level, kind="stable"))
    return Plan(
        names=tuple(map(str, encoder._names if names is None else names)),
        is_named=names is not None or model._has_names,
        numeric=tuple(encoder._numeric),
        categorical=tuple(encoder._categorical),
        levels=tuple(map(tuple, encoder._levels)),
        order=order,
    )


def scaling_of(encoder: Any) -> Scaling | None:
    """Read off how numeric columns are scaled, unless by a user's transformer."""
    scaler = encoder.scaler_
    if scaler is None:
        return None
    if isinstance(scaler, BoundedScaler) or encoder.scaler == "minmax":
        low, high = scaler.data_min_, scaler.data_max_
        bounded = isinstance(scaler, BoundedScaler)
        return Scaling(low, scale_of(low, high), bounded)
    if encoder.scaler == "standard":
        return Scaling(scaler.mean_, 1 / scaler.scale_, bounded=False)
    raise _own_transformer("scaler", scaler, '"bounded", "minmax", "standard"')


def fills_of(encoder: Any) -> np.ndarray | None:
    """Read off what gaps of the numeric columns are filled with, for each of them."""
    imputer = encoder.imputer_
    if imputer is None:
        return None
    if not isinstance(encoder.imputer, str):
        raise _own_transformer("imputer", imputer, '"median", "mean", "most_frequent"')
    # A row of gaps shows what each is filled with, a column without values included.
    gaps = np.full((1, len(encoder._numeric)), np.nan)
    return np.asarray(imputer.transform(gaps), dtype=np.float64)[0]


def spellings(levels: Sequence[str]) -> dict[str, int]:
    """Give the further spellings of levels, as a file with gaps has them."""
    found = {}
    for place, level in enumerate(levels):
        whole = level.removesuffix(".0")
        other = whole if whole != level else f"{level}.0"
        if whole.removeprefix("-").isdecimal() and other not in levels:
            found[other] = place
    return found


def _own_transformer(what: str, transformer: Any, known: str) -> ExportError:
    return ExportError(
        f"The {what} {type(transformer).__name__} has no counterpart in the graph. Fit "
        f"with {what}={known} or None, or put the transformer into a pipeline in front "
        "of the model and convert it by itself."
    )
