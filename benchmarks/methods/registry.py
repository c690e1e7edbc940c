"""Every method that a benchmark can name, in the order of the tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from benchmarks.methods.ablations import ABLATIONS
from benchmarks.methods.automl import AUTOML
from benchmarks.methods.baselines import Method
from benchmarks.methods.curves import CURVES, DECLARED, MISLED_CURVES, knowing
from benchmarks.methods.disguised import DISGUISED
from benchmarks.methods.elsewhere import ELSEWHERE
from benchmarks.methods.estimators import CAUTIOUS, METHODS
from benchmarks.methods.gaussian_prior import CONSTANTS, with_gaussian_prior
from benchmarks.methods.linear_rivals import fit_llm_lasso, fit_llm_select, fit_signs
from benchmarks.methods.misled import flipped, misled, shuffled
from benchmarks.methods.no_prior import boosting, fit_mlp_search, random_forest
from benchmarks.methods.rules import fit_rules
from benchmarks.methods.statsformer import fit_statsformer
from benchmarks.programs import RequestError


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
        "random forest": Method(random_forest()),
        "XGBoost": Method(boosting("xgboost"), imports=("xgboost",)),
        "LightGBM": Method(boosting("lightgbm"), imports=("lightgbm",)),
        "CatBoost": Method(boosting("catboost"), imports=("catboost",)),
        "LLM-Select": Method(fit_llm_select),
        **{name: Method(fit) for name, fit in (informed | wrong).items()},
    }


RIVALS: Mapping[str, Method] = _rivals()


def _field() -> dict[str, Method]:
    """List what is compared beside the rivals: trees with searched settings, stacks."""
    libraries = {
        "XGBoost, tuned": "xgboost",
        "LightGBM, tuned": "lightgbm",
        "CatBoost, tuned": "catboost",
    }
    boosted = {
        name: Method(boosting(library, tuned=True), imports=(library,))
        for name, library in libraries.items()
    }
    glass = Method(boosting("interpret.glassbox"), imports=("interpret.glassbox",))
    forest = Method(random_forest(tuned=True))
    return {
        "explainable boosting": glass,
        "random forest, tuned": forest,
        **boosted,
        "FeatLLM, rules of curves": Method(knowing(fit_rules)),
        "Statsformer": Method(fit_statsformer, imports=("xgboost",)),
    }


#: The field beside `RIVALS`.
FIELD: Mapping[str, Method] = _field()


#: Sets of methods that are asked for by one name.
SETS: Mapping[str, Mapping[str, Method]] = {
    "llmreg": METHODS,
    "curves": CURVES,
    "misled curves": MISLED_CURVES,
    "declared": DECLARED,
    "cautious": CAUTIOUS,
    "rivals": RIVALS,
    "field": FIELD,
    "ablations": ABLATIONS,
    "disguised": DISGUISED,
    "automl": AUTOML,
    "elsewhere": ELSEWHERE,
}


class UnknownMethodError(RequestError, LookupError):
    """A name that is neither a method nor a set of methods."""


def methods(selection: str) -> tuple[str, ...]:
    """Return the methods of a name: one method, or all of a set of them."""
    if selection in SETS:
        return tuple(SETS[selection])
    find(selection)
    return (selection,)


def methods_of(selections: Iterable[str]) -> list[str]:
    """Return the methods that several names stand for, each once."""
    return list(dict.fromkeys(name for one in selections for name in methods(one)))


def find(name: str) -> Method:
    """Return the method of a name."""
    for members in SETS.values():
        if name in members:
            return members[name]
    raise UnknownMethodError(
        f"No method or set of methods is called {name!r}. Sets: {', '.join(SETS)}. "
        f"Methods: {'; '.join(in_order())}."
    )


def in_order() -> list[str]:
    """List all methods in the order of the tables."""
    return [name for members in SETS.values() for name in members]
