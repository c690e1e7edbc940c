from __future__ import annotations

import json
import os
import pickle
import threading
from pathlib import Path

import pytest
from sklearn.base import clone

from llmreg.elicitation._cache import hash_key
from llmreg.exceptions import PriorCacheWarning, PriorLockedError, ProviderError
from llmreg.providers import PriorCache

KEY = "0f" * 32


@pytest.fixture
def cache(tmp_path):
    return PriorCache(tmp_path / "here")


def files(cache, pattern):
    return sorted(cache.folder.glob(pattern))


class TestFolder:
    def test_argument_wins_over_variable_over_default(self, tmp_path, monkeypatch):
        monkeypatch.setenv("LLMREG_CACHE_DIR", str(tmp_path / "a"))
        assert PriorCache(tmp_path / "b").folder == tmp_path / "b"
        assert PriorCache().folder == tmp_path / "a"
        monkeypatch.delenv("LLMREG_CACHE_DIR")
        assert PriorCache().folder.name == "llmreg"

    @pytest.mark.parametrize("way", ["argument", "path", "variable", "of"])
    def test_a_tilde_is_the_home(self, tmp_path, monkeypatch, way):
        monkeypatch.setenv("HOME", str(tmp_path))
        monkeypatch.setenv("USERPROFILE", str(tmp_path))
        monkeypatch.setenv("LLMREG_CACHE_DIR", "~/a")
        given = {"argument": "~/a", "path": Path("~/a"), "variable": None, "of": "~/a"}
        make = PriorCache.of if way == "of" else PriorCache
        assert make(given[way]).folder == tmp_path / "a"

    def test_of_accepts_what_users_give(self, cache, tmp_path):
        assert PriorCache.of(cache) is cache
        assert PriorCache.of(str(tmp_path)).folder == tmp_path
        assert PriorCache.of(None).folder == PriorCache().folder

    def test_is_made_when_it_is_needed(self, cache):
        assert cache.get(KEY) is None
        assert not cache.folder.exists()
        cache.put(KEY, {})
        assert cache.folder.is_dir()

    def test_that_cannot_be_made_is_told_before_anything_is_paid_for(self, tmp_path):
        (tmp_path / "file").write_text("")
        cache = PriorCache(tmp_path / "file" / "folder")
        with (
            pytest.raises(ProviderError, match="LLMREG_CACHE_DIR"),
            cache.lock(KEY, 1.0),
        ):
            pytest.fail("the lock must not be given")

    def test_survives_clone_and_pickle(self, cache):
        assert clone(cache, safe=False).folder == cache.folder
        assert pickle.loads(pickle.dumps(cache)).folder == cache.folder
        assert repr(cache) == f"PriorCache({str(cache.folder)!r})"


