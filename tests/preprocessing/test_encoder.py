import pickle
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import config_context
from sklearn.base import clone
from sklearn.impute import KNNImputer, SimpleImputer
from sklearn.preprocessing import MinMaxScaler, RobustScaler, StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from llmreg.exceptions import (
    DataError,
    EncodingError,
    FeatureNamesError,
    UnsupportedColumnError,
)
from llmreg.preprocessing._encoder import TableEncoder
from llmreg.prior._names import describe
from llmreg.prior._task import Feature


@parametrize_with_checks(
    [TableEncoder(), TableEncoder(scaler="standard", imputer=None, encoder=None)]
)
def test_sklearn_checks(estimator, check):
    check(estimator)


def encode(X, **options):
    return TableEncoder(**options).fit(X).transform(X)


def names(X, **options):
    return TableEncoder(**options).fit(X).get_feature_names_out().tolist()


# Tables


def test_a_whole_table(table):
    encoder = TableEncoder().fit(table)
    assert encoder.get_feature_names_out().tolist() == [
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
    assert encoder.columns_[4] == Feature("sex", level="male")
    assert encoder.n_features_in_ == 5
    matrix = encoder.transform(table)
    assert matrix.dtype == np.float64
    assert matrix.shape == (len(table), 9)
    assert matrix.min() == 0
    assert matrix.max() == pytest.approx(1)
    np.testing.assert_array_equal(matrix[:, 2], table["smoker"])
    np.testing.assert_array_equal(matrix[:, 3:6].sum(axis=1), 1)
    np.testing.assert_array_equal(matrix[:, 4], table["sex"] == "male")
    assert matrix[3, 5] == 1
    assert not matrix[:, 8].any()
    filled = table["bmi"].fillna(table["bmi"].median())
    scaled = MinMaxScaler().fit_transform(filled.to_frame())
    np.testing.assert_allclose(matrix[:, [1]], scaled)


def test_the_order_is_that_of_the_table():
    X = pd.DataFrame({"s": ["b", "a"], "n": [1, 2], "c": ["u", "v"], "m": [3, 4]})
    assert names(X) == ["s=a", "s=b", "n", "c=u", "c=v", "m"]
    np.testing.assert_array_equal(encode(X), [[0, 1, 0, 1, 0, 0], [1, 0, 1, 0, 1, 1]])


def test_only_levels():
    X = pd.DataFrame({"s": ["b", "a"]})
    encoder = TableEncoder().fit(X)
    assert encoder.scaler_ is None
    assert encoder.imputer_ is None
    np.testing.assert_array_equal(encoder.transform(X), [[0, 1], [1, 0]])


@pytest.mark.parametrize("dtype", ["Int64", "Float64", "boolean", "object"])
def test_gaps_of_numeric_columns_are_filled(dtype):
    X = pd.DataFrame({"n": pd.Series([0, 1, 1, None], dtype=dtype)})
    np.testing.assert_array_equal(encode(X), [[0], [1], [1], [1]])


def test_constant_and_empty_columns():
    X = pd.DataFrame(
        {
            "same": [7, 7],
            "empty": [np.nan, np.nan],
            "none": pd.Series([None, None], dtype=object),
            "text": pd.Series([None, None], dtype="str"),
            "level": pd.Categorical([None, None], categories=["a"]),
        }
    )
    expected = ["same", "empty", "none=missing", "text=missing", "level=a"]
    assert names(X) == [*expected, "level=missing"]
    np.testing.assert_array_equal(encode(X), [[0, 0, 1, 1, 0, 1]] * 2)
    filled = pd.DataFrame([[7, 3, "x", "x", "a"]], columns=X.columns)
    np.testing.assert_array_equal(
        TableEncoder().fit(X).transform(filled), [[0, 3, 0, 0, 1, 0]]
    )


def test_one_row(table):
    assert np.isfinite(encode(table.iloc[[0]])).all()


def test_duplicate_and_odd_names():
    X = pd.DataFrame([[1, "a", 3.0], [2, "b", 4.0]], columns=["n", "n", ("t", None)])
    assert names(X) == ["n", "n=a", "n=b", "('t', None)"]
    np.testing.assert_array_equal(encode(X), [[0, 1, 0, 0], [1, 0, 1, 1]])


# Levels


def test_unseen_levels_are_zeros_without_a_warning():
    train = pd.DataFrame({"s": ["a", "b"], "c": pd.Categorical(["a", "b"])})
    encoder = TableEncoder().fit(train)
    new = pd.DataFrame({"s": ["c", None], "c": ["c", None]})
    np.testing.assert_array_equal(encoder.transform(new), np.zeros((2, 4)))


def test_a_category_column_opens_its_declared_levels():
    column = pd.Categorical(["low", None], categories=["low", "mid", "high"])
    X = pd.DataFrame({"dose": column})
    assert names(X) == ["dose=low", "dose=mid", "dose=high", "dose=missing"]
    assert names(X, levels={"dose": ["top", "mid", "best"]}) == [
        "dose=low",
        "dose=mid",
        "dose=high",
        "dose=best",
        "dose=top",
        "dose=missing",
    ]


def test_categories_with_the_same_text_are_one_level():
    X = pd.DataFrame({"c": pd.Categorical([1, "1", 2], categories=[1, "1", 2])})
    assert names(X) == ["c=1", "c=2"]
    np.testing.assert_array_equal(encode(X), [[1, 0], [1, 0], [0, 1]])


def test_levels_may_be_missing_in_training():
    train = pd.DataFrame({"s": ["b"], "n": [1.0]})
    encoder = TableEncoder(levels={"s": ["c", "a"], "n": ["x"], "gone": ["y"]})
    encoder.fit(train)
    assert encoder.get_feature_names_out().tolist() == ["s=a", "s=b", "s=c", "n"]
    new = pd.DataFrame({"s": ["a", "c"], "n": [1.0, 1.0]})
    np.testing.assert_array_equal(encoder.transform(new), [[1, 0, 0, 0], [0, 0, 1, 0]])


def test_a_level_called_missing_is_not_the_level_of_gaps():
    X = pd.DataFrame({"s": ["missing", None, "z"]})
    assert names(X) == ["s=missing", "s=z", "s=missing value"]
    np.testing.assert_array_equal(encode(X), [[1, 0, 0], [0, 0, 1], [0, 1, 0]])


def test_mixed_objects_are_levels_by_their_text():
    X = pd.DataFrame({"m": ["a", 1, True, None, 2.5]})
    assert names(X) == ["m=1", "m=2.5", "m=a", "m=missing"]


def test_integer_categories_survive_a_gap_in_new_rows():
    encoder = TableEncoder().fit(pd.DataFrame({"c": pd.Categorical([1, 2])}))
    new = pd.DataFrame({"c": [2.0, np.nan]})
    np.testing.assert_array_equal(encoder.transform(new), [[0, 1], [0, 0]])


def test_levels_must_be_lists():
    with pytest.raises(EncodingError, match="levels must have a list of level names"):
        TableEncoder(levels={"s": "ab"}).fit(pd.DataFrame({"s": ["a"]}))


# Arrays


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int64, bool, object])
@pytest.mark.parametrize("order", ["C", "F"])
def test_numeric_arrays(rng, dtype, order):
    X = np.asarray(rng.integers(0, 5, (20, 4)), dtype=dtype, order=order)
    before = X.copy()
    encoder = TableEncoder().fit(X)
    assert [column.name for column in encoder.columns_] == ["x0", "x1", "x2", "x3"]
    expected = MinMaxScaler().fit_transform(X.astype(float))
    np.testing.assert_array_equal(encoder.transform(X), expected)
    np.testing.assert_array_equal(X, before)


