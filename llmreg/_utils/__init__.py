"""What every other package uses: imports, old pickles, fits that fail, seeds."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from importlib.metadata import PackageNotFoundError, metadata
from inspect import Parameter, signature
from itertools import takewhile
from typing import Any, ClassVar

from llmreg.exceptions import MissingDependencyError


def import_optional(
    module: str,
    requirement: str,
    error: type[MissingDependencyError] = MissingDependencyError,
) -> Any:
    """Import a module; where it is missing, say to `pip install` the requirement."""
    try:
        return import_module(module)
    except ImportError as cause:
        raise error(
            f"{module} cannot be imported ({cause}). Install it with: "
            f'pip install "{requirement}"'
        ) from cause


@cache
def pages() -> str:
    """Give the address of the pages that the installed package tells of, if any."""
    try:
        urls = metadata("llmreg").get_all("Project-URL") or ()
    except PackageNotFoundError:  # A checkout that is on the path.
        return ""
    return dict(url.split(", ", 1) for url in urls).get("Documentation", "").rstrip("/")


class EstimatorMixin:
    """What all that has parameters shares: a link to its page, and what it was once."""

    _doc_link_module = "llmreg"
    # What is fitted today, and earlier versions did not have, as they behaved.
    _added: ClassVar[Mapping[str, Any]] = {}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Fill what pickles of earlier versions lack, such as parameters."""
        given = signature(type(self).__init__).parameters.values()
        filled = {
            p.name: p.default
            for p in given
            if p.default is not Parameter.empty and f"_{p.name}" not in state
        }
        if "n_features_in_" in state:
            filled |= self._added
        super().__setstate__(filled | state)  # type: ignore[misc]

    @property
    def _doc_link_template(self) -> str:
        return pages() and f"{pages()}/api/generated/{{page}}.html"

    def _doc_link_url_param_generator(self) -> dict[str, str]:
        kind = type(self)
        parts = takewhile(lambda part: part[0] != "_", kind.__module__.split("."))
        shown_at = [part for part in parts if part not in ("classifier", "regressor")]
        return {"page": ".".join([*shown_at, kind.__name__])}


# What describes a net, and must not outlive it.
_OF_THE_NET = (
    *("net_", "n_iter_", "gamma_", "trust_", "trees_", "posterior_"),
    *("attributions_", "alignment_"),
)


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
