from __future__ import annotations

import functools
import json
import pickle
import re
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone

from llmreg.exceptions import (
    MissingKeyError,
    PriorDisagreementWarning,
    PriorUnavailableWarning,
    ProviderError,
)
from llmreg.prior._feature_prior import FeaturePrior
from llmreg.prior._task import Task
from llmreg.providers import (
    CachedProvider,
    EnsembleProvider,
    OpenAIProvider,
    PriorCache,
    PriorCard,
    PriorProvider,
    StaticPrior,
)

ASKED: list[str] = []


class Counting(PriorProvider):
    """Remembers, outside of itself, how often it was asked."""

    def __init__(self, score=1, hint=None, ready=True):
        self.score = score
        self.hint = hint
        self.ready = ready

    def check_ready(self):
        if not self.ready:
            raise MissingKeyError("no key")

    def elicit(self, task):
        ASKED.append(task.target)
        return FeaturePrior.from_dict(
            dict.fromkeys(task.keys, self.score), usage={"requests": 1}
        )


class Plain:
    """No scikit-learn object, only the one method."""

    def __init__(self, score):
        self.score = score

    def elicit(self, task):
        ASKED.append(task.target)
        return FeaturePrior.from_dict(dict.fromkeys(task.keys, self.score))


def named_function():
    return 1


@pytest.fixture(autouse=True)
def nothing_asked():
    ASKED.clear()


def test_the_second_time_comes_from_the_cache(task):
    first = CachedProvider(Counting(3)).elicit(task)
    second = CachedProvider(Counting(3)).elicit(task)
    assert len(ASKED) == 1
    assert first.usage == {"requests": 1}
    assert second.usage == {"served_from_cache": 1}
    np.testing.assert_array_equal(first.scores, second.scores)


@pytest.mark.parametrize("hint", ["b", 1.5, [1], {"a": None}, np.arange(3), Path("x")])
def test_other_parameters_are_asked_anew(task, hint):
    CachedProvider(Counting()).elicit(task)
    CachedProvider(Counting(hint=hint)).elicit(task)
    CachedProvider(Counting(hint=hint)).elicit(task)
    assert len(ASKED) == 2


def test_other_tasks_are_asked_anew(task):
    other = Task.from_dict({**task.to_dict(), "description": "another"})
    for asked in (task, other, task):
        CachedProvider(Counting()).elicit(asked)
    assert len(ASKED) == 2


def test_other_classes_with_equal_parameters_are_asked_anew(task):
    class Other(Counting):
        pass

    CachedProvider(Counting()).elicit(task)
    CachedProvider(Other()).elicit(task)
    assert len(ASKED) == 2


def test_any_object_with_elicit_will_do(task):
    for score in (1, 1, 2):
        CachedProvider(Plain(score)).elicit(task)
    assert len(ASKED) == 2


@pytest.mark.parametrize(
    "hint",
    [named_function, StaticPrior({"a": 1}), FeaturePrior.from_dict({"a": 1}), {1, 2}],
)
def test_objects_as_parameters_have_a_lasting_name(task, hint):
    CachedProvider(Counting(hint=hint)).elicit(task)
    CachedProvider(clone(Counting(hint=hint))).elicit(task)
    assert len(ASKED) == 1


@pytest.mark.parametrize(
    "hint", [lambda: 1, re.compile("a"), b"bytes", object(), iter([])]
)
def test_objects_that_cannot_be_told_apart_are_refused(task, hint):
    with pytest.raises(ProviderError, match=r"cannot tell .* plain values"):
        CachedProvider(Counting(hint=hint)).elicit(task)
    assert ASKED == []


@pytest.mark.parametrize(
    "make", [lambda n: functools.partial(int, n), lambda n: Plain(n).elicit]
)
def test_bound_functions_are_told_apart(task, make):
    for n in (1, 2, 2):
        CachedProvider(Counting(hint=make(n))).elicit(task)
    assert len(ASKED) == 2


def test_an_entry_that_cannot_be_used_is_asked_for_again(task, tmp_path):
    cache = PriorCache(tmp_path)
    CachedProvider(Counting(), cache=cache).elicit(task)
    (path,) = tmp_path.glob("*.json")
    path.write_text(path.read_text().replace("llmreg prior card", "something else"))
    CachedProvider(Counting(), cache=cache).elicit(task)
    assert len(ASKED) == 2
    assert len(list(tmp_path.glob("*.unusable"))) == 1


def test_a_failure_is_not_remembered(task):
    class Failing(Counting):
        def elicit(self, task):
            ASKED.append(task.target)
            raise ProviderError("gone")

    for _ in range(2):
        with pytest.raises(ProviderError, match="gone"):
            CachedProvider(Failing()).elicit(task)
    assert len(ASKED) == 2


