"""From whatever `prior=` was given to one score for every column of the table."""

import os
import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np

from llmreg._utils._files import expand
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
from llmreg.prior._names import (
    name_by_number,
    unheard,
    warn_of_outputs,
    without_prefix,
)
from llmreg.prior._scores import DEFAULT_OUTPUT, stack
from llmreg.prior._task import Task
from llmreg.providers._anthropic import AnthropicProvider
from llmreg.providers._base import (
    CIRCUIT_BREAKER,
    PriorCard,
    StaticPrior,
    qualified_name,
)
from llmreg.providers._local import LocalProvider
from llmreg.providers._openai import OpenAIProvider

# Other packages add providers by entry points of this group.
GROUP = "llmreg.providers"

# No entry points themselves: they are there without installation too, and no other
# package can take their names, and with them what is meant for them.
_OWN: dict[str, Callable[[], Any]] = {
    "anthropic": AnthropicProvider,
    "local": LocalProvider,
    "openai": OpenAIProvider,
}

WAYS_TO_NAMES = (
    "There are two ways out: give the estimator a DataFrame (after a transformer, "
    'set_output(transform="pandas") keeps the names), or pass feature_names=[...].'
)

logger = get_logger(__name__)


def provider_names() -> tuple[str, ...]:
    """List the names of providers, sorted; nothing is imported.

    Examples
    --------
    >>> from llmreg.providers import provider_names
    >>> {"anthropic", "local", "openai"} <= set(provider_names())
    True
    """
    return tuple(sorted({*_OWN, *(point.name for point in _registered())}))


