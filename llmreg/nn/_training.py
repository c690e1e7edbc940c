"""Training a net on encoded rows, and asking it for outputs and attributions."""

import warnings
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from typing import Any, cast

import numpy as np
import torch
from scipy.sparse import issparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from skorch.helper import predefined_split

from llmreg._utils._reproducibility import torch_seed
from llmreg.exceptions import DataError, DivergenceError, ModuleOutputError
from llmreg.linear_model._averaging import AveragedModel, average_counts, average_models
from llmreg.linear_model._objective import LinearObjective
from llmreg.linear_model._solver import minimize_aligned
from llmreg.linear_model._trees import Encoded, Trees, grow_trees, outputs_of
from llmreg.nn._additive import AdditiveModel
from llmreg.nn._attribution import attribute
from llmreg.nn._factory import (
    CorrectedModel,
    asks_for_loop,
    choose_solver,
    is_averaged,
    is_linear,
    is_solved,
    linear_module,
    module_factory,
)
from llmreg.nn._net import (
    MLP,
    Adam,
    AlignedClassifierNet,
    AlignedNet,
    LinearModel,
    TableDataset,
    check_module,
)
from llmreg.nn._residual import NOTHING, train_residual
from llmreg.preprocessing._basis import CurveBasis
from llmreg.preprocessing._sparse import dense_blocks, to_dense
from llmreg.prior._feature_prior import FeaturePrior

# Rows of a batch, where `batch_size` leaves it open. Of a fit: up to here a step on
# all rows at once is faster than several on parts of them.
_FULL_BATCH_ROWS = 10_000
_AUTO_BATCH_ROWS = 2_048
# Of a piece in `partial_fit`: a few hundred rows are to be more than one step, and
# steps on fewer rows are noisy.
_PIECE_BATCH_ROWS = 200
_PREDICT_ROWS = 65_536


def train(
    net: AlignedNet,
    X: Any,
    y: np.ndarray,
    sample_weight: np.ndarray,
    params: Any,
    *,
    seed: int,
    one_pass: bool = False,
) -> None:
    """Train a net on encoded rows, from where it stands."""
    # A user's module may draw random numbers while it trains, as dropout does, and so
    # may a loader; those of this package do not, and need not wait for one another.
    draws = params.module is not None or asks_for_loop(params)
    with torch_seed(seed, str(net.device)) if draws else nullcontext():
        if one_pass:
            _train_on_piece(net, _dataset(net, X, y, sample_weight), params)
            return
        net.weight_seen = float(sample_weight.sum())
        if is_solved(params) and isinstance(net.module_, LinearModel):
            _solve(net, X, y, sample_weight, params)
        elif (
            is_solved(params)
            and isinstance(net.module_, AdditiveModel)
            and params.attribution == "gradient"
        ):
            _solve_additive(net, X, y, sample_weight, params)
        else:
            _train_in_loop(net, X, y, sample_weight, params, seed)


def _train_in_loop(
    net: AlignedNet,
    X: Any,
    y: np.ndarray,
    sample_weight: np.ndarray,
    params: Any,
    seed: int,
) -> None:
    """Train in skorch's loop, with rows set aside for early stopping."""
    is_lbfgs = choose_solver(params) == "lbfgs"
    has_own_split = net.train_split is not None
    data = _dataset(net, X, y, sample_weight)
    if params.early_stopping and not is_lbfgs and not has_own_split:
        try:
            rows = train_test_split(
                np.arange(len(X)),
                test_size=params.validation_fraction,
                random_state=seed,
                stratify=y if isinstance(net, AlignedClassifierNet) else None,
            )
        except ValueError as error:
            raise DataError(
                f"early_stopping cannot set rows aside, a {params.validation_fraction} "
                f"share of {len(X)}, some of each class: {error} Set "
                "early_stopping=False, raise validation_fraction, or give more rows."
            ) from error
        parts = [_dataset(net, X[some], y[some], sample_weight[some]) for some in rows]
        data, valid = parts
        net.set_params(train_split=predefined_split(valid))
    batch_size = len(data)
    if params.batch_size != "auto":
        batch_size = min(int(params.batch_size), batch_size)
    elif not is_lbfgs and batch_size > _FULL_BATCH_ROWS:
        batch_size = _AUTO_BATCH_ROWS
    net.set_params(batch_size=batch_size, max_epochs=1 if is_lbfgs else params.max_iter)
    # A splitter of the user's own may need the targets.
    net.partial_fit(data, data.y.numpy())
    if is_lbfgs and n_iterations(net) >= params.max_iter:
        _warn_of_max_iter(params)
    if not has_own_split:
        # It holds the validation rows, which have no place in a saved model.
        net.set_params(train_split=None)


