"""The methods of others, by the name that the tables show.

Each is told apart from llmreg by one idea, and gets the same draws, the same recorded
scores and the same budget for its own tuning.
"""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks.methods.gaussian_prior import CONSTANTS, with_gaussian_prior
from benchmarks.methods.llm_lasso import fit_llm_lasso
from benchmarks.methods.llm_select import fit_llm_select
from benchmarks.methods.method import Method
from benchmarks.methods.misled import flipped, misled, shuffled
from benchmarks.methods.mlp_search import fit_mlp_search
from benchmarks.methods.signs import fit_signs
from benchmarks.methods.trees import boosting, fit_random_forest


def _rivals() -> dict[str, Method]:
    """List the rivals in the order of the tables."""
    informed = {
        "LLM-Lasso": fit_llm_lasso,
        "Gaussian prior": with_gaussian_prior(CONSTANTS),
        "sign constraints": fit_signs,
    }
    # LLM-Lasso and LLM-Select look at no sign: a flipped prior is the same to them.
    wrong = {
        f"{name}, {how} prior": misled(informed[name], change)
        for name in ("Gaussian prior", "sign constraints")
        for how, change in (("flipped", flipped), ("shuffled", shuffled))
    }
    return {
        "MLP, tuned": Method(fit_mlp_search),
        "random forest": Method(fit_random_forest),
        "XGBoost": Method(boosting("xgboost"), imports=("xgboost",)),
        "LightGBM": Method(boosting("lightgbm"), imports=("lightgbm",)),
        "CatBoost": Method(boosting("catboost"), imports=("catboost",)),
        "LLM-Select": Method(fit_llm_select),
        **{name: Method(fit) for name, fit in (informed | wrong).items()},
    }


RIVALS: Mapping[str, Method] = _rivals()
