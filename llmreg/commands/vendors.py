"""Providers by name, with the settings of a command line."""

from __future__ import annotations

from typing import Any

from llmreg.exceptions import ProviderError
from llmreg.providers import registry


def make_provider(name: str, settings: dict[str, Any]) -> Any:
    """Make a provider by its name.

    Parameters
    ----------
    name : str
        One of `registry.provider_names`.
    settings : dict
        Parameters of the provider; those that are None are left out.

    Returns
    -------
    object with an ``elicit`` method
        The provider.

    Raises
    ------
    PriorError
        If there is none of that name.
    ProviderError
        If it does not take a setting.
    MissingDependencyError
        If what registers it cannot be imported.
    """
    provider = registry.make_provider(name)
    given = {key: value for key, value in settings.items() if value is not None}
    taken = provider.get_params(deep=False) if hasattr(provider, "get_params") else ()
    if strange := [key for key in given if key not in taken]:
        options = ", ".join(f"--{key.replace('_', '-')}" for key in strange)
        raise ProviderError(f"The provider {name!r} does not take {options}.")
    return provider.set_params(**given) if given else provider
