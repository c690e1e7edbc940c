"""The part of a very large table that tells how far to trust curves: rows, columns."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import csr_matrix, issparse

from llmreg.linear_model._trust import AveragedWeights, Trust
from llmreg.posterior._gaussian import Gaussian
from llmreg.preprocessing._basis import CurveBasis
from llmreg.preprocessing._sparse import to_dense

# Columns of which nothing is said, that tell it.
_MOST = 128


class Columns(NamedTuple):
    """Columns that tell how far to trust curves, and the rest, which follows them.

    Of the rest nothing is said and its columns vary least, as levels that are rare;
    `rest` has shape (n_rest, n_samples), or is None. `X` and `basis` are of the others.
    """

    X: np.ndarray
    basis: CurveBasis
    rest: Any = None
    is_kept: Any = None
    whole: Any = None

    def widen(
        self,
        average: AveragedWeights,
        found: Rest,
        X: Any,
        row_weight: np.ndarray,
        is_class: bool,
    ) -> AveragedWeights:
        """Put the rest among the weights, and among what is not certain.

        The logits of classes shrink by what is not certain of them (MacKay).
        """
        own, posterior = self._own(), average.uncertainty
        centre, coef = np.zeros(len(own)), np.zeros((len(found.coef), len(own)))
        centre[own] = posterior.centre
        coef[:, own], coef[:, ~own] = average.coef, found.coef
        parts = zip(posterior.weights, found.variance, strict=True)
        weights = tuple(_widen(part, own, variance) for part, variance in parts)
        all_weights = np.column_stack([coef, average.intercept + coef @ centre])
        shift = np.zeros_like(all_weights)
        posterior = replace(posterior, centre=centre, weights=weights, shift=shift)
        share = 1.0
        if is_class:
            deviation = posterior.moments(self.whole.design(X))[1]
            variance = (row_weight @ deviation**2).mean() / row_weight.sum()
            share = 1 / np.sqrt(1 + np.pi / 8 * variance)
        return average._replace(
            coef=share * coef,
            intercept=share * average.intercept,
            uncertainty=replace(posterior, shift=(1 - share) * all_weights),
        )

    def of_kept(self, kept: np.ndarray | None) -> np.ndarray | None:
        """Say which of the columns that are not of the rest are kept."""
        is_all = kept is None or self.is_kept is None
        return kept if is_all else np.asarray(kept)[self.is_kept]

    def _own(self) -> np.ndarray:
        """Say which weights of all are not of the rest."""
        n_bent = len(self.basis.low) + len(self.basis.codes)
        plain = np.setdiff1d(np.arange(len(self.is_kept)), self.whole.columns)
        return np.append(np.ones(n_bent, dtype=bool), self.is_kept[plain])

    def widen_trust(self, trust: Trust, found: Rest) -> Trust:
        """Give the features and weights of the rest their places."""
        own, features = self._own(), self.whole.feature_of[self.is_kept]
        features = np.unique(features)
        n_outputs, n_features = len(found.coef), len(self.whole.features)
        agreement = np.full((n_outputs, n_features), np.nan)
        agreement[:, features] = trust.agreement
        deviations = np.zeros((n_outputs, n_features + len(own)))
        places = np.append(features, n_features + np.flatnonzero(own))
        deviations[:, places] = trust.shape_deviations
        deviations[:, n_features + np.flatnonzero(~own)] = np.sqrt(found.variance)
        return replace(trust, agreement=agreement, shape_deviations=deviations)


class Rest(NamedTuple):
    """The weights of the rest and their variances, of shape (n_outputs, n_rest)."""

    coef: np.ndarray
    variance: np.ndarray


def choose_columns(
    X: Any, row_weight: np.ndarray, basis: CurveBasis, kept: np.ndarray | None = None
) -> Columns:
    """Choose the columns that are weighed together with curves: all, if it can be."""
    is_kept = np.asarray(basis.effects.any(axis=0))
    is_kept[basis.columns] = True
    if kept is not None:
        # What rows say of them is left aside.
        is_kept |= kept
    if not issparse(X) or len(is_kept) - is_kept.sum() <= _MOST:
        return Columns(to_dense(X), basis)
    mean, square = (row_weight @ part / row_weight.sum() for part in (X, X * X))
    variance = np.where(is_kept, np.inf, square - mean**2)
    is_kept[np.argsort(-variance, kind="stable")[: is_kept.sum() + _MOST]] = True
    features, feature_of = np.unique(basis.feature_of[is_kept], return_inverse=True)
    narrow = replace(
        basis,
        columns=(np.cumsum(is_kept) - 1)[basis.columns],
        effects=basis.effects[:, is_kept],
        feature_of=feature_of,
        features=tuple(basis.features[number] for number in features),
    )
    rest = X[:, ~is_kept].T.tocsr()
    return Columns(to_dense(X[:, is_kept]), narrow, rest, is_kept, basis)


def _widen(part: Gaussian, own: np.ndarray, variance: np.ndarray) -> Gaussian:
    """Add weights to a Gaussian that vary on their own."""
    root, n_told, n_rest = part.root.tocoo(), part.root.shape[1], len(variance)
    places = np.append(np.flatnonzero(own), len(own))
    row = np.concatenate([places[root.row], np.flatnonzero(~own)])
    column = np.concatenate([root.col, n_told + np.arange(n_rest)])
    data = np.concatenate([root.data, np.sqrt(variance)])
    shape = len(own) + 1, n_told + n_rest
    return replace(part, root=csr_matrix((data, (row, column)), shape))
