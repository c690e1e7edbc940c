"""Recorded curves: read into priors whatever way they were given."""

import numpy as np
import pytest

from benchmarks.data import knowledge
from benchmarks.data.catalogue import GROUPS, HERE, encoded_keys, read_card, read_prior
from benchmarks.data.knowledge import recorded_knowledge

NAMES = list(dict.fromkeys(name for group in GROUPS.values() for name in group))
MIXED = {
    "name": "mixed",
    "table": "mixed",
    "task": "Predict.",
    "target": "y",
    "kind": "classification",
    "classes": ["no", "yes"],
    "positive": "yes",
    "features": {
        "flag": {"description": "A flag.", "kind": "binary"},
        "grade": {
            "description": "A grade.",
            "kind": "categorical",
            "levels": {"1": "low", "2": "middle", "3": "high"},
        },
    },
}


@pytest.fixture
def answered(monkeypatch):
    """Put a card of two features and some answers about it in the place of files."""

    def put(*answers, **changes):
        monkeypatch.setattr(knowledge, "read_card", lambda name: {**MIXED, **changes})
        record = {"provenance": "A test.", "estimates": list(answers)}
        monkeypatch.setattr(knowledge, "read_knowledge", lambda name: record)

    return put


def answer(numeric=None, levels=None, base_rate=0.25):
    return {"numeric": numeric or {}, "levels": levels or {}, "base_rate": base_rate}


def curve(*points, p=(0, 0, 1), confidence=0.5):
    names = zip(("p5", "p50", "p95"), p, strict=True)
    return {**dict(names), "curve": list(points), "confidence": confidence}


GRADES = {"1": -2, "2": 0, "3": 2}


class TestRecords:
    @pytest.mark.parametrize("name", NAMES)
    def test_inputs_and_outputs_are_those_of_card_and_prior(self, name):
        found, card = recorded_knowledge(name), read_card(name)
        assert found.features == encoded_keys(card)
        assert found.outputs == read_prior(name).outputs
        features = card["features"].items()
        numeric = {key for key, about in features if about["kind"] != "categorical"}
        assert set(found.curves) == numeric
        assert sum(each.rate for each in found.base_rates.values()) == pytest.approx(
            0 if card["kind"] == "regression" else 1, abs=0.02
        )
        assert set(found.target_ranges) == (
            {"target"} if card["kind"] == "regression" else set()
        )
        # It was put in the place of another level after the questions were asked.
        odd = ("pv_control=fixed 0.98",) if name == "feeder_voltage" else ()
        assert found.missing == odd and read_prior(name).missing == odd

    def test_provenance_goes_along(self):
        for path in (*HERE.glob("**/knowledge/*.json"),):
            assert "recorded" in recorded_knowledge(path.stem).provenance["source"]

    def test_both_answers_are_averaged(self):
        one, other = (recorded_knowledge("diabetes", [i]) for i in (0, 1))
        both = recorded_knowledge("diabetes")
        assert one.ranges["Insulin"].middle == 30 and other.ranges["Insulin"].low == 0
        assert both.ranges["Insulin"].middle == 31
        mean = (one.curves["Glucose"]([100]) + other.curves["Glucose"]([100])) / 2
        assert both.curves["Glucose"]([100]) == pytest.approx(mean)

    def test_thirds_speak_for_and_against(self):
        curves = recorded_knowledge("auto-mpg>thirds").curves["weight"]([2000, 4500])
        assert np.allclose(curves[0], -curves[2]) and not curves[1].any()
        assert curves[2, 0] > curves[2, 1]


class TestForms:
    def test_levels_of_a_coded_column_become_a_curve(self, answered):
        for levels in ({"0": -1, "1": 3}, {"True": 3, "False": -1}):
            answered(answer(levels={"flag": levels, "grade": GRADES}))
            found = recorded_knowledge("mixed")
            assert found.curves["flag"].values.tolist() == [0, 1]
            assert found.curves["flag"]([0, 1]).tolist() == [[-1, 3]]
            assert found.ranges == {}

    def test_a_curve_in_one_answer_and_levels_in_the_other(self, answered):
        answered(
            answer({"flag": curve([0, -2], [1, 0])}, {"grade": GRADES}),
            answer(
                {"grade": curve([1, -4], [3, 0], p=(1, 2, 3))},
                {"flag": {"0": 0, "1": 2}},
            ),
        )
        found = recorded_knowledge("mixed")
        assert found.curves["flag"]([0, 1]).tolist() == [[-1, 1]]
        assert found.scores[0, 1:].tolist() == [-3, -1, 1]
        # A typical range is of numbers, and one answer is enough for it.
        assert set(found.ranges) == {"flag"}
        assert found.base_rates["yes"].rate == 0.25

    def test_effects_by_class(self, answered):
        effects = {"a": [[0, -1], [1, 1]], "b": [[0, 2], [1, 2]], "c": [[0, 1], [1, 0]]}
        grades = {level: {"a": 1, "b": 2, "c": -3} for level in GRADES}
        rates = {"a": 0.5, "b": 0.3, "c": 0.2}
        said = curve() | {"curve": effects}
        answered(
            answer({"flag": said}, {"grade": grades}, rates),
            classes=["a", "b", "c"],
            positive=None,
        )
        found = recorded_knowledge("mixed")
        assert found.outputs == ("a", "b", "c")
        assert found.curves["flag"]([1])[:, 0].tolist() == [1, 2, 0]
        assert found.scores[:, 1].tolist() == [1, 2, -3]
        assert found.base_rates["c"].rate == 0.2

    def test_a_level_nobody_was_asked_about_is_no_opinion(self, answered):
        said = {"1": -2, "2": 0, "4": 5}
        answered(answer(levels={"flag": {"0": 0, "1": 0}, "grade": said}))
        found = recorded_knowledge("mixed")
        assert np.isnan(found.scores[0, 3]) and found.missing == ("grade=3",)

    def test_weighed_by_confidence(self, answered):
        answered(answer({"flag": curve([0, -2], [1, 4])}, {"grade": GRADES}))
        found = recorded_knowledge("mixed", weigh=True)
        assert found.curves["flag"]([0, 1]).tolist() == [[-1, 2]]
        assert found.scores[0, 1] == -2
