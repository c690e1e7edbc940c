import pickle
import sys

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline

from llmreg import FeaturePrior, LLMAttributionClassifier, LLMAttributionRegressor
from llmreg.exceptions import MissingDependencyError, PriorError
from llmreg.inspection import AlignmentDisplay, PriorDisplay
from llmreg.inspection._plotting import N_COLUMNS

FORMULA, LONG = "$x^2$", "a name that goes on and on without an end=its level"


@pytest.fixture(scope="module")
def animals():
    return FeaturePrior.from_dict(
        {
            "cat": {"legs": 3, "fur": 9},
            "bird": {"legs": -4, "wings": 10, "fur": -8},
            "fish": {"legs": -9, "fins": 10, "wings": 0},
        }
    )


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    return pd.DataFrame(rng.normal(size=(40, 4)), columns=[*"ab", FORMULA, "d"])


@pytest.fixture(scope="module")
def model(rows):
    """The prior is wrong about "b" and silent about "d"."""
    prior = {"a": 3, "b": 3, FORMULA: 0}
    y = rows["a"] - rows["b"] + rows["d"]
    return LLMAttributionRegressor(
        prior, gamma=0.1, score_transform="identity", alpha=0.1
    ).fit(rows, y)


@pytest.fixture(scope="module")
def three_classes(rows):
    y = pd.cut(rows["a"], 3, labels=["low", "mid", "top"]).astype(str)
    prior = {"low": {"a": -3}, "mid": {"a": 0, "b": 0}, "top": {"a": 3, "d": 1}}
    return quick_classifier(prior).fit(rows, y)


def quick_classifier(prior):
    """Not trained to the end: any attributions will do."""
    return LLMAttributionClassifier(prior, solver="adam", max_iter=5, random_state=0)


def names(ax):
    return [label.get_text() for label in ax.get_yticklabels()]


def widths(bars):
    return [bar.get_width() for bar in bars]


def many(n):
    return FeaturePrior.from_array(np.linspace(-9, 8, n), [f"f{i}" for i in range(n)])


def drawn(display):
    """Draw for real: what is wrong with a text shows only then."""
    display.figure_.canvas.draw()
    return display


def test_few_features_are_all_there_strongest_on_top():
    prior = FeaturePrior.from_dict({"e": 1, "b": -8, "a": 9, "d": 2.5, "c": -3})
    display = drawn(PriorDisplay.from_prior(prior))
    assert names(display.ax_) == ["a", "b", "c", "d", "e"]
    assert widths(display.bars_[0]) == [9, -8, -3, 2.5, 1]
    assert display.ax_.get_title() == "target"
    bottom, top = display.ax_.get_ylim()
    assert bottom > top
    assert display.ax_.get_xlim() == (-10.5, 10.5)


@pytest.mark.parametrize(("n_features", "n_left"), [(20, 80), (99, 1), (100, 0)])
def test_many_features_are_cut_and_counted(n_features, n_left):
    display = drawn(PriorDisplay.from_prior(many(100), n_features=n_features))
    assert len(display.bars_[0]) == len(names(display.ax_)) == n_features
    assert names(display.ax_)[0] == "f0"
    said = f"{n_left} of 100 features left out"
    assert (said in display.ax_.get_title()) == bool(n_left)


def test_rows_have_room_whatever_their_number():
    heights = [
        PriorDisplay.from_prior(many(n), n_features=n).figure_.get_figheight() / n
        for n in (5, 100)
    ]
    assert min(heights) >= 0.25


def test_signs_have_colours():
    display = PriorDisplay.from_prior(FeaturePrior.from_dict({"a": 9, "b": -8}))
    more, less = (bar.get_facecolor() for bar in display.bars_[0])
    assert more != less


def test_spread_is_drawn_where_there_is_some():
    estimates = [{"a": 10, "b": 3}, {"a": 8, "b": 3}]
    display = drawn(PriorDisplay.from_prior(FeaturePrior.from_estimates(estimates)))
    _, _, (lines,) = display.bars_[0].errorbar.lines
    with_spread, without = lines.get_segments()
    np.testing.assert_allclose(with_spread[:, 0], [8, 10])
    assert not len(without)
    assert "standard deviation" in display.ax_.get_xlabel()


@pytest.mark.parametrize(
    "prior", [many(3), FeaturePrior.from_estimates([{"a": 2, "b": 3}])]
)
def test_no_spread_is_no_error_bar(prior):
    display = drawn(PriorDisplay.from_prior(prior))
    assert display.ax_.get_xlabel() == "prior score"


