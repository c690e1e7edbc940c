"""What the runtime says is what the model says."""

import re
import sys
import warnings

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array
from sklearn.base import is_classifier
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import RobustScaler
from torch import nn

from llmreg import LLMAttributionClassifier, LLMAttributionRegressor
from llmreg.exceptions import (
    ExportError,
    MissingDependencyError,
    NoPosteriorError,
    PriorMismatchWarning,
)
from llmreg.export import to_onnx
from llmreg.preprocessing._scaler import BoundedScaler
from tests.fakes import DropoutNet, curved_prior, small_module

pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")


def rough_gelu(n_features, n_outputs):
    return nn.Sequential(nn.Linear(n_features, n_outputs), nn.GELU("tanh"))


def start(model):
    return runtime.InferenceSession(
        to_onnx(model).SerializeToString(), providers=["CPUExecutionProvider"]
    )


def feed(session, X):
    """Hand over rows without any help of llmreg."""
    if not isinstance(X, pd.DataFrame):
        return {"X": np.asarray(X, dtype=np.float64)}
    values = {}
    for column in session.get_inputs():
        if column.type == "tensor(string)":
            text = X[column.name].astype(object)
            text = text.where(text.notna(), "").astype(str).to_numpy()
            values[column.name] = text.reshape(-1, 1)
        else:
            numbers = X[column.name].to_numpy(dtype=float, na_value=np.nan)
            values[column.name] = numbers.reshape(-1, 1)
    return values


def check(model, *tables):
    session = start(model)
    for X in tables:
        found = session.run(None, feed(session, X))
        expected = model.predict(X)
        if is_classifier(model):
            labels, probabilities = found
            np.testing.assert_array_equal(labels, expected)
            expected = model.predict_proba(X)
        else:
            (probabilities,) = found
            expected = expected.reshape(len(X), -1)
        np.testing.assert_allclose(probabilities, expected, rtol=1e-5, atol=1e-5)
    return session


def train(X, y, prior, kind=LLMAttributionClassifier, **options):
    return kind(prior, random_state=0, device="cpu", **options).fit(X, y)


def train_curves(X, y, *outputs, **options):
    """Train on curves; some rows have a code, beside the curve."""
    X.loc[X.index[1::5], "bmi"] = 0.0
    with warnings.catch_warnings(action="ignore", category=PriorMismatchWarning):
        return train(X, y, curved_prior(*outputs), **options)


MODELS = {
    "auto": {},
    "fixed": {"gamma": 1.0},
    "no prior": {"prior": None},
    "minmax": {"scaler": "minmax"},
    "standard, mean": {"scaler": "standard", "imputer": "mean"},
    "not scaled, frequent": {"scaler": None, "imputer": "most_frequent"},
    "a scaler of ours": {"scaler": BoundedScaler()},
    "mlp, auto": {"hidden_layer_sizes": (8,), "max_iter": 30},
    "mlp": {"hidden_layer_sizes": (8, 4), "gamma": 1.0, "max_iter": 10},
    "module": {"module": small_module, "gamma": 1.0, "max_iter": 10},
}


@pytest.mark.parametrize("name", MODELS)
def test_classifier(name, table, strange, illness, prior):
    model = train(table, illness, **{"prior": prior} | MODELS[name])
    session = check(model, table, strange, strange[:1])
    assert [value.name for value in session.get_inputs()] == list(table.columns)
    assert [value.name for value in session.get_outputs()] == ["label", "probabilities"]


CURVES = {name: MODELS[name] for name in (*list(MODELS)[3:7], "auto", "mlp, auto")}


@pytest.mark.parametrize("name", CURVES)
def test_curves(name, table, strange, illness):
    model = train_curves(table, illness, "ill", **CURVES[name])
    check(model, table, strange, strange[:1])
    assert hasattr(getattr(model.net_.module_, "linear", model.net_.module_), "steps")


def test_curves_of_many_classes(table, strange, stage):
    check(train_curves(table, stage, "early", "late", "middle"), table, strange)


def test_curves_of_a_regression(table, strange, risk):
    model = train_curves(table, risk, "risk", kind=LLMAttributionRegressor)
    check(model, table, strange)


@pytest.mark.parametrize("activation", ["tanh", "silu", "gelu"])
def test_activations(activation, table, strange, illness, prior):
    model = train(
        table, illness, prior, hidden_layer_sizes=(6,), gamma=1.0,
        activation=activation, max_iter=5,
    )  # fmt: skip
    check(model, table, strange)


@pytest.mark.parametrize("hidden_layer_sizes", [(), (5,)])
def test_many_classes(hidden_layer_sizes, table, strange, stage, prior):
    model = train(
        table,
        stage,
        dict.fromkeys(("early", "late", "middle"), prior),
        hidden_layer_sizes=hidden_layer_sizes,
        gamma=1.0 if hidden_layer_sizes else "auto",
        max_iter=50,
    )
    check(model, table, strange)


