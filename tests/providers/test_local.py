"""The local provider around a stand-in for llama.cpp; `test_real` has the real one."""

from __future__ import annotations

import json
import pickle
import sys
from dataclasses import replace
from types import ModuleType, SimpleNamespace

import pytest
from sklearn.base import clone

from llmreg.elicitation._prompt import in_order
from llmreg.elicitation._questions import Questionnaire
from llmreg.exceptions import (
    MissingDependencyError,
    ProviderError,
    ProviderUnavailableError,
    RequestTooLargeError,
    TruncatedReplyError,
)
from llmreg.prior._task import Feature, Task
from llmreg.providers import LocalProvider
from llmreg.providers._local import _find


class Server:
    """Answers by the grammar, a piece at a time; what was asked is kept."""

    loaded: list[Server]
    stop = "stop"
    failure: Exception | None = None
    context = 10**9  # features that fit

    def __init__(self, params):
        if "broken" in params.model.path:
            raise RuntimeError("Failed to init server.")
        self.params, self.asked = params, []
        self.loaded.append(self)

    def handle_chat_completions(self, asked, take):
        self.asked.append(asked)
        if self.failure is not None:
            raise self.failure
        document = json.loads(asked["messages"][-1]["content"])
        if len(document["features"]) > self.context:
            told = "request (600 tokens) exceeds the available context size"
            return {"error": {"type": "exceed_context_size_error", "message": told}}
        entries = [
            {
                "id": f["id"],
                "reason": f"of {f['name']}",
                "scores": {o["id"]: len(f["name"]) % 10 for o in document["outputs"]},
            }
            for f in document["features"]
        ]
        text = json.dumps({"features": entries})
        text = text[:-9] if self.stop == "length" else text
        pieces = [None, *(text[i : i + 9] for i in range(0, len(text), 9))]
        steps = [{"choices": [{"delta": {"content": piece}}]} for piece in pieces]
        steps.append({"choices": [{"delta": {}, "finish_reason": self.stop}]})
        counts = {"prompt_tokens": 50, "completion_tokens": len(pieces)}
        steps.append({"choices": [], "usage": counts})
        for step in steps:
            if take(step):
                break
        return None


@pytest.fixture
def llama(monkeypatch):
    def params():
        return SimpleNamespace(
            model=SimpleNamespace(),
            cpuparams=SimpleNamespace(),
            cpuparams_batch=SimpleNamespace(),
        )

    module = ModuleType("xllamacpp")
    module.CommonParams = params
    module.Server = type("Server", (Server,), {"loaded": []})
    monkeypatch.setitem(sys.modules, "xllamacpp", module)
    return module.Server


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
    assert len({asked["seed"] for asked in model.asked}) == 2
    assert model.params.n_ctx == 4096
    assert model.params.model.path == str(file)


def test_the_engine_is_told_what_was_chosen(llama, file, task):
    LocalProvider(file, n_estimates=1, n_threads=3, n_gpu_layers=-1).elicit(task)
    LocalProvider(file, n_estimates=1, n_ctx=512, temperature=0.1).elicit(task)
    first, second = (model.params for model in llama.loaded)
    assert first.cpuparams.n_threads == first.cpuparams_batch.n_threads == 3
    assert (first.n_gpu_layers, second.n_gpu_layers) == (999, 0)
    assert not hasattr(second.cpuparams, "n_threads")


def test_nobody_else_gets_at_the_port_of_the_engine(llama, file, task):
    for n_ctx in (512, 1024):
        LocalProvider(file, n_estimates=1, n_ctx=n_ctx).elicit(task)
    keys = [key for model in llama.loaded for key in model.params.api_keys]
    assert len(set(keys)) == 2 and min(map(len, keys)) > 30


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
    parts = [replace(wide, features=wide.features[:n]) for n in (3, 2, 2)]
    assert schemas == [in_order(Questionnaire(part).schema) for part in parts]


