from __future__ import annotations

import pytest

from llmreg.prior._feature_prior import FeaturePrior
from llmreg.prior._task import Feature

HOSTILE = "<script>alert('x')</script>\x1b[2J\n&\u202e"


@pytest.fixture
def prior():
    return FeaturePrior.from_estimates(
        [{"age": -2, "bmi": 8}, {"age": -4, "bmi": 8}],
        rationale={"bmi": "Weight drives the risk, " * 9},
    )


def test_the_strongest_features_come_first(prior):
    assert repr(prior).splitlines() == [
        "FeaturePrior: 2 features, output 'target', 2 estimates",
        "feature  score  spread  reason",
        "bmi       +8.0     0.0  Weight drives the risk, Weight drives the risk,…",
        "age       -3.0     1.0",
    ]


def test_every_output_has_a_column():
    prior = FeaturePrior.from_dict({"a": {"x": 1, "y": None}, "b": {"x": -5}})
    assert repr(prior).splitlines()[1:] == [
        "feature     a     b",
        "x        +1.0  -5.0",
        "y           -     -",
    ]


def test_many_outputs_are_cut():
    prior = FeaturePrior.from_dict({f"class{k}": {"x": 1} for k in range(9)})
    headline, header, *_ = repr(prior).splitlines()
    assert headline.endswith("'class4' and 4 more")
    assert "class4" in header
    assert "class5" not in header


def test_the_middle_of_a_long_table_is_left_out():
    prior = FeaturePrior.from_dict({f"x{i}": 10 - i / 100 for i in range(1000)})
    lines = repr(prior).splitlines()
    assert len(lines) == 23
    assert "... 980 more ..." in lines[12]
    assert lines[-1].startswith("x999")


def test_a_long_key_keeps_its_level():
    prior = FeaturePrior.from_dict({"StandardOfLivingIndexOfTheHousehold=Level4": 1})
    assert repr(prior).splitlines()[2].split()[0] == "StandardOfLivingIndex…old=Level4"


def test_what_align_reports_is_in_the_headline(prior):
    aligned = prior.align([Feature("age"), Feature("fare")], ["yes"])
    assert "1 missing, 1 unknown" in repr(aligned)


def test_an_empty_prior_has_a_table_too():
    assert repr(FeaturePrior.from_dict({})).splitlines()[1] == "feature  score"
    assert "<tbody></tbody>" in FeaturePrior.from_dict({})._repr_html_()


def test_hostile_names_do_nothing_in_a_terminal():
    prior = FeaturePrior.from_dict({HOSTILE: 1}, rationale={HOSTILE: HOSTILE})
    text = repr(prior)
    assert len(text.splitlines()) == 3
    assert "\x1b" not in text
    assert "\u202e" not in text


def test_hostile_names_do_nothing_in_a_notebook():
    prior = FeaturePrior.from_dict(
        {HOSTILE: {HOSTILE: 1}, "b": {HOSTILE: 2}}, rationale={HOSTILE: HOSTILE}
    )
    page = prior._repr_html_()
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "\x1b" not in page
    assert page.count("<tr>") == 2


def test_the_notebook_shows_whole_reasons(prior):
    assert "Weight drives the risk, " * 9 in prior._repr_html_()
