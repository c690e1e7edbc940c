"""Asking for a ranking with signs, and turning it into scores.

The rule: of m features that the model ranks with a direction, the one at rank r (1 is
the strongest) gets the score 10 * (m - r + 1) / m, with the sign of its direction. A
feature with the direction "none" gets 0, wherever it stands, and counts for no rank.
Ranks are easier to give than sizes, and say less: the steps between scores are equal.
"""

from __future__ import annotations

from typing import Any

from llmreg.cleaning import clean_text, read_json
from llmreg.exceptions import IncompleteReplyError, ProviderResponseError
from llmreg.prompting import PREAMBLE, Answer, check_ids, closed, give_ids
from llmreg.scores import SCORE_LIMIT
from llmreg.task import Task

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
    """Build the JSON schema of a ranking.

    Parameters
    ----------
    n_features, n_outputs : int
        How many are ranked, and how often.

    Returns
    -------
    dict
        The schema.
    """
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

    Parameters
    ----------
    text : str
        What the model wrote.
    task : Task
        The task it was asked about.

    Returns
    -------
    Answer
        A score for every feature and output; no reasons.

    Raises
    ------
    IncompleteReplyError
        If nothing is wrong but that features are left out: names them.
    ProviderResponseError
        If it is no JSON of the right form, or has unknown or repeated ids.

    Examples
    --------
    >>> from llmreg.ranking import parse_ranking
    >>> from llmreg.task import Feature, Task
    >>> task = Task((Feature("age"), Feature("fare")), "alive", ("yes",), "regression")
    >>> ranking = (
    ...     '[{"id": "f2", "direction": "positive"},'
    ...     ' {"id": "f1", "direction": "negative"}]'
    ... )
    >>> reply = '{"reasoning": "", "rankings": {"o1": ' + ranking + "}}"
    >>> parse_ranking(reply, task).scores
    {'yes': {'age': -5.0, 'fare': 10.0}}
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
