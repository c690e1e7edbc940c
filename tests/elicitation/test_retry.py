from __future__ import annotations

import os
import signal
import threading
import time
from contextvars import ContextVar

import pytest

from llmreg.elicitation._retry import RetryPolicy, Stop, TransientError, side_by_side
from llmreg.exceptions import ProviderResponseError, ProviderUnavailableError


class World:
    """A clock that only sleeping and sending move, and a scripted server."""

    def __init__(self, *outcomes, seconds_per_request=0.0, **policy):
        self.now = 100.0
        self.sleeps = []
        self.timeouts = []
        self.outcomes = list(outcomes)
        self.seconds_per_request = seconds_per_request
        self.stop = threading.Event()
        self.policy = RetryPolicy(
            clock=lambda: self.now, sleep=self.sleep, jitter=lambda: 1.0, **policy
        )

    def sleep(self, seconds):
        self.sleeps.append(seconds)
        self.now += seconds

    def send(self, seconds_left):
        self.timeouts.append(seconds_left)
        self.now += self.seconds_per_request
        outcome = self.outcomes.pop(0) if len(self.outcomes) > 1 else self.outcomes[0]
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def run(self):
        return self.policy.run(self.send, self.policy.deadline(), self.stop)


def test_waits_double_up_to_a_limit():
    world = World(TransientError("busy"), longest_wait=5.0, attempts=6)
    with pytest.raises(ProviderUnavailableError, match="failed 6 times: busy"):
        world.run()
    assert world.sleeps == [1, 2, 4, 5, 5]


def test_jitter_shortens_a_wait_by_up_to_half():
    policy = RetryPolicy(jitter=lambda: 0.0, clock=lambda: 0.0)
    assert policy._wait(0, None, 600.0, "") == 0.5


def test_the_answer_after_a_failure_is_given():
    world = World(TransientError("busy"), "scores")
    assert world.run() == "scores"
    assert world.timeouts == [600, 599]


def test_the_server_says_how_long_to_wait():
    world = World(TransientError("busy", retry_after=30.0), "scores")
    assert world.run() == "scores"
    assert world.sleeps == [30]


def test_a_wait_that_is_longer_than_the_time_left_ends_it_at_once():
    world = World(TransientError("busy", retry_after=86400.0))
    with pytest.raises(ProviderUnavailableError, match=r"86400 s .* 600 s of the 600"):
        world.run()
    assert world.sleeps == []


def test_the_wall_clock_bounds_everything():
    world = World(TransientError("slow"), seconds_per_request=250.0, attempts=99)
    with pytest.raises(ProviderUnavailableError, match="no answer within 600 s: slow"):
        world.run()
    assert len(world.timeouts) == 3
    assert world.now <= 100 + 3 * 250 + sum(world.sleeps)


def test_other_errors_are_not_tried_again():
    world = World(ProviderResponseError("nonsense"))
    with pytest.raises(ProviderResponseError):
        world.run()
    assert len(world.timeouts) == 1


def test_nothing_is_sent_once_stopped():
    world = World("scores")
    world.stop.set()
    with pytest.raises(ProviderUnavailableError, match="another estimate failed"):
        world.run()
    assert world.timeouts == []


def test_stopping_ends_a_wait():
    world = World(TransientError("busy"))
    policy = RetryPolicy(sleep=None, first_wait=3600.0, longest_wait=3600.0, budget=1e5)

    def send(seconds_left):
        world.stop.set()
        return world.send(seconds_left)

    with pytest.raises(ProviderUnavailableError, match=r"for good \(busy\)"):
        policy.run(send, policy.deadline(), world.stop)


# What the calls that hang would take; no test waits for it.
LONG = 20.0

setting: ContextVar[str] = ContextVar("setting", default="nothing")


@pytest.fixture
def release():
    event = threading.Event()
    yield event
    event.set()


def interrupt():
    signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)


def test_results_and_errors_come_in_order():
    def fail():
        raise ValueError("no")

    first, second, third = side_by_side([lambda: 1, fail, lambda: 3], 2, Stop())
    assert (first.result(), third.result()) == (1, 3)
    assert str(second.exception()) == "no"


def test_no_more_than_the_limit_at_one_time():
    now, most = [], []

    def call():
        now.append(1)
        most.append(len(now))
        time.sleep(0.01)
        now.pop()

    side_by_side([call] * 6, 2, Stop())
    assert len(most) == 6
    assert max(most) <= 2


def test_calls_see_the_context_of_the_caller():
    setting.set("this")
    (found,) = side_by_side([setting.get], 1, Stop())
    assert found.result() == "this"


def test_what_is_late_is_left_behind(release):
    stop, begun = Stop(), []
    calls = [lambda: 1, release.wait, lambda: begun.append(1)]
    found = side_by_side(calls, 1, stop, 1.0, TimeoutError("late"))
    assert found[0].result() == 1
    assert [str(future.exception()) for future in found[1:]] == ["late", "late"]
    assert stop.is_set()
    left = [t for t in threading.enumerate() if t.name.startswith("llmreg-")]
    # Whoever is not a daemon is waited for when the interpreter ends.
    assert left
    assert all(thread.daemon for thread in left)
    release.set()
    for thread in left:
        thread.join()
    assert not begun


@pytest.mark.usefixtures("interruptible")
@pytest.mark.skipif(os.name == "nt", reason="there are no such signals")
def test_an_interrupt_waits_for_nobody_and_is_handed_on(release):
    inner = []

    def call():
        inner.append(Stop())
        interrupt()
        release.wait(LONG)
        inner.append(Stop())

    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        side_by_side([call, call], 1, Stop())
    assert time.monotonic() - start < LONG / 2
    assert inner[0].is_set()
    release.set()
    for thread in threading.enumerate():
        if thread.name.startswith("llmreg-"):
            thread.join()
    assert len(inner) == 2
    assert inner[1].is_set()
