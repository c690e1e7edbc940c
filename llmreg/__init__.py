"""Train small models whose attributions follow what a language model knows.

The method is LAAT (Vukadin, Šilić, Delač, arXiv 2502.20268). `LLMAttributionClassifier`
and `LLMAttributionRegressor` are scikit-learn estimators; `FeaturePrior` holds the
scores; `llmreg.providers` holds what can be asked for them.
"""

from llmreg.classifier import LLMAttributionClassifier
from llmreg.prior import FeaturePrior
from llmreg.regressor import LLMAttributionRegressor
from llmreg.task import Feature, Task

__version__ = "0.1.0"

__all__ = [
    "Feature",
    "FeaturePrior",
    "LLMAttributionClassifier",
    "LLMAttributionRegressor",
    "Task",
    "__version__",
]
