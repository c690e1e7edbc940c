"""Shapes as pictures: what each panel shows, and that it can be read."""

import copy
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from matplotlib.colors import to_rgba
from matplotlib.container import BarContainer

from llmreg import LLMAttributionClassifier, LLMAttributionRegressor
from llmreg.exceptions import FeatureNamesError, MissingDependencyError
from llmreg.inspection import ShapeDisplay, shapes
from llmreg.inspection._plotting import VERMILION
from llmreg.linear_model import Contradiction
from tests.pictures import check_readable

HOSTILE = "$x^2$ <b>\x1b[2J"


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    table = {"age": rng.uniform(20, 80, 120), "sex": rng.choice(["f", "m"], 120)}
    return pd.DataFrame(table | {"dose": rng.uniform(0, 3, 120)})


@pytest.fixture(scope="module")
def model(rows):
    """The prior is wrong about "dose"."""
    y = np.where(rows["age"] / 20 - 2 * rows["dose"] > -0.5, "ill", "well")
    prior = {"age": [(20, -6), (80, 6)], "dose": [(0, -4), (3, 4)], "sex=f": 1}
    return LLMAttributionClassifier({"ill": prior}).fit(rows, y)


def titles(display):
    return [ax.get_title(loc="left") for ax in display.axes_]


def lines(ax):
    return [line for line in ax.lines if line.get_label() in ("said", "learnt")]


def test_said_and_learnt_share_a_panel(model, rows):
    display = ShapeDisplay.from_estimator(model, rows)
    found = shapes(model, rows)
    name = next(n for n in ("age", "dose") if titles(display)[0].startswith(n))
    for line, heights in zip(
        lines(display.axes_[0]), (found[name].said, found[name].learnt), strict=True
    ):
        x, y = line.get_data()
        np.testing.assert_allclose(y, np.interp(x, found[name].values, heights[0]))
    said, learnt = (
        bars for bars in display.axes_[-1].containers if isinstance(bars, BarContainer)
    )
    assert [bar.get_width() for bar in learnt] == found["sex"].learnt[0].tolist()
    assert said[0].get_width() == found["sex"].said[0, 0]
    counts = rows["sex"].value_counts()
    ticks = [t.get_text() for t in display.axes_[-1].get_yticklabels()]
    assert ticks == [f"{level} ({counts[level]})" for level in "fm"]
    check_readable(display.figure_)


def test_what_the_rows_contradict_is_marked(model, rows):
    display = ShapeDisplay.from_estimator(model, features=["dose", "age"])
    assert [c.feature for c in model.trust_.contradictions] == ["dose"]
    assert titles(display) == ["dose\nagainst the prior", "age"]
    title = display.axes_[0].title, display.axes_[0]._left_title
    assert to_rgba(title[1].get_color()) == to_rgba(VERMILION)


def test_a_level_marks_its_column(model):
    model = copy.copy(model)
    found = Contradiction("sex=f", "well", 1.0, -0.5, 0.97)
    model.trust_ = replace(model.trust_, contradictions=(found,))
    assert titles(ShapeDisplay.from_estimator(model))[2] == "sex\nagainst the prior"


@pytest.mark.parametrize("n_rows", [20, 120])
def test_rows_lie_along_the_edge(model, rows, n_rows):
    bare = ShapeDisplay.from_estimator(model, features=["age"]).axes_[0]
    ax = ShapeDisplay.from_estimator(model, rows[:n_rows], features=["age"]).axes_[0]
    n_marks = len(ax.collections) + len(ax.patches)
    # The band is there without rows.
    assert n_marks > len(bare.collections) + len(bare.patches) == 1
    if n_rows == 120:
        assert max(bar.get_height() for bar in ax.patches) < 0.2


def test_a_band_is_the_deviation(model, rows):
    found = shapes(model)["age"]
    wide = replace(found, deviations=np.full(found.learnt.shape, 0.5))
    plain = ShapeDisplay.from_estimator(model, features=["age"])
    (band,) = plain.axes_[0].collections
    top = (found.learnt + found.deviations).max()
    assert band.get_paths()[0].vertices[:, 1].max() == pytest.approx(top)
    sex = shapes(model)["sex"]
    plain.shapes = {
        "age": wide,
        "sex": replace(sex, deviations=np.full(sex.learnt.shape, 0.5)),
    }
    (band,) = plain.plot().axes_[0].collections
    low, high = plain.axes_[1].get_xlim()
    assert low < sex.learnt.min() - 0.5 < sex.learnt.max() + 0.5 < high
    top = band.get_paths()[0].vertices[:, 1].max()
    assert top == pytest.approx(found.learnt.max() + 0.5)


def test_classes_have_colours_or_one_is_chosen(rows):
    y = pd.cut(rows["age"], 3, labels=[*"uvw"]).astype(str)
    prior = {
        k: {"age": [(20, -s), (80, s)], "sex=f": 1}
        for k, s in zip("uvw", (-4, 1, 4), strict=True)
    }
    model = LLMAttributionClassifier(prior).fit(rows, y)
    display = ShapeDisplay.from_estimator(model, rows)
    (legend,) = display.figure_.legends
    texts = [text.get_text() for text in legend.get_texts()]
    assert texts == ["said (pale)", "u", "v", "w", "± standard deviation"]
    check_readable(display.figure_)
    one = ShapeDisplay.from_estimator(model, output="w")
    (legend,) = one.figure_.legends
    texts = [text.get_text() for text in legend.get_texts()]
    assert texts == ["said", "learnt", "± standard deviation"]
    with pytest.raises(
        ValueError, match="output must be one of 'u', 'v', 'w'; got 'x'"
    ):
        ShapeDisplay.from_estimator(model, output="x")


def test_features_are_chosen_and_counted(model):
    display = ShapeDisplay.from_estimator(model, n_features=1)
    (legend,) = display.figure_.legends
    assert "2 of 3 columns left out" in [t.get_text() for t in legend.get_texts()]
    with pytest.raises(FeatureNamesError, match=r"without a shape: \['shoe'\]"):
        ShapeDisplay.from_estimator(model, features=["shoe"])


def test_targets_and_columns_of_any_name_are_shown(rows):
    table = rows.rename(columns={"dose": HOSTILE})
    y = pd.Series(rows["age"], name=HOSTILE)
    prior = {HOSTILE: [(0, -1), (3, 4)], "age": 3}
    model = LLMAttributionRegressor(prior).fit(table, y)
    display = ShapeDisplay.from_estimator(model, table)
    assert "$x^2$ <b>\\x1b[2J" in titles(display)
    assert display.axes_[0].get_ylabel() == "$x^2$ <b>\\x1b[2J"
    check_readable(display.figure_)


def test_axes_of_the_caller_are_used(model):
    figure, axes = plt.subplots(3)
    display = ShapeDisplay.from_estimator(model, ax=axes)
    assert list(display.axes_) == list(axes)
    assert display.figure_ is figure
    again = display.plot(ax=plt.figure().subplots())
    assert again.figure_ is not figure


def test_without_matplotlib_the_error_says_what_to_install(monkeypatch, model):
    for name in ("matplotlib", "matplotlib.pyplot"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingDependencyError, match=r"llmreg\[plot\]"):
        ShapeDisplay.from_estimator(model)
