import numpy as np
import pytest

from llmreg import Feature, FeaturePrior, Task
from llmreg.exceptions import (
    MissingKeyError,
    PriorMismatchWarning,
    ProviderResponseError,
)
from llmreg.providers import PriorCard, StaticPrior
from llmreg.providers._resolve import known_levels, needs_names, prior_source, resolve
from tests.fakes import FakeProvider

TASK = Task(
    features=(Feature("age"), Feature("sex", level="female")),
    target="ill",
    outputs=("yes",),
    kind="classification",
    classes=("no", "yes"),
)


@pytest.fixture
def card(tmp_path):
    path = tmp_path / "card.json"
    FeaturePrior.from_dict({"age": 3, "sex=female": -1}).write(path)
    return path


@pytest.mark.parametrize("kind", ["dict", "card", "text", "prior", "static", "path"])
def test_scores_at_hand(kind, card):
    scores = {"age": 3, "sex=female": -1}
    given = {
        "dict": scores,
        "card": PriorCard(card),
        "text": str(card),
        "prior": FeaturePrior.from_dict(scores),
        "static": StaticPrior(scores),
        "path": card,
    }[kind]
    source = prior_source(given)
    assert not needs_names(source)
    assert known_levels(source, ["age", "sex"]) == {"sex": ["female"]}
    assert known_levels(source, ["cat__sex"]) == {"cat__sex": ["female"]}
    assert resolve(source, TASK).scores.tolist() == [[3, -1]]


@pytest.mark.parametrize(
    ("given", "expected"),
    [(4, [[4, 4]]), ([1, -2], [[1, -2]]), (np.array([[1, 2]]), [[1, 2]])],
)
def test_arrays_and_numbers(given, expected):
    source = prior_source(given)
    assert known_levels(source, ["sex"]) == {}
    assert resolve(source, TASK).scores.tolist() == expected


def test_none():
    assert prior_source(None) is None
    assert not needs_names(None)


def test_provider():
    provider = FakeProvider()
    assert prior_source(provider) is provider
    assert needs_names(provider)
    assert not needs_names(FakeProvider(requires_names=False))
    assert resolve(provider, TASK).features == TASK.keys


def test_provider_of_a_few_lines():
    class Mine:
        def elicit(self, task):
            return dict.fromkeys(task.keys, 2)

    assert resolve(prior_source(Mine()), TASK).scores.tolist() == [[2, 2]]


def test_provider_that_answers_something_else():
    class Chatty:
        def elicit(self, task):
            return "I think that age matters most."

    with pytest.raises(ProviderResponseError, match=r"Chatty.elicit must .* got str"):
        resolve(Chatty(), TASK)


def test_readiness_comes_first():
    class Keyless:
        def check_ready(self, task):
            raise MissingKeyError("no key")

        def elicit(self, task):
            raise AssertionError("must not be asked")

    with pytest.raises(MissingKeyError):
        resolve(prior_source(Keyless()), TASK)


def test_scores_for_the_negative_class_are_negated():
    assert resolve({"no": {"age": 3}}, TASK).scores[0, 0] == -3
    both = {"no": {"age": -2}, "yes": {"age": 2}}
    assert resolve(both, TASK).scores[0, 0] == 2
    with pytest.warns(PriorMismatchWarning, match="both classes, and not alike"):
        both = resolve({"no": {"age": 3}, "yes": {"age": 2}}, TASK)
    assert both.scores[0, 0] == 2


@pytest.mark.parametrize(
    ("classes", "name"),
    [
        (("0", "1"), "False"),
        (("0.0", "1.0"), "0"),
        (("False", "True"), "0"),
        (("False", "True"), "No"),
    ],
)
def test_a_class_may_be_spelled_as_another_number(classes, name):
    """Labels with gaps are floats, and what numbers labels makes them whole."""
    task = Task(
        features=(Feature("age"),),
        target="health",
        outputs=classes[1:],
        kind="classification",
        classes=classes,
    )
    assert resolve({name: {"age": 3}}, task).scores[0, 0] == -3


def test_a_class_that_is_none_is_told():
    """Taken for the wrong one of two it would turn every sign."""
    with pytest.warns(PriorMismatchWarning, match="neither of the classes") as told:
        prior = resolve({"nope": {"age": 3}}, TASK)
    assert prior.scores[0, 0] == 3
    assert "'yes'" in str(told[0].message)
    for name in ("target", TASK.target):
        assert resolve({name: {"age": 3}}, TASK).scores[0, 0] == 3
