"""Tables as they come, at the estimators' door; the encoder has tests of its own."""

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    OneHotEncoder,
    RobustScaler,
    StandardScaler,
)

from llmreg import LLMAttributionClassifier, LLMAttributionRegressor
from llmreg.exceptions import (
    DataError,
    FeatureNamesError,
    PriorMismatchWarning,
    UnsupportedColumnError,
)
from llmreg.export import to_sklearn


def make(prior=None, **parameters):
    return LLMAttributionClassifier(prior, random_state=0, device="cpu", **parameters)


def keys(model):
    return list(model.encoder_.get_feature_names_out())


def test_every_kind_of_column(table, illness, prior):
    model = make(prior, gamma=1.0).fit(table, illness)
    assert keys(model) == [
        "age",
        "bmi",
        "smoker",
        "sex=female",
        "sex=male",
        "sex=missing",
        "region=north",
        "region=south",
        "region=west",
    ]
    assert list(model.feature_names_in_) == list(table.columns)
    assert model.n_features_in_ == 5
    assert set(model.predict(table)) <= {"ill", "healthy"}
    assert model.score(table, illness) > 0.7


def test_new_levels_and_new_holes_at_predict_time(table, illness):
    model = make().fit(table, illness)
    new = table.head(4).copy()
    new["region"] = ["east", "north", None, "west"]
    new["sex"] = ["diverse", None, "male", "female"]
    new["smoker"] = pd.array([True, None, False, True], dtype="boolean")
    new["age"] = [np.nan, 30.0, 40.0, 50.0]
    assert np.isfinite(model.predict_proba(new)).all()


def test_a_level_that_only_the_prior_knows(table, illness):
    model = make({"age": 2, "sex=diverse": 9}, gamma=100.0)
    with pytest.warns(PriorMismatchWarning, match="sex=diverse: the levels are female"):
        model.fit(table, illness)
    assert "sex=diverse" in keys(model)
    new = table.head(2).assign(sex=["diverse", "female"], age=40.0, bmi=25.0)
    new = new.assign(smoker=False, region=table["region"][0])
    ill = model.predict_proba(new)[:, list(model.classes_).index("ill")]
    assert ill[0] > ill[1]


@pytest.mark.parametrize("dtype", [bool, "boolean", object])
def test_scores_of_booleans_may_speak_of_levels(dtype):
    garden = np.tile([True, False], 20)
    X = pd.DataFrame({"size": np.arange(40.0), "garden": garden})
    X = X.astype({"garden": dtype})
    model = make({"garden=True": 8}, gamma=100.0).fit(X, np.arange(40) % 3 == 0)
    assert keys(model) == ["size", "garden=False", "garden=True"]
    with_one, without = model.predict_proba(X.assign(size=3.0))[:2, 1]
    assert with_one > without
    pipeline = to_sklearn(model)
    np.testing.assert_allclose(pipeline.predict_proba(X), model.predict_proba(X))
    assert keys(make({"garden": 8}).fit(X.astype({"garden": bool}), garden)) == [*X]


def test_constant_and_empty_columns(table, illness):
    X = table.assign(constant=3.0, same="x", empty=np.nan)
    model = make().fit(X, illness)
    assert np.isfinite(model.predict_proba(X)).all()


def test_scaling_is_learnt_from_the_training_rows_only(table, illness):
    model = make().fit(table, illness)
    extreme = table.copy()
    extreme.loc[0, "age"] = 1e9
    before = model.predict_proba(table.iloc[1:])
    model.predict_proba(extreme)
    np.testing.assert_array_equal(model.predict_proba(table.iloc[1:]), before)
    assert model.encoder_.scaler_.data_max_[0] == table["age"].max()


def test_rows_of_weight_zero_do_not_reach_the_scaling(table, illness):
    X = table.copy()
    X.loc[5, "age"] = 1e9
    weight = np.ones(len(X))
    weight[5] = 0
    model = make().fit(X, illness, sample_weight=weight)
    without = make().fit(X.drop(5), illness.drop(5))
    np.testing.assert_allclose(model.predict_proba(X), without.predict_proba(X))


def test_preprocessing_can_be_replaced_or_turned_off(table, illness):
    numbers = table[["age", "bmi"]].fillna(25.0)
    plain = make(scaler=None, imputer=None, encoder=None).fit(numbers, illness)
    np.testing.assert_array_equal(plain.encoder_.transform(numbers), numbers)
    robust = make(scaler=RobustScaler()).fit(numbers, illness)
    np.testing.assert_allclose(
        robust.encoder_.transform(numbers), RobustScaler().fit_transform(numbers)
    )
    with pytest.raises(ValueError, match="contains NaN"):
        make(imputer=None).fit(table, illness)
    with pytest.raises(UnsupportedColumnError, match=r"'sex'.*encoder=None"):
        make(encoder=None).fit(table, illness)


def one_hot(table):
    return ColumnTransformer(
        [
            ("num", StandardScaler(), ["age", "bmi"]),
            ("cat", OneHotEncoder(sparse_output=False), ["sex", "region"]),
            ("flag", "passthrough", ["smoker"]),
        ]
    )


