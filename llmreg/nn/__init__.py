"""The paper's method as plain torch, and the nets that the estimators train with it."""

from __future__ import annotations

from llmreg.nn._attribution import attribute
from llmreg.nn._loss import AttributionAlignedLoss
from llmreg.prior._transforms import Sharpen

__all__ = ["AttributionAlignedLoss", "Sharpen", "attribute"]