def test_each_answer_is_bounded(llama, file, wide):
    LocalProvider(file, n_estimates=1, chunk_size=3).elicit(wide)
    assert {a["max_tokens"] for a in llama.loaded[0].asked} == {3 * 220, 2 * 220}


def test_what_is_cached_needs_neither_model_nor_file(llama, file, task, monkeypatch):
    provider = LocalProvider(file, n_estimates=1)
    provider.elicit(task)
    file.unlink()
    monkeypatch.setitem(sys.modules, "xllamacpp", None)
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
    monkeypatch.setattr("llmreg.providers._local.time.monotonic", lambda: next(times))
    with pytest.raises(ProviderUnavailableError, match=r"in time.*smaller model"):
        LocalProvider(file, n_estimates=1, timeout=100.0).elicit(task)


def test_a_question_that_does_not_fit_is_halved(llama, file, wide, caplog):
    llama.context = 2
    provider = LocalProvider(file, n_estimates=1)
    prior = provider.elicit(wide)
    assert prior.scores.tolist() == [[1, 2, 3, 4, 5, 6, 7]]
    (model,) = llama.loaded
    sizes = [len(_features(asked)) for asked in model.asked]
    assert sizes == [7, 4, 2, 2, 3, 2, 1]
    assert "does not fit into the context" in caplog.text
    # The next estimate knows.
    provider.set_params(n_estimates=2).elicit(wide)
    assert [len(_features(a)) for a in llama.loaded[1].asked] == [2, 2, 2, 1]


def _features(asked):
    return json.loads(asked["messages"][-1]["content"])["features"]


def test_a_context_that_is_too_small_for_one_feature(llama, file, task):
    llama.context = 0
    with pytest.raises(RequestTooLargeError, match=r"600 tokens.*`n_ctx`") as caught:
        LocalProvider(file, n_estimates=1, n_ctx=512).elicit(task)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_what_the_engine_raises_is_ours(llama, file, task):
    llama.failure = ValueError("no parser for this template")
    with pytest.raises(ProviderError, match="could not answer: no parser"):
        LocalProvider(file, n_estimates=1).elicit(task)


def test_the_ways_of_asking(llama, file, wide):
    LocalProvider(file, n_estimates=1, ask="each").elicit(wide)
    (model,) = llama.loaded
    assert [len(_features(asked)) for asked in model.asked] == [1] * 7
    levels = Task(
        (Feature("age"), Feature("sex", level="secret")), "y", ("y",), "regression"
    )
    prior = LocalProvider(file, n_estimates=1, send_levels=False).elicit(levels)
    assert "secret" not in json.dumps(llama.loaded[-1].asked)
    assert prior.scores[0, 0] == 3 and prior.scores[0, 1] != prior.scores[0, 1]


def test_a_file_that_is_no_model(llama, tmp_path, task):
    (tmp_path / "broken.gguf").touch()
    with pytest.raises(ProviderError, match=r"cannot load 'broken\.gguf'"):
        LocalProvider(tmp_path / "broken.gguf", n_estimates=1).elicit(task)


def test_a_file_that_is_not_there(llama):
    with pytest.raises(ProviderError, match=r"no model file .*nowhere\.gguf"):
        LocalProvider("nowhere.gguf").check_ready()


def test_an_absent_package_is_named(monkeypatch, llama):
    monkeypatch.setattr("llmreg.providers._local.MODEL_PACKAGE", "not_installed_at_all")
    with pytest.raises(MissingDependencyError, match=r"llmreg\[local\].*`model`"):
        LocalProvider().check_ready()
    monkeypatch.setitem(sys.modules, "xllamacpp", None)
    with pytest.raises(MissingDependencyError, match=r'pip install "llmreg\[local\]'):
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


def test_the_home_folder_may_be_written_short(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "model.gguf").touch()
    assert _find("~/model.gguf") == tmp_path / "model.gguf"
