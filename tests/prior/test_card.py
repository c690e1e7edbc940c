from __future__ import annotations

import json

import numpy as np
import pytest

from llmreg.exceptions import (
    FeatureNamesError,
    LLMRegError,
    PriorCardError,
    PriorMismatchError,
    PriorScoreError,
)
from llmreg.prior._feature_prior import FeaturePrior

# No float holds it; a name keeps the digits out of the names of tests.
HUGE = pytest.param(10**400, id="huge")
RECORDED = {
    "name": "fruit",
    "scale": [-10, 10],
    "provenance": "two answers of a model",
    "questionnaire": "Score the features.",
    "estimates": [
        {"yes": {"sugar": 6, "colour=red": 2}},
        {"yes": {"sugar": 8, "colour=red": 1}},
    ],
}


@pytest.fixture
def prior():
    return FeaturePrior.from_estimates(
        [{"age": 2, "bmi": 8}, {"age": 3, "bmi": 8}],
        rationale={"age": "Größer ist schlechter."},
        descriptions={"bmi": "body mass index"},
    )


@pytest.fixture
def card(prior):
    return json.loads(prior.to_json())


def read(card):
    return FeaturePrior.from_json(json.dumps(card))


def test_the_text_is_made_for_people(prior):
    assert (
        prior.to_json()
        == """\
{
  "format": "llmreg prior card",
  "version": 1,
  "task": "",
  "target": "",
  "scale": [-10, 10],
  "outputs": ["target"],
  "features": [
    {
      "feature": "age",
      "score": 2.5,
      "spread": 0.5,
      "reason": "Größer ist schlechter.",
      "estimates": [2, 3]
    },
    {
      "feature": "bmi",
      "description": "body mass index",
      "score": 8,
      "spread": 0,
      "estimates": [8, 8]
    }
  ],
  "provenance": {},
  "usage": {}
}
"""
    )


def test_several_outputs_lead_back():
    scores = {"a": {"x": 1, "y": None}, "b": {"x": -2.5, "y": 3}}
    prior = FeaturePrior.from_estimates([scores, scores])
    again = FeaturePrior.from_json(prior.to_json())
    assert again.outputs == ("a", "b")
    np.testing.assert_array_equal(again.scores, prior.scores)
    np.testing.assert_array_equal(again.estimates, prior.estimates)


def test_the_score_of_an_expert_wins_and_survives(card):
    card["features"][0]["score"] = -9
    again = read(card)
    assert again.scores.tolist() == [[-9, 8]]
    assert read(json.loads(again.to_json())).scores.tolist() == [[-9, 8]]
    assert again.estimates[:, 0, 0].tolist() == [2, 3]


def test_an_expert_adds_and_removes_features(card):
    card["features"][1] = {"feature": "smoker=yes", "score": 7}
    again = read(card)
    assert again.features == ("age", "smoker=yes")
    assert again.scores.tolist() == [[2.5, 7]]
    assert np.isnan(again.estimates[:, 0, 1]).all()


def test_null_is_no_opinion(card):
    card["features"][0]["score"] = None
    assert np.isnan(read(card).scores[0, 0])


@pytest.mark.parametrize(
    "score", [11, "high", True, float("inf"), HUGE, [1, 2], [3], {"target": 3}]
)
@pytest.mark.parametrize(
    "put",
    [
        lambda score: {"score": {"target": score}},
        lambda score: {"estimates": [score, 1]},
    ],
)
def test_a_wrong_score_is_named(card, score, put):
    card["features"][0].update(put(score))
    with pytest.raises(PriorScoreError, match="'age'"):
        read(card)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda c: c.update(version=99), "version 99"),
        (lambda c: c.update(scale=[0, 1]), r"got \[0, 1\]"),
        (lambda c: c.update(outputs="yes"), '"outputs".*array'),
        (lambda c: c.update(task=3), '"task".*string'),
        (lambda c: c.update(usage=[]), '"usage".*object'),
        (lambda c: c.pop("features"), '"features".*array'),
        (lambda c: c.pop("format"), "not a prior card"),
        (lambda c: c["features"].append({"feature": "x"}), '"score"'),
        (lambda c: c["features"].append("x"), "must be an object"),
        (lambda c: c["features"][0].update(score={"no": 1}), r"outputs \['no'\]"),
        (lambda c: c["features"][0].update(estimates=3), "must be lists"),
        (lambda c: c["outputs"].append("b"), "must be an object by output"),
        (lambda c: c.update(usage={"requests": "many"}), "'requests' is 'many'"),
        (lambda c: c.update(usage={"requests": None}), "must be numbers"),
        (lambda c: c.update(usage={"requests": True}), "must be numbers"),
        (lambda c: c["features"][0].update(rnage=[1, 2, 3]), "'age'.*\"range\""),
        (lambda c: c["features"][0].update(Units="years"), '"Units".*"unit"'),
        (lambda c: c.update(base_rate={"target": 0.1}), 'Call it "base_rates"'),
    ],
)
def test_a_card_with_a_fault_is_an_error(card, change, told):
    change(card)
    with pytest.raises(PriorCardError, match=told):
        read(card)


