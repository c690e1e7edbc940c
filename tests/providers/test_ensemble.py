from __future__ import annotations

import json
import pickle
import threading

import numpy as np
import pytest
from sklearn.base import clone

from llmreg.elicitation._cost import Cost
from llmreg.exceptions import (
    MissingKeyError,
    PriorDisagreementWarning,
    PriorError,
    PriorUnavailableWarning,
    ProviderError,
    ProviderResponseError,
)
from llmreg.prior._feature_prior import FeaturePrior
from llmreg.providers import (
    CachedProvider,
    EnsembleProvider,
    PriorProvider,
    StaticPrior,
)
from llmreg.providers._resolve import needs_names, prior_source, resolve
from tests.loopback import MessagesServer
from tests.vendors import ANTHROPIC, OPENAI

ASKED: list[str] = []


class Member(PriorProvider):
    """Answers with scores that are given, and says what it took."""

    def __init__(self, scores, estimates=None, reason="", model="m", error=None):
        self.scores = scores
        self.estimates = estimates
        self.reason = reason
        self.model = model
        self.error = error

    def check_ready(self, task=None):
        if self.error == "no key":
            raise MissingKeyError("no key")

    def elicit(self, task):
        ASKED.append(self.model)
        if self.error is not None:
            raise ProviderError(self.error)
        meta = {
            "usage": {"requests": 2, "input_tokens": 10},
            "provenance": {"model": self.model},
            "rationale": dict.fromkeys(self.scores, self.reason),
        }
        if self.estimates is not None:
            return FeaturePrior.from_estimates(self.estimates, **meta)
        return FeaturePrior.from_dict(self.scores, **meta)


def scores(age, sex=1, fare=0):
    return {"age": age, "sex=female": sex, "fare": fare}


@pytest.fixture(autouse=True)
def nothing_asked():
    ASKED.clear()


def test_scores_are_averaged_by_name(task):
    backwards = dict(reversed(scores(-6, 9, 3).items()))
    prior = EnsembleProvider([Member(scores(-2)), Member(backwards)]).elicit(task)
    assert prior.features == task.keys
    assert prior.outputs == task.outputs
    assert prior.scores.tolist() == [[-4, 5, 1.5]]


def test_estimates_are_stacked_and_each_member_counts_the_same(task):
    many = Member(scores(4), estimates=[scores(2), scores(4), scores(6)])
    prior = EnsembleProvider([many, Member(scores(8))]).elicit(task)
    assert prior.scores[0, 0] == 6
    assert prior.estimates[:, 0, 0].tolist() == [2, 4, 6, 8]
    np.testing.assert_allclose(prior.spread[0, 0], np.std([2, 4, 6, 8]))


def test_usage_is_summed(task):
    prior = EnsembleProvider([Member(scores(1)), Member(scores(1))]).elicit(task)
    assert prior.usage == {"requests": 4, "input_tokens": 20}


def test_a_feature_that_a_member_leaves_out(task):
    some = Member({"age": 4, "fare": 2})
    prior = EnsembleProvider([some, Member(scores(2, 7))]).elicit(task)
    assert prior.scores.tolist() == [[3, 7, 1]]
    nobody = EnsembleProvider([some, some]).elicit(task)
    assert np.isnan(nobody.scores[0, 1])


def test_scores_for_the_other_class_are_negated(task):
    other = StaticPrior({"no": scores(5)})
    prior = EnsembleProvider([other, StaticPrior(scores(-3))]).elicit(task)
    assert prior.scores[0, 0] == -4


def test_a_member_may_be_anything_with_elicit(task):
    class Mine:
        def elicit(self, task):
            return dict.fromkeys(task.keys, 2)

    assert EnsembleProvider([Mine()]).elicit(task).scores.tolist() == [[2, 2, 2]]


def test_disagreement_is_warned_of_and_recorded(task):
    members = [Member(scores(6, 2, 1), model="a"), Member(scores(-6, 4, -1), model="b")]
    with pytest.warns(PriorDisagreementWarning, match=r"2 members .* \('age',\)"):
        prior = EnsembleProvider(members).elicit(task)
    assert json.loads(prior.provenance["disputed"]) == ["age"]
    assert float(prior.provenance["disagreement"]) == pytest.approx(8 / 3, abs=0.01)
    named = json.loads(prior.provenance["members"])
    assert [name.split()[-1] for name in named] == ["(a)", "(b)"]
    assert prior.provenance["model"] == "a, b"
    assert FeaturePrior.from_json(prior.to_json()).provenance == prior.provenance


