"""torch's optimizers, made without loading torch's compiler.

torch marks what its compiler is not to look into, and loads the compiler, and sympy
with it, to leave that mark: a second or two at the first optimizer of a process, twenty
times what a first fit takes. None of that is needed where nothing is compiled, so the
one method that is called when an optimizer is made goes without the mark here.
"""

from __future__ import annotations

import inspect

import torch


class _Unmarked(torch.optim.Optimizer):
    """An optimizer whose making is not marked for the compiler."""

    add_param_group = inspect.unwrap(torch.optim.Optimizer.add_param_group)


class Adam(_Unmarked, torch.optim.Adam):
    """`torch.optim.Adam`."""


class SGD(_Unmarked, torch.optim.SGD):
    """`torch.optim.SGD`."""


class LBFGS(_Unmarked, torch.optim.LBFGS):
    """`torch.optim.LBFGS`."""
