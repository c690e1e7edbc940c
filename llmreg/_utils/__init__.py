"""What every other package uses: imports, loggers, progress, threads and seeds."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from llmreg.exceptions import MissingDependencyError


def import_optional(
    module: str,
    requirement: str,
    error: type[MissingDependencyError] = MissingDependencyError,
) -> Any:
    """Import a module; where it is missing, raise an error that says what to install.

    `requirement` is what pip is to install, such as ``"llmreg[plot]"``.
    """
    try:
        return import_module(module)
    except ImportError as cause:
        raise error(
            f"{module} cannot be imported ({cause}). Install it with: "
            f'pip install "{requirement}"'
        ) from cause
