"""Offline means offline: what needs no network opens no socket."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
from pytest_socket import disable_socket
from sklearn.base import clone
from sklearn.model_selection import cross_val_score

from llmreg import FeaturePrior, LLMAttributionClassifier, LLMAttributionRegressor
from llmreg.exceptions import (
    MissingPriorError,
    PriorUnavailableWarning,
    ProviderUnavailableError,
)
from llmreg.providers import AnthropicProvider

pytestmark = pytest.mark.usefixtures("key")


@pytest.fixture
def rows():
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"age": rng.normal(50, 9, 40), "fare": rng.normal(0, 1, 40)})
    return X, np.where(X["age"] > 50, "yes", "no")


@pytest.fixture
def blocked(monkeypatch):
    """Give a function after which any socket is an error, and restore it after."""
    import socket

    monkeypatch.setattr(socket, "socket", socket.socket)
    return disable_socket


@pytest.fixture
def provider(server):
    return AnthropicProvider(base_url=server.url, ask="all", n_estimates=2)


@pytest.mark.filterwarnings("ignore:A test tried to use socket:UserWarning")
def test_the_block_blocks(provider, task, blocked):
    blocked()
    provider.set_params(max_attempts=1)
    with pytest.raises(ProviderUnavailableError, match="SocketBlockedError"):
        provider.elicit(task)


@pytest.mark.parametrize("network", ["allow", "never"])
def test_a_cached_prior_needs_no_socket(
    server, provider, rows, blocked, monkeypatch, network
):
    X, y = rows
    LLMAttributionClassifier(provider, task="Who survives?").fit(X, y)
    assert len(server.requests) == 2
    monkeypatch.delenv("ANTHROPIC_API_KEY")
    blocked()
    model = LLMAttributionClassifier(
        clone(provider).set_params(network=network),
        task="Who survives?",
        random_state=0,
    )
    model.fit(X, y)
    assert model.prior_.usage["served_from_cache"] == 2
    model.predict(X)
    model.predict_proba(X)
    # The server's scores know nothing of these rows, so neither need the model.
    assert 0 <= model.score(X, y) <= 1
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
    assert np.isfinite(cross_val_score(model, X, y, cv=2)).all()
    assert len(server.requests) == 2


def test_a_card_needs_no_socket(server, provider, rows, blocked, tmp_path):
    X, _ = rows
    model = LLMAttributionRegressor(provider, target_name="fare", random_state=0).fit(
        X, X["fare"]
    )
    model.prior_.write(tmp_path / "prior.json")
    blocked()
    at_home = LLMAttributionRegressor(tmp_path / "prior.json", random_state=0).fit(
        X, X["fare"]
    )
    np.testing.assert_array_equal(at_home.predict(X), model.predict(X))


class TestNever:
    def test_a_missing_prior_says_how_to_bring_it(self, provider, rows, blocked):
        provider.set_params(network="never")
        blocked()
        with pytest.raises(MissingPriorError) as caught:
            LLMAttributionClassifier(provider, target_name="survival").fit(*rows)
        told = str(caught.value)
        for part in ("'survival' (2 features)", "llmreg elicit", "prior.json"):
            assert part in told
        assert "llmreg cache import" in told
        assert isinstance(pickle.loads(pickle.dumps(caught.value)), MissingPriorError)

    def test_part_of_a_prior_is_missing_too(self, server, provider, task):
        provider.elicit(task)
        provider.set_params(network="never", n_estimates=3)
        with pytest.raises(MissingPriorError):
            provider.elicit(task)
        with pytest.raises(MissingPriorError):
            provider.check_ready(task)
        assert len(server.requests) == 2

    def test_no_key_and_no_sdk_are_needed_to_be_told(self, provider, task, monkeypatch):
        monkeypatch.delenv("ANTHROPIC_API_KEY")
        monkeypatch.setitem(__import__("sys").modules, "anthropic", None)
        with pytest.raises(MissingPriorError):
            provider.set_params(network="never").elicit(task)

    def test_it_shapes_no_answer(self, provider):
        never = clone(provider).set_params(network="never")
        assert never.identity() == provider.identity()

    def test_another_word_is_refused(self, provider, task):
        with pytest.raises(ValueError, match="The 'network' parameter"):
            provider.set_params(network="sometimes").elicit(task)

    def test_together_with_no_prior_it_trains(self, provider, rows):
        model = LLMAttributionClassifier(
            provider.set_params(network="never"), on_error="no_prior"
        )
        with pytest.warns(PriorUnavailableWarning, match="llmreg elicit"):
            model.fit(*rows)
        assert isinstance(model.prior_, FeaturePrior)


def test_without_a_network_the_cost_is_a_guess_and_nothing_is_drafted(
    server, provider, task
):
    provider.set_params(network="never")
    assert provider.estimate_cost(task).counted_by == "a rough guess"
    assert provider.preview(task)
    with pytest.raises(MissingPriorError, match="network='never'"):
        provider.describe(task)
    assert server.requests == []
