"""Providers by name: those of the package, and those that others register."""

from __future__ import annotations

import inspect
from importlib.metadata import entry_points
from typing import Any

from llmreg import providers
from llmreg.exceptions import MissingDependencyError, ProviderError
from llmreg.providers import LLMProvider

GROUP = "llmreg.providers"


def provider_names() -> list[str]:
    """Name the providers that can be asked.

    Returns
    -------
    list of str
        Such as ``anthropic``.

    Examples
    --------
    >>> from llmreg.commands.vendors import provider_names
    >>> "anthropic" in provider_names()
    True
    """
    return sorted({*_own(), *entry_points(group=GROUP).names})


def make_provider(name: str, settings: dict[str, Any]) -> Any:
    """Make a provider by its name.

    Parameters
    ----------
    name : str
        One of `provider_names`.
    settings : dict
        Parameters of the provider; those that are None are left out.

    Returns
    -------
    object with an ``elicit`` method
        The provider.

    Raises
    ------
    ProviderError
        If there is none of that name, or it does not take a setting.
    MissingDependencyError
        If what registers it cannot be imported.
    """
    provider = _with_defaults(name)
    given = {key: value for key, value in settings.items() if value is not None}
    taken = provider.get_params(deep=False) if hasattr(provider, "get_params") else ()
    if strange := [key for key in given if key not in taken]:
        options = ", ".join(f"--{key.replace('_', '-')}" for key in strange)
        raise ProviderError(f"The provider {name!r} does not take {options}.")
    return provider.set_params(**given) if given else provider


def _with_defaults(name: str) -> Any:
    """Make a provider with its defaults."""
    own = _own()
    return own[name]() if name in own else _registered(name)()


def _own() -> dict[str, type]:
    """Find the language models of the package: ``anthropic`` is AnthropicProvider."""
    found = (getattr(providers, name) for name in providers.__all__)
    return {
        kind.__name__.removesuffix("Provider").lower(): kind
        for kind in found
        if inspect.isclass(kind)
        and issubclass(kind, LLMProvider)
        and kind is not LLMProvider
    }


def _registered(name: str) -> Any:
    """Load a provider that another package registers."""
    found = list(entry_points(group=GROUP, name=name))
    if not found:
        raise ProviderError(
            f"There is no provider {name!r}. There are {', '.join(provider_names())}; "
            f"others can be registered in the entry point group {GROUP!r}."
        )
    try:
        return found[0].load()
    except ImportError as e:
        raise MissingDependencyError(
            f"The provider {name!r} cannot be imported ({e}). Install what it needs."
        ) from e
