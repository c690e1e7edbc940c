"""Curves for people: blocks, small SVGs, sentences."""

import io
import re
import sys

import numpy as np
import pytest

from llmreg import FeaturePrior, ResponseCurve, TypicalRange
from llmreg.prior._formatting import (
    PLAIN_BLOCKS,
    crossing,
    format_svg,
    show_effect,
    show_value,
    shown_span,
    spaced,
    sparkline,
    tell_curve,
    tell_shape,
)

HOSTILE = '"><script>alert(1)</script>\x1b[2J\u202e'
GLUCOSE = ResponseCurve([70, 100, 126, 200], [-6, -3, 3, 9])


class TestSparkline:
    def test_shows_the_shape_within_the_typical_range(self):
        assert sparkline(GLUCOSE, None, 8) == "▁▂▃▅▅▆▆▇"
        valley = ResponseCurve([0, 5, 10, 999], [5, -5, 5, 9])
        assert sparkline(valley, TypicalRange(0, 5, 10), 5) == "▇▄▁▄▇"

    def test_what_hardly_moves_is_flat(self):
        assert sparkline(ResponseCurve([0, 1], [8.9, 9.0]), None, 5) == "▄▄▄▄▄"

    def test_no_opinion_is_no_flat_line(self):
        curve = ResponseCurve([0, 1], [[np.nan, np.nan], [np.nan, 1]])
        assert sparkline(curve, None, 3, 0) == "???"
        assert sparkline(curve, None, 3, 1) == "▄▄▄"

    @pytest.mark.parametrize("ends", [(1e-30, 1e30), (-1e30, 1e30), (1e-30, 2e-30)])
    def test_any_range_has_a_shape(self, ends):
        blocks = sparkline(ResponseCurve(ends, [-5, 5]), None, 7)
        assert (blocks[0], blocks[-1]) == ("▁", "▇")

    def test_terminal_without_blocks_has_plain_ones(self, monkeypatch):
        monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), "ascii"))
        blocks = sparkline(GLUCOSE, None, 8)
        assert set(blocks) <= set(PLAIN_BLOCKS)
        assert (blocks[0], blocks[-1]) == ("_", "^")

    @pytest.mark.parametrize("stream", [None, io.StringIO()])
    def test_without_an_encoding_there_is_nothing_to_heed(self, monkeypatch, stream):
        monkeypatch.setattr(sys, "stdout", stream)
        assert sparkline(GLUCOSE, None, 8)[-1] == "▇"


class TestSVG:
    def test_holds_numbers_only(self):
        curve = ResponseCurve(GLUCOSE.values, GLUCOSE.effects, np.ones((1, 4)))
        text = format_svg(curve, TypicalRange(80, 110, 180), 10)
        assert "nan" not in text
        assert text.count("<polygon") == text.count("<polyline") == 1
        assert text.count("<rect") == 1
        assert set(re.findall(r'(?:stroke|fill)="(.*?)"', text)) == {
            "currentColor",
            "none",
        }
        assert "style" not in text

    def test_has_a_line_for_each_output_with_an_opinion(self):
        curve = ResponseCurve([0, 1], [[1, 2], [np.nan, np.nan], [3, 1], [0, 0]])
        assert format_svg(curve, None, 10, rows=3).count("<polyline") == 2

    @pytest.mark.parametrize("ends", [(1e-30, 1e30), (-1e30, 1e30)])
    def test_any_range_fits(self, ends):
        text = format_svg(ResponseCurve(ends, [-5, 5]), None, 5)
        places = np.array(re.findall(r"([\d.]+),([\d.]+)", text), dtype=float)
        assert places.min() >= 1
        assert (places.max(axis=0) <= (99, 27)).all()


@pytest.mark.parametrize(
    ("values", "effects", "told"),
    [
        ([0, 1], [2, 2.2], "hardly changes anything"),
        ([0, 1, 9, 10], [0, 2, 3, 4], "rises"),
        ([0, 100, 200], [3, -3, 4], "falls to 100, then rises"),
        ([0, 50, 100], [0, 0, 5], "stays level to 50, then rises"),
        # Two knots side by side, of two estimates, are no plateau.
        ([0, 50, 51, 100], [0, 2, 2, 5], "rises"),
        ([0, 49, 51, 100], [0, 0.5, 8, 9], "rises; most of it from 49 to 51"),
        (
            range(8),
            [0, 2, 0, 2, 0, 2, 0, 2],
            "rises to 1, falls to 2, rises to 3 and so on",
        ),
        ([0, 1, 2], [0, None, 4], "rises"),
        ([0, 1], [None, None], "no opinion"),
        ([0, 1], [None, 1], "hardly changes anything"),
    ],
)
def test_shape_in_words(values, effects, told):
    assert tell_shape(ResponseCurve(list(values), effects), 0) == told


