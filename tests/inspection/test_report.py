"""The page for those who must sign a model off: what it tells, what it never does."""

import re
import sys
from base64 import b64decode
from html.parser import HTMLParser
from importlib.resources import files

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from llmreg import FeaturePrior, LLMAttributionClassifier, LLMAttributionRegressor
from llmreg.elicitation._questions import Questionnaire
from llmreg.exceptions import DataError, MissingDependencyError
from llmreg.inspection import (
    PriorDisplay,
    _comparison,
    _report,
    format_report,
    write_report,
)
from tests.fakes import FailingProvider, FakeProvider
from tests.providers.test_base import Scripted

HOSTILE = '<script>alert("x")</script>'
KEY = "sk-secret-0123456789"
VOID = {"img", "meta"}


class Page(HTMLParser):
    """A page taken apart; every element must be closed."""

    def __init__(self, text):
        super().__init__()
        self.open, self.elements, self.texts, self.titles = [], [], [], []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.texts.append(data)
        if self.open and self.open[-1] == "h2":
            self.titles.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.texts).split())

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


class WithKey(FakeProvider):
    """As most providers have it: the key is a parameter."""

    def __init__(self, api_key=None):
        super().__init__()
        self.api_key = api_key

    def elicit(self, task):
        found = super().elicit(task)
        digest = Questionnaire(task).digest
        return FeaturePrior(
            found.features,
            found.scores,
            found.outputs,
            rationale={"a": "because a matters"},
            task=task.description,
            provenance={
                "provider": "somewhere.Provider",
                "model": "model-1",
                "prompt_hash": digest,
                "ask": "all",
            },
            usage={"input_tokens": 1234},
        )


@pytest.fixture
def no_pictures(monkeypatch):
    """Drawing takes far longer than all the rest."""
    monkeypatch.setattr(_report, "draw", lambda make: [("light", "data:,", "1")])


@pytest.fixture
def few_folds(no_pictures, monkeypatch):
    """What is measured matters here, not how exactly."""
    monkeypatch.setattr(_comparison, "N_FOLDS", 2)
    monkeypatch.setattr(_comparison, "N_REPEATS", 1)
    monkeypatch.setattr(_report, "draw_curve", lambda *_: [])


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    return pd.DataFrame(rng.normal(size=(60, 3)), columns=[*"abc"])


@pytest.fixture(scope="module")
def labels(rows):
    return pd.Series(np.where(rows["a"] > rows["b"], "ill", "well"), name="health")


@pytest.fixture(scope="module")
def model(rows, labels):
    """The prior is right about "a" and wrong about "b"; one name is an attack."""
    prior = FeaturePrior.from_estimates(
        [{"a": -5, "b": -5, HOSTILE: 1}, {"a": -7, "b": -5, HOSTILE: 1}],
        rationale={"a": f"Reason {HOSTILE}", HOSTILE: "None."},
        descriptions={"a": f"Meaning {HOSTILE}"},
        provenance={"source": f"Source {HOSTILE}"},
    )
    X = rows.rename(columns={"c": HOSTILE})
    return LLMAttributionClassifier(
        prior, task=f"Task {HOSTILE}", target_name=f"Target {HOSTILE}"
    ).fit(X, labels)


def test_the_page_is_whole_and_fetches_nothing(model, tmp_path):
    path = tmp_path / "report.html"
    write_report(model, path)
    text = path.read_text(encoding="utf-8")
    page = Page(text)
    assert page.titles == [
        "Task",
        "Prior",
        "What was sent, and to whom",
        "Alignment",
        "Trust",
        "Performance",
        "Model",
        "What this report cannot tell",
        "Sign-off",
    ]
    assert "http:" not in text
    assert "https:" not in text
    addresses = [
        attributes[name]
        for _, attributes in page.elements
        for name in ("src", "srcset", "href")
        if name in attributes
    ]
    assert len(addresses) == 6
    for address in addresses:
        head, data = address.split(",", 1)
        assert head == "data:image/svg+xml;base64"
        assert b"<svg" in b64decode(data)
    assert {"script", "link", "iframe"}.isdisjoint(dict(page.elements))
    kinds = [image["class"] for image in page.all("img") if image["alt"]]
    assert kinds == ["light", "dark"] * 3
    policy = next(m["content"] for m in page.all("meta") if "http-equiv" in m)
    assert policy.startswith("default-src 'none'")
    assert len(text) < 2_000_000


def test_a_name_is_no_element(model, no_pictures):
    text = format_report(model, title=HOSTILE)
    page = Page(text)
    assert not page.all("script")
    for said in ("Reason", "Meaning", "Source", "Task", "Target"):
        assert f"{said} {HOSTILE}" in page.text
    assert HOSTILE in page.text


