"""llmreg as one of the models that FLAML or AutoGluon chooses from.

Neither is imported before it is used: ``pip install "llmreg[flaml]"`` and
``"llmreg[autogluon]"`` bring them.
"""

from llmreg.automl._autogluon import autogluon_options, named_levels
from llmreg.automl._flaml import FlamlLearner, flaml_learner
from llmreg.automl._model import settle_prior

__all__ = [
    "FlamlLearner",
    "autogluon_options",
    "flaml_learner",
    "named_levels",
    "settle_prior",
]
