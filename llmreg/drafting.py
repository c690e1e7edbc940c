"""Asking for descriptions of features that have none, as drafts to be edited."""

from __future__ import annotations

from typing import Any

from llmreg.cleaning import clean_text
from llmreg.exceptions import IncompleteReplyError, ProviderResponseError
from llmreg.prompting import (
    MAX_DESCRIPTION_LENGTH,
    PREAMBLE,
    Answer,
    check_ids,
    closed,
    give_ids,
    read_entries,
)
from llmreg.task import Task

DRAFT_TEXT = f"""\
{PREAMBLE}
The features have no description yet. For each, write what its name most likely means \
in this task, in one plain sentence of at most 30 words: what is measured or recorded, \
and in which unit if that is certain. Do not say how it bears on the target. Where the \
name can be read in several ways, or in none, say so instead of guessing. Answer for \
every feature exactly once, under its id. A person will correct what you write."""


def draft_schema(n_features: int, n_outputs: int) -> dict[str, Any]:
    """Build the JSON schema of a reply with drafts.

    Parameters
    ----------
    n_features : int
        How many are described.
    n_outputs : int
        Not used: a description does not depend on the output.

    Returns
    -------
    dict
        The schema.
    """
    entry = {
        "id": {"type": "string", "enum": [f"f{i + 1}" for i in range(n_features)]},
        "description": {"type": "string"},
    }
    return closed({"features": {"type": "array", "items": closed(entry)}})


def parse_drafts(text: str, task: Task) -> Answer:
    """Read the drafts out of a reply.

    Parameters
    ----------
    text : str
        What the model wrote.
    task : Task
        The task it was asked about.

    Returns
    -------
    Answer
        No scores; the descriptions as `reasons`, cleaned and cut.

    Raises
    ------
    ProviderResponseError
        If it is no JSON of the right form, or features are unknown, repeated or
        (`IncompleteReplyError`) left out.

    Examples
    --------
    >>> from llmreg.drafting import parse_drafts
    >>> from llmreg.task import Feature, Task
    >>> task = Task((Feature("sbp"),), "stroke", ("yes",), "regression")
    >>> reply = '{"features": [{"id": "f1", "description": "Blood pressure."}]}'
    >>> parse_drafts(reply, task).reasons
    {'sbp': 'Blood pressure.'}
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
