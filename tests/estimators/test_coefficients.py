"""`coef_` fits the columns of the table, or says why it is not there."""

import pickle
import warnings
from functools import partial

import numpy as np
import pandas as pd
import pytest
from sklearn.base import is_classifier
from sklearn.exceptions import NotFittedError
from sklearn.feature_selection import RFE, SelectFromModel
from sklearn.impute import KNNImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.preprocessing import MinMaxScaler, QuantileTransformer, StandardScaler
from torch import nn

from llmreg import LLMAttributionClassifier, LLMAttributionRegressor
from llmreg.exceptions import CoefficientsError
from llmreg.export import to_sklearn

PRIOR = {"x0": 5, "x1": -3}
SCALERS = {
    "bounded": "bounded",
    "minmax": "minmax",
    "standard": "standard",
    "none": None,
    "own standard": StandardScaler(),
    "own, not centred": StandardScaler(with_mean=False),
    "own, not scaled": StandardScaler(with_std=False),
    "own, neither": StandardScaler(with_mean=False, with_std=False),
    "own minmax": MinMaxScaler((-1, 3)),
}


def rows(*, n_samples=60, units=1.0, dtype=np.float64):
    X = np.random.default_rng(0).normal([50, 2, 0, -7], [10, 0.3, 1, 2], (n_samples, 4))
    X = (X * units).astype(dtype)
    return pd.DataFrame(X, columns=["x0", "x1", "x2", "x3"])


def targets(X, kind):
    X = pd.DataFrame(X).astype(float)
    z = ((X - X.mean()) / X.std()).fillna(0).to_numpy()
    score = z @ [2, -1, 0.5, 0]
    return {
        "two classes": score > 0,
        "three classes": np.digitize(score, [-1, 1]),
        "target": 1000 + 300 * score,
        "targets": np.c_[score, 5 - 20 * z[:, 1]],
    }[kind]


KINDS = ["two classes", "three classes", "target", "targets"]


def train(X, kind, prior=PRIOR, **parameters):
    make = LLMAttributionRegressor if "target" in kind else LLMAttributionClassifier
    outputs = {"three classes": "012", "targets": ("y0", "y1")}.get(kind)
    prior = dict.fromkeys(outputs, prior) if prior and outputs else prior
    model = make(prior, random_state=0, device="cpu", **parameters)
    return model.fit(X, targets(X, kind))


def says(model, X):
    method = "decision_function" if is_classifier(model) else "predict"
    return getattr(model, method)(X)


def check_coefficients(model, X, **tolerance):
    """The weighted columns are what the model says."""
    found = np.asarray(X, dtype=float) @ model.coef_.T + model.intercept_
    expected = says(model, X)
    np.testing.assert_allclose(found.reshape(expected.shape), expected, **tolerance)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scaler", SCALERS)
