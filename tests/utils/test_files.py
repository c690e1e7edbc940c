"""What a person reads and edits is there whole, wherever a person says."""

from __future__ import annotations

import os
import stat
import threading

import pytest

from llmreg import FeaturePrior, LLMAttributionClassifier
from llmreg._utils._files import expand, write_text
from llmreg.inspection import write_report
from llmreg.providers import PriorCache

PRIOR = FeaturePrior.from_dict({"age": 3})


def write_page(path):
    model = LLMAttributionClassifier([1], gamma=1.0).fit([[1], [2]], ["a", "b"])
    write_report(model, path)


@pytest.fixture
def export(tmp_path):
    cache = PriorCache(tmp_path / "cache")
    cache.put("0f", {"n": 1})
    return cache.export


@pytest.fixture(params=["card", "page", "export"])
def write(request, export):
    return {"card": PRIOR.write, "page": write_page, "export": export}[request.param]


def test_a_write_that_fails_leaves_what_was_there(write, tmp_path, monkeypatch):
    path = tmp_path / "mine"
    path.write_text("edited by hand")

    def fail(file, *_, **__):
        file.touch()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(type(path), "write_bytes", fail)
    with pytest.raises(OSError, match="No space left"):
        write(path)
    assert path.read_text() == "edited by hand"
    assert not list(tmp_path.glob("*.tmp"))


@pytest.mark.skipif(os.name == "nt", reason="Links and modes are others there.")
def test_links_and_permissions_stay(write, tmp_path):
    path, link = tmp_path / "mine", tmp_path / "link"
    path.write_text("old")
    path.chmod(0o640)
    link.symlink_to("mine")
    write(link)
    assert link.is_symlink()
    assert path.read_text() != "old"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_tilde_is_the_home(write, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    write("~/mine")
    assert (tmp_path / "mine").stat().st_size > 0


def test_a_card_in_the_home_is_read(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    PRIOR.write(tmp_path / "card.json")
    assert FeaturePrior.read("~/card.json").scores.tolist() == [[3]]
    model = LLMAttributionClassifier("~/card.json", feature_names=["age"])
    model.fit([[1], [2]], ["a", "b"])
    assert model.prior_.scores.tolist() == [[3]]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="There are no pipes.")
def test_a_pipe_is_written_to(tmp_path):
    pipe, got = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: got.append(pipe.read_text()))
    reader.start()
    write_text(pipe, "text")
    reader.join(10)
    assert got == ["text"]
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_new_files_are_as_the_umask_says(tmp_path):
    path = tmp_path / "new"
    write_text(path, "gr\u00f6\u00dfer \ud83d")
    assert path.read_text("utf-8") == "gr\u00f6\u00dfer \\ud83d"
    (tmp_path / "other").touch()
    assert path.stat().st_mode == (tmp_path / "other").stat().st_mode


def test_a_home_that_is_not_known_is_a_name(tmp_path):
    assert str(expand("~nobody-of-this-name/x")) == "~nobody-of-this-name/x"
