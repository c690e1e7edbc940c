from __future__ import annotations

import html
import json
import re
import stat
import webbrowser

import numpy as np
import pytest

from llmreg.editing import PriorEditor


@pytest.fixture
def opened(monkeypatch, tmp_path):
    """The addresses that a browser was sent to."""
    found = []
    monkeypatch.setattr(webbrowser, "open", found.append)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return found


def test_notebook_shows_the_page_in_a_frame(prior):
    editor = prior.edit()
    frame = editor._repr_html_()
    assert html.unescape(re.search(r'srcdoc="([^"]*)"', frame)[1]) == editor.html
    assert re.search(r'title="\w', frame)


def test_open_sends_a_browser_to_a_file_of_ones_own(prior, opened):
    editor = prior.edit()
    path = editor.open()
    assert opened == [path.as_uri()]
    assert path.read_text(encoding="utf-8") == editor.html
    assert not stat.S_IMODE(path.parent.stat().st_mode) & 0o077


def test_nothing_opens_by_itself(prior, opened, tmp_path):
    prior.edit().write(tmp_path / "page.html")
    assert "2 features" not in repr(prior.edit())
    assert "5 features" in repr(prior.edit())
    assert not opened


def test_page_holds_counts_only_where_there_is_a_table(prior, rows):
    def counts(editor):
        data = re.search(r'id="content">(.*)</script>', editor.html)[1]
        return json.loads(data)["histograms"]

    assert counts(prior.edit()) == {}
    found = counts(prior.edit({**rows, "other": rows["bmi"]}))
    assert list(found) == ["glucose", "bmi"]
    assert set(found["bmi"]) == {"edges", "counts"}
    # No row: not one of its values is in the page.
    page = prior.edit(rows).html
    assert not [x for x in np.concatenate([*rows.values()]) if repr(float(x)) in page]


def test_prior_stays_as_it_is(prior):
    before = prior.to_json()
    assert isinstance(prior.edit(), PriorEditor)
    assert prior.to_json() == before
