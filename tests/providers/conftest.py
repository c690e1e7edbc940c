from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from llmreg.task import Feature, Task
from tests.loopback import MessagesServer

PLANTED_KEY = "sk-ant-planted-1f0e9d8c"


@pytest.fixture(autouse=True)
def clean_environ(monkeypatch: pytest.MonkeyPatch, tmp_path: os.PathLike[str]) -> None:
    """No settings of the machine reach a test, and no proxy takes its requests."""
    for name in list(os.environ):
        lowered = name.lower()
        if lowered.startswith("anthropic_") or lowered.endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setenv("ANTHROPIC_CONFIG_DIR", os.fspath(tmp_path / "no-profiles"))
    monkeypatch.setenv("LLMREG_CACHE_DIR", os.fspath(tmp_path / "cache"))


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("ANTHROPIC_API_KEY", PLANTED_KEY)
    return PLANTED_KEY


@pytest.fixture
def server() -> Iterator[MessagesServer]:
    with MessagesServer() as running:
        yield running


@pytest.fixture
def task() -> Task:
    return Task(
        features=(
            Feature("age", "age in years"),
            Feature("sex", level="female", level_description="woman or girl"),
            Feature("fare"),
        ),
        target="survived",
        outputs=("yes",),
        kind="classification",
        classes=("no", "yes"),
        description="Predict whether a passenger survived.",
    )
