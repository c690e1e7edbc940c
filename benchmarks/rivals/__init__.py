"""The methods of others, by the name that the tables show.

Each is told apart from llmreg by one idea, and gets the same draws, the same recorded
scores and the same budget for its own tuning.
"""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks.method import Method

RIVALS: Mapping[str, Method] = {}
