from __future__ import annotations

import json

import pytest

from llmreg import cli
from llmreg.prior._task import Feature, Task
from llmreg.providers import AnthropicProvider, CachedProvider, PriorCache, StaticPrior

pytestmark = pytest.mark.usefixtures("key")


@pytest.fixture
def asked(server):
    """Fill the default cache with two estimates and one whole prior."""
    task = Task(
        *((Feature("age"), Feature("fare")), "survived", ("yes",), "classification"),
        *(("no", "yes"), "Who survives?"),
    )
    AnthropicProvider(base_url=server.url, n_estimates=2).elicit(task)
    CachedProvider(StaticPrior({"age": 1, "fare": 2})).elicit(task)
    return PriorCache()


def test_list_says_what_each_entry_is(asked, capsys):
    assert cli.main(["cache", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"3 entries in {asked.folder}"
    assert lines[1].split() == [
        *("key", "date", "target", "estimate", "provider", "model", "task")
    ]
    told = "\n".join(lines[2:])
    for part in ("AnthropicProvider", "claude-of-the-loopback", "Who survives?"):
        assert told.count(part) >= 2
    assert "StaticPrior" in told
    assert {line.split()[3] for line in lines[2:]} == {"1", "2", "all"}


def test_list_of_nothing(capsys, tmp_path):
    assert cli.main(["cache", "list", "--folder", str(tmp_path / "none")]) == 0
    assert capsys.readouterr().out.startswith("0 entries")


def test_show_prints_one(asked, capsys):
    entry = asked.entries()[0]
    assert cli.main(["cache", "show", entry.key[:10]]) == 0
    assert json.loads(capsys.readouterr().out)["content"] == entry.content
    assert cli.main(["cache", "show", "zz"]) == 1
    assert "cache list" in capsys.readouterr().err


def test_export_and_import_bring_answers_to_another_host(
    asked, server, tmp_path, capsys
):
    file, there = tmp_path / "answers.json", tmp_path / "there"
    assert cli.main(["cache", "export", str(file)]) == 0
    assert "3 entries" in capsys.readouterr().out
    for n_new in (3, 0):
        assert cli.main(["cache", "import", str(file), "--folder", str(there)]) == 0
        assert f"{n_new} new entries" in capsys.readouterr().out
    assert [e.to_dict() for e in PriorCache(there).entries()] == [
        e.to_dict() for e in asked.entries()
    ]


def test_export_of_some(asked, tmp_path, capsys):
    file = tmp_path / "one.json"
    key = asked.entries()[1].key
    assert cli.main(["cache", "export", str(file), key[:12]]) == 0
    assert [e["key"] for e in json.loads(file.read_text())["entries"]] == [key]


def test_clear_needs_a_yes(asked, capsys):
    assert cli.main(["cache", "clear"]) == 1
    assert "--yes" in capsys.readouterr().err
    assert len(asked.entries()) == 3
    assert cli.main(["cache", "clear", "--provider", "anthropic", "--yes"]) == 0
    assert "2 entries deleted" in capsys.readouterr().out
    assert cli.main(["cache", "clear", "--older-than", "1", "--yes"]) == 0
    assert len(asked.entries()) == 1
    assert cli.main(["cache", "clear", "--yes"]) == 0
    assert asked.entries() == []


EVIL = "\x1b[2J\x9b31m\u202e"


@pytest.mark.parametrize("place", ["created", "target", "provider", "model", "task"])
def test_an_import_from_a_stranger_moves_no_cursor(asked, tmp_path, capsys, place):
    file, there = tmp_path / "answers.json", tmp_path / "there"
    asked.export(file)
    document = json.loads(file.read_text())
    for entry in document["entries"]:
        (entry if place == "created" else entry["content"])[place] = f"a.{EVIL}b"
    file.write_text(json.dumps(document))
    for words in (["import", str(file)], ["list"], ["show", "f" * 64]):
        cli.main(["cache", *words, "--folder", str(there)])
    told = "".join(capsys.readouterr())
    told += repr(PriorCache(there).entries())
    assert not set(told) & set(EVIL[:1] + "\x9b\u202e")


def test_an_error_moves_no_cursor(tmp_path, capsys):
    path = tmp_path / "card.json"
    path.write_text(json.dumps({"format": EVIL}))
    for words in (
        ["show", f"{EVIL}.json"],
        ["show", str(path)],
        ["cache", "show", EVIL],
    ):
        assert cli.main(words) == 1
    (tmp_path / "table.csv").write_text(f"{EVIL}a,b\n1,2\n")
    words = [str(tmp_path / "table.csv"), "--target", "y", "--provider", "anthropic"]
    assert cli.main(["elicit", *words]) == 1
    told = "".join(capsys.readouterr())
    assert not set(told) & set(EVIL[:1] + "\x9b\u202e")
    assert told.count("\n") >= 4
