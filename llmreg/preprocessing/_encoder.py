"""A raw table as a matrix of floats, with the origin of each of its columns."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
from scipy.sparse import csr_array, issparse
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.preprocessing import OneHotEncoder
from sklearn.utils.validation import check_is_fitted

from llmreg._utils import EstimatorMixin
from llmreg.exceptions import EncodingError
from llmreg.preprocessing._columns import (
    ColumnKind,
    column_kinds,
    declared_kinds,
    refuse,
    to_numbers,
)
from llmreg.preprocessing._levels import (
    MISSING,
    given_levels,
    has_decimals,
    open_levels,
    place_levels,
    to_levels,
    unseen,
)
from llmreg.preprocessing._scaler import (
    Ranges,
    Summary,
    apply,
    extend,
    fills,
    fit_minmax,
    fit_standard,
    fit_weighted,
    is_complete,
    is_constant,
    make_imputer,
    make_scaler,
    scale_of,
    summarize,
)
from llmreg.preprocessing._sparse import ends, is_mostly_zeros, join, to_dense
from llmreg.preprocessing._validation import (
    as_frame,
    as_table,
    check_names,
    text_names,
    weigh_rows,
)
from llmreg.prior._names import column_names
from llmreg.prior._task import Feature

_RANGES = ("minmax", "bounded")  # They need no more than the range of a column.


# The matrix goes to torch: a global request for pandas output is not for it.
class TableEncoder(  # type: ignore[call-arg]
    EstimatorMixin, TransformerMixin, BaseEstimator, auto_wrap_output_keys=None
):
    """Turn a raw table into a matrix of floats, and remember where columns came from.

    Numbers and booleans are imputed and scaled. Strings and categories open one
    column of 0 and 1 for every level: those of the training rows and of `levels`,
    sorted by name; of a category column those that it declares, in their order. A
    missing value is a level of its own, the last one and named ``"missing"``, if the
    training rows have it; beside a level of that name it is ``"missing value"``. True,
    1, 1.0 and the text "1" are one level. A level not seen in training is all zeros.

    Parameters
    ----------
    scaler : {"minmax", "bounded", "standard"}, transformer or None, default="minmax"
        Scaling of the numeric columns; None leaves them as they are.
    imputer : {"median", "mean", "most_frequent"}, transformer or None, \
