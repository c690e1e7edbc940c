"""Several providers asked about one task, and the average of what they say."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any

import numpy as np

from llmreg.exceptions import PriorError, ProviderResponseError
from llmreg.prior import FeaturePrior
from llmreg.providers.answers import disputed, now, warn_of_dispute
from llmreg.providers.base import PriorProvider, qualified_name
from llmreg.providers.preview import preview_of
from llmreg.providers.registry import make_provider
from llmreg.providers.static import PriorCard, StaticPrior
from llmreg.task import Task


class EnsembleProvider(PriorProvider):
    """Ask several providers, side by side, and average their scores by name.

    Every member counts the same, however many estimates it makes. Where members
    contradict each other on the sign of a score there is a warning, and the
    provenance of the prior says who said what: ``"members"`` names them,
    ``"disagreement"`` is the standard deviation between them, averaged over the
    scores, and ``"disputed"`` lists the features whose sign they do not agree on.

    Parameters
    ----------
    providers : list of objects with an ``elicit`` method, or of names
        The members, such as one `AnthropicProvider` and one `OpenAIProvider`, or
        ``["anthropic", "openai"]`` for both with their defaults. Each keeps its
        answers in its own cache.

    See Also
    --------
    AnthropicProvider, OpenAIProvider, LocalProvider : Members.
    StaticPrior : An expert as a member.

    Examples
    --------
    >>> from llmreg.providers import EnsembleProvider, StaticPrior
    >>> from llmreg.task import Feature, Task
    >>> task = Task(
    ...     (Feature("age"),), "survived", ("yes",), "classification", ("no", "yes")
    ... )
    >>> members = [StaticPrior({"age": -4}), StaticPrior({"age": -2})]
    >>> EnsembleProvider(members).elicit(task)
    FeaturePrior: 1 feature, output 'yes', 2 estimates
    feature  score  spread
    age       -3.0     1.0
    """

    def __init__(self, providers: Sequence[Any]) -> None:
        self.providers = providers

    @property
    def requires_feature_names(self) -> bool:
        """Whether any member needs columns with names."""
        return any(
            getattr(member, "requires_feature_names", True)
            for member in self._members()
        )

    def elicit(self, task: Task) -> FeaturePrior:
        """Ask every member, and average by name.

        Parameters
        ----------
        task : Task
            What is predicted from what.

        Returns
        -------
        FeaturePrior
            The average. A feature that a member leaves out is averaged over the
            others; the estimates are those of all members, the usage is their sum.

        Raises
        ------
        PriorError
            If there is no member, or one that cannot be asked.
        ProviderError
            The first that a member raises, once all have ended: what the others
            answered is in their caches.
        """
        members = self._members()
        names = [_name(member) for member in members]
        priors = _ask(members, task)
        aligned = [
            _fit(prior, task, name) for prior, name in zip(priors, names, strict=True)
        ]
        combined = _combine(task, aligned, names)
        if disputes := json.loads(combined.provenance["disputed"]):
            warn_of_dispute(f"{len(names)} members of the ensemble", disputes)
        return combined

    def check_ready(self, task: Task | None = None) -> None:
        """Check that every member can be asked; nothing is sent.

        Parameters
        ----------
        task : Task or None, default=None
            The task, if it is known.
        """
        for member in self._members():
            if hasattr(member, "check_ready"):
                member.check_ready(task)

    def preview(self, task: Task) -> list[dict[str, Any]]:
        """Show what the members would send; nothing is sent.

        Parameters
        ----------
        task : Task
            What is predicted from what.

        Returns
        -------
        list of dict
            The requests of all members. Scores at hand send nothing.

        Raises
        ------
        ProviderError
            If a member cannot show what it sends.
        """
        shown: list[dict[str, Any]] = []
        for member in self._members():
            if isinstance(member, StaticPrior | PriorCard):
                continue
            shown += preview_of(member, task)
        return shown

    def _members(self) -> list[Any]:
        """Make the members that are named; refuse what cannot be asked."""
        members = self.providers
        if isinstance(members, str | Mapping) or not isinstance(members, Sequence):
            raise PriorError(f"providers must be a list of providers; got {members!r}.")
        if not members:
            raise PriorError("providers must have at least one provider; it is empty.")
        made = [make_provider(m) if isinstance(m, str) else m for m in members]
        for member in made:
            if isinstance(member, type) or not hasattr(member, "elicit"):
                raise PriorError(
                    "Each of the providers must be an object with an elicit method; "
                    f"or the name of one; got {member!r}."
                )
        return made


def _ask(members: Sequence[Any], task: Task) -> list[Any]:
    """Ask all members at once; let all end before an error is raised."""
    with ThreadPoolExecutor(len(members), "llmreg-ensemble") as pool:
        try:
            futures = [pool.submit(member.elicit, task) for member in members]
            wait(futures)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return [future.result() for future in futures]


def _name(member: Any) -> str:
    """Name a member by its class, and by its model where it has one."""
    model = getattr(member, "model", None)
    name = qualified_name(member)
    return f"{name} ({model})" if isinstance(model, str) else name


def _fit(reply: Any, task: Task, name: str) -> FeaturePrior:
    """Bring the answer of a member into the order of the task."""
    if isinstance(reply, Mapping):
        reply = FeaturePrior.from_dict(reply, output=task.outputs[0])
    if not isinstance(reply, FeaturePrior):
        raise ProviderResponseError(
            f"{name} must answer with a FeaturePrior or a dict of scores by feature "
            f"name; got {type(reply).__name__}."
        )
    others = [c for c in task.classes if c not in task.outputs]
    negative = others[0] if len(task.outputs) == len(others) == 1 else None
    return reply.align(task.features, task.outputs, negative)


def _combine(
    task: Task, priors: Sequence[FeaturePrior], names: Sequence[str]
) -> FeaturePrior:
    """Average priors that are in the same order, and say how far apart they are."""
    scores = np.stack([prior.scores for prior in priors])
    mean, std = _moments(scores)
    between = FeaturePrior(task.keys, mean, task.outputs, estimates=scores)
    usage: Counter[str] = Counter()
    for prior in priors:
        usage.update(prior.usage)
    return FeaturePrior(
        features=task.keys,
        scores=mean,
        outputs=task.outputs,
        estimates=np.concatenate(
            [p.scores[None] if p.estimates is None else p.estimates for p in priors]
        ),
        rationale=_reasons(priors, scores, mean),
        task=task.description,
        target=task.target,
        descriptions={
            k: v for p in reversed(priors) for k, v in p.descriptions.items()
        },
        provenance={
            "provider": "llmreg.providers.ensemble.EnsembleProvider",
            "model": ", ".join(
                dict.fromkeys(filter(None, (p.provenance.get("model") for p in priors)))
            ),
            "members": json.dumps(list(names)),
            "disagreement": f"{np.nanmean(std) if (~np.isnan(std)).any() else 0:.3g}",
            "disputed": json.dumps(list(disputed(between)), ensure_ascii=False),
            "created": now(),
        },
        usage=dict(usage),
    )


def _moments(scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Give mean and standard deviation over the members that have an opinion."""
    known = ~np.isnan(scores)
    n = known.sum(axis=0)
    total = np.maximum(n, 1)
    mean = np.nansum(scores, axis=0) / total
    std = np.sqrt(np.nansum((scores - mean) ** 2, axis=0) / total)
    return np.where(n > 0, mean, np.nan), np.where(n > 0, std, np.nan)


def _reasons(
    priors: Sequence[FeaturePrior], scores: np.ndarray, mean: np.ndarray
) -> dict[str, str]:
    """Take each reason from the member nearest to the average that gives one."""
    distance = np.nan_to_num(np.abs(scores - mean), nan=np.inf).sum(axis=1)
    chosen = {}
    for j, key in enumerate(priors[0].features):
        for i in np.argsort(distance[:, j], kind="stable"):
            if reason := priors[i].rationale.get(key):
                chosen[key] = reason
                break
    return chosen
