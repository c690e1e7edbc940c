"""Asking any provider to show what it would send."""

from __future__ import annotations

from typing import Any

from llmreg.exceptions import ProviderError
from llmreg.task import Task


def preview_of(provider: Any, task: Task) -> list[dict[str, Any]]:
    """Show what a provider would send for a task.

    Parameters
    ----------
    provider : object with an ``elicit`` method
        The provider; `preview` is not something that all of them have.
    task : Task
        What is predicted from what.

    Returns
    -------
    list of dict
        As the provider's own ``preview``.

    Raises
    ------
    ProviderError
        If the provider cannot show what it sends.
    """
    if not hasattr(provider, "preview"):
        raise ProviderError(
            f"{type(provider).__name__} has no method preview(task), which would show "
            "what it sends."
        )
    shown: list[dict[str, Any]] = provider.preview(task)
    return shown
