"""Whether a module of the user's fits the task, told before anything is paid for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from llmreg.exceptions import ModuleOutputError


def require_module(made: Any) -> nn.Module:
    """Raise unless what `module` has made is a module.

    Raises
    ------
    ModuleOutputError
        If it is something else.
    """
    if not isinstance(made, nn.Module):
        raise ModuleOutputError(
            f"module must make a torch.nn.Module; it made a {type(made).__name__}. "
            "Give the class itself, or a function that returns a module."
        )
    return made


def check_module(
    module: Callable[[Tensor], Tensor],
    n_features: int,
    n_outputs: int,
    dtype: torch.dtype,
) -> None:
    """Raise unless `module` maps `n_features` inputs to `n_outputs` outputs.

    Raises
    ------
    ModuleOutputError
        If it cannot be called, or gives another shape.
    """
    expected = (
        f"a module must map inputs of shape (n_samples, {n_features}) to outputs of "
        f"shape (n_samples, {n_outputs})"
    )
    hint = (
        "A module class or factory receives both widths as module(n_features, "
        "n_outputs); two classes take one output."
    )
    trial = torch.zeros(2, n_features, dtype=dtype)
    is_training = isinstance(module, nn.Module) and module.training
    try:
        if isinstance(module, nn.Module):
            module.eval()
        with torch.no_grad():
            outputs = module(trial)
    except (RuntimeError, TypeError, ValueError, IndexError) as error:
        message = f"The module failed on a trial input: {error}. Here {expected}."
        raise ModuleOutputError(f"{message} {hint}") from error
    finally:
        if isinstance(module, nn.Module):
            module.train(is_training)
    shape = tuple(outputs.shape) if isinstance(outputs, Tensor) else type(outputs)
    if shape != (2, n_outputs):
        raise ModuleOutputError(
            f"The module gave {shape} for a trial input of shape {(2, n_features)}, "
            f"but {expected}. {hint}"
        )
