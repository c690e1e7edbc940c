"""Displays and reports of fitted models and of their priors."""

from __future__ import annotations

from llmreg.inspection._learning_curve import PriorCurveDisplay
from llmreg.inspection._prior_display import AlignmentDisplay, PriorDisplay
from llmreg.inspection._report import format_report, write_report
from llmreg.inspection._shape_display import ShapeDisplay
from llmreg.inspection._shapes import Shape, shapes
from llmreg.inspection._trust_display import TrustDisplay

__all__ = [
    "AlignmentDisplay",
    "PriorCurveDisplay",
    "PriorDisplay",
    "Shape",
    "ShapeDisplay",
    "TrustDisplay",
    "format_report",
    "shapes",
    "write_report",
]
