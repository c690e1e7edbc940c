"""One value has one name, and a name stands for one value."""

from decimal import Decimal
from enum import Enum, IntEnum, StrEnum

import numpy as np
import pandas as pd
import pytest

from llmreg.exceptions import EncodingError
from llmreg.preprocessing._levels import level_number, open_levels, to_levels


class Text(str, Enum):  # noqa: UP042
    """An enumeration whose members equal their values, and are written otherwise."""

    U = "x"


class Plain(StrEnum):
    U = "x"


class Number(IntEnum):
    U = 2


SAME = {
    "a small decimal": (Decimal("0.00000015"), 1.5e-7),
    "final zeros": (Decimal("-1.50"), -1.5),
    "a large decimal": (Decimal("1E+3"), 1000),
    "a decimal that no float is": (Decimal("0.1000000000000000000001"),),
    "a tenth": (Decimal("0.10"), 0.1, "0.1"),
    "an enumeration of texts": (Text.U, Plain.U, np.str_("x"), "x"),
    "an enumeration of numbers": (Number.U, 2, 2.0, np.uint8(2), Decimal("2.0"), "2"),
    "a large number": (10**17, 1e17, "1e+17", Decimal("1E+17")),
}


@pytest.mark.parametrize("dtype", [object, "category"])
@pytest.mark.parametrize("name", SAME)
def test_one_value_has_one_name(name, dtype):
    for first in SAME[name]:
        levels, _ = open_levels(pd.Series([first, "other"], dtype=dtype))
        assert len(levels) == 2
        for value in SAME[name]:
            found = to_levels(pd.Series([value], dtype=dtype), levels)
            assert found[0] in levels and found[0] != "other"


@pytest.mark.parametrize(
    ("name", "number"),
    [
        *(("1.5", "1.5"), ("1", "1"), ("True", "1"), ("-0.0", "0"), ("1e-07", "1e-7")),
        *(
            (text, None)
            for text in ("01", "1.50", "1e0", "1_0", " 1", "inf", "nan", "")
        ),
    ],
)
def test_the_number_of_a_name(name, number):
    assert level_number(name) == (None if number is None else Decimal(number))


@pytest.mark.parametrize("cell", [["u"], {"u": 1}, {"u"}, np.ones(2)])
def test_cells_that_are_no_values_are_told(cell):
    column = pd.Series(["u", cell], name="town", dtype=object)
    with pytest.raises(EncodingError, match=r"'town' has levels, but holds something"):
        to_levels(column, ["u"])