def _train_on_piece(net: AlignedNet, data: TableDataset, params: Any) -> None:
    """Go over one piece once, in small steps from where the net stands.

    `alpha`, and the penalty of ``gamma="auto"``, are shared out among all rows so far.
    """
    if isinstance(net.optimizer_, torch.optim.LBFGS):
        # It would forget all but the last piece.
        net.optimizer_ = Adam(net.module_.parameters(), lr=params.learning_rate_init)
    # A fit before may have stopped early, and of a piece no rows are held back.
    net.callbacks_ = [c for c in net.callbacks_ if c[0] != "early_stopping"]
    before = net.weight_seen
    net.weight_seen += float(data.sample_weight.sum())
    if before:
        share = before / net.weight_seen
        net.l2 *= share
        if params.gamma == "auto":
            net.criterion_.gamma *= share
    size = _PIECE_BATCH_ROWS if params.batch_size == "auto" else int(params.batch_size)
    # The rows of a piece may be sorted; "lbfgs" had no use for another order.
    net.iterator_train__shuffle = True
    net.set_params(batch_size=min(size, len(data)), max_epochs=1)
    net.partial_fit(data)


def _solve(
    net: AlignedNet,
    X: Any,
    y: np.ndarray,
    sample_weight: np.ndarray,
    params: Any,
) -> None:
    """Give the net of a linear model its best weights, in double on the CPU."""
    objective = LinearObjective(
        X, y, sample_weight, net.criterion_, net.l2, n_outputs=net.n_outputs
    )
    module = cast(LinearModel, net.module_)
    weight, bias = module.weight, module.bias
    start = None
    if params.warm_start and net.is_warm:
        parts = [weight.detach(), bias.detach()[:, None]]
        start = torch.cat(parts, dim=1).cpu().double().numpy().ravel()
    found = minimize_aligned(objective, start, params.max_iter)
    table = torch.as_tensor(found.theta.reshape(objective.shape))
    if objective.task == "multiclass":
        # One number added to all of them changes no probability: rounding alone
        # would decide it.
        table[:, -1] -= table[:, -1].mean()
    with torch.no_grad():
        weight.copy_(table[:, :-1])
        bias.copy_(table[:, -1])
    net.n_steps = found.n_iter
    net.history.new_epoch()
    net.history.record("epoch", 1)
    net.history.record("train_loss", found.value)
    if not found.converged:
        _warn_of_max_iter(params)


def _solve_additive(
    net: AlignedNet,
    X: Any,
    y: np.ndarray,
    sample_weight: np.ndarray,
    params: Any,
) -> None:
    """Train an additive model in torch, but without going over segments each time."""
    module, criterion = cast(AdditiveModel, net.module_), net.criterion_
    data = _dataset(net, X, y, sample_weight)
    rows = data.X.to(net.device, net.dtype)
    target, weight = data.y.to(net.device), data.sample_weight.to(net.device)
    aligned = rows, weight
    if criterion.is_local and criterion.anchors:
        aligned = criterion.with_anchors(rows, weight)
    (outputs, _), (_, gradients) = module.on_rows(rows), module.on_rows(aligned[0])
    aim = criterion.aim(aligned[0])

    def loss() -> torch.Tensor:
        module.zero_grad()
        found = criterion.mean_loss(outputs(), target, weight) + net.decay()
        if criterion.penalizes:
            penalty = criterion.penalty_of(gradients(), aim, aligned[1])
            found = found + criterion.gamma * penalty
        found.backward()  # type: ignore[no-untyped-call]
        return found

    net.optimizer_.step(loss)
    net.history.new_epoch()
    net.history.record("epoch", 1)
    net.history.record("train_loss", loss().item())
    if n_iterations(net) >= params.max_iter:
        _warn_of_max_iter(params)


def _warn_of_max_iter(params: Any) -> None:
    warnings.warn(
        f"lbfgs stopped at max_iter={params.max_iter} before it converged. Raise "
        "max_iter, or alpha.",
        ConvergenceWarning,
        stacklevel=4,
    )


