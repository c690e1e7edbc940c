from __future__ import annotations

import json
import re
import webbrowser

import numpy as np
import pytest

from llmreg import FeaturePrior, cli


@pytest.fixture
def opened(monkeypatch, tmp_path):
    found = []
    monkeypatch.setattr(webbrowser, "open", found.append)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return found


@pytest.fixture
def card(tmp_path):
    path = tmp_path / "card.json"
    FeaturePrior.from_dict({"fare": [(5, -3), (90, 6)], "sex=female": 8}).write(path)
    return path


def content(path):
    text = path.read_text(encoding="utf-8")
    return json.loads(re.search(r'id="content">(.*)</script>', text)[1])


class TestEdit:
    def test_opens_a_browser(self, card, opened, capsys):
        assert cli.main(["edit", str(card)]) == 0
        assert len(opened) == 1
        assert opened[0].startswith("file://")
        assert opened[0].removeprefix("file://") in capsys.readouterr().out

    def test_writes_where_it_is_told(self, card, opened, tmp_path):
        page = tmp_path / "page.html"
        assert cli.main(["edit", str(card), "--output", str(page)]) == 0
        assert content(page)["name"] == "card.json"
        assert content(page)["histograms"] == {}
        assert not opened

    def test_writes_beside_the_card_without_a_browser(self, card, opened):
        assert cli.main(["edit", str(card), "--no-browser"]) == 0
        found = content(card.with_suffix(".html"))
        assert found["card"] == json.loads(card.read_text(encoding="utf-8"))
        assert not opened

    def test_counts_a_table_where_it_is_asked_to(self, card, passengers):
        words = ["edit", str(card), "--data", str(passengers), "--no-browser"]
        assert cli.main(words) == 0
        found = content(card.with_suffix(".html"))["histograms"]
        assert list(found) == ["fare"]
        assert sum(found["fare"]["counts"]) == 12

    @pytest.mark.parametrize(
        "words", [["none.json"], ["card.json", "--data", "none.csv"]]
    )
    def test_what_cannot_be_read_is_told(self, words, card, monkeypatch, capsys):
        monkeypatch.chdir(card.parent)
        assert cli.main(["edit", *words]) == 1
        assert "none." in capsys.readouterr().err


class TestNew:
    def test_has_no_opinion_on_anything(self, passengers, tmp_path, capsys):
        card = tmp_path / "new.json"
        words = ["--target", "survived", "--task", "Who lives?", "--drop", "ticket_id"]
        assert cli.main(["new", str(passengers), *words, "-o", str(card)]) == 0
        prior = FeaturePrior.read(card)
        assert prior.features == ("age", "fare", "sex=female", "sex=male")
        assert prior.outputs == ("yes",)
        assert (prior.task, prior.target) == ("Who lives?", "survived")
        assert np.isnan(prior.scores).all()
        assert f"llmreg edit {card} --data {passengers}" in capsys.readouterr().out
        # What it tells to do next can be done.
        assert cli.main(["edit", str(card), "--no-browser"]) == 0

    def test_holds_no_row(self, passengers, tmp_path):
        card = tmp_path / "new.json"
        words = [str(passengers), "--target", "survived", "-o", str(card)]
        assert cli.main(["new", *words]) == 0
        text = card.read_text(encoding="utf-8")
        assert not [secret for secret in ("271828", "314159") if secret in text]

    def test_leaves_a_card_that_is_there(self, passengers, card, capsys):
        before = card.read_bytes()
        words = [str(passengers), "--target", "survived", "-o", str(card)]
        assert cli.main(["new", *words]) == 1
        assert "is there already" in capsys.readouterr().err
        assert card.read_bytes() == before

    def test_refuses_what_looks_like_cells(self, tmp_path, capsys):
        table = tmp_path / "people.csv"
        lines = [f"person {i},{i % 2}" for i in range(30)]
        table.write_text("\n".join(["name,ill", *lines]), encoding="utf-8")
        card = tmp_path / "new.json"
        words = [str(table), "--target", "ill", "-o", str(card)]
        assert cli.main(["new", *words]) == 1
        assert "name" in capsys.readouterr().err
        assert not card.exists()
