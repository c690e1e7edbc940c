"""Tables that are mostly zeros: no more than their other numbers is kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from scipy.sparse import csr_array, hstack, issparse

# Up to so many numbers zeros are kept too, which is faster; and up to so many for each
# number that is no zero.
_MOST_DENSE, _SHARE = 2_000_000, 10


class SparseRows(csr_array):  # type: ignore[misc]
    """Rows that are mostly zeros, which are counted as those of an array are."""

    def __len__(self) -> int:
        return int(self.shape[0])

    def filled(self, values: np.ndarray) -> SparseRows:
        """Fill gaps with a value for each column."""
        fill = np.nan_to_num(values)[self.indices]
        return self.map(lambda data: np.where(np.isnan(data), fill, data))

    def map(self, change: Callable[[np.ndarray], np.ndarray]) -> SparseRows:
        """Change the numbers that are kept."""
        return SparseRows((change(self.data), self.indices, self.indptr), self.shape)


def as_rows(X: Any) -> SparseRows:
    """Make rows of a sparse matrix or array, each number in one place."""
    found = SparseRows(X)
    if not found.has_canonical_format:
        found = found.copy()
        found.sum_duplicates()
    return found


def to_dense(X: Any) -> np.ndarray:
    """Return rows with their zeros."""
    return np.asarray(X.toarray() if issparse(X) else X)


def dense_blocks(X: Any, n_rows: int) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield rows with their zeros, some at a time, after their places."""
    if issparse(X):
        n_rows = min(n_rows, max(1, _MOST_DENSE // X.shape[1]))
    for start in range(0, len(X), n_rows):
        rows = slice(start, start + n_rows)
        yield rows, to_dense(X[rows])


def is_mostly_zeros(shape: tuple[int, int], n_numbers: int) -> bool:
    """Say whether a table is better kept without its zeros."""
    size = shape[0] * shape[1]
    return size > _MOST_DENSE and size > _SHARE * n_numbers


def join(numbers: np.ndarray, levels: Any, is_number: np.ndarray) -> Any:
    """Put numbers and levels side by side, each column in its place."""
    shape, levels = (len(numbers), len(is_number)), csr_array(levels)
    if not is_mostly_zeros(shape, numbers.size + levels.nnz):
        matrix = np.empty(shape)
        matrix[:, is_number], matrix[:, ~is_number] = numbers, levels.toarray()
        return matrix
    places = np.append(np.flatnonzero(is_number), np.flatnonzero(~is_number))
    found = SparseRows(hstack([csr_array(numbers), levels]))
    found.indices = places.astype(found.indices.dtype)[found.indices]
    found.sort_indices()
    return found


def ends(numbers: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the ends of each column; of sparse ones 0 counts, and gaps do not."""
    if not issparse(numbers):
        return numbers.min(axis=0), numbers.max(axis=0)
    columns = numbers.tocsc()
    low = np.fmin(columns.nanmin(axis=0).toarray().ravel(), 0)
    return low, np.fmax(columns.nanmax(axis=0).toarray().ravel(), 0)


def share_of_zeros(numbers: SparseRows, weight: np.ndarray) -> np.ndarray:
    """Return by weight what share of each column is zero."""
    kept = weight @ numbers.map(lambda data: (data != 0).astype(np.float64))
    return np.asarray(1 - kept / weight.sum())


class Centred:
    """Sparse columns as distances from a centre, which has no zeros: as products."""

    def __init__(self, X: Any, centre: np.ndarray) -> None:
        self.X, self.centre, self.shape = X, centre, X.shape

    def __matmul__(self, right: np.ndarray) -> np.ndarray:
        return self.X @ right - self.centre @ right

    def turned(self, right: np.ndarray) -> np.ndarray:
        """Multiply the transpose with columns of rows."""
        return self.X.T @ right - np.outer(self.centre, right.sum(axis=0))

    def part(self, columns: np.ndarray, scale: np.ndarray) -> Centred:
        """Take some columns, times their scale."""
        scale = scale[columns]
        X = self.X[:, columns]
        X = SparseRows((X.data * scale[X.indices], X.indices, X.indptr), X.shape)
        return Centred(X, self.centre[columns] * scale)

    def directions(self, most: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the sizes and, as rows, the directions in which rows vary most.

        Exact where rows are no more than `most`; else by subspace iteration.
        """
        if self.shape[0] <= most:
            rows = self.turned(np.eye(self.shape[0])).T
        else:
            width = min(most + 10, *self.shape)
            start = np.random.default_rng(0).normal(size=(self.shape[1], width))
            for _ in range(7):
                rows = np.linalg.qr(self @ start)[0]
                start = np.linalg.qr(self.turned(rows))[0]
            rows = self.turned(np.linalg.qr(self @ start)[0]).T
        _, size, turn = np.linalg.svd(rows, full_matrices=False)
        return size[:most], turn[:most]
