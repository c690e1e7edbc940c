"""What is believed of the features of a task: scores, their spread, reasons."""

from __future__ import annotations

from llmreg.prior._feature_prior import FeaturePrior
from llmreg.prior._task import Feature, Task

__all__ = ["Feature", "FeaturePrior", "Task"]
