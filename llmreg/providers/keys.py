"""Where a key may come from, and what of it may be saved: its place, never itself."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from llmreg.exceptions import ProviderError


def check_key_source(value: Any, variable: str) -> None:
    """Refuse what would show a key in `repr`, `get_params` and pickles.

    Parameters
    ----------
    value : callable or None
        What was given as `api_key`.
    variable : str
        The environment variable that is the other way.

    Raises
    ------
    TypeError
        If it is no function; the value is not repeated.

    Examples
    --------
    >>> from llmreg.providers.keys import check_key_source
    >>> check_key_source(lambda: "...", "ANTHROPIC_API_KEY")
    """
    if value is None:
        return
    if not callable(value) or isinstance(value, functools.partial):
        raise TypeError(
            "api_key must be a function that returns the key, or None to take it "
            f"from {variable}. A plain text, or one bound by functools.partial, would "
            "show up in repr, get_params and pickles."
        )


def check_address(value: Any, name: str) -> None:
    """Refuse an address that holds a user's name or a password.

    Parameters
    ----------
    value : str or None
        The address.
    name : str
        Where it is from: a parameter, or an environment variable.

    Raises
    ------
    ProviderError
        If there is something in front of an ``@``; it is not repeated.

    Examples
    --------
    >>> from llmreg.providers.keys import check_address
    >>> check_address("http://localhost:11434/v1", "base_url")
    """
    if not isinstance(value, str):
        return
    try:
        is_safe = "@" not in urlsplit(value).netloc
    except ValueError:
        # No address at all. Whatever it is, it goes no further with an @ in it.
        is_safe = "@" not in value
    if not is_safe:
        raise ProviderError(
            f"{name} has a user's name or a password in front of an @, which would "
            "show up in repr, get_params and logs. Give the address without it, and "
            "the key by api_key= a function, or in the environment."
        )


def is_importable(function: Callable[..., Any] | None) -> bool:
    """Tell whether a function is pickled by its name alone.

    A closure, a lambda or a bound method takes what it holds along into a pickle,
    and what it holds may be the key.

    Parameters
    ----------
    function : callable or None
        What was given as `api_key`.

    Returns
    -------
    bool
        True for a function at the top level of a module other than ``__main__``.

    Examples
    --------
    >>> from os import getcwd
    >>> is_importable(getcwd), is_importable(lambda: "..."), is_importable(None)
    (True, False, False)
    """
    name = getattr(function, "__qualname__", None)
    module = getattr(function, "__module__", None)
    if name is None or module is None or module == "__main__":
        return False
    found: Any = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    return found is function
