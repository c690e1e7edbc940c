import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from sklearn.compose import make_column_transformer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from llmreg import LLMAttributionClassifier, LLMAttributionRegressor
from llmreg.exceptions import DataError, PriorError
from llmreg.inspection import PriorCurveDisplay
from llmreg.inspection._comparison import _order
from tests.fakes import FailingProvider, FakeProvider

draw = PriorCurveDisplay.from_estimator


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    return pd.DataFrame(rng.normal(size=(60, 6)), columns=[*"abcdef"])


@pytest.fixture(scope="module")
def labels(rows):
    return pd.Series(np.where(rows["a"] - rows["b"] > 0.8, "ill", "well"), name="y")


PRIOR = {"a": -5, "b": 5}


def test_lines_are_means_and_bands_deviations(rows, labels):
    model = LLMAttributionClassifier(PRIOR, random_state=0)
    display = draw(
        model, rows, labels, train_sizes=[4, 16], n_repeats=3, random_state=0
    )
    assert display.scores.shape == display.scores_without.shape == (2, 3)
    for line, band, scores in zip(
        display.lines_,
        display.fill_between_,
        (display.scores, display.scores_without),
        strict=True,
    ):
        np.testing.assert_allclose(line.get_ydata(), scores.mean(axis=1))
        assert list(line.get_xdata()) == [4, 16]
        heights = band.get_paths()[0].get_extents().intervaly
        spread = scores.std(axis=1)
        assert heights[0] == pytest.approx((scores.mean(axis=1) - spread).min())
    assert display.scores[0].mean() > display.scores_without[0].mean()
    assert display.ax_.get_ylabel() == "Accuracy"
    assert [t.get_text() for t in display.ax_.get_legend().get_texts()] == [
        "with the prior",
        "without",
    ]
    assert not hasattr(model, "net_")


def test_both_curves_have_the_same_rows(rows, labels):
    """Where the prior is not heard at all, the curves are one."""
    model = LLMAttributionClassifier(
        PRIOR, gamma=1e-12, scaler="standard", random_state=0
    )
    options = {"train_sizes": [8], "n_repeats": 2, "scoring": "neg_log_loss"}
    one = draw(model, rows, labels, random_state=1, **options)
    np.testing.assert_allclose(one.scores, one.scores_without, rtol=1e-4)
    other = draw(model, rows, labels, random_state=1, **options)
    np.testing.assert_array_equal(one.scores, other.scores)
    assert one.score_name == "Negative log loss"


def test_a_provider_is_asked_once(rows, labels):
    before = FakeProvider.n_calls
    model = LLMAttributionClassifier(FakeProvider())
    draw(model, rows, labels, train_sizes=[4, 8], n_repeats=2)
    assert FakeProvider.n_calls == before + 1


def test_beginnings_have_all_classes_in_proportion():
    labels = np.repeat([*"abc"], [40, 20, 4])
    for seed in range(5):
        order = _order(len(labels), labels, np.random.RandomState(seed))
        assert sorted(order) == list(range(64))
        assert set(labels[order[:3]]) == set(labels[order[-3:]]) == {*"abc"}
        counts = pd.Series(labels[order[:32]]).value_counts()
        assert abs(counts["a"] - 20) <= 2
        assert abs(counts["b"] - 10) <= 2


def test_a_regression_and_its_targets(rows):
    targets = rows[["a", "b"]].to_numpy() + 1
    model = LLMAttributionRegressor({"y0": {"a": 5}, "y1": {"b": 5}})
    display = draw(model, rows, targets, train_sizes=[6], n_repeats=1)
    assert display.score_name == "R²"
    assert display.ax_.get_title() == "one draw of rows"


def test_a_pipeline_whose_parts_lack_levels(labels):
    """Names of levels come out of a transformer; small draws do not have them all."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"c": rng.choice([*"abcdefgh"], 60), "n": rng.normal(size=60)})
    encode = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore", sparse_output=False), ["c"]),
        remainder="passthrough",
    ).set_output(transform="pandas")
    model = make_pipeline(encode, LLMAttributionClassifier({"n": 3, "c=a": 2}))
    display = draw(model, X, labels, train_sizes=[4], n_repeats=2, random_state=0)
    assert np.isfinite(display.scores).all()


def test_an_array_of_scores_on_an_array(rows, labels):
    model = LLMAttributionClassifier([5, -5, 0, 0, 0, 0])
    assert draw(model, rows.to_numpy(), labels, train_sizes=[4], n_repeats=1)


def test_sizes_are_those_that_there_are_rows_for(rows, labels):
    assert list(_default_sizes(rows, labels)) == [4, 8, 16, 32]
    for wrong in ([1], [49], []):
        with pytest.raises(DataError, match="from 2 to 48"):
            draw(LLMAttributionClassifier(PRIOR), rows, labels, train_sizes=wrong)
    lone = labels.mask(labels.index == 3, "alone")
    with pytest.raises(DataError, match="'alone' has a single row"):
        draw(LLMAttributionClassifier(PRIOR), rows, lone)


def _default_sizes(rows, labels):
    model = LLMAttributionClassifier(PRIOR)
    return draw(model, rows, labels, n_repeats=1).train_sizes


@pytest.mark.parametrize("settings", [{}, {"prior": PRIOR, "gamma": 0}])
def test_without_a_prior_there_is_nothing_to_compare(rows, labels, settings):
    with pytest.raises(PriorError, match="nothing to compare"):
        draw(LLMAttributionClassifier(**settings), rows, labels)


@pytest.mark.filterwarnings("ignore::llmreg.exceptions.LLMRegWarning")
def test_a_provider_that_fails_leaves_nothing_to_compare(rows, labels):
    model = LLMAttributionClassifier(FailingProvider(), on_error="no_prior")
    with pytest.raises(PriorError, match="HTTP 529"):
        draw(model, rows, labels)


def test_what_is_no_estimator_of_ours_is_refused(rows, labels):
    with pytest.raises(TypeError, match="whose last step is one; got OneHotEncoder"):
        draw(make_pipeline(OneHotEncoder()), rows, labels)


def test_axes_of_the_caller_are_used(rows, labels):
    figure, ax = plt.subplots()
    model = LLMAttributionClassifier(PRIOR)
    display = draw(model, rows, labels, train_sizes=[4], n_repeats=1, ax=ax)
    assert display.ax_ is ax
    assert display.figure_ is figure
    assert display.plot() is display
    assert display.ax_ is not ax
