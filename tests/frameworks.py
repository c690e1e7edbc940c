"""Import a framework for its tests, or skip them where nobody asked for it."""

import os

import pytest


def framework(name, demanded_by="LLMREG_TEST_AUTOML"):
    """Import it; where the variable is set its absence is a failure, not a skip."""
    if os.environ.get(demanded_by):
        return __import__(name, fromlist=["_"])
    return pytest.importorskip(name)
