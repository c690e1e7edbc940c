"""One elicitation per task: over folds, candidates, processes and accidents.

Every test counts the requests that reach a server on the loopback interface.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import GridSearchCV, cross_val_score

from llmreg import LLMAttributionClassifier
from llmreg.providers import AnthropicProvider
from tests.loopback import Reply, answer
from tests.providers.conftest import PLANTED_KEY

pytestmark = pytest.mark.usefixtures("key")

PATIENCE = 120.0  # seconds until a test gives up
N_ESTIMATES = 3

# Processes that wait for an address and a folder, and ask then. They are forked from
# one that has imported everything, once for all tests, since importing takes seconds; a
# pair of pipes leads to each.
ASK = f"""
import logging, os, sys
import anthropic
from llmreg.providers import AnthropicProvider
from llmreg.prior._task import Feature, Task

def ask(hear, tell):
    say = os.fdopen(tell, "w", buffering=1)
    logging.basicConfig(level="INFO", stream=say, format="%(message)s")
    task = Task(
        (Feature("age"), Feature("fare")), "survived", ("yes",), "classification",
        ("no", "yes"),
    )
    print("ready", os.getpid(), file=say)
    where = os.read(hear, 4096).decode()
    if not where:
        os._exit(0)
    url, cache = where.split(" ", 1)
    provider = AnthropicProvider(
        base_url=url, cache=cache, n_estimates={N_ESTIMATES}, timeout={PATIENCE}
    )
    print("prior", provider.elicit(task).scores.tolist(), file=say)

pipes = [tuple(map(int, pair.split(":"))) for pair in sys.argv[1:]]
for mine in pipes:
    if os.fork() == 0:
        for other in pipes:
            if other != mine:
                os.close(other[0]), os.close(other[1])
        ask(*mine)
        os._exit(0)
for hear, tell in pipes:
    os.close(hear), os.close(tell)
for _ in pipes:
    os.wait()
"""


class Asker:
    """A process that asks for a prior when it is told where."""

    def __init__(self) -> None:
        self.hears, self._go = os.pipe()
        heard, self.tells = os.pipe()
        self._heard = os.fdopen(heard)

    def go(self, url: str, cache: Path) -> None:
        os.write(self._go, f"{url} {cache}".encode())

    def until(self, start: str) -> str:
        """Listen until the process says something that starts so; it may also end."""
        said = (line.rstrip() for line in self._heard)
        return next((line for line in said if line.startswith(start)), "")

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        self._heard.read()  # until its end of the pipe is closed

    def close(self) -> None:
        os.close(self._go)
        self._heard.close()


@pytest.fixture(scope="class")
def askers(tmp_path_factory) -> Iterator[list[Asker]]:
    """Start processes, all of them ready to ask; each test takes four."""
    started = [Asker() for _ in range(12)]
    fds = [fd for asker in started for fd in (asker.hears, asker.tells)]
    # As `clean_environ` does for a test, which comes too late here.
    environ = {
        name: value
        for name, value in os.environ.items()
        if not name.lower().startswith("anthropic_")
        and not name.lower().endswith("_proxy")
    }
    environ |= {"ANTHROPIC_API_KEY": PLANTED_KEY, "NO_PROXY": "*"}
    environ["ANTHROPIC_CONFIG_DIR"] = str(tmp_path_factory.mktemp("no-profiles"))
    parent = subprocess.Popen(
        [sys.executable, "-c", ASK, *(f"{a.hears}:{a.tells}" for a in started)],
        cwd=Path(__file__).parents[2],
        env=environ,
        pass_fds=fds,
        start_new_session=True,
    )
    for fd in fds:
        os.close(fd)
    end = threading.Timer(PATIENCE, os.killpg, (parent.pid, signal.SIGKILL))
    end.start()
    try:
        for asker in started:
            asker.pid = int(asker.until("ready").split()[1])
        yield list(started)
    finally:
        for asker in started:
            asker.close()
        assert parent.wait(PATIENCE) == 0
        end.cancel()


def planted_key() -> str:
    """Give the key; in a worker, also keep proxies out, as the fixtures do here."""
    os.environ["NO_PROXY"] = "*"
    return PLANTED_KEY


def make_provider(url: str, **settings) -> AnthropicProvider:
    chosen = {"n_estimates": N_ESTIMATES, "api_key": planted_key, **settings}
    return AnthropicProvider(base_url=url, ask="all", **chosen)


def wait_for(condition) -> None:
    """Wait until something holds, in steps of milliseconds."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it never came about"
        time.sleep(0.005)


def cached(tmp_path) -> list[Path]:
    return list((tmp_path / "cache").glob("*.json"))


@pytest.fixture
def rows():
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"age": rng.normal(50, 9, 48), "fare": rng.normal(0, 1, 48)})
    return X, np.where(X["age"] > 50, "yes", "no")


