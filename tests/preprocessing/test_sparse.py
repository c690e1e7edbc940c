"""Sparse rows are what the same rows with their zeros are, in the memory of less."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from llmreg.preprocessing import TableEncoder, _sparse
from llmreg.preprocessing._sparse import Centred, SparseRows, dense_blocks


@pytest.fixture
def _nothing_is_small(monkeypatch):
    monkeypatch.setattr(_sparse, "_MOST_DENSE", 0)
    monkeypatch.setattr(_sparse, "_SHARE", 1)


def counts(n_rows=40, n_columns=12, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.poisson(0.3, size=(n_rows, n_columns)).astype(float)
    X[:, 0] = rng.poisson(3.0, size=n_rows)  # The median of which is not 0.
    X[0, 0], X[:, 1] = 0.0, 0.0
    return X


@pytest.mark.usefixtures("_nothing_is_small")
@pytest.mark.parametrize("scaler", ["bounded", "minmax", None])
@pytest.mark.parametrize("imputer", ["median", "mean", "most_frequent"])
@pytest.mark.parametrize("weighted", [False, True])
def test_counts_are_encoded_as_dense_ones_are(scaler, imputer, weighted):
    X, later = counts(), counts(seed=1) * 2
    X[3, [0, 4]] = later[2, [1, 5]] = np.nan
    weight = np.arange(1.0, 41.0) if weighted else None
    fitted = [
        TableEncoder(scaler=scaler, imputer=imputer).fit(rows, sample_weight=weight)
        for rows in (X, sp.csr_matrix(X))
    ]
    for rows in (X, later):
        expected = fitted[0].transform(rows)
        encoded = fitted[1].encode(sp.csc_array(rows))
        assert isinstance(encoded, SparseRows)
        np.testing.assert_allclose(encoded.toarray(), expected, atol=1e-12)
        np.testing.assert_allclose(fitted[1].transform(rows), expected, atol=1e-12)
    assert sp.issparse(fitted[1].transform(sp.csr_array(X)))


@pytest.mark.parametrize("scaler", ["bounded", "standard"])
def test_zeros_stay_zeros_where_numbers_are_negative(scaler):
    X = counts()
    X[5, 2], X[7, 3] = -4.0, -1.0
    dense, kept = TableEncoder(scaler).fit(X), TableEncoder(scaler).fit(sp.csr_array(X))
    shift = dense.transform(X) - kept.transform(sp.csr_array(X)).toarray()
    np.testing.assert_allclose(shift - shift[:1], 0, atol=1e-12)
    assert not kept.transform(np.zeros((1, 12))).any()


def test_single_precision_is_kept_and_infinite_numbers_are_named():
    X = sp.csr_array(counts().astype(np.float32))
    assert TableEncoder().fit(X).encode(X).dtype == np.float32
    X.data[0] = np.inf
    with pytest.raises(ValueError, match="Columns: 'x"):
        TableEncoder().fit(X)


def test_later_rows_give_a_scale_to_columns_of_zeros():
    X, later = counts(), counts()
    later[4, 1] = 8.0
    fitted = [TableEncoder().fit(X), TableEncoder().fit(sp.csr_array(X))]
    fitted[0].extend(later)
    fitted[1].extend(sp.csr_array(later))
    np.testing.assert_allclose(*(encoder.transform(later) for encoder in fitted))


def levels(n_rows=60, seed=0):
    rng = np.random.default_rng(seed)
    names = [f"c{k}" for k in range(30)]
    city = pd.Categorical.from_codes(rng.integers(0, 25, n_rows), names)
    sex = rng.choice(["female", "male", None], n_rows)
    return pd.DataFrame({"age": rng.normal(size=n_rows), "city": city, "sex": sex})


def test_levels_are_sparse_where_they_are_many(monkeypatch):
    X = levels()
    encoder = TableEncoder().fit(X)
    expected = encoder.encode(X)
    assert isinstance(expected, np.ndarray)
    monkeypatch.setattr(_sparse, "_MOST_DENSE", 100)
    found = encoder.encode(X)
    assert isinstance(found, SparseRows) and found.nnz <= 3 * len(X)
    assert found.has_sorted_indices
    np.testing.assert_array_equal(found.toarray(), expected)
    np.testing.assert_array_equal(encoder.transform(X), expected)
    parts = list(dense_blocks(found, 1_000))
    assert len(parts) > 1
    np.testing.assert_array_equal(np.vstack([part for _, part in parts]), expected)


@pytest.mark.parametrize("most", [200, 6])
def test_products_of_centred_columns(most):
    X, rng = counts(), np.random.default_rng(0)
    centre, scale = X.mean(axis=0), rng.uniform(1, 2, 12)
    some = np.arange(12) % 3 > 0
    expected = ((X - centre) * scale)[:, some]
    columns = Centred(SparseRows(X), centre).part(some, scale)
    right, rows = rng.normal(size=(8, 2)), rng.normal(size=(40, 3))
    np.testing.assert_allclose(columns @ right, expected @ right)
    np.testing.assert_allclose(columns @ right[:, 0], expected @ right[:, 0])
    np.testing.assert_allclose(columns.turned(rows), expected.T @ rows)
    size, turn = columns.directions(most)
    _, all_sizes, directions = np.linalg.svd(expected, full_matrices=False)
    np.testing.assert_allclose(size, all_sizes[:most], atol=1e-9)
    products = [rows[:5].T @ rows[:5] for rows in (turn, directions)]
    np.testing.assert_allclose(*products, atol=1e-6)
