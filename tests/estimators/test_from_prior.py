"""`from_prior`: what is known before a row is seen."""

import pickle
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.utils.validation import check_is_fitted

from llmreg import FeaturePrior, LLMAttributionClassifier, LLMAttributionRegressor
from llmreg._from_prior import _typical_rows
from llmreg.exceptions import PriorError, PriorMismatchError
from llmreg.export import to_onnx, to_sklearn
from llmreg.inspection import ShapeDisplay, format_report, shapes
from llmreg.providers import StaticPrior

CURVES = {
    "age": [(20, -5), (50, 0), (80, 6)],
    "bmi": [(18, 1), (25, -1), (40, 4)],
    "sex=male": 2,
    "sex=female": 0,
}
RANGES = {"age": (25, 48, 75), "bmi": (19, 26, 36)}
RATES = {"ill": 0.1, "well": 0.9}
PRIOR = FeaturePrior.from_dict(CURVES, output="ill", ranges=RANGES, base_rates=RATES)
SCORES = {"age": 6, "bmi": 3, "sex=male": 2}
SCORED = FeaturePrior.from_dict(SCORES, output="ill", ranges=RANGES, base_rates=RATES)
TARGET = {"price": (10, 20, 60)}
PRICED = FeaturePrior.from_dict(
    CURVES, output="price", ranges=RANGES, target_ranges=TARGET
)
X = pd.DataFrame(
    {
        "age": [30, 75, 60, 22, 41, 66],
        "bmi": [25.0, 35.0, 22.0, 40.0, np.nan, 30.0],
        "sex": ["male", "female", "male", "female", "male", "other"],
    }
)
# A gap has the middle value, and a level that nobody spoke of no effect.
EFFECTS = (
    PRIOR.curves["age"](X["age"])[0]
    + PRIOR.curves["bmi"](X["bmi"].fillna(26))[0]
    + X["sex"].map({"male": 2, "female": 0, "other": 0})
)
ROWS, LABELS = X[:5], ["ill", "well", "ill", "well", "well"]


def log_odds(model, rows=X):
    p = model.predict_proba(rows)
    return np.log(p[:, 0] / p[:, 1])


def test_it_is_fitted_and_has_the_prior_among_its_parameters():
    model = LLMAttributionClassifier.from_prior(PRIOR, random_state=3, base_rate=0.8)
    check_is_fitted(model)
    expected = {"prior": PRIOR, "random_state": 3, "base_rate": 0.8}
    assert expected.items() <= model.get_params().items()
    assert model.on_unit_mismatch == "direction"
    assert list(model.feature_names_in_) == ["age", "bmi", "sex"]
    assert list(model.classes_) == ["ill", "well"]
    assert model.prior_.base_rates == PRIOR.base_rates
    assert "0 training rows are too few" in model.trust_.verdict


def test_rows_are_ranked_by_the_sum_of_curves():
    model = LLMAttributionClassifier.from_prior(PRIOR)
    assert np.corrcoef(log_odds(model), EFFECTS)[0, 1] > 0.9999


def test_probabilities_have_the_base_rate_over_typical_rows():
    typical = _typical_rows(PRIOR, 1_000)
    for prior, rate in [(PRIOR, 0.1), (replace(PRIOR, base_rates={}), 0.5)]:
        model = LLMAttributionClassifier.from_prior(prior, classes=["ill", "well"])
        assert model.predict_proba(typical)[:, 0].mean() == pytest.approx(rate)
    declared = LLMAttributionClassifier.from_prior(PRIOR, base_rate={"ill": 0.3})
    assert declared.predict_proba(typical)[:, 0].mean() == pytest.approx(0.3)


def test_one_base_rate_of_two_is_enough():
    prior = replace(PRIOR, base_rates={"ill": 0.1})
    model = LLMAttributionClassifier.from_prior(prior, classes=["ill", "well"])
    both = LLMAttributionClassifier.from_prior(PRIOR)
    np.testing.assert_allclose(model.predict_proba(X), both.predict_proba(X))


