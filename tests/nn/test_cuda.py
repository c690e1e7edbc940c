"""A model on a CUDA device says what the one on the CPU says, in single precision."""

import pickle

import numpy as np
import pytest
import torch
from sklearn.datasets import make_classification, make_regression
from sklearn.model_selection import GridSearchCV

from llmreg import LLMAttributionClassifier, LLMAttributionRegressor

pytestmark = pytest.mark.skipif(
    not torch.cuda.is_available(), reason="needs a CUDA device"
)

SCORES = {f"x{number}": score for number, score in enumerate((8, -5, 3, 0, 1))}
CURVES = {
    **SCORES,
    "x0": [(-2, -6), (0, 0), (1, 5), (3, 6)],
    "x1": [(-2, 4), (0, -2), (2, 4)],
}
KINDS = {
    "two classes": (LLMAttributionClassifier, 2),
    "three classes": (LLMAttributionClassifier, 3),
    "regression": (LLMAttributionRegressor, 0),
}
MODELS = {
    "linear": {"gamma": 10.0},
    "linear, trust learnt": {},
    "linear, by a loop": {"gamma": 1.0, "solver": "adam", "max_iter": 50},
    "MLP": {"hidden_layer_sizes": (8,), "gamma": 1.0, "max_iter": 50},
    "MLP, trust learnt": {"hidden_layer_sizes": (8,), "max_iter": 30},
    "MLP, row by row": {
        "hidden_layer_sizes": (8,),
        "gamma": 1.0,
        "max_iter": 30,
        "penalty_on": "row",
    },
    "MLP, integrated": {
        "hidden_layer_sizes": (8,),
        "gamma": 1.0,
        "max_iter": 30,
        "attribution": "integrated_gradients",
    },
    "MLP, early stopping": {
        "hidden_layer_sizes": (8,),
        "gamma": 1.0,
        "max_iter": 30,
        "solver": "adam",
        "early_stopping": True,
    },
    "own module": {
        "module": torch.nn.Sequential(
            torch.nn.Linear(5, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1)
        ),
        "gamma": 1.0,
        "max_iter": 30,
    },
}


def rows_of(kind: str, n_samples: int = 120) -> tuple[np.ndarray, np.ndarray]:
    """Draw a table of five columns for a task."""
    if kind == "regression":
        return make_regression(n_samples, 5, noise=5.0, random_state=0)
    return make_classification(
        n_samples, 5, n_informative=4, n_redundant=0, n_classes=KINDS[kind][1],
        random_state=0,
    )  # fmt: skip


def said(model, X: np.ndarray) -> np.ndarray:
    """Return what a model predicts: probabilities where there are classes."""
    return model.predict_proba(X) if hasattr(model, "classes_") else model.predict(X)


def make(kind: str, prior, **params):
    """Make an estimator for columns without names."""
    names = list(SCORES)
    return KINDS[kind][0](prior, feature_names=names, random_state=0, **params)


@pytest.mark.parametrize("prior", [SCORES, CURVES], ids=["scores", "curves"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("model", MODELS)
def test_cuda_agrees_with_the_cpu(model, kind, prior):
    if model == "own module" and kind == "three classes":
        pytest.skip("the module has one output")
    X, y = rows_of(kind)
    if kind == "three classes":
        prior = {str(c): prior for c in range(3)}
        y = y.astype(str)
    cpu, cuda = (
        make(kind, prior, device=device, **MODELS[model]).fit(X, y)
        for device in ("cpu", "cuda")
    )
    module = cuda.net_.module_
    assert {p.device.type for p in module.parameters()} <= {"cuda"}
    assert {p.dtype for p in module.parameters()} <= {torch.float32}
    scale = 1.0 if kind != "regression" else np.std(y)
    np.testing.assert_allclose(
        said(cuda, X) / scale, said(cpu, X) / scale, atol=2e-2, rtol=0
    )
    np.testing.assert_allclose(
        cuda.attributions_,
        cpu.attributions_,
        atol=0.05 * np.abs(cpu.attributions_).max(),
    )


@pytest.mark.parametrize("model", ["linear", "MLP, trust learnt"])
def test_auto_takes_the_device_and_the_same_seed_the_same_bits(model):
    X, y = rows_of("two classes")
    first, second = (
        make("two classes", CURVES, device="auto", **MODELS[model]).fit(X, y)
        for _ in range(2)
    )
    assert first.net_.device == "cuda"
    np.testing.assert_array_equal(said(first, X), said(second, X))


@pytest.mark.parametrize("model", ["linear", "linear, trust learnt", "MLP"])
def test_pickles_and_pieces(model):
    X, y = rows_of("two classes")
    fitted = make("two classes", CURVES, device="cuda", **MODELS[model]).fit(X, y)
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(said(again, X), said(fitted, X))
    again.partial_fit(X[:20], y[:20])
    assert np.isfinite(said(again, X)).all()


def test_a_search_on_the_device():
    X, y = rows_of("two classes")
    model = make("two classes", SCORES, device="cuda")
    search = GridSearchCV(model, {"gamma": [0.0, 1.0, "auto"]}, cv=3).fit(X, y)
    assert search.best_score_ > 0.6


def test_intervals_and_shapes_of_a_model_on_the_device():
    X, y = rows_of("regression")
    fitted = make("regression", CURVES, device="cuda").fit(X, y)
    low, high = fitted.predict_interval(X).T
    assert (low < high).all()
