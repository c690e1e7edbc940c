from __future__ import annotations

import subprocess
import sys
from importlib.metadata import EntryPoint

import pytest

from llmreg import LLMAttributionClassifier
from llmreg.exceptions import PriorCardError, PriorError, ProviderError
from llmreg.prior._feature_prior import FeaturePrior
from llmreg.providers import AnthropicProvider, OpenAIProvider
from llmreg.providers import _resolve as registry
from llmreg.providers._resolve import (
    make_provider,
    prior_source,
    provider_names,
    resolve,
)


class Mine:
    """A provider of another package."""

    def elicit(self, task):
        return dict.fromkeys(task.keys, 2)


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


def test_a_real_installation_is_found(tmp_path):
    (tmp_path / "their_provider.py").write_text(
        "class Theirs:\n    def elicit(self, task):\n        return {}\n"
    )
    info = tmp_path / "their_package-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: their-package\n")
    (info / "entry_points.txt").write_text(
        "[llmreg.providers]\ntheirs = their_provider:Theirs\n"
    )
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "from llmreg.providers._resolve import make_provider, provider_names\n"
        "names = provider_names()\n"
        "assert 'their_provider' not in sys.modules and 'theirs' in names\n"
        "assert 'openai' not in sys.modules and 'anthropic' not in sys.modules\n"
        "sys.stdout.write(type(make_provider('theirs')).__name__)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout == "Theirs"
