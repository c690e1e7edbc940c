"""What the columns of a raw table are, and their values."""

import re
import warnings
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from datetime import date, time, timedelta
from decimal import Decimal
from numbers import Complex, Real
from typing import Any, Literal

import numpy as np
import pandas as pd

from llmreg._utils._text import list_names
from llmreg.exceptions import (
    EncodingError,
    FeatureNamesError,
    LLMRegWarning,
    UnsupportedColumnError,
)
from llmreg.preprocessing._levels import is_gap

ColumnKind = Literal[
    "numbers",
    "levels",
    "dates",
    "spelled",
    "unread",
    "infinite",
    "text",
    "cells",
    "objects",
    "complex",
]

_DATES = (date, time, timedelta, np.datetime64, np.timedelta64, pd.Period)
_ADVICE: dict[ColumnKind, str] = {
    "complex": "complex numbers. Complex data not supported: use the real and the "
    "imaginary parts",
    "dates": "dates or times. Derive numbers from them, such as year, month and "
    "weekday, an age in days or a duration, and drop the column",
    "spelled": "numbers with units, separators or signs, such as 79 kg, 1,234.50 or "
    "<5, or among texts. Make numbers of them with str.replace and pd.to_numeric "
    '(errors="coerce" makes gaps of texts), or declare levels, '
    'feature_kinds={name: "categorical"}',
    "unread": "declared numeric, but strings that are no numbers. Make numbers of "
    'them, pd.to_numeric(X[name], errors="coerce") where odd ones may be gaps',
    "infinite": "infinite numbers. Replace such values, or drop the rows",
    "text": "free text or identifiers. Drop the column, derive numbers from it, or "
    'cast it with astype("category") if it really is a category, as '
    'feature_kinds={name: "categorical"} says',
    "objects": "lists, dicts or other objects. Spread their content over columns of "
    "numbers or strings, or drop the column",
    "cells": "strings that look like the content of cells, not like levels, and would "
    "be sent to the provider as levels. Nothing has been sent. If they are levels, "
    'cast the column with astype("category") or say so, feature_kinds={name: '
    '"categorical"}; turn it into numbers if they are numbers, or drop it',
    "levels": "strings or categories, and encoder=None turns their encoding off. Use "
    'encoder="onehot", encode them beforehand, or drop the column',
}


NUMBERS = (Real, np.bool_, Decimal)
# As machines write dates.
ISO_DATE = re.compile(
    r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d([.,]\d+)?)?(Z|[+-]\d\d(:?\d\d)?)?)?"
)
# What people write: 31/01/2024, 1.2.24, 5 Mar 2024, March 5, 2024, 15:40.
_TIME = r"\d?\d:\d\d(:\d\d)?( ?[ap]m)?"
_MONTH = r"(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*"
_WRITTEN_DATE = re.compile(
    rf"({_TIME})|((\d?\d[/.-]\d?\d[/.-](\d\d){{1,2}}|\d{{4}}[/.]\d?\d[/.]\d?\d|"
    rf"\d?\d[ -]{_MONTH}[ -]\d{{2,4}}|{_MONTH} \d?\d,? \d{{4}})([ T]{_TIME})?)",
    re.IGNORECASE,
)
# 79 kg, 1,234.50, < 5, $20, 12%, 10+: a number, and a sign or a unit.
_WRITTEN_NUMBER = re.compile(
    r"[<>≤≥=~]{0,2}\s*[$€£]?\s*[+-]?"
    r"(\d{1,3}([,.' ]\d{3})+|\d+)?([.,]\d+)?(?<=\d)\s*([$€£%°+]|[^\W\d_]{1,9})?"
    r"(/[^\W_]{1,9})?"
)

# A handful of rows cannot tell a sentence from a long level name: in a sample of
# two rows nearly everything is distinct.
_MIN_TEXTS = 5
_TEXT_DISTINCT = 0.9
_TEXT_WORDS = 5
_MIN_IDENTIFIERS = 50
# Below this many different strings a column is as likely a short list of levels.
_MIN_SUSPECT = 5


