"""Who may import whom: the two halves meet only in the estimators."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import llmreg

ROOT = Path(llmreg.__file__).parent

ASK = {
    "exceptions",
    "task",
    "matching",
    "scores",
    "prior",
    "prior_alignment",
    "prior_card",
    "prior_view",
    "cleaning",
    "prompting",
    "ranking",
    "drafting",
    "asking",
}
QUESTIONS = {"cleaning", "prompting", "ranking", "drafting", "asking"}
# What each module may import of the package itself, and of other packages. The
# standard library is open to all.
ALLOWED = {
    "exceptions": set(),
    "log": set(),
    "stages": {"sklearn"},
    "passes": {"log", "stages", "skorch"},
    "task": {"exceptions"},
    "matching": {"exceptions", "task"},
    "scores": {"exceptions", "numpy"},
    "prior": ASK - QUESTIONS | {"numpy"},
    "prior_alignment": {"exceptions", "matching", "prior", "scores", "task", "numpy"},
    "prior_card": {"exceptions", "prior", "scores", "numpy"},
    "prior_view": {"prior", "scores", "numpy"},
    "cleaning": {"exceptions"},
    "prompting": {"cleaning", "exceptions", "scores", "task"},
    "ranking": {"cleaning", "exceptions", "prompting", "scores", "task"},
    "drafting": {"cleaning", "exceptions", "prompting", "task"},
    "asking": QUESTIONS | {"task"},
    "providers": {
        *(*ASK, "log", "providers", "numpy", "sklearn", "filelock", "platformdirs"),
    },
    "resolve": ASK | {"log", "providers", "numpy"},
    "describe": {"exceptions", "matching", "task", "pandas"},
    "privacy": {"exceptions", "numpy", "pandas"},
    "values": {"exceptions", "numpy", "pandas"},
    "frames": {"exceptions", "numpy", "pandas"},
    "columns": {"exceptions", "frames", "values", "numpy", "pandas", "scipy"},
    "scaling": {"columns", "exceptions", "ranges", "numpy", "scipy", "sklearn"},
    "encoding": {
        *("columns", "exceptions", "folding", "levels", "ranges", "scaling", "task"),
        "values",
        *("numpy", "pandas", "sklearn"),
    },
    "folding": {"ranges", "numpy"},
    "levels": {"exceptions", "values", "numpy", "pandas", "sklearn"},
    "rows": {"columns", "exceptions", "frames", "numpy", "pandas", "sklearn"},
    "reproducibility": {"threadpoolctl", "torch"},
    "attribution": {"torch"},
    "criterion": {"attribution", "exceptions", "numpy", "torch"},
    "linear": {"numpy", "scipy"},
    "newton": {"linear", "numpy", "scipy"},
    "ranges": {"exceptions", "numpy", "sklearn"},
    "pair_products": {"numpy"},
    "evidence": {"numpy", "pair_products", "scipy"},
    "sketch": {"evidence", "numpy"},
    "hypotheses": {"numpy"},
    "coordinates": {"evidence", "hypotheses", "numpy", "sklearn"},
    "trust": {
        *("coordinates", "evidence", "hypotheses", "sketch", "stages"),
        *("numpy", "scipy"),
    },
    "verdict": {"trust", "numpy"},
    "module_check": {"exceptions", "torch"},
    "net": {"criterion", "module_check", "torch", "skorch"},
    "undoing": set(),
    "classifier_net": {"net", "numpy", "sklearn", "torch"},
    "corrected": {"net", "torch"},
    "building": {
        *("classifier_net", "corrected", "criterion", "exceptions", "net", "passes"),
        *("optimizers", "numpy", "skorch", "torch"),
    },
    "folds": {"numpy", "sklearn"},
    "correction": {
        *("batched", "criterion", "folds", "log", "members", "net", "folding"),
        "stages",
        *("numpy", "scipy", "torch"),
    },
    "trusted": {
        *("criterion", "hypotheses", "prior", "trust", "verdict", "numpy", "torch"),
    },
    "automatic": {
        *("building", "corrected", "correction", "module_check", "net", "prior"),
        *("reproducibility", "training", "trusted", "numpy", "torch"),
    },
    "optimizers": {"torch"},
    "streaming": {"net", "numpy", "optimizers", "torch"},
    "shortcut": {"batched", "building", "members", "net", "passes", "torch"},
    "training": {
        *("attribution", "building", "exceptions", "linear", "members", "net"),
        *("newton", "shortcut", "streaming"),
        *("numpy", "sklearn", "skorch", "torch"),
    },
    "objective": {"criterion", "torch"},
    "batched_mlp": {"net", "objective", "torch"},
    "batched_relu": {"criterion", "objective", "torch"},
    "batched_module": {"objective", "reproducibility", "torch"},
    "members": {"batched_mlp", "torch"},
    "batched": {
        *("batched_mlp", "batched_module", "batched_relu"),
        *("criterion", "members", "objective", "optimizers", "reproducibility"),
        *("stages", "torch"),
    },
    "targets": {"exceptions", "numpy", "pandas", "sklearn"},
    "panels": {"base", "exceptions", "prior", "numpy", "sklearn"},
    "display": {
        *("base", "curve_display", "exceptions", "panels", "prior", "trust_display"),
        *("numpy", "sklearn"),
    },
    "trust_display": {"base", "exceptions", "panels", "verdict", "numpy"},
    "curve_display": {
        *("comparison", "exceptions", "panels", "prior"),
        *("joblib", "numpy", "sklearn"),
    },
    "comparison": {
        *("base", "exceptions", "prior", "resolve", "trusted", "sklearn"),
    },
    "report": {
        *("asking", "base", "comparison", "display", "exceptions", "panels", "prior"),
        *("__version__", "providers", "report", "resolve", "task", "trusted"),
        *("verdict", "numpy", "pandas", "sklearn", "torch"),
    },
    "automl": {
        *("automl", "base", "classifier", "exceptions", "prior", "regressor"),
        *("resolve", "numpy", "pandas"),
    },
    "export": {
        *("base", "corrected", "exceptions", "export", "ranges", "values"),
        *("numpy", "pandas", "sklearn", "torch"),
    },
    "eliciting": {
        *("describe", "encoding", "exceptions", "log", "parameters", "prior"),
        *("privacy", "providers", "resolve", "task", "numpy", "sklearn"),
    },
    "parameters": {"attribution", "building", "criterion", "net", "sklearn"},
}
SDKS = {"anthropic", "openai", "xllamacpp"}


def imports(path, *, inside_functions):
    """Yield the modules that a file imports: ours by bare name, others by package."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    functions = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)]
    inner = {child for function in functions for child in ast.walk(function)}
    for node in ast.walk(tree):
        if (node in inner) != inside_functions:
            continue
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path.name} uses a relative import"
            names = [node.module]
            if node.module == "llmreg":
                names = [f"llmreg.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            package, _, rest = name.partition(".")
            if package not in sys.stdlib_module_names:
                yield rest.partition(".")[0] if package == "llmreg" else package


def modules():
    for path in sorted(ROOT.rglob("*.py")):
        yield pytest.param(path, id=str(path.relative_to(ROOT)))


@pytest.mark.parametrize("path", list(modules()))
def test_imports_keep_to_the_table(path):
    room = path.relative_to(ROOT).parts[0].removesuffix(".py")
    if room not in ALLOWED:
        rooms = {"__init__", "base", "classifier", "regressor"}
        assert room in rooms | {"cli", "commands", "demo"}
        return
    type_checking = SDKS if room == "providers" else {"matplotlib"}
    found = set(imports(path, inside_functions=False))
    assert found - type_checking <= ALLOWED[room]


@pytest.mark.parametrize("path", list(modules()))
def test_files_are_of_one_idea(path):
    n_lines = len(path.read_text(encoding="utf-8").splitlines())
    assert n_lines <= 450, f"{path.name} has {n_lines} lines"


def run(code):
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    return done.stdout


def test_importing_llmreg_takes_no_sdk_and_no_plotting():
    loaded = run("import sys, llmreg; print(*sys.modules)").split()
    assert not {"anthropic", "openai", "xllamacpp", "matplotlib", "httpx2"} & set(
        loaded
    )


def test_who_trains_nothing_need_not_wait_for_torch():
    loaded = run("import sys, llmreg.cli, llmreg.providers; print(*sys.modules)")
    assert not {"torch", "skorch"} & set(loaded.split())


FIRST_FITS = """
import sys
import numpy as np
from llmreg import LLMAttributionClassifier
X = np.random.default_rng(0).random((40, 3))
for settings in {}, {"gamma": 1.0}, {"hidden_layer_sizes": (4,), "max_iter": 2}:
    model = LLMAttributionClassifier(5.0, device="cpu", **settings)
    model.fit(X, X[:, 0] > 0.5).predict(X)
print(*sys.modules)
"""


def test_no_fit_waits_for_the_compiler():
    assert not {"torch._dynamo", "sympy"} & set(run(FIRST_FITS).split())


def test_public_names_are_there():
    assert set(llmreg.__all__) <= set(dir(llmreg))
    for name in llmreg.__all__:
        assert getattr(llmreg, name) is not None
