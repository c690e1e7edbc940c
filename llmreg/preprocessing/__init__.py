"""From a table to a matrix, and where each of its columns came from."""

from llmreg.preprocessing._encoder import TableEncoder

__all__ = ["TableEncoder"]