def test_it_is_the_limit_of_fit():
    model = LLMAttributionClassifier.from_prior(PRIOR)
    few = LLMAttributionClassifier(PRIOR).fit(ROWS, LABELS, np.full(5, 1e-6))
    along = [
        (np.diff(shape.learnt[0]), np.diff(other.learnt[0]))
        for shape, other in zip(
            shapes(model).values(), shapes(few).values(), strict=True
        )
    ]
    # But for how unsure weights are over other rows.
    ratio = [a.sum() / b.sum() for a, b in along if abs(b.sum()) > 0.1]
    np.testing.assert_allclose(ratio, 1, atol=0.15)


def test_a_clone_is_fitted_as_ever():
    model = LLMAttributionClassifier.from_prior(PRIOR)
    assert not hasattr(clone(model), "classes_")
    expected = LLMAttributionClassifier(PRIOR).fit(ROWS, LABELS).predict_proba(X)
    assert (clone(model).fit(ROWS, LABELS).predict_proba(X) == expected).all()
    assert (model.fit(ROWS, LABELS).predict_proba(X) == expected).all()


def test_partial_fit_goes_on():
    model = LLMAttributionClassifier.from_prior(PRIOR)
    before = log_odds(model)
    model.partial_fit(X, ["well"] * 6)
    after = log_odds(model)
    assert (after < before).all()
    assert np.corrcoef(after, EFFECTS)[0, 1] > 0.9
    assert model.posterior_ is None


@pytest.mark.parametrize("prior", [PRIOR, SCORED], ids=["curves", "scores"])
def test_intervals_are_wide_and_hold_the_prediction(prior):
    model = LLMAttributionClassifier.from_prior(prior)
    low, high = model.predict_proba_interval(X)[:, 0].T
    assert (low < model.predict_proba(X)[:, 0]).all()
    assert (high > model.predict_proba(X)[:, 0]).all()
    assert (high - low).mean() > 0.3


def test_scores_are_a_linear_model_over_typical_ranges():
    model = LLMAttributionClassifier.from_prior(SCORED)
    step = pd.DataFrame({"age": [25, 75], "bmi": 26, "sex": "male"})
    other = step.assign(age=48, bmi=[19, 36])
    rise, of_bmi = (np.diff(log_odds(model, rows))[0] for rows in (step, other))
    assert rise > 2 * of_bmi > 0
    assert to_sklearn(model)


def test_whole_numbers_are_labels():
    prior = FeaturePrior.from_dict(
        {"age": 5}, output="1", ranges=RANGES, base_rates={"0": 0.7, "1": 0.3}
    )
    prior = replace(prior, ranges={"age": RANGES["age"]})
    model = LLMAttributionClassifier.from_prior(prior)
    assert model.classes_.tolist() == [0, 1]
    assert np.diff(model.predict_proba(pd.DataFrame({"age": [25, 75]}))[:, 1]) > 0


def test_several_classes():
    scores = {"a": {"legs": -9}, "b": {"legs": 1}, "c": {"legs": 9}}
    prior = FeaturePrior.from_dict(
        scores, ranges={"legs": (0, 2, 4)}, base_rates={"a": 0.2, "b": 0.5, "c": 0.3}
    )
    model = LLMAttributionClassifier.from_prior(prior)
    typical = model.predict_proba(_typical_rows(prior, 1_000))
    np.testing.assert_allclose(typical.mean(axis=0), [0.2, 0.5, 0.3], atol=1e-6)
    found = model.predict_proba(pd.DataFrame({"legs": [0, 4]}))
    assert found[0].argmax() == 0
    assert found[1, 2] > 0.3 > 0.2 > found[1, 0]


def test_targets_have_the_middle_and_no_more_than_the_spread():
    model = LLMAttributionRegressor.from_prior(PRICED)
    found = model.predict(_typical_rows(PRICED, 1_000))
    assert 10 < found.mean() < 30
    assert np.corrcoef(model.predict(X), EFFECTS)[0, 1] > 0.9999
    low, high = model.predict_interval(X).T
    assert (high - low > 2 * (60 - 10) / 3.29).all()
    assert model.predict(X, return_std=True)[1].shape == (6,)
    spread = (60 - 10) / 3.29
    assert found.std() <= np.sqrt(0.7) * spread
    steep = {"age": [(20, -9), (80, 9)], "bmi": [(18, -9), (40, 9)]}
    prior = FeaturePrior.from_dict(steep, output="price", target_ranges=TARGET)
    model = LLMAttributionRegressor.from_prior(prior)
    found = model.predict(_typical_rows(prior, 1_000))
    assert found.std() == pytest.approx(np.sqrt(0.7) * spread)


