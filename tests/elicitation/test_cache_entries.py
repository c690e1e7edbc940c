"""The cache as a whole: list, find, export, load, clear."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta

import pytest

from llmreg.elicitation._cache import CacheEntry
from llmreg.exceptions import PriorCacheError, ProviderError
from llmreg.providers import AnthropicProvider, PriorCache

A, B, C = "0a" * 32, "0b" * 32, "1c" * 32


@pytest.fixture
def cache(tmp_path):
    made = PriorCache(tmp_path / "here")
    common = {"provider": "mine.Oracle", "model": "m", "target": "ill"}
    made.put(A, {**common, "estimate": 1, "task": "Who is ill?"})
    made.put(B, {**common, "estimate": 0})
    made.put(C, {"card": "{}"})
    return made


def age_by(cache, key, days):
    """Make an entry older than it is."""
    path = cache.folder / f"{key}.json"
    entry = json.loads(path.read_text())
    then = datetime.now(UTC) - timedelta(days=days)
    path.write_text(json.dumps({**entry, "created": then.isoformat()}))


class TestEntries:
    def test_say_what_they_are(self, cache):
        age_by(cache, A, 3)
        first = cache.entries()[0]
        assert (first.key, first.kind, first.estimate) == (A, "estimate", 1)
        assert (first.provider, first.model) == ("mine.Oracle", "m")
        assert (first.task, first.target) == ("Who is ill?", "ill")
        assert first.age() == pytest.approx(3, abs=0.01)
        assert repr(first).startswith("CacheEntry 0a0a0a0a0a0a: 'ill', estimate 2 of")

    def test_of_older_kinds_have_gaps(self, cache):
        (last,) = (e for e in cache.entries() if e.key == C)
        assert (last.kind, last.estimate, last.provider) == ("prior", None, "")
        assert "an unnamed provider" in repr(last)
        assert CacheEntry(C, "some day", {}).age() == float("inf")

    def test_leave_out_what_is_unusable_and_change_nothing(self, cache):
        (cache.folder / f"{'2d' * 32}.json").write_text("{")
        (cache.folder / "notes.json").write_text("{}")
        before = sorted(p.name for p in cache.folder.iterdir())
        assert len(cache.entries()) == 3
        assert sorted(p.name for p in cache.folder.iterdir()) == before

    def test_are_found_by_the_start_of_the_key(self, cache):
        assert cache.find("1c").key == C
        for start, told in (("0", "2 entries"), ("ff", "No entries"), ("", "No")):
            with pytest.raises(PriorCacheError, match=told):
                cache.find(start)


class TestExport:
    def test_is_the_same_text_for_the_same_entries(self, cache, tmp_path):
        one, two = tmp_path / "one.json", tmp_path / "two.json"
        assert cache.export(one) == 3
        assert cache.export(two, reversed(cache.entries())) == 3
        assert one.read_text() == two.read_text()
        assert [e["key"] for e in json.loads(one.read_text())["entries"]] == [A, B, C]

    def test_comes_back(self, cache, tmp_path):
        cache.export(tmp_path / "all.json")
        there = PriorCache(tmp_path / "there")
        assert there.load(tmp_path / "all.json") == 3
        assert there.get(A) == cache.get(A)
        assert there.load(tmp_path / "all.json") == 0

    def test_does_not_replace_what_is_there(self, cache, tmp_path):
        cache.export(tmp_path / "all.json")
        cache.put(A, {"mine": 1})
        assert cache.load(tmp_path / "all.json") == 0
        assert cache.get(A) == {"mine": 1}

    @pytest.mark.parametrize(
        ("text", "told"),
        [
            ("{", "cannot be read"),
            ("[]", "no export"),
            ('{"format": "llmreg prior card"}', "as it is"),
            ('{"format": "llmreg prior cache", "version": 9}', "version 9"),
        ],
    )
    def test_of_another_kind_is_refused(self, cache, tmp_path, text, told):
        (tmp_path / "file.json").write_text(text)
        with pytest.raises(PriorCacheError, match=told):
            cache.load(tmp_path / "file.json")

    @pytest.mark.parametrize(
        "change",
        [
            {"key": "../../evil"},
            {"key": "0F"},
            {"key": 3},
            {"version": 0},
            {"content": []},
        ],
    )
    def test_with_a_damaged_entry_changes_nothing(self, cache, tmp_path, change):
        file = tmp_path / "all.json"
        cache.export(file)
        export = json.loads(file.read_text())
        export["entries"][2] |= change
        file.write_text(json.dumps(export))
        there = PriorCache(tmp_path / "there")
        with pytest.raises(PriorCacheError, match=r"1 of the 3 .* Nothing was"):
            there.load(file)
        assert there.entries() == []

    def test_into_a_folder_that_cannot_be_made(self, cache, tmp_path):
        cache.export(tmp_path / "all.json")
        (tmp_path / "file").write_text("")
        with pytest.raises(ProviderError, match="LLMREG_CACHE_DIR"):
            PriorCache(tmp_path / "file" / "in").load(tmp_path / "all.json")


class TestClear:
    def test_all(self, cache):
        (cache.folder / "0a.x.unusable").write_text("")
        old, new = cache.folder / "old.tmp", cache.folder / "new.tmp"
        old.write_text("")
        new.write_text("")
        os.utime(old, (0, 0))
        assert cache.clear() == 3
        assert [p.name for p in cache.folder.iterdir()] == ["new.tmp"]
        assert cache.clear() == 0

    def test_by_age(self, cache):
        age_by(cache, B, 10)
        assert cache.clear(older_than=11) == 0
        assert cache.clear(older_than=9.5) == 1
        assert {e.key for e in cache.entries()} == {A, C}

    def test_by_provider(self, cache):
        age_by(cache, A, 10)
        assert cache.clear(provider="oracle", older_than=5) == 1
        assert cache.clear(provider="oracle") == 1
        assert [e.key for e in cache.entries()] == [C]


@pytest.mark.usefixtures("key")
def test_an_export_stands_in_for_the_network(server, task, tmp_path):
    here = PriorCache(tmp_path / "here")
    provider = AnthropicProvider(base_url=server.url, n_estimates=2, cache=here)
    prior = provider.elicit(task)
    here.export(tmp_path / "answers.json")
    there = PriorCache(tmp_path / "there")
    there.load(tmp_path / "answers.json")
    again = provider.set_params(cache=there, network="never").elicit(task)
    assert len(server.requests) == 2
    assert again.usage["served_from_cache"] == 2
    assert again.scores.tolist() == prior.scores.tolist()
    # A second may begin between an answer and its copy in the cache.
    assert {**again.provenance, "created": ""} == {**prior.provenance, "created": ""}


def test_a_question_that_was_split_is_no_prior(cache):
    cache.put("2d" * 32, {"target": "ill", "provider": "mine.Oracle", "split": True})
    entry = cache.find("2d")
    assert (entry.kind, entry.estimate) == ("split", None)
    assert "'ill', split of Oracle" in repr(entry)
