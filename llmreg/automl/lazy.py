"""Import a framework when it is needed, or say which extra brings it."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from llmreg.exceptions import MissingDependencyError


def require(module: str, extra: str) -> Any:
    """Import a module of a framework.

    Parameters
    ----------
    module : str
        Its full name.
    extra : str
        The extra of llmreg that brings it.

    Returns
    -------
    module
        The module.

    Raises
    ------
    MissingDependencyError
        If it is not installed.

    Examples
    --------
    >>> from llmreg.automl.lazy import require
    >>> require("json", "none").dumps([1])
    '[1]'
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise MissingDependencyError(
            f"{module} cannot be imported ({error}). Install it with: "
            f'pip install "llmreg[{extra}]"'
        ) from error
