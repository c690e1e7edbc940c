"""Train small models whose attributions follow what a language model knows.

The method is LAAT (Vukadin, Šilić, Delač, arXiv 2502.20268). `LLMAttributionClassifier`
and `LLMAttributionRegressor` are scikit-learn estimators; `FeaturePrior` holds the
scores; `llmreg.providers` holds what can be asked for them.
"""

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from llmreg._utils._moved import MovedModules
from llmreg.prior import (
    BaseRate,
    Feature,
    FeaturePrior,
    ResponseCurve,
    Task,
    TypicalRange,
)

if TYPE_CHECKING:
    from llmreg.classifier import LLMAttributionClassifier
    from llmreg.regressor import LLMAttributionRegressor

__version__ = "0.2.0"

__all__ = [
    "BaseRate",
    "Feature",
    "FeaturePrior",
    "LLMAttributionClassifier",
    "LLMAttributionRegressor",
    "ResponseCurve",
    "Task",
    "TypicalRange",
    "__version__",
]

sys.meta_path.append(MovedModules())

# torch takes seconds to import, and who reads a card or asks a provider trains nothing.
_ESTIMATORS = {
    "LLMAttributionClassifier": "llmreg.classifier",
    "LLMAttributionRegressor": "llmreg.regressor",
}


def __getattr__(name: str) -> Any:
    """Import an estimator when it is first used."""
    if name not in _ESTIMATORS:
        raise AttributeError(f"module 'llmreg' has no attribute {name!r}")
    estimator = getattr(import_module(_ESTIMATORS[name]), name)
    globals()[name] = estimator
    return estimator


def __dir__() -> list[str]:
    """List the estimators too, whether or not they were used."""
    return sorted({*globals(), *__all__})
