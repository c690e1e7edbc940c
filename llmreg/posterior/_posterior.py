"""What is known of the outputs of a linear or additive model after the rows."""

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from scipy.linalg import block_diag
from scipy.sparse import csr_array, csr_matrix, issparse

from llmreg.posterior._intervals import Noise

# What changes a variance by a smaller share is left out.
_NEGLIGIBLE = 1e-9
# From so many numbers on fewer digits are kept of each.
_MANY = 100_000
# Rows whose factors are made at a time.
_BLOCK = 4_096


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
        first += (first @ self.told * (np.sqrt(self.share) - 1)) @ self.told.T
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


@dataclass(frozen=True, eq=False)
class Posterior:
    """How uncertain the weights of a linear or additive model are, output by output.

    Parameters
    ----------
    centre : ndarray of shape (n_weights,)
        The mean row, in segments, codes and columns: what outputs are told from.
    weights : tuple of Gaussian
        The uncertainty of each output's weights.
    shift : ndarray of shape (n_outputs, n_weights + 1)
        What a model's weights lack to the mean of the posterior: logits of a model are
        closer to 0, so that its probabilities are means.
    noise : tuple of Noise
        What targets that are numbers scatter by; empty for classes.

    Examples
    --------
    >>> import numpy as np
    >>> from llmreg import LLMAttributionRegressor
    >>> X = np.random.default_rng(0).random((30, 2))
    >>> model = LLMAttributionRegressor([5, 1]).fit(X, X @ [3, 1])
    >>> factors = model.posterior_.factors(model.encoder_.transform(X))
    >>> (factors[0] @ factors[0].T).shape  # How outputs of rows vary together.
    (30, 30)
    """

    centre: np.ndarray
    weights: tuple[Gaussian, ...]
    shift: np.ndarray
    noise: tuple[Noise, ...] = ()

    @classmethod
    def join(cls, parts: list[Self]) -> Self:
        """Put outputs that were trained one by one side by side."""
        return replace(
            parts[0],
            weights=tuple(one for part in parts for one in part.weights),
            shift=np.concatenate([part.shift for part in parts]),
            noise=tuple(one for part in parts for one in part.noise),
        )

    def around_mean(self) -> Self:
        """Return it for a model whose weights are the mean of the posterior."""
        return replace(self, shift=np.zeros_like(self.shift))

    def factors(self, columns: np.ndarray) -> np.ndarray:
        """Return what makes the covariance of outputs of rows.

        Parameters
        ----------
        columns : ndarray of shape (n_rows, n_weights)
            The rows, in segments, codes and columns.

        Returns
        -------
        ndarray of shape (n_outputs, n_rows, n_elements)
            F; the covariance of the outputs k of two rows is ``F[k, i] @ F[k, j]``.
        """
        centred = self._centred(columns)
        return np.stack([one.factor(centred) for one in self.weights])

    def moments(self, columns: Any) -> tuple[np.ndarray, np.ndarray]:
        """Return what to add to a model's outputs, and their standard deviations.

        Parameters
        ----------
        columns : {ndarray, sparse array} of shape (n_rows, n_weights)
            The rows, in segments, codes and columns.

        Returns
        -------
        shift : ndarray of shape (n_rows, n_outputs)
            What to add.
        deviation : ndarray of shape (n_rows, n_outputs)
            The standard deviations.
        """
        if issparse(columns):
            shift = self.shift[:, :-1]
            of_sparse = [
                w.variance_of_sparse(columns, self.centre) for w in self.weights
            ]
            constant = self.shift[:, -1] - shift @ self.centre
            return columns @ shift.T + constant, np.sqrt(np.stack(of_sparse, axis=1))
        centred = self._centred(columns)
        blocks = np.split(centred, range(_BLOCK, len(centred), _BLOCK))
        variance = [
            np.stack([one.variance(rows) for one in self.weights], axis=1)
            for rows in blocks
        ]
        return centred @ self.shift.T, np.sqrt(np.concatenate(variance))

    def _centred(self, columns: np.ndarray) -> np.ndarray:
        return np.column_stack([columns - self.centre, np.ones(len(columns))])
