"""The pipeline of scikit-learn's own parts says what the linear model says."""

import pickle
import subprocess
import sys
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from sklearn import config_context
from sklearn.base import is_classifier
from sklearn.impute import KNNImputer
from sklearn.preprocessing import QuantileTransformer, RobustScaler

from llmreg import LLMAttributionClassifier, LLMAttributionRegressor
from llmreg.exceptions import ExportError
from llmreg.export import to_sklearn
from llmreg.nn._additive import AdditiveModel
from llmreg.preprocessing._scaler import BoundedScaler
from tests.export.test_onnx_model import LEVELS, train, train_curves


def check(model, *tables):
    pipeline = pickle.loads(pickle.dumps(to_sklearn(model)))
    for X in tables:
        if is_classifier(model):
            np.testing.assert_array_equal(pipeline.predict(X), model.predict(X))
            found, expected = pipeline.predict_proba(X), model.predict_proba(X)
        else:
            found, expected = pipeline.predict(X), model.predict(X)
        np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-10)
    return pipeline


MODELS = {
    "auto": {},
    "fixed": {"gamma": 1.0},
    "minmax": {"scaler": "minmax"},
    "standard, mean": {"scaler": "standard", "imputer": "mean"},
    "not scaled, frequent": {"scaler": None, "imputer": "most_frequent"},
    "own": {"scaler": RobustScaler(), "imputer": KNNImputer()},
}


@pytest.mark.parametrize("name", MODELS)
def test_classifier(name, table, strange, illness, prior):
    model = train(table, illness, prior, **MODELS[name])
    pipeline = check(model, table, strange, strange[:1])
    assert list(pipeline.feature_names_in_) == list(table.columns)
    assert list(pipeline.classes_) == ["healthy", "ill"]


def test_many_classes(table, strange, stage, prior):
    scores = dict.fromkeys(("early", "late", "middle"), prior)
    check(train(table, stage, scores), table, strange)


def test_regression(table, strange, risk, prior):
    model = train(table, 1e3 * risk, prior, LLMAttributionRegressor)
    check(model, table, strange)


@pytest.mark.parametrize("curve", [{}, {"age": [(20, -4), (50, 0), (80, 6)]}])
def test_counts(curve, table, strange, risk, prior):
    counts, options = np.floor(np.exp(risk)), {"loss": "poisson"}
    known = prior | curve if curve else prior
    model = train(table, counts, known, LLMAttributionRegressor, **options)
    assert type(check(model, table, strange)[-1]).__name__ == "PoissonRegressor"


def test_several_targets(table, strange, risk, prior):
    y = pd.DataFrame({"a": risk, "b": -risk})
    model = train(table, y, {"a": prior, "b": prior}, LLMAttributionRegressor)
    check(model, table, strange)


@pytest.mark.parametrize(
    "options", [{}, {"encoder": None}, {"scaler": None, "imputer": None}]
)
def test_arrays(options, rng):
    X = rng.normal(size=(30, 3))
    check(train(X, X[:, 0] > 0, None, **options), X, 3 * X)


def test_arrays_of_objects():
    X = np.array([["a", 1], ["b", None], ["a", 3], ["b", 2]], dtype=object)
    check(train(X, [0, 1, 0, 1], None), X)


@pytest.mark.parametrize("columns", [["age", "bmi", "smoker"], ["sex", "region"]])
def test_columns_of_one_kind(columns, table, strange, illness):
    model = train(table[columns], illness, None)
    check(model, table[columns], strange[columns])


def test_numbers_far_from_zero(illness):
    X = pd.DataFrame({"time": 1_750_000_000.0 + 1000 * np.arange(len(illness))})
    check(train(X, illness, None), X, X - 30_000, X + 30_000)


def test_columns_may_come_in_any_order(table, strange, illness, prior):
    """A ColumnTransformer finds its columns by name."""
    model = train(table, illness, prior)
    found = to_sklearn(model).predict_proba(strange[strange.columns[::-1]])
    np.testing.assert_allclose(found, model.predict_proba(strange))


@pytest.mark.parametrize("output", ["pandas", "polars"])
@pytest.mark.parametrize("name", ["auto", "standard, mean", "own", "curves"])
def test_a_global_request_for_frames_changes_nothing(
    output, name, table, strange, illness, prior
):
    pytest.importorskip(output)
    if name == "curves":
        model = train_curves(table, illness, "ill")
    else:
        model = train(table, illness, prior, **MODELS[name])
    made = to_sklearn(model)
    with config_context(transform_output=output):
        check(model, table, strange)
        found = made.predict_proba(strange)
    np.testing.assert_allclose(found, model.predict_proba(strange))


def test_the_parts_have_names(table, illness, prior):
    pipeline = to_sklearn(train(table, illness, prior, scaler="minmax"))
    names = list(pipeline["table"].get_feature_names_out())
    assert names[:2] == ["numbers__age", "numbers__bmi"]
    assert "levels3__sex_female" in names
    assert pipeline["model"].coef_.shape == (1, len(names))


CURVES = MODELS | {
    "own": {"scaler": RobustScaler(), "imputer": KNNImputer()},
    "bent": {"scaler": QuantileTransformer(n_quantiles=20)},
}
del CURVES["fixed"]


@pytest.mark.parametrize("name", CURVES)
def test_curves(name, table, strange, illness):
    model = train_curves(table, illness, "ill", **CURVES[name])
    assert isinstance(model.net_.module_, AdditiveModel)
    pipeline = check(model, table, strange, strange[:1])
    n_columns = len(pipeline["table"].get_feature_names_out())
    assert pipeline["model"].coef_.shape == (1, n_columns)


