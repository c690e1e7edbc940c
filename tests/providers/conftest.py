from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from llmreg.elicitation._retry import RetryPolicy
from llmreg.prior._task import Feature, Task
from llmreg.providers._hosted import HostedProvider
from tests.loopback import MessagesServer
from tests.vendors import ANTHROPIC, PLANTED_KEY, Vendor


@pytest.fixture(autouse=True)
def clean_environ(monkeypatch: pytest.MonkeyPatch, tmp_path: os.PathLike[str]) -> None:
    """No settings of the machine reach a test, and no proxy takes its requests."""
    for name in list(os.environ):
        lowered = name.lower()
        if lowered.startswith(("anthropic_", "openai_")) or lowered.endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("NO_PROXY", "*")
    # No server here speaks TLS, and reading all certificates for each client takes
    # longer than most tests.
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.setenv("SSL_CERT_DIR", os.fspath(tmp_path / "no-certificates"))
    monkeypatch.setenv("ANTHROPIC_CONFIG_DIR", os.fspath(tmp_path / "no-profiles"))
    monkeypatch.setenv("LLMREG_CACHE_DIR", os.fspath(tmp_path / "cache"))


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Ctrl-C ends the program, also where the tests run in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def vendor() -> Vendor:
    """Whose wire it is; a module that holds them all to a table parametrises this."""
    return ANTHROPIC


@pytest.fixture
def key(vendor: Vendor, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv(vendor.key_variable, PLANTED_KEY)
    return PLANTED_KEY


@pytest.fixture
def server(vendor: Vendor) -> Iterator[MessagesServer]:
    with MessagesServer(vendor.answer) as running:
        yield running


@pytest.fixture
def sleeps(vendor: Vendor, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """No test sleeps: waits are noted, and the clock runs as it does."""
    waited: list[float] = []

    def policy(provider: HostedProvider) -> RetryPolicy:
        return RetryPolicy(
            provider.max_attempts,
            float(provider.timeout),
            sleep=waited.append,
            jitter=lambda: 1.0,
        )

    monkeypatch.setattr(vendor.kind, "_policy", policy)
    return waited


@pytest.fixture
def provider(
    vendor: Vendor, server: MessagesServer, sleeps: list[float]
) -> HostedProvider:
    return vendor.provider(server)


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
