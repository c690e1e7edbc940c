"""The pure part of the page, run without a browser: curves, sentences, cards."""

from __future__ import annotations

import json
from importlib.resources import files

import numpy as np
import pytest
from py_mini_racer import MiniRacer

from llmreg.prior import FeaturePrior, ResponseCurve

GLUCOSE = [[70, -6], [100, -3], [126, 3], [200, 9]]
LIKELY = ["more likely", "less likely"]


@pytest.fixture(scope="module")
def engine():
    code = files("llmreg.editing") / "templates" / "card.js"
    with MiniRacer() as engine:
        engine.eval(code.read_text(encoding="utf-8"))
        yield engine


@pytest.fixture(scope="module")
def js(engine):
    """Call a function of the page; what it takes and gives goes as JSON."""

    def call(name, *values):
        # As the page reads it: in a literal, "__proto__" would be no name.
        text = json.dumps(json.dumps(values))
        code = f"JSON.stringify({name}(...JSON.parse({text})) ?? null)"
        return json.loads(engine.eval(code))

    return call


class TestCurves:
    def test_are_those_of_python(self, js):
        points = [[0, None], [1, -2], [3, None], [4, 5], [9, None]]
        x = [-1, 0, 1, 2.5, 3, 4, 7, 9, 20]
        found = [js("effectAt", points, value) for value in x]
        np.testing.assert_allclose(found, ResponseCurve.from_points(points)(x)[0])
        assert js("effectAt", [[0, None], [1, None]], 0.5) is None

    @pytest.mark.parametrize(
        ("i", "x", "y", "moved"),
        [
            (1, 110, 2, [110, 2]),
            (1, 10, 2, [71, 2]),
            (1, 500, -99, [125, -10]),
            (3, 500, 99, [500, 10]),
            (0, -500, None, [-500, None]),
        ],
    )
    def test_knot_stays_between_its_neighbours(self, js, i, x, y, moved):
        found = js("moveKnot", GLUCOSE, i, x, y, 1)
        assert found[i] == moved
        assert [p for k, p in enumerate(found) if k != i] == [
            p for k, p in enumerate(GLUCOSE) if k != i
        ]

    def test_new_knot_changes_nothing_and_eight_are_enough(self, js):
        points = js("addKnot", GLUCOSE, 113)
        assert points[2] == [113, 0]
        assert js("addKnot", GLUCOSE, 100) == GLUCOSE
        for x in range(210, 300, 10):
            points = js("addKnot", points, x)
        assert len(points) == 8
        for _ in points:
            points = js("removeKnot", points, 0)
        assert len(points) == 2

    @pytest.mark.parametrize(
        ("x", "step"), [(0.3, 0.5), (1, 1), (1.1, 2), (45, 50), (60, 100), (3e-4, 5e-4)]
    )
    def test_steps_are_round(self, js, x, step):
        assert js("nice", x) == step

    def test_no_dust(self, js):
        assert js("snap", 0.3000001, 0.1) == 0.3
        assert js("snap", -0.01, 0.1) == 0


class TestSentences:
    @pytest.mark.parametrize(
        ("points", "said"),
        [
            (
                GLUCOSE,
                "Rises: up to 70 mg/dL strongly less likely, from 163 mg/dL on "
                "strongly more likely.",
            ),
            (
                [[10, 9], [20, 0]],
                "Falls: up to 13.35 mg/dL strongly more likely, from 18.9 mg/dL on "
                "about average.",
            ),
            ([[0, 3], [1, 5]], "Rises: clearly more likely throughout."),
            (
                [[20, -4], [40, 4], [60, -4]],
                "Rises to 40 mg/dL (clearly more likely), then falls: up to 22.6 mg/dL "
                "clearly less likely, from 57.6 mg/dL on clearly less likely.",
            ),
            (
                [[0, 4], [10, -2], [20, 4]],
                "Falls to 10 mg/dL (slightly less likely), then rises: up to 1.7 mg/dL "
                "clearly more likely, from 18.3 mg/dL on clearly more likely.",
            ),
            (
                [[0, 0], [1, 4], [2, -4], [3, 0]],
                "Highest at 1 mg/dL (clearly more likely), lowest at 2 mg/dL (clearly "
                "less likely): up to 0.26 mg/dL about average, from 2.76 mg/dL on "
                "about average.",
            ),
            ([[0, 4], [10, 4.2]], "Flat: makes no difference."),
            ([[0, None], [1, None]], "No opinion."),
        ],
    )
    def test_of_curves(self, js, points, said):
        assert js("curveSentence", points, LIKELY, "mg/dL") == said

    @pytest.mark.parametrize(
        ("score", "is_level", "said"),
        [
            (None, True, "No opinion."),
            (0.5, True, "Hardly any difference."),
            (-6, True, "With it: strongly less likely."),
            (3, False, "Larger values: clearly more likely."),
        ],
    )
    def test_of_scores(self, js, score, is_level, said):
        assert js("scoreSentence", score, LIKELY, is_level) == said

    @pytest.mark.parametrize(
        ("card", "more"),
        [
            ({"outputs": ["yes"], "base_rates": {"yes": 0.3}}, "more likely"),
            ({"outputs": ["yes"], "target": "ill"}, "more likely"),
            ({"outputs": ["price"], "target": "price"}, "higher"),
            ({"outputs": ["price"], "target_ranges": {"price": [1, 2, 3]}}, "higher"),
            ({"outputs": ["target"], "target": ""}, "higher"),
        ],
    )
    def test_have_the_words_of_a_class_or_a_number(self, js, card, more):
        assert js("wordsOf", card)[0] == more