def test_the_matrix_is_never_the_input(rng):
    X = rng.normal(size=(5, 2))
    for table in (X, pd.DataFrame(X)):
        matrix = encode(table, scaler=None)
        np.testing.assert_array_equal(matrix, X)
        assert not np.shares_memory(matrix, X)


def test_read_only_input(rng):
    X = rng.normal(size=(5, 2))
    X.flags.writeable = False
    for scaler in ("minmax", "standard", None):
        assert encode(X, scaler=scaler).flags.writeable


def test_feature_names():
    X = np.array([[1, "a"], [2, "b"]], dtype=object)
    encoder = TableEncoder(levels={"sex": ["c"]}).fit(X, feature_names=["age", "sex"])
    expected = ["age", "sex=a", "sex=b", "sex=c"]
    assert encoder.get_feature_names_out().tolist() == expected
    with pytest.raises(FeatureNamesError, match="3 names, but X has 2 columns"):
        TableEncoder().fit(X, feature_names=list("abc"))


def test_object_arrays_by_column():
    X = np.array([["1", "b", None], [3.0, "a", True], [None, None, 0]], dtype=object)
    assert names(X) == ["x0", "x1=a", "x1=b", "x1=missing", "x2"]
    assert names(X.tolist()) == names(X)
    np.testing.assert_array_equal(encode(X)[:, 0], [0, 1, 0.5])


