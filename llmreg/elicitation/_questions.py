"""From a task to the questionnaires that cover it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import groupby
from typing import Any, ClassVar

import numpy as np

from llmreg._utils._text import clean_text
from llmreg.elicitation._cache import hash_key
from llmreg.elicitation._curves import (
    CURVE_TEXT,
    LEAST_SHARE,
    MAX_CURVES,
    MAX_LISTED,
    count_curves,
    read_answers,
    reply_schema,
)
from llmreg.elicitation._prompt import (
    DRAFT_TEXT,
    MAX_DESCRIPTION_LENGTH,
    MAX_NAME_LENGTH,
    PROMPT_VERSION,
    RANK_TEXT,
    RANKINGS,
    SYSTEM_TEXT,
    check_distinct,
    describe_feature,
    format_document,
    give_ids,
    list_schema,
    object_schema,
)
from llmreg.elicitation._responses import Estimate, by_feature, check_reply, read_json
from llmreg.prior._scores import SCORE_LIMIT
from llmreg.prior._task import Feature, Task

# The most features, and scores, of one question: what a model answers with care, and
# what the vendors' grammars for structured replies bear.
MAX_FEATURES = 100
MAX_SCORES = 500
# The most characters that the rest of the table may take in each question, for each
# feature that a question may have.
MAX_CONTEXT_LENGTH = 200
MAX_REASON_LENGTH = 240

SIGNS = {"positive": 1, "negative": -1, "none": 0}

Part = tuple[Feature, ...]


@dataclass(frozen=True, eq=False)
class Questionnaire:
    """What a language model is asked about some features, and how to read its reply.

    `task` has these features and no others; `context` tells about the rest of the
    table. This class asks for scores.
    """

    task: Task
    context: Mapping[str, Any] = field(default_factory=dict)

    # The instructions, which are the same for every task.
    system: ClassVar[str] = SYSTEM_TEXT
    # Whether parts are drawn from all over the table, as cards are dealt.
    is_mixed: ClassVar[bool] = False
    # The most features, times outputs, of one question.
    max_answers: ClassVar[int] = MAX_SCORES
    # How many curves are asked for.
    n_curves: ClassVar[int] = 0

    @cached_property
    def user(self) -> str:
        """The task as a JSON document."""
        return format_document(self.task, self.context)

    @cached_property
    def schema(self) -> dict[str, Any]:
        """JSON schema of the reply."""
        return object_schema({"features": self._entries})

    @cached_property
    def digest(self) -> str:
        """A hash of all that is sent, and of the version of the questionnaire."""
        return hash_key([PROMPT_VERSION, self.system, self.user, self.schema])

    @cached_property
    def halves(self) -> tuple[Questionnaire, ...]:
        """Two that ask for half the features each; none for a single feature."""
        features = self.task.features
        if len(features) < 2:
            return ()
        parts = _deal(features, 2, is_mixed=self.is_mixed)
        tasks = [replace(self.task, features=part) for part in parts]
        return tuple(replace(self, task=task) for task in tasks)

    def read(self, text: str) -> Estimate:
        """Read a reply; ProviderResponseError if it cannot be used."""
        entries = self._read_entries(text)
        return Estimate(
            scores={
                name: {key: int(entries[key]["scores"][o]) for key in self.task.keys}
                for o, name in self._outputs.items()
            },
            reasons=self._reasons(entries),
        )

    def _reasons(self, entries: Mapping[str, Any]) -> dict[str, str]:
        """Give the reasons, cut to a length."""
        return {
            key: reason
            for key in self.task.keys
            if key in entries
            and (reason := clean_text(entries[key]["reason"], MAX_REASON_LENGTH))
        }

    def _read_entries(self, text: str) -> dict[str, Any]:
        """Parse and check a reply; give its entries by feature key."""
        reply = read_json(text)
        check_reply(reply, self.schema)
        return by_feature(reply["features"], self.task)

    @property
    def _outputs(self) -> dict[str, str]:
        return give_ids("o", self.task.outputs)

    @cached_property
    def _entries(self) -> dict[str, Any]:
        """JSON schema of the list of entries."""
        # Vendors do not enforce ranges of numbers, but lists of allowed values.
        score = {"type": "integer", "enum": list(range(-SCORE_LIMIT, SCORE_LIMIT + 1))}
        scores = object_schema(dict.fromkeys(self._outputs, score))
        return list_schema(self.task, {"reason": {"type": "string"}, "scores": scores})


class RankingQuestionnaire(Questionnaire):
    """Asks for a ranking of the features, with a sign for each."""

    system = RANK_TEXT
    is_mixed = True

    @cached_property
    def schema(self) -> dict[str, Any]:
        """JSON schema of the reply."""
        rankings = object_schema(dict.fromkeys(self._outputs, self._entries))
        return object_schema({"reasoning": {"type": "string"}, RANKINGS: rankings})

    def read(self, text: str) -> Estimate:
        """Read a reply: ranks become scores in equal steps."""
        reply = read_json(text)
        rankings: Any = reply.get(RANKINGS) if isinstance(reply, dict) else reply
        check_reply(rankings, self.schema["properties"][RANKINGS], RANKINGS)
        scores = {name: self._scores(rankings[o]) for o, name in self._outputs.items()}
        return Estimate(scores, reasons={})

    @cached_property
    def _entries(self) -> dict[str, Any]:
        """JSON schema of the ranking for one output."""
        direction = {"type": "string", "enum": list(SIGNS)}
        return list_schema(self.task, {"direction": direction})

    def _scores(self, ranking: list[dict[str, str]]) -> dict[str, float]:
        """Turn the ranks for one output into scores."""
        entries = by_feature(ranking, self.task)
        signs = {key: SIGNS[entry["direction"]] for key, entry in entries.items()}
        directed = [key for key, sign in signs.items() if sign]
        sizes = {
            key: SCORE_LIMIT * (len(directed) - place) / len(directed)
            for place, key in enumerate(directed)
        }
        return {key: signs[key] * sizes.get(key, 0.0) for key in self.task.keys}


class CurveQuestionnaire(Questionnaire):
    """Asks for response curves, typical ranges, effects of levels, and base rates."""

    system = CURVE_TEXT
    max_answers = MAX_CURVES

    @cached_property
    def user(self) -> str:
        """The task as a JSON document."""
        return format_document(self.task, self.context, with_order=True)

    @cached_property
    def schema(self) -> dict[str, Any]:
        """JSON schema of the reply; of many features without their ids."""
        lists_ids = len(self.task.features) <= MAX_LISTED
        return reply_schema(self.task, lists_ids=lists_ids)

    @property
    def n_curves(self) -> int:  # type: ignore[override]
        """How many curves are asked for."""
        return count_curves(self.task)

    @cached_property
    def halves(self) -> tuple[Questionnaire, ...]:
        """Two that ask for half the features each, and tell of the other half."""
        names = [clean_text(f.name, MAX_NAME_LENGTH) for f in self.task.features]
        context = {"columns": list(dict.fromkeys(names)), **self.context}
        return tuple(replace(half, context=context) for half in super().halves)

    def read(self, text: str) -> Estimate:
        """Read a reply."""
        reply = read_json(text)
        check_reply(reply, reply_schema(self.task, lists_ids=True))
        answered = [*reply.get("curves", ()), *reply.get("levels", ())]
        entries = by_feature(answered, self.task, LEAST_SHARE)
        estimate = read_answers(self.task, reply, entries)
        return replace(estimate, reasons=self._reasons(entries))


class DraftQuestionnaire(Questionnaire):
    """Asks for descriptions of the features, which are read as reasons."""

    system = DRAFT_TEXT

    def read(self, text: str) -> Estimate:
        """Read a reply."""
        entries = self._read_entries(text)
        drafts = {key: entries[key]["description"] for key in self.task.keys}
        limit = MAX_DESCRIPTION_LENGTH
        return Estimate({}, {key: clean_text(d, limit) for key, d in drafts.items()})

    @cached_property
    def _entries(self) -> dict[str, Any]:
        """JSON schema of the list of entries."""
        return list_schema(self.task, {"description": {"type": "string"}})


# By the name of the way to ask; "each" has a question of its own for each column.
WAYS = {
    "all": Questionnaire,
    "curves": CurveQuestionnaire,
    "each": Questionnaire,
    "rank": RankingQuestionnaire,
}


def plan(
    task: Task,
    ask: str = "all",
    send_levels: bool = True,
    max_features: int = MAX_FEATURES,
) -> list[Questionnaire]:
    """Cut a task into the questionnaires that cover it."""
    check_distinct(task)
    scored = [f for f in task.features if send_levels or f.level is None]
    hidden = [f for f in task.features if not send_levels and f.level is not None]
    columns: Iterable[Sequence[Feature]] = [scored] if scored else []
    if ask == "each":
        # The levels of a column are weighed against each other.
        columns = [list(group) for _, group in groupby(scored, key=lambda f: f.name)]
    kind = WAYS[ask]
    limit = _limit(task, max_features, kind.max_answers)
    parts = [
        part
        for block in columns
        for part in _deal(block, -(-len(block) // limit), is_mixed=kind.is_mixed)
    ]
    context = _context(task, hidden, max_features, name_columns=len(parts) > 1)
    return [kind(replace(task, features=part), context) for part in parts]


def hash_prompt(questions: Sequence[Questionnaire]) -> str:
    """Give the hash that a prior records of the questions it answers."""
    digests = [question.digest for question in questions]
    return digests[0] if len(digests) == 1 else hash_key(digests)


def plan_drafts(task: Task, max_features: int = MAX_FEATURES) -> list[Questionnaire]:
    """Ask for descriptions of the columns that have none; no level is named."""
    check_distinct(task)
    columns = dict.fromkeys(f.name for f in task.features if not f.description)
    if not columns:
        return []
    units = {f.name: f.unit for f in task.features}
    features = [Feature(name, unit=units[name]) for name in columns]
    context = _context(task, (), max_features, name_columns=True)
    n_parts = -(-len(features) // _limit(task, max_features))
    parts = _deal(features, n_parts, is_mixed=False)
    return [DraftQuestionnaire(replace(task, features=part), context) for part in parts]


def _limit(task: Task, max_features: int, max_answers: int = MAX_SCORES) -> int:
    """Choose the most features of one question."""
    return max(1, min(max_features, max_answers // len(task.outputs)))


def _deal(features: Sequence[Feature], n_parts: int, *, is_mixed: bool) -> list[Part]:
    """Cut a sequence into parts of about equal size: runs, or every n-th."""
    if is_mixed:
        return [tuple(features[i::n_parts]) for i in range(n_parts)]
    runs = np.array_split(np.arange(len(features)), n_parts)
    return [tuple(features[i] for i in run) for run in runs]


def _context(
    task: Task, hidden: Iterable[Feature], max_features: int, *, name_columns: bool
) -> dict[str, Any]:
    """Tell of the rest of the table, where that would not crowd out the question."""
    names = [clean_text(f.name, MAX_NAME_LENGTH) for f in task.features]
    unscored: dict[str, dict[str, Any]] = {}
    for feature in hidden:
        bare = replace(feature, level=None, level_description="")
        entry = unscored.setdefault(
            feature.name, {**describe_feature(bare), "levels": []}
        )
        entry["levels"].append(f"level {len(entry['levels']) + 1}")
    items = {
        "columns": list(dict.fromkeys(names)) if name_columns else [],
        "unscored": list(unscored.values()),
    }
    length = MAX_CONTEXT_LENGTH * max_features
    return {
        name: values
        for name, values in items.items()
        if values and len(json.dumps(values, ensure_ascii=False)) <= length
    }