def test_a_picture_runs_nothing(model):
    """The names are in the pictures as outlines, not as texts that could be markup."""
    for _, svg, _ in _report.draw(lambda: PriorDisplay.from_prior(model.prior_)):
        assert b"<script" not in b64decode(svg.split(",")[1])


def test_a_page_says_the_same_again(model, no_pictures):
    drop = "Written by"
    one, other = (
        _report.draw(lambda: PriorDisplay.from_prior(model.prior_)) for _ in range(2)
    )
    assert one == other
    one, other = (
        [line for line in format_report(model).splitlines() if drop not in line]
        for _ in range(2)
    )
    assert one == other


def test_light_dark_and_paper():
    """Dark is for screens alone: white ink is not seen on paper."""
    style = (files("llmreg.inspection") / "templates" / "report.css").read_text()
    assert style.count("prefers-color-scheme: dark") == 2
    assert style.count("@media screen and (prefers-color-scheme: dark)") == 2
    assert "@media print" in style
    assert "url(" not in style


def test_scores_reasons_and_contradictions_are_told(model, no_pictures):
    text = Page(format_report(model)).text
    for told in ("-6.0", "Reason", "Contradicted by the rows", "No table was given"):
        assert told in text
    assert model.trust_.verdict in text
    assert [c.feature for c in model.trust_.contradictions] == ["b"]


def test_what_was_sent_is_told_word_for_word_and_the_key_never(rows, labels, few_folds):
    model = LLMAttributionClassifier(
        WithKey(api_key=KEY), task="Who is ill?", feature_descriptions={"a": "an A"}
    ).fit(rows, labels)
    text = format_report(model, rows, labels)
    page = Page(text)
    assert KEY not in text
    assert page.all("pre")
    assert Questionnaire(model._describe_task()).user in "".join(page.texts)
    for told in ("somewhere.Provider", "model-1", "an A", "1,234", "Who is ill?"):
        assert told in page.text
    # No number of the table is there.
    assert not any(f"{value:.4f}" in page.text for value in rows.to_numpy().ravel())


def test_other_words_are_not_taken_for_what_was_sent(rows, labels, no_pictures):
    model = LLMAttributionClassifier(WithKey()).fit(rows, labels)
    model.task = "Another sentence."
    page = Page(format_report(model))
    assert "The wording is not recorded" in page.text
    assert not page.all("pre")


def test_a_provider_that_failed_is_told(rows, labels, few_folds):
    model = LLMAttributionClassifier(FailingProvider(), on_error="no_prior")
    with pytest.warns(UserWarning):
        model.fit(rows, labels)
    text = Page(format_report(model, rows, labels)).text
    assert "HTTP 529" in text
    assert "trained without one" in text
    assert "Without a prior there is none." in text


def test_performance_with_and_without(model, rows, labels, no_pictures, monkeypatch):
    monkeypatch.setattr(_comparison, "TRAIN_SIZES", (4,))
    X = rows.rename(columns={"c": HOSTILE})
    text = Page(format_report(model, X, labels)).text
    assert "60 rows: 5 folds, dealt 2 times" in text
    for told in ("ROC AUC", "Log loss", "Accuracy", "of 10 folds", "no features"):
        assert told in text
    assert "What the prior is worth" in text


def many_classes(rows):
    y = pd.cut(rows["a"], 4, labels=[*"wxyz"]).astype(str)
    prior = {label: {"a": i - 1.5} for i, label in enumerate("wxyz")}
    return LLMAttributionClassifier(prior).fit(rows, y), y


def several_targets(rows):
    y = rows[["a", "b"]].rename(columns=str.upper)
    prior = {"A": {"a": 5, "b": 0}, "B": {"b": -5}}
    return LLMAttributionRegressor(prior).fit(rows, y), y


def one_target(rows):
    return LLMAttributionRegressor({"a": 1, "b": 2}, gamma=3).fit(
        rows, rows["a"]
    ), rows["a"]


def without_prior(rows):
    return LLMAttributionRegressor().fit(rows, rows["a"]), rows["a"]


def in_pipeline(rows):
    y = rows["a"] > 0
    model = LLMAttributionClassifier({"a": 5})
    return make_pipeline(FunctionTransformer(), model).fit(rows, y), y


def numbered(rows):
    y = (rows["a"] > 0).to_numpy().astype(int)
    return LLMAttributionClassifier({"a": 5}).fit(rows, y), y


def in_search(rows):
    y = rows["a"] > 0
    search = GridSearchCV(LLMAttributionClassifier({"a": 5}), {"alpha": [2, 3]}, cv=2)
    return search.fit(rows, y), y


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (many_classes, ["one class to the rest", "Output Cosine w"]),
        (several_targets, ["A: The 60", "B: The 60", "Mean absolute error"]),
        (one_target, ["gamma=3), and the rows had no say", "not weighed"]),
        (without_prior, ["without a prior", "nothing to trust", "no provider was"]),
        (numbered, ["with the prior"]),
        (in_pipeline, ["functiontransformer (FunctionTransformer)"]),
        (in_search, ["Parameter Value alpha"]),
    ],
)
def test_every_kind_of_model_has_a_page(make, told, rows, few_folds):
    model, y = make(rows)
    text = Page(format_report(model, rows, y)).text
    assert all(words in text for words in told)
    assert "Performance" in text


