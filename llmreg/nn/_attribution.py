"""Feature attributions of a torch module: how its outputs depend on its inputs."""

from collections.abc import Callable

import torch
from torch import Tensor

ATTRIBUTIONS = ("gradient", "input_x_gradient", "integrated_gradients")


def attribute(
    forward: Callable[[Tensor], Tensor],
    inputs: Tensor,
    *,
    method: str = "gradient",
    outputs: Tensor | None = None,
    n_steps: int = 16,
    create_graph: bool = False,
) -> Tensor:
    """Attribute every output of every row to the input features.

    Parameters
    ----------
    forward : callable
        Maps inputs of shape (n_samples, n_features) to outputs of shape
        (n_samples, n_outputs), row by row: a module.
    inputs : Tensor of shape (n_samples, n_features)
        Where to attribute. Must require gradients if `outputs` is given.
    method : {"gradient", "input_x_gradient", "integrated_gradients"}, \
            default="gradient"
        With x a row and f_k an output: the gradient d f_k / d x; that times x;
        or its mean over the straight line from 0 to x, times x [1]_.
    outputs : Tensor of shape (n_samples, n_outputs), default=None
        ``forward(inputs)`` where it is already at hand, so as not to compute it
        again. The integrated gradients have no use for it.
    n_steps : int, default=16
        Points of the midpoint rule on the line of the integrated gradients.
    create_graph : bool, default=False
        Keep the graph, so that a penalty on the attributions trains the module.

    Returns
    -------
    Tensor of shape (n_samples, n_outputs, n_features)
        The attributions.

    References
    ----------
    .. [1] Sundararajan, Taly, Yan, "Axiomatic Attribution for Deep Networks",
       ICML 2017, equation 1.

    Examples
    --------
    >>> import torch
    >>> from llmreg.nn import attribute
    >>> layer = torch.nn.Linear(2, 1, bias=False)
    >>> _ = torch.nn.init.constant_(layer.weight, 3.0)
    >>> attribute(layer, torch.tensor([[1.0, 2.0]]), method="input_x_gradient")
    tensor([[[3., 6.]]])
    """
    if method not in ATTRIBUTIONS:
        raise ValueError(f"attribution must be one of {ATTRIBUTIONS}, got {method!r}.")
    points = inputs
    if method == "integrated_gradients":
        steps = torch.arange(n_steps, dtype=inputs.dtype, device=inputs.device)
        points = (steps[:, None, None] + 0.5) / n_steps * inputs.detach()
        points = points.flatten(0, 1)
        outputs = None
    if outputs is None:
        points = points.detach().requires_grad_(True)
        outputs = forward(points)
    # Rows do not see one another, so the gradient of the sum over the rows holds
    # every row's own gradient: one backward pass an output, not one a row.
    columns = outputs.sum(dim=0)
    by_output = [
        torch.autograd.grad(
            column,
            points,
            create_graph=create_graph,
            retain_graph=True,
            allow_unused=True,
            materialize_grads=True,
        )[0]
        for column in columns
    ]
    gradients = torch.stack(by_output, dim=1)
    if method == "gradient":
        return gradients
    if method == "integrated_gradients":
        gradients = gradients.view(n_steps, -1, *gradients.shape[1:]).mean(dim=0)
    # The baseline of both other methods is 0: the least value of a min-max scaled
    # feature, a level that is absent.
    return gradients * inputs.detach().unsqueeze(1)