@pytest.mark.parametrize(
    "change", [{"score": [1, 2]}, {"score": [3]}, {"estimates": [[1], [2]]}]
)
def test_a_list_is_no_score_of_an_only_feature(card, change):
    card["features"] = [card["features"][0] | change]
    with pytest.raises(PriorScoreError, match="'age' has "):
        read(card)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda c: c["features"][0].update(feature=["age"]), FeatureNamesError),
        (lambda c: c["features"][0].update(feature={"a": 1}), FeatureNamesError),
        (lambda c: c.update(outputs=[["target"]]), PriorMismatchError),
        (lambda c: c.update(outputs=["target", {}]), PriorMismatchError),
    ],
)
def test_a_name_that_is_no_text_is_an_error(card, change, error):
    change(card)
    with pytest.raises(error, match="must be text"):
        read(card)


def test_notes_of_an_expert_are_left_alone(card):
    card["features"][0].update(note="asked twice", checked_by="A. B.", todo=None)
    assert read(card | {"comment": "second round"}).scores[0, 0] == 2.5


@pytest.mark.parametrize("text", ["", "{", "[]", '"card"', "<html>", "[" * 100_000])
def test_what_is_no_object_is_an_error(text):
    with pytest.raises(PriorCardError):
        FeaturePrior.from_json(text)


def test_a_name_that_is_there_twice_is_an_error():
    text = json.dumps(RECORDED).replace("colour=red", "sugar")
    with pytest.raises(PriorCardError, match=r"\['sugar'\] twice"):
        FeaturePrior.from_json(text)


def test_a_recorded_elicitation_is_read():
    prior = read(RECORDED)
    assert prior.outputs == ("yes",)
    assert prior.scores.tolist() == [[7, 1.5]]
    assert len(prior.estimates) == 2
    assert prior.provenance == {
        "source": "two answers of a model",
        "name": "fruit",
        "questionnaire": "Score the features.",
    }


def test_a_recording_without_scores_is_an_error():
    with pytest.raises(PriorCardError, match="hold no scores"):
        read({**RECORDED, "estimates": []})


@pytest.mark.parametrize("value", [None, ["all"], {"a": 1}, [], {}])
@pytest.mark.parametrize("name", ["error", "ask", "model"])
def test_where_scores_come_from_is_text(card, name, value):
    card["provenance"] = {"provider": "x", name: value}
    with pytest.raises(PriorCardError, match=f"must be texts; '{name}' is "):
        read(card)


def test_a_number_is_as_good_as_text(card):
    card["provenance"] = {"error": 5, "temperature": 0.7}
    again = read(card)
    assert again.provenance == {"error": "5", "temperature": "0.7"}
    assert "not elicited (5)" in repr(again)
    recorded = {"estimates": [{"age": 1}], "provenance": {"error": 5, "ask": ["all"]}}
    assert read(recorded).provenance == {"error": "5", "ask": "['all']"}


@pytest.mark.parametrize("name", ["features", "outputs"])
def test_a_card_about_nothing_is_an_error(card, name):
    card[name] = []
    with pytest.raises(PriorCardError, match=f'"{name}" of a prior card .* empty'):
        read(card)


@pytest.mark.parametrize("value", [5, True, 0.5, "x", [1], {"age": 1}])
@pytest.mark.parametrize("name", ["outputs", "features", "usage", "task", "target"])
def test_a_field_of_another_type_is_our_error_or_works(card, name, value):
    card[name] = value
    try:
        prior = read(card)
    except LLMRegError:
        return
    assert repr(prior)
    assert prior._repr_html_()
    assert read(json.loads(prior.to_json())).scores.tolist() == prior.scores.tolist()
