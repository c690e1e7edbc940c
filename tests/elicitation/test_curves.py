"""The questionnaire for curves: what is asked, and what is made of replies."""

from __future__ import annotations

import copy
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmreg.elicitation._curves import MAX_CURVES, MAX_LISTED, reply_schema
from llmreg.elicitation._prompt import in_order, limit_enums
from llmreg.elicitation._questions import MAX_REASON_LENGTH, plan
from llmreg.elicitation._responses import average_by_name, combine, merge
from llmreg.exceptions import (
    IncompleteReplyError,
    PriorDisagreementWarning,
    ProviderResponseError,
)
from llmreg.prior._scores import TypicalRange
from llmreg.prior._task import Feature, Task

FEATURES = (
    Feature("glucose", "after two hours", unit="mg/dL"),
    Feature("age", unit="years"),
    Feature("stage", level="I", order=1),
    Feature("stage", level="II", order=2),
)
REPLY = {
    "base_rates": {"o1": 0.35},
    "curves": [
        {
            "id": "f1",
            "reason": "Sugar is the disease.",
            "range": [80, 117, 181],
            "curve": {"o1": [[70, -7], [100, -3.5], [126, 3], [200, 9]]},
            "special": {"o1": [[0, 0.5]]},
        },
        {
            "id": "f2",
            "reason": "",
            "range": [21, 29, 58],
            "curve": {"o1": [[20, 1], [80, 1]]},
            "special": {"o1": []},
        },
    ],
    "levels": [
        {"id": "f3", "reason": "Early.", "effect": {"o1": -2}},
        {"id": "f4", "reason": "", "effect": {"o1": 2.5}},
    ],
}


def make_task(features=FEATURES, outputs=("yes",), kind="classification", classes=()):
    if kind == "classification":
        classes = classes or ("no", *outputs)
    return Task(features, "ill", outputs, kind, classes, "Predict who falls ill.")


def ask(task=None):
    (question,) = plan(task or make_task(), "curves")
    return question


def read(change=None, task=None, reply=REPLY):
    reply = copy.deepcopy(reply)
    if change is not None:
        change(reply)
    return ask(task).read(json.dumps(reply))


def objects(schema):
    if isinstance(schema, dict):
        if schema.get("type") == "object":
            yield schema
        for part in schema.values():
            yield from objects(part)


class TestQuestion:
    def test_levels_tell_their_order_and_nothing_else_is_new(self):
        document = json.loads(ask().user)
        assert document["features"][1:3] == [
            {"id": "f2", "name": "age", "unit": "years"},
            {"id": "f3", "name": "stage", "level": "I", "order": 1},
        ]
        assert set(document) == {
            *("task", "kind", "target", "classes", "outputs", "features")
        }

    def test_questions_for_scores_are_as_they_were(self):
        plain = make_task(tuple(Feature(f.name, level=f.level) for f in FEATURES[2:]))
        (told,), (untold,) = plan(make_task(FEATURES[2:])), plan(plain)
        assert told.user == untold.user

    @pytest.mark.parametrize("kind", ["classification", "regression"])
    def test_the_schema_is_one_that_vendors_take(self, kind):
        schema = ask(make_task(kind=kind)).schema
        for each in objects(schema):
            assert each["required"] == list(each["properties"])
            assert each["additionalProperties"] is False
        # No alternatives, no null, no ranges and lengths, no numbers in lists.
        words = set(str(schema).split("'"))
        assert not {"anyOf", "null", "minimum", "maxItems"} & words
        assert limit_enums(schema) == schema

    def test_what_a_task_has_not_is_not_asked_for(self):
        assert set(ask(make_task(FEATURES[:2])).schema["properties"]) == {
            *("base_rates", "curves")
        }
        schema = ask(make_task(FEATURES[2:], kind="regression")).schema
        assert set(schema["properties"]) == {"target_ranges", "levels"}

    def test_ids_of_many_features_are_checked_here_and_not_by_the_vendor(self):
        task = make_task(tuple(Feature(f"x{i}") for i in range(MAX_LISTED + 1)))
        question = ask(task)
        assert "enum" not in str(question.schema)
        reply = {"base_rates": {"o1": 0.5}, "curves": [{**REPLY["curves"][0]}]}
        reply["curves"][0]["id"] = "f52"
        with pytest.raises(ProviderResponseError, match=r"id of entry 1 .*'f52'"):
            question.read(json.dumps(reply))

    def test_a_grammar_can_hold_a_model_to_the_order(self):
        held = in_order(reply_schema(make_task(), lists_ids=True))["properties"]
        ids = [e["properties"]["id"] for e in held["curves"]["prefixItems"]]
        assert ids == [{"const": "f1"}, {"const": "f2"}]
        assert held["levels"]["minItems"] == 2

    def test_parts_have_few_curves_and_one_scale(self):
        task = make_task(
            tuple(Feature(f"x{i}") for i in range(120)), outputs=("a", "b", "c")
        )
        questions = plan(task, "curves")
        assert sum(question.n_curves for question in questions) == 360
        assert max(question.n_curves for question in questions) <= MAX_CURVES
        documents = [json.loads(question.user) for question in questions]
        assert all(len(d["columns"]) == 120 for d in documents)
        assert "keep to the scale of the whole table" in questions[0].system

    def test_halves_tell_of_each_other(self):
        first, second = ask().halves
        assert json.loads(first.user)["columns"] == ["glucose", "age", "stage"]
        assert second.task.keys == ("stage=I", "stage=II")
        quarter = second.halves[0]
        assert json.loads(quarter.user)["columns"] == ["glucose", "age", "stage"]
        assert quarter.halves == ()

    def test_levels_that_are_kept_back_are_not_asked_about(self):
        (question,) = plan(make_task(), "curves", send_levels=False)
        assert "levels" not in question.schema["properties"]
        assert json.loads(question.user)["unscored"][0]["name"] == "stage"


