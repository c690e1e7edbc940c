from functools import partial

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, StandardScaler

from llmreg import LLMAttributionClassifier, LLMAttributionRegressor
from llmreg.inspection import PriorCurveDisplay
from llmreg.inspection._comparison import (
    WITHOUT,
    last_step,
    measure,
    settle,
    with_prior,
    without_prior,
)
from tests.fakes import FakeProvider


@pytest.fixture
def rows():
    return pd.DataFrame({"age": [1.0, 2, 3, 4], "sex": ["f", "m", "f", "m"]})


LABELS = ["ill", "well", "ill", "well"]


def test_labels_of_the_caller_are_not_taken_for_numbers(rng):
    X, y = pd.DataFrame({"a": rng.random(20)}), np.arange(20) % 2
    prior = settle(LLMAttributionClassifier({1: {"a": 5}}), X, y)
    assert prior.outputs == ("1",)


def test_a_settled_prior_has_all_columns_and_trains_nothing(rows):
    model = LLMAttributionClassifier(FakeProvider())
    prior = settle(model, rows, LABELS)
    assert prior.features == ("age", "sex=f", "sex=m")
    assert prior.outputs == ("well",)
    assert not hasattr(model, "prior_")


def test_names_are_those_that_reach_the_last_step(rows):
    scale = StandardScaler().set_output(transform="pandas")
    inner = make_pipeline(LLMAttributionClassifier({"age": 3}))
    prior = settle(make_pipeline(scale, inner), rows[["age"]], LABELS)
    assert prior.features == ("age",)


def test_a_copy_has_another_prior_and_the_original_its_own(rows):
    pipeline = make_pipeline(LLMAttributionClassifier({"age": 3}, alpha=2.0))
    copy = with_prior(pipeline, None)
    assert last_step(copy).prior is None
    assert last_step(copy).alpha == 2.0
    assert last_step(pipeline).prior == {"age": 3}


@pytest.fixture
def skewed(rng):
    """Columns whose longest tail is several times as long as most of them are wide."""
    X = rng.lognormal(sigma=1.2, size=(400, 4))
    return X, X @ [2.0, -2.0, 1.0, -1.0] + rng.normal(size=400)


def test_without_a_prior_there_is_nothing_to_keep_of_it(skewed):
    X, y = skewed
    ways = [
        without_prior(LLMAttributionRegressor([5, -5, 0, 0], biased_features=biased))
        for biased in ("all", None)
    ]
    found, expected = (way.fit(X, y).best_estimator_.predict(X) for way in ways)
    np.testing.assert_array_equal(found, expected)


def test_a_skewed_table_is_standardised_where_there_is_no_prior(skewed):
    X, target = skewed
    y = target > 0
    model = LLMAttributionClassifier([5, -5, 3, -3])
    fitted = without_prior(model).fit(X[:100], y[:100])
    assert fitted.best_params_ == {"scaler": "standard"}
    theirs = make_pipeline(StandardScaler(), LogisticRegression()).fit(X[:100], y[:100])
    np.testing.assert_allclose(
        fitted.predict_proba(X[100:]), theirs.predict_proba(X[100:]), atol=1e-3
    )
    assert model.prior == [5, -5, 3, -3]
    assert model.scaler == "bounded"


def test_a_regression_is_compared_with_the_better_ridge(skewed):
    X, y = skewed
    model = LLMAttributionRegressor([5, -5, 3, -3])
    fitted = without_prior(model).fit(X[:60], y[:60])
    theirs = make_pipeline(StandardScaler(), Ridge()).fit(X[:60], y[:60])
    np.testing.assert_allclose(
        fitted.predict(X[60:]), theirs.predict(X[60:]), rtol=1e-3, atol=1e-3
    )


def test_ranges_stay_where_they_are_better(rng):
    """The one column that counts has the widest spread over its range."""
    flags = (rng.random((300, 20)) < 0.1).astype(float)
    X = np.column_stack([rng.integers(0, 2, 300), flags])
    y = X[:, 0] + rng.normal(scale=0.5, size=300) > 0.5
    fitted = without_prior(LLMAttributionClassifier()).fit(X[:30], y[:30])
    assert fitted.best_params_ == {"scaler": "bounded"}
    scaled = make_pipeline(MinMaxScaler(), LogisticRegression()).fit(X[:30], y[:30])
    np.testing.assert_allclose(
        fitted.predict_proba(X), scaled.predict_proba(X), atol=1e-3
    )


@pytest.mark.parametrize("way", [LLMAttributionClassifier, LLMAttributionRegressor])
def test_few_rows_are_scaled_by_their_range(skewed, way):
    """Folds of four rows tell nothing, and standardised they are the worse."""
    X, y = skewed[0][:4], [0, 0, 1, 1]
    fitted = without_prior(way([5, -5, 3, -3])).fit(X, y)
    expected = way().fit(X, y)
    np.testing.assert_array_equal(fitted.predict(X), expected.predict(X))
    assert fitted.best_estimator_.scaler == "bounded"
    clone(fitted).fit(X, y)


def test_the_report_and_the_display_have_the_same_model_without(skewed):
    X, target = skewed
    y = np.where(target > 0, "yes", "no")
    # Trees take most of the time, and are the same with any scaler.
    make = partial(LLMAttributionClassifier, trees=None)
    model = make([5, -5, 3, -3]).fit(X, y)
    found = measure(model, model.prior_, X, y).scores[WITHOUT]["ROC AUC"]
    standard = make(scaler="standard").fit(X, y)
    other = measure(standard, None, X, y).scores[WITHOUT]["ROC AUC"]
    np.testing.assert_allclose(found, other, atol=1e-6)
    options = {"train_sizes": [80], "n_repeats": 3, "scoring": "roc_auc"}
    display = PriorCurveDisplay.from_estimator(model, X, y, random_state=0, **options)
    standard = make([5, -5, 3, -3], scaler="standard")
    other = PriorCurveDisplay.from_estimator(standard, X, y, random_state=0, **options)
    np.testing.assert_allclose(display.scores_without, other.scores_without)
    assert not np.array_equal(display.scores, other.scores)


def test_a_pipeline_without_a_prior_is_scaled_in_its_last_step(skewed):
    X, target = skewed
    inner = make_pipeline(LLMAttributionClassifier([5, -5, 3, -3]))
    model = make_pipeline(FunctionTransformer(), inner)
    fitted = without_prior(model).fit(X, target > 0)
    name = "pipeline__llmattributionclassifier__scaler"
    assert fitted.best_params_ == {name: "standard"}
    assert last_step(fitted.best_estimator_).prior is None
