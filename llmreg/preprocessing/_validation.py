"""Tables, weights and targets as given, of any library, checked and made ours."""

import sys
from typing import Any, Literal

import numpy as np
import pandas as pd
from scipy.sparse import issparse
from sklearn.base import BaseEstimator
from sklearn.utils import (
    _safe_indexing,
    assert_all_finite,
    check_array,
    column_or_1d,
    compute_sample_weight,
)
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, validate_data

from llmreg._utils import import_optional
from llmreg._utils._text import list_names
from llmreg.exceptions import DataError, EncodingError, FeatureNamesError
from llmreg.preprocessing._levels import is_gap
from llmreg.preprocessing._sparse import SparseRows, as_rows


def is_foreign(data: Any) -> bool:
    """Say whether something is a table or a column of a library other than pandas."""
    if isinstance(data, (pd.DataFrame, pd.Series, pd.Index, np.ndarray)):
        return False
    signs = ("__dataframe__", "__arrow_c_stream__", "__arrow_c_array__", "collect")
    return any(hasattr(data, sign) for sign in signs)


def to_pandas(data: Any) -> Any:
    """Turn a table or a column into pandas' own, types and gaps kept."""
    # Imported here: only these tables need it, and older versions of scikit-learn do
    # not bring it.
    nw = import_optional("narwhals.stable.v2", "llmreg[frames]")
    read = nw.from_native(_whole(data), allow_series=True, pass_through=True)
    if isinstance(read, nw.LazyFrame):
        raise EncodingError(
            f"{type(data).__name__} is lazy: its rows have not been read yet. Read "
            "them first, with .collect() or .compute()."
        )
    if isinstance(read, nw.Series):
        return _column(nw, read)
    if not isinstance(read, nw.DataFrame):
        return data
    if read.implementation.is_pandas_like():
        return read.to_pandas()
    columns = [_column(nw, read[name]) for name in read.columns]
    frame = pd.concat(columns, axis=1) if columns else read.to_pandas()
    return frame.set_axis(read.columns, axis=1)


def _whole(data: Any) -> Any:
    """Give a piece of pyarrow's, which narwhals does not read, as what it reads."""
    if type(data).__module__.partition(".")[0] != "pyarrow":
        return data
    # Whoever made the piece has imported it.
    pyarrow = sys.modules["pyarrow"]
    if isinstance(data, pyarrow.RecordBatch):
        return pyarrow.Table.from_batches([data])
    return pyarrow.chunked_array([data]) if isinstance(data, pyarrow.Array) else data


def _column(nw: Any, series: Any) -> pd.Series:
    """Turn one column into pandas' own."""
    dtype, name = series.dtype, series.name or None
    has_gaps = series.null_count() > 0
    if dtype.is_decimal() or (dtype == nw.Boolean and has_gaps):
        series = series.cast(nw.Float64)
    elif dtype in (nw.Int128, nw.UInt128):
        return pd.Series(np.array(series.to_list(), dtype=np.float64), name=name)
    if dtype.is_numeric() or dtype == nw.Boolean:
        return pd.Series(series.to_numpy(), name=name)
    values = series.to_list()
    if dtype in (nw.Categorical, nw.Enum):
        return pd.Series(pd.Categorical(values, _categories(nw, series)), name=name)
    if not any(value is not None for value in values):
        # The type is all there is to know, and is lost in an array of objects.
        if dtype.is_temporal():
            return pd.Series(pd.NaT, range(len(values)), "datetime64[ns]", name)
        if dtype.is_nested():
            values = [()] * len(values)
    column = pd.Series(index=range(len(values)), dtype=object, name=name)
    column[:] = values
    return column


def _categories(nw: Any, series: Any) -> list[Any]:
    """List the levels that a column declares, in their order."""
    if series.dtype == nw.Enum:
        return list(series.dtype.categories)
    # In polars the levels of such a column are those that turned up, in no order; a
    # dictionary of Arrow is declared, as categories of pandas are.
    if series.implementation.is_polars():
        return sorted(series.drop_nulls().unique().to_list())
    return series.cat.get_categories().drop_nulls().to_list()


def unmasked(data: Any) -> Any:
    """Make gaps of what is masked, which NumPy forgets on the way to an array."""
    if not np.ma.is_masked(data):
        return np.asarray(data) if isinstance(data, np.ma.MaskedArray) else data
    return np.ma.filled(data if data.dtype.kind == "f" else data.astype(object), np.nan)


