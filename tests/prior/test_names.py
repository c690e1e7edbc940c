from __future__ import annotations

import pytest

from llmreg.exceptions import FeatureNamesError
from llmreg.prior._names import match, without_prefix
from llmreg.prior._task import Feature


def columns(*names):
    return [Feature(name) for name in names]


def test_the_own_name_comes_first():
    found = match(["age", "num__age"], columns("num__age"))
    assert found.sources == ("num__age",)


def test_order_plays_no_part():
    found = match(["a", "b", "c"], columns("c", "a", "b"))
    assert found.sources == ("c", "a", "b")


def test_prefixes_are_dropped_up_to_the_first_mark():
    assert without_prefix("num__blood__sugar") == "blood__sugar"
    assert without_prefix("num__") == "num__"
    assert match(["blood__sugar"], columns("num__blood__sugar")).sources == (
        "blood__sugar",
    )


def test_a_prefix_is_dropped_from_the_name_of_a_level_too():
    table = [Feature("cat__sex", level="female")]
    assert match(["sex=female"], table).sources == ("sex=female",)


@pytest.mark.parametrize("column", ["sex_female", "cat__sex_female"])
def test_one_hot_columns_find_the_key_of_their_level(column):
    assert match(["sex=female"], columns(column)).sources == ("sex=female",)


def test_underscores_in_names_and_levels_do_not_matter():
    keys = ["home_owner=own_flat", "home=owner"]
    found = match(keys, columns("cat__home_owner_own_flat", "cat__home_owner"))
    assert found.sources == ("home_owner=own_flat", "home=owner")


def test_a_level_with_the_mark_in_it_is_found():
    assert match(["bmi=>=30"], columns("bmi_>=30")).sources == ("bmi=>=30",)
    assert match(["a=b=c"], columns("a=b_c")).sources == ("a=b=c",)


def test_without_aliases_only_the_own_name_counts():
    found = match(["age", "sex=f"], columns("num__age", "sex_f"), aliases=False)
    assert found.sources == (None, None)


@pytest.mark.parametrize(
    ("keys", "names"),
    [
        (["age"], ["num__age", "cat__age"]),
        (["age"], ["age", "num__age"]),
        (["sex=f"], ["sex_f", "cat__sex_f"]),
    ],
)
def test_two_columns_for_one_key_are_named(keys, names):
    with pytest.raises(FeatureNamesError) as caught:
        match(keys, columns(*names))
    assert all(repr(name) in str(caught.value) for name in [*keys, *names])


@pytest.mark.parametrize(
    ("keys", "name"),
    [
        (["a=b_c", "a_b=c"], "a_b_c"),
        (["sex_f", "sex=f"], "cat__sex_f"),
    ],
)
def test_two_keys_for_one_column_are_named(keys, name):
    with pytest.raises(FeatureNamesError) as caught:
        match(keys, columns(name))
    assert all(repr(text) in str(caught.value) for text in [*keys, name])


def test_unknown_features_are_listed_and_unknown_levels_are_not():
    table = [*columns("age"), Feature("sex", level="female")]
    found = match(["age", "sex=male", "fare", "port=Cork"], table)
    assert found.sources == ("age", None)
    assert found.unknown == ("fare", "port=Cork")


def test_a_level_that_no_one_hot_column_shows_is_not_unknown():
    found = match(["sex=male", "sex=female"], columns("cat__sex_male"))
    assert found.unknown == ()


def test_a_score_for_the_whole_of_a_categorical_column_is_unknown():
    found = match(["sex"], [Feature("sex", level="female")])
    assert found == match(["sex"], [Feature("sex", level="female")])
    assert found.unknown == ("sex",)
