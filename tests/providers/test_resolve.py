import sys
from dataclasses import replace
from importlib.metadata import EntryPoint

import numpy as np
import pandas as pd
import polars as pl
import pytest

from llmreg import Feature, FeaturePrior, LLMAttributionClassifier, Task
from llmreg.exceptions import (
    FeatureNamesError,
    MissingKeyError,
    PriorCardError,
    PriorDisabledWarning,
    PriorError,
    PriorMismatchError,
    PriorMismatchWarning,
    ProviderError,
    ProviderResponseError,
)
from llmreg.providers import (
    AnthropicProvider,
    OpenAIProvider,
    PriorCard,
    StaticPrior,
    make_provider,
    provider_names,
)
from llmreg.providers import _resolve as registry
from llmreg.providers._resolve import known_levels, needs_names, prior_source, resolve
from tests.fakes import FakeProvider

TASK = Task(
    features=(Feature("age"), Feature("sex", level="female")),
    target="ill",
    outputs=("yes",),
    kind="classification",
    classes=("no", "yes"),
)


class Mine:
    """A provider of a few lines."""

    def elicit(self, task):
        return dict.fromkeys(task.keys, 2)


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
    assert resolve(prior_source(Mine()), TASK).scores.tolist() == [[2, 2]]


def test_provider_that_says_more_than_it_was_asked():
    class Eager:
        def elicit(self, task):
            return {**dict.fromkeys(task.keys, 2), "Sex=female": 1, "zip": 3}

    message = "Eager scores 'Sex=female', 'zip', .* Sex=female: the nearest names are"
    with pytest.warns(PriorMismatchWarning, match=message):
        assert resolve(Eager(), TASK).scores.tolist() == [[2, 2]]


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


def test_scores_that_are_all_zero_are_warned_of():
    with pytest.warns(PriorDisabledWarning, match="has no effect"):
        assert not resolve({"age": 0, "sex=female": 0}, TASK).scores.any()


def test_scores_for_the_negative_class_are_negated():
    assert resolve({"no": {"age": 3}}, TASK).scores[0, 0] == -3
    both = {"no": {"age": -2}, "yes": {"age": 2}}
    assert resolve(both, TASK).scores[0, 0] == 2
    with pytest.warns(PriorMismatchWarning, match="both classes, and not alike"):
        both = resolve({"no": {"age": 3}, "yes": {"age": 2}}, TASK)
    assert both.scores[0, 0] == 2


NAMED = pd.Series({"sex=female": 5.0, "age": 1.0})


@pytest.mark.parametrize("wrap", [lambda prior: prior, StaticPrior])
@pytest.mark.parametrize(
    ("prior", "expected"),
    [
        (NAMED, [1, 5]),
        (NAMED.astype("category"), [1, 5]),
        (NAMED.to_frame().T, [1, 5]),
        (NAMED.to_frame("no").T, [-1, -5]),
        (NAMED.to_frame("yes").T, [1, 5]),
        (pd.DataFrame([NAMED, -NAMED], index=["yes", "no"]), [1, 5]),
        (NAMED[["age"]], [1, np.nan]),
        (pl.DataFrame({"sex=female": [5], "age": [1]}), [1, 5]),
        # Without names the place of a score decides.
        (NAMED.reset_index(drop=True), [5, 1]),
        (NAMED.to_numpy(), [5, 1]),
        (pl.Series("scores", [5, 1]), [5, 1]),
    ],
)
def test_series_and_tables_go_by_their_names(prior, expected, wrap):
    given = prior_source(wrap(prior))
    np.testing.assert_array_equal(resolve(given, TASK).scores, [expected])


def test_names_of_a_series_are_checked():
    with pytest.raises(PriorMismatchError, match="unexpected feature names: 'zz'"):
        resolve(prior_source(pd.Series({"age": 5, "zz": 1})), TASK)
    with pytest.raises(FeatureNamesError, match=r"'age'.* more than once"):
        prior_source(pd.Series([1, 2], index=["age", "age"]))