@pytest.mark.parametrize("hidden_layer_sizes", [(), (5,)])
def test_regression(hidden_layer_sizes, table, strange, risk, prior):
    model = train(
        table,
        risk * 1e6,
        prior,
        LLMAttributionRegressor,
        hidden_layer_sizes=hidden_layer_sizes,
        max_iter=10,
    )
    session = check(model, table, strange)
    (output,) = session.get_outputs()
    assert (output.name, output.shape) == ("variable", ["n_samples", 1])


@pytest.mark.parametrize("hidden_layer_sizes", [(), (5,)])
def test_counts(hidden_layer_sizes, table, strange, risk, prior):
    options = {"hidden_layer_sizes": hidden_layer_sizes, "loss": "poisson"}
    counts = np.floor(np.exp(risk))
    model = train(table, counts, prior, LLMAttributionRegressor, **options)
    check(model, table, strange)
    with pytest.raises(ExportError, match="counts have intervals"):
        to_onnx(model, return_std=True)


def test_several_targets(table, strange, risk, prior):
    y = pd.DataFrame({"a": risk, "b": -1e3 * risk})
    model = train(table, y, {"a": prior, "b": prior}, LLMAttributionRegressor)
    check(model, table, strange)


@pytest.mark.parametrize("kind", [int, float, bool])
def test_labels_keep_their_type(kind, table, illness, prior):
    model = train(table, (illness == "ill").astype(kind), prior)
    session = check(model, table)
    labels = session.run(["label"], feed(session, table))[0]
    assert labels.dtype.kind == np.dtype(kind).kind


def test_labels_that_no_graph_can_hold(table, illness):
    y = illness.map({"ill": (1, 2), "healthy": "b"})
    model = train(table, illness, None)
    model.classes_ = y.to_numpy()[:2]
    with pytest.raises(ExportError, match="Class labels must be text"):
        to_onnx(model)


def test_numbers_too_large_for_a_graph_are_no_labels(table, illness):
    y = np.where(illness == "ill", np.uint64(2**64 - 1), np.uint64(2**63))
    with pytest.raises(ExportError, match="at most 64 bits with a sign"):
        to_onnx(train(table, y, None))


@pytest.mark.parametrize("scaler", ["standard", "minmax", "bounded", None])
def test_models_of_sparse_rows_take_dense_ones(scaler, rng):
    X = rng.poisson(0.5, (40, 3)).astype(float)
    model = train(csr_array(X), X[:, 0] > X[:, 1], [5, -5, 0], scaler=scaler)
    check(model, X, 3 * X - 1)


@pytest.mark.parametrize(
    "options", [{}, {"encoder": None}, {"scaler": None, "imputer": None}]
)
def test_arrays_are_one_input(options, rng):
    X = rng.normal(size=(30, 3))
    model = train(X, X[:, 0] > 0, None, **options)
    session = check(model, X, 3 * X)
    assert [(value.name, value.shape) for value in session.get_inputs()] == [
        ("X", ["n_samples", 3])
    ]


def test_arrays_of_objects_are_columns():
    X = np.array([["a", 1], ["b", None], ["a", 3], ["b", 2]], dtype=object)
    model = train(X, [0, 1, 0, 1], None)
    session = start(model)
    assert [value.name for value in session.get_inputs()] == ["x0", "x1"]


def test_a_gap_of_text_is_the_empty_text(table, illness, prior):
    session = check(train(table, illness, prior), table)
    one = feed(session, table[:1])
    given = [
        session.run(None, one | {"sex": np.array([[text]], dtype=object)})[1]
        for text in ("", "missing", "unheard of")
    ]
    # A text of the gaps' name is no gap.
    np.testing.assert_array_equal(given[1], given[2])
    assert (given[0] != given[2]).all()


@pytest.mark.parametrize("gap", [None, "female"])
def test_an_empty_text_is_no_level(gap, illness):
    """It would be taken for a gap, or a gap for it."""
    X = pd.DataFrame({"sex": ["", "male", gap] * 20})
    with pytest.raises(ExportError, match="'sex' has the level \"\""):
        to_onnx(train(X, illness, None))


def test_a_level_called_missing_is_no_gap(illness):
    X = pd.DataFrame({"sex": ["missing", "male", None] * 20})
    check(train(X, illness, {"sex=male": 3, "sex=missing": -5}), X)


LEVELS = {
    "numbers of all types": [
        1,
        1.0,
        True,
        "1",
        "b",
        np.float32(0.1),
        "0.1",
        0,
        -0.0,
        "01",
    ],
    "booleans": pd.Categorical([True, False, None]),
    "numbers": pd.Categorical([1, 0, 2.5]),
    "texts": ["nan", "None", "<NA>", "01", "1e0", "1_0"],
    "gaps": pd.Series([None, "nan", "missing value", "missing"], dtype="str"),
}


# Some of the columns have no such level.
@pytest.mark.filterwarnings("ignore::llmreg.exceptions.PriorMismatchWarning")
@pytest.mark.parametrize("name", LEVELS)
def test_one_value_is_one_level(name, illness):
    X = pd.DataFrame({"s": LEVELS[name], "n": 1.0})
    X = X.iloc[np.resize(np.arange(len(X)), 60)].reset_index(drop=True)
    check(train(X, illness, {"s=1": 3}), X)