class TestFitsShareOneElicitation:
    @pytest.mark.processes
    def test_a_grid_search_over_processes(self, server, rows, tmp_path):
        provider = make_provider(server.url, cache=tmp_path)
        search = GridSearchCV(
            LLMAttributionClassifier(provider, random_state=0),
            {"gamma": [0.1, 10.0]},
            cv=2,
            n_jobs=2,
        )
        search.fit(*rows)
        assert len(server.requests) == N_ESTIMATES
        assert search.best_estimator_.prior_.scores.tolist() == [[3, 3]]

    def test_searching_n_estimates_costs_the_largest(self, server, rows):
        provider = make_provider(server.url)
        model = LLMAttributionClassifier(provider, gamma=1.0)
        GridSearchCV(model, {"prior__n_estimates": [1, 3, 2]}, cv=2).fit(*rows)
        assert len(server.requests) == 3

    def test_folds_whose_categories_differ(self, server, rows):
        X, y = rows
        X["port"] = pd.Categorical(["s"] * 47 + ["q"], categories=["s", "q", "c"])
        provider = make_provider(server.url, n_estimates=2)
        cross_val_score(LLMAttributionClassifier(provider), X, y, cv=3)
        assert len(server.requests) == 2


class TestProcessesShareOneElicitation:
    def test_four_with_an_empty_cache(self, askers, server, tmp_path):
        four = [askers.pop() for _ in range(4)]
        for asker in four:
            asker.go(server.url, tmp_path / "cache")
        answers = {asker.until("prior") for asker in four}
        assert len(server.requests) == N_ESTIMATES
        assert answers == {"prior [[3.0, 3.0]]"}

    @pytest.mark.parametrize("kept", [0, 1])
    def test_one_of_them_is_killed_while_it_holds_the_lock(
        self, askers, server, tmp_path, kept
    ):
        gate, lock, seen = threading.Event(), threading.Lock(), []

        def respond(request) -> Reply:
            # The first `kept` replies arrive; the killed one never sees the others.
            with lock:
                seen.append(request)
                blocked = kept < len(seen) <= N_ESTIMATES
            if blocked:
                gate.wait(PATIENCE)
            return answer(request)

        server.respond = respond
        victim, *others = (askers.pop() for _ in range(4))
        victim.go(server.url, tmp_path / "cache")
        wait_for(lambda: len(seen) == N_ESTIMATES)
        wait_for(lambda: len(cached(tmp_path)) == kept)
        for other in others:
            other.go(server.url, tmp_path / "cache")
            assert other.until("another process requests the same prior")
        victim.kill()
        answers = {other.until("prior") for other in others}
        gate.set()
        assert len(server.requests) == N_ESTIMATES + N_ESTIMATES - kept
        assert answers == {"prior [[3.0, 3.0]]"}
        assert len(cached(tmp_path)) == N_ESTIMATES


class TestFilesOfTheCache:
    @pytest.mark.parametrize(
        "spoil",
        [
            pytest.param(lambda text: "\x00" * len(text), id="corrupt"),
            pytest.param(lambda text: text[: len(text) // 2], id="truncated"),
            pytest.param(lambda text: "", id="empty"),
            pytest.param(
                lambda text: text.replace('"version": 1', '"version": 0'), id="old"
            ),
            pytest.param(lambda text: text.replace('\\"id\\"', "1"), id="reply"),
        ],
    )
    def test_what_cannot_be_used_is_absent_and_kept_aside(
        self, server, task, tmp_path, spoil
    ):
        provider = make_provider(server.url)
        provider.elicit(task)
        victim = cached(tmp_path)[0]
        spoilt = spoil(victim.read_text())
        assert spoilt != victim.read_text()
        victim.write_text(spoilt)
        prior = provider.elicit(task)
        assert len(server.requests) == N_ESTIMATES + 1
        assert (prior.usage["requests"], prior.usage["served_from_cache"]) == (1, 2)
        (aside,) = (tmp_path / "cache").glob("*.unusable")
        assert aside.read_text() == spoilt
        assert len(cached(tmp_path)) == N_ESTIMATES

    def test_hold_no_rows_and_no_keys(self, server, tmp_path, rows):
        X, y = rows
        planted = [271828.182, 314159.265]
        X.loc[[0, 1], "fare"] = planted
        provider = make_provider(server.url)
        LLMAttributionClassifier(provider, task="Who survives?").fit(X, y)
        files = [p for p in (tmp_path / "cache").iterdir() if p.is_file()]
        assert len(cached(tmp_path)) == N_ESTIMATES
        for path in files:
            text = path.read_text()
            for secret in [PLANTED_KEY, *map(str, planted), "271828", "314159"]:
                assert secret not in text
        content = json.loads(cached(tmp_path)[0].read_text())["content"]
        assert set(content) == {
            *("task", "target", "provider", "model", "prompt_version"),
            *("prompt_hash", "estimate", "created", "usage", "text"),
        }
