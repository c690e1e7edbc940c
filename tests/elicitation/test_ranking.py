import json

import pytest

from llmreg.elicitation._questions import parse_ranking, ranking_schema
from llmreg.exceptions import IncompleteReplyError, ProviderResponseError
from llmreg.prior._task import Feature, Task

TASK = Task(tuple(Feature(name) for name in "abcd"), "y", ("y1", "y2"), "regression")


def entry(number, direction="positive"):
    return {"id": f"f{number}", "direction": direction}


def reply(**changes):
    rankings = {
        "o1": [entry(3), entry(1, "negative"), entry(2), entry(4, "none")],
        "o2": [entry(i, "none") for i in (1, 2, 3, 4)],
        **changes,
    }
    return json.dumps({"reasoning": "a and b overlap", "rankings": rankings})


def test_ranks_become_scores_in_equal_steps():
    scores = parse_ranking(reply(), TASK).scores
    assert scores["y1"] == pytest.approx({"a": -20 / 3, "b": 10 / 3, "c": 10, "d": 0})
    assert scores["y2"] == dict.fromkeys("abcd", 0)


def test_a_feature_without_direction_counts_for_no_rank():
    ranking = [entry(4, "none"), entry(1), entry(2, "none"), entry(3, "negative")]
    scores = parse_ranking(reply(o2=ranking), TASK).scores["y2"]
    assert scores == {"a": 10, "b": 0, "c": -5, "d": 0}


def test_features_left_out_are_named():
    with pytest.raises(IncompleteReplyError, match=r"1 of 4 features: \['d'\]"):
        parse_ranking(reply(o2=[entry(1), entry(2), entry(3)]), TASK)


@pytest.mark.parametrize(
    ("ranking", "told"),
    [
        ([entry(1), entry(1)], "f1 is answered 2 times"),
        ([entry(9)], "'f9' is not the id"),
        ([entry(1, "up")], "needs an id and a direction"),
        ([{"id": "f1"}], "needs an id and a direction"),
        ([{"id": ["f1"], "direction": "none"}], "needs an id and a direction"),
        ([{**entry(1), "score": 10}], "needs an id and a direction"),
        (["f1"], "needs an id and a direction"),
        ("f1", "the ranking for o2 is no list"),
    ],
)
def test_a_fault_is_told(ranking, told):
    with pytest.raises(ProviderResponseError, match=told):
        parse_ranking(reply(o2=ranking), TASK)


@pytest.mark.parametrize("text", ["[]", "{}", '{"rankings": {"o1": []}}', "null"])
def test_what_is_no_ranking_is_an_error(text):
    with pytest.raises(ProviderResponseError, match="rankings for"):
        parse_ranking(text, TASK)


def test_the_schema_allows_ids_and_directions_only():
    schema = ranking_schema(2, 2)
    ranking = schema["properties"]["rankings"]["properties"]["o2"]
    item = ranking["items"]
    assert item["additionalProperties"] is False
    assert item["properties"]["id"]["enum"] == ["f1", "f2"]
    assert item["properties"]["direction"]["enum"] == ["positive", "negative", "none"]
