"""A fitted model as something that runs without llmreg.

`to_onnx` makes one ONNX graph of a model and its encoding, `to_sklearn` a pipeline of
scikit-learn's own parts of a linear one. ``pip install "llmreg[onnx]"`` brings what the
first needs. `boosting_params` and `boosting_margin` are for boosted trees.
"""

from llmreg.export._boosting import boosting_margin, boosting_params
from llmreg.export._onnx import to_onnx
from llmreg.export._sklearn import to_sklearn

__all__ = ["boosting_margin", "boosting_params", "to_onnx", "to_sklearn"]
