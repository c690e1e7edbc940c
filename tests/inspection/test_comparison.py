import numpy as np
import pandas as pd
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from llmreg import LLMAttributionClassifier
from llmreg.inspection._comparison import last_step, settle, with_prior
from tests.fakes import FakeProvider


@pytest.fixture
def rows():
    return pd.DataFrame({"age": [1.0, 2, 3, 4], "sex": ["f", "m", "f", "m"]})


LABELS = ["ill", "well", "ill", "well"]


def test_labels_of_the_caller_are_not_taken_for_numbers(rng):
    X, y = pd.DataFrame({"a": rng.random(20)}), np.arange(20) % 2
    prior = settle(LLMAttributionClassifier({1: {"a": 5}}), X, y)
    assert prior.outputs == ("1",)


def test_a_settled_prior_has_all_columns_and_trains_nothing(rows):
    model = LLMAttributionClassifier(FakeProvider())
    prior = settle(model, rows, LABELS)
    assert prior.features == ("age", "sex=f", "sex=m")
    assert prior.outputs == ("well",)
    assert not hasattr(model, "prior_")


def test_names_are_those_that_reach_the_last_step(rows):
    scale = StandardScaler().set_output(transform="pandas")
    inner = make_pipeline(LLMAttributionClassifier({"age": 3}))
    prior = settle(make_pipeline(scale, inner), rows[["age"]], LABELS)
    assert prior.features == ("age",)


def test_a_copy_has_another_prior_and_the_original_its_own(rows):
    pipeline = make_pipeline(LLMAttributionClassifier({"age": 3}, alpha=2.0))
    copy = with_prior(pipeline, None)
    assert last_step(copy).prior is None
    assert last_step(copy).alpha == 2.0
    assert last_step(pipeline).prior == {"age": 3}