@pytest.mark.parametrize("number", [10**17, -(10**18), 2**53])
def test_classes_are_told_apart_by_their_last_digit(number):
    classes = tuple(map(str, (number, number + 1)))
    task = replace(TASK, outputs=classes[1:], classes=classes)
    assert resolve({classes[0]: {"age": 3}}, task).scores[0, 0] == -3
    assert resolve({classes[1]: {"age": 3}}, task).scores[0, 0] == 3
    assert resolve({f"{number}.0": {"age": 3}}, task).scores[0, 0] == -3


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


class NeedsArguments(Mine):
    def __init__(self, token):
        self.token = token


def no_provider():
    return "no provider"


@pytest.fixture
def register(monkeypatch):
    """Let other packages have entry points, for one test."""
    points = []

    def add(name, value=f"{__name__}:Mine"):
        points.append(EntryPoint(name, value, registry.GROUP))

    monkeypatch.setattr(
        registry, "entry_points", lambda group: [p for p in points if p.group == group]
    )
    return add


@pytest.mark.parametrize(
    ("name", "kind"), [("anthropic", AnthropicProvider), ("openai", OpenAIProvider)]
)
def test_providers_of_this_package(name, kind):
    assert name in provider_names()
    assert type(prior_source(name)) is kind


def test_a_provider_of_another_package(register, task):
    register("mine")
    assert "mine" in provider_names()
    assert resolve(prior_source("mine"), task).scores.tolist() == [[2, 2, 2]]


def test_an_estimator_takes_the_name(register, monkeypatch):
    register("mine")
    X, y = [[0.0, 1.0], [1.0, 0.0], [0.2, 0.9], [0.9, 0.3]], [0, 1, 0, 1]
    model = LLMAttributionClassifier("mine", feature_names=["age", "fare"])
    assert model.fit(X, y).prior_.scores.tolist() == [[2, 2]]
    assert model.prior == "mine"


def test_nothing_is_imported_before_it_is_asked_for(register):
    register("broken", "a_module_that_is_not_there:Provider")
    assert "broken" in provider_names()
    with pytest.raises(ProviderError, match=r"'broken'.*ModuleNotFoundError"):
        prior_source("broken")


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (f"{__name__}:NeedsArguments", "token"),
        (f"{__name__}:Missing", "AttributeError"),
        (f"{__name__}:no_provider", "has no elicit method; it is a str"),
    ],
)
def test_what_cannot_be_used_is_named(register, value, told):
    register("theirs", value)
    with pytest.raises(ProviderError, match=told) as caught:
        make_provider("theirs")
    assert value in str(caught.value)


def test_two_packages_that_claim_one_name(register):
    register("theirs")
    register("theirs", f"{__name__}:no_provider")
    with pytest.raises(ProviderError, match=r"Several packages .* Uninstall"):
        make_provider("theirs")


def test_the_same_package_seen_twice_is_one(register):
    register("theirs")
    register("theirs")
    assert type(make_provider("theirs")) is Mine


def test_nobody_can_take_a_name_of_this_package(register, caplog):
    register("anthropic")
    assert type(make_provider("anthropic")) is AnthropicProvider
    prior_source("anthropic")
    assert "is ignored: 'anthropic'" in caplog.text


def test_a_text_that_is_no_name_is_a_path(task, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    FeaturePrior.from_dict({"age": 3}).write("card")
    assert prior_source("card").scores.tolist() == [[3]]


def test_a_text_that_is_neither_is_an_error_that_names_both(register, tmp_path):
    register("mine")
    with pytest.raises(PriorCardError) as caught:
        prior_source("antropic")
    for told in ("no such file", "'mine'", "'openai'", "Did you mean 'anthropic'?"):
        assert told in str(caught.value)


def test_an_unknown_name_is_an_error():
    with pytest.raises(PriorError, match="no provider 'nobody'"):
        make_provider("nobody")


def test_a_real_installation_is_found(tmp_path, monkeypatch):
    (tmp_path / "their_provider.py").write_text(
        "class Theirs:\n    def elicit(self, task):\n        return {}\n"
    )
    info = tmp_path / "their_package-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: their-package\n")
    (info / "entry_points.txt").write_text(
        "[llmreg.providers]\ntheirs = their_provider:Theirs\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert "theirs" in registry.provider_names()
    assert "their_provider" not in sys.modules
    assert type(make_provider("theirs")).__name__ == "Theirs"
    del sys.modules["their_provider"]
