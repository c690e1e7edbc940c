"""Whether the rows are in the units that a prior speaks of."""

import re
import warnings
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from llmreg.exceptions import PriorMismatchError, PriorUnitsWarning
from llmreg.preprocessing._basis import numeric_keys
from llmreg.preprocessing._encoder import TableEncoder
from llmreg.preprocessing._sparse import to_dense
from llmreg.preprocessing._validation import as_frame, as_table
from llmreg.prior._feature_prior import FeaturePrior
from llmreg.prior._scores import FloatArray, TypicalRange, rescale_range

# From so many rows on half of them suffice; of fewer all must lie outside, and by far.
ENOUGH_ROWS = 10
# By what part of its width a typical range is widened, and by what factor towards 0.
_MARGIN, _TOWARDS_ZERO = 0.25, 2.5
_FAR_MARGIN, _FAR_TOWARDS_ZERO = 1.0, 5.0
# How far, as a logarithm, the ratio of rows and range may be from a factor that the
# name speaks of, and from one that may be anywhere, of which there are few.
_NAMED, _ANYWHERE = 0.35, 0.7
# The most columns that a message tells of.
_MOST_TOLD = 8

# Usual factors, and the words in names, units and descriptions that they go with.
_FACTORS = (
    (1000.0, ""),
    (1e6, ""),
    (100.0, ""),
    (18.02, "glucose|sugar"),
    (38.67, "cholesterol|hdl|ldl"),
    (88.57, "triglycerid"),
    (88.4, "creatinine"),
    (17.1, "bilirubin"),
    (10.0, "albumin|h(a)?emoglobin|protein|cm|centimet|mm|millimet"),
    (2.2046, "weigh|mass|kg|kilo|lbs?|pound"),
    (28.35, "ounce|gram"),
    (2.54, "height|length|width|size|inch|cm|centimet|circumference"),
    (25.4, "height|length|width|size|inch|mm|millimet|circumference|rain"),
    (3.2808, "feet|foot|ft|met(re|er)"),
    (10.764, "area|square|sqft"),
    (1.6093, "miles?|mph|km|kilomet|distance|speed"),
    (3.785, "gallon|lit(re|er)"),
    (4.184, "calor|energy|joule"),
    (12.0, "months?|years?|age|tenure|annual|income|salary|seniority"),
    (365.25, "days?|years?|age"),
    (30.44, "days?|months?"),
    (7.0, "days?|weeks?"),
    (24.0, "hours?|days?"),
    (60.0, "hours?|minutes?|seconds?|duration|time"),
    (3600.0, "hours?|seconds?|duration|time"),
)
# What is more than a factor: the words, what becomes of a value, and what it is called.
_OFFSETS = (
    ("temp|°|celsius|fahrenheit", (1.8, 32.0), "in Fahrenheit, the range in Celsius"),
    (
        *("temp|°|celsius|fahrenheit", (1 / 1.8, -32 / 1.8)),
        "in Celsius, the range in Fahrenheit",
    ),
    ("temp|kelvin", (1.0, 273.15), "in Kelvin, the range in Celsius"),
    ("temp|kelvin", (1.0, -273.15), "in Celsius, the range in Kelvin"),
    ("year", (1.0, 1900.0), "years in full, the range years of a century"),
    ("year", (1.0, -1900.0), "years of a century, the range years in full"),
)


class OtherUnits(NamedTuple):
    """A column, or target, whose rows are not where the prior expects them."""

    name: str
    said: TypicalRange
    unit: str
    # The 5th, 50th and 95th percentile of the rows.
    seen: tuple[float, ...]
    # In words, what the rows look like.
    looks: str
    # What brings the prior into the units of the rows, for `convert_units`.
    change: float | tuple[float, float] | None = None

    def __str__(self) -> str:
        unit = f" {self.unit}" if self.unit else ""
        return (
            f"{self.name!r} (said {self.said.low:g} to {self.said.high:g}{unit}, rows "
            f"{self.seen[0]:.4g} to {self.seen[2]:.4g}: {self.looks})"
        )


