import numpy as np
import pytest
from sklearn.base import clone
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import (
    FunctionTransformer,
    MinMaxScaler,
    SplineTransformer,
    StandardScaler,
)

from llmreg.exceptions import EncodingError
from llmreg.preprocessing._encoder import TableEncoder
from llmreg.preprocessing._scaler import (
    BoundedScaler,
    Ranges,
    apply,
    is_complete,
    make_imputer,
    make_scaler,
    scale_of,
    soft_clip,
    summarize,
)


def test_makers():
    assert isinstance(make_scaler("minmax"), MinMaxScaler)
    assert isinstance(make_scaler("standard"), StandardScaler)
    assert make_scaler(None) is None
    for strategy in ("median", "mean", "most_frequent"):
        assert make_imputer(strategy).strategy == strategy
    assert make_imputer(None) is None


def test_makers_clone():
    mine = MinMaxScaler((-1, 1))
    made = make_scaler(mine)
    assert made is not mine
    assert made.feature_range == (-1, 1)
    imputer = SimpleImputer(strategy="constant")
    assert make_imputer(imputer) is not imputer


@pytest.mark.parametrize("bad", ["robust", 3, True, ["minmax"]])
def test_makers_refuse(bad):
    with pytest.raises(
        EncodingError, match='scaler must be "bounded", "minmax", "standard", a sc'
    ):
        make_scaler(bad)
    with pytest.raises(
        EncodingError, match='imputer must be "median", "mean", "most_f'
    ):
        make_imputer(bad)


def test_is_complete():
    names = ["a", "b"]
    assert is_complete(np.zeros((2, 2)), names)
    assert is_complete(np.full((2, 2), 1e308), names)
    assert not is_complete(np.array([[0, np.nan]]), names)


@pytest.mark.parametrize("gap", [0.0, np.nan])
@pytest.mark.parametrize("infinite", [np.inf, -np.inf])
def test_infinite_numbers_are_named(gap, infinite):
    with pytest.raises(EncodingError, match=r"Input X contains infinity.*: 'b'\. Repl"):
        is_complete(np.array([[gap, infinite]]), ["a", "b"])


def test_gaps_are_named():
    rows = np.array([[0, np.nan, np.inf]])
    with pytest.raises(
        EncodingError, match=r"Input X contains NaN.*Columns: 'b'\. Fil"
    ):
        is_complete(rows, ["a", "b", "c"], allow_nan=False)


def test_apply_wants_the_same_shape():
    rows = np.arange(4.0).reshape(-1, 1)
    for sparse in (False, True):
        wider = SplineTransformer(sparse_output=sparse).fit(rows)
        assert apply(wider, rows).shape == (4, 7)
        with pytest.raises(
            EncodingError, match=r"SplineTransformer.*\(4, 7\).*pipeline"
        ):
            apply(wider, rows, keep_shape=True)


def test_apply_wants_finite_numbers():
    with np.errstate(divide="ignore"):
        logs = FunctionTransformer(np.log)
        with pytest.raises(EncodingError, match="left gaps or made infinite"):
            apply(logs, np.zeros((1, 1)))


def test_apply_reads_any_container():
    rows = np.arange(4.0).reshape(-1, 1)
    scaler = MinMaxScaler().set_output(transform="pandas").fit(rows)
    assert type(apply(scaler, rows)) is np.ndarray


def test_within_the_range_nothing_is_bent(rng):
    inside = rng.random(100)
    np.testing.assert_array_equal(soft_clip(inside), inside)
    assert soft_clip(np.array([0.0, 1.0])).tolist() == [0.0, 1.0]


def test_beyond_the_range_values_level_off():
    beyond = np.array([1.0, 1.001, 2.0, 10.0, 1e9])
    bent = soft_clip(beyond)
    assert (np.diff(bent) > 0).all()
    assert bent[1] == pytest.approx(1.001, abs=1e-5)
    assert bent[-1] <= 2
    np.testing.assert_allclose(soft_clip(1 - beyond), 1 - bent)


def test_bounded_scaler_is_minmax_on_the_training_rows(rng):
    X = rng.normal(size=(30, 3))
    mine, theirs = BoundedScaler().fit(X), MinMaxScaler().fit(X)
    np.testing.assert_allclose(mine.transform(X), theirs.transform(X), atol=1e-15)
    far = 20 * X
    np.testing.assert_allclose(mine.transform(far), soft_clip(theirs.transform(far)))
    np.testing.assert_allclose(mine.inverse_transform(mine.transform(far)), far)
    assert isinstance(clone(mine), BoundedScaler)


@pytest.mark.parametrize("n_samples", [1, 2, 7, 8, 3001])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_summaries_are_those_of_numpy(rng, n_samples, dtype):
    X = rng.normal(size=(n_samples, 9)).astype(dtype)
    found = summarize(X)
    np.testing.assert_array_equal(found.low, X.min(axis=0))
    np.testing.assert_array_equal(found.high, X.max(axis=0))
    np.testing.assert_allclose(found.median, np.median(X, axis=0), rtol=1e-6)


@pytest.mark.parametrize("n_samples", [5, 4000])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_gaps_and_infinite_numbers_have_no_summary(rng, n_samples, bad):
    X = rng.normal(size=(n_samples, 8))
    X[3, 5] = bad
    assert summarize(X) is None


def test_scales_are_those_of_scikit_learn(rng):
    X = rng.normal(size=(20, 3))
    X[:, 1] = 7.0
    low, high = X.min(axis=0), X.max(axis=0)
    expected = MinMaxScaler().fit(X).scale_
    # The unit of a constant is not known: it has no effect where it changes later.
    expected[1] = 0.0
    np.testing.assert_allclose(scale_of(low, high), expected)


@pytest.mark.parametrize("n_samples", [3, 3000])
def test_bounded_ranges_are_clipped_softly(rng, n_samples):
    X = rng.normal(size=(n_samples, 2))
    low, scale = np.array([-0.5, -0.5]), np.array([1.0, 2.0])
    plain = Ranges(low, scale, False).transform(X)
    np.testing.assert_allclose(plain, (X - low) * scale)
    np.testing.assert_allclose(Ranges(low, scale, True).transform(X), soft_clip(plain))
    assert Ranges(low, scale, False).transform(X.astype(np.float32)).dtype == np.float32


@pytest.mark.parametrize("bounded", [False, True])
def test_infinite_results_are_an_error(bounded):
    with pytest.raises(EncodingError, match="Scaling made infinite numbers"):
        Ranges(np.zeros(1), np.array([1e300]), bounded).transform(np.array([[1e300]]))


@pytest.mark.parametrize("gap", [False, True])
def test_the_encoder_bends_alike_with_and_without_gaps(rng, gap):
    X, far = rng.random((20, 3)), 5 * rng.normal(size=(10, 3))
    if gap:
        X[4, 1] = np.nan
    bounded = TableEncoder(scaler="bounded").fit(X)
    plain = TableEncoder(scaler="minmax").fit(X)
    np.testing.assert_allclose(bounded.transform(X), plain.transform(X), atol=1e-15)
    np.testing.assert_allclose(bounded.transform(far), soft_clip(plain.transform(far)))
    np.testing.assert_allclose(bounded.scaler_.transform(far), bounded.transform(far))
