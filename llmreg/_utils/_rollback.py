"""What a fit that fails leaves behind."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# What describes a net, and must not outlive it.
_OF_THE_NET = (*("net_", "n_iter_", "gamma_", "trust_", "attributions_", "alignment_"),)


@contextmanager
def rollback(estimator: Any) -> Iterator[None]:
    """Take back what a fit that fails has learnt, but for the prior that was paid for.

    With `warm_start` the last model comes back. Else there is none afterwards, unless
    the fit failed before it touched the last one.
    """
    before = dict(vars(estimator))
    try:
        yield
    except BaseException:
        now = vars(estimator)
        if estimator.warm_start and "net_" in before:
            now.clear()
            now.update(before)
        elif "net_" not in now or now["net_"] is not before.get("net_"):
            for name in _OF_THE_NET:
                now.pop(name, None)
        raise
