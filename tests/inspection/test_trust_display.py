import sys

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline

from llmreg import LLMAttributionClassifier, LLMAttributionRegressor
from llmreg.exceptions import MissingDependencyError, PriorError
from llmreg.inspection import TrustDisplay
from llmreg.inspection._fitted_display import NO_GUIDE, STRENGTHS, TURNED

WAYS = [*(name for _, name in STRENGTHS), TURNED, NO_GUIDE]


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    return pd.DataFrame(rng.normal(size=(120, 4)), columns=[*"abcd"])


@pytest.fixture(scope="module")
def model(rows):
    """The prior is wrong about "b", has 0 for "c" and is silent about "d"."""
    y = np.where(2 * rows["a"] - 2 * rows["b"] > 0, "ill", "well")
    y = pd.Series(y, name="health")
    # The scores speak for the positive class, "well".
    return LLMAttributionClassifier({"a": -9, "b": -4, "c": 0}).fit(rows, y)


def names(ax):
    return [label.get_text() for label in ax.get_yticklabels()]


def columns(ax):
    """Return what is written beside a panel, by its head."""
    texts = [text.get_text() for text in ax.texts]
    half = len(texts) // 2
    return {part[0]: part[1:] for part in (texts[:half], texts[half:])}


def test_ways_are_shares_of_one(model):
    display = TrustDisplay.from_estimator(model)
    upper, _ = display.ax_
    shares = [bar.get_width() for bar in display.bars_[0]]
    assert names(upper) == WAYS
    assert sum(shares) == pytest.approx(1)
    assert sum(shares[:4]) == pytest.approx(model.trust_.p_aligned)
    assert shares[4:] == pytest.approx(
        [model.trust_.p_reversed, model.trust_.p_uninformative]
    )
    assert upper.get_title() == "health: how to take the scores"
    assert "120 rows" in upper.get_xlabel()


def test_signs_are_marked_by_what_became_of_them(model):
    display = TrustDisplay.from_estimator(model)
    lower = display.ax_[1]
    shown = names(lower)
    assert shown == ["a", "b", "c", "d"]
    kinds = {
        kind: [shown[int(row)] for row in line.get_ydata()]
        for kind, line in display.points_[0].items()
    }
    assert kinds == {"kept": ["a"], "open": [], "contradicted": ["b"]}
    assert [c.feature for c in model.trust_.contradictions] == ["b"]
    likely = display.points_[0]["contradicted"].get_xdata()
    assert likely == pytest.approx([1 - model.trust_.contradictions[0].probability])
    assert len({line.get_marker() for line in display.points_[0].values()}) == 3
    (legend,) = display.figure_.legends
    assert len(legend.get_texts()) == 2


def test_scores_and_weights_are_written_beside_them(model):
    beside = columns(TrustDisplay.from_estimator(model).ax_[1])
    assert beside["score"] == ["-9.0", "-4.0", "0.0", "-"]
    learnt = [float(text) for text in beside["learnt"]]
    assert learnt == pytest.approx(model.attributions_[0], abs=0.005)


def test_every_class_has_a_panel_under_one_verdict(rows):
    y = pd.cut(rows["a"], 4, labels=[*"wxyz"]).astype(str)
    prior = {label: {"a": i - 1.5, "b": 0} for i, label in enumerate("wxyz")}
    model = LLMAttributionClassifier(prior).fit(rows, y)
    display = TrustDisplay.from_estimator(model, n_features=2)
    assert len(display.bars_) == 1
    assert len(display.points_) == 4
    assert len(display.ax_) == 5
    assert display.ax_[1].get_title().splitlines() == [
        "a = w: signs of the weights",
        "2 of 4 features left out",
    ]


def test_every_target_has_a_verdict_of_its_own(rows):
    targets = pd.DataFrame({"rent": rows["a"], "price": rows["a"] - rows["b"]})
    prior = {name: {"a": 5, "b": 5} for name in targets}
    model = LLMAttributionRegressor(prior).fit(rows, targets)
    display = TrustDisplay.from_estimator(model)
    titles = [ax.get_title().partition(":")[0] for ax in display.ax_]
    assert titles == ["rent", "price", "rent", "price"]
    assert not len(display.points_[0]["contradicted"].get_ydata())
    assert len(display.points_[1]["contradicted"].get_ydata()) == 1


def test_axes_of_the_caller_are_used(model):
    figure, axes = plt.subplots(2)
    display = TrustDisplay.from_estimator(model, ax=axes)
    assert list(display.ax_) == list(axes)
    assert display.figure_ is figure
    _, (left, right) = plt.subplots(1, 2)
    display = TrustDisplay.from_estimator(model, ax=right)
    assert all(ax.get_position().x0 >= left.get_position().x1 for ax in display.ax_)
    with pytest.raises(ValueError, match="ax must be 2 Axes"):
        TrustDisplay.from_estimator(model, ax=plt.figure().subplots(3))


def test_a_fixed_gamma_is_told_what_to_do(rows):
    model = LLMAttributionRegressor({"a": 1, "b": 2}, gamma=1).fit(rows, rows["a"])
    with pytest.raises(PriorError, match=r'gamma=1, .*Fit it with gamma="auto"'):
        TrustDisplay.from_estimator(model)


def test_scores_of_zero_are_nothing_to_trust(rows):
    with pytest.warns(UserWarning, match="has no effect"):
        model = LLMAttributionRegressor({"a": 0}).fit(rows, rows["a"])
    with pytest.raises(PriorError, match="no score other than 0"):
        TrustDisplay.from_estimator(model)


def test_what_has_no_trust_is_refused(rows, model):
    with pytest.raises(PriorError, match="has no prior"):
        TrustDisplay.from_estimator(LLMAttributionRegressor().fit(rows, rows["a"]))
    with pytest.raises(NotFittedError):
        TrustDisplay.from_estimator(LLMAttributionRegressor({"a": 1}))
    with pytest.raises(TypeError, match=r"TrustDisplay needs .* got Pipeline"):
        TrustDisplay.from_estimator(make_pipeline(model))


def test_without_matplotlib_the_error_says_what_to_install(monkeypatch, model):
    for name in ("matplotlib", "matplotlib.pyplot"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingDependencyError, match=r"llmreg\[plot\]"):
        TrustDisplay.from_estimator(model)


def test_levels_have_the_sign_of_their_feature_where_there_are_curves(rows):
    table = rows.assign(s=np.where(rows["c"] > 0, "u", "v"))
    prior = {"a": [(-2, -5), (0, 1), (2, 6)], "b": -4, "s=u": 3}
    model = LLMAttributionClassifier(prior).fit(table, rows["a"] > rows["b"])
    agreement = TrustDisplay.from_estimator(model).trusts[0].agreement
    known = ~np.isnan(agreement[0])
    assert known.tolist() == [True, True, False, False, True, False]
    found = model.trust_.agreement
    assert agreement[0, [0, 1, 4]] == pytest.approx(found[0, [0, 1, 4]])
