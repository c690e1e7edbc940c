"""What leaves the machine when an estimator is fitted: no row, statistic or label."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from llmreg import LLMAttributionClassifier, LLMAttributionRegressor
from llmreg.elicitation._cost import CHARACTERS_PER_TOKEN
from llmreg.exceptions import ProviderError
from llmreg.providers import (
    AnthropicProvider,
    CachedProvider,
    EnsembleProvider,
    StaticPrior,
)
from tests.elicitation.test_prompt import ATTACKS
from tests.fakes import FakeProvider
from tests.loopback import MessagesServer, Reply, answer
from tests.vendors import PLANTED_KEY, VENDORS

pytestmark = [
    pytest.mark.usefixtures("key"),
    # The typical ranges of the fake answer are no real ones.
    pytest.mark.filterwarnings("ignore::llmreg.exceptions.PriorUnitsWarning"),
]

N_ROWS = 37


def make_table(seed):
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "age": rng.uniform(18.123, 80.456, N_ROWS),
            "income": rng.integers(10_000, 99_999, N_ROWS),
            "sex": ["female", "male"] * (N_ROWS // 2) + ["male"],
        }
    )


def make_labels(seed):
    labels = ["ill", "well"] * (N_ROWS // 2) + ["well"]
    return np.random.default_rng(seed).permutation(labels)


@pytest.fixture
def provider(server):
    return AnthropicProvider(base_url=server.url, n_estimates=1, max_attempts=1)


def fit(provider, X, y, **parameters):
    model = LLMAttributionClassifier(
        provider,
        task="Tell who falls ill.",
        target_name="status",
        on_unit_mismatch="keep",
        random_state=0,
        **parameters,
    )
    return model.fit(X, y)


def test_other_rows_and_labels_give_the_same_request(server, provider):
    fit(provider, make_table(0), make_labels(0))
    fit(provider, make_table(1), make_labels(1)[::-1])
    fit(provider, make_table(2)[:20], make_labels(2)[:20])
    # The answer to the first question was found under the key of all of them.
    assert len(server.requests) == 1


@pytest.mark.parametrize("ask", ["all", "curves", "each"])
def test_no_value_statistic_or_label_of_the_data_is_sent(server, provider, ask):
    X, y = make_table(0), make_labels(0)
    fit(provider.set_params(ask=ask), X, y)
    told = "".join(json.dumps(r.questionnaire) for r in server.requests)
    numbers = X[["age", "income"]]
    planted = [
        *numbers.to_numpy().ravel(),
        *numbers.describe().to_numpy().ravel(),
        *numbers.sum(),
        (y == "ill").mean(),
        (X["sex"] == "male").sum(),
        N_ROWS,
    ]
    for value in planted:
        assert f"{value:.6g}"[:6] not in told
    # The classes have names, in their order; which row has which is nowhere.
    for request in server.requests:
        asked = request.questionnaire
        assert asked["classes"] == ["ill", "well"]
        assert set(asked) <= {
            *("task", "kind", "target", "classes", "outputs", "columns", "features")
        }


def test_no_value_of_a_regression_target_is_sent(server, provider):
    X = make_table(0)
    y = np.random.default_rng(3).uniform(1000.5, 2000.5, N_ROWS)
    LLMAttributionRegressor(provider, target_name="cost").fit(X, y)
    (request,) = server.requests
    assert "classes" not in request.questionnaire
    for value in (*y, y.mean(), y.std(), y.min(), y.max()):
        assert f"{value:.6g}"[:6].encode() not in request.raw


def test_level_names_stay_if_told_to(server, provider):
    model = fit(provider.set_params(send_levels=False), make_table(0), make_labels(0))
    assert b"male" not in server.requests[0].raw
    assert np.isnan(model.prior_.scores).tolist() == [[False, False, True, True]]
    assert model.predict(make_table(1)).shape == (N_ROWS,)


def test_level_names_are_sent_by_default(server, provider):
    fit(provider, make_table(0), make_labels(0))
    levels = [f.get("level") for f in server.requests[0].questionnaire["features"]]
    assert levels == [None, None, "female", "male"]


def test_units_and_descriptions_are_sent(server, provider):
    told = {"age": {"description": "at admission", "unit": "years"}, "income": "gross"}
    fit(provider, make_table(0), make_labels(0), feature_descriptions=told)
    age, income = server.requests[0].questionnaire["features"][:2]
    assert (age["description"], age["unit"]) == ("at admission", "years")
    assert (income["description"], "unit" in income) == ("gross", False)


@pytest.mark.parametrize("attack", [a for a in ATTACKS if a])
def test_a_hostile_header_spoils_its_own_score_at_most(server, provider, attack):
    def fooled(request):
        """Give 10 to the feature that asks for it."""
        return answer(request, lambda f, o: 10 if f["id"] == "f1" else 2)

    server.respond = fooled
    X = make_table(0)
    # As objects: strings of Arrow's cannot hold half a character.
    X.columns = pd.Index([attack, *X.columns[1:]], dtype=object)
    prior = fit(provider, X, make_labels(0)).prior_
    assert prior.scores.tolist() == [[10, 2, 2, 2]]
    assert prior.features[0] == attack
    (request,) = server.requests
    assert request.path == "/v1/messages"
    assert {name.lower() for name in request.headers} & {"x-api-key"} == set()
    assert [f["name"] for f in request.questionnaire["features"]][1:] == [
        *("income", "sex", "sex")
    ]


def test_the_preview_of_an_estimator_is_what_it_sends(server, provider):
    X, y = make_table(0), make_labels(0)
    model = LLMAttributionClassifier(provider, task="Tell who falls ill.")
    (shown,) = model.preview_prompt(X, y)
    assert not hasattr(model, "prior_")
    assert server.requests == []
    model.fit(X, y)
    (request,) = server.requests
    assert request.body == shown["body"]
    assert model.preview_prompt(X, y) == []


@pytest.mark.parametrize("kind", [LLMAttributionClassifier, LLMAttributionRegressor])
@pytest.mark.parametrize(
    "wrap",
    [lambda p: p, CachedProvider, lambda p: EnsembleProvider([p, StaticPrior({})])],
)
def test_what_a_fit_would_cost_is_told_without_a_request(server, provider, kind, wrap):
    X, y = make_table(0), np.arange(N_ROWS) % 2 * 1.5
    y = make_labels(0) if kind is LLMAttributionClassifier else y
    model = kind(wrap(provider.set_params(n_estimates=3)), task="Tell who falls ill.")
    (shown,) = model.preview_prompt(X, y)
    cost = model.estimate_cost(X, y)
    schema = json.dumps(shown["body"]["output_config"]["format"]["schema"])
    sent = shown["body"]["system"] + shown["body"]["messages"][0]["content"] + schema
    assert cost.input_tokens == 3 * round(len(sent) / CHARACTERS_PER_TOKEN)
    # Two columns with curves and two levels.
    assert cost.output_tokens == 3 * (4 * 58 + 2 * 60)
    assert (cost.requests, cost.counted_by) == (3, "a rough guess")
    assert server.requests == [] and not hasattr(model, "encoder_")
    assert provider.network == "allow"


def test_what_is_in_a_cache_costs_nothing(server, provider):
    X, y = make_table(0), make_labels(0)
    for prior in provider, CachedProvider(provider), "anthropic":
        model = LLMAttributionClassifier(prior, on_unit_mismatch="keep")
        if prior == "anthropic":
            assert model.estimate_cost(X, y).requests == 2
            continue
        model.fit(X, y)
        assert str(model.estimate_cost(X, y)) == "no request: nothing would be sent"


def test_nothing_is_previewed_where_nobody_is_asked(provider):
    X, y = make_table(0), make_labels(0)
    for model in (
        LLMAttributionClassifier({"age": 1}),
        LLMAttributionClassifier(provider, gamma=0),
        LLMAttributionClassifier(None),
    ):
        assert model.preview_prompt(X, y) == []
        assert str(model.estimate_cost(X, y)) == "no request: nothing would be sent"


def test_the_preview_sees_through_a_cache(server, provider):
    X, y = make_table(0), make_labels(0)
    model = LLMAttributionClassifier(CachedProvider(provider))
    (shown,) = model.preview_prompt(X, y)
    model.fit(X, y)
    assert server.requests[0].body == shown["body"]
    assert model.preview_prompt(X, y) == []


@pytest.mark.parametrize("wrap", [lambda p: p, CachedProvider])
def test_a_provider_that_cannot_show_what_it_sends_is_named(wrap):
    model = LLMAttributionClassifier(wrap(FakeProvider()))
    with pytest.raises(ProviderError, match="FakeProvider has no method preview"):
        model.preview_prompt(make_table(0), make_labels(0))
    with pytest.raises(ProviderError, match="FakeProvider has no method estimate_cost"):
        model.estimate_cost(make_table(0), make_labels(0))


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("vendor", VENDORS, ids=repr)
def test_no_other_address_is_told_anything(vendor, server, task, status):
    with MessagesServer(vendor.answer) as other:
        headers = {"location": f"{other.url}/{PLANTED_KEY}"}
        server.respond = lambda request: Reply("", status, headers)
        with pytest.raises(ProviderError, match="points to another address") as caught:
            vendor.provider(server).elicit(task)
        assert not other.requests
    assert len(server.requests) == 1
    assert other.url in str(caught.value)
    assert PLANTED_KEY not in str(caught.value)