def train_automatically(
    make_net: Callable[..., AlignedNet],
    X: Any,
    y: np.ndarray,
    sample_weight: np.ndarray,
    prior: FeaturePrior,
    params: Any,
    *,
    task: str,
    device: str,
    seed: int,
    columns: Sequence[Encoded] = (),
    in_double: Callable[[Any], Any] | None = None,
    basis: CurveBasis | None = None,
    kept: np.ndarray | None = None,
) -> tuple[AlignedNet, AveragedModel, Trees | None]:
    """Find out how far the prior is to be trusted, and train a net accordingly.

    The prior is weighed against the rows for a linear model, which is done with that:
    its weights are the average. What it leaves over boosted trees of `columns` learn,
    if held out rows confirm them, else hidden layers do; a module of the user's own
    always. Where the parameters ask for a training loop, or for other attributions, the
    average chooses the gamma that the loop trains with. Of columns that are `kept` the
    linear model alone has what the prior says, so that nothing else learns then.
    """
    average = partial(
        average_counts if task == "poisson" else average_models,
        prior=prior,
        task=task,
        score_transform=params.score_transform,
        penalty_weights=params.penalty_weights,
        alpha=params.alpha,
        seed=seed,
        basis=basis,
        kept=kept,
    )
    model = average(X, y, sample_weight)

    trees = None
    may_grow = is_averaged(params) and params.module is None and task != "poisson"
    if columns and params.trees and may_grow and kept is None:
        given = X, y, sample_weight, average, columns, basis, in_double
        trees = grow_trees(*given, task=task, n_outputs=len(model.coef), seed=seed)
    if trees is not None:
        model = model._replace(
            trust=tuple(replace(one, trees=str(trees)) for one in model.trust),
            posterior=model.posterior and trees.settle(model.posterior),
        )
    make_net = partial(make_net, model.gamma, model.score_transform)
    is_part = (
        is_linear(params) and not model.is_whole and basis is None and kept is None
    )
    if not is_averaged(params) or is_part:
        # A part of a very large table settles the gamma; the weights are for all rows.
        net = make_net()
        train(net, X, y, sample_weight, params, seed=seed)
        # Uncertain is the linear model, and around weights that all rows gave.
        known = model.posterior if is_part else None
        return net, model._replace(posterior=known and known.around_mean()), trees
    if task == "poisson" and model.posterior is not None:
        # Counts that scatter more tell less.
        sample_weight = sample_weight / model.posterior.noise[0].variance
    state = _state(linear_module(X.shape[1], len(model.coef), basis), model)
    if is_linear(params):
        net, n_epochs = make_net(), 1
        net.n_steps = model.n_iter
    else:
        with torch_seed(seed, device):
            made = module_factory(params, X.shape[1], len(model.coef))()
            # What does not fit is told before it is trained; lazy layers become real.
            module = check_module(made, X.shape[1], len(model.coef), torch.float32)
            residual = (
                NOTHING
                if kept is not None or trees is not None
                else train_residual(
                    module,
                    # As copies of the module take them, half of double.
                    to_dense(X.astype(np.float32) if issparse(X) else X),
                    y,
                    sample_weight,
                    lambda rows: outputs_of(
                        average(X[rows], y[rows], sample_weight[rows]), X, basis
                    ),
                    outputs_of(model, X, basis),
                    task=task,
                    alpha=params.alpha,
                    learning_rate=params.learning_rate_init,
                    max_iter=params.max_iter,
                    device=device,
                    seed=seed,
                )
            )
        net, n_epochs = make_net(len(residual.states)), residual.n_epochs
        state = residual.model_state(state)
    net.weight_seen = float(sample_weight.sum())
    net.module_.load_state_dict(state)
    for number in range(n_epochs):
        # As a training loop writes passes into the history.
        net.history.append({"batches": [], "epoch": number + 1})
    return net, model, trees


def _state(module: torch.nn.Module, model: AveragedModel) -> dict[str, Any]:
    """Return the state of a linear or additive module that has a model's weights."""
    if isinstance(module, AdditiveModel):
        return module.state_of(model.coef, model.intercept)
    weight, bias = map(torch.as_tensor, (model.coef, model.intercept))
    return {"weight": weight, "bias": bias}


