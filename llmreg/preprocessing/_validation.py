"""Rows, weights and targets as given, checked and turned into numbers."""

from typing import Any, Literal

import numpy as np
import pandas as pd
from scipy.sparse import issparse
from sklearn.base import BaseEstimator
from sklearn.utils import (
    _safe_indexing,
    assert_all_finite,
    check_array,
    column_or_1d,
    compute_sample_weight,
)
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, validate_data

from llmreg.exceptions import DataError
from llmreg.preprocessing._columns import as_array, as_table
from llmreg.preprocessing._frames import is_foreign


def check_table(
    estimator: BaseEstimator, X: Any, y: Any = "no_validation", *, reset: bool
) -> Any:
    """Check the shape and the names of a table; its values await the encoder."""
    if y is None:
        validate_data(estimator, X, y, skip_check_array=True, reset=False)
    # The tables of other libraries too: their columns have types, arrays none.
    if is_foreign(X) or isinstance(X, pd.DataFrame):
        X = as_table(X)
    if not isinstance(X, pd.DataFrame):
        X = as_array(X) if isinstance(X, list) else X
        as_given = {"dtype": None, "ensure_all_finite": False, "accept_sparse": "csr"}
        X = validate_data(estimator, X, reset=reset, **as_given)
        return as_table(X) if issparse(X) else X
    # scikit-learn takes no name twice; columns of the same name go by position.
    named = X if X.columns.is_unique else X.set_axis(range(X.shape[1]), axis=1)
    validate_data(estimator, named, skip_check_array=True, reset=reset)
    return X


# A total weight beyond these says no more than they do, but overflows, or vanishes,
# beside `alpha` and the prior.
_LEAST_WEIGHT, _MOST_WEIGHT = 1e-9, 1e9


def weigh_rows(X: Any, y: Any, sample_weight: Any) -> tuple[Any, Any, np.ndarray]:
    """Check the weights of rows, and leave out those of weight zero.

    A row of weight zero is a row that is not there: its values must not reach the
    scaling of the others.
    """
    if len(y) != len(X):
        raise DataError(
            f"X and y must have the same number of rows; got {len(X)} and {len(y)}."
        )
    # A copy: torch warns of arrays that cannot be written.
    options = {"dtype": np.float64, "copy": True, "ensure_non_negative": True}
    sample_weight = _check_sample_weight(sample_weight, np.empty(len(X)), **options)
    if not sample_weight.any():
        raise DataError("Every sample weight is zero: no row is left to train on.")
    share = sample_weight / sample_weight.max()
    total = float(sample_weight.max()) * float(share.sum())
    if not _LEAST_WEIGHT <= total <= _MOST_WEIGHT:
        total = min(max(total, _LEAST_WEIGHT), _MOST_WEIGHT)
        sample_weight = share * (total / share.sum())
    present = sample_weight > 0
    if not present.all():
        X, y = _safe_indexing(X, present), _safe_indexing(y, present)
        sample_weight = sample_weight[present]
    return X, y, sample_weight


def check_labels(y: Any) -> np.ndarray:
    """Check that labels of shape (n_samples,) are classes, and none is missing."""
    assert_all_finite(y, allow_nan=True, input_name="y")
    if n_missing := int(np.sum(np.asarray(pd.isna(y)))):
        raise DataError(
            f"y contains {n_missing} missing label(s) (NaN or None). Drop those rows: "
            "a label cannot be imputed."
        )
    if isinstance(getattr(y, "dtype", None), pd.api.extensions.ExtensionDtype):
        # scikit-learn makes floats of nullable booleans and whole numbers.
        y = pd.Series(list(y)).to_numpy()
    y = column_or_1d(y, warn=True)
    try:
        check_classification_targets(y)
    except TypeError:
        kinds = ", ".join(sorted({type(label).__name__ for label in y.tolist()}))
        raise DataError(
            f"The labels in y are of types that have no order together: {kinds}. Give "
            "labels of one type, such as y.astype(str)."
        ) from None
    return np.asarray(y)


def choose_classes(
    y: np.ndarray, classes: Any = None, known: np.ndarray | None = None
) -> np.ndarray:
    """Return the classes to learn, sorted: `known`, or as given, or those of `y`."""
    found = np.unique(y)
    if classes is not None:
        classes = np.unique(classes)
        if known is not None and not np.array_equal(classes, known):
            raise DataError(
                f"classes={classes.tolist()} differs from the classes of the model "
                f"that is trained further, {known.tolist()}."
            )
    expected = next((c for c in (known, classes) if c is not None), found)
    if unexpected := sorted(set(found.tolist()) - set(expected.tolist())):
        raise DataError(
            f"y has labels that are not among the classes {expected.tolist()}: "
            f"{unexpected}."
        )
    if len(expected) < 2:
        raise DataError(
            f"A classifier needs at least 2 classes, but y has one class only: "
            f"{expected.tolist()[0]!r}. Rows of weight zero do not count."
        )
    return np.asarray(expected)


def weigh_classes(
    class_weight: Any, y: np.ndarray, sample_weight: np.ndarray
) -> np.ndarray:
    """Give every row the weight of its class; a row of weight 2 counts as two rows."""
    if isinstance(class_weight, str):
        classes, place = np.unique(y, return_inverse=True)
        count = np.bincount(place, sample_weight)
        return np.asarray((count.sum() / (len(classes) * count))[place])
    weight = compute_sample_weight(class_weight, y)
    if not (np.isfinite(weight).all() and (weight >= 0).all() and weight.any()):
        raise DataError(
            "class_weight must hold finite numbers of at least 0, not all of them 0; "
            f"got {class_weight!r}."
        )
    return np.asarray(weight)


def check_numbers(y: Any) -> np.ndarray:
    """Check targets of shape (n_samples,) or (n_samples, n_targets)."""
    y = check_array(y, dtype=np.float64, ensure_2d=False, input_name="y")
    is_single = y.ndim < 2 or y.shape[1] == 1
    return np.asarray(column_or_1d(y, warn=True) if is_single else y)


def check_counts(y: np.ndarray, *, is_first: bool) -> None:
    """Refuse targets, of shape (n_samples, n_targets), that no count has."""
    if y.shape[1] == 1 and y.min() >= 0 and (y.any() or not is_first):
        return
    raise DataError(
        'loss="poisson" takes one target that is nowhere below 0 and somewhere above; '
        f"got {y.shape[1]}, from {y.min():g} to {y.max():g}. Give counts or rates, of "
        'more rows where all are 0, or set loss="squared_error".'
    )


def find_numbering(classes: np.ndarray, is_open: bool) -> Literal["own", "open"] | None:
    """Say whether labels may be numbers that stand for other labels."""
    if classes.dtype.kind not in "iu" or classes[0] < 0:
        return None
    if is_open:
        return "open"
    return "own" if classes[-1] == len(classes) - 1 else None
