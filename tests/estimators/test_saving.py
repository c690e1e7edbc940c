"""What is saved comes back as it was: joblib for all, skops for what is exported."""

from pathlib import Path

import joblib
import numpy as np
import pytest
from sklearn.base import clone

from llmreg import LLMAttributionClassifier, LLMAttributionRegressor
from llmreg.export import to_sklearn

KINDS = {
    "classifier": (LLMAttributionClassifier, "illness"),
    "regressor": (LLMAttributionRegressor, "risk"),
}


def train(kind, request, prior, **options):
    estimator, target = KINDS[kind]
    y = request.getfixturevalue(target)
    model = estimator(prior, random_state=0, device="cpu", **options)
    return model.fit(request.getfixturevalue("table"), y)


@pytest.mark.parametrize("hidden_layer_sizes", [(), (4,)], ids=["linear", "mlp"])
@pytest.mark.parametrize("kind", KINDS)
def test_joblib(kind, hidden_layer_sizes, request, table, prior, tmp_path):
    model = train(
        kind, request, prior, hidden_layer_sizes=hidden_layer_sizes, max_iter=20
    )
    joblib.dump(model, tmp_path / "model.joblib")
    read = joblib.load(tmp_path / "model.joblib")
    np.testing.assert_array_equal(read.predict(table), model.predict(table))
    assert read.prior_.to_json() == model.prior_.to_json()
    assert str(read.trust_) == str(model.trust_)
    assert read.get_params() == model.get_params()
    np.testing.assert_array_equal(read.attributions_, model.attributions_)


LATER = ("trees", "feature_kinds", "on_unit_mismatch", "biased_features")


@pytest.mark.parametrize(
    ("kind", "later"), [("classifier", "base_rate"), ("regressor", "loss")]
)
def test_a_pickle_of_0_1_can_be_shown_and_cloned(kind, later, request, table, prior):
    model = train(kind, request, prior, trees=None)
    state = {
        name: value
        for name, value in model.__getstate__().items()
        if name not in (*LATER, later, "trees_")
    }
    read = type(model).__new__(type(model))
    read.__setstate__(state)
    assert repr(read) == repr(model)
    assert "net__params" not in vars(read)
    assert clone(read).get_params() == model.get_params()
    np.testing.assert_array_equal(read.predict(table), model.predict(table))


# What docs/saving.md tells its readers to trust.
TRUSTED = [
    "numpy.array",
    "numpy.clip",
    "numpy.dtype",
    "numpy.expand_dims",
    "pandas.Categorical",
    "pandas.Series",
]
# And of models with curves.
OF_SPLINES = [
    "scipy._lib.array_api_compat.numpy._aliases.asarray",
    "scipy.interpolate._bsplines.BSpline",
]


@pytest.mark.parametrize("scaler", ["bounded", "minmax"])
@pytest.mark.parametrize("kind", KINDS)
def test_skops(kind, scaler, request, table, prior, tmp_path):
    io = pytest.importorskip("skops.io")
    model = train(kind, request, prior, scaler=scaler)
    io.dump(to_sklearn(model), tmp_path / "model.skops")
    read = io.load(tmp_path / "model.skops", trusted=TRUSTED)
    found, expected = read.predict(table), model.predict(table)
    if kind == "classifier":
        np.testing.assert_array_equal(found, expected)
    else:
        np.testing.assert_allclose(found, expected)


def test_skops_of_curves(request, table, prior, tmp_path):
    io = pytest.importorskip("skops.io")
    prior["age"] = [(20, -2), (45, 1), (80, 6)]
    model = train("classifier", request, prior)
    io.dump(to_sklearn(model), tmp_path / "model.skops")
    read = io.load(tmp_path / "model.skops", trusted=TRUSTED + OF_SPLINES)
    np.testing.assert_array_equal(read.predict(table), model.predict(table))


def test_the_page_names_what_to_trust():
    page = Path(__file__).parents[2] / "docs/saving.md"
    text = page.read_text(encoding="utf-8")
    assert all(f'"{name}"' in text for name in TRUSTED + OF_SPLINES)