def column_kinds(
    table: pd.DataFrame,
    known: Collection[int] = (),
    declared: Mapping[int, ColumnKind] | None = None,
    *,
    numeric_text: bool = False,
    told: bool = False,
    encoded: bool = True,
) -> list[ColumnKind]:
    """Decide what each column is; those at the places `known` are levels or numbers.

    Booleans with known levels have levels: a prior may speak of ``garden=True``. Where
    levels are `told` to a provider, what looks like cells is a kind of its own.
    """
    # One look at the whole array: thousands of columns are slow one by one.
    all_numbers = numeric_text and _spells_numbers(table.to_numpy(dtype=object))
    dtypes, declared = list(table.dtypes), declared or {}
    numeric = {dtype for dtype in set(dtypes) if all_numbers or _is_real(dtype)}
    kinds: list[ColumnKind] = [
        "numbers"
        if dtype in numeric and not (i in known and pd.api.types.is_bool_dtype(dtype))
        else _kind(table, i, known=i in known, numeric_text=numeric_text)
        for i, dtype in enumerate(dtypes)
    ]
    for i, kind in enumerate(kinds):
        if i in declared:
            kinds[i] = _declared_kind(table.iloc[:, i], kind, declared[i])
        elif kind == "levels" and not encoded and is_gap(table.iloc[:, i]).all():
            # It has no string to encode, and becomes 0.
            kinds[i] = "numbers"
        elif told and kind == "levels" and looks_like_cells(table.iloc[:, i], table):
            kinds[i] = "cells"
    return kinds


def _declared_kind(column: pd.Series, kind: ColumnKind, said: ColumnKind) -> ColumnKind:
    """Give what a column is said to be, if it can be that."""
    # Dates may be levels, but are no numbers.
    if kind in ("objects", "complex") or (kind == "dates" and said == "numbers"):
        return kind
    if said == "numbers" and not (
        _is_real(column.dtype) or _spells_numbers(column.to_numpy(dtype=object))
    ):
        return "spelled" if kind == "spelled" else "unread"
    return said


def declared_kinds(
    given: Mapping[Any, Any] | None, names: Sequence[str]
) -> dict[int, ColumnKind]:
    """Give the kinds of columns that `feature_kinds` says, by place."""
    given = given or {}
    if unexpected := [name for name in given if name not in names]:
        raise FeatureNamesError(
            f"feature_kinds contains columns that X does not have: {unexpected}. "
            f"The columns are {list_names(names)}."
        )
    kinds: dict[Any, ColumnKind] = {"numeric": "numbers", "categorical": "levels"}
    if wrong := {n: kind for n, kind in given.items() if kind not in kinds}:
        raise EncodingError(
            f'feature_kinds must be "numeric" or "categorical"; got {wrong!r}.'
        )
    return {i: kinds[given[name]] for i, name in enumerate(names) if name in given}


def placed_columns(encoder: Any) -> list[tuple[int, Any]]:
    """Give the encoded columns, each after the place of its column in the table.

    Names do not tell it: in a table that is scored by place they may be the same.
    """
    levels = dict(zip(encoder._categorical, encoder._levels, strict=True))
    n_levels = [len(levels.get(i, "1")) for i in range(encoder.n_features_in_)]
    places = np.repeat(np.arange(len(n_levels)), n_levels)
    return list(zip(places.tolist(), encoder.columns_, strict=True))


def kept_columns(
    columns: Sequence[Any], named: Sequence[Any] | str | None
) -> np.ndarray | None:
    """Tell which encoded columns belong to `biased_features`."""
    if named is None or isinstance(named, str):
        return None if named is None else np.ones(len(columns), dtype=bool)
    names = [column.name for column in columns]
    if unexpected := [name for name in named if name not in names]:
        raise FeatureNamesError(
            f"biased_features contains columns that X does not have: {unexpected}. "
            f"The columns are {list_names(list(dict.fromkeys(names)))}."
        )
    return np.isin(names, list(named))


def refuse(
    kinds: Sequence[ColumnKind],
    names: Sequence[str],
    allowed: Collection[str],
    table: pd.DataFrame | None = None,
) -> None:
    """Raise one error that names every column of another kind, if there are any."""
    kinds = list(kinds)
    if table is not None and not set(kinds) <= set(allowed):
        # They would be found later, when the others are mended.
        for i in (i for i, kind in enumerate(kinds) if kind == "numbers"):
            if np.isinf(to_numbers(table.iloc[:, [i]], [names[i]])).any():
                kinds[i] = "infinite"
    lines = ["Some columns cannot be encoded:"]
    for kind, what in _ADVICE.items():
        if kind in kinds and kind not in allowed:
            named = (n for n, k in zip(names, kinds, strict=True) if k == kind)
            lines.append(f"- {list_names(named, limit=30)}: {what}.")
    if len(lines) > 1:
        lines.append(
            'The page "Prepare a messy table" of the documentation has a pipeline that '
            "does this."
        )
        raise UnsupportedColumnError("\n".join(lines))