def settle_units(
    prior: FeaturePrior | None,
    encoder: TableEncoder,
    X: Any,
    targets: Mapping[str, FloatArray],
    on_mismatch: str,
) -> FeaturePrior | None:
    """Take curves and ranges in units other than those of rows out of a prior."""
    if prior is None or on_mismatch == "keep":
        return prior
    columns = other_columns(prior, encoder, X) if prior.curves or prior.ranges else []
    known = prior.target_ranges
    pairs = [(name, y, known[name]) for name, y in targets.items() if name in known]
    outputs = [found for pair in pairs if (found := compare(*pair))]
    if not columns and not outputs:
        return prior
    message = describe(columns, outputs)
    if on_mismatch == "raise":
        raise PriorMismatchError(message)
    warnings.warn(message, PriorUnitsWarning, stacklevel=2)
    dropped = {found.name for found in columns}
    moved = {found.name for found in outputs}
    return replace(
        prior,
        # The score of a curve stays behind, and so does its direction.
        curves={k: curve for k, curve in prior.curves.items() if k not in dropped},
        ranges={k: found for k, found in prior.ranges.items() if k not in dropped},
        target_ranges={k: found for k, found in known.items() if k not in moved},
    )


def other_columns(
    prior: FeaturePrior, encoder: TableEncoder, X: Any
) -> list[OtherUnits]:
    """Find the numeric columns whose rows are not in the units of an aligned prior."""
    table = as_table(X)
    numbers = encoder._numbers(as_frame(table) if encoder._categorical else table, None)
    found = []
    for j, key in enumerate(numeric_keys(encoder, prior)):
        curve, said = prior.curves.get(key), prior.ranges.get(key)
        if said is None and curve is not None:
            knots = curve.values
            said = TypicalRange(knots[0], float(np.median(knots)), knots[-1])
        if said is not None:
            codes = [] if curve is None else [*curve.special]
            unit, about = prior.units.get(key, ""), prior.descriptions.get(key, "")
            values = to_dense(numbers[:, [j]])[:, 0].astype(float, copy=False)
            found.append(compare(key, values, said, unit, about, codes))
    return [each for each in found if each is not None]


def compare(
    name: str,
    values: FloatArray,
    said: TypicalRange,
    unit: str = "",
    about: str = "",
    codes: Any = (),
) -> OtherUnits | None:
    """Compare the values of a column with its typical range; None where they fit."""
    x = values[np.isfinite(values)]
    if len(codes):
        x = x[~np.isin(x, codes)]
    is_scaled = _is_scaled(x, said)
    if said.middle and np.count_nonzero(x) > 2:
        # Zeros are zeros in most units, and a code for what was not measured.
        x = x[x != 0]
    if not is_scaled and not _is_outside(x, said):
        return None
    seen = tuple(np.quantile(x, (0.05, 0.5, 0.95)).tolist())
    scaled, text = "they look standardised by a step before", f"{name} {unit} {about}"
    found = (scaled, None) if is_scaled else _likely_change(seen, said, text)
    return OtherUnits(name, said, unit, seen, *found)


def _is_outside(x: FloatArray, said: TypicalRange) -> bool:
    """Tell whether half of many values, or all of a few by far, lie outside a range."""
    low, middle, high, *_ = said
    needed, margin, towards_zero = 0.5, _MARGIN, _TOWARDS_ZERO
    if len(x) < ENOUGH_ROWS:
        needed, margin, towards_zero = 1.0, _FAR_MARGIN, _FAR_TOWARDS_ZERO
    margin *= (high - low) or abs(middle)
    bottom = low - margin
    if low > 0:
        # On a scale of orders of magnitude the width is that of the largest values.
        bottom = max(bottom, low / towards_zero)
    elif low == 0 < middle:
        bottom = middle / (4 * towards_zero)
    is_outside = (x < bottom) | (x > high + margin)
    if low <= 0 <= high:
        is_outside &= x != 0
    return len(x) > 0 and bool(is_outside.mean() >= needed)


