"""Questionnaires in disguise: what is hidden, and the way back to the card."""

import json

import pytest

from benchmarks.data import disguise
from benchmarks.data.catalogue import HERE, PAPER, encoded_keys, read_card
from benchmarks.data.disguise import (
    VARIANTS,
    AnswerError,
    disguised,
    question_text,
    read_disguised,
    record,
    swapped_pair,
)


def answers_to(variant):
    """The same score for every feature of every questionnaire, but for the first."""
    answers = {}
    for number, card in enumerate(PAPER, 1):
        items = disguised(card, variant).items
        answers[str(number)] = dict.fromkeys((item.key for item in items), 1)
        answers[str(number)][items[0].key] = -10
    return answers


@pytest.mark.parametrize("card", PAPER)
def test_the_control_is_the_recorded_questionnaire_word_for_word(card):
    text = json.loads((HERE / "priors" / f"{card}.json").read_text())["questionnaire"]
    assert disguised(card, "again").text == text


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("card", PAPER)
def test_every_line_leads_back_to_one_feature(card, variant):
    items = disguised(card, variant).items
    assert len({item.key for item in items}) == len(items)
    assert {i.stands_for for i in items} == set(encoded_keys(read_card(card)))


@pytest.mark.parametrize("card", PAPER)
def test_neutral_questions_have_nothing_of_the_card_but_the_task(card):
    asked = disguised(card, "neutral")
    body = asked.text.removeprefix(asked.head)
    about = read_card(card)["features"]
    assert not [
        word["description"] for word in about.values() if word["description"] in body
    ]
    for item in asked.items:
        assert item.key.startswith("feature ")
        assert item.about.startswith(("a numeric feature", "a yes-or-no", "a category"))


def test_hidden_names_keep_their_descriptions():
    was, now = disguised("adult", "again").items, disguised("adult", "hidden").items
    assert [item.about for item in was] == [item.about for item in now]
    assert now[1].key == "feature 2=level 1"
    assert now[10].key == "feature 3"


def test_names_alone_have_no_colon():
    assert "\n1. Age\n2. Weight\n" in disguised("bodyfat", "names").text


def test_only_the_pair_changes_names():
    high, low = swapped_pair("bodyfat")
    items = {i.stands_for: i for i in disguised("bodyfat", "swapped").items}
    assert items[high].key == low
    assert items[low].key == high
    assert items[high].about.startswith("Circumference of the abdomen")
    assert [key for key, i in items.items() if i.key != key] == [high, low]


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_questions_name_no_table(variant):
    text = question_text(variant)
    assert f"\nQuestionnaire {len(PAPER)}\n\nYou are" in text
    assert not [card for card in PAPER if f"Questionnaire {card}" in text]


@pytest.mark.parametrize("variant", VARIANTS)
def test_answers_come_back_in_the_names_of_the_card(variant, tmp_path):
    record(variant, answers_to(variant), "made up", tmp_path)
    for card in PAPER:
        prior = read_disguised(card, variant, tmp_path)
        first = disguised(card, "again").items[0].key
        assert set(prior.features) == set(encoded_keys(read_card(card)))
        assert prior.outputs == ("yes",)
        assert prior.scores[0, prior.features.index(first)] == -10


def test_a_score_under_a_swapped_name_goes_to_what_was_described(tmp_path):
    answers = answers_to("swapped")
    number = str(PAPER.index("bodyfat") + 1)
    answers[number]["Wrist"] = 9
    record("swapped", answers, "made up", tmp_path)
    prior = read_disguised("bodyfat", "swapped", tmp_path)
    assert prior.scores[0, prior.features.index("Abdomen")] == 9


def test_faulty_answers_are_all_named_and_nothing_is_kept(tmp_path):
    answers = answers_to("names")
    del answers["3"]["Age"]
    answers["3"] |= {"Ag": 1, "Hip": 11}
    answers["7"]["BMI"] = 1.5
    with pytest.raises(AnswerError) as caught:
        record("names", answers, "made up", tmp_path)
    for part in ("missing: Age", "about: Ag", "Hip: 11", "questionnaire 7", "BMI: 1.5"):
        assert part in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_the_program_writes_and_records(tmp_path, capsys):
    assert disguise.main(["ask", str(tmp_path)]) == 0
    assert (tmp_path / "names.txt").read_text() == question_text("names")
    assert "403 features" in capsys.readouterr().out
    (tmp_path / "names.json").write_text("{}")
    assert disguise.main(["record", str(tmp_path), "--provenance", "x"]) == 1
    assert "names, questionnaire 1: missing: age" in capsys.readouterr().err


def test_answers_of_which_nobody_says_where_they_are_from(tmp_path, capsys):
    (tmp_path / "names.json").write_text(json.dumps(answers_to("names")))
    assert disguise.main(["record", str(tmp_path), "--provenance", " "]) == 2
    assert "where the answers are from" in capsys.readouterr().err
