"""Providers by name: those of this package, and those that other packages register.

A package registers its own under the entry point group ``llmreg.providers``::

    [project.entry-points."llmreg.providers"]
    mine = "my_package.providers:MyProvider"

so that ``prior="mine"`` asks it. What is registered is a class, or any function, that
can be called without arguments. Nothing is imported before it is asked for by name.
"""

from __future__ import annotations

import importlib
from difflib import get_close_matches
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from llmreg.exceptions import PriorError, ProviderError
from llmreg.log import get_logger

GROUP = "llmreg.providers"

# Not entry points themselves: they are there without installation too, and no other
# package can take their names, and with them what is meant for them.
_OWN = {
    "anthropic": ("llmreg.providers.anthropic", "AnthropicProvider"),
    "local": ("llmreg.providers.local", "LocalProvider"),
    "openai": ("llmreg.providers.openai", "OpenAIProvider"),
}

logger = get_logger(__name__)


def provider_names() -> tuple[str, ...]:
    """List the names under which a provider can be had.

    Returns
    -------
    tuple of str
        Sorted; nothing is imported.

    Examples
    --------
    >>> from llmreg.providers.registry import provider_names
    >>> {"anthropic", "local", "openai"} <= set(provider_names())
    True
    """
    return tuple(sorted({*_OWN, *(point.name for point in _points())}))


def make_provider(name: str) -> Any:
    """Make the provider of a name, with its defaults.

    Parameters
    ----------
    name : str
        One of `provider_names`.

    Returns
    -------
    object with an ``elicit`` method
        The provider.

    Raises
    ------
    PriorError
        If nothing is registered under the name; says what is.
    ProviderError
        If two packages claim it, or what is registered cannot be used.

    Examples
    --------
    >>> from llmreg.providers.registry import make_provider
    >>> make_provider("anthropic")
    AnthropicProvider()
    """
    if name in _OWN:
        module, attribute = _OWN[name]
        return getattr(importlib.import_module(module), attribute)()
    found = [point for point in _points() if point.name == name]
    if not found:
        raise PriorError(f"There is no provider {name!r}. {known_names(name)}")
    if len({point.value for point in found}) > 1:
        raise ProviderError(
            f"Several packages register a provider {name!r}: "
            f"{', '.join(_source(point) for point in found)}. Uninstall all but one, "
            "or pass the provider itself instead of its name."
        )
    return _make(found[0])


def known_names(name: str) -> str:
    """Say which providers there are, and which of them was probably meant.

    Parameters
    ----------
    name : str
        What was given.

    Returns
    -------
    str
        One or two sentences.
    """
    names = provider_names()
    close = get_close_matches(name, names, n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    listed = ", ".join(repr(known) for known in names)
    return f"The providers that can be had by name are {listed}.{hint}"


def _points() -> list[EntryPoint]:
    """Find what other packages have registered."""
    points = list(entry_points(group=GROUP))
    for point in points:
        if point.name in _OWN:
            logger.warning(
                "%s is left out: %r is a provider of llmreg",
                _source(point),
                point.name,
            )
    return [point for point in points if point.name not in _OWN]


def _make(point: EntryPoint) -> Any:
    """Import what is registered, and call it."""
    try:
        provider = point.load()()
    except Exception as e:
        raise ProviderError(
            f"The provider {point.name!r}, which {_source(point)} registers, cannot be "
            f"made: {type(e).__name__}: {e}. It must be a class or function that takes "
            "no arguments; is the package installed as it should be?"
        ) from e
    if not hasattr(provider, "elicit"):
        raise ProviderError(
            f"The provider {point.name!r}, which {_source(point)} registers, has no "
            f"elicit method; it is a {type(provider).__name__}."
        )
    return provider


def _source(point: EntryPoint) -> str:
    """Say who registers an entry point."""
    package = "a package" if point.dist is None else point.dist.name
    return f"{package} ({point.value})"