def _kind(
    table: pd.DataFrame, place: int, *, known: bool, numeric_text: bool
) -> ColumnKind:
    column = table.iloc[:, place]
    dtype = column.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return "levels"
    if dtype.kind == "c":
        return "complex"
    if dtype.kind in "mM" or isinstance(dtype, pd.PeriodDtype):
        return "dates"
    values = column.to_numpy(dtype=object)
    if numeric_text and _spells_numbers(values):
        return "numbers"
    present = values[~is_gap(values)]
    kind = _kind_of_objects(present, known=known)
    if kind != "levels" or known:
        return kind
    if (written := written_kind(present)) is not None:
        return written
    return "text" if is_text(present, table) else kind


def _kind_of_objects(present: np.ndarray, *, known: bool) -> ColumnKind:
    types = set(map(type, present))
    if any(issubclass(t, _DATES) for t in types):
        return "dates"
    if any(issubclass(t, Complex) and not issubclass(t, Real) for t in types):
        return "complex"
    if not all(issubclass(t, (str, *NUMBERS)) for t in types):
        return "objects"
    if known or not types:
        return "levels"
    if all(issubclass(t, NUMBERS) for t in types):
        return "numbers"
    if not all(issubclass(t, str) for t in types):
        return "levels"
    # Most of them: a fold may lack the one that is none.
    dates = list(map(ISO_DATE.fullmatch, set(present)))
    return "dates" if sum(map(bool, dates)) > len(dates) / 2 else "levels"


def written_kind(present: np.ndarray) -> Literal["dates", "spelled"] | None:
    """Say whether most values are dates or numbers as people write them."""
    texts = {str(value).strip() for value in present}
    if len(texts) < _MIN_SUSPECT:
        return None
    if sum(map(bool, map(_WRITTEN_DATE.fullmatch, texts))) > len(texts) / 2:
        return "dates"
    found = [text for text in texts if _WRITTEN_NUMBER.fullmatch(text)]
    numbers = pd.to_numeric(pd.Series(found, dtype=object), errors="coerce")
    # As read from a sheet that has words among measurements: 0.347 is no level.
    is_text = [isinstance(value, str) for value in present]
    is_mixed = len(found) < len(texts) or not all(is_text)
    is_measured = is_mixed and (numbers % 1 > 0).mean() > 0.5
    # Of one unit, more or less: 12A, 12B and 7C are codes.
    units = {
        text.lstrip("<>≤≥=~$€£+-., '0123456789").strip("+").lower() for text in found
    }
    is_plain = numbers.notna().all() and not is_measured
    is_number = len(found) > len(texts) / 2 and not is_plain and len(units) <= 4
    return "spelled" if is_number else None


def is_text(present: np.ndarray, table: pd.DataFrame) -> bool:
    """Say whether strings look like free text (long) or like identifiers (many)."""
    distinct = set(present)
    n = len(distinct)
    if n < _MIN_TEXTS or not all(isinstance(value, str) for value in distinct):
        return False
    is_long = sum(len(value.split()) for value in distinct) >= _TEXT_WORDS * n
    if not is_long and n < _MIN_IDENTIFIERS:
        return False
    n_rows = count_rows(table, 2 * n)
    n_present = min(len(present), n_rows)
    numbers = pd.to_numeric(pd.Series(list(distinct)), errors="coerce")
    is_measured = (numbers % 1 > 0).mean() > 0.5
    # A fold has fewer rows for its levels than the table: all of them must differ, but
    # those of numbers with decimals, which are no codes.
    is_identifier = n > n_rows / 2 and (n >= n_present or is_measured)
    return (n >= _MIN_IDENTIFIERS and is_identifier) or (
        is_long and n >= _TEXT_DISTINCT * n_present
    )


def count_rows(table: pd.DataFrame, enough: int) -> int:
    """Count different rows, up to `enough`; in a table of one column all of them."""
    if table.shape[1] == 1:
        return len(table)
    n_rows = len(table.head(2 * enough).astype(str).drop_duplicates())
    if n_rows > enough or len(table) <= 2 * enough:
        return n_rows
    return len(table.astype(str).drop_duplicates())