def as_table(X: Any) -> Any:
    """Make a table what the encoder reads: numbers, a DataFrame or `SparseRows`."""
    X = unmasked(X)
    if isinstance(X, (np.ndarray, pd.DataFrame, SparseRows)):
        table: Any = X
    elif issparse(X):
        table = as_rows(X)
    else:
        table = to_pandas(X) if is_foreign(X) else X
        if not isinstance(table, (pd.DataFrame, pd.Series)):
            table = as_array(X)
    if table.ndim != 2:
        raise ValueError(
            f"Expected 2D array, got {table.ndim}D array instead. Reshape your data "
            "using X.reshape(-1, 1) if it has a single feature or X.reshape(1, -1) "
            "if it contains a single sample."
        )
    if 0 in table.shape:
        what = "feature" if len(table) else "sample"
        raise (EncodingError if len(table) else DataError)(
            f"Found array with 0 {what}(s) (shape={table.shape}) while a minimum of 1 "
            "is required."
        )
    if isinstance(table, pd.DataFrame) or table.dtype.kind in "fiub":
        return table
    if table.dtype.kind == "c":
        raise EncodingError("Complex data not supported. Use real and imaginary parts.")
    if table.dtype.kind == "S":
        table = table.astype(str)
    return pd.DataFrame(table, dtype=None if table.dtype.kind in "mM" else object)


def as_frame(table: Any) -> pd.DataFrame:
    """Make a table a DataFrame, whatever form it has."""
    return pd.DataFrame(table.toarray() if issparse(table) else table)


def text_names(table: pd.DataFrame | np.ndarray) -> tuple[str, ...] | None:
    """Give the names that columns must have again: as scikit-learn, only text."""
    names = getattr(table, "columns", ())
    return tuple(names) if set(map(type, names)) == {str} else None


def check_names(
    table: pd.DataFrame | np.ndarray, fitted: tuple[str, ...] | None
) -> None:
    """Refuse columns of other names, or in another order, than in training."""
    names = text_names(table)
    if names and fitted and names != fitted:
        moved = [n for n, m in zip(names, fitted, strict=True) if n != m]
        raise FeatureNamesError(
            "The feature names should match those that were passed during fit, in the "
            f"same order. Not in their place: {list_names(moved)}."
        )


def as_array(X: Any) -> np.ndarray:
    """Make an array of a list of rows, whose values stay as they are."""
    array = np.asarray(X)
    if isinstance(X, np.ndarray):
        return array
    # NumPy turns the numbers and the None of a list that holds a string into text, and
    # that there are none says nothing of later rows.
    return np.asarray(X, dtype=object) if array.dtype.kind in "SUbiuf" else array


def check_table(
    estimator: BaseEstimator, X: Any, y: Any = "no_validation", *, reset: bool
) -> Any:
    """Check the shape and the names of a table; its values await the encoder."""
    if y is None:
        validate_data(estimator, X, y, skip_check_array=True, reset=False)
    X = unmasked(X)
    # The tables of other libraries too: their columns have types, arrays none.
    if is_foreign(X) or isinstance(X, pd.DataFrame):
        X = as_table(X)
    if not isinstance(X, pd.DataFrame):
        X = as_array(X) if isinstance(X, list) else X
        as_given = {"dtype": None, "ensure_all_finite": False, "accept_sparse": "csr"}
        X = validate_data(estimator, X, reset=reset, **as_given)
        return as_table(X) if issparse(X) else X
    # scikit-learn takes no name twice; columns of the same name go by position.
    named = X if X.columns.is_unique else X.set_axis(range(X.shape[1]), axis=1)
    validate_data(estimator, named, skip_check_array=True, reset=reset)
    return X


# A total weight beyond these says no more than they do, but overflows, or vanishes,
# beside `alpha` and the prior.
_LEAST_WEIGHT, _MOST_WEIGHT = 1e-9, 1e9


def weigh_rows(X: Any, y: Any, sample_weight: Any) -> tuple[Any, Any, np.ndarray]:
    """Check the weights of rows, and leave out those of weight zero.

    A row of weight zero is a row that is not there: its values must not reach the
    scaling of the others.
    """
    if len(y) != len(X):
        raise DataError(
            f"X and y must have the same number of rows; got {len(X)} and {len(y)}."
        )
    # A copy: torch warns of arrays that cannot be written.
    options = {"dtype": np.float64, "copy": True, "ensure_non_negative": True}
    sample_weight = _check_sample_weight(sample_weight, np.empty(len(X)), **options)
    if not sample_weight.any():
        raise DataError("Every sample weight is zero: no row is left to train on.")
    share = sample_weight / sample_weight.max()
    total = float(sample_weight.max()) * float(share.sum())
    if not _LEAST_WEIGHT <= total <= _MOST_WEIGHT:
        total = min(max(total, _LEAST_WEIGHT), _MOST_WEIGHT)
        sample_weight = share * (total / share.sum())
    present = sample_weight > 0
    if not present.all():
        X, y = _safe_indexing(X, present), _safe_indexing(y, present)
        sample_weight = sample_weight[present]
    return X, y, sample_weight


