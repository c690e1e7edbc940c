from __future__ import annotations

import json
import pickle
from dataclasses import replace

import numpy as np
import pytest

from llmreg.exceptions import PriorMismatchError, PriorScoreError
from llmreg.prior import BaseRate, Feature, FeaturePrior, ResponseCurve, TypicalRange
from llmreg.prior._curves import MAX_KNOTS, average_curves

GLUCOSE = [(70, -6), (100, -3), (126, 3), (200, 9)]


class TestCurve:
    @pytest.mark.parametrize(
        ("value", "effect"),
        [(0, -6), (70, -6), (85, -4.5), (113, 0), (126, 3), (1e9, 9), (np.nan, np.nan)],
    )
    def test_is_straight_between_knots_and_flat_beyond(self, value, effect):
        curve = ResponseCurve.from_points(GLUCOSE)
        np.testing.assert_allclose(curve([value]), [[effect]])

    def test_special_values_lie_beside_the_curve(self):
        curve = ResponseCurve([70, 200], [-6, 9], special={0: [1.5]})
        np.testing.assert_allclose(curve([0, 1e-9, 70]), [[1.5, -6, -6]])
        assert curve.score() == ResponseCurve([70, 200], [-6, 9]).score()

    def test_no_opinion_in_a_part_leaves_the_line_around_it(self):
        curve = ResponseCurve.from_points([(0, 0), (1, None), (2, 4), (3, None)])
        np.testing.assert_allclose(curve([1, 2, 3]), [[2, 4, 4]])

    @pytest.mark.parametrize(
        ("points", "message"),
        [
            ([(1, 2)], "2 to 8 knots"),
            ([], "2 to 8 knots"),
            ([(i, 0) for i in range(9)], "2 to 8 knots"),
            ([(1, 2), (1, 3)], "increasing, each value once"),
            ([(2, 2), (1, 3)], "increasing"),
            ([(np.inf, 2), (np.inf, 3)], "finite"),
            ([(None, 2), (1, 3)], "finite"),
            ([(0, 11), (1, 3)], "from -10 to 10"),
            ([(0, "1"), (1, 3)], "must be numbers"),
            ([(0, True), (1, 3)], "must be numbers"),
            ([(0, 1, 2), (1, 3)], "list of \\(value, effect\\) pairs"),
            ("ab", "list of \\(value, effect\\) pairs"),
            ([1, 2], "list of \\(value, effect\\) pairs"),
        ],
    )
    def test_what_is_no_curve_is_refused(self, points, message):
        with pytest.raises(PriorScoreError, match=message):
            ResponseCurve.from_points(points)

    def test_straight_line_is_its_score(self):
        line = ResponseCurve([-2, 6], [-4, 4])
        assert line.score() == 4
        assert line.score(TypicalRange(0, 2, 4)) == 2
        assert ResponseCurve([0, 1], [3, 3]).score() == 0
        assert np.isnan(ResponseCurve([0, 1], [np.nan, np.nan]).score())

    def test_another_unit_says_the_same(self):
        curve = ResponseCurve.from_points(GLUCOSE)
        x = np.linspace(0, 300, 31)
        np.testing.assert_allclose(curve.rescale(-0.5, 7)(7 - 0.5 * x), curve(x))
        assert curve.rescale(-0.5, 7).values[0] == 7 - 0.5 * 200
        for factor in (0, np.nan, np.inf):
            with pytest.raises(PriorScoreError, match="factor other than 0"):
                curve.rescale(factor)


class TestAverage:
    def test_is_taken_at_the_knots_of_all(self):
        first = ResponseCurve([0, 2], [0, 4])
        second = ResponseCurve([1, 3], [2, 6])
        both = average_curves([first, second])
        np.testing.assert_array_equal(both.values, [0, 1, 2, 3])
        np.testing.assert_allclose(both.effects, [[1, 2, 4, 5]])
        np.testing.assert_allclose(both.spread, [[1, 0, 0, 1]])

    def test_leaves_out_who_has_no_opinion(self):
        first = ResponseCurve([0, 1, 2], [0, np.nan, 4])
        second = ResponseCurve([0, 2], [2, 6])
        np.testing.assert_allclose(average_curves([first, second]).effects, [[1, 4, 5]])

    def test_keeps_no_more_knots_than_allowed_and_those_that_matter(self):
        rng = np.random.default_rng(0)
        curves = [
            ResponseCurve(np.sort(rng.uniform(0, 1, 6)), [0, 0, 0, 8, 8, 8])
            for _ in range(5)
        ]
        both = average_curves(curves)
        assert len(both.values) == MAX_KNOTS
        x = np.linspace(0, 1, 101)
        exact = np.mean([curve(x)[0] for curve in curves], axis=0)
        assert np.abs(both(x)[0] - exact).max() < 0.5

    def test_spread_of_averages_holds_what_varies_within(self):
        agreeing = [ResponseCurve([0, 1], [0, 1], spread=[2, 2])] * 2
        np.testing.assert_allclose(average_curves(agreeing).spread, [[2, 2]])

    def test_special_values_are_averaged_over_those_that_name_them(self):
        first = ResponseCurve([0, 1], [0, 1], special={9: [4]})
        both = average_curves([first, ResponseCurve([0, 1], [0, 1])])
        np.testing.assert_allclose(both.special[9.0], [4])

    def test_score_beside_a_curve_is_the_straight_line(self):
        prior = FeaturePrior.from_estimates(
            [{"age": 3}, {"age": [(20, -1), (60, 1)]}],
            ranges={"age": (20, 30, 60)},
        )
        np.testing.assert_allclose(prior.curves["age"].effects, [[-2, 2]])
        np.testing.assert_allclose(prior.estimates[:, 0, 0], [3, 1])
        assert prior.scores[0, 0] == 2


