"""Curves as pictures: what each panel shows, and that it can be read."""

import numpy as np
import pytest
from matplotlib import pyplot as plt

from llmreg import FeaturePrior, ResponseCurve, TypicalRange
from llmreg.inspection import PriorDisplay
from llmreg.inspection._plotting import COLOURS, MAX_LEVELS
from llmreg.inspection._prior_display import plan_panels
from tests.pictures import check_readable

GLUCOSE = [(70, -6), (100, -3), (126, 3), (200, 9)]
HOSTILE = "$x^2$ <b>\x1b[2J\u202e\n"


@pytest.fixture
def prior():
    return FeaturePrior.from_estimates(
        [
            {"glucose": GLUCOSE, "sex=f": -1, "sex=m": 2, "age": 4},
            {"glucose": [(70, -4), (200, 7)], "sex=f": -3, "sex=m": 2, "age": 4},
        ],
        ranges={"glucose": (80, 110, 180)},
        units={"glucose": "mg/dL"},
    )


def draw(prior, **options):
    display = PriorDisplay.from_prior(prior, **options)
    display.figure_.canvas.draw()
    return display


def titles(display):
    axes = np.atleast_1d(display.ax_)
    return [ax.get_title(loc="left") for ax in axes]


def legend(display):
    (found,) = display.figure_.legends
    return [text.get_text() for text in found.get_texts()]


def test_every_column_has_a_panel(prior):
    display = draw(prior)
    assert titles(display) == ["glucose", "plain scores", "sex"]
    curve, plain, sex = display.ax_
    assert curve.get_xlabel() == "mg/dL"
    (line,) = display.lines_
    x, y = line.get_data()
    np.testing.assert_allclose(y, prior.curves["glucose"](x)[0])
    assert [t.get_text() for t in plain.get_yticklabels()] == ["age"]
    assert [t.get_text() for t in sex.get_yticklabels()] == ["f", "m"]
    assert [bar.get_width() for bar in display.bars_[1]] == [-2, 2]
    assert legend(display) == [
        "typical range, median dotted",
        "± standard deviation of estimates",
    ]
    check_readable(display.figure_)


def test_band_is_the_spread(prior):
    curve, *_ = draw(prior).ax_
    (band,) = curve.collections
    top = band.get_paths()[0].vertices[:, 1].max()
    curve = prior.curves["glucose"]
    assert top == pytest.approx((curve.effects + curve.spread).max())


def test_kind_says_what_is_drawn(prior):
    display = draw(prior, kind="scores")
    assert len(display.bars_) == 1
    assert display.lines_ == []
    plain = FeaturePrior.from_dict({"age": 3, "sex=f": 1})
    assert draw(plain).ax_.get_title() == "target"
    assert titles(draw(plain, kind="curves")) == ["plain scores", "sex"]
    with pytest.raises(ValueError, match="kind must be one of"):
        PriorDisplay.from_prior(prior, kind="bars")


@pytest.mark.parametrize(("wrong", "error"), [(0, ValueError), (2.5, TypeError)])
def test_number_of_columns_is_a_count(prior, wrong, error):
    with pytest.raises(error, match="n_features"):
        PriorDisplay.from_prior(prior, n_features=wrong)


def test_outputs_share_a_panel():
    prior = FeaturePrior.from_dict(
        {
            name: {"x": [(0, k), (1, -k)], "sex=f": k, "sex=m": -k}
            for k, name in enumerate(["a", "b", HOSTILE])
        }
    )
    display = draw(prior)
    assert len(display.lines_) == 3
    assert len({line.get_linestyle() for line in display.lines_}) == 3
    assert legend(display)[:2] == ["a", "b"]
    assert r"$x^2$ <b>\x1b[2J\u202e\n" == legend(display)[2]