default="median"
        What fills the gaps of the numeric columns; with None a gap is an error. A
        column without any value becomes 0.
    encoder : {"onehot"} or None, default="onehot"
        Encoding of string and category columns; with None such a column is an error.
    levels : dict of str to list of str or None, default=None
        Further levels to open columns for, by column name, such as those that a
        prior knows. Names of numeric or absent columns are ignored.
    feature_kinds : dict of str to {"numeric", "categorical"} or None, default=None
        What columns are, by name; of others the dtype decides, and where that says
        nothing, as in a column of objects, the training rows.

    Attributes
    ----------
    columns_ : tuple of Feature of length n_columns
        The column, and the level if any, behind each column of the matrix.
    imputer_, scaler_, encoder_ : transformer or None
        The fitted parts; None if a part is off or the table has no columns for it.
    n_features_in_ : int
        Number of columns of the table.

    Notes
    -----
    Columns are taken by position, so names may repeat and may be anything that has a
    `str`. In a table whose columns carry no type, such as an array of objects, a
    column is numeric if `float` accepts all its values.

    A numeric column that is constant in training is 0, also where it changes later.
    Only a column of zeros is taken for a flag, from 0 to 1: a prior may know what its
    rare 1 means.

    Examples
    --------
    >>> import pandas as pd
    >>> from llmreg.preprocessing import TableEncoder
    >>> X = pd.DataFrame({"age": [20, 40, None], "sex": ["female", "male", None]})
    >>> encoder = TableEncoder(levels={"sex": ["other"]}).fit(X)
    >>> list(encoder.get_feature_names_out())
    ['age', 'sex=female', 'sex=male', 'sex=other', 'sex=missing']
    >>> encoder.transform(X)
    array([[0. , 1. , 0. , 0. , 0. ],
           [1. , 0. , 1. , 0. , 0. ],
           [0.5, 0. , 0. , 0. , 1. ]])
    """

    _added: ClassVar = dict.fromkeys(
        ("_guessed", "_gaps", "_decimal", "_unseen", "_constant"), ()
    )

    def __init__(
        self,
        scaler: Any = "minmax",
        imputer: Any = "median",
        encoder: str | None = "onehot",
        levels: Mapping[str, Sequence[str]] | None = None,
        feature_kinds: Mapping[str, str] | None = None,
    ) -> None:
        self.scaler = scaler
        self.imputer = imputer
        self.encoder = encoder
        self.levels = levels
        self.feature_kinds = feature_kinds

    def fit(
        self,
        X: Any,
        y: Any = None,
        feature_names: Sequence[str] | None = None,
        sample_weight: Any = None,
        told: bool = False,
    ) -> Self:
        """Learn the kinds of the columns, the levels, the gaps' values and the scales.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_features)
            Training rows.
        y : object, default=None
            Ignored.
        feature_names : sequence of str of length n_features or None, default=None
            Names of the columns. By default those of the DataFrame, and ``x0``,
            ``x1``, ... for an array.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows: one of weight 2 counts as two rows. A transformer of
            your own gets them if its ``fit`` takes `sample_weight`.
        told : bool, default=False
            Whether a provider will be told the levels: what looks like cells is none.

        Returns
        -------
        TableEncoder
            Itself.

        Raises
        ------
        UnsupportedColumnError
            If a column holds dates, free text, identifiers or nested objects, or has
            levels while `encoder` is None.
        FeatureNamesError
            If the number of names is not that of the columns, or `feature_kinds` names
            others.
        EncodingError
            If a parameter or a number is not usable: infinite, or missing while
            `imputer` is None.
        DataError
            If there are no rows.
        TypeError
            If an array holds objects that are neither strings nor numbers.
        """
        scaler, imputer = make_scaler(self.scaler), make_imputer(self.imputer)
        if (kind := self.encoder) not in ("onehot", None):
            raise EncodingError(f'encoder must be "onehot" or None; got {kind!r}.')
        levels = given_levels(self.levels or {})
        table = as_table(X)
        if sample_weight is not None:
            rows = np.empty(len(table))
            table, _, sample_weight = weigh_rows(table, rows, sample_weight)
        typed = hasattr(X, "columns")
        self._fitted_names = text_names(table)
        named = table if typed or issparse(table) else np.asarray(table)
        self._names, _ = column_names(named, feature_names)
        self.n_features_in_ = len(self._names)
        # Of an array, too, some columns may have levels.
        table = as_frame(table) if self.feature_kinds else table
        self._sort_columns(table, levels, typed=typed, told=told)
        self._imputer, self._scaler = None, None
        self.encoder_: Any = None
        self._summary: Summary | None = None
        self._ranges: Ranges | None = None
        self._constant = np.zeros(0, dtype=bool)
        self._levels: list[list[str]] = []
        self._gaps: list[str | None] = []
        self._unseen: set[str] = set()  # Keys of levels that a prior alone knows.
        if self._numeric:
            equal = sample_weight is None or np.ptp(sample_weight) == 0
            weight = None if equal else sample_weight / sample_weight.mean()
            self._fit_numbers(self._numbers(table, None), weight, imputer, scaler)
        if self._categorical:
            self._fit_levels(pd.DataFrame(table), levels)
        level_names = dict(zip(self._categorical, self._levels, strict=True))
        self.columns_ = tuple(
            Feature(name, level=level, order=order)
            for i, name in enumerate(self._names)
            for level, order in place_levels(level_names.get(i), table, i)
        )
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Encode rows with what was learnt from the training rows.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_features)
            Rows with the columns of the training rows.

        Returns
        -------
        ndarray of shape (n_samples, n_columns)
            A new float64 matrix; a sparse array if X is sparse.

        Raises
        ------
        FeatureNamesError
            If the columns have other names, or another order, than in training.
        EncodingError
            If the width differs, or a numeric column holds something else, infinite
            numbers, or gaps while `imputer` is None.
        """
        matrix = self.encode(X, np.float64)
        return csr_array(matrix) if issparse(X) else to_dense(matrix)

    def encode(self, X: Any, dtype: Any = None) -> Any:
        """Encode rows as `transform` does, in the precision that they have.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_features)
            Rows with the columns of the training rows.
        dtype : dtype, default=None
            Precision of the matrix. None keeps that of an array in single precision.

        Returns
        -------
        ndarray or SparseRows of shape (n_samples, n_columns)
            A new matrix; sparse if it is large and mostly zeros.
        """
        check_is_fitted(self)
        table = as_table(X)
        if table.shape[1] != self.n_features_in_:
            raise EncodingError(
                f"X has {table.shape[1]} features, but {type(self).__name__} is "
                f"expecting {self.n_features_in_} features as input."
            )
        check_names(table, self._fitted_names)
        if not self._categorical:
            matrix = self._encode_numbers(self._numbers(table, dtype))
            if issparse(matrix):
                is_light = is_mostly_zeros(matrix.shape, matrix.nnz)
                return matrix if is_light else to_dense(matrix)
            shared = table is X and np.may_share_memory(matrix, np.asarray(X))
            return matrix.copy() if shared else matrix
        table = as_frame(table)
        numbers = np.empty((len(table), 0))
        if self._numeric:
            numbers = self._encode_numbers(self._numbers(table))
        levels = self.encoder_.transform(self._level_names(table))
        is_number = np.array([column.level is None for column in self.columns_])
        return join(numbers, levels, is_number)

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Name the columns of the matrix: ``name``, or ``name=level``.

        Parameters
        ----------
        input_features : object, default=None
            Ignored; there for scikit-learn.

        Returns
        -------
        ndarray of shape (n_columns,)
            The keys of `columns_`, as objects.
        """
        check_is_fitted(self)
        return np.array([column.key for column in self.columns_], dtype=object)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = self.imputer is not None
        tags.input_tags.sparse = True
        return tags

    def _sort_columns(
        self, table: Any, levels: Collection[str], *, typed: bool, told: bool
    ) -> None:
        """Decide which columns are numbers and which have levels."""
        kinds: list[ColumnKind] = ["numbers"] * table.shape[1]
        declared = declared_kinds(self.feature_kinds, self._names)
        # Columns of which only these rows show what they are.
        self._guessed: set[int] = set()
        if isinstance(table, pd.DataFrame):
            known = {i for i, name in enumerate(self._names) if name in levels}
            encoded = self.encoder is not None
            rules = {"numeric_text": not typed, "told": told, "encoded": encoded}
            kinds = column_kinds(table, known, declared, **rules)
            dtypes = enumerate(table.dtypes)
            self._guessed = {i for i, d in dtypes if d.kind == "O"} - {*declared}
            if not typed and "objects" in kinds:
                # The words and the type that scikit-learn's own checks ask for.
                raise TypeError(
                    "Each entry of the argument must be a string or a number; column "
                    f"{self._names[kinds.index('objects')]!r} holds other objects."
                )
            allowed = ["numbers", "levels"] if self.encoder else ["numbers"]
            refuse(kinds, self._names, allowed, table)
        self._numeric = [i for i, kind in enumerate(kinds) if kind == "numbers"]
        self._categorical = [i for i, kind in enumerate(kinds) if kind == "levels"]

    @property
    def imputer_(self) -> Any:
        """The fitted imputer, made when it is first needed."""
        if self._imputer is None and self._summary is not None:
            # The median of a single row is that row.
            self._imputer = make_imputer("median").fit(self._summary.median[None])
        return self._imputer

    @property
    def scaler_(self) -> Any:
        """The fitted scaler, made when it is first needed."""
        if self._scaler is None and (ranges := self._ranges) is not None:
            parts = ranges.low, ranges.scale, ranges.keeps_zeros
            self._scaler = fit_minmax(make_scaler(self.scaler), *parts)
        return self._scaler

    @property
    def gap_names(self) -> list[str | None]:
        """The level of each categorical column that stands for its gaps."""
        return self._gaps or [
            MISSING if MISSING in own else None for own in self._levels
        ]

    def _numbers(self, table: Any, dtype: Any = np.float64) -> Any:
        """Give the numeric columns as floats, without a copy where there is a way."""
        if not isinstance(table, pd.DataFrame):
            is_single = dtype is None and table.dtype == np.float32
            kind = np.float32 if is_single else np.float64
            if issparse(table):
                return table.astype(kind)
            return np.ascontiguousarray(table, kind)
        if self._categorical:
            table = table.iloc[:, self._numeric]
        is_guessed = [i in self._guessed for i in self._numeric]
        return to_numbers(table, [self._names[i] for i in self._numeric], is_guessed)

    def _fit_numbers(
        self, numbers: Any, weight: Any, imputer: Any, scaler: Any
    ) -> None:
        keeps_zeros = issparse(numbers)
        is_usual = weight is None and not keeps_zeros and self.imputer == "median"
        if is_usual and self.scaler in _RANGES:
            self._summary = summarize(numbers)
        if self._summary is not None:
            low, high = self._summary[:2]
        else:
            self._imputer = imputer
            complete = self._is_complete(numbers)
            if isinstance(self.imputer, str):
                # Of a single row the mean, the median and the mode are that row.
                imputer.fit(fills(numbers, weight, self.imputer)[None])
            elif imputer is not None:
                fit_weighted(imputer, numbers, weight)
            numbers = self._impute(numbers, complete)
            low, high = ends(numbers)
        low, high = np.array([low, high], np.float64)
        scale = scale_of(low, high)
        self._constant = is_constant(low, high)
        if self.scaler in _RANGES:
            self._ranges = Ranges(low, scale, self.scaler == "bounded", keeps_zeros)
        elif isinstance(self.scaler, str):
            # What is divided by infinity has no effect.
            constants = np.where(scale > 0, 1.0, np.inf)
            self._scaler = fit_standard(numbers, weight, constants)
        elif scaler is not None:
            self._scaler = fit_weighted(scaler, numbers, weight)

    def extend(self, X: Any) -> None:
        """Learn from further rows the scales of columns that were constant so far."""
        if isinstance(self.scaler, str) and np.any(self._constant):
            numbers = self._numbers(as_table(X))
            self._is_complete(numbers)
            parts = self._ranges, self._scaler, self._constant
            self._ranges, self._scaler, self._constant = extend(*parts, numbers)

    def _is_complete(self, numbers: Any) -> bool:
        names = [self._names[i] for i in self._numeric]
        return is_complete(numbers, names, allow_nan=self.imputer is not None)

    def _impute(self, numbers: Any, complete: bool) -> Any:
        # Ours has nothing to do on complete rows; a user's may do what it likes.
        if self.imputer is None or (complete and isinstance(self.imputer, str)):
            return numbers
        if issparse(numbers) and isinstance(self.imputer, str):
            return numbers.filled(self.imputer_.statistics_)
        return apply(self.imputer_, numbers, keep_shape=True)

    def _encode_numbers(self, numbers: Any) -> Any:
        numbers = self._impute(numbers, self._is_complete(numbers))
        if self._ranges is not None:
            return self._ranges.transform(numbers)
        scaler = self.scaler_
        return numbers if scaler is None else apply(scaler, numbers, keep_shape=True)

    def _fit_levels(self, table: pd.DataFrame, extra: Mapping[str, set[str]]) -> None:
        columns = {i: table.iloc[:, i] for i in self._categorical}
        known = (extra.get(self._names[i], set()) for i in columns)
        opened = map(open_levels, columns.values(), known)
        self._levels, self._gaps = map(list, zip(*opened, strict=True))
        self._decimal = {i for i, column in columns.items() if has_decimals(column)}
        names = [np.array(levels, dtype=object) for levels in self._levels]
        self.encoder_ = OneHotEncoder(categories=names, handle_unknown="ignore")
        found = self._level_names(table)
        self.encoder_.set_output(transform="default").fit(found)
        for j, (i, column) in enumerate(columns.items()):
            if (name := self._names[i]) in extra:
                only = unseen(column, self._levels[j], self._gaps[j], found[:, j])
                self._unseen |= {Feature(name, level=level).key for level in only}

    def _level_names(self, table: pd.DataFrame) -> np.ndarray:
        """Give the level names of a table, of shape (n_samples, n_categorical)."""
        places = zip(self._categorical, self._levels, self.gap_names, strict=True)
        return np.column_stack(
            [to_levels(table.iloc[:, i], own, gap) for i, own, gap in places]
        )
