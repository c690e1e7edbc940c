"""The text of the page: what it holds, what it lets nothing do, whom it speaks to."""

from __future__ import annotations

import hashlib
import json
import re
from base64 import b64encode
from html.parser import HTMLParser

import pytest

from llmreg.prior import FeaturePrior
from tests.editing.conftest import HOSTILE

VOID = {"meta", "input"}


class Page(HTMLParser):
    """A page taken apart; every element must be closed."""

    def __init__(self, text):
        super().__init__()
        self.open, self.elements, self.texts = [], [], {}
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop()[0] == tag

    def handle_data(self, data):
        if self.open:
            tag, attributes = self.open[-1]
            key = attributes.get("id") or tag
            self.texts[key] = self.texts.get(key, "") + data


@pytest.fixture
def page(prior, rows):
    return Page(prior.edit(rows).html)


def test_holds_the_card_as_data(page, prior):
    content = json.loads(page.texts["content"])
    assert content["card"] == json.loads(prior.to_json())
    assert FeaturePrior.from_json(json.dumps(content["card"])).features[-1] == HOSTILE


def test_names_are_no_markup(prior):
    assert HOSTILE not in prior.edit().html
    assert {tag for tag, _ in Page(prior.edit().html).elements} == {
        tag for tag, _ in Page(FeaturePrior.from_dict({"a": 1}).edit().html).elements
    }


def test_is_all_there_and_fetches_nothing(page, prior):
    text = prior.edit().html
    own = text.replace("http://www.w3.org/2000/svg", "")
    own = own.replace("http://www.w3.org/1999/xhtml", "")
    assert not re.search(r"https?:|//\w+\.|@import|url\(|fetch\(|XMLHttp", own)
    assert not [name for _, a in page.elements for name in a if name in {"src", "href"}]
    # No place of the template is left, and data are never read as markup.
    assert not re.search(r"\{\{(policy|style|script|content)\}\}", text)
    assert not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write", text)
    assert not re.search(r"\beval\(|new Function", text)


def test_lets_nothing_run_but_its_own_script(page):
    policy = next(a["content"] for t, a in page.elements if "http-equiv" in a)
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    for name in ("script", "style"):
        digest = hashlib.sha256(page.texts[name].encode()).digest()
        assert f"{name}-src 'sha256-{b64encode(digest).decode()}'" in policy
    # Nothing that a parser of HTML would end the script at.
    assert not re.search(r"</script|<!--", page.texts["script"], re.IGNORECASE)


def test_every_element_that_the_script_asks_for_is_there(page):
    asked = set(re.findall(r'\$\("(\w+)"\)', page.texts["script"]))
    ids = [a["id"] for _, a in page.elements if "id" in a]
    assert asked <= set(ids)
    assert len(ids) == len(set(ids))


def test_speaks_to_screen_readers(page):
    roles = {a["role"] for _, a in page.elements if "role" in a}
    assert {"toolbar", "status"} <= roles
    assert dict(page.elements)["html"]["lang"] == "en"
    assert [a["id"] for _, a in page.elements if "aria-live" in a] == ["said"]
    for words in ('role: "slider"', '"aria-valuetext"', '"aria-label"'):
        assert words in page.texts["script"]
    assert "prefers-color-scheme: dark" in page.texts["style"]
    assert ":focus-visible" in page.texts["style"]