def test_members_without_an_opinion_hide_no_disagreement(task):
    told = [{"age": 6, "fare": 1}, {"age": -6, "fare": 2}, {"fare": 1}, {"fare": 3}]
    provider = EnsembleProvider([StaticPrior(scores) for scores in told])
    with pytest.warns(PriorDisagreementWarning, match=r"4 members .* \('age',\)"):
        assert provider.elicit(task).scores[0, 0] == 0


def test_members_that_agree_are_not_warned_of(task):
    prior = EnsembleProvider([Member(scores(5)), Member(scores(7))]).elicit(task)
    assert prior.provenance["disputed"] == "[]"


def test_the_reason_comes_from_the_member_nearest_to_the_average(task):
    members = [
        Member(scores(-9), reason="far"),
        Member(scores(-2), reason="near"),
        Member(scores(-1)),
    ]
    assert EnsembleProvider(members).elicit(task).rationale["age"] == "near"


def test_members_are_asked_side_by_side(task):
    meeting = threading.Barrier(3, timeout=20)

    class Meeting:
        def elicit(self, task):
            meeting.wait()
            return dict.fromkeys(task.keys, 1)

    EnsembleProvider([Meeting() for _ in range(3)]).elicit(task)


def test_an_error_is_raised_once_all_have_ended(task):
    members = [Member(scores(1), error="gone"), Member(scores(1), model="other")]
    with pytest.raises(ProviderError, match="gone"):
        EnsembleProvider(members).elicit(task)
    assert sorted(ASKED) == ["m", "other"]


def test_nobody_is_asked_unless_all_are_ready(task):
    members = [Member(scores(1)), Member(scores(1), error="no key")]
    with pytest.raises(MissingKeyError):
        resolve(EnsembleProvider(members), task)
    assert ASKED == []


@pytest.mark.parametrize(
    "providers", [[], "anthropic", None, [StaticPrior], [3], {"a": 1}]
)
def test_what_cannot_be_asked_is_refused(task, providers):
    with pytest.raises(PriorError, match="providers must"):
        EnsembleProvider(providers).elicit(task)


def test_a_member_that_answers_something_else(task):
    class Chatty:
        def elicit(self, task):
            return "I think that age matters most."

    with pytest.raises(ProviderResponseError, match=r"Chatty.elicit must .* got str"):
        EnsembleProvider([Chatty()]).elicit(task)


def test_names_are_needed_if_any_member_needs_them():
    assert not needs_names(prior_source(EnsembleProvider([StaticPrior({})])))
    assert needs_names(EnsembleProvider([StaticPrior({}), Member({})]))


def test_members_may_be_named(task):
    with pytest.raises(MissingKeyError, match="ANTHROPIC_API_KEY"):
        EnsembleProvider([StaticPrior(scores(1)), "anthropic"]).check_ready(task)
    with pytest.raises(PriorError, match=r"no provider 'antropic'.*Did you mean"):
        EnsembleProvider(["antropic"]).elicit(task)


def test_clone_pickle_and_cache(task):
    ensemble = EnsembleProvider([Member(scores(1)), Member(scores(3))])
    copies = [clone(ensemble), pickle.loads(pickle.dumps(ensemble))]
    for copy in copies:
        assert CachedProvider(copy).elicit(task).scores[0, 0] == 2
    assert len(ASKED) == 2
    other = EnsembleProvider([Member(scores(1)), Member(scores(5))])
    assert CachedProvider(other).elicit(task).scores[0, 0] == 3


def test_two_vendors_are_asked_once_each(task, monkeypatch):
    servers = [MessagesServer(vendor.answer) for vendor in (ANTHROPIC, OPENAI)]
    with servers[0], servers[1]:
        members = [
            vendor.provider(server, n_estimates=2, api_key=lambda: "a-key")
            for vendor, server in zip((ANTHROPIC, OPENAI), servers, strict=True)
        ]
        prior = EnsembleProvider(members).elicit(task)
        again = EnsembleProvider(members).elicit(task)
    assert [len(server.requests) for server in servers] == [2, 2]
    assert prior.usage["requests"] == 4
    assert prior.usage["output_tokens"] == 80
    assert again.usage["served_from_cache"] == 4
    assert prior.estimates.shape == (4, 1, 3)


def test_the_preview_is_that_of_the_members(task, key):
    alike = ANTHROPIC.kind(n_estimates=3), StaticPrior({"age": 1}), OPENAI.kind()
    shown = EnsembleProvider(list(alike)).preview(task)
    assert [request["times"] for request in shown] == [3, 2]
    with pytest.raises(ProviderError, match="Member has no method preview"):
        EnsembleProvider([Member({})]).preview(task)


class Priced(Member):
    def estimate_cost(self, task):
        return Cost(2, 700, 50, 900, "the vendor", usd=0.25)


