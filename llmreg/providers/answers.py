"""Estimates in the cache, and the prior that they make together."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np

from llmreg.exceptions import PriorDisagreementWarning, ProviderResponseError
from llmreg.prior import FeaturePrior
from llmreg.prompting import PROMPT_VERSION, Answer, Questionnaire, parse_reply
from llmreg.providers.cache import PriorCache, hash_key
from llmreg.providers.interview import Completion
from llmreg.task import Task

# A sign is in dispute if more than this share of the estimates is on the smaller
# side, and the scores are large enough for the sign to matter.
DISPUTED_SHARE = 0.25
DISPUTED_SIZE = 2.0


@dataclass(frozen=True)
class Estimate:
    """One usable reply.

    Parameters
    ----------
    answer : Answer
        Its scores and reasons.
    model : str
        The model that gave it.
    created : str
        When, in UTC, in ISO format.
    """

    answer: Answer
    model: str
    created: str


class AnswerStore:
    """The estimates of one task by one provider, in a cache.

    Parameters
    ----------
    cache : PriorCache
        Where they are.
    task : Task
        What they answer.
    questionnaire : Questionnaire
        What was asked.
    settings : mapping
        What else shapes an answer: provider, model and so on, as plain data.
    """

    def __init__(
        self,
        cache: PriorCache,
        task: Task,
        questionnaire: Questionnaire,
        settings: Mapping[str, Any],
    ) -> None:
        self.cache = cache
        self.task = task
        self.asked: dict[str, Any] = {
            "question": questionnaire.digest,
            "settings": dict(settings),
        }
        self.key = hash_key(self.asked)

    def load(self, indices: Iterable[int]) -> dict[int, Estimate]:
        """Look estimates up.

        Parameters
        ----------
        indices : iterable of int
            Which ones.

        Returns
        -------
        dict
            Those that are there and usable, by index.
        """
        found = {index: self._load(index) for index in indices}
        return {index: e for index, e in found.items() if e is not None}

    def save(self, index: int, completion: Completion) -> None:
        """Keep the reply behind an estimate.

        Parameters
        ----------
        index : int
            Which one.
        completion : Completion
            The reply.
        """
        content = {
            "task": self.task.description,
            "target": self.task.target,
            "provider": self.asked["settings"].get("provider", ""),
            "model": completion.model,
            "prompt_version": PROMPT_VERSION,
            "prompt_hash": self.asked["question"],
            "estimate": index,
            "created": now(),
            "usage": dict(completion.usage),
            "text": completion.text,
        }
        self.cache.put(self._key(index), content)

    def _key(self, index: int) -> str:
        """Give the key of an estimate."""
        return hash_key({**self.asked, "estimate": index})

    def _load(self, index: int) -> Estimate | None:
        """Read one estimate, checking it as if it had just arrived."""
        key = self._key(index)
        entry = self.cache.get(key)
        if entry is None:
            return None
        try:
            answer = parse_reply(entry["text"], self.task)
            return Estimate(answer, str(entry["model"]), str(entry["created"]))
        except (ProviderResponseError, KeyError, TypeError):
            self.cache.set_aside(key)
            return None


def combine(
    task: Task,
    estimates: Sequence[Estimate],
    provenance: Mapping[str, str],
    usage: Mapping[str, int],
) -> FeaturePrior:
    """Average estimates into a prior; warn where their signs are in dispute.

    Parameters
    ----------
    task : Task
        What they answer.
    estimates : sequence of Estimate
        At least one.
    provenance : mapping of str to str
        What the estimates do not know themselves.
    usage : mapping of str to int
        What they took.

    Returns
    -------
    FeaturePrior
        With the scores, reasons and descriptions of all features of the task.
    """
    prior = FeaturePrior.from_estimates(
        [estimate.answer.scores for estimate in estimates],
        task=task.description,
        target=task.target,
        descriptions=_descriptions(task),
        provenance={
            **provenance,
            "model": ", ".join(dict.fromkeys(e.model for e in estimates)),
            "created": max(estimate.created for estimate in estimates),
        },
        usage=dict(usage),
        rationale=_reasons(task, estimates),
    )
    if names := disputed(prior):
        warn_of_dispute(f"{len(estimates)} estimates", names)
    return prior


def warn_of_dispute(who: str, names: Sequence[str]) -> None:
    """Warn that answers contradict each other.

    Parameters
    ----------
    who : str
        Whose answers, and how many.
    names : sequence of str
        The features that are in dispute.
    """
    warnings.warn(
        f"The {who} disagree on the sign of {tuple(names)!r}. Look at the prior; a "
        "better description of these features may settle it.",
        PriorDisagreementWarning,
        stacklevel=3,
    )


def disputed(prior: FeaturePrior) -> tuple[str, ...]:
    """Name the features whose sign the estimates do not agree on.

    Parameters
    ----------
    prior : FeaturePrior
        A prior with its estimates.

    Returns
    -------
    tuple of str
        Their keys.

    Examples
    --------
    >>> from llmreg.prior import FeaturePrior
    >>> from llmreg.providers.answers import disputed
    >>> disputed(FeaturePrior.from_estimates([{"a": 6, "b": 1}, {"a": -5, "b": 2}]))
    ('a',)
    """
    if prior.estimates is None:
        return ()
    answers = np.nan_to_num(prior.estimates)
    fewer = np.minimum((answers > 0).sum(axis=0), (answers < 0).sum(axis=0))
    large = np.abs(answers).mean(axis=0) >= DISPUTED_SIZE
    both = (fewer > DISPUTED_SHARE * len(answers)) & large
    return tuple(prior.features[j] for j in np.flatnonzero(both.any(axis=0)))


def now() -> str:
    """Give the time in UTC, to the second.

    Returns
    -------
    str
        In ISO format.
    """
    return datetime.now(UTC).isoformat(timespec="seconds")


def _descriptions(task: Task) -> dict[str, str]:
    """Collect what the task says about each feature."""
    told = {
        feature.key: "; ".join(
            filter(None, (feature.description, feature.level_description))
        )
        for feature in task.features
    }
    return {key: text for key, text in told.items() if text}


def _reasons(task: Task, estimates: Sequence[Estimate]) -> dict[str, str]:
    """Take each reason from the estimate nearest to the average, which it explains."""
    scores = np.array(
        [
            [[e.answer.scores[o][key] for key in task.keys] for o in task.outputs]
            for e in estimates
        ],
        dtype=np.float64,
    )
    nearest = np.abs(scores - scores.mean(axis=0)).sum(axis=1).argmin(axis=0)
    chosen = {
        key: estimates[i].answer.reasons.get(key, "")
        for key, i in zip(task.keys, nearest, strict=True)
    }
    return {key: reason for key, reason in chosen.items() if reason}
