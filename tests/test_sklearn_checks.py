"""scikit-learn's own checks: all of them, none expected to fail."""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from llmreg import LLMAttributionClassifier, LLMAttributionRegressor
from tests.fakes import FailingProvider, FakeProvider

# The checks train on data that have nothing to do with the scores, so gamma is
# small: they ask for accuracy too. Their arrays have no column names, and as many
# columns as they like: the array is one score for all of them.
PRIORS = [
    {"prior": None},
    {"prior": 5.0, "gamma": 0.1},
    {"prior": FakeProvider(requires_names=False), "gamma": 0.1},
    {"prior": FailingProvider(requires_names=False), "on_error": "no_prior"},
]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.filterwarnings("ignore::llmreg.exceptions.PriorDisabledWarning")
@pytest.mark.filterwarnings("ignore::llmreg.exceptions.PriorUnavailableWarning")
@parametrize_with_checks(
    [
        estimator(**prior, device="cpu")
        for estimator in (LLMAttributionClassifier, LLMAttributionRegressor)
        for prior in PRIORS
    ]
)
def test_scikit_learn_checks(estimator, check):
    check(estimator)
