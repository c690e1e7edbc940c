"""What an estimator does when its provider fails."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from llmreg import LLMAttributionClassifier, LLMAttributionRegressor
from llmreg.exceptions import (
    IncompleteReplyError,
    PriorError,
    PriorMismatchError,
    PriorUnavailableWarning,
    ProviderUnavailableError,
)
from tests.fakes import FailingProvider, FakeProvider, ForgetfulProvider


class Wild(FakeProvider):
    def elicit(self, task):
        return dict.fromkeys(task.keys, 99)


class Buggy(FakeProvider):
    def elicit(self, task):
        raise NameError("oops")


def no_prior(prior, **settings):
    return LLMAttributionClassifier(
        prior, on_error="no_prior", random_state=0, **settings
    )


def test_raising_is_the_default(table, illness):
    with pytest.raises(ProviderUnavailableError, match="HTTP 529"):
        LLMAttributionClassifier(FailingProvider()).fit(table, illness)


@pytest.mark.parametrize("hidden", [(), (4,)])
def test_no_prior_trains_as_gamma_0_does(table, illness, hidden):
    settings = {"hidden_layer_sizes": hidden, "random_state": 0}
    model = no_prior(FailingProvider(), hidden_layer_sizes=hidden)
    with pytest.warns(PriorUnavailableWarning, match=r"FailingProvider .* HTTP 529"):
        model.fit(table, illness)
    plain = LLMAttributionClassifier(gamma=0, **settings).fit(table, illness)
    np.testing.assert_array_equal(
        model.decision_function(table), plain.decision_function(table)
    )


def test_the_fitted_model_says_so(table, stage):
    model = no_prior(FailingProvider(), task="Which stage?", target_name="stage")
    with pytest.warns(PriorUnavailableWarning):
        model.fit(table, stage)
    prior = model.prior_
    assert np.isnan(prior.scores).all()
    assert prior.features == tuple(model.encoder_.get_feature_names_out())
    assert prior.outputs == ("early", "late", "middle")
    assert (prior.task, prior.target) == ("Which stage?", "stage")
    assert prior.provenance["provider"] == "tests.fakes.FailingProvider"
    assert prior.provenance["error"].startswith("ProviderUnavailableError: The prov")
    assert "not elicited (ProviderUnavailableError)" in repr(prior)
    assert model.alignment_.shape == (3,)
    assert np.isnan(model.alignment_).all()
    assert model.attributions_.shape == prior.scores.shape
    again = pickle.loads(pickle.dumps(model))
    assert again.prior_.provenance == prior.provenance


def test_the_next_fit_asks_again(table, illness):
    model = no_prior(FailingProvider(), gamma=1.0)
    with pytest.warns(PriorUnavailableWarning):
        model.fit(table, illness)
    model.set_params(prior=FakeProvider()).fit(table, illness)
    assert "error" not in model.prior_.provenance
    assert np.isfinite(model.prior_.scores).all()


def test_a_search_waits_for_a_dead_provider_once(table, illness):
    table = table[["age", "smoker"]]  # the same question in every fold
    FailingProvider.n_calls = 0
    search = GridSearchCV(no_prior(FailingProvider()), {"alpha": [0.1, 1, 10]}, cv=2)
    with pytest.warns(PriorUnavailableWarning, match=r"HTTP 529"):
        search.fit(table, illness)
    assert FailingProvider.n_calls == 1
    told = search.best_estimator_.prior_.provenance["error"]
    assert told.startswith("ProviderUnavailableError: The provider failed 8 times")
    assert "is not asked again for" in told
    # Whoever wants the error gets it from the provider itself.
    with pytest.raises(ProviderUnavailableError, match=r"529\.$"):
        no_prior(FailingProvider()).set_params(on_error="raise").fit(table, illness)
    assert FailingProvider.n_calls == 2


@pytest.mark.parametrize("provider", [ForgetfulProvider(), Wild()])
def test_a_reply_that_is_no_prior_is_a_failure(table, illness, provider):
    with pytest.raises((IncompleteReplyError, PriorError)):
        clone(no_prior(provider)).set_params(on_error="raise").fit(table, illness)
    with pytest.warns(PriorUnavailableWarning):
        no_prior(provider).fit(table, illness)


def test_a_bug_is_no_failure_of_the_provider(table, illness):
    with pytest.raises(NameError, match="oops"):
        no_prior(Buggy()).fit(table, illness)


def test_scores_at_hand_that_do_not_fit_are_an_error_either_way(table, illness):
    with pytest.raises(PriorMismatchError):
        no_prior({"shoe_size": 3}).fit(table, illness)


def test_regression_with_several_targets(table, risk):
    model = LLMAttributionRegressor(
        FailingProvider(), on_error="no_prior", random_state=0
    )
    targets = np.column_stack([risk, -risk])
    with pytest.warns(PriorUnavailableWarning):
        model.fit(table, targets)
    plain = LLMAttributionRegressor(random_state=0).fit(table, targets)
    np.testing.assert_array_equal(model.predict(table), plain.predict(table))


def test_a_second_piece_goes_on_without(table, illness):
    model = no_prior(FailingProvider(), solver="adam")
    with pytest.warns(PriorUnavailableWarning):
        model.partial_fit(table, illness)
    model.partial_fit(table, illness)
    assert np.isnan(model.prior_.scores).all()


def test_another_word_is_refused(table, illness):
    with pytest.raises(ValueError, match="'on_error' parameter"):
        LLMAttributionClassifier(on_error="ignore").fit(table, illness)
