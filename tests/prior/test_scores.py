from __future__ import annotations

import numpy as np
import pytest

from llmreg.exceptions import (
    FeatureNamesError,
    PriorError,
    PriorMismatchError,
    PriorScoreError,
)
from llmreg.prior import _scores as scores


def check(values, features=("a", "b"), outputs=("target",), ndim=2):
    return scores.check_scores(values, features, outputs, ndim)


@pytest.mark.parametrize(
    "values",
    [
        [[1, -10]],
        np.array([[1, -10]], dtype=np.int8),
        np.array([[1.0, -10.0]], dtype=np.float32),
        [[np.int64(1), np.float32(-10)]],
    ],
)
def test_numbers_of_every_type_become_float64(values):
    checked = check(values)
    assert checked.dtype == np.float64
    assert checked.tolist() == [[1.0, -10.0]]


def test_none_and_nan_are_no_opinion():
    assert np.isnan(check([[None, np.nan]])).all()


def test_checked_scores_are_a_copy_that_cannot_be_written():
    given = np.zeros((1, 2))
    checked = check(given)
    with pytest.raises(ValueError, match="read-only"):
        checked[0, 0] = 1
    given[0, 0] = 5
    assert checked[0, 0] == 0


@pytest.mark.parametrize(
    "bad",
    [
        10.5,
        -11,
        np.inf,
        True,
        np.True_,
        "3",
        "NaN",
        1j,
        [1],
        object(),
        pytest.param(10**400, id="huge"),
    ],
)
def test_what_is_no_score_is_refused(bad):
    values = np.array([[0, None]], dtype=object)
    values[0, 1] = bad
    with pytest.raises(PriorScoreError, match="'b' has"):
        check(values)


def test_all_wrong_scores_are_named_at_once():
    with pytest.raises(PriorScoreError) as caught:
        check([[11, "x"], [0, -12.0]], outputs=("yes", "no"))
    told = str(caught.value)
    assert "'a' has 11 for output 'yes'" in told
    assert "'b' has 'x' for output 'yes'" in told
    assert "'b' has -12.0 for output 'no'" in told


def test_wrong_scores_of_an_array_are_named_too():
    with pytest.raises(PriorScoreError, match=r"'a' has 11\.0; 'b' has -inf"):
        check(np.array([[11.0, -np.inf]]))


@pytest.mark.parametrize(
    "values", [[1, 2], [[1, 2, 3]], [[1, 2], [3, 4]], 5, [[[1, 2]]]]
)
def test_a_shape_that_does_not_fit_is_refused(values):
    with pytest.raises(PriorMismatchError, match="got shape"):
        check(values)


def test_rows_of_different_length_are_refused():
    with pytest.raises(PriorMismatchError):
        check([[1, 2], [3]], outputs=("x", "y"))


@pytest.mark.parametrize("names", [["a", "a"], ["a", 1], ["a", ""], "ab"])
def test_names_must_be_text_and_differ(names):
    with pytest.raises(FeatureNamesError):
        scores.check_names(names, "feature")
    with pytest.raises(PriorMismatchError):
        scores.check_names(names, "output")


def test_a_name_that_is_empty_is_told_so():
    with pytest.raises(FeatureNamesError, match=r"and not empty; got \[''\]"):
        scores.check_names(["a", ""], "feature")


def test_stack_joins_by_name_in_order_of_appearance():
    features, outputs, table = scores.stack([{"b": 1}, {"a": 2, "b": 3}])
    assert (features, outputs) == (("b", "a"), ("target",))
    assert table.tolist() == [[[1, None]], [[3, 2]]]


@pytest.mark.parametrize("given", [[1], [{"a": 1, "yes": {"a": 1}}]])
def test_stack_refuses_what_is_no_table_of_scores(given):
    with pytest.raises(PriorError):
        scores.stack(given)


def test_statistics_leave_nan_out_without_a_warning():
    values = np.array([[1.0, np.nan, np.nan], [3.0, 5.0, np.nan]])
    np.testing.assert_array_equal(scores.mean(values), [2, 5, np.nan])
    np.testing.assert_array_equal(scores.spread(values), [1, 0, np.nan])