def test_labels_may_be_a_table_of_one_column(rows, labels, few_folds):
    model = LLMAttributionClassifier({"a": -5}).fit(rows, labels)
    text = Page(format_report(model, rows, labels)).text
    alike = Page(format_report(model, rows, labels.to_frame())).text
    assert re.findall(r"\d\.\d{3} ±", alike) == re.findall(r"\d\.\d{3} ±", text) != []


def test_too_few_rows_are_an_error(model, rows, labels, no_pictures):
    X = rows.rename(columns={"c": HOSTILE})
    with pytest.raises(DataError, match="too few"):
        format_report(model, X[:3], labels[:3].where([True, True, False], "ill"))
    with pytest.raises(DataError, match="not classes of the model"):
        format_report(model, X, labels.str.upper())


def test_what_cannot_be_reported_on(rows):
    with pytest.raises(TypeError, match="got FunctionTransformer"):
        format_report(FunctionTransformer())
    with pytest.raises(NotFittedError):
        format_report(LLMAttributionRegressor())
    with pytest.raises(ValueError, match="both X and y"):
        format_report(LLMAttributionRegressor().fit(rows, rows["a"]), rows)


def test_objects_among_the_parameters_are_named_not_shown(rows, labels, no_pictures):
    model = LLMAttributionClassifier({"a": 1}, alpha=2.5, net__lr=0.25)
    model.fit(rows, labels)
    text = Page(format_report(model)).text
    assert "alpha 2.5" in text
    assert "net__lr (float)" in text


@pytest.mark.parametrize("text", ["\x00", "\u202e", "\ud800"])
def test_what_hides_is_shown(text, model, no_pictures):
    page = format_report(model, title=f"a{text}b")
    assert text not in page
    assert page.count("<title>a\\") == page.count("<h1>a\\") == 1
    page.encode("utf-8")


def test_an_attribute_stays_one(model, monkeypatch):
    hostile = '"><script>'
    monkeypatch.setattr(_report, "draw", lambda make: [(hostile, hostile, hostile)])
    page = Page(format_report(model))
    assert not page.all("script")
    assert {image["src"] for image in page.all("img")} == {hostile}


def test_without_jinja_the_error_says_what_to_install(model, monkeypatch):
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(MissingDependencyError, match=r"llmreg\[report\]"):
        format_report(model)


def test_scores_are_shown_whatever_their_card_says_of_errors():
    prior = FeaturePrior.from_dict({"a": 3}, provenance={"error": "was down"})
    model = LLMAttributionClassifier(prior, feature_names=["a"])
    page = format_report(model.fit([[1], [2], [3], [4]], ["n", "n", "y", "y"]))
    assert "The provider gave no prior" not in page
    assert "A score from -10 to 10" in page


def test_the_address_and_the_first_cost_are_told_of_cached_answers(
    rows, labels, no_pictures, tmp_path
):
    class Hosted(Scripted):
        def _place(self):
            return "https://models.example/v1"

    provider = Hosted([3, 4], n_estimates=2, cache=tmp_path)
    model = LLMAttributionClassifier(provider, feature_names=["a", "b", "c"])
    for _ in range(2):
        model.fit(rows, labels)
    assert model.prior_.usage["output_tokens"] == 0
    text = Page(format_report(model)).text
    assert "address https://models.example/v1" in text
    assert "tokens 10 output tokens" in text


def test_curves_are_drawn_and_told(rows, labels, no_pictures):
    prior = FeaturePrior.from_dict(
        {"a": [(-1, -6), (0, 2), (1, 5)], "b": -2, "c": 0},
        ranges={"a": (-1, 0, 1)},
        units={"a": HOSTILE},
    )
    model = LLMAttributionClassifier(prior, max_iter=5, solver="adam")
    page = Page(format_report(model.fit(rows, labels)))
    assert len(page.all("svg")) == 1
    assert not page.all("script")
    assert "Typically -1 to 1" in page.text
    assert "rises; up to -0.6 strongly less likely (-6 to -3)" in page.text
    assert "What was said, and what was learnt" in page.text
    # A net with hidden layers that is trained in a loop has no shapes.
    deep = model.set_params(hidden_layer_sizes=(3,), gamma=1).fit(rows, labels)
    assert "what was learnt" not in format_report(deep)
    priced = LLMAttributionRegressor(prior, max_iter=5, solver="adam")
    assert "strongly higher" in format_report(priced.fit(rows, rows["a"]))