def test_what_is_left_out_is_counted():
    names = [f"class{k}" for k in range(9)]
    prior = FeaturePrior.from_dict(
        {name: {f"x{i}": [(0, 1), (1, i / 20)] for i in range(100)} for name in names}
    )
    display = draw(prior, n_features=4)
    assert len(display.ax_) == 4
    assert len(display.lines_) == 4 * len(COLOURS)
    assert titles(display)[0] == "x99"
    assert {"3 of 9 outputs left out", "96 of 100 columns left out"} <= set(
        legend(display)
    )
    check_readable(display.figure_)


def test_many_levels_are_cut_and_stay_in_order():
    scores = {f"c={i}": i % 7 for i in range(40)}
    prior = FeaturePrior.from_dict({"x": [(0, 1), (1, 2)], **scores})
    _, ax = draw(prior).ax_
    shown = [int(text.get_text()) for text in ax.get_yticklabels()]
    assert len(shown) == MAX_LEVELS
    assert shown == sorted(shown)
    assert ax.get_title(loc="left") == "c\n28 of 40 left out"


def test_far_knots_do_not_squeeze_the_rest():
    curve = ResponseCurve([0, 5000, 99999], [0, 1, 9])
    prior = FeaturePrior(
        ("gain",),
        [[0]],
        curves={"gain": curve},
        ranges={"gain": TypicalRange(0, 0, 5000)},
    )
    ax = draw(prior).ax_
    assert ax.get_xlim() == (0, 10000)
    assert ax.get_xlabel() == "(goes on to 99999)"


@pytest.mark.parametrize("ends", [(1e-30, 1e30), (-1e30, 1e30), (1e-30, 2e-30)])
def test_wide_ranges_are_readable(ends):
    prior = FeaturePrior.from_dict({"x": [(ends[0], -1), (ends[1], 2)]})
    display = draw(prior)
    assert display.ax_.get_xscale() == ("log" if ends == (1e-30, 1e30) else "linear")
    check_readable(display.figure_)


def test_codes_and_no_opinion():
    curves = {
        "x": ResponseCurve([0, 1, 2], [1, np.nan, 2], special={-9: [5.0], 1: [-3.0]}),
        "y": ResponseCurve([0, 1], [np.nan, np.nan]),
    }
    prior = FeaturePrior(("x", "y"), np.zeros((1, 2)), curves=curves)
    display = draw(prior)
    x, y = display.ax_
    np.testing.assert_allclose(
        [dots.get_offsets()[0] for dots in x.collections], [(0, 5), (1, -3)]
    )
    assert x.get_ylim()[1] > 5
    assert [text.get_text() for text in y.texts] == ["no opinion"]
    assert "a code of its own" in legend(display)
    # Where there is no opinion there is no knot either.
    assert len(display.lines_[0].get_markevery()) == 2


def test_names_with_marks_are_told_apart():
    prior = FeaturePrior.from_dict({"a=b": [(0, 1), (1, 2)], "a=c": 1, "=d": 2, "e": 3})
    assert sorted((p.title, p.is_curve) for p in plan_panels(prior, 9)) == [
        ("", False),
        ("a", False),
        ("a=b", True),
    ]


def test_axes_of_the_caller_are_used(prior):
    _, axes = plt.subplots(1, 3)
    assert list(PriorDisplay.from_prior(prior, ax=axes).ax_) == list(axes)
    _, (left, right) = plt.subplots(1, 2)
    display = draw(prior, ax=right)
    assert len(display.ax_) == 3
    assert all(a.get_position().x0 >= left.get_position().x1 for a in display.ax_)
    with pytest.raises(ValueError, match="3 Axes, one per panel"):
        PriorDisplay.from_prior(prior, ax=plt.figure().subplots(2))


def test_names_are_no_formulas():
    prior = FeaturePrior.from_dict(
        {HOSTILE: [(0, 1), (1, 2)], f"c={HOSTILE}": 2}, units={HOSTILE: HOSTILE}
    )
    curve, bars = draw(prior).ax_
    assert "\x1b" not in curve.get_title(loc="left") + curve.get_xlabel()
    texts = [curve.title, curve._left_title, curve.xaxis.label, *bars.get_yticklabels()]
    assert not any(text.get_parse_math() for text in texts[1:])