def test_they_fit_the_columns_of_the_table(kind, scaler):
    X = rows()
    # Of values as they are the penalty has no unit to go by: `alpha` alone.
    model = train(X, kind, None if scaler == "none" else PRIOR, scaler=SCALERS[scaler])
    single = (
        () if kind == "target" else ({"three classes": 3, "targets": 2}.get(kind, 1),)
    )
    assert model.coef_.shape == (*single, 4)
    assert np.shape(model.intercept_) == single
    assert kind != "target" or isinstance(model.intercept_, float)
    check_coefficients(model, X, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "parameters",
    [
        {"gamma": 0},
        {"gamma": 3.0},
        {"solver": "adam", "max_iter": 5, "gamma": 1.0},
        {"attribution": "input_x_gradient", "gamma": 1.0},
        {"imputer": None},
    ],
)
def test_they_do_so_however_the_model_is_trained(kind, parameters):
    X = rows()
    check_coefficients(train(X, kind, **parameters), X, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scaler", ["bounded", "minmax", "standard"])
@pytest.mark.parametrize(
    "units",
    [1e-30, 1e30, 1e-100, 1e100, [1e30, 1e-30, 1e-38, 1e35]],
    ids=["1e-30", "1e30", "1e-100", "1e100", "mixed"],
)
def test_in_units_of_any_size(kind, scaler, units):
    X, plain = rows(units=units), rows()
    model, usual = train(X, kind, scaler=scaler), train(plain, kind, scaler=scaler)
    check_coefficients(model, X, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(
        model.coef_ * units, usual.coef_, rtol=1e-5, atol=1e-5 * np.ptp(usual.coef_)
    )


@pytest.mark.parametrize("unit", [1e-30, 1e38])
def test_targets_of_any_size(unit):
    X = rows()
    model = LLMAttributionRegressor(PRIOR).fit(X, unit * targets(X, "target"))
    check_coefficients(model, X, rtol=1e-9)


@pytest.mark.parametrize("scaler", ["bounded", "minmax", "standard"])
@pytest.mark.parametrize("constant", [7.0, 1e38, -1e-30])
def test_a_constant_column_has_no_weight(scaler, constant):
    X = rows().assign(x2=constant)
    model = train(X, "two classes", scaler=scaler)
    assert model.coef_[0, 2] == 0
    check_coefficients(model, X, rtol=1e-9, atol=1e-9)


def test_a_constant_target_has_no_weights():
    model = LLMAttributionRegressor(PRIOR).fit(rows(), np.full(60, 3.5))
    assert not model.coef_.any()
    assert model.intercept_ == 3.5


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [np.float32, np.int64, bool, object])
def test_columns_of_any_numeric_type(kind, dtype):
    X = rows(units=np.where(dtype is bool, 0.5, 1.0))
    X = (X > X.median()).astype(bool) if dtype is bool else X.astype(dtype)
    atol = 1e-5 if dtype is np.float32 else 1e-9
    for table in (X, X.to_numpy()):
        check_coefficients(train(table, kind), table, rtol=1e-5, atol=atol)


def test_gaps_are_none_of_their_business():
    """Rows without gaps are weighted as ever, and of others the sum is no number."""
    X = rows()
    X.iloc[::7, 1] = np.nan
    model = train(X, "two classes")
    whole = X.dropna()
    check_coefficients(model, whole, rtol=1e-9, atol=1e-9)
    assert np.isnan(X.to_numpy() @ model.coef_[0])[::7].all()


def test_beyond_the_training_rows_they_hold_unless_values_level_off():
    X = rows()
    far = X.assign(x0=3 * X["x0"].max())
    check_coefficients(train(X, "target", scaler="minmax"), far)
    bounded = train(X, "target")
    assert bounded.coef_[0] > 0
    assert (bounded.predict(far) < far @ bounded.coef_ + bounded.intercept_).all()


def test_they_follow_the_model_as_it_goes_on():
    X = rows()
    model = train(X, "two classes", warm_start=True, gamma=1.0)
    before = model.coef_
    model.partial_fit(X, targets(X, "two classes"))
    assert not np.array_equal(model.coef_, before)
    check_coefficients(model, X, rtol=1e-9, atol=1e-9)
    check_coefficients(pickle.loads(pickle.dumps(model)), X, rtol=1e-9, atol=1e-9)


def test_models_of_an_earlier_version_hold_other_weights():
    X = rows()
    model = train(X, "two classes")
    model.__dict__["coef_"] = model.attributions_
    check_coefficients(pickle.loads(pickle.dumps(model)), X, rtol=1e-9, atol=1e-9)


# Where they are not there


def of_levels(**changes):
    return partial(LLMAttributionClassifier, {"x0": 5}, **changes)


def sexes():
    return rows().assign(sex=["f", "m"] * 30)


ABSENT = {
    "hidden layer": (
        of_levels(hidden_layer_sizes=3, max_iter=2),
        rows(),
        "Only linear models have coef_; this one holds a CorrectedModel",
    ),
    "module": (of_levels(module=nn.Linear, max_iter=2), rows(), "Only linear models"),
    "scaler": (
        of_levels(scaler=QuantileTransformer(n_quantiles=5)),
        rows(),
        "the scaler QuantileTransformer .*Give scaler as a string",
    ),
    "clipped": (
        of_levels(scaler=MinMaxScaler(clip=True)),
        rows(),
        "the scaler MinMaxScaler",
    ),
    "imputer": (of_levels(imputer=KNNImputer()), rows(), "the imputer KNNImputer"),
}


@pytest.mark.parametrize("case", ABSENT)
def test_elsewhere_an_error_says_what_to_call(case):
    make, X, message = ABSENT[case]
    model = make(random_state=0, device="cpu").fit(X, targets(rows(), "two classes"))
    for name in ("coef_", "intercept_"):
        assert not hasattr(model, name)
        with pytest.raises(CoefficientsError, match=message) as caught:
            getattr(model, name)
        for call in ("attributions_", "shap.KernelExplainer(", "importance_getter"):
            assert call in str(caught.value)
    assert model.attributions_.shape == (1, len(model.encoder_.columns_))


USES = {
    "rows": lambda coef, X: X @ coef.T,
    "one row": lambda coef, X: coef @ X[0],
    "parts": lambda coef, X: coef * (X - X.mean(axis=0)),
    "dot": lambda coef, X: np.dot(X, coef.T),
    "columns": lambda coef, X: np.linalg.norm(coef, axis=0),
}


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("kinds", [None, {"x1": "categorical"}])
def test_weights_of_levels_are_not_taken_for_those_of_columns(kinds, use):
    X = rows().round(0) if kinds else sexes()
    model = of_levels(feature_kinds=kinds, device="cpu")()
    model.fit(X, targets(rows(), "two classes"))
    assert model.coef_.shape == (1, len(model.encoder_.columns_))
    assert type(np.abs(model.coef_)) is np.ndarray
    assert np.abs(model.coef_).max() > 0
    np.testing.assert_array_equal(model.coef_.round(2), np.round(model.coef_, 2))
    encoded = model.encoder_.encode(X)
    logits = encoded @ model.coef_.T + model.intercept_
    np.testing.assert_allclose(logits[:, 0], model.decision_function(X))
    table = np.ones((len(X), X.shape[1]))
    with pytest.raises(CoefficientsError, match="none for a column of the table") as e:
        USES[use](model.coef_, table)
    for call in ("attributions_", "shap.KernelExplainer(", "importance_getter"):
        assert call in str(e.value)


def test_weights_that_are_no_numbers_are_not_there():
    """A target of 1e290 by columns of 1e-30."""
    X = rows(units=1e-30)
    model = LLMAttributionRegressor(PRIOR).fit(X, 1e290 * targets(X, "target"))
    assert np.isfinite(model.predict(X)).all()
    with pytest.raises(CoefficientsError, match="are too large for numbers"):
        model.coef_  # noqa: B018


@pytest.mark.parametrize("make", [LLMAttributionClassifier, LLMAttributionRegressor])
def test_before_fit_there_are_none(make):
    assert not hasattr(make(), "coef_")
    with pytest.raises(NotFittedError):
        make().intercept_  # noqa: B018


# Those who read them


@pytest.fixture
def shap():
    with warnings.catch_warnings():
        # What shap says of others while it is imported is not ours.
        warnings.simplefilter("ignore")
        numba = pytest.importorskip("numba")
        # Compiling would take longer than what it speeds up.
        numba.config.DISABLE_JIT = True
        return pytest.importorskip("shap")


@pytest.mark.parametrize("scaler", ["bounded", "minmax", "standard"])
@pytest.mark.parametrize("kind", KINDS)
def test_shap_finds_what_it_finds_of_scikit_learn(kind, scaler, shap):
    X = rows()
    model = train(X, kind, scaler=scaler)
    twin = LogisticRegression() if is_classifier(model) else LinearRegression()
    twin.coef_, twin.intercept_ = model.coef_, model.intercept_
    explainer = shap.Explainer(model, X)
    assert type(explainer) is shap.LinearExplainer
    found, theirs = explainer(X), shap.LinearExplainer(twin, X)(X)
    np.testing.assert_array_equal(found.values, theirs.values)
    total = found.values.sum(axis=1) + found.base_values
    np.testing.assert_allclose(total, says(model, X), rtol=1e-9, atol=1e-9)


def test_shap_is_no_trap_for_a_table_with_levels(shap):
    X = sexes()
    model = of_levels()().fit(X, targets(rows(), "two classes"))
    for explainer in (shap.Explainer, shap.LinearExplainer):
        with pytest.raises(CoefficientsError, match=r"shap\.KernelExplainer"):
            explainer(model, rows())(rows())
    pipeline = to_sklearn(model)
    encoded = pipeline["table"].transform(X)
    found = shap.LinearExplainer(pipeline["model"], encoded)(encoded)
    total = found.values.sum(axis=1) + found.base_values
    np.testing.assert_allclose(total, model.decision_function(X))


@pytest.mark.parametrize("unit", [1.0, 1e-3, 1e6])
def test_columns_are_selected_by_units_or_without(unit):
    X = rows(units=[1, 1, 1, unit])
    model = of_levels(random_state=0, device="cpu")()
    y = targets(rows(), "two classes")
    select = SelectFromModel(model, max_features=1, threshold=-np.inf)
    # As of any weights in units: the smaller the unit, the larger the weight.
    picked = select.fit(X, y).get_feature_names_out()
    assert (unit < 1) == (picked == ["x3"])
    select.set_params(importance_getter="attributions_", max_features=2)
    assert [*select.fit(X, y).get_feature_names_out()] == ["x0", "x1"]
    elimination = RFE(model, n_features_to_select=2, importance_getter="attributions_")
    assert [*elimination.fit(X, y).get_feature_names_out()] == ["x0", "x1"]


def by_column(model):
    """Give the largest weight of each column of the table."""
    columns = [column.name for column in model.encoder_.columns_]
    weights = pd.DataFrame(np.abs(model.attributions_.T), index=columns)
    return weights.groupby(level=0, sort=False).max().max(axis=1).to_numpy()


def test_columns_with_levels_are_selected_when_asked_rightly():
    X, y = sexes(), targets(rows(), "two classes")
    model = of_levels(random_state=0, device="cpu")()
    select = SelectFromModel(model, max_features=2, threshold=-np.inf)
    with pytest.raises(CoefficientsError, match="SelectFromModel takes"):
        select.fit(X, y).get_support()
    select.set_params(importance_getter=by_column).fit(X, y)
    assert [*select.get_feature_names_out()] == ["x0", "x1"]
