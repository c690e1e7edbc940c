"""What a net learns beyond the linear model that trusts the prior just enough.

``gamma="auto"`` for models that are not linear. Copies of the module learn what the
linear model leaves over, each held back by its own strength of weight decay: the
stronger, the closer the model's attributions stay to those of the linear one. Rows
that a copy has not seen say how far it is to be followed; few rows leave the linear
model as it is.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.special import log_expit, logsumexp
from sklearn.model_selection import KFold, StratifiedKFold, train_test_split
from torch import Tensor, nn

from llmreg._utils._log import get_logger
from llmreg._utils._progress import steps
from llmreg.nn._ensemble import train_members
from llmreg.nn._loss import AttributionAlignedLoss
from llmreg.nn._members import Members
from llmreg.nn._net import MLP
from llmreg.preprocessing._folding import linear_outputs

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

    Shapes: X (n_samples, n_features), y (n_samples,) or (n_samples, n_outputs).
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


logger = get_logger(__name__)

#: Fits weights and constants of the linear model to some of the rows.
LinearFit = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]

# Weight decay of the copies, as multiples of `alpha`.
_STRENGTHS = (1.0, 3.0, 10.0)
# How likely it is that no correction is needed, before a row was seen.
_NONE = 0.8
# A copy that is followed less than this is dropped.
_NEGLIGIBLE = 0.02
# Up to here a step takes all rows; from there on so many, and so many passes fewer
# than `max_iter` that no more rows go by.
_WHOLE, _BATCH_ROWS, _ROWS_PER_ITERATION = 2_000, 512, 4_000
# Up to here double precision costs next to nothing on the CPU, and a row of weight 2
# and the same row twice give the same model to seven digits.
_DOUBLE_ROWS = 64
# Errors of standardised targets below this are rounding.
_LEAST_ERROR = 1e-12


@dataclass(frozen=True, eq=False)
class Correction:
    """Copies of a module that correct a linear model, and how far each is followed.

    Parameters
    ----------
    states : list of dict of str to Tensor
        Weights of the copies.
    shares : ndarray of shape (n_copies,)
        How far each is followed; what is missing to 1 is "not at all".
    n_epochs : int
        Passes over the rows.
    """

    states: list[dict[str, Tensor]]
    shares: np.ndarray
    n_epochs: int


def learn_correction(
    module: nn.Module,
    X: np.ndarray,
    y: np.ndarray,
    sample_weight: np.ndarray,
    fit_linear: LinearFit,
    linear: tuple[np.ndarray, np.ndarray],
    *,
    task: str,
    alpha: float,
    learning_rate: float,
    max_iter: int,
    device: str,
    seed: int,
) -> Correction:
    """Learn what the linear model leaves over, as far as unseen rows confirm it.

    Shapes: X (n_samples, n_features), y (n_samples,) or (n_samples, n_outputs),
    sample_weight (n_samples,).
    """
    split = split_rows(X, y, task, seed)
    if split is None:
        logger.info("too few rows to learn more than the linear model")
        return Correction([], np.zeros(0), 1)
    offsets = [
        linear_outputs(X, *fit_linear(~judges))
        for judges in steps(split.judges, "folds", "fold", len(split.judges))
    ]
    learns = ~split.judges
    if split.is_whole:
        offsets.append(linear_outputs(X, *linear))
        learns = np.vstack([learns, np.ones((1, len(X)), dtype=bool)])
    n_epochs = max(1, min(max_iter, -(-max_iter * _ROWS_PER_ITERATION // len(X))))
    members = _train(
        _silent(copy.deepcopy(module)),
        X,
        y,
        np.repeat(learns * sample_weight, len(_STRENGTHS), axis=0),
        np.repeat(np.stack(offsets), len(_STRENGTHS), axis=0),
        task=task,
        alpha=alpha,
        learning_rate=learning_rate,
        n_epochs=n_epochs,
        device=device,
        seed=seed,
    )
    shares = _shares(members, split, offsets, X, y, sample_weight, task, device)
    first = len(members) - len(_STRENGTHS)
    kept = np.flatnonzero(shares > _NEGLIGIBLE)
    states = [members.state_dict(first + int(k)) for k in kept]
    logger.info(
        "%d passes of %d networks; unseen rows say to follow them by %.2f",
        *(len(members.history), len(members), shares[kept].sum()),
    )
    return Correction(states, shares[kept], len(members.history))


def _silent(module: nn.Module) -> nn.Module:
    """Start the default perceptron from no correction: nothing to unlearn."""
    if type(module) is MLP:
        last = module[-1]
        with torch.no_grad():
            for parameter in last.parameters():
                parameter.zero_()
    return module


def _train(
    module: nn.Module,
    X: np.ndarray,
    y: np.ndarray,
    row_weight: np.ndarray,
    offset: np.ndarray,
    *,
    task: str,
    alpha: float,
    learning_rate: float,
    n_epochs: int,
    device: str,
    seed: int,
) -> Members:
    """Train all copies for all folds at once."""
    dtype = _precision(len(X), device)

    def tensor(values: np.ndarray) -> Tensor:
        return torch.as_tensor(values, dtype=dtype, device=device)

    per_row = 2 / offset.shape[2] if task == "regression" else 1.0
    decay = np.tile(_STRENGTHS, len(row_weight) // len(_STRENGTHS)) * alpha * per_row
    return train_members(
        module.to(device, dtype),
        tensor(X),
        tensor(y),
        row_weight=tensor(row_weight),
        criterion=AttributionAlignedLoss(task=task, gamma=0.0),
        gamma=torch.zeros(len(row_weight)),
        direction=torch.zeros(len(row_weight), offset.shape[2], X.shape[1]),
        l2=tensor(decay / row_weight.sum(axis=1)),
        max_iter=n_epochs,
        learning_rate=learning_rate,
        batch_size=min(len(X), _BATCH_ROWS) if len(X) > _WHOLE else len(X),
        seed=seed,
        offset=tensor(offset),
    )


def _precision(n_samples: int, device: str) -> torch.dtype:
    is_double = device == "cpu" and n_samples <= _DOUBLE_ROWS
    return torch.float64 if is_double else torch.float32


def _shares(
    members: Members,
    split: Split,
    offsets: list[np.ndarray],
    X: np.ndarray,
    y: np.ndarray,
    sample_weight: np.ndarray,
    task: str,
    device: str,
) -> np.ndarray:
    """Weigh the copies by how likely they make the rows that judge them."""
    judged = split.judges.any(axis=0)
    dtype = _precision(len(X), device)
    rows = torch.as_tensor(X[judged], dtype=dtype, device=device)
    found = members.outputs(rows).cpu().numpy().astype(np.float64)
    found = found.reshape(-1, len(_STRENGTHS), *found.shape[1:])
    candidates = np.zeros((1 + len(_STRENGTHS), *found.shape[2:]))
    for fold, judges in enumerate(split.judges):
        own = judges[judged]
        candidates[0, own] = offsets[fold][judges]
        candidates[1:, own] = offsets[fold][judges] + found[fold][:, own]
    fit = _log_likelihoods(candidates, y[judged], sample_weight[judged], task)
    prior = np.full(len(fit), (1 - _NONE) / len(_STRENGTHS))
    prior[0] = _NONE
    # A part of the rows that judges speaks for all of them.
    posterior = np.log(prior) + fit * len(X) / judged.sum()
    shares: np.ndarray = np.exp(posterior - logsumexp(posterior))[1:]
    return shares


def _log_likelihoods(
    outputs: np.ndarray, y: np.ndarray, weight: np.ndarray, task: str
) -> np.ndarray:
    """Return how likely each candidate's outputs make the targets, as logarithms."""
    if task == "regression":
        # The noise is what remains: its best variance makes this n log(error) / 2.
        gap = (outputs - y.reshape(outputs.shape[1:])) ** 2
        error = np.einsum("knj,n->kj", gap, weight) / weight.sum()
        error = np.maximum(error, _LEAST_ERROR)
        return -0.5 * weight.sum() * np.log(error).sum(axis=1)
    if task == "binary":
        fit = log_expit(np.where(y > 0, 1, -1) * outputs[..., 0])
    else:
        chosen = np.take_along_axis(outputs, y.astype(int)[None, :, None], axis=2)
        fit = chosen[..., 0] - logsumexp(outputs, axis=2)
    total: np.ndarray = fit @ weight
    return total


def describe_state(
    linear: tuple[np.ndarray, np.ndarray], correction: Correction
) -> dict[str, Any]:
    """Put a linear model and its corrections into the state of a `CorrectedModel`."""
    state: dict[str, Any] = {
        "linear.weight": torch.as_tensor(linear[0]),
        "linear.bias": torch.as_tensor(linear[1]),
        "shares": torch.as_tensor(correction.shares),
    }
    for number, one in enumerate(correction.states):
        state |= {f"corrections.{number}.{name}": v for name, v in one.items()}
    return state
