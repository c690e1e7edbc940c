"""The default modules and the skorch net that trains a module on aligned loss."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import Any

import numpy as np
import torch
from scipy.sparse import issparse
from sklearn.base import ClassifierMixin
from skorch import NeuralNet
from skorch.callbacks import Callback
from skorch.dataset import unpack_data
from torch import Tensor, nn
from torch.utils.data import Dataset

from llmreg._utils._log import get_logger
from llmreg._utils._progress import following
from llmreg.exceptions import ModuleOutputError
from llmreg.nn._loss import AttributionAlignedLoss
from llmreg.preprocessing._sparse import to_dense

logger = get_logger(__name__)


def check_module(
    module: Any, n_features: int, n_outputs: int, dtype: torch.dtype
) -> nn.Module:
    """Return a module in a dtype; raise ModuleOutputError if it does not fit."""
    if not isinstance(module, nn.Module):
        raise ModuleOutputError(
            f"module must make a torch.nn.Module; it made a {type(module).__name__}. "
            "Give the class itself, or a function that returns a module."
        )
    expected = (
        f"a module must map inputs of shape (n_samples, {n_features}) to outputs of "
        f"shape (n_samples, {n_outputs})"
    )
    hint = (
        "A module class or factory receives both widths as module(n_features, "
        "n_outputs); two classes take one output."
    )
    module, is_training = module.to("cpu", dtype), module.training
    try:
        with torch.no_grad():
            outputs = module.eval()(torch.zeros(2, n_features, dtype=dtype))
    except (RuntimeError, TypeError, ValueError, IndexError) as error:
        message = f"The module failed on a trial input: {error}. Here {expected}."
        raise ModuleOutputError(f"{message} {hint}") from error
    finally:
        module.train(is_training)
    shape = tuple(outputs.shape) if isinstance(outputs, Tensor) else type(outputs)
    if shape != (2, n_outputs):
        raise ModuleOutputError(
            f"The module gave {shape} for a trial input of shape {(2, n_features)}, "
            f"but {expected}. {hint}"
        )
    return module


class _Unmarked(torch.optim.Optimizer):
    """An optimizer whose making is not marked for the compiler."""

    add_param_group = inspect.unwrap(torch.optim.Optimizer.add_param_group)


class Adam(_Unmarked, torch.optim.Adam):
    """`torch.optim.Adam`."""


class SGD(_Unmarked, torch.optim.SGD):
    """`torch.optim.SGD`."""


class LBFGS(_Unmarked, torch.optim.LBFGS):
    """`torch.optim.LBFGS`."""


ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
    "silu": nn.SiLU,
    "gelu": nn.GELU,
}


class LinearModel(nn.Linear):
    """A linear map from features to outputs: logistic or linear regression."""


class MLP(nn.Sequential):
    """A multi-layer perceptron."""

    def __init__(
        self,
        n_features: int,
        n_outputs: int,
        hidden_layer_sizes: Sequence[int] = (100,),
        activation: str = "relu",
    ) -> None:
        layers: list[nn.Module] = []
        width = n_features
        for size in hidden_layer_sizes:
            layers += [nn.Linear(width, size), ACTIVATIONS[activation]()]
            width = size
        super().__init__(*layers, nn.Linear(width, n_outputs))


class TableDataset(Dataset[Any]):
    """Rows of a table, tensors or sparse, with their targets and weights."""

    def __init__(self, X: Any, y: Tensor, sample_weight: Tensor) -> None:
        self.X, self.y, self.sample_weight = X, y, sample_weight

    def __len__(self) -> int:
        return len(self.X)

    def __getitem__(self, rows: Any) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        y, X = self.y[rows], self.X
        if issparse(X):
            some = rows if isinstance(rows, slice) else np.asarray(rows)
            X = torch.as_tensor(to_dense(X[some]))
        else:
            X = X[rows]
        return X.to(y.dtype), (y, self.sample_weight[rows])


class BatchIterator:
    """Slices of a :class:`TableDataset`.

    Torch's DataLoader stacks row by row, which takes longer than training on them.
    """

    def __init__(
        self,
        dataset: TableDataset,
        batch_size: int,
        shuffle: bool = False,
        seed: int = 0,
    ) -> None:
        self.dataset = dataset
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.generator = torch.Generator().manual_seed(seed)

    def __len__(self) -> int:
        return -(-len(self.dataset) // self.batch_size)

    def __iter__(self) -> Iterator[Any]:
        n_samples = len(self.dataset)
        if self.shuffle:
            order = torch.randperm(n_samples, generator=self.generator)
        for start in range(0, n_samples, self.batch_size):
            rows = slice(start, start + self.batch_size)
            yield self.dataset[order[rows] if self.shuffle else rows]


class AlignedNet(NeuralNet):
    """A skorch net whose criterion sees the inputs and the module."""

    module_: nn.Module
    criterion_: AttributionAlignedLoss

    def __init__(
        self,
        *args: Any,
        n_features: int,
        n_outputs: int,
        dtype: torch.dtype = torch.float64,
        l2: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.n_features = n_features
        self.n_outputs = n_outputs
        self.dtype = dtype
        self.l2 = l2
        # Whether the weights are those of an earlier fit, and the steps made by a
        # solver that is not skorch's.
        self.is_warm = False
        self.n_steps = 0
        # How many rows, by weight, have had a say; `l2` is shared out among them.
        self.weight_seen = 0.0
        # Whether the last training was ended by a callback, or by a person.
        self.is_ended = self.is_interrupted = False

    def initialize_module(self) -> AlignedNet:
        """Make the module, in the net's dtype, and check its output width."""
        super().initialize_module()
        # Before the optimizer is made: this is what materializes lazy layers.
        self.module_ = check_module(
            self.module_, self.n_features, self.n_outputs, self.dtype
        )
        return self

    def initialize_criterion(self) -> AlignedNet:
        """Make the criterion, in the net's dtype."""
        super().initialize_criterion()
        self.criterion_ = self.criterion_.to(self.dtype)
        return self

    def train_step_single(self, batch: Any, **fit_params: Any) -> dict[str, Tensor]:
        """Train on a batch whose inputs collect gradients, if there is a penalty."""
        X, y = unpack_data(batch)
        X = X.to(self.device).requires_grad_(self.criterion_.penalizes)
        return super().train_step_single((X, y), **fit_params)

    def get_loss(
        self, y_pred: Tensor, y_true: Any, X: Any = None, training: bool = False
    ) -> Tensor:
        """Return the aligned loss of a batch."""
        target, sample_weight = (part.to(self.device) for part in y_true)
        loss: Tensor = self.criterion_(
            y_pred, target, X=X, module=self.module_, sample_weight=sample_weight
        )
        return loss + self.decay() if training and self.l2 else loss

    def decay(self) -> Tensor:
        """Return the penalty on the size of weights."""
        weights = (p for p in self.module_.parameters() if p.ndim > 1)
        return 0.5 * self.l2 * torch.stack([p.square().sum() for p in weights]).sum()

    def notify(self, method_name: str, **cb_kwargs: Any) -> None:
        """Call the callbacks, which see targets without the weights of the rows."""
        if "batch" in cb_kwargs:
            X, (target, _) = cb_kwargs["batch"]
            cb_kwargs["batch"] = X, target
        if isinstance(cb_kwargs.get("y"), tuple):
            cb_kwargs["y"], _ = cb_kwargs["y"]
        try:
            super().notify(method_name, **cb_kwargs)
        except KeyboardInterrupt:
            # That is how callbacks of skorch end a training.
            self.is_ended = True
            raise

    def partial_fit(self, X: Any, y: Any = None, **fit_params: Any) -> AlignedNet:
        """Train, until a callback or a person ends it."""
        # skorch would keep quiet about a person's interrupt, and a search would go on
        # with what has been trained so far.
        self.is_ended = self.is_interrupted = False
        super().partial_fit(X, y, **fit_params)
        if self.is_interrupted:
            raise KeyboardInterrupt
        return self

    def fit_loop(self, X: Any, y: Any = None, **fit_params: Any) -> AlignedNet:
        """Go over the rows, and notice where a person interrupts it."""
        try:
            super().fit_loop(X, y, **fit_params)
        except KeyboardInterrupt:
            self.is_interrupted = not self.is_ended
            raise
        return self