def test_frames_and_arrays_agree(rng):
    X = rng.normal(size=(30, 5))
    X[::4, 2] = np.nan
    expected = encode(X)
    np.testing.assert_array_equal(encode(pd.DataFrame(X)), expected)
    np.testing.assert_array_equal(encode(X.tolist()), expected)
    encoder = TableEncoder().fit(pd.DataFrame(X, columns=list("abcde")))
    np.testing.assert_array_equal(encoder.transform(X), expected)


def test_array_rows_for_a_table_with_levels(table):
    encoder = TableEncoder().fit(table)
    rows = table.to_numpy(dtype=object)
    np.testing.assert_array_equal(encoder.transform(rows), encoder.transform(table))


def test_text_that_spells_numbers_stays_a_level_if_it_was_one():
    encoder = TableEncoder().fit(pd.DataFrame({"zip": ["00123", "04567"]}))
    rows = np.array([["04567"], ["00123"]], dtype=object)
    np.testing.assert_array_equal(encoder.transform(rows), [[0, 1], [1, 0]])


def test_nested_objects_in_an_array():
    X = np.array([[1, 2], [3, 4]], dtype=object)
    X[0, 0] = {"a": 1}
    with pytest.raises(TypeError, match=r"argument must be .* string.* number.*'x0'"):
        TableEncoder().fit(X)


# Transformers


def test_all_off(rng):
    X = rng.normal(size=(4, 2))
    matrix = encode(X, scaler=None, imputer=None, encoder=None)
    np.testing.assert_array_equal(matrix, X)


def test_scaling_leaves_levels_alone():
    X = pd.DataFrame({"n": [1.0, 3.0], "s": ["a", "b"]})
    np.testing.assert_array_equal(encode(X, scaler="standard"), [[-1, 1, 0], [1, 0, 1]])


@pytest.mark.parametrize("strategy", ["median", "mean", "most_frequent"])
@pytest.mark.parametrize("gaps", [False, True])
def test_imputers_are_those_of_sklearn(rng, strategy, gaps):
    X = rng.integers(0, 9, (20, 3)).astype(float)
    if gaps:
        X[::5, 1] = np.nan
    new = np.full((1, 3), np.nan)
    encoder = TableEncoder(scaler=None, imputer=strategy).fit(X)
    expected = SimpleImputer(strategy=strategy).fit(X).transform(new)
    np.testing.assert_array_equal(encoder.transform(new), expected)


def test_transformers_of_the_user_are_cloned(rng):
    X = rng.normal(size=(10, 2))
    X[0, 0] = np.nan
    scaler, imputer = RobustScaler(), KNNImputer()
    encoder = TableEncoder(scaler=scaler, imputer=imputer).fit(X)
    assert not hasattr(scaler, "center_")
    expected = scaler.fit_transform(imputer.fit_transform(X))
    np.testing.assert_array_equal(encoder.transform(X), expected)


def test_a_users_imputer_sees_all_rows():
    """Its idea of a gap may be another."""
    X = np.array([[-1.0], [2.0], [4.0]])
    imputer = SimpleImputer(missing_values=-1, strategy="median")
    matrix = encode(X, scaler=None, imputer=imputer)
    np.testing.assert_array_equal(matrix, [[3], [2], [4]])


