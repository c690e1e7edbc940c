"""The residual ensemble: what a module learns beyond the linear model.

Copies of the module learn what the linear model leaves over, each held back by its own
strength of weight decay: the stronger, the closer the model's attributions stay to
those of the linear one. Rows that a copy has not seen decide its share in the model.
"""

import copy
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy.special import softmax
from torch import Tensor, nn

from llmreg._utils._log import get_logger
from llmreg._utils._progress import steps
from llmreg.linear_model._trees import ONE_PART, hold_out
from llmreg.nn._ensemble import Rows, train_copies
from llmreg.nn._loss import AttributionAlignedLoss
from llmreg.nn._net import MLP

logger = get_logger(__name__)

_N_FOLDS = 5
# From here on folds are fewer.
_FEWER_FOLDS = 200
# Weight decay of the copies, as multiples of `alpha`.
_STRENGTHS = (1.0, 3.0, 10.0)
# The prior probability that the linear model is enough.
_LINEAR_IS_ENOUGH = 0.8
# A copy with a smaller share is dropped.
_NEGLIGIBLE = 0.02
# Up to here a step takes all rows; from there on so many, and so many epochs fewer
# than `max_iter` that no more rows go by.
_WHOLE, _BATCH_ROWS, _ROWS_PER_ITERATION = 2_000, 512, 4_000
# Up to here double precision costs next to nothing on the CPU, and a row of weight 2
# and the same row twice give the same model to seven digits.
_DOUBLE_ROWS = 64
# Errors of standardised targets below this are rounding.
_LEAST_ERROR = 1e-12

#: Fits the linear model to some of the rows, and returns its outputs for all.
LinearFit = Callable[[np.ndarray], np.ndarray]


class ResidualEnsemble(NamedTuple):
    """States of the copies, their shares, and how many epochs they were trained.

    The shares are probabilities; what is missing to 1 is that of the linear model.
    """

    states: list[dict[str, Tensor]]
    shares: np.ndarray
    n_epochs: int

    def model_state(self, linear: dict[str, Any]) -> dict[str, Any]:
        """Return the state of a `CorrectedModel` whose linear model has this state."""
        state = {f"linear.{name}": value for name, value in linear.items()}
        state["shares"] = torch.as_tensor(self.shares)
        for number, one in enumerate(self.states):
            state |= {f"corrections.{number}.{name}": v for name, v in one.items()}
        return state


#: Where the linear model is all there is.
NOTHING = ResidualEnsemble([], np.zeros(0), 1)