@pytest.mark.parametrize(
    ("curve", "told"),
    [
        (
            GLUCOSE,
            "rises; up to 100 strongly less likely (-6 to -3); "
            "from 126 on strongly more likely (+3 to +9)",
        ),
        (
            ResponseCurve([0, 10, 20], [-1, 2, 0]),
            "rises to 10, then falls; from 7 to 15 somewhat more likely (+1 to +2)",
        ),
        (ResponseCurve([0, 1], [-0.5, 0.5]), "rises"),
        (
            ResponseCurve([0, 1], [5, 7]),
            "rises; everywhere strongly more likely (+5 to +7)",
        ),
        # The height alone of a curve says nothing.
        (ResponseCurve([0, 1], [5, 5]), "hardly changes anything"),
        (
            ResponseCurve([0, 1, 2], [0, np.nan, 0.6], special={-9: [2]}),
            "rises; no opinion at 1; -9 is a code of its own (+2)",
        ),
        (ResponseCurve([0, 1], [np.nan, np.nan]), "no opinion"),
    ],
)
def test_curve_in_words(curve, told):
    assert tell_curve(curve, is_class=True) == told


def test_targets_are_higher_and_lower():
    told = tell_curve(GLUCOSE.take([0], -1), is_class=False)
    assert told == (
        "falls; up to 100 strongly higher (+3 to +6); "
        "from 126 on strongly lower (-9 to -3)"
    )


@pytest.mark.parametrize("ends", [(1e-30, 1e30), (-1e30, 1e30), (1987, 1988)])
def test_places_keep_their_digits(ends):
    told = tell_curve(ResponseCurve(ends, [-5, 5]), is_class=True)
    places = [float(n) for n in re.findall(r"(?:to|from) (\S+) (?:on|str)", told)]
    assert len(places) == 2
    assert ends[0] <= min(places) < max(places) <= ends[1]


def test_the_one_change_of_sign_is_a_threshold():
    assert crossing(GLUCOSE, 0) == (113, True)
    assert crossing(GLUCOSE.take([0], -1), 0) == (113, False)
    for effects in ([1, 2], [-1, 2, -3], [np.nan, 1], [0, 3]):
        assert crossing(ResponseCurve(range(len(effects)), effects), 0) is None


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        *((0, "0"), (99999, "99999"), (14480.3, "14480"), (0.146, "0.146")),
        *((37.25, "37.2"), (-4, "-4"), (1e30, "1e+30"), (1e-30, "1e-30")),
    ],
)
def test_values_have_the_digits_that_are_read(value, shown):
    assert show_value(value) == shown


def test_effects_have_signs():
    assert [*map(show_effect, (3, -7.69, 0.04, -0.04))] == ["+3", "-7.7", "0", "0"]


def test_far_knots_are_left_out_of_what_is_drawn():
    curve = ResponseCurve([-50, 0, 99999], [0, 1, 2])
    assert shown_span(curve, TypicalRange(0, 5, 10)) == (-10, 20)
    assert shown_span(curve, TypicalRange(0, 0, 0)) == (-50, 99999)
    assert shown_span(ResponseCurve([4, 5], [0, 1]), TypicalRange(0, 5, 10)) == (0, 10)
    np.testing.assert_allclose(spaced(1, 1e4, 3), [1, 100, 1e4])


class TestTables:
    @pytest.fixture
    def prior(self):
        return FeaturePrior.from_estimates(
            [{"glucose": [(70, -6), (200, 9)], "sex=f": 1}],
            ranges={"glucose": (80, 110, 180)},
            units={"glucose": "mg/dL"},
            rationale={"sex=f": "why"},
        )

    def test_column_has_range_and_blocks(self, prior):
        assert repr(prior).splitlines()[1:] == [
            "feature  score  spread  curve                  reason",
            "glucose   +5.8     0.0  80 ▁▂▃▄▄▅▆▇ 180 mg/dL",
            "sex=f     +1.0     0.0                         why",
        ]

    def test_outputs_share_the_column(self):
        prior = FeaturePrior.from_dict(
            {name: {"x": [(0, 0), (5, k)]} for k, name in ((9, "a"), (-9, "b"))}
        )
        assert repr(prior).splitlines()[2].endswith("0 ▁▃▄▅▇ ▇▅▄▃▁ 5")

    def test_notebook_draws_the_curve(self, prior):
        page = prior._repr_html_()
        assert page.count("<svg") == 1
        assert "80 to 180 mg/dL" in page

    def test_hostile_names_and_units_do_nothing(self):
        prior = FeaturePrior.from_dict(
            {HOSTILE: {HOSTILE: [(0, 1), (1, 2)]}, "b": {}}, units={HOSTILE: HOSTILE}
        )
        page = prior._repr_html_()
        assert "<script" not in page
        assert "\x1b" not in page + repr(prior)
        assert "\u202e" not in page + repr(prior)
        assert len(repr(prior).splitlines()) == 3

    def test_long_tables_stay_short(self):
        prior = FeaturePrior.from_dict(
            {f"x{i}": [(0, 0), (1, i / 10)] for i in range(100)}
        )
        lines = repr(prior).splitlines()
        assert len(lines) == 23
        assert max(map(len, lines)) < 60
        assert prior._repr_html_().count("<svg") == 20
