"""Targets as given, checked and turned into numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils import (
    assert_all_finite,
    check_array,
    column_or_1d,
    compute_sample_weight,
)
from sklearn.utils.multiclass import check_classification_targets

from llmreg.exceptions import DataError


def check_labels(y: Any) -> np.ndarray:
    """Check class labels.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Labels of any kind.

    Returns
    -------
    ndarray of shape (n_samples,)
        The labels.

    Raises
    ------
    DataError
        If labels are missing.
    ValueError
        If they are not class labels.

    Examples
    --------
    >>> from llmreg.targets import check_labels
    >>> check_labels(["no", "yes"])
    array(['no', 'yes'], dtype='<U3')
    """
    assert_all_finite(y, allow_nan=True, input_name="y")
    n_missing = int(np.sum(np.asarray(pd.isna(y))))
    if n_missing:
        raise DataError(
            f"y contains {n_missing} missing label(s) (NaN or None). Drop those rows: "
            "a label cannot be imputed."
        )
    y = column_or_1d(y, warn=True)
    check_classification_targets(y)
    return np.asarray(y)


def choose_classes(
    y: np.ndarray, classes: Any = None, known: np.ndarray | None = None
) -> np.ndarray:
    """Return the classes to learn, sorted.

    Parameters
    ----------
    y : ndarray of shape (n_samples,)
        Labels.
    classes : array-like or None
        All classes, where `y` may lack some.
    known : ndarray or None
        Classes of the model that is trained further.

    Returns
    -------
    ndarray of shape (n_classes,)
        The classes.

    Raises
    ------
    DataError
        If there is one class only, or `y` or `classes` contradict the others.

    Examples
    --------
    >>> import numpy as np
    >>> from llmreg.targets import choose_classes
    >>> choose_classes(np.array(["b", "a", "b"]))
    array(['a', 'b'], dtype='<U1')
    """
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
            f"{expected.tolist()[0]!r}."
        )
    return np.asarray(expected)


def weigh_classes(class_weight: Any, y: np.ndarray) -> np.ndarray:
    """Give every row the weight of its class.

    Parameters
    ----------
    class_weight : dict or "balanced"
        Weights by class, or all classes alike.
    y : ndarray of shape (n_samples,)
        Labels.

    Returns
    -------
    ndarray of shape (n_samples,)
        Weights, at least 0.

    Raises
    ------
    DataError
        If one is negative or not finite.

    Examples
    --------
    >>> import numpy as np
    >>> from llmreg.targets import weigh_classes
    >>> weigh_classes({"ill": 3}, np.array(["ill", "well"]))
    array([3., 1.])
    """
    weight = compute_sample_weight(class_weight, y)
    if not (np.isfinite(weight).all() and (weight >= 0).all()):
        raise DataError(
            "class_weight must hold finite numbers of at least 0; got "
            f"{class_weight!r}."
        )
    return np.asarray(weight)


def check_numbers(y: Any) -> np.ndarray:
    """Check targets of a regression.

    Parameters
    ----------
    y : array-like of shape (n_samples,) or (n_samples, n_targets)
        Finite numbers.

    Returns
    -------
    ndarray of float64, shape (n_samples,) or (n_samples, n_targets)
        The targets; one column is flattened, with a warning.

    Raises
    ------
    ValueError
        If they are not finite numbers.
    """
    y = check_array(y, dtype=np.float64, ensure_2d=False, input_name="y")
    return np.asarray(
        column_or_1d(y, warn=True) if y.ndim < 2 or y.shape[1] == 1 else y
    )
