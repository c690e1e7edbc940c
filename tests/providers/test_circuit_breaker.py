"""Outages: remembered for a while, in one process, for one provider and task."""

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
from llmreg.providers._circuit_breaker import MOST, Outages
from tests.vendors import ANTHROPIC


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def outages(clock):
    return Outages(seconds=60.0, clock=clock)


def fail(outages, provider, task, error=ProviderUnavailableError):
    """Try to ask; say whether anybody was asked."""
    asked = []
    with pytest.raises(error), outages.watch(provider, task):
        asked.append(provider)
        raise error("HTTP 529")
    return bool(asked)


def test_nobody_is_asked_until_it_is_over(outages, clock, task):
    provider = AnthropicProvider()
    assert fail(outages, provider, task)
    for _ in range(3):
        clock.now += 15
        assert not fail(outages, provider, task)
    clock.now += 15
    assert fail(outages, provider, task)
    # The new outage counts from its own beginning.
    clock.now += 59
    assert not fail(outages, provider, task)


def test_it_says_since_when_and_for_how_long(outages, clock, task):
    fail(outages, AnthropicProvider(), task)
    clock.now += 20
    told = r"HTTP 529 \(That was 20 s ago; nobody is asked again for 40 s\.\)"
    with (
        pytest.raises(ProviderUnavailableError, match=told),
        outages.watch(AnthropicProvider(), task),
    ):
        pass


def test_others_are_asked(outages, task):
    assert fail(outages, AnthropicProvider(), task)
    assert fail(outages, AnthropicProvider("another"), task)
    assert fail(outages, AnthropicProvider(), replace(task, target="drowned"))


@pytest.mark.parametrize("change", [{"timeout": 900.0}, {"max_attempts": 9}])
@pytest.mark.parametrize(
    "wrap", [lambda p: p, CachedProvider, lambda p: EnsembleProvider([p])]
)
def test_who_may_try_for_longer_is_asked(outages, task, wrap, change):
    assert fail(outages, wrap(AnthropicProvider()), task)
    assert not fail(outages, wrap(AnthropicProvider()), task)
    assert fail(outages, wrap(AnthropicProvider(**change)), task)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda p: p,
        CachedProvider,
        lambda p: EnsembleProvider([p, StaticPrior({"age": 1})]),
    ],
)
def test_what_has_come_into_the_cache_is_taken(outages, task, server, key, wrap):
    provider = ANTHROPIC.provider(server)
    assert fail(outages, wrap(provider), task)
    assert not fail(outages, wrap(provider), task)
    provider.elicit(task)
    with outages.watch(wrap(provider), task):
        pass


def test_a_wait_for_another_process_is_not_remembered(outages, task):
    for _ in range(2):
        assert fail(outages, AnthropicProvider(), task, PriorLockedError)


def test_what_works_leaves_nothing_behind(outages, task):
    for _ in range(2):
        with outages.watch(AnthropicProvider(), task):
            pass


def test_other_errors_are_not_remembered(outages, task):
    for _ in range(2):
        assert fail(outages, AnthropicProvider(), task, MissingKeyError)


def test_a_provider_that_cannot_be_told_from_others_is_always_asked(outages, task):
    class Own(PriorProvider):
        def __init__(self, ask=None):
            self.ask = ask

    for _ in range(2):
        assert fail(outages, Own(lambda: 1), task)


def test_the_memory_is_bounded(outages, task):
    for number in range(MOST + 1):
        fail(outages, AnthropicProvider(), replace(task, target=f"y{number}"))
    assert fail(outages, AnthropicProvider(), replace(task, target="y0"))
    assert not fail(outages, AnthropicProvider(), replace(task, target="y2"))
    outages.forget()
    assert fail(outages, AnthropicProvider(), replace(task, target="y2"))
