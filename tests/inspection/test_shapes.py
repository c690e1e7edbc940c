"""The numbers behind shapes: they sum up to the model, and to what the prior says."""

import pickle
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.preprocessing import QuantileTransformer

from llmreg import FeaturePrior, LLMAttributionClassifier, LLMAttributionRegressor
from llmreg.exceptions import CoefficientsError
from llmreg.inspection import shapes

CURVE = [(20, -6), (40, 0), (60, 2), (80, 8)]


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    table = {
        "age": rng.integers(15, 85, 90).astype(float),
        "dose": rng.uniform(0, 3, 90),
        "sex": rng.choice(["f", "m", "x"], 90),
    }
    table["age"][:9] = -1.0
    return pd.DataFrame(table)


@pytest.fixture(scope="module")
def prior():
    said = {"age": CURVE, "dose": -2, "sex=f": 1, "sex=m": -2, "sex=x": np.nan}
    prior = FeaturePrior.from_dict(said)
    curve = replace(prior.curves["age"], special={-1.0: np.array([3.0])})
    return replace(prior, curves={"age": curve})


@pytest.fixture(scope="module")
def labels(rows):
    rng = np.random.default_rng(1)
    return np.where(rows["age"] + 9 * rng.normal(size=90) > 45, "ill", "well")


def summed(found, rows):
    """Sum the shapes up at rows, as what they say of themselves has it."""
    total = 0.0
    for name, shape in found.items():
        column = rows[name].to_numpy()
        if shape.is_levels:
            total += shape.learnt[:, [shape.values.index(level) for level in column]]
            continue
        heights = shape(column)
        for code, at_code in shape.special.items():
            heights[:, np.isclose(column, code)] = at_code[0][:, None]
        total += heights
    return total


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"scaler": "standard"},
        {"scaler": "minmax"},
        {"prior": None},
        {"prior": {"age": 3}, "gamma": 10.0},
        {"prior": {"age": 3, "sex=f": 1}},
    ],
)
def test_shapes_sum_up_to_the_model(rows, labels, prior, changes):
    model = LLMAttributionClassifier(**{"prior": prior} | changes).fit(rows, labels)
    found = shapes(model, rows)
    total = summed(found, rows)
    rest = model.decision_function(rows) - total[0]
    np.testing.assert_allclose(rest, rest.mean(), atol=1e-9)
    assert total.mean() == pytest.approx(0, abs=1e-9)


def test_targets_have_their_units(rows, prior):
    y = pd.DataFrame({"rent": 9.0 * rows["age"], "room": rows["dose"]})
    prior = {"rent": {"age": CURVE, "dose": 1}, "room": {"dose": [(0, -3), (3, 3)]}}
    model = LLMAttributionRegressor(prior).fit(rows, y)
    found = shapes(model, rows)
    rest = model.predict(rows).T - summed(found, rows)
    np.testing.assert_allclose(rest, rest.mean(axis=1, keepdims=True) + 0 * rest)
    assert np.isnan(found["age"].said[1]).all()
    assert np.isnan(found["sex"].said).all()


def test_what_was_said_is_the_curve_at_one_length(rows, labels, prior):
    model = LLMAttributionClassifier(prior).fit(rows, labels)
    age = shapes(model)["age"]
    curve = prior.curves["age"]
    knots = np.isin(age.values.round(6), curve.values)
    said = age.said[0, knots]
    ratio = np.diff(said) / np.diff(curve.effects[0])
    assert ratio == pytest.approx(np.full(3, ratio[0]))
    assert ratio[0] > 0
    learnt, told = age.special[-1.0]
    assert told[0] - said[0] == pytest.approx(9 * ratio[0])
    assert learnt.shape == (1,)
    sex = shapes(model)["sex"]
    assert sex.values == ("f", "m", "x")
    assert sex.said[0, 0] - sex.said[0, 1] == pytest.approx(3 * ratio[0])
    # Of "x" nothing was said.
    assert np.isnan(sex.said[0]).tolist() == [False, False, True]


