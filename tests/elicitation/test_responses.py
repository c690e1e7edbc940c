"""What is made of a reply: scores, rankings and drafts, none of it trusted."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmreg._utils._text import clean_text
from llmreg.elicitation._prompt import MAX_DESCRIPTION_LENGTH, MAX_NAME_LENGTH
from llmreg.elicitation._questions import (
    MAX_REASON_LENGTH,
    DraftQuestionnaire,
    Questionnaire,
    RankingQuestionnaire,
)
from llmreg.elicitation._responses import read_json
from llmreg.exceptions import IncompleteReplyError, ProviderResponseError
from llmreg.prior._task import Feature, Task
from tests.elicitation.test_prompt import make_task, task

__all__ = ["task"]


@pytest.fixture
def entries():
    return [
        {"id": "f1", "reason": "Older is frailer.", "scores": {"o1": 4}},
        {"id": "f2", "reason": "", "scores": {"o1": -1}},
    ]


def reply(entries):
    return json.dumps({"features": entries})


class TestReply:
    def test_is_read_by_id(self, task, entries):
        found = Questionnaire(task).read(reply(entries[::-1]))
        assert found.scores == {"yes": {"age": 4, "sex=female": -1}}
        assert found.reasons == {"age": "Older is frailer."}

    def test_of_several_outputs(self):
        task = make_task((Feature("x"),), ("a", "b"), classes=("a", "b", "c"))
        entry = {"id": "f1", "reason": "", "scores": {"o2": -10, "o1": 10}}
        found = Questionnaire(task).read(reply([entry]))
        assert found.scores == {"a": {"x": 10}, "b": {"x": -10}}

    def test_a_whole_number_may_be_written_with_a_point(self, task, entries):
        entries[0]["scores"]["o1"] = 4.0
        score = Questionnaire(task).read(reply(entries)).scores["yes"]["age"]
        assert (score, type(score)) == (4, int)

    def test_reasons_are_cleaned_and_cut(self, task, entries):
        entries[0]["reason"] = "\x1b[31mred\n" + "x" * 9999
        reason = Questionnaire(task).read(reply(entries)).reasons["age"]
        assert reason.startswith("[31mred x")
        assert len(reason) == MAX_REASON_LENGTH

    def test_features_left_out_are_named(self, task, entries):
        with pytest.raises(IncompleteReplyError, match=r"1 of 2 .*\['sex=female'\]"):
            Questionnaire(task).read(reply(entries[:1]))

    @pytest.mark.parametrize(
        "score", [11, -11, 3.5, "3", None, True, [3], 10**400, float("nan")]
    )
    def test_a_wrong_score_is_refused(self, task, entries, score):
        entries[1]["scores"]["o1"] = score
        with pytest.raises(
            ProviderResponseError, match=r"scores of entry 2 must be one of -10, "
        ):
            Questionnaire(task).read(reply(entries))

    @pytest.mark.parametrize(
        ("change", "told"),
        [
            (lambda e: e.append({**e[0]}), r"more than once: \['age'\]"),
            (lambda e: e[0].update(id="f9"), "id of entry 1 must be one of .*'f9'"),
            (lambda e: e[0].update(id="age"), "id of entry 1 must be one of .*'age'"),
            (lambda e: e[0].update(id=1), "id of entry 1 must be one of .* 1"),
            (lambda e: e.append("f1"), "entry 3 must be an object with id"),
            (lambda e: e[0].update(extra=1), "entry 1 must be an object with id"),
            (lambda e: e[0].pop("reason"), "entry 1 must be an object with id"),
            (lambda e: e[0].update(reason=3), "reason of entry 1 must be text"),
            (lambda e: e[0].update(scores=4), "scores of entry 1 must be an obj"),
            (lambda e: e[0]["scores"].update(o2=1), "scores of entry 1 must be an obj"),
            (lambda e: e[0]["scores"].clear(), "scores of entry 1 must be an obj"),
        ],
    )
    def test_a_fault_is_told(self, task, entries, change, told):
        change(entries)
        with pytest.raises(ProviderResponseError, match=told):
            Questionnaire(task).read(reply(entries))

    def test_all_faults_are_told_at_once(self, task, entries):
        entries[0]["scores"]["o1"] = 99
        entries[1]["scores"]["o1"] = "x"
        with pytest.raises(
            ProviderResponseError, match=r"of entry 1 .* is 99; .* of entry 2 .* is 'x'"
        ):
            Questionnaire(task).read(reply(entries))

    @pytest.mark.parametrize(
        "text",
        [
            *("", "{", "null", "[]", "{}", "<html>502</html>", "[" * 100_000),
            '{"features": {}}',
            '{"features": [], "more": 1}',
            '{"features": [], "features": []}',
        ],
    )
    def test_what_is_no_reply_is_an_error(self, task, text):
        with pytest.raises(ProviderResponseError):
            Questionnaire(task).read(text)

    def test_the_error_repeats_little_of_a_hostile_reply(self, task):
        with pytest.raises(ProviderResponseError) as caught:
            Questionnaire(task).read("\x1b[2J" * 9999)
        assert len(str(caught.value)) < 400
        assert "\x1b" not in str(caught.value)


@settings(deadline=None)
@given(
    st.lists(
        st.text(st.characters(exclude_categories=[])),
        unique_by=lambda name: clean_text(name, MAX_NAME_LENGTH),
        min_size=1,
    )
)
def test_any_names_can_be_asked_about_and_answered(names):
    task = make_task(tuple(Feature(name) for name in names))
    asked = json.loads(Questionnaire(task).user)["features"]
    entries = [{"id": f["id"], "reason": "", "scores": {"o1": 1}} for f in asked]
    assert Questionnaire(task).read(reply(entries)).scores["yes"] == dict.fromkeys(
        names, 1
    )


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["features", "id", "reason", "scores", "f1", "o1"]),
            inner | st.sampled_from(["f1", "f2", "f9", 3]),
            max_size=4,
        )
    ),
)


@settings(deadline=None)
@given(JSON)
def test_whatever_comes_back_is_an_answer_or_our_error(value):
    task = make_task((Feature("age"), Feature("sex")))
    for text in (json.dumps(value), json.dumps({"features": value})):
        try:
            found = Questionnaire(task).read(text)
        except ProviderResponseError:
            continue
        assert set(found.scores["yes"]) == {"age", "sex"}


@pytest.mark.parametrize("text", ["", "{", "NaN}", '{"a": 1, "a": 2}', "[" * 99_999])
def test_what_is_no_json_is_our_error(text):
    with pytest.raises(ProviderResponseError, match="not valid JSON"):
        read_json(text)


@pytest.mark.parametrize(
    "around",
    [
        "```json\n%s\n```",
        "```\n%s\n```",
        "\ufeff%s",
        "\ufeff```JSON\r\n%s\r\n```\r\n",
        "Here are the scores:\n\n%s\n\nI hope this helps.",
        "<think>\nhm\n</think>\n\n%s",
        "Older is frailer, {so} 4 it is.\n</think>\n%s",
        '<think>{"features": []} is a draft</think>\n```json\n%s\n```',
        "<thinking>{1}</thinking>%s",
        "[THINK]{1}[/THINK]%s",
        "<|channel|>final<|message|>%s",
        "<|channel|>analysis<|message|>{1}<|end|><|channel|>final<|message|>%s<|return|>",
        "<THINK>maybe {x}</THINK>%s",
        "<think>maybe {x}</think >%s",
        "<seed:think>{x}</seed:think>%s",
        "<analysis>{x}</analysis>%s",
        "<reflection>{x}</reflection>%s",
        "\u25c1think\u25b7{x}\u25c1/think\u25b7%s",
        "<|begin_of_thought|>{x}<|end_of_thought|>%s",
    ],
)
def test_the_one_object_of_a_reply_is_read(task, entries, around):
    entries[0]["reason"] = "a ``` and a <think> {in} the reason"
    found = Questionnaire(task).read(around % reply(entries))
    assert found.scores == {"yes": {"age": 4, "sex=female": -1}}
    assert found.reasons == {"age": entries[0]["reason"]}


@pytest.mark.parametrize(
    "around",
    [
        "%s\n%s",
        "Draft: %s. Final: %s",
        "```json\n%s\n```\nor\n```json\n%s\n```",
        "{scores}: %s%.0s",
        "%s, where {o1} is yes%.0s",
        '{"answer": %s%.0s',
    ],
)
def test_which_of_several_objects_is_meant_is_not_guessed(task, entries, around):
    text = reply(entries)
    with pytest.raises(ProviderResponseError, match="not valid JSON"):
        Questionnaire(task).read(around % (text, text))


RANKING = RankingQuestionnaire(
    Task(tuple(Feature(name) for name in "abcd"), "y", ("y1", "y2"), "regression")
)


def rank(number, direction="positive"):
    return {"id": f"f{number}", "direction": direction}


def ranking(**changes):
    rankings = {
        "o1": [rank(3), rank(1, "negative"), rank(2), rank(4, "none")],
        "o2": [rank(i, "none") for i in (1, 2, 3, 4)],
        **changes,
    }
    return json.dumps({"reasoning": "a and b overlap", "rankings": rankings})


class TestRanking:
    def test_ranks_become_scores_in_equal_steps(self):
        scores = RANKING.read(ranking()).scores
        expected = {"a": -20 / 3, "b": 10 / 3, "c": 10, "d": 0}
        assert scores["y1"] == pytest.approx(expected)
        assert scores["y2"] == dict.fromkeys("abcd", 0)

    def test_a_feature_without_direction_counts_for_no_rank(self):
        entries = [rank(4, "none"), rank(1), rank(2, "none"), rank(3, "negative")]
        scores = RANKING.read(ranking(o2=entries)).scores["y2"]
        assert scores == {"a": 10, "b": 0, "c": -5, "d": 0}

    def test_features_left_out_are_named(self):
        with pytest.raises(IncompleteReplyError, match=r"1 of 4 features: \['d'\]"):
            RANKING.read(ranking(o2=[rank(1), rank(2), rank(3)]))

    @pytest.mark.parametrize(
        ("entries", "message"),
        [
            ([rank(1), rank(1)], r"more than once: \['a'\]"),
            ([rank(9)], "id of entry 1 must be one of .*'f9'"),
            ([rank(1, "up")], "direction of entry 1 must be one of 'positive'"),
            ([{"id": "f1"}], "entry 1 must be an object with id, direction and"),
            ([rank(1, ["none"])], r"but is \['none'\]"),
            ([{**rank(1), "score": 10}], "entry 1 must be an object"),
            ([{"id": ["f1"], "direction": "none"}], r"one of .* but is \['f1'\]"),
            (["f1"], "entry 1 must be an object"),
            ("f1", "o2 of rankings must be a list"),
        ],
    )
    def test_a_fault_is_named(self, entries, message):
        with pytest.raises(ProviderResponseError, match=message):
            RANKING.read(ranking(o2=entries))

    @pytest.mark.parametrize("text", ["[]", "{}", '{"rankings": {"o1": []}}', "null"])
    def test_what_is_no_ranking_is_an_error(self, text):
        with pytest.raises(
            ProviderResponseError, match="rankings must be an object with o1, o2"
        ):
            RANKING.read(text)


class TestDrafts:
    drafts = DraftQuestionnaire(make_task((Feature("sbp"), Feature("dbp"))))

    def test_are_cleaned_and_cut(self):
        entries = [
            {"id": "f2", "description": "x" * 9999},
            {"id": "f1", "description": "Blood\x1b\n pressure."},
        ]
        response = self.drafts.read(reply(entries))
        assert response.scores == {}
        assert response.reasons["sbp"] == "Blood pressure."
        assert len(response.reasons["dbp"]) == MAX_DESCRIPTION_LENGTH

    @pytest.mark.parametrize(
        ("entries", "kind", "message"),
        [
            ([{"id": "f1", "description": ""}], IncompleteReplyError, "1 of 2 feat"),
            ([{"id": "f3", "description": ""}], ProviderResponseError, "of .*'f3'"),
            ([{"id": "f1", "description": 3}], ProviderResponseError, "must be text"),
            ([{"id": "f1"}], ProviderResponseError, "with id, description and"),
            ([{"id": "f1", "description": ""}] * 2, ProviderResponseError, "once"),
        ],
    )
    def test_a_fault_is_named(self, entries, kind, message):
        with pytest.raises(kind, match=message):
            self.drafts.read(reply(entries))


@pytest.mark.parametrize("mark", ["\n", "\t", "\r\n", "\x01"])
def test_a_line_break_inside_of_a_text_leaves_no_doubt(task, entries, mark):
    text = reply(entries).replace("Older is", f"Older{mark}is")
    assert Questionnaire(task).read(text).reasons["age"].endswith("is frailer.")
