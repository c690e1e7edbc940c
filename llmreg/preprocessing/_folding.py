"""A linear model on raw rows: the scaling goes into the weights, not over the rows."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from llmreg.preprocessing._scaler import stretch

# Beyond so many ranges from zero, folding the scaling into weights costs digits.
_FAR = 1e3
# In ranges: the square of it, by which values would be bent, is nothing.
_SLACK = 1e-9
# Rows of a block, where single precision becomes double.
_ROWS = 8_192
# Rows that are looked at as one.
_TOGETHER = 16


@dataclass(frozen=True, eq=False)
class Ranges:
    """The ranges of the training rows, and what becomes of values beyond them.

    Parameters
    ----------
    low, scale : ndarray of shape (n_features,)
        What is subtracted from each column, and what it is multiplied by.
    bounded : bool
        Whether values beyond the range level off.

    Examples
    --------
    >>> import numpy as np
    >>> from llmreg.preprocessing._folding import Ranges
    >>> ranges = Ranges(np.array([1.0]), np.array([0.5]), bounded=True)
    >>> ranges.fold(np.array([[2.0]]), np.array([0.0]))
    (array([[1.]]), array([-1.]))
    >>> ranges.beyond(np.array([[1.0], [3.0], [4.0]]))
    array([2])
    """

    low: np.ndarray
    scale: np.ndarray
    bounded: bool

    def stretch(self, numbers: np.ndarray) -> np.ndarray:
        """Scale complete rows, of shape (n_samples, n_features); returns new ones."""
        return stretch(numbers, self.low, self.scale, bounded=self.bounded)

    def fold(
        self, weight: np.ndarray, bias: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray] | None:
        """Take the scaling into the weights of a linear map of the scaled columns.

        Shapes: weight (n_outputs, n_features), bias (n_outputs,).
        """
        if not self._is_near:
            return None
        folded = weight * self.scale
        return folded, bias - folded @ self.low

    def beyond(self, X: np.ndarray) -> np.ndarray:
        """Find rows whose scaling is more than a multiplication.

        Shapes: X (n_samples, n_features).
        """
        if not self.bounded:
            return np.empty(0, dtype=int)
        low, high = self._ends
        least, most = (_columnwise(np.minimum, X), _columnwise(np.maximum, X))
        if (least >= low).all() and (most <= high).all():
            return np.empty(0, dtype=int)
        return np.flatnonzero(((X < low) | (X > high)).any(axis=1))

    # Kept: to a prediction for a few rows, working them out anew costs as much as the
    # rows do.
    @functools.cached_property
    def _is_near(self) -> bool:
        """Tell whether the ranges lie near zero, as their widths go."""
        return bool(np.abs(self.low * self.scale).max() < _FAR)

    @functools.cached_property
    def _ends(self) -> tuple[np.ndarray, np.ndarray]:
        """The ends of the ranges, moved outwards by what rounding may take."""
        # The ends of a range are found again up to rounding; so little is not bent.
        slack = _SLACK / self.scale
        return self.low - slack, self.low + 1 / self.scale + slack


def _columnwise(extreme: np.ufunc, X: np.ndarray) -> np.ndarray:
    """Return the least or greatest value of each column."""
    n_samples, width = X.shape
    whole = n_samples // _TOGETHER * _TOGETHER
    if not whole or not X.flags.c_contiguous:
        return np.asarray(extreme.reduce(X, axis=0))
    # Many rows as one long row: NumPy is slow where the rows are short.
    long = X[:whole].reshape(-1, _TOGETHER * width)
    found = extreme.reduce(long, axis=0).reshape(_TOGETHER, width)
    return np.asarray(extreme.reduce(np.concatenate([found, X[whole:]]), axis=0))


def raw_outputs(
    X: np.ndarray,
    weight: np.ndarray,
    bias: np.ndarray,
    ranges: Ranges,
    encode: Callable[[np.ndarray], np.ndarray],
) -> np.ndarray | None:
    """Return the outputs of a linear model of encoded rows for raw ones.

    Shapes: X (n_samples, n_features), weight (n_outputs, n_features), bias
    (n_outputs,); returns (n_samples, n_outputs).
    """
    folded = ranges.fold(weight, bias)
    if folded is None:
        return None
    outputs = np.empty((len(X), len(bias)))
    beyond = []
    # Block by block: the second look at a row finds it in the cache.
    for start in range(0, len(X), _ROWS):
        rows = slice(start, start + _ROWS)
        outputs[rows] = linear_outputs(X[rows], *folded)
        if not np.isfinite(outputs[rows]).all():
            return None
        beyond.append(start + ranges.beyond(X[rows]))
    far = np.concatenate(beyond) if beyond else np.empty(0, dtype=int)
    if len(far):
        outputs[far] = linear_outputs(encode(X[far]), weight, bias)
    return outputs


def linear_outputs(X: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """Return the outputs of a linear map in double, of shape (n_samples, n_outputs)."""
    if X.dtype == np.float64:
        outputs = X @ weight.T
    else:
        # In parts, since the whole in double may be more than the memory holds.
        parts = np.array_split(X, -(-len(X) // _ROWS))
        outputs = np.concatenate([part.astype(np.float64) @ weight.T for part in parts])
    outputs += bias
    return outputs
