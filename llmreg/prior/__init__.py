"""What is believed of a task: scores, response curves, their spread, reasons."""

from llmreg.prior._curves import ResponseCurve
from llmreg.prior._feature_prior import FeaturePrior
from llmreg.prior._scores import BaseRate, TypicalRange
from llmreg.prior._task import Feature, Task

__all__ = [
    "BaseRate",
    "Feature",
    "FeaturePrior",
    "ResponseCurve",
    "Task",
    "TypicalRange",
]