class TestEntries:
    def test_are_found_again(self, cache):
        cache.put(KEY, {"text": "größer", "usage": {"requests": 1}})
        assert cache.get(KEY) == {"text": "größer", "usage": {"requests": 1}}
        assert cache.get("1e" * 32) is None

    def test_are_replaced(self, cache):
        cache.put(KEY, {"n": 1})
        cache.put(KEY, {"n": 2})
        assert cache.get(KEY) == {"n": 2}
        assert len(files(cache, "*")) == 1

    @pytest.mark.parametrize(
        "text",
        [
            "",
            '{"version": 1, "key": "0f',
            "[]",
            "null",
            '{"version": 1}',
            json.dumps({"version": 0, "key": KEY, "content": {}}),
            json.dumps({"version": 1, "key": "1e" * 32, "content": {}}),
            json.dumps({"version": 1, "key": KEY, "content": []}),
            "[" * 100_000,
        ],
    )
    def test_that_cannot_be_used_count_as_absent_and_are_set_aside(self, cache, text):
        cache.put(KEY, {})
        (path,) = files(cache, "*.json")
        path.write_text(text)
        assert cache.get(KEY) is None
        assert cache.get(KEY) is None
        (aside,) = files(cache, "*")
        assert aside.suffix == ".unusable"
        assert aside.read_text() == text

    def test_of_bytes_that_are_no_text_are_set_aside(self, cache):
        cache.put(KEY, {})
        files(cache, "*.json")[0].write_bytes(b"\xff\xfe")
        assert cache.get(KEY) is None

    def test_of_half_a_character_are_found_again(self, cache, tmp_path):
        content = {"text": 'gr\u00f6\u00dfer "\ud83d', "target": "caf\udce9"}
        cache.put(KEY, content)
        assert cache.get(KEY) == content
        assert "gr\u00f6\u00dfer" in files(cache, "*.json")[0].read_text("utf-8")
        other = PriorCache(tmp_path / "there")
        assert cache.export(tmp_path / "all.json") == 1
        assert other.load(tmp_path / "all.json") == 1
        assert other.get(KEY) == content

    def test_that_cannot_be_written_are_told(self, cache, caplog):
        content: dict[str, object] = {}
        cache.put(KEY, content | {"n": [content]})
        content["n"] = content
        with pytest.warns(PriorCacheWarning, match="could not be written"):
            cache.put("1e" * 32, content)
        assert "could not be written" in caplog.text
        assert len(files(cache, "*")) == 1

    def test_that_may_not_be_read_stay_where_they_are(self, cache, monkeypatch, caplog):
        cache.put(KEY, {"n": 1})

        def refuse(*_, **__):
            raise PermissionError(13, "Permission denied")

        with monkeypatch.context() as patch:
            patch.setattr(type(cache.folder), "read_text", refuse)
            assert cache.get(KEY) is None
        assert "Permission denied" in caplog.text
        assert cache.get(KEY) == {"n": 1}

    @pytest.mark.skipif(os.name == "nt", reason="Windows has no modes of files.")
    @pytest.mark.parametrize("umask", [0o022, 0o002, 0o077])
    @pytest.mark.parametrize(
        ("folder", "expected"),
        [
            (None, 0o600),
            (0o700, 0o600),
            (0o755, 0o600),
            (0o775, 0o660),
            (0o2770, 0o660),
            (0o1777, 0o666),
        ],
    )
    def test_are_open_to_those_who_share_the_folder(
        self, cache, folder, expected, umask
    ):
        if folder is not None:
            cache.folder.mkdir()
            cache.folder.chmod(folder)
        before = os.umask(umask)
        try:
            for _ in range(2):
                cache.put(KEY, {})
            with cache.lock(KEY, 1.0):
                pass
        finally:
            os.umask(before)
        modes = [path.stat().st_mode & 0o777 for path in files(cache, "*")]
        assert modes == [expected] * 2
        assert folder or cache.folder.stat().st_mode & 0o777 == 0o700

    def test_setting_aside_what_is_gone_is_no_error(self, cache):
        cache.set_aside(KEY)

    def test_a_write_that_fails_leaves_nothing(self, cache, monkeypatch, caplog):
        cache.put(KEY, {"n": 1})

        def fail(*_):
            raise OSError("disk full")

        with monkeypatch.context() as patch:
            patch.setattr(os, "replace", fail)
            with pytest.warns(PriorCacheWarning, match=r"disk full.*LLMREG_CACHE_DIR"):
                cache.put(KEY, {"n": 2})
            # Told once; filterwarnings would make an error of a second time.
            cache.put("1e" * 32, {"n": 3})
        assert "disk full" in caplog.text
        assert len(files(cache, "*")) == 1
        assert json.loads(files(cache, "*")[0].read_text())["content"] == {"n": 1}
        # What was paid for is there in this process, from other objects too.
        again = PriorCache(cache.folder)
        assert (again.get(KEY), again.get("1e" * 32)) == ({"n": 2}, {"n": 3})
        cache.put(KEY, {"n": 4})
        assert again.get(KEY) == {"n": 4}
        cache.set_aside("1e" * 32)
        assert again.get("1e" * 32) is None

    @pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="There are no pipes.")
    @pytest.mark.parametrize(
        "make",
        [
            os.mkfifo,
            os.mkdir,
            lambda path: os.symlink("/dev/zero", path),
            lambda path: (os.mkfifo(f"{path}.p"), os.symlink(f"{path}.p", path)),
            lambda path: os.truncate(os.open(path, os.O_CREAT | os.O_RDWR), 10**10),
        ],
        ids=["pipe", "folder", "device", "link to a pipe", "huge"],
    )
    def test_that_are_no_files_of_a_cache_are_set_aside(self, cache, make):
        cache.put("1e" * 32, {"n": 1})
        make(os.fspath(cache.folder / f"{KEY}.json"))
        assert [entry.key for entry in cache.entries()] == ["1e" * 32]
        assert cache.get(KEY) is None
        assert len(files(cache, "*.unusable")) == 1
        cache.put(KEY, {"n": 2})
        assert cache.get(KEY) == {"n": 2}
        assert cache.clear() == 2

    @pytest.mark.skipif(os.name == "nt", reason="Links need rights there.")
    def test_that_are_links_are_replaced_and_not_followed(self, cache, tmp_path):
        cache.folder.mkdir()
        (tmp_path / "mine").write_text("precious")
        (cache.folder / f"{KEY}.json").symlink_to(tmp_path / "mine")
        cache.put(KEY, {"n": 1})
        assert (tmp_path / "mine").read_text() == "precious"
        assert cache.get(KEY) == {"n": 1}

    def test_readers_never_see_half_an_entry(self, cache):
        text = "x" * 200_000
        cache.put(KEY, {"text": text})
        done = threading.Event()

        def write():
            for _ in range(20):
                cache.put(KEY, {"text": text})
            done.set()

        writer = threading.Thread(target=write)
        writer.start()
        while not done.is_set():
            assert cache.get(KEY) == {"text": text}
        writer.join()


