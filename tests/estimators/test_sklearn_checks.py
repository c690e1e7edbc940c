"""scikit-learn's own checks: all of them, none expected to fail."""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from llmreg import LLMAttributionClassifier, LLMAttributionRegressor
from tests.fakes import FailingProvider, FakeProvider, SmallModule

# The checks train on data that have nothing to do with the scores, so a fixed gamma
# is small: they ask for accuracy too. "auto" has to find out by itself. Their arrays
# have no column names, and as many columns as they like: the array is one score for
# all of them. Hidden layers learn where trees do not.
CONFIGURATIONS = [
    {"prior": None},
    {"prior": 5.0, "gamma": 0.1},
    {"prior": FakeProvider(requires_names=False)},
    {"prior": FailingProvider(requires_names=False), "on_error": "no_prior"},
    {"prior": 5.0, "hidden_layer_sizes": (8,), "max_iter": 8, "trees": None},
    {"prior": 5.0, "module": SmallModule, "max_iter": 4},
]


def of_exposures(estimator):
    """Two checks take weights for repetitions: how counts scatter is told by rows.

    Of a row that is repeated they would scatter less than of one of twice the exposure.
    """
    is_count = getattr(estimator, "loss", "") == "poisson"
    kinds = ("dense", "sparse") if is_count and estimator.gamma == "auto" else ()
    reason = "weights of counts are exposures"
    name = "check_sample_weight_equivalence_on_{}_data"
    return {name.format(kind): reason for kind in kinds}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.filterwarnings("ignore::llmreg.exceptions.PriorDisabledWarning")
@pytest.mark.filterwarnings("ignore::llmreg.exceptions.PriorUnavailableWarning")
@parametrize_with_checks(
    [
        *(
            estimator(**configuration, device="cpu")
            for estimator in (LLMAttributionClassifier, LLMAttributionRegressor)
            for configuration in CONFIGURATIONS
        ),
        LLMAttributionRegressor(5.0, gamma=0.1, loss="poisson", device="cpu"),
        LLMAttributionRegressor(5.0, loss="poisson", device="cpu"),
    ],
    expected_failed_checks=of_exposures,
)
def test_scikit_learn_checks(estimator, check):
    check(estimator)
