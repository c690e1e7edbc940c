"""`timeout` is for a whole elicitation, and an interrupt ends one at once."""

from __future__ import annotations

import os
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from llmreg.elicitation._retry import RetryPolicy
from llmreg.elicitation._sampling import Requester
from llmreg.exceptions import ProviderUnavailableError
from llmreg.providers import EnsembleProvider, PriorCache, StaticPrior
from tests.elicitation.test_retry import LONG, interrupt, release
from tests.providers.test_base import Scripted
from tests.vendors import VENDORS

__all__ = ["release"]

pytestmark = pytest.mark.usefixtures("interruptible")


@pytest.fixture(params=VENDORS, ids=repr)
def vendor(request):
    return request.param


@dataclass
class Timed(Scripted):
    """Every request takes half a minute, on a clock of its own."""

    script: list
    n_estimates: int | str = 1
    cache: object = None
    timeout: float = 100.0
    now: list = field(default_factory=lambda: [0.0])
    model = "m"
    max_tokens = None
    max_parallel = max_attempts = 1

    def _policy(self):
        return RetryPolicy(1, self.timeout, clock=lambda: self.now[0])

    def _complete(self, client, request):
        self.now[0] += 30.0
        return super()._complete(client, request)


def test_all_rounds_share_the_time(task, tmp_path):
    provider = Timed([10, 2] * 6, "auto", tmp_path)
    with pytest.raises(ProviderUnavailableError, match="within 100 s"):
        provider.elicit(task)
    # A round of three requests, and one of the next.
    assert len(provider.script) == 8
    assert Timed([10, 2] * 6, "auto", tmp_path, timeout=1000.0).elicit(task)


def test_the_wait_for_another_process_counts(task, tmp_path, monkeypatch):
    @contextmanager
    def lock(cache, key, timeout):
        provider.now[0] += 0.9 * timeout
        yield

    monkeypatch.setattr(PriorCache, "lock", lock)
    provider = Timed([1, 2], 2, tmp_path)
    with pytest.raises(ProviderUnavailableError, match="within 100 s"):
        provider.elicit(task)
    assert len(provider.script) == 1


@pytest.mark.usefixtures("key")
def test_a_reply_that_is_kept_alive_is_not_waited_for(vendor, server, task):
    padded = vendor.message("{}")
    server.respond = lambda request: type(padded)(padded.body, padding=int(20 * LONG))
    start = time.monotonic()
    with pytest.raises(ProviderUnavailableError, match="still under way"):
        vendor.provider(server, timeout=1.0, n_estimates=2).elicit(task)
    assert time.monotonic() - start < LONG / 2


def test_what_arrived_in_time_is_told(task, tmp_path, monkeypatch, release):
    whole, calls = Requester._whole, []

    def slow(self, *args):
        calls.append(args)
        if len(calls) > 1:
            release.wait(LONG)
        return whole(self, *args)

    monkeypatch.setattr(Requester, "_whole", slow)
    monkeypatch.setattr("llmreg.elicitation._sampling.GRACE", 0.0)
    provider = Scripted([1, 1], n_estimates=2, timeout=2.0, cache=tmp_path)
    with pytest.raises(ProviderUnavailableError) as caught:
        provider.elicit(task)
    assert "1 of 2 estimates arrived" in caught.value.__notes__[0]


@pytest.mark.skipif(os.name == "nt", reason="there are no such signals")
@pytest.mark.usefixtures("key")
@pytest.mark.parametrize("is_member", [False, True])
def test_an_interrupt_keeps_answers_and_waits_for_none(
    server, task, vendor, release, is_member
):
    def hang(request):
        interrupt()
        release.wait(LONG)
        return vendor.answer(request)

    server.enqueue(vendor.answer, hang)
    provider = vendor.provider(server, n_estimates=4, max_parallel=1, timeout=LONG)
    asked = EnsembleProvider([provider, StaticPrior({})]) if is_member else provider
    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        asked.elicit(task)
    assert time.monotonic() - start < LONG / 2
    release.set()
    for thread in threading.enumerate():
        if thread.name.startswith("llmreg-"):
            thread.join(LONG)
    assert len(server.requests) == 2
    provider.set_params(n_estimates=1, network="never")
    assert provider.elicit(task).usage["served_from_cache"] == 1
