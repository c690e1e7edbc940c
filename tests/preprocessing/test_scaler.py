import numpy as np
import pytest
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import (
    FunctionTransformer,
    MinMaxScaler,
    SplineTransformer,
    StandardScaler,
)

from llmreg.exceptions import EncodingError
from llmreg.preprocessing._scaler import apply, is_complete, make_imputer, make_scaler


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
