"""Who may import whom: a package imports itself and those that stand before it."""

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import llmreg

ROOT = Path(llmreg.__file__).parent

# What each package may import of llmreg; itself and exceptions are open to all.
ALLOWED = {
    "exceptions": set(),
    "_utils": set(),
    # The editor knows a prior by the text of its card.
    "editing": {"_utils"},
    "prior": {"_utils", "editing"},
    "elicitation": {"_utils", "prior"},
    "providers": {"_utils", "prior", "elicitation"},
    "preprocessing": {"_utils", "prior"},
    "posterior": {"_utils"},
    "linear_model": {"_utils", "posterior", "prior", "preprocessing"},
    "nn": {"_utils", "prior", "preprocessing", "linear_model"},
    "_parameters": {"prior", "nn"},
    "_elicitation": {
        "_parameters",
        "_utils",
        "prior",
        "elicitation",
        "providers",
        "preprocessing",
        "nn",
    },
    "_from_prior": {
        *("_base_rate", "_utils", "prior", "providers"),
        *("posterior", "linear_model", "nn"),
    },
    "_base": {
        *("_elicitation", "_fitted", "_from_prior", "_utils"),
        *("prior", "providers", "posterior", "preprocessing", "linear_model", "nn"),
    },
    "_fitted": {"preprocessing", "posterior", "nn"},
    "_base_rate": {"prior"},
    "classifier": {"_parameters", "_base", "_base_rate", "posterior", "preprocessing"},
    "regressor": {"_parameters", "_base", "_base_rate", "posterior", "preprocessing"},
    "export": {"_utils", "_base", "prior", "preprocessing", "nn"},
}
# These stand on top of all others, and nothing but the command line imports them.
ON_TOP = {"__init__", "automl", "cli", "inspection"}
# The half that asks never waits for torch.
NO_TORCH = {"exceptions", "elicitation", "providers", "preprocessing"}


def room_of(path):
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imports(path):
    """Yield the modules that a file imports."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path.name} uses a relative import"
            yield node.module
            # Names that are modules count as such.
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


FILES = sorted(ROOT.rglob("*.py"))


def test_imports_go_one_way():
    wrong = {}
    for path in FILES:
        room = room_of(path)
        names = [name.split(".") for name in imports(path)]
        found = {name[1] for name in names if name[0] == "llmreg" and len(name) > 1}
        if room not in ON_TOP:
            wrong[str(path)] = found - ALLOWED[room] - {"exceptions", room}
        if room in NO_TORCH:
            wrong[str(path)] |= {"torch", "skorch"} & {name[0] for name in names}
    assert not {path: found for path, found in wrong.items() if found}


def test_no_modules_import_each_other():
    """Neither for types nor inside of functions."""
    modules = {}
    for path in FILES:
        parts = ("llmreg", *path.relative_to(ROOT).with_suffix("").parts)
        modules[".".join(parts).removesuffix(".__init__")] = path
    graph = {
        name: {used for used in imports(path) if used in modules and used != name}
        for name, path in modules.items()
    }
    TopologicalSorter(graph).prepare()  # Raises CycleError, which names the modules.


def test_files_are_of_one_idea():
    lines = {str(p): len(p.read_text(encoding="utf-8").splitlines()) for p in FILES}
    assert not {path: n for path, n in lines.items() if n > 450}


# One process for all that an import must not take, since each one waits seconds for
# scikit-learn; every line is what modules there are by then.
LOADED = """
import sys
import llmreg
print(*sys.modules)
import llmreg.cli, llmreg.providers
llmreg.providers.provider_names()
print(*sys.modules)
import llmreg.automl
print(*sys.modules)
import numpy as np
from llmreg import LLMAttributionClassifier
X = np.random.default_rng(0).random((40, 3))
for settings in {}, {"gamma": 1.0}, {"hidden_layer_sizes": (4,), "max_iter": 2}:
    model = LLMAttributionClassifier(5.0, device="cpu", **settings)
    model.fit(X, X[:, 0] > 0.5).predict(X)
print(*sys.modules)
"""
SDKS = {"anthropic", "openai", "xllamacpp", "httpx2"}


@pytest.fixture(scope="module")
def loaded():
    """What is loaded: with llmreg, its command line, its adapters, after first fits."""
    done = subprocess.run(
        [sys.executable, "-c", LOADED], capture_output=True, text=True, check=True
    )
    return [set(line.split()) for line in done.stdout.splitlines()]


def test_importing_llmreg_takes_no_sdk_and_no_plotting(loaded):
    assert not (SDKS | {"matplotlib"}) & loaded[0]


def test_who_trains_nothing_need_not_wait_for_torch(loaded):
    assert not {"torch", "skorch"} & loaded[1]


def test_naming_the_providers_imports_none(loaded):
    assert not SDKS & loaded[1]


def test_importing_adapters_takes_neither_framework(loaded):
    assert not {"flaml", "autogluon", "lightgbm", "xgboost"} & loaded[2]


def test_no_fit_waits_for_the_compiler(loaded):
    assert not {"torch._dynamo", "sympy"} & loaded[3]


def test_public_names_are_there():
    assert set(llmreg.__all__) <= set(dir(llmreg))
    for name in llmreg.__all__:
        assert getattr(llmreg, name) is not None