class TestPrior:
    @pytest.fixture
    def prior(self):
        return FeaturePrior.from_estimates(
            [
                {"yes": {"glucose": GLUCOSE, "sex=f": 2, "bmi": -1}},
                {"yes": {"glucose": [(80, -5), (150, None)], "sex=f": 1, "bmi": 0}},
            ],
            ranges={"glucose": TypicalRange(80, 117, 181, (1, 2, 3))},
            units={"glucose": "mg/dL"},
            base_rates={"yes": BaseRate(0.35, 0.02), "no": 0.65},
            rationale={"glucose": "defines the illness"},
        )

    def test_has_the_scores_of_its_curves(self, prior):
        assert prior.scores[0, 0] == prior.curves["glucose"].score(
            prior.ranges["glucose"]
        )
        np.testing.assert_allclose(prior.scores[0, 1:], [1.5, -0.5])

    def test_card_round_trip(self, prior):
        text = prior.to_json()
        read = FeaturePrior.from_json(text)
        assert '"version": 2' in text
        assert read.to_json() == text
        np.testing.assert_array_equal(
            read.curves["glucose"].spread, prior.curves["glucose"].spread
        )
        assert read.ranges == prior.ranges
        assert read.base_rates == prior.base_rates
        assert read.units == prior.units

    def test_card_of_several_outputs_with_knots_of_their_own(self):
        prior = FeaturePrior.from_dict(
            {
                "a": {"x": [(0, 1), (1, 2)], "z": [(0, 0), (1, 1)]},
                "b": {"x": [(0, 1), (2, 3)], "z": 4},
            },
            target_ranges={"a": (1, 2, 3)},
        )
        np.testing.assert_allclose(prior.curves["x"].effects, [[1, 2, 2], [1, 2, 3]])
        np.testing.assert_allclose(prior.curves["z"].effects, [[0, 1], [-4, 4]])
        assert FeaturePrior.from_json(prior.to_json()).to_json() == prior.to_json()

    def test_without_curves_the_card_is_that_of_the_first_version(self):
        assert '"version": 1' in FeaturePrior.from_dict({"age": 1}).to_json()

    @pytest.mark.parametrize(
        ("old", "new", "message"),
        [
            ('"version": 2', '"version": 3', "versions 1 and 2"),
            ('"curve":', '"score": 1, "curve":', 'either "score" or "curve"'),
            ("[[70, -5.5]", "[[700, -5.5]", "increasing"),
            ("[[70, -5.5]", "[[70, -55]", "from -10 to 10"),
            ("[80, 117, 181]", "[80, 17, 181]", "must not decrease"),
            ("[80, 117, 181]", "[80, 117]", "three numbers"),
            ('"yes": 0.35', '"yes": 35', "probability"),
        ],
    )
    def test_card_that_is_wrong_says_where(self, prior, old, new, message):
        text = prior.to_json()
        assert old in text
        with pytest.raises(ValueError, match=message):
            FeaturePrior.from_json(text.replace(old, new))

    @pytest.mark.parametrize("wrong", ["x", [], {}, [[1]], 10**400, True, -1e400])
    @pytest.mark.parametrize(
        ("name", "form"),
        [
            ("range_spread", [1, "?", 3]),
            ("range_spread", "?"),
            ("curve_spread", [0, "?", 1, 0, 0, 0]),
            ("special_values", [[0, 1], ["?", 1]]),
            ("special_values", [[0, "?"]]),
            ("special_values", [[0, 1], "?"]),
        ],
    )
    def test_numbers_beside_a_curve_are_checked(self, prior, name, form, wrong):
        card = json.loads(prior.to_json())
        assert len(card["features"][0]["curve"]) == 6
        text = json.dumps(form).replace('"?"', json.dumps(wrong))
        card["features"][0][name] = json.loads(text)
        with pytest.raises(PriorScoreError, match=r"'glucose'|a curve|special values"):
            FeaturePrior.from_json(json.dumps(card))

    @pytest.mark.parametrize("spread", ["x", -0.1, [0.1], True, float("inf")])
    def test_spread_of_a_base_rate_is_a_number(self, spread):
        with pytest.raises(PriorScoreError, match="spread of the base rate of 'yes'"):
            FeaturePrior.from_dict(
                {"age": 1}, base_rates={"yes": BaseRate(0.1, spread)}
            )

    def test_codes_are_numbers_each_once(self, prior):
        with pytest.raises(PriorScoreError, match="must be finite"):
            ResponseCurve([0, 1], [0, 1], special={float("nan"): [1]})
        text = prior.to_json().replace(
            '"curve":', '"special_values": [[0, 1], [0, 2]], "curve":'
        )
        with pytest.raises(PriorScoreError, match="each once"):
            FeaturePrior.from_json(text)

    def test_align_goes_by_name_and_turns_the_negative_class_round(self, prior):
        table = [Feature("num__glucose"), Feature("age")]
        found = prior.align(table, ["no"], negative="yes")
        curve = found.curves["num__glucose"]
        np.testing.assert_allclose(
            curve.effects, -prior.curves["glucose"].effects, equal_nan=True
        )
        assert found.scores[0, 0] == -prior.scores[0, 0]
        assert found.ranges["num__glucose"] == prior.ranges["glucose"]
        assert found.base_rates["yes"].rate == 0.35
        assert list(found.curves) == ["num__glucose"]

    def test_align_renames_the_output_of_base_rates(self, prior):
        found = prior.align([Feature("glucose")], ["ill"])
        assert found.base_rates["ill"].rate == 0.35

    def test_align_picks_outputs_in_order(self):
        prior = FeaturePrior.from_dict(
            {"a": {"x": [(0, 1), (1, 2)]}, "b": {"x": [(0, 3), (1, 4)]}}
        )
        found = prior.align([Feature("x")], ["b", "a"])
        np.testing.assert_allclose(found.curves["x"].effects, [[3, 4], [1, 2]])

    def test_other_units_say_the_same(self, prior):
        found = prior.convert_units({"glucose": 1 / 18.02})
        np.testing.assert_allclose(
            found.curves["glucose"]([5.5]), prior.curves["glucose"]([5.5 * 18.02])
        )
        np.testing.assert_allclose(found.scores, prior.scores)
        assert found.ranges["glucose"].middle == pytest.approx(117 / 18.02)
        assert "glucose" not in found.units
        turned = prior.convert_units({"glucose": (-1.0, 0.0)})
        np.testing.assert_allclose(turned.ranges["glucose"][:3], [-181, -117, -80])
        with pytest.raises(PriorMismatchError, match="no features \\['age'\\]"):
            prior.convert_units({"age": 2})

    @pytest.mark.parametrize("change", [1.8, [1.8], (1.8, 32), [1.8, 32], np.array(2)])
    def test_a_change_of_units_is_a_factor_and_perhaps_an_offset(self, prior, change):
        factor, offset = [*np.atleast_1d(change), 0.0][:2]
        found = prior.convert_units({"glucose": change})
        expected = factor * prior.curves["glucose"].values + offset
        np.testing.assert_allclose(found.curves["glucose"].values, expected)
        assert found.ranges["glucose"].low == pytest.approx(80 * factor + offset)

    @pytest.mark.parametrize("change", ["2", None, True, 0, (0, 1), (1, 2, 3), np.inf])
    @pytest.mark.parametrize("name", ["glucose", "bmi", "sex=f"])
    def test_another_change_of_units_is_refused(self, prior, name, change):
        """Also of a column that has no more than a range, or nothing in a unit."""
        prior = replace(prior, ranges={**prior.ranges, "bmi": (18, 25, 40)})
        with pytest.raises(PriorScoreError, match=r"change.* of units|unit is changed"):
            prior.convert_units({name: change})

    def test_names_of_classes_may_be_numbers(self):
        prior = FeaturePrior.from_dict({"age": 1}, base_rates={0: 0.9, True: 0.1})
        assert prior.base_rates == {"0": BaseRate(0.9), "True": BaseRate(0.1)}

    def test_a_level_has_no_curve(self):
        prior = FeaturePrior.from_dict({"sex=f": [(0, -2), (1, 4)], "age": 1})
        with pytest.raises(PriorMismatchError, match=r"\['sex=f'\], which are levels"):
            prior.align([Feature("sex", level="f")], ["yes"])
        # A column of 0 and 1 that was made of it is one of numbers.
        assert [*prior.align([Feature("sex_f")], ["yes"]).curves] == ["sex_f"]

    @pytest.mark.parametrize(
        "curves",
        [
            {"zz": ResponseCurve([0, 1], [0, 1])},
            {"age": ResponseCurve([0, 1], [[0, 1]] * 2)},
        ],
    )
    def test_curves_that_do_not_fit_are_refused(self, curves):
        with pytest.raises(PriorMismatchError, match="curve"):
            FeaturePrior.from_dict({"age": 1}, curves=curves)

    def test_curve_that_is_none_names_its_feature(self):
        with pytest.raises(PriorScoreError, match="'age': A curve"):
            FeaturePrior.from_dict({"age": [1, 2]})

    def test_is_pickled_whole(self, prior):
        assert pickle.loads(pickle.dumps(prior)).to_json() == prior.to_json()