def test_an_imputer_that_drops_columns_is_named():
    X = np.array([[np.nan, 1.0], [np.nan, 2.0]])
    with (
        pytest.warns(UserWarning, match="Skipping features"),
        pytest.raises(EncodingError, match=r"SimpleImputer.*must keep the columns"),
    ):
        TableEncoder(imputer=SimpleImputer()).fit(X)


def test_encoder_is_onehot_or_none(table):
    with pytest.raises(EncodingError, match="encoder must be"):
        TableEncoder(encoder="ordinal").fit(table)


def test_a_string_column_without_an_encoder(table):
    with pytest.raises(UnsupportedColumnError, match="'sex', 'region': strings or cat"):
        TableEncoder(encoder=None).fit(table)


def test_an_empty_column_without_an_encoder():
    X = pd.DataFrame({"o": [None, None], "n": [1, 2]})
    np.testing.assert_array_equal(encode(X, encoder=None), [[0, 0], [0, 1]])


def test_output_settings_are_for_others(table):
    expected = encode(table)
    with config_context(transform_output="pandas"):
        matrix = encode(table)
    assert type(matrix) is np.ndarray
    np.testing.assert_array_equal(matrix, expected)


# Bad input


def test_no_rows(table):
    with pytest.raises(DataError, match=r"0 sample\(s\)"):
        TableEncoder().fit(table.iloc[:0])


@pytest.mark.parametrize("when", ["fit", "transform"])
def test_infinite_numbers(table, when):
    bad = table.copy()
    bad.loc[2, "age"] = np.inf
    encoder = TableEncoder().fit(table)
    with pytest.raises(EncodingError, match=r"Input X contains infinity.*'age'"):
        getattr(encoder, when)(bad)


def test_gaps_without_an_imputer(table):
    with pytest.raises(ValueError, match=r"Input X contains NaN.*'bmi'"):
        TableEncoder(imputer=None).fit(table)
    whole = table.dropna()
    encoder = TableEncoder(imputer=None).fit(whole)
    assert encoder.transform(whole).shape == (len(whole), 8)


def test_dates_and_text_in_one_error(table):
    table["seen"] = pd.date_range("2020", periods=len(table))
    table["note"] = [f"a rather long remark on row {i}" for i in range(len(table))]
    with pytest.raises(UnsupportedColumnError) as caught:
        TableEncoder().fit(table)
    assert "'seen': dates" in str(caught.value)
    assert "'note': free text" in str(caught.value)
    table["note"] = table["note"].astype("category")
    assert TableEncoder().fit(table.drop(columns="seen")).n_features_in_ == 6


def test_text_whose_levels_are_known():
    X = pd.DataFrame({"id": [f"id{i}" for i in range(60)]})
    with pytest.raises(UnsupportedColumnError, match="'id': free text or identifiers"):
        TableEncoder().fit(X)
    assert len(names(X, levels={"id": ["id3"]})) == 60


def test_complex_column():
    with pytest.raises(ValueError, match="Complex data not supported"):
        TableEncoder().fit(pd.DataFrame({"z": [1j, 2j]}))


def test_another_width(table):
    encoder = TableEncoder().fit(table)
    with pytest.raises(
        EncodingError, match="X has 4 features, but TableEncoder is exp"
    ):
        encoder.transform(table.iloc[:, :4])


def test_columns_in_another_order(table):
    encoder = TableEncoder().fit(table)
    with pytest.raises(FeatureNamesError, match=r"should match.*'bmi', 'age'"):
        encoder.transform(table[["bmi", "age", "smoker", "sex", "region"]])


def test_a_string_in_a_numeric_column(table):
    encoder = TableEncoder().fit(table)
    table["age"] = "unknown"
    with pytest.raises(
        EncodingError, match="'age' is numeric, but holds something els"
    ):
        encoder.transform(table)


# Promises