def test_curves_of_many_classes(table, strange, stage):
    check(train_curves(table, stage, "early", "late", "middle"), table, strange)


@pytest.mark.parametrize("outputs", [("a",), ("a", "b")])
def test_curves_of_a_regression(outputs, table, strange, risk):
    y = pd.DataFrame({name: 1e3 * i - 1e3 * risk for i, name in enumerate(outputs)})
    y = y["a"] if outputs == ("a",) else y
    check(train_curves(table, y, *outputs, kind=LLMAttributionRegressor), table)


def test_curves_of_an_array(rng):
    X = rng.normal(size=(40, 3))
    prior = {"x0": [(-1, -5), (0, 2), (1, 4)], "x1": 3}
    names = ["x0", "x1", "x2"]
    model = train(X, X[:, 0] > 0, prior, feature_names=names)
    assert isinstance(model.net_.module_, AdditiveModel)
    check(model, X, 3 * X)


def test_the_weights_of_a_curve_are_heights_of_its_shape(table, illness):
    model = train_curves(table, illness, "ill", scaler=None)
    pipeline = to_sklearn(model)
    names = pipeline["table"].get_feature_names_out()
    heights = pipeline["model"].coef_[0, ["__age_sp_" in name for name in names]]
    rows = pd.concat([table[:1]] * 2, ignore_index=True)
    rows["age"] = [0.0, 200.0]
    low, high = model.decision_function(rows)
    assert heights[-1] - heights[0] == pytest.approx(high - low)


def test_a_curve_that_bends_where_values_level_off(table, illness):
    model = train_curves(table, illness, "ill", scaler=BoundedScaler())
    with pytest.raises(ExportError, match=r"Fit with scaler=\"bounded\""):
        to_sklearn(model)


def test_an_mlp_is_no_pipeline(table, illness, prior):
    model = train(table, illness, prior, hidden_layer_sizes=(3,), max_iter=2)
    with pytest.raises(ExportError, match=r"holds a CorrectedModel\. .*to_onnx"):
        to_sklearn(model)
    with pytest.raises(ExportError, match="got str"):
        to_sklearn("model")


PREDICT = """
import pickle, sys

class Absent:
    def find_spec(self, name, *_):
        if name.partition(".")[0] in ("llmreg", "skorch", "torch"):
            raise ImportError(name)

sys.meta_path.insert(0, Absent())
models, X = pickle.load(sys.stdin.buffer)
sys.stdout.buffer.write(pickle.dumps([model.predict(X) for model in models]))
"""


def test_neither_torch_nor_llmreg_is_needed(table, strange, illness, risk, prior):
    models = [
        train(table, illness, prior),
        train(table, risk, prior, LLMAttributionRegressor),
    ]
    pipelines = [to_sklearn(model) for model in models]
    done = subprocess.run(
        [sys.executable, "-c", PREDICT],
        input=pickle.dumps((pipelines, strange)),
        capture_output=True,
        check=True,
    )
    labels, numbers = pickle.loads(done.stdout)
    np.testing.assert_array_equal(labels, models[0].predict(strange))
    np.testing.assert_allclose(numbers, models[1].predict(strange))


# Some of the columns have no such level.
@pytest.mark.filterwarnings("ignore::llmreg.exceptions.PriorMismatchWarning")
@pytest.mark.parametrize("name", LEVELS)
def test_one_value_is_one_level(name, illness):
    X = pd.DataFrame({"s": LEVELS[name], "n": 1.0})
    X = X.iloc[np.resize(np.arange(len(X)), 60)].reset_index(drop=True)
    check(train(X, illness, {"s=1": 3}), X)


@pytest.mark.parametrize(
    "dtype", ["object", "str", "string", "string[pyarrow]", "category"]
)
def test_gaps_of_any_text(dtype, illness):
    X = pd.DataFrame({"s": pd.Series(["", None, "missing"] * 20, dtype=dtype)})
    check(train(X, illness, {"s=missing": 3}), X, X[1:2], X[:1])


NUMBERS = {
    "decimals": [Decimal("1.50"), Decimal("2.0"), Decimal("-0")],
    "decimals as floats": [1.5, 2, 0.0],
    "large numbers": [10**17, 1e22, "z"],
    "large floats": [1e17, 10**22, "z"],
    "decimals and a text": [Decimal("0.10"), Decimal("1E+3"), "z"],
    "small decimals": [Decimal("0.00000015"), True, "z"],
}


@pytest.mark.parametrize("dtype", [object, "category"])
@pytest.mark.parametrize("name", NUMBERS)
def test_numbers_as_levels(name, dtype, illness):
    column = pd.Series(np.resize(np.array(NUMBERS[name], dtype=object), len(illness)))
    X = pd.DataFrame({"s": column.astype(dtype)})
    X.loc[5, "s"] = None
    kinds = {"s": "categorical"}
    model = LLMAttributionClassifier(feature_kinds=kinds).fit(X, illness)
    check(model, X, X.astype(object))


@pytest.mark.parametrize("level", ["\0", "a\0", "\0missing"])
def test_levels_that_numpy_cuts(level, illness):
    X = pd.DataFrame({"s": np.resize(np.array([level, "a"], object), len(illness))})
    model = LLMAttributionClassifier().fit(X, illness)
    with pytest.raises(ExportError, match=r"'s' has the levels .* NUL"):
        to_sklearn(model)
