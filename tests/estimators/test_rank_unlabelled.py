"""Which rows the estimators ask for next."""

import numpy as np
import pandas as pd
import pytest

from llmreg import LLMAttributionClassifier, LLMAttributionRegressor
from llmreg.exceptions import NoPosteriorError

CURVES = {"a": [(0, -5), (0.5, 1), (1, 5)], "b": [(0, 2), (1, -2)]}
PRIORS = [{"a": 6, "b": -3}, CURVES]


def table(n_rows=60, seed=0):
    rng = np.random.default_rng(seed)
    X = pd.DataFrame(rng.random((n_rows, 2)), columns=["a", "b"])
    return X, np.where(X["a"] + rng.normal(0, 0.2, n_rows) > 0.5, "yes", "no")


def two(y):
    """Return the first row of each class."""
    return [int(np.flatnonzero(y == label)[0]) for label in ("no", "yes")]


@pytest.mark.parametrize("prior", PRIORS)
def test_two_rows_are_enough_to_ask_for_more(prior):
    X, y = table()
    model = LLMAttributionClassifier(prior).fit(X.iloc[two(y)], y[two(y)])
    rows, utilities = model.rank_unlabelled(X, return_utilities=True)
    assert sorted(rows) == [*range(60)]
    np.testing.assert_array_equal(np.sort(utilities)[::-1], utilities[rows])
    assert (utilities > 0).all()
    assert model.rank_unlabelled(X, n_rows=1).tolist() == [rows[0]]


def test_ten_rows_are_not_ten_copies():
    X, y = table()
    model = LLMAttributionClassifier(CURVES).fit(X.iloc[two(y)], y[two(y)])
    best = model.rank_unlabelled(X)[0]
    copies = pd.concat([X, X.iloc[[best] * 10]], ignore_index=True)
    same = {best, *range(60, 70)}
    assert set(model.rank_unlabelled(copies)[:10]) <= same
    assert len(same & set(model.rank_unlabelled(copies, n_rows=10))) <= 5


def test_batches_end_where_the_rows_do():
    X, y = table()
    model = LLMAttributionClassifier(CURVES).fit(X, y)
    assert sorted(model.rank_unlabelled(X[:4], n_rows=10)) == [0, 1, 2, 3]
    with pytest.raises(ValueError, match="n_rows"):
        model.rank_unlabelled(X, n_rows=0)


def test_what_no_row_has_shown_is_asked_for():
    X, _ = table(200)
    seen = X["b"] < 0.3
    model = LLMAttributionRegressor(CURVES).fit(X[seen], 3 * X[seen]["a"])
    rows = model.rank_unlabelled(X, n_rows=4)
    assert X["b"].iloc[rows].min() > 0.5


def test_many_classes_and_many_targets():
    X, _ = table()
    y = pd.qcut(X["a"], 3, labels=["low", "middle", "high"]).astype(str)
    prior = {"low": {"a": -6}, "middle": {"a": 0}, "high": {"a": 6}}
    model = LLMAttributionClassifier(prior).fit(X, y)
    assert len(set(model.rank_unlabelled(X, n_rows=8))) == 8
    model = LLMAttributionRegressor({"s": {"a": 6}, "t": {"b": 2}})
    model.fit(X, X.set_axis(["s", "t"], axis=1))
    assert len(set(model.rank_unlabelled(X))) == 60


def test_a_model_without_a_posterior_says_so():
    X, y = table()
    model = LLMAttributionClassifier(CURVES, gamma=1.0).fit(X, y)
    with pytest.raises(NoPosteriorError, match='gamma="auto"'):
        model.rank_unlabelled(X)
