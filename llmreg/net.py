"""The default modules and the skorch net that trains a module on aligned loss."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from skorch import NeuralNet
from skorch.dataset import unpack_data
from torch import Tensor, nn
from torch.utils.data import Dataset

from llmreg.criterion import AttributionAlignedLoss
from llmreg.module_check import check_module, require_module

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
    "silu": nn.SiLU,
    "gelu": nn.GELU,
}


class LinearModel(nn.Linear):
    """A linear map from features to outputs: logistic or linear regression.

    Parameters
    ----------
    n_features, n_outputs : int
        Widths of the input and of the output.
    """


class MLP(nn.Sequential):
    """A multi-layer perceptron.

    Parameters
    ----------
    n_features, n_outputs : int
        Widths of the input and of the output.
    hidden_layer_sizes : sequence of int, default=(100,)
        Widths of the hidden layers.
    activation : {"relu", "tanh", "silu", "gelu"}, default="relu"
        Nonlinearity after every hidden layer.

    Examples
    --------
    >>> from llmreg.net import MLP
    >>> MLP(4, 1, hidden_layer_sizes=(8,), activation="tanh")
    MLP(
      (0): Linear(in_features=4, out_features=8, bias=True)
      (1): Tanh()
      (2): Linear(in_features=8, out_features=1, bias=True)
    )
    """

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
    """Rows of a table with their targets and weights, held as tensors.

    Parameters
    ----------
    X : Tensor of shape (n_samples, n_features)
        Encoded rows. They are handed out in the precision of `y`, and may be kept in
        less.
    y : Tensor of shape (n_samples,) or (n_samples, n_outputs)
        Encoded targets.
    sample_weight : Tensor of shape (n_samples,)
        Weights of the rows.
    """

    def __init__(self, X: Tensor, y: Tensor, sample_weight: Tensor) -> None:
        self.X, self.y, self.sample_weight = X, y, sample_weight

    def __len__(self) -> int:
        return len(self.X)

    def __getitem__(self, rows: Any) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        y = self.y[rows]
        return self.X[rows].to(y.dtype), (y, self.sample_weight[rows])


class BatchIterator:
    """Slices of a :class:`TableDataset`.

    Torch's DataLoader picks the rows of a batch one by one and stacks them again,
    which takes longer than training on them.

    Parameters
    ----------
    dataset : TableDataset
        What is sliced.
    batch_size : int
        Rows of a batch.
    shuffle : bool, default=False
        Draw a new order for every pass.
    seed : int, default=0
        Seed of the orders.
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
        order = (
            torch.randperm(n_samples, generator=self.generator)
            if self.shuffle
            else None
        )
        for start in range(0, n_samples, self.batch_size):
            rows = slice(start, start + self.batch_size)
            yield self.dataset[rows if order is None else order[rows]]


class AlignedNet(NeuralNet):
    """A skorch net whose criterion sees the inputs and the module.

    Parameters
    ----------
    *args : tuple
        Passed to :class:`skorch.NeuralNet`.
    n_features, n_outputs : int
        Widths that the module must have.
    dtype : torch.dtype, default=torch.float64
        Floating point type of module and criterion.
    l2 : float, default=0.0
        Half of it times the squared weights (biases left out) is added to the loss.
    **kwargs : dict
        Passed to :class:`skorch.NeuralNet`.
    """

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
        self.module_ = require_module(self.module_).to(self.dtype)
        # Before the optimizer is made: this is what materializes lazy layers.
        check_module(self.module_, self.n_features, self.n_outputs, self.dtype)
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
        step: dict[str, Tensor] = super().train_step_single((X, y), **fit_params)
        return step

    def get_loss(
        self, y_pred: Tensor, y_true: Any, X: Any = None, training: bool = False
    ) -> Tensor:
        """Return the aligned loss of a batch."""
        target, sample_weight = (part.to(self.device) for part in y_true)
        loss: Tensor = self.criterion_(
            y_pred, target, X=X, module=self.module_, sample_weight=sample_weight
        )
        if training and self.l2:
            weights = (p for p in self.module_.parameters() if p.ndim > 1)
            loss = loss + 0.5 * self.l2 * sum(p.square().sum() for p in weights)
        return loss

    def notify(self, method_name: str, **cb_kwargs: Any) -> None:
        """Call the callbacks, which see targets without the weights of the rows.

        Parameters
        ----------
        method_name : str
            Such as "on_batch_end".
        **cb_kwargs : dict
            What skorch passes on.
        """
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
        """Train, until a callback or a person ends it.

        Parameters
        ----------
        X : Dataset
            What is trained on.
        y : None
            In `X` already.
        **fit_params : dict
            What skorch passes on.

        Returns
        -------
        AlignedNet
            The net itself.

        Raises
        ------
        KeyboardInterrupt
            If a person interrupts it. skorch would keep quiet about that, and a search
            would go on with what has been trained so far.
        """
        self.is_ended = self.is_interrupted = False
        super().partial_fit(X, y, **fit_params)
        if self.is_interrupted:
            raise KeyboardInterrupt
        return self

    def fit_loop(self, X: Any, y: Any = None, **fit_params: Any) -> AlignedNet:
        """Go over the rows, and notice where a person interrupts it.

        Parameters
        ----------
        X : Dataset
            What is trained on.
        y : None
            In `X` already.
        **fit_params : dict
            What skorch passes on.

        Returns
        -------
        AlignedNet
            The net itself.
        """
        try:
            super().fit_loop(X, y, **fit_params)
        except KeyboardInterrupt:
            self.is_interrupted = not self.is_ended
            raise
        return self