def check_labels(y: Any) -> np.ndarray:
    """Check that labels of shape (n_samples,) are classes, and none is missing."""
    assert_all_finite(y, allow_nan=True, input_name="y")
    if n_missing := int(is_gap(y).sum()):
        raise DataError(
            f"y contains {n_missing} missing label(s) (NaN or None). Drop those rows: "
            "a label cannot be imputed."
        )
    if isinstance(getattr(y, "dtype", None), pd.api.extensions.ExtensionDtype):
        # scikit-learn makes floats of nullable booleans and whole numbers.
        y = pd.Series(list(y)).to_numpy()
    y = column_or_1d(y, warn=True)
    try:
        if y.dtype == object:
            sorted(set(y.tolist()))
        check_classification_targets(y)
    except TypeError:
        kinds = ", ".join(sorted({type(label).__name__ for label in y.tolist()}))
        raise DataError(
            f"The labels in y are of types that have no order together: {kinds}. Give "
            "labels of one type, such as y.astype(str)."
        ) from None
    except ValueError as error:
        raise DataError(
            f"{error} Labels are texts, booleans or whole numbers; y.astype(str) or "
            "y.astype(int) makes them of objects."
        ) from None
    return np.asarray(y)


def choose_classes(
    y: np.ndarray, classes: Any = None, known: np.ndarray | None = None
) -> np.ndarray:
    """Return the classes to learn, sorted: `known`, or as given, or those of `y`."""
    found = np.unique(y)
    if classes is not None:
        classes = np.unique(classes)
        if known is not None and not np.array_equal(classes, known):
            raise DataError(
                f"classes={classes.tolist()} differs from the classes of the model "
                f"that is trained further, {known.tolist()}."
            )
    expected = next((c for c in (known, classes) if c is not None), found)
    if unexpected := sorted(set(found.tolist()) - set(expected.tolist())):
        raise DataError(
            f"y has labels that are not among the classes {expected.tolist()}: "
            f"{unexpected}."
        )
    if len(expected) < 2:
        raise DataError(
            f"A classifier needs at least 2 classes, but y has one class only: "
            f"{expected.tolist()[0]!r}. Rows of weight zero do not count."
        )
    return np.asarray(expected)


def weigh_classes(
    class_weight: Any, y: np.ndarray, sample_weight: np.ndarray
) -> np.ndarray:
    """Give every row the weight of its class; a row of weight 2 counts as two rows."""
    if isinstance(class_weight, str):
        classes, place = np.unique(y, return_inverse=True)
        count = np.bincount(place, sample_weight)
        return np.asarray((count.sum() / (len(classes) * count))[place])
    weight = compute_sample_weight(class_weight, y)
    if not (np.isfinite(weight).all() and (weight >= 0).all() and weight.any()):
        raise DataError(
            "class_weight must hold finite numbers of at least 0, not all of them 0; "
            f"got {class_weight!r}."
        )
    return np.asarray(weight)


def check_numbers(y: Any) -> np.ndarray:
    """Check targets of shape (n_samples,) or (n_samples, n_targets)."""
    if getattr(getattr(y, "dtype", None), "kind", "") in ("m", "M"):
        raise DataError(
            "y holds dates or durations, which have no unit. Make numbers of them, "
            'such as days: (y - y.min()) / pd.Timedelta("1D").'
        )
    y = check_array(y, dtype=np.float64, ensure_2d=False, input_name="y")
    is_single = y.ndim < 2 or y.shape[1] == 1
    return np.asarray(column_or_1d(y, warn=True) if is_single else y)


def check_counts(y: np.ndarray, *, is_first: bool) -> None:
    """Refuse targets, of shape (n_samples, n_targets), that no count has."""
    if y.shape[1] == 1 and y.min() >= 0 and (y.any() or not is_first):
        return
    raise DataError(
        'loss="poisson" takes one target that is nowhere below 0 and somewhere above; '
        f"got {y.shape[1]}, from {y.min():g} to {y.max():g}. Give counts or rates, of "
        'more rows where all are 0, or set loss="squared_error".'
    )


def find_numbering(classes: np.ndarray, is_open: bool) -> Literal["own", "open"] | None:
    """Say whether labels may be numbers that stand for other labels."""
    if classes.dtype.kind not in "iu" or classes[0] < 0:
        return None
    if is_open:
        return "open"
    return "own" if classes[-1] == len(classes) - 1 else None
