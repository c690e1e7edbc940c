"""Several providers asked about one task, and the average of what they say."""

from __future__ import annotations

import json
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from llmreg.elicitation._cost import Cost, total
from llmreg.elicitation._responses import (
    find_disagreements,
    now,
    warn_of_disagreement,
)
from llmreg.elicitation._retry import Stop, side_by_side
from llmreg.exceptions import (
    PriorError,
    PriorUnavailableWarning,
    ProviderError,
    ProviderResponseError,
)
from llmreg.prior._feature_prior import FeaturePrior
from llmreg.prior._task import Task
from llmreg.providers._base import PriorProvider, is_at_hand, preview_of, qualified_name
from llmreg.providers._resolve import make_provider


def in_words(error: Exception) -> str:
    """Put an error into words."""
    return f"{type(error).__name__}: {error}"


def average(
    task: Task,
    priors: Sequence[FeaturePrior],
    names: Sequence[str],
    failed: Mapping[str, Exception],
) -> FeaturePrior:
    """Average priors that are in the same order, and say how far apart they are."""
    missing = {name: in_words(error) for name, error in failed.items()}
    # Those that an ensemble among the members went on without.
    for name, prior in zip(names, priors, strict=True):
        if "failed" in prior.provenance:
            missing[name] = prior.provenance["failed"]
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
            "disputed": json.dumps(
                list(find_disagreements(between)), ensure_ascii=False
            ),
            "created": now(),
            **({"failed": json.dumps(missing, ensure_ascii=False)} if missing else {}),
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
    on_error : {"raise", "others"}, default="raise"
        What to do where a member fails. "others" warns with
        `PriorUnavailableWarning` and averages over those that answer, one at least;
        ``"failed"`` in the provenance says who is missing, and why. Nothing of the
        failure is kept: the next elicitation asks the member again.

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
    FeaturePrior: 1 feature, output 'yes', 2 estimates
    feature  score  spread
    age       -3.0     1.0
    """

    def __init__(self, providers: Sequence[Any], *, on_error: str = "raise") -> None:
        self.providers = providers
        self.on_error = on_error

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
            answered is in their caches. With ``on_error="others"`` only if no member
            answers.
        """
        members = self._members()
        answers = dict(_ask(members, task))
        failed = {
            name: answer
            for name, answer in answers.items()
            if isinstance(answer, Exception)
        }
        self._go_on(failed, len(answers))
        priors = {n: p for n, p in answers.items() if isinstance(p, FeaturePrior)}
        combined = average(task, list(priors.values()), list(priors), failed)
        if disputes := json.loads(combined.provenance["disputed"]):
            warn_of_disagreement(f"{len(priors)} members of the ensemble", disputes)
        return combined

    def has_cached(self, task: Task) -> bool:
        """Tell whether every member has its prior at hand; nobody is asked.

        Parameters
        ----------
        task : Task
            What is predicted from what.

        Returns
        -------
        bool
            Whether `elicit` would ask nobody.
        """
        return all(is_at_hand(member, task) for member in self._members())

    def check_ready(self, task: Task | None = None) -> None:
        """Check that every member can be asked; nothing is sent.

        Parameters
        ----------
        task : Task or None, default=None
            The task, if it is known.
        """
        members = self._members()
        failed: dict[str, Exception] = {}
        for name, member in zip(_names(members), members, strict=True):
            if not hasattr(member, "check_ready"):
                continue
            try:
                member.check_ready(task)
            except ProviderError as error:
                if self.on_error == "raise":
                    raise
                failed[name] = error
        if len(failed) == len(members):
            raise next(iter(failed.values()))

    def estimate_cost(self, task: Task) -> Cost:
        """Count the tokens that the members would take; no model is asked.

        Parameters
        ----------
        task : Task
            What is predicted from what.

        Returns
        -------
        Cost
            The sum over the members. Scores at hand cost nothing.

        Raises
        ------
        ProviderError
            If a member cannot estimate its cost.
        """
        costs = []
        for name, member in zip(
            _names(members := self._members()), members, strict=True
        ):
            if not hasattr(member, "estimate_cost"):
                raise ProviderError(
                    f"{name} has no method estimate_cost(task), so nobody knows what "
                    "the ensemble costs."
                )
            costs.append(member.estimate_cost(task))
        return total(costs)

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
        members = self._members()
        return [request for each in members for request in preview_of(each, task)]

    def _go_on(self, failed: Mapping[str, Exception], count: int) -> None:
        """Raise where members failed, or say that it goes on without them."""
        if not failed:
            return
        if self.on_error == "raise" or len(failed) == count:
            raise next(iter(failed.values()))
        warnings.warn(
            f"{len(failed)} of {count} members of the ensemble gave no prior, and the "
            "average is that of the others, because on_error='others'. "
            + " ".join(f"{n}: {in_words(error)}" for n, error in failed.items()),
            PriorUnavailableWarning,
            stacklevel=3,
        )

    def _members(self) -> list[Any]:
        """Make the members that are named; refuse what cannot be asked."""
        if self.on_error not in {"raise", "others"}:
            raise PriorError(
                f"on_error must be 'raise' or 'others'; got {self.on_error!r}."
            )
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


def _ask(members: Sequence[Any], task: Task) -> list[tuple[str, Any]]:
    """Ask all members at once; give, by name, what each answers or fails with."""
    names = _names(members)
    calls = [
        partial(_answer, member, task, name)
        for member, name in zip(members, names, strict=True)
    ]
    futures = side_by_side(calls, len(calls), Stop())
    # What is neither an answer nor a failure of a provider is a bug, and raised.
    return [(n, future.result()) for n, future in zip(names, futures, strict=True)]


def _answer(member: Any, task: Task, name: str) -> FeaturePrior | Exception:
    """Ask one member; bring what it says into the order of the task."""
    try:
        return _fit(member.elicit(task), task, name)
    except (ProviderError, PriorError) as error:
        return error


def _names(members: Sequence[Any]) -> list[str]:
    """Name all members, those of one class and model by number."""
    names = [_name(member) for member in members]
    seen: Counter[str] = Counter()
    told = []
    for name in names:
        seen[name] += 1
        told.append(f"{name} #{seen[name]}" if names.count(name) > 1 else name)
    return told


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
