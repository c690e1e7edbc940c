"""Providers that ask others: one remembers what they said, one averages it."""

import json
import os
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar

import numpy as np

from llmreg.elicitation._cache import PriorCache, hash_key
from llmreg.elicitation._cost import Cost, total
from llmreg.elicitation._responses import (
    average_by_name,
    find_disagreements,
    nearest_reasons,
    now,
    warn_of_disagreement,
    warn_of_units,
)
from llmreg.elicitation._retry import Stop, side_by_side
from llmreg.exceptions import (
    LLMRegError,
    PriorError,
    PriorUnavailableWarning,
    ProviderError,
)
from llmreg.prior._curves import line
from llmreg.prior._feature_prior import FeaturePrior
from llmreg.prior._scores import mean, spread
from llmreg.prior._task import Task
from llmreg.providers._base import (
    PriorProvider,
    is_at_hand,
    optional,
    plain,
    qualified_name,
)
from llmreg.providers._resolve import align, as_prior, make_provider


@dataclass(eq=False, repr=False)
class CachedProvider(PriorProvider):
    """Ask another provider once per task, and remember its prior.

    A prior is found again under the same class and parameters of the provider and
    the same task. A change in the code of the provider is not seen. The average of
    an `EnsembleProvider` that went on without some of its members is not kept.

    Parameters
    ----------
    provider : object with an ``elicit`` method
        The provider to ask.
    cache : PriorCache, str, path-like or None, default=None
        Where priors are kept; see `PriorCache`.
    timeout : float, default=600.0
        The most seconds to wait while another process asks for the same prior.

    Examples
    --------
    >>> import tempfile
    >>> from llmreg.providers import CachedProvider, StaticPrior
    >>> from llmreg import Feature, Task
    >>> task = Task((Feature("age"),), "survived", ("yes",), "classification")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     provider = CachedProvider(StaticPrior({"age": 1}), cache=folder)
    ...     provider.elicit(task).usage, provider.elicit(task).usage
    ({}, {'served_from_cache': 1})
    """

    # Caches know it by the file that it was in.
    _known_as: ClassVar[str] = "llmreg.providers.cached"

    provider: Any
    cache: PriorCache | str | os.PathLike[str] | None = None
    timeout: float = 600.0

    def elicit(self, task: Task) -> FeaturePrior:
        """Give the prior from the cache, or ask for it and keep it.

        The usage of the prior says whether it came from the cache.
        """
        cache = PriorCache.of(self.cache)
        key = self._key(task)
        if found := self._load(cache, key):
            return found
        with cache.lock(key, self.timeout):
            # Another process may have asked while this one waited.
            if found := self._load(cache, key):
                return found
            prior: FeaturePrior = self.provider.elicit(task)
            # Members of an ensemble that failed are to be asked again.
            if "failed" not in prior.provenance:
                # The card, and what the list of the cache shows.
                content = {
                    "task": task.description,
                    "target": task.target,
                    "provider": qualified_name(self.provider),
                    "model": str(prior.provenance.get("model", "")),
                    "card": prior.to_json(),
                }
                cache.put(key, content)
            return prior

    @property
    def requires_feature_names(self) -> bool:
        """Whether the provider that is asked needs columns with names."""
        return bool(getattr(self.provider, "requires_feature_names", True))

    def has_cached(self, task: Task) -> bool:
        """Tell whether the prior is in this cache, or in that of the provider."""
        found = self._load(PriorCache.of(self.cache), self._key(task))
        return found is not None or is_at_hand(self.provider, task)

    def check_ready(self, task: Task | None = None) -> None:
        """Check that the provider can be asked, unless the prior is cached."""
        is_needed = task is None or not self.has_cached(task)
        if is_needed and hasattr(self.provider, "check_ready"):
            self.provider.check_ready()

    def estimate_cost(self, task: Task) -> Cost:
        """Give what the provider would take; nothing where the prior is cached."""
        if self.has_cached(task):
            return total([])
        cost: Cost = optional(self.provider, "estimate_cost", task)
        return cost

    def preview(self, task: Task) -> list[dict[str, Any]]:
        """Show what the provider would send; nothing where the prior is cached."""
        if self.has_cached(task):
            return []
        requests: list[dict[str, Any]] = optional(self.provider, "preview", task)
        return requests

    def identity(self) -> dict[str, Any]:
        """Name what shapes the answers: the inner provider alone."""
        return {"asked": plain(self.provider)}

    def _key(self, task: Task) -> str:
        """Give the key of the prior for a task."""
        return hash_key({"task": task.to_dict(), **self.identity()})

    def _load(self, cache: PriorCache, key: str) -> FeaturePrior | None:
        """Read a prior from the cache; None if it is not there or not usable."""
        entry = cache.get(key)
        if entry is None:
            return None
        try:
            prior = FeaturePrior.from_json(entry["card"])
        except (LLMRegError, KeyError, TypeError):
            cache.set_aside(key)
            return None
        return replace(prior, usage={"served_from_cache": 1})