def _is_scaled(x: FloatArray, said: TypicalRange) -> bool:
    """Tell whether values were scaled to a mean of 0, a median of 0, or to 0 and 1."""
    low, middle, high, *_ = said
    # What is said may be that of a score which is so by itself.
    if len(x) < 2 or (low < 0 < high and 2 <= high - low < 6 and abs(middle) < 1):
        return False
    if _are([x.mean(), x.std()], [0, 1]):
        return True
    # Counts are whole numbers from 0 on, with whole numbers for quartiles.
    if (x == np.round(x)).all():
        return False
    ends = [x.min(), x.max()]
    if _are(ends, [0, 1]) or _are(ends, [-1, 1]):
        return high > 2 or low < -2
    q1, q2, q3 = np.quantile(x, (0.25, 0.5, 0.75))
    if _are([q2, q3 - q1], [0, 1]):
        return True
    # By a scaler that has seen other rows as well: broken numbers on both sides of 0.
    is_negative = (x < 0) & (x != np.round(x))
    is_about_0 = np.abs(x).max() < 10 and abs(x.mean()) < 1
    return low >= 0 and is_about_0 and bool(is_negative.mean() >= 0.25)


def _are(found: list[float], expected: list[float]) -> bool:
    """Tell whether numbers are the same, up to single precision."""
    return bool(np.allclose(found, expected, atol=1e-5, rtol=0))


def _likely_change(
    seen: tuple[float, ...], said: TypicalRange, text: str
) -> tuple[str, float | tuple[float, float] | None]:
    """Say what would bring a typical range to where the rows are, and how."""
    for words, change, looks in _OFFSETS:
        if _mentions(text, words):
            moved = np.array(rescale_range(said, *change)[:3])
            gap = np.abs(moved - seen).mean()
            if gap < 0.35 * (moved[2] - moved[0]):
                return f"they look {looks}", change
    pairs = [
        (a, b) for a, b in zip(seen, said[:3], strict=True) if a * b > 0 and abs(b) > 0
    ]
    if not pairs:
        return "no factor leads from one to the other", None
    ratio = float(np.exp(np.mean([np.log(a / b) for a, b in pairs])))
    off, factor, sign = min(
        (abs(np.log(ratio) - sign * np.log(factor)) / reach, factor, sign)
        for factor, words in _FACTORS
        for sign in (1, -1)
        for reach in [_NAMED if words else _ANYWHERE]
        if not words or _mentions(text, words)
    )
    if off > 1:
        return f"about {ratio:.2g} times the range", None
    if sign > 0:
        return f"they look {factor:g} times as large", factor
    return f"they look divided by {factor:g}", float(f"{1 / factor:.4g}")


def _mentions(text: str, words: str) -> bool:
    """Tell whether one of some words, or of their beginnings, stands in a text."""
    spaced = re.sub(r"([a-z])([A-Z])|[_\W]", r"\1 \2", text).lower() + text
    return re.search(rf"(\b|°)({words})", spaced) is not None


def describe(columns: list[OtherUnits], outputs: list[OtherUnits]) -> str:
    """Say which columns and targets are in other units, and what can be done."""
    every = [*columns, *outputs]
    named = "; ".join(str(found) for found in every[:_MOST_TOLD])
    if len(every) > _MOST_TOLD:
        named += f"; and {len(every) - _MOST_TOLD} more"
    text = (
        "Training rows lie outside the typical ranges that the prior gives, so that "
        f"they may be in other units: {named}. No more than the direction of the "
        "curves of these columns is used, and nothing of their ranges. "
    )
    if changes := {found.name: found.change for found in columns if found.change}:
        text += (
            "To use them, set the prior to model.elicit_prior(X, y).convert_units("
            f"{changes}), or give the unit in feature_descriptions before a provider "
            "is asked. "
        )
    if any("standardised" in found.looks for found in columns):
        text += (
            "Give columns as they are, without a scaler before: the estimator scales "
            "them itself. "
        )
    return text + 'on_unit_mismatch="keep" uses everything as it is.'
