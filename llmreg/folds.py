"""Which rows to learn from and which to judge by, where copies of a row stay together.

A row and its copy, as bootstrap samples have them, on either side would let a model
be judged by what it has seen. And a row of weight 2 is the same row twice: folds that
depend on the rows alone, not on their order or number, keep it so.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.model_selection import KFold, StratifiedKFold, train_test_split

_N_FOLDS = 5
# From here on folds are fewer, and then one part of the rows judges.
_FEWER_FOLDS, _ONE_PART = 200, 2_000
_VALID_SHARE, _MOST_VALID = 0.2, 10_000
# Rows of the rarest class from which on every part has its share of all classes.
_STRATIFIED = 10


@dataclass(frozen=True, eq=False)
class Split:
    """Rows that judge, fold by fold.

    Parameters
    ----------
    judges : ndarray of bool, shape (n_folds, n_samples)
        The rows that judge what was learnt from the others.
    is_whole : bool
        Whether all rows judge in turn.
    """

    judges: np.ndarray
    is_whole: bool


def split_rows(X: np.ndarray, y: np.ndarray, task: str, seed: int) -> Split | None:
    """Choose which rows judge.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Encoded rows.
    y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        Class indices, or targets.
    task : {"binary", "multiclass", "regression"}
        The kind of task loss.
    seed : int
        Seed of the choice.

    Returns
    -------
    Split or None
        None where there are too few rows, or too few of a class.

    Examples
    --------
    >>> import numpy as np
    >>> from llmreg.folds import split_rows
    >>> X, y = np.arange(6.0)[:, None], np.array([0, 1, 0, 1, 0, 1])
    >>> split_rows(X, y, "binary", seed=0).judges.sum(axis=0)
    array([1, 1, 1, 1, 1, 1])
    """
    n_samples = len(X)
    if n_samples > _ONE_PART:
        return _one_part(y, task, seed)
    table = np.column_stack([X, y.reshape(n_samples, -1)])
    _, first, kind = np.unique(table, axis=0, return_index=True, return_inverse=True)
    labels = None if task == "regression" else y[first].astype(int)
    smallest = len(first) if labels is None else int(np.bincount(labels).min())
    if smallest < 2 or len(first) < 4:
        return None
    n_folds = min(_N_FOLDS if len(first) < _FEWER_FOLDS else 3, smallest)
    folds = (KFold if labels is None else StratifiedKFold)(
        n_folds, shuffle=True, random_state=seed
    )
    judges = np.zeros((n_folds, len(first)), dtype=bool)
    for number, (_, some) in enumerate(folds.split(first, labels)):
        judges[number, some] = True
    return Split(judges[:, kind.ravel()], is_whole=True)


def _one_part(y: np.ndarray, task: str, seed: int) -> Split | None:
    labels = None
    if task != "regression":
        smallest = int(np.bincount(y.astype(int)).min())
        if smallest < 2:
            return None
        labels = y if smallest >= _STRATIFIED else None
    every = np.arange(len(y))
    size = min(_MOST_VALID, int(_VALID_SHARE * len(y)))
    _, some = train_test_split(
        every, test_size=size, random_state=seed, stratify=labels
    )
    return Split(np.isin(every, some)[None], is_whole=False)