def train_residual(
    module: nn.Module,
    X: np.ndarray,
    y: np.ndarray,
    sample_weight: np.ndarray,
    fit_linear: LinearFit,
    outputs: np.ndarray,
    *,
    task: str,
    alpha: float,
    learning_rate: float,
    max_iter: int,
    device: str,
    seed: int,
) -> ResidualEnsemble:
    """Learn what the linear model leaves over, as far as held out rows confirm it.

    `outputs` are those of the linear model of all rows.
    """
    held_out = held_out_rows(X, y, task, seed)
    if held_out is None:
        logger.info("too few rows to learn more than the linear model")
        return NOTHING
    offsets = [
        fit_linear(~rows) for rows in steps(held_out, "folds", "fold", len(held_out))
    ]
    learns = ~held_out
    if len(held_out) > 1:
        # The copies of the folds give the shares, those of all rows are followed.
        offsets.append(outputs)
        learns = np.vstack([learns, np.ones((1, len(X)), dtype=bool)])
    is_double = device == "cpu" and len(X) <= _DOUBLE_ROWS
    dtype = torch.float64 if is_double else torch.float32

    def tensor(values: np.ndarray) -> Tensor:
        return torch.as_tensor(values, dtype=dtype, device=device)

    def of_copies(of_folds: np.ndarray) -> Tensor:
        return tensor(np.repeat(of_folds, len(_STRENGTHS), axis=0))

    row_weight = learns * sample_weight
    per_row = 2 / offsets[0].shape[1] if task == "regression" else 1.0
    decay = np.multiply(_STRENGTHS, alpha) * per_row / row_weight.sum(axis=1)[:, None]
    rows = Rows(
        tensor(X),
        tensor(y),
        of_copies(row_weight),
        of_copies(np.stack(offsets)),
        tensor(decay.ravel()),
    )
    module = copy.deepcopy(module).to(device, dtype)
    if type(module) is MLP:
        # It starts from outputs of zero: nothing to unlearn.
        for parameter in module[-1].parameters():
            nn.init.zeros_(parameter)
    criterion = AttributionAlignedLoss(task=task, gamma=0.0)
    states, n_epochs = train_copies(
        module,
        rows,
        criterion,
        learning_rate=learning_rate,
        n_epochs=max(1, min(max_iter, -(-max_iter * _ROWS_PER_ITERATION // len(X)))),
        batch_size=min(len(X), _BATCH_ROWS) if len(X) > _WHOLE else len(X),
        seed=seed,
    )
    found = _held_out_outputs(module, states, rows.X, held_out, offsets)
    some = held_out.any(axis=0)
    fit = _log_likelihoods(found[:, some], y[some], sample_weight[some], criterion)
    each = (1 - _LINEAR_IS_ENOUGH) / len(_STRENGTHS)
    prior = [_LINEAR_IS_ENOUGH, *([each] * len(_STRENGTHS))]
    # A part of the rows that is held out speaks for all of them.
    ratio = sample_weight.sum() / sample_weight[some].sum()
    shares = softmax(np.log(prior) + fit * ratio)[1:]
    kept = np.flatnonzero(shares > _NEGLIGIBLE)
    states = states[-len(_STRENGTHS) :]
    logger.info(
        "trained %d networks for %d epochs; held out rows give them a share of %.2f",
        *(len(rows.weight), n_epochs, shares[kept].sum()),
    )
    return ResidualEnsemble([states[k] for k in kept], shares[kept], n_epochs)


def held_out_rows(
    X: np.ndarray, y: np.ndarray, task: str, seed: int
) -> np.ndarray | None:
    """Choose the rows held out of each fold, as a mask (n_folds, n_samples).

    Few rows that are copies go into one fold. None where there are too few.
    """
    kinds = np.arange(len(X))
    if len(X) <= ONE_PART:
        both = np.column_stack([X, y.reshape(len(X), -1)])
        kinds = np.unique(both, axis=0, return_inverse=True)[1].ravel()
    n_folds = _N_FOLDS if kinds.max() < _FEWER_FOLDS - 1 else 3
    is_class = task in ("binary", "multiclass")
    return hold_out(kinds, y, is_class=is_class, n_folds=n_folds, seed=seed)


def _held_out_outputs(
    module: nn.Module,
    states: list[dict[str, Tensor]],
    X: Tensor,
    held_out: np.ndarray,
    offsets: list[np.ndarray],
) -> np.ndarray:
    """Return outputs for held out rows: of the linear model, then with each copy."""
    outputs = np.zeros((1 + len(_STRENGTHS), *offsets[0].shape))
    some = held_out.any(axis=0)
    X = X[torch.as_tensor(some, device=X.device)]
    module.eval()
    for fold, rows in enumerate(held_out):
        outputs[:, rows] = offsets[fold][rows]
        for number in range(len(_STRENGTHS)):
            module.load_state_dict(states[fold * len(_STRENGTHS) + number])
            with torch.no_grad():
                found = module(X).cpu().numpy()
            outputs[1 + number, rows] += found[rows[some]]
    return outputs


def _log_likelihoods(
    outputs: np.ndarray,
    y: np.ndarray,
    weight: np.ndarray,
    criterion: AttributionAlignedLoss,
) -> np.ndarray:
    """Return the log-likelihood of each candidate's outputs."""
    if criterion.task == "regression":
        # The noise is what remains: its best variance makes this n log(error) / 2.
        gap = (outputs - y.reshape(outputs.shape[1:])) ** 2
        error = np.einsum("knj,n->kj", gap, weight) / weight.sum()
        error = np.maximum(error, _LEAST_ERROR)
        return -0.5 * weight.sum() * np.log(error).sum(axis=1)
    targets = torch.as_tensor(y)
    losses = [criterion.task_loss(torch.as_tensor(o), targets) for o in outputs]
    return -np.stack([loss.numpy() for loss in losses]) @ weight