def looks_like_cells(column: pd.Series, table: pd.DataFrame) -> bool:
    """Say whether the strings of a column are many, or numbers: hardly levels."""
    dtype = column.dtype
    if pd.api.types.is_numeric_dtype(dtype) or isinstance(dtype, pd.CategoricalDtype):
        return False
    present = column[~is_gap(column)]
    if all(isinstance(value, NUMBERS) for value in present):
        return False  # Numbers without a type have no levels.
    levels = pd.Series(present.astype(str).unique())
    if len(levels) < _MIN_SUSPECT:
        return False
    are_numbers = pd.to_numeric(levels, errors="coerce").notna()
    n_cells = min(len(present), count_rows(table, 2 * len(levels)))
    return len(levels) > n_cells / 2 or bool(are_numbers.mean() > 0.5)


def _spells_numbers(values: Any) -> bool:
    try:
        _to_floats(np.asarray(values, dtype=object))
    except (TypeError, ValueError):
        return False
    except OverflowError:
        pass  # A number still; that it is too large for a float is reported later.
    return True


def refuse_cell_values(
    X: pd.DataFrame | np.ndarray, names: Sequence[str], declared: Collection[str] = ()
) -> None:
    """Refuse columns of strings whose levels look like cells: they would be sent."""
    if not isinstance(X, pd.DataFrame) and X.dtype.kind in "fiub":
        return
    table = pd.DataFrame(X)
    kinds: list[ColumnKind] = [
        "cells" if n not in declared and looks_like_cells(c, table) else "levels"
        for n, (_, c) in zip(names, table.items(), strict=True)
    ]
    refuse(kinds, names, {"levels"})


def blank_texts(
    table: pd.DataFrame, names: Sequence[str], guessed: Sequence[bool]
) -> pd.DataFrame:
    """Take texts for gaps in columns that only training rows showed as numeric."""
    columns, changed = [column for _, column in table.items()], []
    for i in np.flatnonzero(guessed):
        is_text = [isinstance(v, str) and not _spells_numbers(v) for v in columns[i]]
        if any(is_text):
            columns[i] = columns[i].astype(object).mask(np.array(is_text), np.nan)
            changed.append(names[int(i)])
    if changed:
        warnings.warn(
            f"{list_names(changed)}: columns of objects that were numeric in training "
            "hold texts that are no numbers, which are taken for gaps. "
            'feature_kinds={name: "categorical"} makes levels of them.',
            LLMRegWarning,
            stacklevel=2,
        )
    return pd.concat(columns, axis=1)


def to_numbers(
    table: pd.DataFrame, names: Sequence[str], guessed: Sequence[bool] = ()
) -> np.ndarray:
    """Give numeric columns, NaN for gaps: also for texts in those that are guessed."""
    try:
        return _to_numbers(table, names)
    except EncodingError:
        if not any(guessed):
            raise
        return _to_numbers(blank_texts(table, names, guessed), names)


def _to_numbers(table: pd.DataFrame, names: Sequence[str]) -> np.ndarray:
    dtypes = list(table.dtypes)
    kinds = set(dtypes)
    if all(map(_is_real, kinds)):
        return np.ascontiguousarray(table.to_numpy(np.float64, na_value=np.nan))
    if kinds == {np.dtype(object)}:
        # Else the columns one by one, to name the one at fault.
        with suppress(TypeError, ValueError, OverflowError):
            return _to_floats(table.to_numpy())
    real = np.array([_is_real(dtype) for dtype in dtypes])
    out = np.empty(table.shape)
    if real.any():
        out[:, real] = _to_numbers(table.iloc[:, np.flatnonzero(real)], names)
    for i in np.flatnonzero(~real):
        try:
            out[:, i] = _to_floats(table.iloc[:, i].to_numpy(dtype=object))
        except (TypeError, ValueError, OverflowError) as e:
            raise EncodingError(
                f"Column {names[int(i)]!r} is numeric, but holds something else: {e}."
            ) from e
    return out


def _to_floats(values: np.ndarray) -> np.ndarray:
    """Convert an array of objects; what pandas counts as missing becomes NaN."""
    out = np.full(values.shape, np.nan)
    present = ~is_gap(values)
    out[present] = values[present].astype(np.float64)
    return out


def _is_real(dtype: Any) -> bool:
    """Say whether a type stands for real numbers or booleans."""
    return pd.api.types.is_numeric_dtype(dtype) and dtype.kind != "c"
