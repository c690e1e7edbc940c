"""A Gaussian over weights, kept small: what was known before, and what rows told."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.linalg import block_diag
from scipy.sparse import csr_array, csr_matrix

# What changes a variance by a smaller share is left out.
_NEGLIGIBLE = 1e-9
# From so many numbers on fewer digits are kept of each.
_MANY = 100_000


@dataclass(frozen=True, eq=False)
class Gaussian:
    """How uncertain the weights and the constant of one output are.

    Weights are `root`, of shape (n_weights + 1, n_elements), times elements that had a
    variance of 1 before a row was seen, and have no covariance. Rows left the `share`
    of it, of shape (n_told,), along the orthonormal columns of `told`, (n_first,
    n_told), of the first elements. So what no row tells is as uncertain as before, in
    spaces of any width.
    """

    root: csr_matrix
    told: np.ndarray
    share: np.ndarray

    def factor(self, columns: np.ndarray) -> np.ndarray:
        """Return F, (n_rows, n_elements); the covariance of rows is ``F @ F.T``.

        `columns`, of shape (n_rows, n_weights + 1), are what weights are multiplied
        with, then what the constant is.
        """
        found: np.ndarray = (self.root.T @ columns.T).T
        first = found[:, : len(self.told)]
        told = first @ self.told
        # Not added to one another first: the share that is left may be tiny.
        first -= told @ self.told.T
        first += (told * np.sqrt(self.share)) @ self.told.T
        return found

    def variance(self, columns: np.ndarray) -> np.ndarray:
        """Return the variance of each row, of shape (n_rows,)."""
        return np.asarray((self.factor(columns) ** 2).sum(axis=1))

    def variance_of_sparse(self, columns: Any, centre: np.ndarray) -> np.ndarray:
        """Return the variance of sparse rows, which are told from a centre."""
        root = csr_array(self.root)
        found = columns @ root[:-1]
        offset = root[[-1]].toarray()[0] - centre @ root[:-1]
        width = len(self.told)
        told = found[:, :width] @ self.told.astype(np.float64)
        told += offset[:width] @ self.told
        square = found.power(2).sum(axis=1) + 2 * (found @ offset) + offset @ offset
        rest = np.maximum(square - (told**2).sum(axis=1), 0.0)
        return np.asarray(rest + told**2 @ self.share)


def make_gaussian(
    root: Any, before: np.ndarray, frame: np.ndarray, added: np.ndarray
) -> Gaussian:
    """Put a Gaussian together from what rows add to the covariance before them.

    `before` are the variances of elements, 0 for those that rows always tell; `frame`,
    of shape (n_elements, n_coordinates), turns into elements the coordinates whose
    covariance rows add to.
    """
    always = np.flatnonzero(before == 0)
    scale = np.sqrt(np.where(before > 0, before, 1.0))
    units = np.zeros((len(before), len(always)))
    units[always, np.arange(len(always))] = 1.0
    turn, size = np.linalg.qr(np.hstack([frame, units]) / scale[:, None])
    added = block_diag(added, -np.eye(len(always)))
    change, main = np.linalg.eigh(size @ added @ size.T)
    kept = np.abs(change) > _NEGLIGIBLE
    # Half the digits are enough for how uncertain something is; of many numbers, which
    # are most of a saved model, a quarter.
    told = turn @ main[:, kept]
    told = told.astype(np.float16 if told.size > _MANY else np.float32)
    share = np.maximum(1 + change[kept], 0.0)
    return Gaussian(csr_matrix(csr_matrix(root).multiply(scale)), told, share)
