"""Sums of products of columns under many weights of the rows, at the price of one."""

from __future__ import annotations

import numpy as np

# Entries of a block of products of columns; 16 MB.
_BLOCK = 2_000_000
# So few weights are not worth the products of all pairs of columns.
_FEW = 32


class PairProducts:
    """``columns.T @ diag(w) @ columns`` for many weights w of the rows.

    Parameters
    ----------
    columns : ndarray of shape (n_samples, n_columns)
        The columns.
    """

    def __init__(self, columns: np.ndarray) -> None:
        self.columns = columns
        self._upper = np.triu_indices(columns.shape[1])
        # Few rows: their products of columns are made once, not at every step.
        small = len(columns) * len(self._upper[0]) <= _BLOCK
        self._kept = self._products(slice(None)) if small else None

    def weighted(self, weights: np.ndarray) -> np.ndarray:
        """Return the sums for weights of shape (n_weights, n_samples).

        Parameters
        ----------
        weights : ndarray of shape (n_weights, n_samples)
            Weights of the rows.

        Returns
        -------
        ndarray of shape (n_weights, n_columns, n_columns)
            Symmetric matrices.
        """
        if len(weights) <= _FEW and self._kept is None:
            turned = self.columns.T
            return np.stack([(turned * weight) @ self.columns for weight in weights])
        # One product of matrices for all weights: far faster than a product for each,
        # once the products of columns are there.
        if self._kept is not None:
            total = weights @ self._kept
        else:
            total = np.zeros((len(weights), len(self._upper[0])))
            size = max(1, _BLOCK // len(self._upper[0]))
            for start in range(0, len(self.columns), size):
                rows = slice(start, start + size)
                total += weights[:, rows] @ self._products(rows)
        n_columns = self.columns.shape[1]
        sums = np.empty((len(weights), n_columns, n_columns))
        sums[:, self._upper[0], self._upper[1]] = total
        sums[:, self._upper[1], self._upper[0]] = total
        return sums

    def _products(self, rows: slice) -> np.ndarray:
        part = self.columns[rows]
        products: np.ndarray = part[:, self._upper[0]] * part[:, self._upper[1]]
        return products