def test_transform_learns_nothing(table):
    encoder = TableEncoder().fit(table.iloc[:30])
    state = pickle.dumps(encoder)
    whole = encoder.transform(table)
    assert pickle.dumps(encoder) == state
    rows = [encoder.transform(table.iloc[[i]]) for i in range(len(table))]
    np.testing.assert_array_equal(np.vstack(rows), whole)


def test_pickle_and_clone(table):
    encoder = TableEncoder(levels={"sex": ["other"]}).fit(table)
    expected = encoder.transform(table)
    again = pickle.loads(pickle.dumps(encoder))
    np.testing.assert_array_equal(again.transform(table), expected)
    copy = clone(encoder)
    assert not hasattr(copy, "columns_")
    np.testing.assert_array_equal(copy.fit(table).transform(table), expected)


def test_the_input_is_not_touched(table):
    before = table.copy(deep=True)
    encode(table)
    pd.testing.assert_frame_equal(table, before)


def test_refit_forgets(table):
    encoder = TableEncoder().fit(table)
    encoder.fit(table[["age"]])
    assert encoder.encoder_ is None
    assert encoder.transform(table[["age"]]).shape == (len(table), 1)


def test_wide_tables(rng):
    X = pd.DataFrame(rng.normal(size=(4, 5000)))
    assert encode(X).shape == (4, 5000)
    assert encode(X.astype("Float64")).shape == (4, 5000)


@pytest.mark.parametrize("kind", [pd.DataFrame, np.array, list])
@pytest.mark.parametrize(
    ("values", "options"),
    [
        ([Decimal("1.5"), "?", Decimal(3)], {}),
        ([Decimal(0), "?", "?", Decimal(2)], {"feature_kinds": {"x0": "categorical"}}),
        (["a", "?", "b", 3], {"levels": {"x0": ["c"]}}),
        (["?", "?"], {"encoder": None}),
        ([1, "?", True], {}),
    ],
)
def test_a_signaling_nan_is_a_gap(values, options, kind):
    tables = [
        pd.DataFrame({"x0": [gap if v == "?" else v for v in values]}, dtype=object)
        for gap in (None, Decimal("sNaN"))
    ]
    plain, signaling = (t if kind is pd.DataFrame else kind(t.values) for t in tables)
    encoder = TableEncoder(**options).fit(signaling, told=True)
    assert encoder.columns_ == TableEncoder(**options).fit(plain, told=True).columns_
    expected = encode(plain, **options)
    np.testing.assert_array_equal(encoder.transform(signaling), expected)
    np.testing.assert_array_equal(encoder.transform(plain), expected)


scalars = st.none() | st.text() | st.integers() | st.booleans() | st.floats(-1e9, 1e9)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(scalars | st.tuples(st.text()), min_size=1, max_size=4),
    st.lists(st.none() | st.text(max_size=9), min_size=1, max_size=8),
)
def test_odd_names_and_levels(columns, values):
    X = pd.DataFrame(dict.fromkeys(range(len(columns)), values), dtype=object)
    X.columns = pd.Index(columns, dtype=object, tupleize_cols=False)
    encoder = TableEncoder().fit(X)
    matrix = encoder.transform(X)
    per_column = len({"missing" if v is None else v for v in values})
    assert matrix.shape == (len(values), per_column * len(columns))
    np.testing.assert_array_equal(matrix.sum(axis=1), len(columns))
    expected = [str(name) for name in columns for _ in range(per_column)]
    assert [column.name for column in encoder.columns_] == expected
    shuffled = TableEncoder().fit(X.iloc[::-1])
    assert shuffled.columns_ == encoder.columns_


@settings(max_examples=60, deadline=None)
@given(st.lists(scalars, min_size=1, max_size=8))
def test_odd_values(values):
    X = pd.DataFrame({"c": pd.Series(values, dtype=object)})
    try:
        matrix = encode(X)
    except UnsupportedColumnError as error:
        # Decimals among other values may be measurements with words in between.
        assert "or among texts" in str(error)
        return
    assert np.isfinite(matrix).all()
    assert matrix.min() >= 0
    assert matrix.max() <= 1 + 1e-9


