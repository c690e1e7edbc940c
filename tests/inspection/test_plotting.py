"""The pictures are readable: with few and many features, on light and on dark."""

import numpy as np
import pytest
from matplotlib import pyplot as plt

from llmreg import FeaturePrior
from llmreg.inspection import (
    AlignmentDisplay,
    PriorCurveDisplay,
    PriorDisplay,
    TrustDisplay,
)
from llmreg.inspection._plotting import BLUE, ORANGE, VERMILION, grid_shape
from llmreg.linear_model._trust import Trust
from tests.pictures import check_readable, contrast, n_pixels, pixels, texts_of

SHAPES = [(5, 1), (100, 1), (20, 4)]


def names(n):
    return [f"{'a long name of ' * (i % 3)}feature {i}" for i in range(n)]


def prior(n, k):
    rng = np.random.default_rng(0)
    scores = rng.integers(-8, 9, (1, k, n)) + rng.uniform(-1, 1, (3, k, n))
    scores[:, 0, :2] = [[9, -9]]
    outputs = [f"class {i}" for i in range(k)]
    return FeaturePrior(names(n), scores.mean(axis=0), outputs, estimates=scores)


def alignment(n, k):
    unit = np.random.default_rng(0).normal(size=(2, k, n)) / np.sqrt(n)
    unit[:, :, 0] = 0.5
    unit[:, :, 1] = [[0.5], [-0.4]]
    unit[0, :, 2] = np.nan
    return AlignmentDisplay(
        features=names(n),
        outputs=[f"class {i}" for i in range(k)],
        direction=unit[0],
        attributions=unit[1],
        alignment=np.linspace(0.1, 0.9, k),
        n_features=n,
    )


def trust(n, k):
    agreement = np.random.default_rng(0).uniform(0, 1, (k, n))
    agreement[:, :3] = [0.02, 0.6, 0.98]
    found = Trust(
        gammas=np.array([0, 0.5, 5, 50, 500, 50]),
        weights=np.array([0.1, 0.1, 0.2, 0.3, 0.2, 0.1]),
        signs=np.array([0, 1, 1, 1, 1, -1]),
        transforms=np.zeros(6, dtype=int),
        agreement=agreement,
        cosine=0.5,
        contradictions=(),
        n_samples=40,
    )
    return TrustDisplay(
        features=names(n),
        outputs=[f"class {i}" for i in range(k)],
        scores=prior(n, k).scores,
        attributions=agreement - 0.5,
        trusts=[found],
        names=["target"],
        n_features=n,
    )


def curve(*_):
    rng = np.random.default_rng(0)
    low, high = rng.uniform(0.5, 0.7, (3, 4)), rng.uniform(0.7, 0.9, (3, 4))
    return PriorCurveDisplay(
        train_sizes=[4, 8, 16], scores=high, scores_without=low, score_name="ROC AUC"
    )


MAKERS = {
    "prior": lambda n, k: PriorDisplay(prior=prior(n, k), n_features=n),
    "alignment": alignment,
    "trust": trust,
}


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("kind", MAKERS)
def test_texts_have_room(kind, shape):
    check_readable(MAKERS[kind](*shape).plot().figure_)


def test_texts_of_the_curves_have_room():
    check_readable(curve().plot().figure_)


@pytest.mark.parametrize("kind", ["prior", "trust"])
def test_names_shrink_to_fit_axes_that_are_given(kind):
    figure = plt.figure(figsize=(7, 7), layout="constrained")
    display = MAKERS[kind](40, 1).plot(ax=figure.subplots())
    panel = np.atleast_1d(display.ax_)[-1]
    rows = sorted(
        box.y0 for text, box in texts_of(figure) if text in set(panel.get_yticklabels())
    )
    size = panel.get_yticklabels()[0].get_fontsize()
    assert len(rows) == 40
    assert size * figure.dpi / 72 <= np.diff(rows).min() + 0.5


@pytest.mark.parametrize("style", ["default", "dark_background"])
@pytest.mark.parametrize("kind", [*MAKERS, "curve"])
def test_everything_stands_out_from_the_ground(kind, style):
    with plt.style.context(style):
        display = {**MAKERS, "curve": curve}[kind](5, 1).plot()
        figure = display.figure_
        ground = figure.get_facecolor()
        assert all(
            contrast(text.get_color(), ground) >= 4.5 for text, _ in texts_of(figure)
        )
        lines = [line for ax in figure.axes for line in ax.get_lines()]
        assert lines
        assert all(contrast(line.get_color(), ground) >= 3 for line in lines)


def test_error_bars_stand_out_on_dark():
    with plt.style.context("dark_background"):
        display = PriorDisplay(prior=prior(5, 1)).plot()
        _, caps, (bars,) = display.bars_[0].errorbar.lines
        assert len(bars.get_segments()) == 5
        assert contrast(bars.get_color()[0], "black") > 15
        assert caps[0].get_markeredgecolor() == "white"


@pytest.mark.parametrize(
    ("kind", "colours"),
    [
        ("prior", (BLUE, VERMILION)),
        ("alignment", (BLUE, VERMILION, ORANGE)),
        ("trust", (BLUE, VERMILION)),
        ("curve", (BLUE, VERMILION)),
    ],
)
def test_colours_are_those_that_everybody_can_tell_apart(kind, colours):
    figure = {**MAKERS, "curve": curve}[kind](5, 1).plot().figure_
    assert all(n_pixels(figure, colour) > 20 for colour in colours)
    assert contrast(BLUE, ORANGE) > 2


@pytest.mark.parametrize("kind", ["trust", "curve"])
def test_the_same_data_give_the_same_picture(kind):
    one, other = (
        pixels({**MAKERS, "curve": curve}[kind](5, 2).plot().figure_) for _ in range(2)
    )
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("n", "shape"), [(1, (1, 1)), (3, (1, 3)), (4, (2, 2)), (5, (2, 3)), (7, (3, 3))]
)
def test_few_places_stay_empty(n, shape):
    assert grid_shape(n) == shape