def check_weights(net: AlignedNet) -> None:
    """Raise DivergenceError if a training ended in weights that are no numbers."""
    for name, weight in net.module_.named_parameters():
        if not torch.isfinite(weight).all():
            raise DivergenceError(
                f"The training diverged: {name!r} of the module holds numbers that are "
                "infinite, or none. Take a smaller learning_rate_init, scale the "
                'columns (scaler="bounded"), or look for columns or targets of huge '
                "numbers."
            )


def shift_outputs(net: AlignedNet, shift: np.ndarray) -> None:
    """Add a number to each output of all rows."""
    module: Any = net.module_
    module = module.linear if isinstance(module, CorrectedModel) else module
    module = module[-1] if isinstance(module, MLP) else module
    if not isinstance(module, LinearModel | AdditiveModel | torch.nn.Linear):
        raise ModuleOutputError(
            "base_rate moves the intercept of the model, and a module of your own that "
            "is trained alone has none that is known. Set base_rate=None, or "
            'gamma="auto" with a prior.'
        )
    with torch.no_grad():
        module.bias.add_(torch.as_tensor(shift).to(module.bias))


def predict_outputs(net: AlignedNet, X: Any) -> np.ndarray:
    """Return the outputs for encoded rows, of shape (n_samples, n_outputs)."""
    module = net.module_
    module.eval()
    outputs = torch.empty(len(X), net.n_outputs, dtype=net.dtype)
    with torch.no_grad():
        if issparse(X) and isinstance(module, LinearModel):
            weight = module.weight.cpu().numpy()
            return np.asarray(X @ weight.T + module.bias.cpu().numpy(), weight.dtype)
        if issparse(X) and isinstance(module, AdditiveModel):
            return module.of_sparse(X)
        for rows, part in dense_blocks(X, _PREDICT_ROWS):
            block = torch.as_tensor(part).to(net.device, net.dtype)
            outputs[rows] = module(block).cpu()
    return outputs.numpy()


def mean_attributions(
    net: AlignedNet, X: Any, sample_weight: np.ndarray
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the weighted mean attributions, and their cosine with the prior.

    Where rows are aligned one by one with curves, the cosine is the mean of theirs.
    """
    module, criterion = net.module_, net.criterion_
    module.eval()
    if isinstance(module, LinearModel) and criterion.attribution == "gradient":
        weight = module.weight.detach().clone()
        return weight, criterion.cosine(weight)
    is_plain = criterion.attribution == "gradient" and not criterion.is_local
    if isinstance(module, AdditiveModel) and is_plain:
        weight = module.mean_slopes(X, sample_weight)
        return weight, criterion.cosine(weight)
    total = torch.zeros_like(criterion.direction)
    # Of rows without a direction there is no cosine.
    told = torch.zeros(2, len(total), dtype=net.dtype, device=net.device)
    for rows, part in dense_blocks(X, _AUTO_BATCH_ROWS):
        block = torch.as_tensor(part).to(net.device, net.dtype)
        attributions = attribute(
            module, block, method=criterion.attribution, n_steps=criterion.n_steps
        ).detach()
        weight = torch.as_tensor(sample_weight[rows]).to(net.device, net.dtype)
        total = total + torch.tensordot(weight, attributions, dims=1)
        if criterion.is_local:
            cosine = criterion.cosine(attributions, criterion.aim(block))
            told[0] += weight @ cosine.nan_to_num()
            told[1] += weight @ (~cosine.isnan()).to(net.dtype)
    mean = total / float(sample_weight.sum())
    return mean, told[0] / told[1] if criterion.is_local else criterion.cosine(mean)


def n_iterations(net: AlignedNet) -> int:
    """Return how many steps of the solver, or passes over the rows, were made."""
    if isinstance(net.optimizer_, torch.optim.LBFGS):
        states = net.optimizer_.state.values()
        steps = max((int(state.get("n_iter", 1)) for state in states), default=0)
        return max(1, net.n_steps + steps)
    return len(net.history)


def _dataset(
    net: AlignedNet, X: Any, y: np.ndarray, sample_weight: np.ndarray
) -> TableDataset:
    """Turn rows into tensors, targets and weights in the net's dtype."""
    return TableDataset(
        X if issparse(X) else torch.as_tensor(X),
        torch.as_tensor(y, dtype=net.dtype),
        torch.as_tensor(sample_weight, dtype=net.dtype),
    )