def test_threads_ask_once(task):
    meeting = threading.Barrier(4)

    def ask(_):
        meeting.wait()
        return CachedProvider(Counting()).elicit(task).scores[0, 0]

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(ask, range(4))) == [1, 1, 1, 1]
    assert len(ASKED) == 1


def test_a_provider_that_is_not_ready_is_no_matter_where_the_prior_is_cached(task):
    provider = CachedProvider(Counting(ready=False))
    for args in ((), (task,)):
        with pytest.raises(MissingKeyError):
            provider.check_ready(*args)
    provider.elicit(task)
    provider.check_ready(task)


def test_survives_clone_and_pickle_and_reaches_inner_parameters(tmp_path):
    provider = CachedProvider(Counting(), cache=tmp_path)
    copy = clone(provider).set_params(provider__score=5)
    assert (copy.provider.score, provider.provider.score) == (5, 1)
    assert pickle.loads(pickle.dumps(copy)).provider.score == 5
    assert provider.requires_feature_names
    assert not CachedProvider(StaticPrior({})).requires_feature_names


def test_an_average_without_some_members_is_not_kept(task, tmp_path):
    class Weak(Counting):
        up = False

        def elicit(self, task):
            if not self.up:
                raise ProviderError("out of reach")
            return super().elicit(task)

    ensemble = EnsembleProvider([Counting(3), Weak(-1)], on_error="others")
    provider = CachedProvider(ensemble, cache=tmp_path)
    with pytest.warns(PriorUnavailableWarning, match="Weak"):
        assert provider.elicit(task).scores[0, 0] == 3
    Weak.up = True
    for _ in range(2):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PriorDisagreementWarning)
            assert provider.elicit(task).scores[0, 0] == 1
    assert len(ASKED) == 3


def test_a_card_of_names_that_are_no_text_is_asked_for_again(task, tmp_path):
    provider = CachedProvider(Counting(), cache=tmp_path)
    provider.elicit(task)
    cache = PriorCache(tmp_path)
    (entry,) = cache.entries()
    card = json.loads(entry.content["card"])
    card["features"][0]["feature"] = ["age"]
    cache.put(entry.key, {**entry.content, "card": json.dumps(card)})
    assert provider.elicit(task).usage == {"requests": 1}
    assert len(ASKED) == 2


@pytest.mark.parametrize(
    "make", [PriorCard, StaticPrior, lambda card: EnsembleProvider([PriorCard(card)])]
)
def test_an_edited_card_is_read_again(task, tmp_path, make):
    card = tmp_path / "card.json"
    provider = CachedProvider(make(card), cache=tmp_path / "cache")
    for score in (1, -9, 1):
        FeaturePrior.from_dict(dict.fromkeys(task.keys, score)).write(card)
        assert (provider.elicit(task).scores == score).all()
        assert provider.elicit(task).usage == {"served_from_cache": 1}


def test_members_that_are_named_are_told_apart_by_where_they_are(
    task, tmp_path, monkeypatch
):
    named = CachedProvider(EnsembleProvider(["openai"]), cache=tmp_path)
    made = CachedProvider(EnsembleProvider([OpenAIProvider()]), cache=tmp_path)
    assert named._key(task) == made._key(task)
    before = named._key(task)
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    assert named._key(task) != before


class Telling(Counting):
    """Notes of its prior what it likes, as providers of a user's own do."""

    def elicit(self, task):
        return replace(super().elicit(task), **self.hint)


@pytest.mark.parametrize(
    ("told", "kept"),
    [
        ({"provenance": {"models": ["a", "b"]}}, {"models": "['a', 'b']"}),
        ({"provenance": {"seed": None, "n": np.int64(3)}}, {"seed": "None", "n": "3"}),
        ({"provenance": {"setting": {"top_p": 0.5}}}, {"setting": "{'top_p': 0.5}"}),
        ({"usage": {"usd": 0.12, "tokens": np.int64(70)}}, {"usd": 0.12, "tokens": 70}),
        ({"usage": {"tokens": float("nan")}}, {}),
        ({"usage": {"tokens": None, "models": ["a", "b"], "plan": "free"}}, {}),
        ({"task": None}, ""),
        ({"target": 7}, "7"),
        ({"rationale": {"age": None, "fare": ["dear"]}}, {"fare": "['dear']"}),
        ({"provenance": {"error": 5}}, {"error": "5"}),
    ],
)
def test_whatever_a_provider_notes_is_asked_for_once(task, tmp_path, told, kept):
    provider = CachedProvider(Telling(hint=told), cache=tmp_path)
    first, again = provider.elicit(task), provider.elicit(task)
    assert len(ASKED) == 1
    np.testing.assert_array_equal(first.scores, again.scores)
    assert again.usage == {"served_from_cache": 1}
    (name,) = told
    assert getattr(FeaturePrior.from_json(first.to_json()), name) == kept
    assert repr(first)
    assert first._repr_html_()
