from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import clone

from llmreg.exceptions import PriorCardError, PriorMismatchError, PriorScoreError
from llmreg.prior._feature_prior import FeaturePrior
from llmreg.providers import PriorCard, StaticPrior

PRIOR = FeaturePrior.from_dict({"age": -4, "fare": 2})


def test_a_prior_is_given_as_it_is(task):
    assert StaticPrior(PRIOR).elicit(task) is PRIOR


@pytest.mark.parametrize("provider", [StaticPrior(PRIOR), PriorCard("a.json")])
def test_nobody_is_asked(task, provider):
    assert provider.has_cached(task)
    assert provider.estimate_cost(task).requests == 0
    assert provider.preview(task) == []


def test_a_dict_is_for_the_output_of_the_task(task):
    prior = StaticPrior({"age": -4}).elicit(task)
    assert (prior.features, prior.outputs) == (("age",), ("yes",))


def test_a_dict_may_name_its_outputs(task):
    prior = StaticPrior({"no": {"age": 4}, "yes": {"age": -4}}).elicit(task)
    assert prior.outputs == ("no", "yes")


@pytest.mark.parametrize("scores", [[1, 2, 3], np.array([[1.0, 2.0, 3.0]])])
def test_an_array_follows_the_features_of_the_task(task, scores):
    prior = StaticPrior(scores).elicit(task)
    assert prior.features == task.keys
    assert prior.scores.tolist() == [[1, 2, 3]]


def test_an_array_of_the_wrong_width_is_an_error(task):
    with pytest.raises(PriorMismatchError, match="3 features"):
        StaticPrior([1, 2]).elicit(task)


def test_wrong_scores_are_an_error(task):
    with pytest.raises(PriorScoreError, match="'age' has 99"):
        StaticPrior({"age": 99}).elicit(task)


@pytest.mark.parametrize("kind", [StaticPrior, PriorCard])
@pytest.mark.parametrize("as_path", [str, lambda path: path])
def test_a_card_is_read(task, tmp_path, kind, as_path):
    PRIOR.write(tmp_path / "prior.json")
    prior = kind(as_path(tmp_path / "prior.json")).elicit(task)
    assert prior.to_json() == PRIOR.to_json()


@pytest.mark.parametrize("kind", [StaticPrior, PriorCard])
def test_a_card_that_is_not_there_is_an_error(task, tmp_path, kind):
    with pytest.raises(PriorCardError, match=r"nowhere\.json"):
        kind(tmp_path / "nowhere.json").elicit(task)


def test_an_edited_card_takes_effect(task, tmp_path):
    path = tmp_path / "prior.json"
    PRIOR.write(path)
    provider = PriorCard(path)
    provider.elicit(task)
    path.write_text(path.read_text().replace("-4", "9"))
    assert provider.elicit(task).scores[0, 0] == 9


@pytest.mark.parametrize("prior", [PRIOR, {"age": 1}, [1, 2, 3], "prior.json"])
def test_survives_clone(task, prior):
    copy = clone(StaticPrior(prior))
    assert type(copy.prior) is type(prior)
    assert not copy.requires_feature_names
