from __future__ import annotations

import os
import signal
import threading
import time
from contextvars import ContextVar

import pytest

from llmreg.elicitation._retry import Stop, side_by_side

pytestmark = pytest.mark.usefixtures("interruptible")

# What the calls that hang would take; no test waits for it.
LONG = 20.0

told: ContextVar[str] = ContextVar("told", default="nothing")


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


def test_calls_see_the_context_of_whoever_asks():
    told.set("this")
    (found,) = side_by_side([told.get], 1, Stop())
    assert found.result() == "this"


def test_what_is_late_is_left_behind(release):
    stop, begun = Stop(), []
    calls = [lambda: 1, release.wait, lambda: begun.append(1)]
    found = side_by_side(calls, 1, stop, 0.1, TimeoutError("late"))
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
