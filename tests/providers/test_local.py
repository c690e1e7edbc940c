"""The local provider around a stand-in for llama.cpp; `test_real` has the real one."""

from __future__ import annotations

import json
import pickle
import sys
from types import ModuleType

import pytest
from sklearn.base import clone

from llmreg.exceptions import (
    MissingDependencyError,
    ProviderError,
    ProviderUnavailableError,
    TruncatedReplyError,
)
from llmreg.prompting import reply_schema
from llmreg.providers import LocalProvider
from llmreg.providers.grammar import in_order
from llmreg.task import Feature, Task


class Llama:
    """Answers by the grammar, a piece at a time; what was asked is kept."""

    loaded: list[Llama]
    stop = "stop"
    failure: Exception | None = None

    def __init__(self, path, **options):
        if "broken" in path:
            raise ValueError("Failed to load model from file")
        self.path, self.options, self.asked, self.n_tokens = path, options, [], 0
        self.is_closed = False
        self.loaded.append(self)

    def create_chat_completion(self, **asked):
        self.asked.append(asked)
        if self.failure is not None:
            raise self.failure
        document = json.loads(asked["messages"][-1]["content"])
        entries = [
            {
                "id": f["id"],
                "reason": f"of {f['name']}",
                "scores": {o["id"]: len(f["name"]) % 10 for o in document["outputs"]},
            }
            for f in document["features"]
        ]
        text = json.dumps({"features": entries})
        pieces = [text[i : i + 9] for i in range(0, len(text), 9)]
        self.n_tokens = 50 + len(pieces)
        yield {"choices": [{"delta": {"role": "assistant"}, "finish_reason": None}]}
        for piece in pieces:
            yield {"choices": [{"delta": {"content": piece}, "finish_reason": None}]}
        yield {"choices": [{"delta": {}, "finish_reason": self.stop}]}

    def close(self):
        self.is_closed = True


@pytest.fixture
def llama(monkeypatch):
    module = ModuleType("llama_cpp")
    module.Llama = type("Llama", (Llama,), {"loaded": []})
    monkeypatch.setitem(sys.modules, "llama_cpp", module)
    return module.Llama


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "model.gguf"
    path.touch()
    return path


@pytest.fixture
def wide():
    features = tuple(Feature("x" * (i + 1)) for i in range(7))
    return Task(features, "y", ("yes",), "classification", ("no", "yes"))


def test_a_prior(llama, file, task):
    prior = LocalProvider(file, n_estimates=2).elicit(task)
    assert prior.scores.tolist() == [[3, 3, 4]]
    assert prior.rationale["fare"] == "of fare"
    assert prior.provenance["model"] == "model.gguf"
    assert prior.estimates.shape == (2, 1, 3)
    assert prior.usage["requests"] == 2
    assert prior.usage["input_tokens"] == 100
    assert prior.usage["output_tokens"] > 20
    (model,) = llama.loaded
    assert model.is_closed
    assert len({asked["seed"] for asked in model.asked}) == 2
    assert model.options["n_ctx"] == 4096


def test_many_features_are_asked_in_chunks(llama, file, wide):
    prior = LocalProvider(file, n_estimates=1, chunk_size=3).elicit(wide)
    assert prior.scores.tolist() == [[1, 2, 3, 4, 5, 6, 7]]
    (model,) = llama.loaded
    asked = [json.loads(a["messages"][-1]["content"]) for a in model.asked]
    names = [[f["name"] for f in document["features"]] for document in asked]
    assert [len(part) for part in names] == [3, 2, 2]
    columns = [f.name for f in wide.features]
    assert [name for part in names for name in part] == columns
    assert all(document["columns"] == columns for document in asked)
    schemas = [a["response_format"]["schema"] for a in model.asked]
    assert schemas == [in_order(reply_schema(n, 1)) for n in (3, 2, 2)]


def test_each_answer_is_bounded(llama, file, wide):
    LocalProvider(file, n_estimates=1, chunk_size=3).elicit(wide)
    assert {a["max_tokens"] for a in llama.loaded[0].asked} == {3 * 220, 2 * 220}


def test_what_is_cached_needs_neither_model_nor_file(llama, file, task, monkeypatch):
    provider = LocalProvider(file, n_estimates=1)
    provider.elicit(task)
    file.unlink()
    monkeypatch.setitem(sys.modules, "llama_cpp", None)
    provider.check_ready(task)
    assert provider.elicit(task).usage["served_from_cache"] == 1


def test_readiness_loads_nothing(llama, file):
    LocalProvider(file).check_ready()
    assert llama.loaded == []


def test_an_answer_that_is_cut_off_gets_twice_the_room(llama, file, task):
    llama.stop = "length"
    with pytest.raises(TruncatedReplyError, match="max_tokens=100"):
        LocalProvider(file, n_estimates=1, max_tokens=50).elicit(task)
    # All three features, then one of them.
    assert [a["max_tokens"] for a in llama.loaded[0].asked] == [50, 100] * 3


def test_the_clock_ends_an_answer(llama, file, task, monkeypatch):
    times = iter(range(0, 10_000, 40))
    monkeypatch.setattr("llmreg.providers.local.time.monotonic", lambda: next(times))
    with pytest.raises(ProviderUnavailableError, match=r"within 100 s.*smaller model"):
        LocalProvider(file, n_estimates=1, timeout=100.0).elicit(task)


def test_a_context_that_is_too_small(llama, file, task):
    llama.failure = ValueError("Requested tokens (600) exceed context window of 512")
    with pytest.raises(ProviderError, match=r"exceed .* lower `chunk_size`") as caught:
        LocalProvider(file, n_estimates=1, n_ctx=512).elicit(task)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_a_file_that_is_no_model(llama, tmp_path, task):
    (tmp_path / "broken.gguf").touch()
    with pytest.raises(ProviderError, match=r"cannot load 'broken\.gguf'"):
        LocalProvider(tmp_path / "broken.gguf", n_estimates=1).elicit(task)


def test_a_file_that_is_not_there(llama):
    with pytest.raises(ProviderError, match=r"no model file .*nowhere\.gguf"):
        LocalProvider("nowhere.gguf").check_ready()


def test_an_absent_package_is_named(monkeypatch, llama):
    monkeypatch.setattr("llmreg.providers.local.MODEL_PACKAGE", "not_installed_at_all")
    with pytest.raises(MissingDependencyError, match=r"llmreg\[local\].*model="):
        LocalProvider().check_ready()
    monkeypatch.setitem(sys.modules, "llama_cpp", None)
    with pytest.raises(MissingDependencyError, match=r"pip install llmreg\[local\]"):
        LocalProvider().check_ready()


@pytest.mark.parametrize(
    "change",
    [{"chunk_size": 0}, {"n_ctx": 1}, {"temperature": 3.0}, {"n_gpu_layers": -2}],
)
def test_wrong_parameters_are_named(llama, file, task, change):
    (name,) = change
    with pytest.raises(ValueError, match=f"The '{name}' parameter"):
        LocalProvider(file, **change).elicit(task)


def test_clone_and_pickle(file):
    provider = LocalProvider(file, n_ctx=512)
    assert clone(provider).get_params() == provider.get_params()
    assert pickle.loads(pickle.dumps(provider)).n_ctx == 512


def test_the_default_model_goes_by_its_name():
    assert LocalProvider().identity()["model"].startswith("SmolLM2-135M")
