import json
from collections import Counter

import pytest

from llmreg.elicitation._questions import (
    MAX_FEATURES,
    MAX_SCORES,
    WAYS,
    Questionnaire,
    plan,
    plan_drafts,
)
from llmreg.exceptions import FeatureNamesError
from llmreg.prior._task import Feature, Task

LEVELS = (
    Feature("age", "at admission", unit="years"),
    Feature("sex", level="female", level_description="woman or girl"),
    Feature("sex", level="male"),
    Feature("fare"),
)


def make_task(features, outputs=("yes",), **changes):
    fields = {
        "features": features,
        "target": "ill",
        "outputs": outputs,
        "kind": "classification",
        "classes": ("no", *outputs),
        "description": "Predict who falls ill.",
    }
    return Task(**{**fields, **changes})


def wide(n_features, **changes):
    return make_task(tuple(Feature(f"x{i}") for i in range(n_features)), **changes)


def document(question):
    return json.loads(question.user)


def covered(questions):
    return Counter(key for question in questions for key in question.task.keys)


@pytest.mark.parametrize("ask", WAYS)
@pytest.mark.parametrize("n_features", [1, 2, 100, 101, 250, 5000])
def test_every_feature_is_in_one_question(ask, n_features):
    task = wide(n_features)
    questions = plan(task, ask)
    assert covered(questions) == Counter(task.keys)
    assert max(len(q.task.features) for q in questions) <= MAX_FEATURES


@pytest.mark.parametrize("n_outputs", [1, 7, 60, 700])
def test_many_outputs_make_small_questions(n_outputs):
    task = wide(120, outputs=tuple(f"c{k}" for k in range(n_outputs)))
    sizes = [len(question.task.features) for question in plan(task)]
    assert max(sizes) * n_outputs <= max(MAX_SCORES, n_outputs)
    assert max(sizes) - min(sizes) <= 1


def test_a_small_task_is_one_question_as_ever():
    task = make_task(LEVELS)
    (question,) = plan(task)
    assert question.digest == Questionnaire(task).digest


def test_the_unit_is_told():
    (question,) = plan(make_task(LEVELS))
    assert document(question)["features"][0] == {
        "id": "f1",
        "name": "age",
        "description": "at admission",
        "unit": "years",
    }


@pytest.mark.parametrize("ask", WAYS)
def test_questions_share_the_context(ask):
    documents = [document(question) for question in plan(wide(250), ask)]
    shared = [{**d, "features": None} for d in documents]
    assert all(d == shared[0] for d in shared)
    assert shared[0]["columns"] == [f"x{i}" for i in range(250)]
    assert shared[0]["task"] == "Predict who falls ill."
    assert shared[0]["classes"] == ["no", "yes"]


def test_the_names_of_the_others_are_left_out_if_they_do_not_fit():
    documents = [document(question) for question in plan(wide(5000))]
    assert not any("columns" in d for d in documents)


def test_one_at_a_time_keeps_the_levels_of_a_column_together():
    asked = [document(question) for question in plan(make_task(LEVELS), "each")]
    names = [[entry["name"] for entry in d["features"]] for d in asked]
    assert names == [["age"], ["sex", "sex"], ["fare"]]
    assert asked[0]["columns"] == ["age", "sex", "fare"]


def test_rankings_are_of_parts_drawn_from_all_over_the_table():
    first, second = plan(wide(110), "rank")
    assert first.task.keys[:3] == ("x0", "x2", "x4")
    assert second.task.keys[:3] == ("x1", "x3", "x5")


def test_ways_have_questionnaires_of_their_own():
    task = make_task(LEVELS)
    digests = {question.digest for ask in WAYS for question in plan(task, ask)}
    assert len(digests) == 1 + 3 + 1 + 1


class TestHalves:
    def test_cover_the_question(self):
        (question,) = plan(wide(7))
        left, right = question.halves
        assert (*left.task.keys, *right.task.keys) == question.task.keys
        assert left.task.outputs == question.task.outputs

    def test_of_a_ranking_are_mixed(self):
        (question,) = plan(wide(5), "rank")
        assert [h.task.keys for h in question.halves] == [
            ("x0", "x2", "x4"),
            ("x1", "x3"),
        ]

    def test_of_one_feature_there_are_none(self):
        (question,) = plan(wide(1))
        assert question.halves == ()


class TestLevels:
    def test_kept_back_have_numbers_and_are_not_asked_about(self):
        (question,) = plan(make_task(LEVELS), send_levels=False)
        assert question.task.keys == ("age", "fare")
        assert document(question)["unscored"] == [
            {"name": "sex", "levels": ["level 1", "level 2"]}
        ]
        for told in ("female", "male", "woman"):
            assert told not in question.user

    def test_sent_by_default(self):
        (question,) = plan(make_task(LEVELS))
        assert document(question)["features"][1]["level"] == "female"
        assert "unscored" not in document(question)

    def test_of_a_table_of_levels_nothing_is_left_to_ask(self):
        assert plan(make_task(LEVELS[1:3]), send_levels=False) == []

    def test_too_many_for_the_context_are_left_out(self):
        features = (*LEVELS, *(Feature("code", level=str(i)) for i in range(3000)))
        (question,) = plan(make_task(features), send_levels=False)
        assert "unscored" not in document(question)


class TestDrafts:
    def test_are_asked_for_columns_without_description_by_name(self):
        (question,) = plan_drafts(make_task(LEVELS))
        asked = document(question)
        assert asked["features"] == [
            {"id": "f1", "name": "sex"},
            {"id": "f2", "name": "fare"},
        ]
        assert asked["columns"] == ["age", "sex", "fare"]
        assert "female" not in question.user

    def test_are_not_asked_for_where_all_is_described(self):
        assert plan_drafts(make_task(LEVELS[:1])) == []


@pytest.mark.parametrize("ask", WAYS)
def test_names_that_look_the_same_are_refused_in_every_way(ask):
    features = (*wide(150).features, Feature("x" * 300 + "a"), Feature("x" * 300 + "b"))
    with pytest.raises(FeatureNamesError, match="Rename one of them"):
        plan(make_task(features), ask)
    with pytest.raises(FeatureNamesError, match="Rename one of them"):
        plan_drafts(make_task(features))


def test_a_small_context_gets_small_questions():
    questions = plan(wide(20), max_features=8)
    assert [len(q.task.features) for q in questions] == [7, 7, 6]
    assert document(questions[0])["columns"] == [f"x{i}" for i in range(20)]
    # The other names would be more than such a question bears.
    questions = plan(wide(500), max_features=8)
    assert "columns" not in document(questions[0])
