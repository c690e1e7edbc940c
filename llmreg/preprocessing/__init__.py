"""From a table to a matrix, and where each of its columns came from."""

from __future__ import annotations

from llmreg.preprocessing._encoder import TableEncoder

__all__ = ["TableEncoder"]
