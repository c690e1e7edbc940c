"""How far the rows bear a prior out: model averaging for the linear model."""

from __future__ import annotations

from llmreg.linear_model._trust import Contradiction, Trust

__all__ = ["Contradiction", "Trust"]