class TestCards:
    def test_come_out_as_python_writes_them(self, js, prior):
        text = prior.to_json()
        assert js("formatCard", json.loads(text)) == text

    def test_have_their_fields_in_order_whatever_was_added(self, js, prior):
        text = prior.to_json()
        card = json.loads(text)
        turned = {name: card[name] for name in reversed(card)}
        turned["features"] = [
            {name: entry[name] for name in reversed(entry)}
            for entry in card["features"]
        ]
        assert js("formatCard", turned) == text
        assert js("formatCard", {"note": 1, **card}).endswith('"note": 1\n}\n')

    def test_of_the_first_version_come_out_as_the_second(self, js, plain):
        text = js("formatCard", json.loads(plain.to_json()))
        assert '"version": 2' in text
        assert FeaturePrior.from_json(text).to_json() == plain.to_json()

    def test_change_of_a_curve_drops_what_its_estimates_said(self, js, prior):
        card = json.loads(prior.to_json())
        entry = card["features"][0]
        points = js("moveKnot", entry["curve"], 2, 126, 7, 1)
        card["features"][0] = js("withCurve", entry, "yes", card, points)
        found = FeaturePrior.from_json(js("formatCard", card))
        assert found.curves["glucose"].effects[0, 2] == 7
        assert found.curves["glucose"].spread is None
        assert np.isnan(found.estimates[:, 0, 0]).all()
        # All else is as it was.
        np.testing.assert_array_equal(
            found.estimates[:, 0, 1:3], [[2, -2], [1, np.nan]]
        )
        for name in ("rationale", "ranges", "units", "base_rates", "provenance"):
            assert getattr(found, name) == getattr(prior, name)
        assert found.usage == prior.usage

    def test_score_becomes_the_line_that_it_is(self, js, plain):
        card = json.loads(plain.to_json())
        entry = js("scoreToCurve", card["features"][0], card, 20, 60)
        card["features"][0] = entry
        found = FeaturePrior.from_json(js("formatCard", card))
        np.testing.assert_array_equal(found.scores[:, 0], plain.scores[:, 0])
        assert found.curves["age"].values.tolist() == [20, 60]

    def test_outputs_have_eight_knots_between_them(self, js, plain):
        card = json.loads(plain.to_json())
        entry = js("scoreToCurve", card["features"][0], card, 0, 1)
        others = [[x / 10, 1] for x in range(8)]
        # Python would leave a knot out where they have nine: 0 is shared, 1 is not.
        assert js("withCurve", entry, "early", card, others) is None
        fits = js("withCurve", entry, "early", card, others[:7])
        card["features"][0] = fits
        found = FeaturePrior.from_json(js("formatCard", card))
        assert found.curves["age"].values.tolist() == [x / 10 for x in range(7)] + [1]
        np.testing.assert_allclose(found.curves["age"]([0.55, 1]), [[1, 1], [-0.1, -1]])

    @pytest.mark.parametrize("output", ["__proto__", "constructor", "0", "<"])
    def test_any_name_of_an_output_is_a_name(self, js, output):
        prior = FeaturePrior.from_dict({output: {"a": 1}, "other": {"a": 2}})
        card = json.loads(prior.to_json())
        card["features"][0] = js("withScore", card["features"][0], output, card, 5)
        found = FeaturePrior.from_json(js("formatCard", card))
        assert found.scores.tolist() == [[5], [2]]


def test_history_goes_back_and_forth_in_steps(engine):
    engine.eval(
        """
        var steps = new History();
        for (const [before, after, tag] of [[0, 1, "a"], [1, 2, "a"], [2, 3, ""]]) {
          steps.push({ place: 4, before, after, tag });
        }
        """
    )

    def run(code):
        return json.loads(engine.eval(f"JSON.stringify({code})"))

    assert run("steps.back()") == [4, 2]
    assert run("steps.back()") == [4, 0]
    assert run("steps.back()") is None
    assert run("steps.forth()") == [4, 2]
    engine.eval('steps.push({ place: 4, before: 2, after: 9, tag: "a" })')
    assert run("steps.forth()") is None
    assert run("steps.back()") == [4, 2]