@pytest.mark.parametrize("scaler", ["bounded", "minmax", "standard"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("unit", [1e-30, 1e-17, 1.0, 1e17, 1e37])
def test_columns_of_any_unit(scaler, dtype, unit):
    X = np.array([[-2.0], [-1.0], [0.5], [3.0]])
    encoder = TableEncoder(scaler=scaler).fit((X * unit).astype(dtype))
    expected = TableEncoder(scaler=scaler).fit(X)
    new = np.array([[-4.0], [1.0], [9.0]])
    found = encoder.encode((new * unit).astype(dtype))
    np.testing.assert_allclose(found, expected.transform(new), rtol=1e-5)


@pytest.mark.parametrize("limit", [np.float32(3e38), 1e308])
def test_columns_up_to_the_ends_of_floats(limit):
    # Their sum overflows on both sides; that is no warning, and no gap.
    X = np.repeat([[limit], [-limit]], 1000, axis=0) / 4
    expected = np.repeat([[1.0], [0.0]], 1000, axis=0)
    np.testing.assert_allclose(TableEncoder().fit(X).encode(X), expected, atol=1e-6)


def test_columns_are_scaled_in_double():
    X = np.linspace(0, 1, 7, dtype=np.float32)[:, None]
    encoder = TableEncoder(scaler="standard").fit(X)
    np.testing.assert_array_equal(encoder.encode(X), encoder.transform(X.astype(float)))


@pytest.mark.parametrize("scaler", ["bounded", "minmax", "standard"])
@pytest.mark.parametrize("value", [1.0, -3e-30, 100.0, 1e38, 0.1, np.nan])
def test_a_constant_has_no_effect_where_it_changes(scaler, value):
    encoder = TableEncoder(scaler=scaler).fit(np.full((7, 1), value))
    later = np.array([[1.5], [0.0], [-7.0], [np.nan]]) * np.nan_to_num(value)
    assert not encoder.transform(later).any()
    assert not encoder.scaler_.transform(np.nan_to_num(later)).any()


def test_zeros_are_a_flag():
    for scaler in ("bounded", "minmax", "standard"):
        encoder = TableEncoder(scaler=scaler).fit(np.zeros((3, 1)))
        assert encoder.transform(np.array([[0.0], [1.0]])).tolist() == [[0], [1]]


@pytest.mark.parametrize("scale", [1, 0.1, 1e18, 1e-300])
@pytest.mark.parametrize("scaler", ["standard", StandardScaler(), RobustScaler()])
@pytest.mark.parametrize("imputer", ["median", "mean", "most_frequent", KNNImputer()])
def test_weights_are_repeated_rows(rng, imputer, scaler, scale):
    X = rng.integers(0, 5, (30, 3)).astype(float)
    X[rng.random(X.shape) < 0.3] = np.nan
    weight = rng.integers(0, 4, 30)
    if not isinstance(imputer, str) or isinstance(scaler, RobustScaler):
        # They take no weights.
        weight = np.minimum(weight, 1)
    one = TableEncoder(scaler=scaler, imputer=imputer)
    one.fit(X, sample_weight=weight * scale)
    two = clone(one).fit(np.repeat(X, weight, axis=0))
    np.testing.assert_allclose(one.transform(X), two.transform(X), atol=1e-12)


def test_levels_of_an_ordered_category_know_their_place():
    stages = pd.Categorical(["III", "I", None], ["III", "I", "II"], ordered=True)
    X = pd.DataFrame({"stage": stages, "sex": pd.Categorical(["f", "m", "f"])})
    X["age"] = [1.0, 2.0, 3.0]
    encoder = TableEncoder(levels={"stage": ["IV"]}).fit(X)
    places = {column.key: column.order for column in encoder.columns_}
    assert places == {
        "stage=III": 1,
        "stage=I": 2,
        "stage=II": 3,
        **dict.fromkeys(["stage=IV", "stage=missing", "sex=f", "sex=m", "age"]),
    }
    described = describe(encoder.columns_, {"stage": "of the disease"})
    assert [column.order for column in described] == list(places.values())
