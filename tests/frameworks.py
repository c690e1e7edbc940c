"""Import a framework for its tests, or skip them where nobody asked for it."""

import os

import pytest


def framework(name):
    """Import it; under ``make test-automl`` its absence is a failure, not a skip."""
    if os.environ.get("LLMREG_TEST_AUTOML"):
        return __import__(name, fromlist=["_"])
    return pytest.importorskip(name)
