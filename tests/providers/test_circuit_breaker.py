"""The circuit breaker: failures are remembered for one provider, task and process."""

from __future__ import annotations

from dataclasses import replace

import pytest

from llmreg.exceptions import (
    MissingKeyError,
    PriorLockedError,
    ProviderUnavailableError,
)
from llmreg.providers import (
    AnthropicProvider,
    CachedProvider,
    EnsembleProvider,
    PriorProvider,
    StaticPrior,
)
from llmreg.providers._base import MAX_FAILURES, CircuitBreaker
from tests.vendors import ANTHROPIC


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def breaker(clock):
    return CircuitBreaker(seconds=60.0, clock=clock)


def fail(breaker, provider, task, error=ProviderUnavailableError):
    """Try to ask; say whether anybody was asked."""
    asked = []
    with pytest.raises(error), breaker.watch(provider, task):
        asked.append(provider)
        raise error("HTTP 529")
    return bool(asked)


def test_nobody_is_asked_until_it_is_over(breaker, clock, task):
    provider = AnthropicProvider()
    assert fail(breaker, provider, task)
    for _ in range(3):
        clock.now += 15
        assert not fail(breaker, provider, task)
    clock.now += 15
    assert fail(breaker, provider, task)
    # The new outage counts from its own beginning.
    clock.now += 59
    assert not fail(breaker, provider, task)


def test_it_says_since_when_and_for_how_long(breaker, clock, task):
    fail(breaker, AnthropicProvider(), task)
    clock.now += 20
    told = r"HTTP 529 \(This was 20 s ago; the provider is not asked again for 40 s\.\)"
    with (
        pytest.raises(ProviderUnavailableError, match=told),
        breaker.watch(AnthropicProvider(), task),
    ):
        pass


def test_others_are_asked(breaker, task):
    assert fail(breaker, AnthropicProvider(), task)
    assert fail(breaker, AnthropicProvider("another"), task)
    assert fail(breaker, AnthropicProvider(), replace(task, target="drowned"))


@pytest.mark.parametrize("change", [{"timeout": 900.0}, {"max_attempts": 9}])
@pytest.mark.parametrize(
    "wrap", [lambda p: p, CachedProvider, lambda p: EnsembleProvider([p])]
)
def test_who_may_try_for_longer_is_asked(breaker, task, wrap, change):
    assert fail(breaker, wrap(AnthropicProvider()), task)
    assert not fail(breaker, wrap(AnthropicProvider()), task)
    assert fail(breaker, wrap(AnthropicProvider(**change)), task)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda p: p,
        CachedProvider,
        lambda p: EnsembleProvider([p, StaticPrior({"age": 1})]),
    ],
)
def test_what_has_come_into_the_cache_is_taken(breaker, task, server, key, wrap):
    provider = ANTHROPIC.provider(server)
    assert fail(breaker, wrap(provider), task)
    assert not fail(breaker, wrap(provider), task)
    provider.elicit(task)
    with breaker.watch(wrap(provider), task):
        pass


def test_a_wait_for_another_process_is_not_remembered(breaker, task):
    for _ in range(2):
        assert fail(breaker, AnthropicProvider(), task, PriorLockedError)


def test_what_works_leaves_nothing_behind(breaker, task):
    for _ in range(2):
        with breaker.watch(AnthropicProvider(), task):
            pass


def test_other_errors_are_not_remembered(breaker, task):
    for _ in range(2):
        assert fail(breaker, AnthropicProvider(), task, MissingKeyError)


def test_a_provider_that_cannot_be_told_from_others_is_always_asked(breaker, task):
    class Own(PriorProvider):
        def __init__(self, ask=None):
            self.ask = ask

    for _ in range(2):
        assert fail(breaker, Own(lambda: 1), task)


def test_the_memory_is_bounded(breaker, task):
    for number in range(MAX_FAILURES + 1):
        fail(breaker, AnthropicProvider(), replace(task, target=f"y{number}"))
    assert fail(breaker, AnthropicProvider(), replace(task, target="y0"))
    assert not fail(breaker, AnthropicProvider(), replace(task, target="y2"))
    breaker.reset()
    assert fail(breaker, AnthropicProvider(), replace(task, target="y2"))