def make_provider(name: str) -> Any:
    """Make the provider that has one of `provider_names`, with its defaults.

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
        return _OWN[name]()
    found = {p.value: p for p in _registered() if p.name == name}
    if not found:
        raise PriorError(f"There is no provider {name!r}. {_known_names(name)}")
    if len(found) > 1:
        raise ProviderError(
            f"Several packages register a provider {name!r}: "
            f"{', '.join(map(_source, found.values()))}. Uninstall all but one, or "
            "pass the provider itself instead of its name."
        )
    (point,) = found.values()
    registered = f"The provider {name!r}, which {_source(point)} registers,"
    try:
        provider = point.load()()
    except Exception as e:
        raise ProviderError(
            f"{registered} cannot be made: {type(e).__name__}: {e}. It must be a class "
            "or function that takes no arguments. Check that the package is installed "
            "properly."
        ) from e
    if not hasattr(provider, "elicit"):
        raise ProviderError(
            f"{registered} has no elicit method; it is a {type(provider).__name__}."
        )
    return provider


def _registered() -> list[EntryPoint]:
    """List what other packages register, without names that are taken."""
    others = []
    for point in entry_points(group=GROUP):
        if point.name not in _OWN:
            others.append(point)
            continue
        message = "%s is ignored: %r is a provider of llmreg"
        logger.warning(message, _source(point), point.name)
    return others


def _source(point: EntryPoint) -> str:
    """Say who registers an entry point."""
    package = "a package" if point.dist is None else point.dist.name
    return f"{package} ({point.value})"


def _known_names(name: str) -> str:
    """Say which providers there are, and which of them was probably meant."""
    names = provider_names()
    close = get_close_matches(name, names, n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    return f"The names of providers are {list_names(names)}.{hint}"


@runtime_checkable
class Provider(Protocol):
    """Whatever can be asked for a prior."""

    def elicit(self, task: Task) -> FeaturePrior:
        """Score the features of a task."""


PriorSource = FeaturePrior | Provider | Mapping[str, Any] | np.ndarray


def prior_source(prior: Any) -> PriorSource | None:
    """Check the parameter `prior` before any data are touched, and read a card."""
    prior = _by_name(prior)
    if prior is None or isinstance(prior, FeaturePrior | Mapping):
        return prior
    if isinstance(prior, str) and prior in provider_names():
        return prior_source(make_provider(prior))
    if isinstance(prior, str) and not os.path.exists(expand(prior)):
        raise PriorCardError(
            f"prior={prior!r} must be the path of a prior card or the name of a "
            f"provider; there is no such file. {_known_names(prior)}"
        )
    if isinstance(prior, str | os.PathLike):
        return FeaturePrior.read(prior)
    # Scores at hand may leave features out; a provider that is asked may not.
    if isinstance(prior, StaticPrior):
        given = prior.prior
        # A string is a path here, never the name of a provider.
        is_path = isinstance(given, str) or isinstance(prior, PriorCard)
        return FeaturePrior.read(given) if is_path else prior_source(given)
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


def _by_name(prior: Any) -> Any:
    """Make a dict of a series or a frame of scores whose columns have names."""
    names = getattr(prior, "columns", getattr(prior, "index", None))
    if callable(names) or names is None or set(map(type, names)) != {str}:
        return prior
    rows = np.asarray(prior)
    if rows.ndim == 1 or len(rows) == 1:
        return dict(zip(names, rows.ravel().tolist(), strict=True))
    outputs = getattr(prior, "index", ())
    if set(map(type, outputs)) != {str}:
        return prior
    each = (dict(zip(names, row, strict=True)) for row in rows.tolist())
    return dict(zip(outputs, each, strict=True))


def needs_names(source: PriorSource | None) -> bool:
    """Tell whether a source needs columns with names."""
    return isinstance(source, Provider) and bool(
        getattr(source, "requires_feature_names", True)
    )


def known_levels(
    source: PriorSource | None, columns: Sequence[str]
) -> dict[str, list[str]]:
    """Name the categories that a prior scores by column, also without any rows."""
    if isinstance(source, Mapping):
        features, *_ = stack([_named(source)])
    elif isinstance(source, FeaturePrior):
        features = source.features
    else:
        return {}
    names = set(columns)
    keys = [key for key in features if key not in names]
    found: dict[str, list[str]] = {}
    for column in columns:
        for name in dict.fromkeys((column, without_prefix(column))):
            for key in keys:
                if key.startswith(f"{name}="):
                    levels = found.setdefault(column, [])
                    levels.append(key.removeprefix(f"{name}="))
    return found


def resolve(
    source: PriorSource,
    task: Task,
    *,
    named: bool = True,
    numbering: Literal["own", "open"] | None = None,
    unseen: Collection[str] = (),
) -> FeaturePrior:
    """Give every feature and output of a task its score, or say what does not fit.

    `numbering` says that labels are whole numbers: the user's, or perhaps of others.
    Levels that are `unseen` are columns for the sake of the prior alone.
    """
    if isinstance(source, np.ndarray):
        prior = _from_array(source, task)
    elif isinstance(source, FeaturePrior | Mapping):
        prior = _from_scores(source, task, named, numbering, unseen)
    else:
        prior = _from_provider(source, task)
    n_scored = int((~np.isnan(prior.scores).all(axis=0)).sum())
    about = n_scored, len(task.features), _cost(prior.usage)
    logger.info("the prior scores %d of %d columns%s", *about)
    if not np.nan_to_num(prior.scores).any():
        warnings.warn(
            "Every score of the prior is zero or missing, so the prior has no effect: "
            "the model is trained without the attribution penalty.",
            PriorDisabledWarning,
            stacklevel=2,
        )
    return prior


def resolve_or_warn(provider: Provider, task: Task) -> FeaturePrior:
    """Ask a provider as `resolve` does; where it fails, warn and score nothing."""
    try:
        with CIRCUIT_BREAKER.watch(provider, task):
            return resolve(provider, task)
    # A reply that is no prior counts as a failure too. Anything else is a bug or a
    # table that does not fit, and training without a prior would only hide it.
    except (ProviderError, PriorError) as error:
        reason = f"{type(error).__name__}: {error}"
        logger.warning("%s gave no prior: %s", type(provider).__name__, reason)
        warnings.warn(
            f"{type(provider).__name__} gave no prior, and the model is trained "
            f"without one, as with gamma=0, because on_error='no_prior'. {reason}",
            PriorUnavailableWarning,
            stacklevel=2,
        )
    return FeaturePrior.from_array(
        np.full((len(task.outputs), len(task.features)), np.nan),
        task.keys,
        task.outputs,
        task=task.description,
        target=task.target,
        provenance={"provider": qualified_name(provider), "error": reason},
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
    return FeaturePrior.from_array(scores, task.keys, task.outputs, target=task.target)


def _from_scores(
    source: FeaturePrior | Mapping[str, Any],
    task: Task,
    named: bool,
    numbering: str | None,
    unseen: Collection[str],
) -> FeaturePrior:
    given = source if isinstance(source, FeaturePrior) else from_mapping(source)
    if numbering and not {*given.outputs} <= {
        DEFAULT_OUTPUT,
        given.target,
        task.target,
    }:
        # False and True are 0 and 1 however they are numbered.
        is_boolean = isinstance(source, Mapping) and all(
            isinstance(name, bool | np.bool_) for name in source
        )
        outputs = name_by_number(
            given.outputs,
            task,
            is_open=numbering == "open" and not is_boolean,
            names_last=bool(given.target),
        )
        given = replace(given, outputs=outputs)
    warn_of_outputs(given.outputs, given.scores, given.target, task)
    prior = align(given, task)
    told = unheard(given.features, task.features, unseen)
    near = f" {'; '.join(told)}." if told else ""
    if np.isnan(prior.scores).all():
        if not named:
            raise FeatureNamesError(
                "The prior is given by feature name, but the columns of X have no "
                f"names. {WAYS_TO_NAMES}"
            )
        raise PriorMismatchError(
            "The prior has no score for any column of the table. It scores "
            f"{list_names(given.features)}; the columns are {list_names(task.keys)}."
            f"{near}"
        )
    is_mapping = isinstance(source, Mapping)
    if is_mapping and prior.unknown:
        raise PriorMismatchError(
            f"prior contains {len(prior.unknown)} unexpected feature names: "
            f"{list_names(prior.unknown)}. The columns are {list_names(task.keys)}."
            f"{near}"
        )
    differences = []
    if prior.missing and not is_mapping:
        differences.append(f"has no score for {list_names(prior.missing)}")
    if prior.unknown:
        differences.append(
            f"scores {list_names(prior.unknown)}, which the table does not have"
        )
    elif near:
        differences.append("has scores that fit nothing in the training rows")
    if differences:
        message = f"The prior {' and '.join(differences)}.{near}"
        warnings.warn(message, PriorMismatchWarning, stacklevel=2)
    provenance = dict(prior.provenance)
    if given.outputs == (DEFAULT_OUTPUT,) and len(task.classes) == 2:
        # Said once, where the scores are looked at.
        note = f"the scores name no class; they speak for {task.outputs[0]!r}"
        provenance["class"] = note
    # A target tells a prior that is aligned, whose class is the last of two.
    return replace(prior, provenance=provenance, target=prior.target or task.target)


def _from_provider(provider: Provider, task: Task) -> FeaturePrior:
    # Only now, with the task known: a prior in the cache needs no key.
    if hasattr(provider, "check_ready"):
        provider.check_ready(task)
    name = type(provider).__name__
    logger.info("asking %s about %d features", name, len(task.features))
    reply = as_prior(provider.elicit(task), name)
    warn_of_outputs(reply.outputs, reply.scores, reply.target, task)
    prior = align(reply, task)
    if prior.missing:
        raise IncompleteReplyError(
            f"{name} left {len(prior.missing)} of {len(task.features)} features "
            f"without a score: {list_names(prior.missing)}. No model was trained."
        )
    if prior.unknown:
        near = "; ".join(unheard(reply.features, task.features))
        message = f"{name} scores {list_names(prior.unknown)}, which were not asked for"
        message += f". {near}." if near else "."
        warnings.warn(message, PriorMismatchWarning, stacklevel=2)
    return prior if prior.target else replace(prior, target=task.target)


def from_mapping(scores: Mapping[Any, Any]) -> FeaturePrior:
    """Build a prior from a dict whose classes or columns may be numbers."""
    return FeaturePrior.from_dict(_named(scores))


def _named(scores: Mapping[Any, Any]) -> dict[str, Any]:
    return {str(name): score for name, score in scores.items()}


def as_prior(reply: Any, name: str) -> FeaturePrior:
    """Check that a provider of that name returned a prior or a dict."""
    if isinstance(reply, Mapping):
        return from_mapping(reply)
    if isinstance(reply, FeaturePrior):
        return reply
    raise ProviderResponseError(
        f"{name}.elicit must return a FeaturePrior or a dict of scores by feature "
        f"name; got {type(reply).__name__}."
    )


def align(prior: FeaturePrior, task: Task) -> FeaturePrior:
    """Bring a prior into the order of a task; of two classes one is not scored."""
    others = [name for name in task.classes if name not in task.outputs]
    negative = others[0] if len(task.outputs) == len(others) == 1 else None
    return prior.align(task.features, task.outputs, negative)


def _cost(usage: Mapping[str, int]) -> str:
    """Say what was paid for a prior, and what came from the cache."""
    if not usage:
        return ""
    paid = "no request"
    if n_requests := usage.get("requests", 0):
        n_in, n_out = usage.get("input_tokens", 0), usage.get("output_tokens", 0)
        paid = f"{n_requests} requests, {n_in} tokens in, {n_out} out"
    return f"; {paid}, {usage.get('served_from_cache', 0)} answers from the cache"
