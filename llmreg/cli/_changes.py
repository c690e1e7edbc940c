"""What differs between two priors beside their scores, in words."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from llmreg._utils._text import clean_text
from llmreg.prior._curves import ResponseCurve
from llmreg.prior._feature_prior import FeaturePrior
from llmreg.prior._formatting import (
    VERBS,
    crossing,
    show_effect,
    show_value,
    tell_place,
    tell_shape,
    trace,
)
from llmreg.prior._scores import DEFAULT_OUTPUT

NAME_WIDTH = 32
# Averages of curves are rounded to three decimals.
ROUNDING = 1e-3


def tell_changes(
    before: FeaturePrior, after: FeaturePrior, tolerance: float = 0.0
) -> list[str]:
    """Tell what changed of curves, ranges, units and base rates of the same outputs."""
    told = []
    single = len(before.outputs) == len(after.outputs) == 1
    unnamed = {DEFAULT_OUTPUT, before.target, after.target}
    # The same scores of the other class say the opposite.
    if single and len({*before.outputs, *after.outputs} - unnamed) > 1:
        pair = (clean_text(p.outputs[0], NAME_WIDTH) for p in (after, before))
        told.append("the scores are of {!r} instead of {!r}".format(*pair))
    for feature in before.features:
        if feature not in after.features:
            continue
        name = clean_text(feature, NAME_WIDTH)
        units = (before.units.get(feature, ""), after.units.get(feature, ""))
        if units[0] != units[1]:
            new, old = (clean_text(unit, NAME_WIDTH) or "none" for unit in units[::-1])
            told.append(f"{name}: the unit is {new} instead of {old}")
        told += _ranges(f"{name}: the typical range", feature, before, after, "ranges")
        curves = (before.curves.get(feature), after.curves.get(feature))
        if all(units) and units[0] != units[1] and all(curves):
            told.append(f"{name}: curves in different units are not compared")
        else:
            told += _curves(name, curves, before, after, tolerance)
    for output in dict.fromkeys([*before.base_rates, *after.base_rates]):
        rates = (p.base_rates.get(output) for p in (after, before))
        new, old = ("none" if rate is None else f"{rate.rate:.3g}" for rate in rates)
        if new != old:
            name = clean_text(output, NAME_WIDTH)
            told.append(f"the base rate of {name!r} is {new} instead of {old}")
    for output in dict.fromkeys([*before.target_ranges, *after.target_ranges]):
        name = f"the typical range of {clean_text(output, NAME_WIDTH)!r}"
        told += _ranges(name, output, before, after, "target_ranges")
    return told


def _ranges(
    what: str, key: str, before: FeaturePrior, after: FeaturePrior, field: str
) -> Iterator[str]:
    """Tell whether percentiles changed."""
    each: list[Mapping[str, Any]] = [getattr(p, field) for p in (after, before)]
    new, old = (
        ", ".join(f"{value:g}" for value in found[key][:3]) if key in found else "none"
        for found in each
    )
    if new != old:
        yield f"{what} is {new} instead of {old}"


def _curves(
    name: str,
    curves: tuple[ResponseCurve | None, ResponseCurve | None],
    before: FeaturePrior,
    after: FeaturePrior,
    tolerance: float,
) -> Iterator[str]:
    """Tell how the curve of a feature changed, output by output."""
    old, new = curves
    if old is None or new is None:
        if old is not new:
            kinds = ("a curve", "a score")
            yield f"{name}: {kinds[new is None]} instead of {kinds[old is None]}"
        return
    several = len(before.outputs) > 1
    for k, output in enumerate(before.outputs):
        row = after.outputs.index(output) if several else 0
        start = f"{name}, {clean_text(output, NAME_WIDTH)}" if several else name
        changes = _changes(old.take([k]), new.take([row]), max(tolerance, ROUNDING))
        if text := "; ".join(changes):
            yield f"{start}: {text}"


def _changes(old: ResponseCurve, new: ResponseCurve, tolerance: float) -> Iterator[str]:
    """Tell how the curve of one output changed."""
    x = np.union1d(old.values, new.values)
    y, z = trace(old, x)[0], trace(new, x)[0]
    if np.isnan(y).any() or np.isnan(z).any():
        if np.isnan(y).any() != np.isnan(z).any():
            kinds = ("a curve", "no opinion")
            there = [kinds[int(np.isnan(found).any())] for found in (z, y)]
            yield " instead of ".join(there)
    # Between their knots both are straight: the greatest change is at one of them.
    elif (np.abs(z - y) > tolerance).any():
        yield _greatest(x, y, z)
        ends = crossing(old, 0), crossing(new, 0)
        if ends[0] and ends[1] and ends[0][1] == ends[1][1] and ends[0] != ends[1]:
            sign = "positive" if ends[0][1] else "negative"
            at, was = (show_value(end[0]) for end in (ends[1], ends[0]) if end)
            yield f"it turns {sign} at {at} instead of {was}"
        shapes = tell_shape(new, 0), tell_shape(old, 0)
        if _verbs(shapes[0]) != _verbs(shapes[1]):
            yield f"now: {shapes[0]}; before: {shapes[1]}"
    for code in dict.fromkeys([*old.special, *new.special]):
        nothing = np.array([np.nan])
        was, now = (c.special.get(code, nothing)[0] for c in (old, new))
        if abs(now - was) > tolerance or np.isnan(now) != np.isnan(was):
            pair = ("none" if np.isnan(v) else show_effect(v) for v in (now, was))
            yield f"the code {show_value(code)} has {' instead of '.join(pair)}"


def _greatest(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> str:
    """Name the part of greatest change, its direction, and its size where it is."""
    change = z - y
    j = int(np.abs(change).argmax())
    way = "higher" if change[j] > 0 else "lower"
    is_part = change * np.sign(change[j]) >= np.abs(change[j]) / 2
    outside = np.flatnonzero(~is_part)
    first = max([-1, *outside[outside < j]]) + 1
    last = min([len(x), *outside[outside > j]]) - 1
    place = tell_place(x, first, last)
    if place == "everywhere" and np.ptp(change) <= ROUNDING:
        return f"everywhere {way} by {abs(change[j]):.3g}"
    # One decimal more, where one would hide the change.
    pair = [show_effect(z[j]), show_effect(y[j])]
    if pair[0] == pair[1]:
        pair = [f"{z[j]:+.3g}", f"{y[j]:+.3g}"]
    where = f"{place} {way}, most at {show_value(x[j])}"
    if first == last < len(x) - 1:
        where = f"at {show_value(x[j])}"
    return f"{where}: {' instead of '.join(pair)}"


def _verbs(shape: str) -> list[str]:
    """Give the turns of a shape without their places."""
    words = {verb.split()[0] for verb in VERBS.values()} | {"hardly"}
    return [word for word in shape.replace(",", "").split() if word in words]