class AlignedClassifierNet(ClassifierMixin, AlignedNet):  # type: ignore[misc]
    """An :class:`AlignedNet` for the scorers of scikit-learn and skorch.

    It knows classes by their places: 0 is ``classes_[0]`` of the estimator.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("predict_nonlinearity", class_probabilities)
        super().__init__(*args, **kwargs)

    @property
    def classes_(self) -> np.ndarray:
        """The places of the classes."""
        return np.arange(max(2, self.n_outputs))

    def predict(self, X: Any) -> np.ndarray:
        """Return the place of the likeliest class of each row."""
        return self.predict_proba(X).argmax(axis=1)


def class_probabilities(logits: Tensor) -> Tensor:
    """Turn logits into the probabilities of the classes, (n_samples, n_classes)."""
    if logits.shape[1] == 1:
        return torch.cat([-logits, logits], dim=1).sigmoid()
    return logits.softmax(dim=1)


class EpochReport(Callback):
    """Logs the losses of every epoch, and reports it to scikit-learn's callbacks."""

    def on_train_begin(self, net: Any, **kwargs: Any) -> None:
        """Report that a loop begins."""
        self._stack, self._step, self._follower = ExitStack(), None, following()
        if self._follower is not None:
            loop = self._follower.loop("epochs", net.max_epochs)
            # With the estimator's own net it can predict after every epoch.
            estimator = vars(self._follower.estimator)
            self._follower.is_usable = estimator.get("net_") is net
            if not self._stack.enter_context(loop):
                self._follower = None

    def on_epoch_begin(self, net: Any, **kwargs: Any) -> None:
        """Report that an epoch begins."""
        if self._follower is not None:
            self._step = self._follower.begin_step("epoch")

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """Log the losses; stop where a callback asks to."""
        if logger.isEnabledFor(logging.DEBUG):
            epoch = net.history[-1]
            names = [name for name in ("train_loss", "valid_loss") if name in epoch]
            losses = [f"{n.removesuffix('_loss')} {epoch[n]:.6g}" for n in names]
            logger.debug("epoch %d: loss %s", epoch["epoch"], ", ".join(losses))
        if self._follower is not None and self._follower.end_step(self._step):
            # As skorch's callbacks do: its loop takes it for a wish to stop.
            raise KeyboardInterrupt

    def on_train_end(self, net: Any, **kwargs: Any) -> None:
        """Report that the loop has ended."""
        self._stack.close()
        self.__dict__.clear()

    def __getstate__(self) -> dict[str, Any]:
        # A training that failed leaves what belongs to the process.
        return {}


#: The name in pickles of version 0.1.
PassReport = EpochReport


def say(text: str) -> None:
    """Log what a callback of skorch's would print."""
    logger.info("%s", text)