class EnsembleProvider(PriorProvider):
    """Ask several providers, side by side, and average what they say by name.

    Every member counts the same, however many estimates it makes. Where one has a
    curve, the score of another is the straight line over the typical range; ranges
    and base rates are averaged over those that give some. A warning tells where
    members contradict each other on the sign of a score, and where they speak of
    different units: such curves and ranges are left out, and their scores are used. In
    the provenance of the prior ``"members"`` names them, ``"disagreement"`` is the
    standard deviation between them, averaged over the scores, and ``"disputed"`` lists
    the features on whose sign they do not agree.

    Parameters
    ----------
    providers : list of objects with an ``elicit`` method, or of names
        The members, such as one `AnthropicProvider` and one `OpenAIProvider`, or
        ``["anthropic", "openai"]`` for both with their defaults. Each keeps its
        answers in its own cache.
    on_error : {"raise", "others"}, default="raise"
        What to do where a member fails. "others" warns with
        `PriorUnavailableWarning` and averages over those that answer, one at least;
        ``"failed"`` in the provenance says who is missing, and why. The next
        elicitation asks the member again.

    See Also
    --------
    AnthropicProvider, OpenAIProvider, LocalProvider : Members.
    StaticPrior : An expert as a member.

    Examples
    --------
    >>> from llmreg.providers import EnsembleProvider, StaticPrior
    >>> from llmreg import Feature, Task
    >>> task = Task(
    ...     (Feature("age"),), "survived", ("yes",), "classification", ("no", "yes")
    ... )
    >>> members = [StaticPrior({"age": -4}), StaticPrior({"age": -2})]
    >>> EnsembleProvider(members).elicit(task)
    FeaturePrior: 1 feature, survived = yes, 2 estimates
    feature  score  spread
    age       -3.0     1.0
    """

    _known_as = "llmreg.providers.ensemble"

    def __init__(self, providers: Sequence[Any], *, on_error: str = "raise") -> None:
        self.providers = providers
        self.on_error = on_error

    @property
    def requires_feature_names(self) -> bool:
        """Whether any member needs columns with names."""
        return any(
            getattr(member, "requires_feature_names", True)
            for member in self._members().values()
        )

    def elicit(self, task: Task) -> FeaturePrior:
        """Ask every member, and average by name.

        A feature that a member leaves out is averaged over the others; the estimates
        are those of all members, the usage is their sum. What a member raises is
        raised once all have ended: what the others answered is in their caches.
        """
        members = self._members()
        calls = [partial(_ask, *item, task) for item in members.items()]
        futures = side_by_side(calls, len(calls), Stop())
        # What is neither a prior nor a failure of a provider is a bug, and raised.
        replies = dict(zip(members, [f.result() for f in futures], strict=True))
        priors = {n: r for n, r in replies.items() if isinstance(r, FeaturePrior)}
        failed = {n: r for n, r in replies.items() if isinstance(r, Exception)}
        if failed:
            if self.on_error == "raise" or not priors:
                raise next(iter(failed.values()))
            warnings.warn(
                f"{len(failed)} of {len(members)} members of the ensemble gave no "
                "prior; the average is over the others, because on_error='others'. "
                + " ".join(f"{n}: {_describe(error)}" for n, error in failed.items()),
                PriorUnavailableWarning,
                stacklevel=2,
            )
        combined = _average(task, priors, failed)
        who = f"{len(priors)} members of the ensemble"
        warn_of_units(who, [*priors.values()])
        if features := json.loads(combined.provenance["disputed"]):
            warn_of_disagreement(who, features)
        return combined

    def identity(self) -> dict[str, Any]:
        """Name the members; a name alone may stand for another model elsewhere."""
        return {**super().identity(), "providers": [*self._members().values()]}

    def has_cached(self, task: Task) -> bool:
        """Tell whether every member has its prior at hand; no model is asked."""
        return all(is_at_hand(member, task) for member in self._members().values())

    def check_ready(self, task: Task | None = None) -> None:
        """Check that every member can be asked, or one with ``on_error="others"``."""
        members = self._members().values()
        failed: list[ProviderError] = []
        for member in members:
            try:
                if hasattr(member, "check_ready"):
                    member.check_ready(task)
            except ProviderError as error:
                if self.on_error == "raise":
                    raise
                failed.append(error)
        if len(failed) == len(members):
            raise failed[0]

    def estimate_cost(self, task: Task) -> Cost:
        """Add up the tokens that the members would take; no model is asked."""
        members = self._members().values()
        return total([optional(each, "estimate_cost", task) for each in members])

    def preview(self, task: Task) -> list[dict[str, Any]]:
        """Show the requests of all members; nothing is sent."""
        members = self._members().values()
        return [r for each in members for r in optional(each, "preview", task)]

    def _members(self) -> dict[str, Any]:
        """Make the members that are given by name; refuse what cannot be asked."""
        if self.on_error not in {"raise", "others"}:
            raise PriorError(
                f"on_error must be 'raise' or 'others'; got {self.on_error!r}."
            )
        given = self.providers
        if isinstance(given, str | Mapping) or not isinstance(given, Sequence):
            raise PriorError(f"providers must be a list of providers; got {given!r}.")
        if not given:
            raise PriorError("providers must have at least one provider; it is empty.")
        members = [make_provider(m) if isinstance(m, str) else m for m in given]
        for member in members:
            if isinstance(member, type) or not hasattr(member, "elicit"):
                raise PriorError(
                    "providers must hold objects with an elicit method, or names of "
                    f"providers; got {member!r}."
                )
        return dict(zip(_names(members), members, strict=True))


