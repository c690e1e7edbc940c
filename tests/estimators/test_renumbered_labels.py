"""A prior that names labels, where a meta-estimator numbers the classes."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import StackingClassifier, VotingClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_val_predict, cross_val_score
from sklearn.multiclass import OneVsRestClassifier

from llmreg import FeaturePrior, LLMAttributionClassifier
from llmreg.exceptions import PriorMismatchError

UP = {"a": 9, "b": 0}
DOWN = {"a": -9, "b": 0}


@pytest.fixture
def X():
    return pd.DataFrame(
        np.random.default_rng(3).normal(size=(12, 2)), columns=["a", "b"]
    )


def labels_of(X, small, large):
    """Give the larger label to rows where a is large."""
    return np.where(X.a > X.a.median(), large, small)


def proba_of(how, model, X, y):
    """Return the probability of the class that comes last."""
    if how == "cross_val_predict":
        return cross_val_predict(model, X, y, cv=3, method="predict_proba")[:, 1]
    meta = {
        "voting": VotingClassifier([("m", model)], voting="soft"),
        "stacking": StackingClassifier([("m", model)], cv=3),
        "calibrated": CalibratedClassifierCV(model, cv=3, ensemble=False),
        "calibrated ensemble": CalibratedClassifierCV(model, cv=3),
    }[how]
    return meta.fit(X, y).predict_proba(X)[:, 1]


META = ["cross_val_predict", "voting", "stacking", "calibrated", "calibrated ensemble"]
LABELS = [(0, 1), (1, 2), (-1, 1), (-1, 0), (7, 30), (False, True)]
LABELS += [("p", "q"), ("no", "yes"), ("-", "no"), ("1", "2"), ("False", "Maybe")]


@pytest.mark.parametrize("how", META)
@pytest.mark.parametrize("labels", LABELS)
def test_a_class_is_never_taken_for_the_other(how, labels, X):
    small, large = sorted(labels)
    y = labels_of(X, small, large)
    for prior in ({large: UP}, {small: DOWN}, {small: DOWN, large: UP}, UP):
        # Where gamma is learnt, a prior that is turned round may be trusted that way.
        model = LLMAttributionClassifier(prior, gamma=10.0)
        try:
            found = proba_of(how, model, X, y)
        except PriorMismatchError as error:
            assert "Give scores for every class by its number" in str(error)
            assert prior is not UP
        else:
            assert roc_auc_score(y == large, found) > 0.9


@pytest.mark.parametrize("how", META)
def test_all_classes_may_be_named_by_any_numbers(how, X):
    for small, large in ((0, 1), (1, 2), (-3, 0), (False, True)):
        prior = {large: UP, small: DOWN}
        y = labels_of(X, small, large)
        found = proba_of(how, LLMAttributionClassifier(prior), X, y)
        assert roc_auc_score(y == large, found) > 0.9


@pytest.mark.parametrize("how", META)
@pytest.mark.parametrize("labels", [(0, 1), (False, True)])
def test_a_prior_that_was_asked_for_goes_on(how, labels, X):
    """It names the last class, and so the number 1."""
    y = labels_of(X, *labels)
    prior = LLMAttributionClassifier({labels[1]: UP}).elicit_prior(X, y)
    found = proba_of(how, LLMAttributionClassifier(prior), X, y)
    assert roc_auc_score(y == labels[1], found) > 0.9


@pytest.mark.parametrize("hold", [np.array, list, pd.Series])
def test_own_numbers_are_known(hold, X):
    """Of a fit without a meta-estimator, and of what none of them hands over."""
    y = hold(labels_of(X, 0, 1).tolist())
    for prior in ({1: UP}, {0: DOWN}):
        model = LLMAttributionClassifier(prior)
        assert roc_auc_score(y, model.fit(X, y).predict_proba(X)[:, 1]) > 0.9
        if hold is not np.array:
            scores = cross_val_score(model, X, y, cv=2, scoring="roc_auc")
            assert scores.min() > 0.8


def test_names_of_other_labels_are_an_error_where_labels_are_numbers(X):
    y = labels_of(X, 0, 1)
    for prior in ({"q": UP}, {2: UP}, FeaturePrior.from_dict(UP, output="q")):
        with pytest.raises(PriorMismatchError, match="cannot be known which is which"):
            LLMAttributionClassifier(prior).fit(X, y)


def test_one_against_the_rest_is_not_mistaken(X):
    y = np.resize([0, 1, 2], len(X))
    for prior in ({0: UP, 1: DOWN, 2: UP}, {1: UP}):
        with pytest.raises(PriorMismatchError, match="cannot be known which is which"):
            OneVsRestClassifier(LLMAttributionClassifier(prior)).fit(X, y)


def test_three_classes_are_told_by_their_order(X):
    y = np.digitize(X.a, X.a.quantile([1 / 3, 2 / 3])) + 1
    prior = {3: UP, 1: DOWN, 2: dict.fromkeys(UP, 0)}
    model = LLMAttributionClassifier(prior)
    found = VotingClassifier([("m", model)], voting="soft").fit(X, y)
    expected = clone(model).fit(X, y).predict_proba(X)
    np.testing.assert_allclose(found.predict_proba(X), expected, atol=1e-6)
