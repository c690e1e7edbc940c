from __future__ import annotations

import json
import pickle

import pytest

from llmreg.exceptions import FeatureNamesError
from llmreg.prior._task import Feature, Task


def make(**changes):
    fields = {
        "features": (Feature("age"), Feature("sex", level="female")),
        "target": "survived",
        "outputs": ("yes",),
        "kind": "classification",
        "classes": ("no", "yes"),
    }
    return Task(**{**fields, **changes})


def test_the_key_of_a_level_has_the_level():
    assert make().keys == ("age", "sex=female")
    assert Feature("sex", level="").key == "sex="


def test_any_sequence_becomes_a_tuple():
    task = make(features=[Feature("age")], outputs=["yes"], classes=["no", "yes"])
    assert task == make(features=(Feature("age"),))
    assert hash(task) == hash(make(features=(Feature("age"),)))


def test_the_dict_is_plain_and_stable_and_leads_back():
    task = make(description="Who survived?")
    text = json.dumps(task.to_dict())
    assert text == json.dumps(make(description="Who survived?").to_dict())
    assert Task.from_dict(json.loads(text)) == task
    assert pickle.loads(pickle.dumps(task)) == task


def test_a_key_that_is_there_twice_is_named():
    with pytest.raises(FeatureNamesError, match=r"\['age'\] more than once"):
        make(features=(Feature("age"), Feature("age", "in years")))


@pytest.mark.parametrize("outputs", [(), ("yes", "yes")])
def test_outputs_are_named_once(outputs):
    with pytest.raises(ValueError, match="each scored output once"):
        make(outputs=outputs)


def test_an_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="classification, regression; got 'ranking'"):
        make(kind="ranking")


def test_an_order_is_kept_and_tasks_without_one_are_written_as_ever():
    ordered = Feature("stage", level="II", order=2)
    task = Task((Feature("age"), ordered), "ill", ("yes",), "classification")
    plain, told = task.to_dict()["features"]
    assert set(plain) == {"name", "description", "level", "level_description", "unit"}
    assert told["order"] == 2
    assert Task.from_dict(task.to_dict()) == task
