"""Displays and reports of fitted models and of their priors."""

from llmreg.inspection._comparison import PriorCurveDisplay
from llmreg.inspection._fitted_display import AlignmentDisplay, TrustDisplay
from llmreg.inspection._prior_display import PriorDisplay
from llmreg.inspection._report import format_report, write_report
from llmreg.inspection._shape_display import ShapeDisplay
from llmreg.inspection._shapes import Shape, shapes

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
