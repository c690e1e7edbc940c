"""Estimates in the cache, and the prior that they make together."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from llmreg.elicitation._cache import PriorCache, hash_key
from llmreg.elicitation._prompt import PROMPT_VERSION, Answer
from llmreg.elicitation._questions import Question
from llmreg.exceptions import ProviderResponseError
from llmreg.prior._feature_prior import FeaturePrior
from llmreg.prior._task import Task

if TYPE_CHECKING:
    from llmreg.elicitation._sampling import Completion

import warnings

from llmreg.exceptions import PriorDisagreementWarning


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
    """The answers of one provider to questions, in a cache."""

    def __init__(self, cache: PriorCache, settings: Mapping[str, Any]) -> None:
        self.cache = cache
        self.settings = dict(settings)

    def key(self, questions: Sequence[Question]) -> str:
        """Give a key for asking some questions, to lock."""
        digests = [question.questionnaire.digest for question in questions]
        return hash_key({"questions": digests, "settings": self.settings})

    def entry_key(self, question: Question, index: int) -> str:
        """Give the key under which an answer is kept."""
        return self._key(question, estimate=index)

    def load(self, question: Question, index: int) -> Estimate | None:
        """Look an answer up."""
        whole = self._read(question, index)
        if whole is not None or not self.is_split(question):
            return whole
        halves = [self.load(half, index) for half in question.halves()]
        found = [half for half in halves if half is not None]
        return merge(found) if len(found) == len(halves) else None

    def save(self, question: Question, index: int, completion: Completion) -> None:
        """Keep a reply."""
        content = {
            **self._about(question),
            "model": completion.model,
            "prompt_version": PROMPT_VERSION,
            "prompt_hash": question.questionnaire.digest,
            "estimate": index,
            "created": now(),
            "usage": dict(completion.usage),
            "text": completion.text,
        }
        self.cache.put(self.entry_key(question, index), content)

    def is_split(self, question: Question) -> bool:
        """Tell whether a question was found to be too large, now or earlier."""
        return self.cache.get(self._key(question, split=True)) is not None

    def split(self, question: Question) -> None:
        """Remember that a question is too large, so that nobody tries it again."""
        content = {**self._about(question), "split": True}
        self.cache.put(self._key(question, split=True), content)

    def _about(self, question: Question) -> dict[str, str]:
        """Say what an entry is about, for people who look into the cache."""
        return {
            "task": question.task.description,
            "target": question.task.target,
            "provider": self.settings.get("provider", ""),
        }

    def _key(self, question: Question, **more: Any) -> str:
        """Give the key of what is kept about a question."""
        digest = question.questionnaire.digest
        return hash_key({"question": digest, "settings": self.settings, **more})

    def _read(self, question: Question, index: int) -> Estimate | None:
        """Read one answer, checking it as if it had just arrived."""
        key = self.entry_key(question, index)
        entry = self.cache.get(key)
        if entry is None:
            return None
        try:
            answer = question.read(entry["text"])
            return Estimate(answer, str(entry["model"]), str(entry["created"]))
        except (ProviderResponseError, KeyError, TypeError):
            self.cache.set_aside(key)
            return None


def merge(parts: Sequence[Estimate], task: Task | None = None) -> Estimate:
    """Put the answers to several questions together."""
    scores: dict[str, dict[str, float]] = {}
    reasons: dict[str, str] = {}
    for part in parts:
        reasons |= part.answer.reasons
        for output, row in part.answer.scores.items():
            scores.setdefault(output, {}).update(row)
    if task is not None:
        rows = {output: scores.get(output, {}) for output in task.outputs}
        scores = {
            output: {key: row.get(key, math.nan) for key in task.keys}
            for output, row in rows.items()
        }
    return Estimate(
        Answer(scores, reasons),
        ", ".join(dict.fromkeys(part.model for part in parts)),
        max((part.created for part in parts), default=now()),
    )


def combine(
    task: Task,
    estimates: Sequence[Estimate],
    provenance: Mapping[str, str],
    usage: Mapping[str, int],
) -> FeaturePrior:
    """Average estimates into a prior; warn where their signs are in dispute."""
    prior = FeaturePrior.from_estimates(
        [estimate.answer.scores for estimate in estimates],
        task=task.description,
        target=task.target,
        descriptions=_descriptions(task),
        provenance={
            **provenance,
            "model": ", ".join(dict.fromkeys(e.model for e in estimates if e.model)),
            "created": max(estimate.created for estimate in estimates),
        },
        usage=dict(usage),
        rationale=_reasons(task, estimates),
    )
    if names := disputed(prior):
        warn_of_dispute(f"{len(estimates)} estimates", names)
    return prior


def now() -> str:
    """Give the time in UTC, to the second."""
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
    distances = np.nan_to_num(np.abs(scores - scores.mean(axis=0)))
    nearest = distances.sum(axis=1).argmin(axis=0)
    chosen = {
        key: estimates[i].answer.reasons.get(key, "")
        for key, i in zip(task.keys, nearest, strict=True)
    }
    return {key: reason for key, reason in chosen.items() if reason}


# A sign is in dispute if more than this share of the estimates is on the smaller
# side, and the scores are large enough for the sign to matter.
DISPUTED_SHARE = 0.25
DISPUTED_SIZE = 2.0


def warn_of_dispute(who: str, names: Sequence[str]) -> None:
    """Warn that answers contradict each other."""
    warnings.warn(
        f"The {who} disagree on the sign of {tuple(names)!r}. Look at the prior; a "
        "better description of these features may settle it.",
        PriorDisagreementWarning,
        stacklevel=3,
    )


def disputed(prior: FeaturePrior) -> tuple[str, ...]:
    """Name the features whose sign the estimates do not agree on."""
    if prior.estimates is None:
        return ()
    answers = np.nan_to_num(prior.estimates)
    fewer = np.minimum((answers > 0).sum(axis=0), (answers < 0).sum(axis=0))
    large = np.abs(answers).mean(axis=0) >= DISPUTED_SIZE
    both = (fewer > DISPUTED_SHARE * len(answers)) & large
    return tuple(prior.features[j] for j in np.flatnonzero(both.any(axis=0)))
