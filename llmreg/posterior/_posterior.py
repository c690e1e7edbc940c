"""What is known of the outputs of a linear or additive model after the rows."""

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from scipy.sparse import issparse

from llmreg.posterior._gaussian import Gaussian
from llmreg.posterior._noise import Noise

# Rows whose factors are made at a time.
_BLOCK = 4_096


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
