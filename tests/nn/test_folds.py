"""Which rows judge: every row once, copies of a row together."""

import numpy as np
import pytest

from llmreg.nn import _residual as folds
from llmreg.nn._residual import split_rows


def some_rows(n_samples, n_classes=2, seed=0):
    rng = np.random.default_rng(seed)
    return rng.random((n_samples, 3)), np.arange(n_samples) % n_classes


@pytest.mark.parametrize(
    ("task", "n_samples", "n_folds"),
    [
        ("binary", 12, 5),
        ("binary", 300, 3),
        ("multiclass", 12, 4),
        ("multiclass", 60, 5),
        ("regression", 12, 5),
        ("regression", 300, 3),
    ],
)
def test_every_row_judges_once(task, n_samples, n_folds):
    X, y = some_rows(n_samples, 3 if task == "multiclass" else 2)
    split = split_rows(X, X if task == "regression" else y, task, seed=0)
    assert split.is_whole
    assert split.judges.shape == (n_folds, n_samples)
    assert (split.judges.sum(axis=0) == 1).all()
    if task != "regression":
        assert all(set(y[~judges]) == set(y) for judges in split.judges)


def test_copies_of_a_row_judge_together():
    X, y = some_rows(30)
    rng = np.random.default_rng(1)
    rows = rng.permutation(np.append(np.arange(30), rng.integers(30, size=40)))
    once, copied = (split_rows(X[r], y[r], "binary", seed=3) for r in (range(30), rows))
    np.testing.assert_array_equal(copied.judges, once.judges[:, rows])


@pytest.mark.parametrize("y", [[0, 1, 0], [0, 0, 0, 0, 1], [0, 2, 0, 2, 0, 2]])
def test_too_few_rows_judge_nothing(y):
    y = np.array(y)
    X = np.arange(len(y) * 2.0).reshape(-1, 2)
    assert split_rows(X, y, "multiclass", seed=0) is None


def test_one_row_often_is_one_row():
    X, y = np.zeros((50, 2)), np.arange(50) % 2
    assert split_rows(X, y, "binary", seed=0) is None


@pytest.mark.parametrize("rare", [0, 1, 3, 50])
def test_where_rows_are_many_a_part_judges(monkeypatch, rare):
    monkeypatch.setattr(folds, "_ONE_PART", 100)
    X, y = some_rows(150, 1)
    y[:rare] = 1
    split = split_rows(X, y, "binary", seed=0)
    if rare == 1:
        assert split is None
        return
    assert not split.is_whole
    assert split.judges.shape == (1, 150)
    assert split.judges.sum() == 30
    if rare == 50:
        assert y[split.judges[0]].sum() == 10
    assert split_rows(X, X, "regression", seed=0).judges.sum() == 30
