"""From whatever `prior=` was given to one score for every column of the table."""

from __future__ import annotations

import importlib
import os
import warnings
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Protocol, runtime_checkable

import numpy as np

from llmreg._utils._log import get_logger
from llmreg._utils._text import list_names
from llmreg.exceptions import (
    FeatureNamesError,
    IncompleteReplyError,
    PriorCardError,
    PriorDisabledWarning,
    PriorError,
    PriorMismatchError,
    PriorMismatchWarning,
    PriorUnavailableWarning,
    ProviderError,
    ProviderResponseError,
)
from llmreg.prior._feature_prior import FeaturePrior
from llmreg.prior._names import warn_of_outputs, without_prefix
from llmreg.prior._task import Task
from llmreg.providers._base import qualified_name
from llmreg.providers._circuit_breaker import OUTAGES
from llmreg.providers._static import PriorCard, StaticPrior

GROUP = "llmreg.providers"

# Not entry points themselves: they are there without installation too, and no other
# package can take their names, and with them what is meant for them.
_OWN = {
    "anthropic": ("llmreg.providers._anthropic", "AnthropicProvider"),
    "local": ("llmreg.providers._local", "LocalProvider"),
    "openai": ("llmreg.providers._openai", "OpenAIProvider"),
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
    >>> from llmreg.providers import provider_names
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
    >>> from llmreg.providers import make_provider
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
    """Say which providers there are, and which of them was probably meant."""
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


logger = get_logger(__name__)


@runtime_checkable
class Provider(Protocol):
    """Whatever can be asked for a prior."""

    def elicit(self, task: Task) -> FeaturePrior:
        """Score the features of a task."""


PriorSource = FeaturePrior | Provider | Mapping[str, Any] | np.ndarray


def prior_source(prior: Any) -> PriorSource | None:
    """Check what was given as `prior` before any data are touched.

    Raises PriorError if it is none of these.

    Raises PriorCardError if it is a path and there is no prior card, or a text and
    there is no provider of that name either.

    Raises ProviderError if it is the name of a provider that cannot be made.
    """
    if prior is None or isinstance(prior, FeaturePrior | Mapping):
        return prior
    if isinstance(prior, str):
        return _named(prior)
    if isinstance(prior, os.PathLike):
        return FeaturePrior.read(prior)
    # Scores at hand may leave features out; a provider that is asked may not.
    if isinstance(prior, StaticPrior):
        inner = prior.prior
        return (
            FeaturePrior.read(inner) if isinstance(inner, str) else prior_source(inner)
        )
    if isinstance(prior, PriorCard):
        return FeaturePrior.read(prior.path)
    if isinstance(prior, Provider) and not isinstance(prior, type):
        return prior
    try:
        return np.asarray(prior, dtype=np.float64)
    except (TypeError, ValueError):
        raise PriorError(
            "prior must be a provider (an object with an elicit method), a "
            "FeaturePrior, a dict of scores by feature name, an array of scores, a "
            "path to a prior card, the name of a provider, or None; got "
            f"{prior!r}."
        ) from None


def _named(prior: str) -> PriorSource | None:
    """Find the provider of a name, or else the card of a path."""
    if prior in provider_names():
        return prior_source(make_provider(prior))
    if not os.path.exists(prior):
        raise PriorCardError(
            f"prior={prior!r} is neither the path of a prior card, since there is no "
            f"such file, nor the name of a provider. {known_names(prior)}"
        )
    return FeaturePrior.read(prior)


def needs_names(source: PriorSource | None) -> bool:
    """Tell whether a source can do nothing with nameless columns."""
    if isinstance(source, FeaturePrior | Mapping | np.ndarray) or source is None:
        return False
    return bool(getattr(source, "requires_feature_names", True))


def known_levels(
    source: PriorSource | None, columns: Sequence[str]
) -> dict[str, list[str]]:
    """Name the levels that a prior scores, for every column.

    A level that the training rows happen not to show still deserves a column if
    the prior has an opinion on it.
    """
    if isinstance(source, Mapping):
        source = from_mapping(source)
    if not isinstance(source, FeaturePrior):
        return {}
    named = set(source.features) & set(columns)
    found: dict[str, list[str]] = {}
    for column in columns:
        starts = (f"{column}=", f"{without_prefix(column)}=")
        levels = [
            key.removeprefix(start)
            for start in dict.fromkeys(starts)
            for key in source.features
            if key.startswith(start) and key not in named
        ]
        if levels:
            found[column] = levels
    return found


def resolve(source: PriorSource, task: Task, *, named: bool = True) -> FeaturePrior:
    """Give every feature and output of a task its score.

    Raises PriorMismatchError if an array has another width, a dict names features
    that the table lacks, or nothing fits at all.

    Raises IncompleteReplyError if a provider leaves features out.

    Raises FeatureNamesError if names are needed and the columns have none.
    """
    if isinstance(source, np.ndarray):
        prior = _from_array(source, task)
    elif isinstance(source, FeaturePrior | Mapping):
        prior = _from_scores(source, task, named)
    else:
        prior = _from_provider(source, task)
    logger.info(
        "the prior scores %d of %d columns%s",
        int((~np.isnan(prior.scores).all(axis=0)).sum()),
        *(len(task.features), _cost(prior.usage)),
    )
    _warn_if_without_direction(prior)
    return prior


def resolve_or_warn(provider: Provider, task: Task) -> FeaturePrior:
    """Ask a provider as `resolve` does; where it fails, warn and have no opinion."""
    try:
        with OUTAGES.watch(provider, task):
            return resolve(provider, task)
    # A reply that is no prior counts as a failure too. Anything else is a bug or a
    # table that does not fit, and no prior would only hide it.
    except (ProviderError, PriorError) as error:
        reason = f"{type(error).__name__}: {error}"
        logger.warning("%s gave no prior: %s", type(provider).__name__, reason)
        warnings.warn(
            f"{type(provider).__name__} gave no prior, and the model is trained "
            f"without one, as with gamma=0, because on_error='no_prior'. {reason}",
            PriorUnavailableWarning,
            stacklevel=2,
        )
    nothing = np.full((len(task.outputs), len(task.features)), np.nan)
    return FeaturePrior.from_array(
        nothing,
        task.keys,
        task.outputs,
        task=task.description,
        target=task.target,
        provenance={
            "provider": qualified_name(provider),
            "error": reason,
        },
    )


def _from_array(scores: np.ndarray, task: Task) -> FeaturePrior:
    expected = (len(task.outputs), len(task.features))
    if scores.ndim == 0:
        scores = np.broadcast_to(scores, expected)
    if np.atleast_2d(scores).shape != expected:
        raise PriorMismatchError(
            f"The prior is an array of shape {scores.shape}, but the encoded table "
            f"has {expected[1]} columns and {expected[0]} output(s) to score, so "
            f"{expected} was expected. The columns are {list_names(task.keys)}. A dict "
            "by feature name does not depend on their number and order."
        )
    return FeaturePrior.from_array(scores, task.keys, task.outputs)


def _from_scores(
    source: FeaturePrior | Mapping[str, Any], task: Task, named: bool
) -> FeaturePrior:
    is_dict = isinstance(source, Mapping)
    prior = from_mapping(source) if isinstance(source, Mapping) else source
    warn_of_outputs(prior.outputs, prior.scores, prior.target, task)
    aligned = prior.align(task.features, task.outputs, negative_class(task))
    if np.isnan(aligned.scores).all():
        if not named:
            raise FeatureNamesError(
                "The prior is given by feature name, but the columns of X have no "
                f"names. {WAYS_TO_NAMES}"
            )
        raise PriorMismatchError(
            f"The prior has no score for any column of the table. It scores "
            f"{list_names(prior.features)}; the columns are {list_names(task.keys)}."
        )
    if is_dict and aligned.unknown:
        raise PriorMismatchError(
            f"prior contains {len(aligned.unknown)} unexpected feature names: "
            f"{list_names(aligned.unknown)}. The columns are {list_names(task.keys)}."
        )
    if not is_dict and (aligned.unknown or aligned.missing):
        warnings.warn(_mismatch(aligned), PriorMismatchWarning, stacklevel=2)
    return aligned


def _from_provider(provider: Provider, task: Task) -> FeaturePrior:
    # Only now, with the task known: a prior in the cache needs no key.
    if hasattr(provider, "check_ready"):
        provider.check_ready(task)
    logger.info(
        "asking %s about %d features", type(provider).__name__, len(task.features)
    )
    reply: Any = provider.elicit(task)
    if isinstance(reply, Mapping):
        reply = from_mapping(reply)
    if not isinstance(reply, FeaturePrior):
        raise ProviderResponseError(
            f"{type(provider).__name__}.elicit must return a FeaturePrior or a dict "
            f"of scores by feature name; got {type(reply).__name__}."
        )
    warn_of_outputs(reply.outputs, reply.scores, reply.target, task)
    aligned = reply.align(task.features, task.outputs, negative_class(task))
    if aligned.missing:
        raise IncompleteReplyError(
            f"{type(provider).__name__} left {len(aligned.missing)} of "
            f"{len(task.features)} features without a score: "
            f"{list_names(aligned.missing)}. No model was trained."
        )
    return aligned


def from_mapping(scores: Mapping[Any, Any]) -> FeaturePrior:
    """Build a prior from a dict whose classes or columns may be numbers."""
    return FeaturePrior.from_dict({str(name): score for name, score in scores.items()})


WAYS_TO_NAMES = (
    "There are two ways out: give the estimator a DataFrame (after a transformer, "
    'set_output(transform="pandas") keeps the names), or pass feature_names=[...].'
)


def negative_class(task: Task) -> str | None:
    """Return the class that is not scored, where there are two."""
    if task.kind == "regression" or len(task.outputs) > 1:
        return None
    return next(name for name in task.classes if name not in task.outputs)


def _warn_if_without_direction(prior: FeaturePrior) -> None:
    if not np.nan_to_num(prior.scores).any():
        warnings.warn(
            "Every score of the prior is zero or absent, so it points nowhere: the "
            "model is trained without the attribution penalty.",
            PriorDisabledWarning,
            stacklevel=3,
        )


def _mismatch(prior: FeaturePrior) -> str:
    parts = []
    if prior.missing:
        parts.append(
            f"has no score for {list_names(prior.missing)}, which are left without an "
            "opinion"
        )
    if prior.unknown:
        parts.append(
            f"scores {list_names(prior.unknown)}, which the table does not have"
        )
    return f"The prior {' and '.join(parts)}."


def _cost(usage: Mapping[str, int]) -> str:
    """Say what was paid for a prior, and what came from the cache."""
    if not usage:
        return ""
    requests, kept = usage.get("requests", 0), usage.get("served_from_cache", 0)
    tokens = usage.get("input_tokens", 0), usage.get("output_tokens", 0)
    paid = f"{requests} requests, {tokens[0]} tokens in, {tokens[1]} out"
    return f"; {paid if requests else 'no request'}, {kept} answers from the cache"
