"""Ways of asking: from a task to the questions that cover it.

A question scores some of the features, its part, and has a questionnaire and a way to
read the reply. All questions of a task share the context: task, target, classes, and,
where there are several questions, the names of all columns if they fit. Level names
are sent or kept back here. All functions are pure.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import groupby, pairwise
from typing import Any, NamedTuple

from llmreg._utils._text import clean_text
from llmreg.elicitation._prompt import (
    MAX_DESCRIPTION_LENGTH,
    MAX_NAME_LENGTH,
    PREAMBLE,
    SYSTEM_TEXT,
    Answer,
    Questionnaire,
    check_distinct,
    check_ids,
    closed,
    describe_feature,
    format_document,
    give_ids,
    parse_reply,
    read_entries,
    read_json,
    reply_schema,
)
from llmreg.exceptions import IncompleteReplyError, ProviderResponseError
from llmreg.prior._scores import SCORE_LIMIT
from llmreg.prior._task import Feature, Task

DRAFT_TEXT = f"""\
{PREAMBLE}
The features have no description yet. For each, write what its name most likely means \
in this task, in one plain sentence of at most 30 words: what is measured or recorded, \
and in which unit if that is certain. Do not say how it bears on the target. Where the \
name can be read in several ways, or in none, say so instead of guessing. Answer for \
every feature exactly once, under its id. A person will correct what you write."""


def draft_schema(n_features: int, n_outputs: int) -> dict[str, Any]:
    """Build the JSON schema of a reply with drafts."""
    entry = {
        "id": {"type": "string", "enum": [f"f{i + 1}" for i in range(n_features)]},
        "description": {"type": "string"},
    }
    return closed({"features": {"type": "array", "items": closed(entry)}})


def parse_drafts(text: str, task: Task) -> Answer:
    """Read the drafts out of a reply.

    Raises ProviderResponseError if it is no JSON of the right form, or features are
    unknown, repeated or (`IncompleteReplyError`) left out.
    """
    entries = read_entries(text)
    features = give_ids("f", task.keys)
    problems = check_ids(entries, features) + [
        f"{clean_text(entry['id'], 20)} needs a description that is text, and no more"
        for entry in entries
        if set(entry) != {"id", "description"}
        or not isinstance(entry["description"], str)
    ]
    if problems:
        raise ProviderResponseError(
            "The drafts of the model cannot be used: " + "; ".join(problems) + "."
        )
    found = {entry["id"]: entry["description"] for entry in entries}
    if missing := [key for i, key in features.items() if i not in found]:
        raise IncompleteReplyError(
            f"The reply of the model describes all features but {missing!r}."
        )
    return Answer(
        scores={},
        reasons={
            key: clean_text(found[i], MAX_DESCRIPTION_LENGTH)
            for i, key in features.items()
        },
    )


SIGNS = {"positive": 1, "negative": -1, "none": 0}

RANK_TEXT = f"""\
{PREAMBLE}
For each output, rank the features from the one that matters most for it to the one \
that matters least, and give each a direction:
- "positive" if a larger value of the feature goes with a more likely class, or with a \
larger target; for a feature with a level, if having that level does;
- "negative" if it goes with a less likely class or a smaller target;
- "none" if the feature tells nothing about the output; these go last.

