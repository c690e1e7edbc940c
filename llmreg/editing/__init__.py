"""The page in which a domain expert edits a prior card."""

from llmreg.editing._editor import PriorEditor

__all__ = ["PriorEditor"]