class TestLock:
    def test_lets_one_in_at_a_time(self, cache):
        inside, most = 0, 0
        meeting = threading.Barrier(4)

        def enter():
            nonlocal inside, most
            meeting.wait()
            with cache.lock(KEY, 30.0):
                inside += 1
                most = max(most, inside)
                inside -= 1

        threads = [threading.Thread(target=enter) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert most == 1

    def test_that_is_held_elsewhere_is_named_after_the_time(self, cache):
        with (
            cache.lock(KEY, 1.0),
            pytest.raises(PriorLockedError, match=r"0\.01 s .*0f\.lock"),
            cache.lock(KEY, 0.01),
        ):
            pytest.fail("the lock must not be given twice")

    def test_that_may_not_be_opened_is_an_error_of_the_provider(self, cache):
        (cache.folder / f"{KEY}.lock").mkdir(parents=True)
        with (
            pytest.raises(ProviderError, match=r"0f\.lock.* cannot be taken"),
            cache.lock(KEY, 1.0),
        ):
            pytest.fail("the lock must not be given")

    def test_is_given_back_after_an_error(self, cache):
        with pytest.raises(KeyError), cache.lock(KEY, 1.0):
            raise KeyError
        with cache.lock(KEY, 1.0):
            pass


def test_clear_removes_locks_that_nobody_holds(cache):
    for key in (KEY, "1e" * 32):
        with cache.lock(key, 1.0):
            pass
    (cache.folder / "2d.lock").mkdir()
    with cache.lock(KEY, 1.0):
        assert cache.clear() == 0
        assert [path.name for path in files(cache, "*")] == [f"{KEY}.lock", "2d.lock"]
    assert cache.clear() == 0
    assert [path.name for path in files(cache, "*")] == ["2d.lock"]


def test_keys_follow_content_and_not_order():
    assert hash_key({"a": [1], "b": "ü"}) == hash_key({"b": "ü", "a": [1]})
    assert hash_key({"a": 1}) != hash_key({"a": 2})
    assert len(hash_key("\ud800")) == 64


@pytest.mark.parametrize(
    "make",
    [
        lambda path: path.symlink_to("nowhere"),
        lambda path: path.symlink_to(path),
        lambda path: path.mkdir(),
        lambda path: os.mkfifo(path),
        lambda path: path.write_text("half"),
    ],
)
@pytest.mark.parametrize("end", ["tmp", "unusable", "lock"])
def test_clear_minds_nothing_that_lies_around(cache, make, end):
    cache.put("0f", {"score": 3})
    make(cache.folder / f"x.{end}")
    assert cache.clear() == 1


@pytest.mark.parametrize("folder", ["a\0b", "a" * 300, "/dev/null", "/dev/null/x"])
def test_a_folder_that_cannot_be_is_an_error_before_anything_is_paid(folder):
    cache = PriorCache(folder)
    assert cache.get("0f") is None
    with pytest.raises(ProviderError, match="cannot be written"), cache.lock("0f", 1):
        pass