def test_each_output_has_a_panel_with_the_same_rows(animals):
    display = drawn(PriorDisplay.from_prior(animals))
    assert [ax.get_title() for ax in display.ax_] == ["cat", "bird", "fish"]
    # The names stand beside the first panel, for all of them.
    assert [names(ax) for ax in display.ax_] == [
        ["wings", "fins", "legs", "fur"],
        [],
        [],
    ]
    np.testing.assert_equal(widths(display.bars_[2]), [0, 10, -9, np.nan])


def test_no_score_is_told_from_zero(animals):
    display = PriorDisplay.from_prior(animals)
    notes = [text.get_position()[1] for text in display.ax_[2].texts]
    assert notes == [3]


def test_many_outputs_go_on_in_a_next_line():
    table = FeaturePrior.from_array(np.eye(4), [*"abcd"], outputs=[*"wxyz"])
    display = drawn(PriorDisplay.from_prior(table))
    assert len(display.figure_.axes) == len(display.ax_) == 4 > N_COLUMNS
    # Two in each line, so that no place is empty.
    assert names(display.ax_[2]) == names(display.ax_[0]) == [*"abcd"]


@pytest.mark.parametrize("usetex", [False, True])
def test_names_are_no_formulas(usetex):
    hostile = [FORMULA, r"$\nothing$", "_under_score_", "50%&#~", "two\nlines"]
    with mpl.rc_context({"text.usetex": usetex}):
        prior = FeaturePrior.from_array([5, 4, 3, 2, 1], hostile, outputs=["$y"])
        display = PriorDisplay.from_prior(prior)
    assert names(display.ax_) == [*hostile[:4], r"two\nlines"]
    texts = [display.ax_.title, *display.ax_.get_yticklabels()]
    assert not any(text.get_parse_math() or text.get_usetex() for text in texts)
    if not usetex:  # the numbers on the axis would need TeX
        drawn(display)


def test_long_names_are_cut_and_keep_their_level():
    prior = FeaturePrior.from_dict({LONG: 1}, output=LONG)
    display = PriorDisplay.from_prior(prior)
    (name,) = names(display.ax_)
    assert len(name) == 32
    assert name.startswith("a name")
    assert name.endswith("=its level")
    assert len(display.ax_.get_title()) == 24


def test_axes_of_the_caller_are_used(animals):
    figure, axes = plt.subplots(1, 3)
    display = PriorDisplay.from_prior(animals, ax=axes)
    assert list(display.ax_) == list(axes)
    assert display.figure_ is figure
    axes = plt.figure().add_axes((0.3, 0.1, 0.6, 0.8))
    assert PriorDisplay.from_prior(many(3), ax=axes).ax_ is axes


def test_one_axes_is_shared_among_the_outputs(animals):
    _, (left, right) = plt.subplots(1, 2)
    display = drawn(PriorDisplay.from_prior(animals, ax=right))
    assert len(display.ax_) == 3
    middle = left.get_position().x1
    assert all(ax.get_position().x0 >= middle for ax in display.ax_)
    assert not right.axison


@pytest.mark.parametrize(
    "make", [lambda f: f.subplots(2), lambda f: f.add_axes((0, 0, 1, 1))]
)
def test_axes_that_do_not_fit_are_refused(animals, make):
    with pytest.raises(ValueError, match="3 Axes, one per output"):
        PriorDisplay.from_prior(animals, ax=make(plt.figure()))


def test_plot_draws_again_and_returns_the_display(animals):
    display = PriorDisplay.from_prior(animals, n_features=2)
    first = display.figure_
    assert display.plot() is display
    assert display.figure_ is not first
    assert len(display.bars_[0]) == 2


@pytest.mark.parametrize("wrong", [None, {"a": 3}, np.ones(3)])
def test_a_prior_is_needed(wrong):
    with pytest.raises(PriorError, match=f"got {type(wrong).__name__}"):
        PriorDisplay.from_prior(wrong)


@pytest.mark.parametrize(("wrong", "error"), [(0, ValueError), (2.5, TypeError)])
def test_n_features_is_a_count(wrong, error):
    with pytest.raises(error, match="n_features"):
        PriorDisplay.from_prior(many(3), n_features=wrong)