def test_prior_by_original_names_behind_a_column_transformer(table, illness, prior):
    prior.pop("region=west")
    columns = one_hot(table).set_output(transform="pandas")
    pipeline = make_pipeline(columns, make(prior)).fit(table, illness)
    found = pipeline[-1].prior_
    scores = dict(zip(found.features, found.scores[0], strict=True))
    assert scores["num__age"] == 6
    assert scores["cat__sex_male"] == 1
    assert scores["flag__smoker"] == 8
    assert np.isnan(scores["cat__region_north"])


def test_prior_by_original_names_with_feature_names(table, illness, prior):
    prior.pop("region=west")
    columns = one_hot(table)
    with pytest.raises(FeatureNamesError, match="feature_names="):
        make_pipeline(columns, make(prior)).fit(table, illness)
    names = columns.fit(table).get_feature_names_out()
    pipeline = make_pipeline(columns, make(prior, feature_names=list(names)))
    scores = pipeline.fit(table, illness)[-1].prior_.scores[0]
    assert np.nansum(scores) == 6 + 5 + 1 + 8


def test_feature_names_may_rename_some(table, illness):
    X = table.rename(columns={"age": "v1"})
    model = make({"age": 3, "bmi": 2}, feature_names={"v1": "age"}).fit(X, illness)
    assert model.prior_.features[0] == "age"
    assert model.feature_names_in_[0] == "v1"


def test_a_series_of_feature_names_has_no_order(table, illness):
    X = table[["age", "bmi"]].rename(columns={"age": "v1", "bmi": "v2"})
    names = pd.Series({"v2": "bmi", "v1": "age"})
    for given in (names, pd.Series(["age", "bmi"])):
        model = make({"age": 3, "bmi": 2}, feature_names=given).fit(X, illness)
        assert model.prior_.features == ("age", "bmi")


def test_strings_pass_through_a_column_transformer(table, illness, prior):
    columns = ColumnTransformer(
        [("num", StandardScaler(), ["age"]), ("raw", "passthrough", ["sex", "region"])]
    ).set_output(transform="pandas")
    prior = {"age": 6, "sex=male": 1, "sex=diverse": -3, "region=west": -2}
    with pytest.warns(PriorMismatchWarning, match="sex=diverse: the levels are female"):
        model = make_pipeline(columns, make(prior)).fit(table, illness)[-1]
    scores = dict(zip(model.prior_.features, model.prior_.scores[0], strict=True))
    assert scores["raw__sex=male"] == 1
    assert scores["raw__sex=diverse"] == -3
    assert scores["raw__region=west"] == -2


def test_two_columns_for_one_name(table, illness):
    X = table[["age", "bmi"]].assign(num__age=1.0)
    for names in (["age", "num__age"], ["cat__age", "num__age"]):
        X = X.set_axis([names[0], "bmi", names[1]], axis=1)
        with pytest.raises(FeatureNamesError, match=f"'{names[0]}', 'num__age'"):
            make({"age": 3, "bmi": 1}).fit(X, illness)


def test_object_arrays(table, illness):
    X = table[["age", "sex"]].to_numpy(dtype=object)
    model = make(feature_names=["age", "sex"]).fit(X, illness)
    assert keys(model) == ["age", "sex=female", "sex=male", "sex=missing"]
    assert model.predict(X).shape == (len(X),)


def test_columns_in_another_order_are_refused(table, illness):
    model = make().fit(table, illness)
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(table[table.columns[::-1]])
    with pytest.raises(ValueError, match=r"feature names|features"):
        model.predict(table.drop(columns="age"))


def test_many_columns(illness, rng):
    X = pd.DataFrame(rng.random((len(illness), 3000))).add_prefix("x")
    model = make({"x0": 3, "x1": -2}).fit(X, illness)
    assert model.coef_.shape == (1, 3000)


def test_index_of_the_table_does_not_matter(table, illness):
    shuffled = table.set_axis(np.roll(np.arange(len(table)) % 7, 3))
    np.testing.assert_array_equal(
        make().fit(shuffled, illness).predict_proba(shuffled),
        make().fit(table, illness).predict_proba(table),
    )


def test_regressor_takes_raw_tables_too(table, risk, prior):
    scores = make_pipeline(
        FunctionTransformer(),
        LLMAttributionRegressor(prior, gamma=1.0, random_state=0, device="cpu"),
    )
    assert scores.fit(table, risk).score(table, risk) > 0.5


@pytest.mark.parametrize("dtype", [float, np.float32, int, object])
def test_what_is_masked_is_a_gap(dtype):
    X = np.arange(1, 41).reshape(20, 2).astype(dtype)
    y = np.arange(20) % 2
    gaps = np.where(X == 6, np.nan, X.astype(float))
    hidden = np.ma.masked_array(np.where(X == 6, 999, X).astype(dtype), mask=X == 6)
    model = make([1, 5]).fit(gaps, y)
    expected = model.predict_proba(gaps)
    np.testing.assert_allclose(model.predict_proba(hidden), expected, rtol=1e-6)
    found = model.fit(hidden, y).predict_proba(hidden)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_a_masked_label_is_missing():
    y = np.ma.masked_array(np.arange(20) % 2, mask=np.arange(20) == 3)
    with pytest.raises(DataError, match="1 missing label"):
        make([1]).fit(np.arange(20.0)[:, None], y)


def test_nothing_masked_is_no_gap():
    y = np.ma.masked_array(np.arange(20) % 2, mask=False)
    assert make().fit(np.arange(20.0)[:, None], y).classes_.tolist() == [0, 1]
