"""What questions are sent to: a loopback model, as for the providers."""

from __future__ import annotations

from tests.providers.conftest import (
    clean_environ,
    interruptible,
    key,
    provider,
    server,
    sleeps,
    task,
    vendor,
)

__all__ = [
    "clean_environ",
    "interruptible",
    "key",
    "provider",
    "server",
    "sleeps",
    "task",
    "vendor",
]
