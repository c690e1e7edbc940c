"""The paper's method as plain torch, and the nets that the estimators train with it."""

from llmreg.linear_model._prior_grid import Sharpen
from llmreg.nn._attribution import attribute
from llmreg.nn._loss import AttributionAlignedLoss

__all__ = ["AttributionAlignedLoss", "Sharpen", "attribute"]
