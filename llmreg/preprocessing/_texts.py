"""What the strings of a column are: levels, dates, numbers, free text or cells."""

import re
from decimal import Decimal
from numbers import Real
from typing import Literal

import numpy as np
import pandas as pd

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


def written_kind(present: np.ndarray) -> Literal["dates", "spelled"] | None:
    """Say whether most strings are dates or numbers as people write them."""
    texts = {str(value).strip() for value in present}
    if len(texts) < _MIN_SUSPECT:
        return None
    if sum(map(bool, map(_WRITTEN_DATE.fullmatch, texts))) > len(texts) / 2:
        return "dates"
    found = [text for text in texts if _WRITTEN_NUMBER.fullmatch(text)]
    is_plain = pd.to_numeric(pd.Series(found, dtype=object), errors="coerce").notna()
    # Of one unit, more or less: 12A, 12B and 7C are codes.
    units = {
        text.lstrip("<>≤≥=~$€£+-., '0123456789").strip("+").lower() for text in found
    }
    is_number = len(found) > len(texts) / 2 and not is_plain.all() and len(units) <= 4
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
    present = column.dropna()
    if all(isinstance(value, NUMBERS) for value in present):
        return False  # Numbers without a type have no levels.
    levels = pd.Series(present.astype(str).unique())
    if len(levels) < _MIN_SUSPECT:
        return False
    are_numbers = pd.to_numeric(levels, errors="coerce").notna()
    n_cells = min(len(present), count_rows(table, 2 * len(levels)))
    return len(levels) > n_cells / 2 or bool(are_numbers.mean() > 0.5)
