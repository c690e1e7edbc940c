"""Tables and columns of other libraries, polars and pyarrow among them, as pandas'."""

import sys
from typing import Any

import numpy as np
import pandas as pd

from llmreg._utils import import_optional
from llmreg.exceptions import EncodingError


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