First write in a few sentences how the features act in the context of each other: \
which overlap, which only stand in for another, which say the most. Then give the \
ranking for each output, with every feature in it exactly once, under its id."""


def ranking_schema(n_features: int, n_outputs: int) -> dict[str, Any]:
    """Build the JSON schema of a ranking."""
    entry = closed(
        {
            "id": {"type": "string", "enum": [f"f{i + 1}" for i in range(n_features)]},
            "direction": {"type": "string", "enum": list(SIGNS)},
        }
    )
    ranking = {"type": "array", "items": entry}
    rankings = closed({f"o{k + 1}": ranking for k in range(n_outputs)})
    return closed({"reasoning": {"type": "string"}, "rankings": rankings})


def parse_ranking(text: str, task: Task) -> Answer:
    """Read the scores out of a ranking, trusting none of it.

    Raises IncompleteReplyError if nothing is wrong but that features are left out:
    names them.

    Raises ProviderResponseError if it is no JSON of the right form, or has unknown
    or repeated ids.
    """
    reply = read_json(text)
    outputs = give_ids("o", task.outputs)
    rankings = reply.get("rankings") if isinstance(reply, dict) else None
    if not isinstance(rankings, dict) or set(rankings) != set(outputs):
        raise ProviderResponseError(
            "The reply of the model must be an object with rankings for "
            f"{list(outputs)!r}. It starts with {clean_text(text, 80)!r}."
        )
    features = give_ids("f", task.keys)
    problems = [p for o in outputs for p in _check(rankings[o], o, features)]
    if problems:
        raise ProviderResponseError(
            "The ranking of the model cannot be used: " + "; ".join(problems) + "."
        )
    ranked = [{entry["id"] for entry in rankings[o]} for o in outputs]
    everywhere = set.intersection(*ranked)
    if absent := [key for i, key in features.items() if i not in everywhere]:
        raise IncompleteReplyError(
            f"The ranking of the model leaves out {len(absent)} of {len(features)} "
            f"features: {absent!r}."
        )
    return Answer(
        scores={name: _scores(rankings[o], features) for o, name in outputs.items()},
        reasons={},
    )


def _check(ranking: Any, output: str, features: dict[str, str]) -> list[str]:
    """List what is wrong with the ranking for one output."""
    if not isinstance(ranking, list):
        return [f"the ranking for {output} is no list"]
    for entry in ranking:
        if (
            not isinstance(entry, dict)
            or set(entry) != {"id", "direction"}
            or not all(isinstance(value, str) for value in entry.values())
            or entry["direction"] not in SIGNS
        ):
            got = clean_text(repr(entry), 80)
            return [f"an entry needs an id and a direction, but {output} has {got}"]
    return check_ids(ranking, features)


def _scores(
    ranking: list[dict[str, str]], features: dict[str, str]
) -> dict[str, float]:
    """Turn the ranks for one output into scores."""
    directed = [entry for entry in ranking if SIGNS[entry["direction"]]]
    sizes = {
        entry["id"]: SIGNS[entry["direction"]]
        * SCORE_LIMIT
        * (len(directed) - place)
        / len(directed)
        for place, entry in enumerate(directed)
    }
    return {key: sizes.get(i, 0.0) for i, key in features.items()}


# The most features, and scores, of one question: what a model answers with care, and
# what the vendors' grammars for structured replies bear.
MAX_FEATURES = 100
MAX_SCORES = 500
# The most characters that the rest of the table may take in each question, for each
# feature that a question may have.
MAX_CONTEXT_LENGTH = 200

Part = tuple[Feature, ...]


class Way(NamedTuple):
    """A way of asking.

    Parameters
    ----------
    system : str
        The instructions.
    schema : callable
        Takes the numbers of features and outputs, gives the schema of a reply.
    read : callable
        Takes a reply and the task it answers, gives the `Answer`.
    one_column : bool, default=False
        Whether each column has a question of its own.
    mixed : bool, default=False
        Whether parts are drawn from all over the table, as cards are dealt. Ranks
        of different questions can be compared only if their parts are alike.
    """

    system: str
    schema: Callable[[int, int], dict[str, Any]]
    read: Callable[[str, Task], Answer]
    one_column: bool = False
    mixed: bool = False


WAYS = {
    "all": Way(SYSTEM_TEXT, reply_schema, parse_reply),
    "each": Way(SYSTEM_TEXT, reply_schema, parse_reply, one_column=True),
    "rank": Way(RANK_TEXT, ranking_schema, parse_ranking, mixed=True),
}
DRAFT = Way(DRAFT_TEXT, draft_schema, parse_drafts)


@dataclass(frozen=True, eq=False)
class Question:
    """One questionnaire, and how to read what comes back.

    Parameters
    ----------
    task : Task
        The task, with the features that this question is about and no others.
    way : Way
        How it asks.
    context : dict
        What it tells about the rest of the table.
    """

    task: Task
    way: Way
    context: dict[str, Any]

    @cached_property
    def questionnaire(self) -> Questionnaire:
        """What is sent."""
        n_features, n_outputs = len(self.task.features), len(self.task.outputs)
        return Questionnaire(
            system=self.way.system,
            user=format_document(self.task, self.context),
            schema=self.way.schema(n_features, n_outputs),
        )

    def read(self, text: str) -> Answer:
        """Read a reply, trusting none of it.

        Raises ProviderResponseError if the reply cannot be used.
        """
        return self.way.read(text, self.task)

    def halves(self) -> tuple[Question, ...]:
        """Split a question that is too large."""
        features = self.task.features
        if len(features) < 2:
            return ()
        parts = _deal(features, 2, mixed=self.way.mixed)
        return tuple(
            replace(self, task=replace(self.task, features=part)) for part in parts
        )


def plan(
    task: Task,
    ask: str = "all",
    send_levels: bool = True,
    max_features: int = MAX_FEATURES,
) -> list[Question]:
    """Cut a task into the questions that cover it."""
    way = WAYS[ask]
    check_distinct(task)
    asked = [f for f in task.features if send_levels or f.level is None]
    hidden = [f for f in task.features if not send_levels and f.level is not None]
    return _questions(task, asked, way, max_features, hidden)


def plan_drafts(task: Task, max_features: int = MAX_FEATURES) -> list[Question]:
    """Ask for descriptions of the columns that have none; no level is named."""
    check_distinct(task)
    columns = dict.fromkeys(f.name for f in task.features if not f.description)
    units = {f.name: f.unit for f in task.features}
    asked = [Feature(name, unit=units[name]) for name in columns]
    return _questions(task, asked, DRAFT, max_features)


def _questions(
    task: Task,
    asked: Sequence[Feature],
    way: Way,
    max_features: int,
    hidden: Sequence[Feature] = (),
) -> list[Question]:
    """Make one question of each part, all with the same context."""
    parts = _cut(asked, way, min(max_features, MAX_SCORES // len(task.outputs)))
    length = MAX_CONTEXT_LENGTH * max_features
    context = _unscored(hidden, length)
    if len(parts) > 1 or (way is DRAFT and parts):
        context = {**_names(task.features, length), **context}
    return [Question(replace(task, features=part), way, context) for part in parts]


def _cut(asked: Sequence[Feature], way: Way, limit: int) -> list[Part]:
    """Cut features into parts of about equal size, none of them too large."""
    limit = max(1, limit)
    blocks: Iterable[Sequence[Feature]] = [asked] if asked else []
    if way.one_column:
        # The levels of a column are weighed against each other.
        blocks = [list(group) for _, group in groupby(asked, key=lambda f: f.name)]
    return [
        part
        for block in blocks
        for part in _deal(block, -(-len(block) // limit), mixed=way.mixed)
    ]


def _deal(features: Sequence[Feature], n_parts: int, *, mixed: bool) -> list[Part]:
    """Cut a sequence into parts of about equal size: runs, or every n-th."""
    if mixed:
        return [tuple(features[i::n_parts]) for i in range(n_parts)]
    size, more = divmod(len(features), n_parts)
    ends = [0]
    for i in range(n_parts):
        ends.append(ends[-1] + size + (i < more))
    return [tuple(features[a:b]) for a, b in pairwise(ends)]


def _names(features: Iterable[Feature], length: int) -> dict[str, list[str]]:
    """List the names of all columns, if they fit."""
    names = dict.fromkeys(clean_text(f.name, MAX_NAME_LENGTH) for f in features)
    return _if_it_fits("columns", list(names), length)


def _unscored(hidden: Iterable[Feature], length: int) -> dict[str, Any]:
    """Tell of columns whose levels have numbers instead of names, if they fit."""
    columns: dict[str, dict[str, Any]] = {}
    for feature in hidden:
        bare = replace(feature, level=None, level_description="")
        entry = columns.setdefault(
            feature.name, {**describe_feature(bare), "levels": []}
        )
        entry["levels"].append(f"level {len(entry['levels']) + 1}")
    return _if_it_fits("unscored", list(columns.values()), length)


def _if_it_fits(name: str, items: list[Any], length: int) -> dict[str, list[Any]]:
    """Give a part of the context, or nothing where it would crowd out the rest."""
    if not items or len(json.dumps(items, ensure_ascii=False)) > length:
        return {}
    return {name: items}