def test_several_targets():
    both = {"price": CURVES, "weight": {**CURVES, "age": [(20, 1), (80, -1)]}}
    ranges = {**TARGET, "weight": (1, 2, 3)}
    prior = FeaturePrior.from_dict(both, ranges=RANGES, target_ranges=ranges)
    model = LLMAttributionRegressor.from_prior(prior)
    assert model.predict(X).shape == (6, 2)
    assert len(model.trust_) == 2
    assert model.partial_fit(X, np.ones((6, 2))).predict(X).shape == (6, 2)


@pytest.mark.parametrize(
    ("kind", "prior"),
    [
        (LLMAttributionClassifier, PRIOR),
        (LLMAttributionClassifier, SCORED),
        (LLMAttributionRegressor, PRICED),
    ],
)
def test_what_is_made_of_it(kind, prior, tmp_path):
    model = kind.from_prior(prior)
    predict = getattr(model, "decision_function", model.predict)
    again = pickle.loads(pickle.dumps(model))
    assert (getattr(again, predict.__name__)(X) == predict(X)).all()
    piped = make_pipeline("passthrough", model)
    assert (piped.predict(X) == model.predict(X)).all()
    exported = to_sklearn(model)
    assert (exported.predict(X) == model.predict(X)).mean() == 1 or np.allclose(
        exported.predict(X), model.predict(X)
    )
    assert to_onnx(model)
    assert "age" in format_report(model)
    assert ShapeDisplay.from_estimator(model)
    assert model.attributions_.shape == (1, 4 if prior is not SCORED else 3)


def test_dicts_and_cards(tmp_path):
    PRICED.write(tmp_path / "card.json")
    path = str(tmp_path / "card.json")
    model = LLMAttributionRegressor.from_prior(path)
    assert model.prior == path
    np.testing.assert_allclose(
        model.predict(X), LLMAttributionRegressor.from_prior(PRICED).predict(X)
    )
    curves = LLMAttributionClassifier.from_prior(CURVES, classes=[False, True])
    assert curves.predict(X).dtype == bool


def test_hidden_layers_wait_for_rows():
    model = LLMAttributionClassifier.from_prior(PRIOR, hidden_layer_sizes=(5,))
    plain = LLMAttributionClassifier.from_prior(PRIOR)
    np.testing.assert_allclose(model.predict_proba(X), plain.predict_proba(X))


@pytest.mark.parametrize(
    ("kind", "prior", "params", "error", "told"),
    [
        (
            "R",
            StaticPrior({"age": 1}),
            {},
            PriorMismatchError,
            "of the target 'target'",
        ),
        ("C", [5, 1], {}, PriorError, "got ndarray"),
        (
            "C",
            replace(SCORED, ranges={}),
            {},
            PriorMismatchError,
            "range of 'age', 'bmi', so",
        ),
        ("R", SCORED, {}, PriorMismatchError, "of the target 'ill'"),
        ("C", replace(PRIOR, base_rates={}), {}, PriorMismatchError, r"\['ill'\]"),
        ("C", PRIOR, {"classes": ["a", "b"]}, PriorMismatchError, "Name them alike"),
        ("C", PRIOR, {"gamma": 10.0}, ValueError, "train on rows"),
        ("C", PRIOR, {"solver": "adam"}, ValueError, "train on rows"),
        ("R", PRICED, {"classes": [0, 1]}, ValueError, "for a classifier"),
        ("C", {"age": 0}, {}, PriorError, "zero or missing"),
    ],
)
def test_what_is_missing_is_told(kind, prior, params, error, told):
    kinds = {"C": LLMAttributionClassifier, "R": LLMAttributionRegressor}
    with pytest.raises(error, match=told):
        kinds[kind].from_prior(prior, **params)
