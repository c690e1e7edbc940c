from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from llmreg import Feature, LLMAttributionClassifier
from llmreg.exceptions import FeatureNamesError
from llmreg.prior._names import (
    column_names,
    describe,
    match,
    unheard,
    without_prefix,
)
from tests.fakes import FakeProvider


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


def test_the_nearest_of_many_levels_come_first():
    table = [Feature("cat__city", level=f"Town {i}") for i in range(30)]
    table.append(Feature("cat__city", level="Paris"))
    [told] = unheard(["city=Pariss"], table)
    assert told.startswith("city=Pariss: the levels are Paris, Town 0, ")
    assert told.endswith("and 21 more")
    # The level is there for the sake of the prior alone.
    extra = Feature("cat__city", level="Pariss")
    assert unheard(["city=Pariss"], [*table, extra], {extra.key}) == [told]
    assert unheard(["city=Pariss"], [*table, extra]) == []


def test_a_score_for_the_whole_of_a_categorical_column_is_unknown():
    found = match(["sex"], [Feature("sex", level="female")])
    assert found == match(["sex"], [Feature("sex", level="female")])
    assert found.unknown == ("sex",)


def test_names_of_a_frame():
    X = pd.DataFrame(np.zeros((1, 2)), columns=["a", "b"])
    assert column_names(X) == (("a", "b"), True)
    assert column_names(X, {"b": "weight"}) == (("a", "weight"), True)
    odd = X.set_axis([("a", 1), 2], axis=1)
    assert column_names(odd) == (("('a', 1)", "2"), False)
    with pytest.raises(FeatureNamesError, match="1 names, but X has 2 columns"):
        column_names(X, ["a"])


def test_names_of_an_array():
    assert column_names(np.zeros((1, 2))) == (("x0", "x1"), False)
    assert column_names(np.zeros((1, 2)), ["a", "b"]) == (("a", "b"), True)


def test_renaming_what_is_not_there():
    with pytest.raises(FeatureNamesError, match=r"does not have: \['z'\]"):
        column_names(np.zeros((1, 2)), {"z": "weight"})


def test_descriptions_find_columns_and_levels():
    columns = [
        Feature("num__age"),
        Feature("sex", level="female"),
        Feature("cat__region_north"),
        Feature("bmi"),
    ]
    texts = {
        "age": "in years",
        "sex": "as recorded",
        "sex=female": "a woman",
        "sex=other": "no row has it",
        "region=north": "north of the river",
    }
    assert describe(columns, texts) == (
        Feature("age", "in years"),
        Feature("sex", "as recorded", "female", "a woman"),
        Feature("region=north", "north of the river"),
        Feature("bmi"),
    )
    assert describe(columns, None) == tuple(columns)


def test_a_provider_hears_the_descriptions(table, illness):
    class Curious(FakeProvider):
        def elicit(self, task):
            type(self).heard = task
            return super().elicit(task)

    LLMAttributionClassifier(
        Curious(),
        task="Tell who falls ill.",
        feature_descriptions={"age": "in years"},
        device="cpu",
    ).fit(table, illness)
    task = Curious.heard
    assert task.description == "Tell who falls ill."
    assert (task.target, task.outputs) == ("illness", ("ill",))
    assert task.classes == ("healthy", "ill")
    assert task.features[0] == Feature("age", "in years")
    assert "region=west" in task.keys
