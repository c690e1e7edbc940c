import numpy as np
import pandas as pd
import pytest

from llmreg import Feature, LLMAttributionClassifier
from llmreg.exceptions import FeatureNamesError
from llmreg.prior._describe import column_names, describe
from tests.fakes import FakeProvider


def test_names_of_a_frame():
    X = pd.DataFrame(np.zeros((1, 2)), columns=["a", "b"])
    assert column_names(X) == (("a", "b"), True)
    assert column_names(X, {"b": "weight"}) == (("a", "weight"), True)
    assert column_names(X.set_axis([1, 2], axis=1)) == (("1", "2"), False)


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
