"""The page in which a domain expert edits a prior card."""

from __future__ import annotations

from llmreg.editing._editor import PriorEditor

__all__ = ["PriorEditor"]
