from llmreg.elicitation._prompt import in_order, reply_schema
from llmreg.elicitation._questions import ranking_schema


def test_every_feature_once_and_in_order():
    before = reply_schema(3, 2)
    after = in_order(before, longest=50)
    entries = after["properties"]["features"]
    assert "items" not in entries
    assert (entries["minItems"], entries["maxItems"]) == (3, 3)
    for i, entry in enumerate(entries["prefixItems"], start=1):
        assert entry["properties"]["id"] == {"const": f"f{i}"}
        assert entry["properties"]["reason"] == {"type": "string", "maxLength": 50}
        scores = before["properties"]["features"]["items"]["properties"]["scores"]
        assert entry["properties"]["scores"] == scores
        assert entry["required"] == ["id", "reason", "scores"]
    assert before == reply_schema(3, 2)


def test_other_schemas_keep_their_form():
    for schema in (
        {"type": "integer"},
        {"type": "array", "items": {"type": "string"}},
        {"type": "string", "enum": ["a", "b"]},
        {},
    ):
        assert in_order(schema) == schema


def test_a_ranking_keeps_its_order_to_itself():
    schema = in_order(ranking_schema(3, 1))
    ranking = schema["properties"]["rankings"]["properties"]["o1"]
    assert ranking["items"]["properties"]["id"]["enum"] == ["f1", "f2", "f3"]
    assert (ranking["minItems"], ranking["maxItems"]) == (3, 3)
    assert "prefixItems" not in ranking
