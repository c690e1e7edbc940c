"""How far the rows support a prior: model averaging for the linear model."""

from llmreg.linear_model._trees import Trees
from llmreg.linear_model._trust import Contradiction, Trust

__all__ = ["Contradiction", "Trees", "Trust"]