class TestWithoutOneOfThem:
    def test_it_goes_on_if_it_is_told_to(self, task):
        dead = Member({}, model="dead", error="HTTP 529")
        alive = [Member(scores(4), model="a"), Member(scores(2), model="b")]
        provider = EnsembleProvider([dead, *alive], on_error="others")
        provider.check_ready(task)
        with pytest.warns(PriorUnavailableWarning, match=r"1 of 3 .*dead.*HTTP 529"):
            prior = provider.elicit(task)
        assert prior.scores[0, 0] == 3
        assert len(json.loads(prior.provenance["members"])) == 2
        ((who, why),) = json.loads(prior.provenance["failed"]).items()
        assert "(dead)" in who and why == "ProviderError: HTTP 529"
        # Nothing of the failure stays: the next time it may answer.
        dead.error, dead.scores = None, scores(0)
        whole = provider.elicit(task)
        assert whole.scores[0, 0] == 2 and "failed" not in whole.provenance

    def test_what_an_inner_ensemble_lacks_is_told(self, task):
        dead = Member({}, model="dead", error="HTTP 529")
        inner = EnsembleProvider([dead, Member(scores(4))], on_error="others")
        outer = EnsembleProvider([inner, Member(scores(2))])
        with pytest.warns(PriorUnavailableWarning, match="HTTP 529"):
            prior = outer.elicit(task)
        ((who, why),) = json.loads(prior.provenance["failed"]).items()
        assert "EnsembleProvider" in who and "HTTP 529" in why

    def test_an_answer_that_is_no_prior_is_a_failure_too(self, task):
        class Lost(Member):
            def elicit(self, task):
                return "ten"

        members = [Lost({}, model="lost"), Member(scores(4))]
        provider = EnsembleProvider(members, on_error="others")
        with pytest.warns(PriorUnavailableWarning, match="lost"):
            assert provider.elicit(task).scores[0, 0] == 4

    def test_a_bug_is_no_failure(self, task):
        class Buggy(Member):
            def elicit(self, task):
                raise NameError("oops")

        with pytest.raises(NameError, match="oops"):
            EnsembleProvider([Member(scores(1)), Buggy({})], on_error="others").elicit(
                task
            )

    def test_without_any_answer_it_is_an_error(self, task):
        members = [Member({}, model=m, error=f"HTTP 50{m}") for m in "12"]
        with pytest.raises(ProviderError, match="HTTP 501"):
            EnsembleProvider(members, on_error="others").elicit(task)

    def test_one_that_is_ready_is_enough(self, task):
        members = [Member({}, error="no key"), Member(scores(1))]
        EnsembleProvider(members, on_error="others").check_ready(task)
        with pytest.raises(MissingKeyError):
            EnsembleProvider(members[:1], on_error="others").check_ready(task)

    def test_two_of_one_kind_are_told_apart(self, task):
        dead = [Member({}, error="one"), Member({}, error="two")]
        provider = EnsembleProvider([*dead, Member(scores(1))], on_error="others")
        with pytest.warns(PriorUnavailableWarning):
            failed = json.loads(provider.elicit(task).provenance["failed"])
        assert list(failed.values()) == ["ProviderError: one", "ProviderError: two"]

    def test_a_wrong_word_is_refused(self, task):
        with pytest.raises(PriorError, match="on_error"):
            EnsembleProvider([Member(scores(1))], on_error="ignore").elicit(task)


class TestCost:
    def test_the_sum_of_those_that_are_asked(self, task):
        members = [Priced({}), StaticPrior(scores(1)), Priced({})]
        cost = EnsembleProvider(members).estimate_cost(task)
        assert cost == Cost(4, 1400, 100, 1800, "the vendor", usd=0.5)

    def test_scores_at_hand_cost_nothing(self, task):
        cost = EnsembleProvider([StaticPrior(scores(1))]).estimate_cost(task)
        assert (cost.requests, cost.usd) == (0, 0)

    def test_a_member_that_cannot_tell(self, task):
        with pytest.raises(ProviderError, match="no method estimate_cost"):
            EnsembleProvider([Member(scores(1))]).estimate_cost(task)


def test_members_of_other_units_leave_the_direction(task):
    """Thousands of one member are ones of another: the curves have no average."""
    curves = [[(20, -4), (150, 4)], [(20_000, -2), (150_000, 6)], 3]
    members = [StaticPrior({"age": curve, "sex=female": 1}) for curve in curves]
    provider = EnsembleProvider(members)
    with pytest.warns(PriorDisagreementWarning, match="members .* speak of 'age' in"):
        prior = provider.elicit(task)
    assert not prior.curves
    np.testing.assert_allclose(prior.scores[0, :2], [(4 + 4 + 3) / 3, 1])
    provider.set_params(providers=members[::2])
    np.testing.assert_allclose(
        provider.elicit(task).curves["age"].effects, [[-3.5, 3.5]]
    )