class TestReply:
    def test_has_everything(self):
        found = read()
        curve = found.curves["glucose"]
        assert curve.values.tolist() == [70, 100, 126, 200]
        assert curve.effects.tolist() == [[-7, -3.5, 3, 9]]
        assert curve([0, 70]).tolist() == [[0.5, -7]]
        assert found.ranges["age"] == (21, 29, 58, None)
        assert found.scores["yes"]["stage=II"] == 2.5
        assert found.scores["yes"]["glucose"] == pytest.approx(7, abs=0.5)
        assert found.scores["yes"]["age"] == 0
        rates = {name: rate.rate for name, rate in found.base_rates.items()}
        assert rates == {"yes": 0.35, "no": 0.65}
        assert found.reasons == {
            "glucose": "Sugar is the disease.",
            "stage=I": "Early.",
        }

    def test_reasons_are_cut(self):
        found = read(lambda r: r["curves"][0].update(reason="x" * 999))
        assert len(found.reasons["glucose"]) == MAX_REASON_LENGTH

    def test_of_several_classes_goes_by_id(self):
        task = make_task(FEATURES[:1], ("a", "b", "c"), classes=("a", "b", "c"))
        entry = {
            "id": "f1",
            "reason": "",
            "range": [],
            # Not in order, with other knots, and one without an opinion.
            "curve": {"o3": [[1, 3], [2, 5]], "o1": [[0, -1], [2, 1]], "o2": []},
            "special": {"o1": [], "o2": [[9, 4]], "o3": None},
        }
        rates = {"o2": 0.2, "o1": 0.7, "o3": 0.2}
        found = read(task=task, reply={"base_rates": rates, "curves": [entry]})
        curve = found.curves["glucose"]
        assert curve.values.tolist() == [0, 1, 2]
        np.testing.assert_array_equal(
            curve([0, 1, 2]), [[-1, 0, 1], [0, 0, 0], [3, 3, 5]]
        )
        assert curve([9]).tolist() == [[0], [4], [0]]
        assert np.isnan(found.scores["b"]["glucose"])
        assert found.base_rates["a"].rate == pytest.approx(7 / 11)
        assert found.ranges == {}

    def test_of_a_regression_has_the_range_of_every_target(self):
        task = make_task(FEATURES[2:], ("y", "z"), "regression")
        levels = [
            {"id": i, "reason": "", "effect": {"o1": 1, "o2": None}}
            for i in ("f1", "f2")
        ]
        reply = {"target_ranges": {"o1": [1, 2, 9], "o2": None}, "levels": levels}
        found = read(task=task, reply=reply)
        assert found.target_ranges == {"y": TypicalRange(1, 2, 9)}
        assert found.scores["y"] == {"stage=I": 1, "stage=II": 1}
        assert np.isnan(found.scores["z"]["stage=I"])

    @pytest.mark.parametrize(
        ("change", "silent"),
        [
            (lambda r: r["curves"].pop(), {"age"}),
            (lambda r: r["levels"].clear(), {"stage=I", "stage=II"}),
            (lambda r: r["curves"][0]["curve"].update(o1=[]), {"glucose"}),
            (lambda r: r["curves"][0]["curve"].update(o1=None), {"glucose"}),
            (lambda r: r["levels"][0]["effect"].update(o1=None), {"stage=I"}),
            (
                lambda r: r["curves"][0]["curve"].update(o1=[[70, None], [126, None]]),
                {"glucose"},
            ),
        ],
    )
    def test_what_is_left_out_is_no_opinion(self, change, silent):
        scores = read(change).scores["yes"]
        assert {key for key, score in scores.items() if np.isnan(score)} == silent

    def test_of_less_than_half_is_incomplete(self):
        def change(reply):
            reply["levels"].clear()
            reply["curves"].pop()

        with pytest.raises(IncompleteReplyError, match="leaves out 3 of 4"):
            read(change)

    def test_no_opinion_of_base_rates_and_ranges(self):
        def change(reply):
            reply["base_rates"]["o1"] = None
            reply["curves"][0]["range"] = None

        found = read(change)
        assert found.base_rates == {}
        assert set(found.ranges) == {"age"}

    @pytest.mark.parametrize(
        ("points", "told"),
        [
            (3, "o1 of curve of entry 1 must be a list"),
            ("rising", "o1 of curve of entry 1 must be a list"),
            ({"70": 1, "80": 2}, "must be a list"),
            ([1, 2, 3], "list of .value, effect. pairs"),
            ([[70, 1]], "has 2 to 8 knots"),
            ([[v, 1] for v in range(70, 79)], "has 2 to 8 knots"),
            ([[100, 1], [70, 2]], "finite and increasing"),
            ([[70, 1], [70, 2]], "finite and increasing"),
            ([[70, 1], [float("inf"), 2]], "finite and increasing"),
            ([[70, 1], [None, 2]], "finite and increasing"),
            ([[70, 1], [10**400, 2]], "must be numbers"),
            ([[70, 1], ["80", 2]], "must be numbers"),
            ([[70, True], [80, 2]], "must be numbers"),
            ([[70, 1], [80, 10.5]], "from -10 to 10"),
            ([[70, 1], [80, float("-inf")]], "from -10 to 10"),
            ([[70, 1, 3], [80, 2, 4]], "list of .value, effect. pairs"),
            ([[70, [1]], [80, [2]]], "cannot be used"),
            # mmol/L, where the range is in mg/dL.
            ([[3.9, -7], [5.5, -3], [11, 9]], "not in the same unit"),
            ([[70e3, -7], [126e3, 3]], "not in the same unit"),
        ],
    )
    def test_a_wrong_curve_is_refused(self, points, told):
        with pytest.raises(ProviderResponseError, match=told):
            read(lambda r: r["curves"][0]["curve"].update(o1=points))

    @pytest.mark.parametrize(
        ("change", "told"),
        [
            (lambda r: r["curves"][0].update(range=[80, 117]), "three numbers"),
            (lambda r: r["curves"][0].update(range=[181, 117, 80]), "not decrease"),
            (lambda r: r["curves"][0].update(range=[80, "117", 181]), "be numbers"),
            (lambda r: r["curves"][0].update(range=[80, None, 181]), "three numbers"),
            (lambda r: r["curves"][0].update(range=117), "must be a list"),
            (lambda r: r["curves"][0]["special"].update(o1=[[0]]), "cannot be used"),
            (lambda r: r["curves"][0]["special"].update(o1=[0, 1]), "cannot be used"),
            (
                lambda r: r["curves"][0]["special"].update(o1=[[0, 1], [0, 2]]),
                "each once",
            ),
            (lambda r: r["curves"][0]["special"].update(o1=[[0, 11]]), "-10 to 10"),
            (lambda r: r["curves"][0]["special"].update(o1=[[None, 1]]), "each once"),
            (lambda r: r["levels"][0]["effect"].update(o1=[[1, 2]]), "be a number"),
            (lambda r: r["levels"][0]["effect"].update(o1=10.5), "from -10 to 10"),
            (lambda r: r["levels"][0]["effect"].update(o1=float("nan")), "-10 to 10"),
            (lambda r: r["levels"][0]["effect"].update(o1=True), "be a number"),
            (lambda r: r["levels"][0].update(effect=3), "must be an object with o1"),
            (lambda r: r["levels"][0].update(id="f1"), "id of entry 1 must be one of"),
            (lambda r: r["curves"][0].update(id="f3"), "id of entry 1 must be one of"),
            (lambda r: r["curves"][1].update(id="f1"), "more than once: .'glucose'"),
            (lambda r: r["curves"][0].update(confidence=1), "and no more"),
            (lambda r: r.pop("base_rates"), "must be an object with base_rates"),
            (lambda r: r["base_rates"].update(o1=35), "from 0 to 1"),
            (lambda r: r["base_rates"].update(o1="35%"), "must be a number"),
            (lambda r: r["base_rates"].update(o1=float("nan")), "from 0 to 1"),
            (lambda r: r.update(curves=None), "curves of the reply must be a list"),
        ],
    )
    def test_another_fault_is_told(self, change, told):
        with pytest.raises(ProviderResponseError, match=told):
            read(change)

    def test_base_rates_of_all_classes_add_up(self):
        task = make_task(FEATURES[2:3], ("a", "b", "c"), classes=("a", "b", "c"))
        entry = {"id": "f1", "reason": "", "effect": {"o1": 1, "o2": 0, "o3": 0}}
        rates = {"o1": 0.5, "o2": 0.5, "o3": 0.5}
        with pytest.raises(ProviderResponseError, match=r"add up to 1; got 1\.5"):
            read(task=task, reply={"base_rates": rates, "levels": [entry]})

    def test_units_are_compared_for_each_output(self):
        task = make_task(FEATURES[:1], ("a", "b", "c"), classes=("a", "b", "c"))
        drawn = {"o1": [[70, 1], [200, 3]], "o2": [[4, 1], [11, 3]], "o3": []}
        entry = {**REPLY["curves"][0], "curve": drawn}
        entry["special"] = dict.fromkeys(drawn)
        reply = {"base_rates": dict.fromkeys(drawn), "curves": [entry]}
        with pytest.raises(ProviderResponseError, match="runs from 4 to 11"):
            read(task=task, reply=reply)

    def test_a_curve_beside_codes_in_the_range_is_no_other_unit(self):
        def change(reply):
            reply["curves"][0].update(
                range=[999, 999, 999], special={"o1": [[999, -1]]}
            )
            reply["curves"][0]["curve"]["o1"] = [[1, 3], [30, 1]]

        assert read(change).curves["glucose"].values.tolist() == [1, 30]

    def test_the_error_repeats_little_of_a_hostile_reply(self):
        points = [[1, "\x1b[2J" * 9999], [2, 3]]
        with pytest.raises(ProviderResponseError) as caught:
            read(lambda r: r["curves"][0]["curve"].update(o1=points))
        assert len(str(caught.value)) < 400
        assert "\x1b" not in str(caught.value)


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=4),
    max_leaves=12,
)


