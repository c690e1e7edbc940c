import json

import pytest

from llmreg.elicitation._prompt import MAX_DESCRIPTION_LENGTH
from llmreg.elicitation._questions import draft_schema, parse_drafts
from llmreg.exceptions import IncompleteReplyError, ProviderResponseError
from llmreg.prior._task import Feature, Task

TASK = Task((Feature("sbp"), Feature("dbp")), "stroke", ("yes",), "regression")


def reply(*entries):
    return json.dumps({"features": entries})


def test_drafts_are_cleaned_and_cut():
    found = parse_drafts(
        reply(
            {"id": "f2", "description": "x" * 9999},
            {"id": "f1", "description": "Blood\x1b\n pressure."},
        ),
        TASK,
    )
    assert found.scores == {}
    assert found.reasons["sbp"] == "Blood pressure."
    assert len(found.reasons["dbp"]) == MAX_DESCRIPTION_LENGTH


@pytest.mark.parametrize(
    ("entries", "kind", "told"),
    [
        ([{"id": "f1", "description": ""}], IncompleteReplyError, "all features but"),
        ([{"id": "f3", "description": ""}], ProviderResponseError, "'f3' is not"),
        ([{"id": "f1", "description": 3}], ProviderResponseError, "f1 needs a"),
        ([{"id": "f1"}], ProviderResponseError, "f1 needs a description"),
        ([{"id": "f1", "description": ""}] * 2, ProviderResponseError, "2 times"),
    ],
)
def test_a_fault_is_told(entries, kind, told):
    with pytest.raises(kind, match=told):
        parse_drafts(reply(*entries), TASK)


def test_the_schema_asks_for_text_by_id():
    entry = draft_schema(2, 1)["properties"]["features"]["items"]
    assert entry["required"] == ["id", "description"]
    assert entry["properties"]["id"]["enum"] == ["f1", "f2"]
