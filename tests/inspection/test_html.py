"""What a notebook shows: markup that is whole, escaped, and readable on dark pages."""

import re
from html.parser import HTMLParser
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import QuantileTransformer

from llmreg import LLMAttributionClassifier, LLMAttributionRegressor, _utils
from llmreg.inspection import AlignmentDisplay, PriorDisplay, ShapeDisplay, shapes
from llmreg.preprocessing import TableEncoder
from llmreg.providers import AnthropicProvider, PriorProvider

ADDRESS = "https://llmreg.example/stable/"


class Whole(HTMLParser):
    """Ends every element in its order, and keeps the names of all."""

    EMPTY = frozenset({"br", "hr", "img", "input", "link", "meta", "rect", "path"})

    def __init__(self, text):
        super().__init__()
        self.open, self.names = [], []
        self.feed(text)
        assert {*self.open} <= {"body"}  # That of scikit-learn is left open.

    def handle_starttag(self, tag, attrs):
        self.names.append(tag)
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.names.append(tag)

    def handle_endtag(self, tag):
        if tag not in self.EMPTY:
            assert self.open.pop() == tag


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    table = {"age": rng.uniform(20, 80, 60), "<q>": rng.normal(size=60)}
    return pd.DataFrame(table | {"sex": rng.choice(["f", "<i>"], 60)})


@pytest.fixture(scope="module")
def model(rows):
    y = pd.Series(np.where(rows["age"] > 50, "Yes", "No"), name="Outcome")
    said = {"age": [(30, 5), (70, -5)], "<q>": 3, "sex=<i>": 1, "sex=f": -1}
    return LLMAttributionClassifier({"Yes": said}).fit(rows, y)


def pictures(model, rows):
    drawings = shapes(model, rows)._repr_html_()
    return [model.prior_._repr_html_(), model.trust_._repr_html_(), drawings]


def test_markup_is_whole_and_names_are_escaped(model, rows):
    for text in pictures(model, rows):
        assert not {"q", "i", "script"} & set(Whole(text).names)
    shown = model._repr_html_()
    assert Whole(shown.partition("<script>")[0])
    assert "<q>" not in shown
    prior, _, drawings = pictures(model, rows)
    assert "&lt;q&gt;" in prior and "sex=&lt;i&gt;" in prior
    assert "&lt;q&gt;" in drawings and "&lt;i&gt; " in drawings


def test_dark_pages_are_thought_of(model, rows):
    for text in pictures(model, rows):
        style = re.search("<style>(.*?)</style>", text, re.DOTALL)[1]
        assert "@media (prefers-color-scheme: dark)" in style
        assert "--jp-content-font-color1" in style
        assert "--vscode-editor-foreground" in style
        assert "url(" not in style and "@import" not in style
        # No colour but those of the style: the ink of the page, whatever it is.
        assert set(re.findall(r'(?:fill|stroke)="([^"]+)"', text)) <= {
            *("currentColor", "none"),
        }


def test_shapes_are_drawn_beside_each_other(model, rows):
    found = shapes(model, rows)
    assert found == dict(found)
    text = found._repr_html_()
    assert text.count("<svg") == 4
    assert text.count("<tr>") == 1 + len(found)


def test_shapes_of_several_outputs_and_of_many_knots(rows):
    y = rows[["age", "<q>"]] * [1e6, 1]
    prior = {"age": {"age": 3}, "<q>": {"sex=f": 3}}
    model = LLMAttributionRegressor(prior, scaler=QuantileTransformer(n_quantiles=60))
    model.fit(rows, y)
    text = shapes(model)._repr_html_()
    assert text.count("<polyline") == 5
    assert " / " in text
    Whole(text)


def test_a_class_is_named_with_its_target(model, rows):
    assert model.prior_.target == "Outcome"
    assert repr(model.prior_).startswith("FeaturePrior: 4 features, Outcome = Yes")
    title = AlignmentDisplay.from_estimator(model).ax_.get_title()
    assert title.startswith("Outcome = Yes: cosine")
    drawn = PriorDisplay.from_prior(model.prior_, kind="scores")
    assert drawn.ax_.get_title() == "Outcome = Yes"
    labels = {ax.get_ylabel() for ax in ShapeDisplay.from_estimator(model).axes_}
    assert "log-odds of\nOutcome = Yes" in labels


@pytest.mark.parametrize("name", [None, "target"])
def test_a_target_without_a_name_is_not_named(rows, name):
    y = (rows["age"] > 50).rename(name)
    model = LLMAttributionClassifier({"age": 1}).fit(rows[["age"]], y)
    assert "output 'True'" in repr(model.prior_)
    assert AlignmentDisplay.from_estimator(model).ax_.get_title().startswith("True:")


def test_a_regression_names_its_target_once(rows):
    model = LLMAttributionRegressor({"<q>": 1}).fit(rows[["<q>"]], rows["age"])
    assert "output 'age'" in repr(model.prior_)


def test_links_lead_to_pages_where_their_address_is_known(model, rows, monkeypatch):
    unfitted = LLMAttributionRegressor()
    piped = make_pipeline(LLMAttributionClassifier())
    objects = (model, unfitted, TableEncoder(), AnthropicProvider())
    monkeypatch.setattr(_utils, "pages", lambda: "")
    assert [thing._get_doc_link() for thing in objects] == [""] * 4
    assert "api/generated" not in model._repr_html_() + piped._repr_html_()

    monkeypatch.setattr(_utils, "pages", lambda: "https://llmreg.example")
    found = [thing._get_doc_link() for thing in objects]
    assert found == [
        f"https://llmreg.example/api/generated/llmreg.{page}.html"
        for page in (
            "LLMAttributionClassifier",
            "LLMAttributionRegressor",
            "preprocessing.TableEncoder",
            "providers.AnthropicProvider",
        )
    ]
    for shown, link in ((model, found[0]), (unfitted, found[1]), (piped, found[0])):
        assert link in shown._repr_html_()


def test_no_link_to_what_is_somebody_elses(monkeypatch):
    monkeypatch.setattr(_utils, "pages", lambda: "https://llmreg.example")

    class Own(PriorProvider):
        """In a module of its own."""

    assert Own()._get_doc_link() == ""


@pytest.mark.parametrize(
    ("urls", "address"),
    [
        (["Paper, https://arxiv.org/", f"Documentation, {ADDRESS}"], ADDRESS[:-1]),
        (["Paper, https://arxiv.org/"], ""),
        (None, ""),
    ],
)
def test_the_address_is_that_of_the_metadata(monkeypatch, urls, address):
    told = SimpleNamespace(get_all=lambda name: urls)
    monkeypatch.setattr(_utils, "metadata", lambda name: told)
    assert _utils.pages.__wrapped__() == address