def test_what_was_said_of_one_level_alone_is_not_zero(rows, labels):
    prior = {"age": 3, "sex=m": 2}
    found = shapes(LLMAttributionClassifier(prior).fit(rows, labels), rows)["sex"]
    assert found.said[0, 1] > 0
    assert np.isnan(found.said[0]).tolist() == [True, False, True]


def test_rows_are_in_their_units_and_counted(rows, labels, prior):
    found = shapes(LLMAttributionClassifier(prior).fit(rows, labels), rows)
    np.testing.assert_allclose(found["age"].rows, rows["age"])
    counts = rows["sex"].value_counts()
    assert found["sex"].rows.tolist() == [counts[level] for level in "fmx"]
    assert shapes(LLMAttributionClassifier().fit(rows, labels))["sex"].rows is None


def test_constant_columns_have_no_shape_unless_a_curve_says_where(rows, labels, prior):
    rows = rows.assign(age=50.0, dose=1.0)
    found = shapes(LLMAttributionClassifier(prior).fit(rows, labels), rows)
    assert list(found) == ["age", "sex"]


def test_a_scaler_of_ones_own_may_bend_lines(rows, labels):
    scaler = QuantileTransformer(n_quantiles=20)
    model = LLMAttributionClassifier({"dose": 3}, scaler=scaler).fit(rows, labels)
    found = shapes(model)["dose"]
    assert len(found.values) > 2
    assert found.values[[0, -1]] == pytest.approx(
        [rows["dose"].min(), rows["dose"].max()]
    )


def test_corrections_are_left_out(rows, labels, prior):
    model = LLMAttributionClassifier(prior, hidden_layer_sizes=(4,), max_iter=5)
    linear = shapes(LLMAttributionClassifier(prior).fit(rows, labels))
    found = shapes(model.fit(rows, labels))
    np.testing.assert_allclose(found["age"].learnt, linear["age"].learnt)


def test_deviations_are_those_of_heights(rows, labels, prior):
    model = LLMAttributionClassifier(prior).fit(rows, labels)
    basis = model.net_.module_.basis
    n_own = len(basis.low) + len(basis.codes)
    # Of features where they begin, then of weights: segments, codes, other columns.
    known = np.arange(3 + n_own + 4)[None].astype(float)
    trust = replace(model.trust_, shape_deviations=known)
    model = pickle.loads(pickle.dumps(model))
    model.trust_ = trust
    found = shapes(model)
    own = 3.0 + np.arange(len(basis.low))
    assert found["age"].deviations.tolist() == [[0.0, *own]]
    assert found["sex"].deviations.tolist() == [[3 + n_own + i for i in (1.0, 2, 3)]]
    at_code = found["age"].special_deviations[-1.0]
    assert at_code.tolist() == [3.0 + len(basis.low)]
    # A straight line is sure where the rows are on average.
    mean = 1 / (1 + 3 + n_own)
    np.testing.assert_allclose(
        found["dose"].deviations, [[1.0, 0.0, (1 + 3 + n_own) * (1 - mean)]]
    )


def test_deviations_fall_with_more_rows(rows, labels, prior):
    model = LLMAttributionClassifier(prior)
    few, many = (shapes(model.fit(rows[:n], labels[:n]), rows) for n in (20, len(rows)))
    for name in ("age", "dose", "sex"):
        few_sure, sure = few[name].deviations, many[name].deviations
        assert sure.shape == many[name].learnt.shape
        assert 0 < sure.mean() < few_sure.mean()


def test_what_has_no_shapes_is_refused(rows, labels):
    deep = LLMAttributionClassifier(gamma=0, hidden_layer_sizes=(3,), max_iter=2)
    with pytest.raises(CoefficientsError, match="holds a MLP"):
        shapes(deep.fit(rows, labels))
    with pytest.raises(TypeError, match=r"shapes needs .* got dict"):
        shapes({})
    with pytest.raises(NotFittedError):
        shapes(LLMAttributionClassifier())