@settings(deadline=None)
@given(JSON, st.sampled_from(["range", "curve", "special"]))
def test_whatever_comes_back_is_an_answer_or_our_error(value, field):
    def change(reply):
        told = value if field == "range" else {"o1": value}
        reply["curves"][0][field] = told

    try:
        found = read(change)
    except ProviderResponseError:
        return
    assert set(found.scores["yes"]) == set(make_task().keys)


class TestAverages:
    def test_answers_are_averaged_at_the_knots_of_all(self):
        def change(reply):
            reply["curves"][0]["curve"]["o1"] = [[70, -5], [200, 8]]
            reply["curves"][0]["range"] = [82, 117, 183]
            reply["curves"].pop()
            reply["base_rates"]["o1"] = 0.45

        task = make_task()
        estimates = [read(), read(change)]
        whole = [merge([estimate], task) for estimate in estimates]
        prior = combine(task, whole, {}, {})
        curve = prior.curves["glucose"]
        assert curve.values.tolist() == [70, 100, 126, 200]
        assert curve.effects[0, [0, 3]].tolist() == [-6, 8.5]
        assert curve([0]).tolist() == [[0.5]]
        assert prior.ranges["glucose"] == (81, 117, 182, (1, 0, 1))
        assert prior.base_rates["yes"] == pytest.approx((0.4, 0.05))
        assert prior.units == {"glucose": "mg/dL", "age": "years"}
        # One answer has no opinion of it.
        assert prior.curves["age"].effects.tolist() == [[1, 1]]
        assert np.isnan(prior.estimates[1, 0, 1])
        scored = curve.score(prior.ranges["glucose"])
        assert prior.scores[0, 0] == scored[0]

    @pytest.mark.parametrize("factor", [1 / 18.02, 1000, -30])
    @pytest.mark.parametrize("told", ["with a range", "without", "in one"])
    def test_of_other_units_no_more_than_the_direction_is_used(self, told, factor):
        def change(reply):
            entry = reply["curves"][0]
            points = [[factor * x, y] for x, y in entry["curve"]["o1"]]
            entry["curve"]["o1"] = sorted(points)
            found = sorted(factor * x for x in entry["range"])
            entry["range"] = [] if told == "without" else found
            entry["special"]["o1"] = []

        def without(reply):
            reply["curves"][0]["range"] = []

        estimates = [read(None if told == "with a range" else without), read(change)]
        with pytest.warns(PriorDisagreementWarning) as warned:
            prior = combine(make_task(), estimates, {}, {})
        (told_of_units,) = (w for w in warned if "different units" in str(w.message))
        assert "2 estimates speak of 'glucose' in" in str(told_of_units.message)
        assert [*prior.curves] == [*prior.ranges] == ["age"]
        each = [estimate.scores["yes"]["glucose"] for estimate in estimates]
        assert prior.scores[0, 0] == pytest.approx(np.mean(each))

    @pytest.mark.parametrize("factor", [1, 2.2, 9])
    @pytest.mark.parametrize("low", [0, 80])
    def test_answers_that_are_not_far_apart_are_of_one_unit(self, factor, low):
        def change(reply):
            reply["curves"][0]["range"] = [low, 150, 181 * factor]

        prior = combine(make_task(), [read(), read(change)], {}, {})
        assert prior.ranges["glucose"].high == pytest.approx(181 * (1 + factor) / 2)

    @pytest.mark.parametrize("n_others", [1, 3])
    def test_targets_in_other_units_have_no_range(self, n_others):
        task = make_task(kind="regression")
        rest = {name: REPLY[name] for name in ("curves", "levels")}
        replies = [
            {"target_ranges": {"o1": found}, **rest}
            for found in ([50, 80, 200], *[[5e4, 8e4, 2e5]] * n_others)
        ]
        estimates = [read(task=task, reply=reply) for reply in replies]
        with pytest.warns(PriorDisagreementWarning, match="speak of 'yes' in diff"):
            assert combine(task, estimates, {}, {}).target_ranges == {}
        same = combine(task, estimates[1:], {}, {})
        assert same.target_ranges["yes"][:3] == (5e4, 8e4, 2e5)

    def test_of_parts_the_task_is_told_once(self):
        first, second = ask().halves
        about = {"base_rates": {"o1": 0.35}}
        parts = [
            first.read(json.dumps({**about, "curves": REPLY["curves"]})),
            second.read(
                json.dumps(
                    {
                        "base_rates": {"o1": 0.9},
                        "levels": [
                            {**entry, "id": i}
                            for entry, i in zip(
                                REPLY["levels"], ("f1", "f2"), strict=True
                            )
                        ],
                    }
                )
            ),
        ]
        found = merge(parts, make_task())
        assert found.base_rates["yes"].rate == 0.35
        assert set(found.curves) == {"glucose", "age"}
        assert found.scores["yes"]["stage=II"] == 2.5

    def test_of_scores_alone_there_is_nothing(self):
        (question,) = plan(make_task(FEATURES[:1]))
        text = '{"features": [{"id": "f1", "reason": "", "scores": {"o1": 1}}]}'
        assert not any(average_by_name([question.read(text)]).values())