def _ask(name: str, member: Any, task: Task) -> FeaturePrior | Exception:
    """Ask one member; bring what it says into the order of the task."""
    try:
        return align(as_prior(member.elicit(task), name), task)
    except (ProviderError, PriorError) as error:
        return error


def _names(members: Sequence[Any]) -> list[str]:
    """Name members by class and model, those with the same name by number too."""
    names = []
    for member in members:
        model = getattr(member, "model", None)
        name = qualified_name(member)
        names.append(f"{name} ({model})" if isinstance(model, str) else name)
    return [
        f"{name} #{names[:i].count(name) + 1}" if names.count(name) > 1 else name
        for i, name in enumerate(names)
    ]


def _describe(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _average(
    task: Task, priors: Mapping[str, FeaturePrior], failed: Mapping[str, Exception]
) -> FeaturePrior:
    """Average priors in the order of the task, and say how far apart they are."""
    missing = {name: _describe(error) for name, error in failed.items()}
    # Those that an ensemble among the members went on without.
    for name, prior in priors.items():
        if "failed" in prior.provenance:
            missing[name] = prior.provenance["failed"]
    members = list(priors.values())
    scores = np.stack([prior.scores for prior in members])
    average, std = mean(scores), spread(scores)
    between = FeaturePrior(task.keys, average, task.outputs, estimates=scores)
    usage: Counter[str] = Counter()
    for prior in members:
        usage.update(prior.usage)
    models = dict.fromkeys(p.provenance.get("model") for p in members)
    provenance = {
        "provider": "llmreg.providers.ensemble.EnsembleProvider",
        "model": ", ".join(filter(None, models)),
        "members": json.dumps(list(priors)),
        "disagreement": f"{0 if np.isnan(std).all() else np.nanmean(std):.3g}",
        "disputed": json.dumps(list(find_disagreements(between)), ensure_ascii=False),
        "created": now(),
    }
    if missing:
        provenance["failed"] = json.dumps(missing, ensure_ascii=False)
    return FeaturePrior(
        features=task.keys,
        scores=average,
        outputs=task.outputs,
        estimates=np.concatenate(
            [p.scores[None] if p.estimates is None else p.estimates for p in members]
        ),
        rationale=nearest_reasons(task.keys, scores, [p.rationale for p in members]),
        task=task.description,
        target=task.target,
        descriptions={
            k: v for p in reversed(members) for k, v in p.descriptions.items()
        },
        provenance=provenance,
        usage=dict(usage),
        units={k: v for p in reversed(members) for k, v in p.units.items()},
        **average_by_name(_drawn(members)),
    )


def _drawn(members: Sequence[FeaturePrior]) -> list[FeaturePrior]:
    """Draw the scores of features that other members have a curve for."""
    found = average_by_name(members)
    priors = []
    for prior in members:
        lines = {
            name: line(scores, found["ranges"].get(name), curve.values[[0, -1]])
            for name, curve in found["curves"].items()
            for scores in [prior.scores[:, prior.features.index(name)]]
            if name not in prior.curves and not np.isnan(scores).all()
        }
        priors.append(replace(prior, curves={**prior.curves, **lines}))
    return priors