def test_without_matplotlib_the_error_says_what_to_install(monkeypatch, model):
    for name in ("matplotlib", "matplotlib.pyplot"):
        monkeypatch.setitem(sys.modules, name, None)
    hint = r'pip install "llmreg\[plot\]"'
    with pytest.raises(MissingDependencyError, match=hint):
        PriorDisplay.from_prior(many(3))
    with pytest.raises(MissingDependencyError, match=hint):
        AlignmentDisplay.from_estimator(model)


def test_prior_and_model_stand_side_by_side(model):
    display = drawn(AlignmentDisplay.from_estimator(model))
    shown = names(display.ax_)
    assert sorted(shown) == sorted(model.prior_.features)
    prior = dict(zip(shown, widths(display.bars_[0]), strict=True))
    half = np.sqrt(0.5)
    assert prior == pytest.approx(
        {"a": half, "b": half, FORMULA: 0, "d": np.nan}, nan_ok=True
    )
    learnt = {
        shown[row]: value
        for line in display.points_[0].values()
        for value, row in zip(*line.get_data(), strict=True)
    }
    unit = model.attributions_[0] / np.linalg.norm(model.attributions_)
    assert learnt == pytest.approx(dict(zip(model.prior_.features, unit, strict=True)))
    assert display.ax_.get_title() == f"target: cosine {model.alignment_[0]:.2f}"


def test_shapes_tell_how_the_model_fits_the_prior(model):
    display = AlignmentDisplay.from_estimator(model)
    shown = names(display.ax_)
    kinds = {
        kind: {shown[int(row)] for row in line.get_ydata()}
        for kind, line in display.points_[0].items()
    }
    assert kinds == {"agrees": {"a", FORMULA}, "disagrees": {"b"}, "unscored": {"d"}}
    markers = {line.get_marker() for line in display.points_[0].values()}
    assert len(markers) == 3
    (legend,) = display.figure_.legends
    assert [text.get_text() for text in legend.get_texts()] == [
        "prior",
        "model",
        "model, against the prior",
        "model, prior has no score",
    ]


def test_the_legend_explains_only_what_is_there(rows):
    model = LLMAttributionRegressor({"a": 1}).fit(rows[["a"]], rows["a"])
    _, ax = plt.subplots()
    display = drawn(AlignmentDisplay.from_estimator(model, ax=ax))
    legend = [text.get_text() for text in ax.get_legend().get_texts()]
    assert legend == ["prior", "model"]
    assert not display.figure_.legends


def test_an_output_without_direction_has_no_cosine(three_classes):
    display = drawn(AlignmentDisplay.from_estimator(three_classes, n_features=3))
    titles = [ax.get_title().splitlines() for ax in display.ax_]
    assert titles[1] == ["a = mid: no cosine", "1 of 4 features left out"]
    assert titles[0][0].startswith("a = low: cosine ")
    assert len(display.bars_) == len(display.points_) == 3
    assert {line.get_marker() for line in display.points_[1].values()} == set("oXD")


def test_many_features_of_a_model():
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(30, 100))).add_prefix("f")
    y = np.where(X["f0"] > 0, "ill", "well")
    model = quick_classifier(dict.fromkeys(X.columns[:50], -2)).fit(X, y)
    display = drawn(AlignmentDisplay.from_estimator(model))
    assert len(display.bars_[0]) == 20
    assert display.ax_.get_title().endswith("80 of 100 features left out")


def test_an_estimator_without_prior_is_refused(rows):
    model = LLMAttributionRegressor().fit(rows, rows["a"])
    with pytest.raises(PriorError, match="has no prior to compare with"):
        AlignmentDisplay.from_estimator(model)


def test_an_estimator_that_is_not_fitted_is_refused():
    with pytest.raises(NotFittedError):
        AlignmentDisplay.from_estimator(LLMAttributionRegressor({"a": 1}))


def test_a_pipeline_is_told_to_hand_over_its_last_step(model):
    with pytest.raises(TypeError, match=r"got Pipeline\. .*last step"):
        AlignmentDisplay.from_estimator(make_pipeline(model))


def test_what_is_shown_can_be_kept(model):
    display = AlignmentDisplay.from_estimator(model)
    data = {
        name: getattr(display, name)
        for name in ("features", "outputs", "direction", "attributions", "alignment")
    }
    again = AlignmentDisplay(**pickle.loads(pickle.dumps(data))).plot()
    assert again.ax_.get_title() == display.ax_.get_title()
    assert names(again.ax_) == names(display.ax_)