def test_no_rows_no_predictions(table, illness, prior):
    session = start(train(table, illness, prior))
    labels, probabilities = session.run(None, feed(session, table[:0]))
    assert (labels.shape, probabilities.shape) == ((0,), (0, 2))


def test_writing(table, illness, prior, tmp_path):
    import onnx

    made = to_onnx(train(table, illness, prior), tmp_path / "model.onnx")
    read = onnx.load(tmp_path / "model.onnx")
    assert read == made
    assert read.producer_name == "llmreg"
    assert "NaN where they are missing" in read.doc_string


def test_numbers_far_from_zero_keep_their_digits(illness):
    """Seconds of one day, as computers count them."""
    X = pd.DataFrame({"time": 1_750_000_000.0 + 1000 * np.arange(len(illness))})
    check(train(X, illness, None), X)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scaler": RobustScaler()}, "scaler RobustScaler has no counterpart"),
        ({"imputer": BoundedScaler()}, "imputer BoundedScaler has no counterpart"),
        (
            {"module": DropoutNet, "max_iter": 2},
            r"DropoutNet has no counterpart.*torch\.onnx",
        ),
        (
            {"module": rough_gelu, "max_iter": 2},
            r"GELU has no counterpart.*torch\.onnx",
        ),
    ],
)
def test_what_has_no_counterpart(options, message, risk, illness):
    model = train(risk.to_frame(), illness, None, **options)
    with pytest.raises(ExportError, match=message):
        to_onnx(model)


@pytest.mark.parametrize("name", ["label", "", "twice"])
def test_names_that_cannot_be_inputs(name, risk, illness):
    X = pd.DataFrame({name: risk, "other": risk})
    if name == "twice":
        X.columns = ["twice", "twice"]
    model = train(X, illness, None)
    with pytest.raises(ExportError, match=re.escape(repr([name]))):
        to_onnx(model)


def test_only_models_of_ours(table, illness, prior):
    model = LLMAttributionClassifier(prior, device="cpu")
    with pytest.raises(NotFittedError):
        to_onnx(model)
    search = GridSearchCV(model, {"gamma": [1.0]}, cv=2).fit(table, illness)
    with pytest.raises(ExportError, match=r"got GridSearchCV.*best_estimator_"):
        to_onnx(search)
    with pytest.raises(ExportError, match=r"got Pipeline.*last step"):
        to_onnx(make_pipeline(model))


def test_without_onnx(table, illness, prior, monkeypatch):
    model = train(table, illness, prior)
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(MissingDependencyError, match=r"llmreg\[onnx\]"):
        to_onnx(model)


@pytest.mark.parametrize("size", [1e-300, 1e300, 0.0])
def test_standard_scaling_of_any_unit(size, illness):
    X = pd.DataFrame({"n": size * (np.arange(len(illness)) % 7)})
    check(train(X, illness, None, scaler="standard"), X)


def test_numbers_that_runtimes_take_for_zero(illness):
    X = pd.DataFrame({"n": 5e-320 * (np.arange(len(illness)) % 7)})
    with pytest.raises(ExportError, match="differ by less than 1e-308"):
        to_onnx(train(X, illness, None, scaler="standard"))


def test_levels_that_are_no_text_of_a_graph(illness):
    column = pd.Series(np.resize(["\ud800", "a"], len(illness)), dtype=object)
    X = column.to_frame("s")
    with pytest.raises(ExportError, match="'s' have characters that no text"):
        to_onnx(train(X, illness, None))


@pytest.mark.parametrize("hidden", [(), (3,)])
@pytest.mark.parametrize("has_curves", [True, False])
def test_a_regressor_has_standard_deviations(has_curves, hidden):
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.random((60, 3)), columns=["a", "b", "c"])
    X.loc[::7, "b"] = 9
    y = np.column_stack([X["a"] - X["c"], 100 * X["c"]]) + rng.normal(0, 0.1, (60, 2))
    curve = [(0, -4), (0.5, 0), (1, 3)]
    one = {"a": curve if has_curves else 4, "c": 2}
    options = {"hidden_layer_sizes": hidden, "max_iter": 5}
    model = train(X, y, {"y0": one, "y1": one}, LLMAttributionRegressor, **options)
    made = to_onnx(model, return_std=True).SerializeToString()
    session = runtime.InferenceSession(made, providers=["CPUExecutionProvider"])
    found = session.run(None, feed(session, X))
    for ours, theirs in zip(model.predict(X, return_std=True), found, strict=True):
        np.testing.assert_allclose(theirs, ours, rtol=1e-5)


def test_standard_deviations_that_are_not_there():
    X, y = np.random.default_rng(0).random((20, 2)), np.arange(20) % 2
    with pytest.raises(ExportError, match="return_std=True is for regressors"):
        to_onnx(train(X, y, 5), return_std=True)
    fixed = train(X, y, 5, LLMAttributionRegressor, gamma=1.0)
    with pytest.raises(NoPosteriorError):
        to_onnx(fixed, return_std=True)
