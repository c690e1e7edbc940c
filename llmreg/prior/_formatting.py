"""A prior for people, as text and as HTML: its table, and its curves as pictures."""

import math
import sys
from collections.abc import Callable, Mapping, Sequence, Sized
from html import escape
from itertools import groupby, pairwise
from typing import Any

import numpy as np

from llmreg._utils._text import (
    can_write,
    clean_text,
    for_notebook,
    html_table,
    lay_out,
    list_names,
    number,
    shorten,
)
from llmreg.prior._curves import ResponseCurve
from llmreg.prior._scores import DEFAULT_OUTPUT, FloatArray, TypicalRange, spread

MAX_ROWS = 20
MAX_OUTPUTS = 5
NAME_WIDTH = 32
REASON_WIDTH = 48
# Blocks of a curve, and of each where there are several outputs.
CURVE_WIDTH, CURVE_WIDTH_EACH = 8, 5
BLOCKS, PLAIN_BLOCKS = "▁▂▃▄▅▆▇", "_.-~^"
# From here on an effect is called strong, and worth a word.
STRONG, NOTABLE = 3.0, 1.0
# Of all that a curve moves, what is less is no move; and what is one, all in all.
FLAT_SHARE, FLAT = 0.05, 0.5
# A step holds this much of the movement within this much of the range.
STEP_MOVE, STEP_WIDTH = 0.6, 0.25
LEVEL_WIDTH = 0.15
MAX_TURNS = 4
VERBS = {1: "rises", -1: "falls", 0: "stays level"}
UNIT_WIDTH = 16
# How the lines of several outputs are told apart without a colour.
DASHES = ("", "6 2", "2 2", "6 2 2 2", "10 4")


def format_text(fields: Mapping[str, Any]) -> str:
    """Lay out the fields of a FeaturePrior for a terminal."""
    rows = _table(fields, NAME_WIDTH, REASON_WIDTH, _blocks(fields))
    n_texts = bool(fields["rationale"]) + bool(fields["curves"])
    numeric = range(1, len(rows[0]) - n_texts)
    return "\n".join([_headline(fields), *lay_out(rows, numeric)])


def format_html(fields: Mapping[str, Any]) -> str:
    """Lay out the fields of a FeaturePrior for a notebook."""
    limit, drawn = curve_limit(fields), {}
    for name, curve in fields["curves"].items():
        typical = fields["ranges"].get(name)
        low, high = map(show_value, typical_span(curve, typical))
        unit = escape(show_unit(fields["units"].get(name, "")))
        picture = format_svg(curve, typical, limit, MAX_OUTPUTS)
        drawn[name] = f"{picture} {low} to {high}{unit}"
    header, *rows = _table(fields, 4 * NAME_WIDTH, 8 * REASON_WIDTH, drawn, escape)
    return for_notebook(html_table(header, rows, escape(_headline(fields))))


def _headline(fields: Mapping[str, Any]) -> str:
    """Say in one line what the prior holds."""
    names = [shorten(name, NAME_WIDTH) for name in fields["outputs"]]
    outputs = f"output {list_names(names, MAX_OUTPUTS)}"
    if (told := name_class(fields["target"], *names[:1])) not in names[:1]:
        outputs = told
    parts = [_count(fields["features"], "feature"), outputs]
    if fields["estimates"] is not None:
        parts.append(_count(fields["estimates"], "estimate"))
    if error := fields["provenance"].get("error"):
        parts.append(f"not elicited ({shorten(error.partition(':')[0], NAME_WIDTH)})")
    parts += [f"{len(fields[n])} {n}" for n in ("missing", "unknown") if fields[n]]
    return "FeaturePrior: " + ", ".join(parts)


def name_class(target: str, name: str) -> str:
    """Name a class with its target, "Outcome = Yes", where the target has a name."""
    is_named = target and DEFAULT_OUTPUT not in (target, name) and target != name
    return f"{target} = {name}" if is_named else name


def _count(items: Sized, noun: str) -> str:
    return f"{len(items)} {noun}" + "s" * (len(items) != 1)


def curve_limit(fields: Mapping[str, Any]) -> float:
    """Give the largest effect of all curves, so that they can share a scale."""
    each = [curve.effects for curve in fields["curves"].values()]
    return max([1.0, *(float(np.nan_to_num(np.abs(e)).max()) for e in each)])


def _blocks(fields: Mapping[str, Any]) -> dict[str, str]:
    """Draw the curves of features over their typical ranges, for one column."""
    curves, ranges, drawn = fields["curves"], fields["ranges"], {}
    n_outputs = min(len(fields["outputs"]), MAX_OUTPUTS)
    n = CURVE_WIDTH if n_outputs == 1 else CURVE_WIDTH_EACH
    spans = {name: typical_span(c, ranges.get(name)) for name, c in curves.items()}
    width = max([0, *(len(show_value(low)) for low, _ in spans.values())])
    for name, ends in spans.items():
        low, high = map(show_value, ends)
        told = curves[name], ranges.get(name), n
        lines = " ".join(sparkline(*told, row) for row in range(n_outputs))
        unit = show_unit(fields["units"].get(name, ""))
        drawn[name] = f"{low:>{width}} {lines} {high}{unit}"
    return drawn


def _table(
    fields: Mapping[str, Any],
    name_width: int,
    width: int,
    drawn: Mapping[str, str],
    write: Callable[[str], str] = str,
) -> list[list[str]]:
    """Build the header and a row per feature, the strongest first."""
    outputs, scores = fields["outputs"], fields["scores"]
    reasons, estimates = fields["rationale"], fields["estimates"]
    several = len(outputs) > 1
    shown = [write(shorten(name, NAME_WIDTH)) for name in outputs[:MAX_OUTPUTS]]
    header = ["feature", *(shown if several else ["score"])]
    if estimates is not None:
        spreads = np.fmax.reduce(spread(estimates))
        header.append("max spread" if several else "spread")
    if fields["curves"]:
        header.append("curve")
    if reasons:
        header.append("reason")
    rows = []
    # Features without a score come last, as NaN does.
    for j in np.argsort(-np.fmax.reduce(np.abs(scores)), kind="stable"):
        feature = fields["features"][j]
        row = [write(shorten(feature, name_width, tail=name_width // 3))]
        row += [number(score, "+.1f") for score in scores[:MAX_OUTPUTS, j]]
        if estimates is not None:
            row.append(number(spreads[j], ".1f"))
        if fields["curves"]:
            row.append(drawn.get(feature, ""))
        if reasons:
            row.append(write(shorten(reasons.get(feature, ""), width)))
        rows.append(row)
    if len(rows) > MAX_ROWS:
        half = MAX_ROWS // 2
        gap = f"... {len(rows) - 2 * half} more ..."
        rows[half:-half] = [[gap, *[""] * (len(header) - 1)]]
    return [header, *rows]


def typical_span(
    curve: ResponseCurve, typical: TypicalRange | None
) -> tuple[float, float]:
    """Give where most values lie; all of the curve where that is not known."""
    if typical is not None and typical.low < typical.high:
        return typical.low, typical.high
    return float(curve.values[0]), float(curve.values[-1])


def shown_span(
    curve: ResponseCurve, typical: TypicalRange | None
) -> tuple[float, float]:
    """Give the part of a curve to draw: its knots, none too far from typical values."""
    low, high = typical_span(curve, typical)
    first, last = map(float, curve.values[[0, -1]])
    width = high - low
    return max(min(first, low), low - width), min(max(last, high), high + width)


def is_wide(low: float, high: float) -> bool:
    """Tell whether a range is so wide that only its orders of magnitude show."""
    return 0 < low and low * 1000 <= high


def spaced(low: float, high: float, n: int) -> FloatArray:
    """Give values from one end to the other, evenly or by order of magnitude."""
    space = np.geomspace if is_wide(low, high) else np.linspace
    return np.asarray(space(low, high, n), dtype=np.float64)


def trace(curve: ResponseCurve, x: FloatArray) -> FloatArray:
    """Give the effects along the curve, NaN without an opinion; codes lie beside it."""
    found = curve._between_knots(x)
    found[np.isnan(curve.effects).all(axis=1)] = np.nan
    return found


def sparkline(
    curve: ResponseCurve, typical: TypicalRange | None, n: int, row: int = 0
) -> str:
    """Draw one output of a curve as blocks, for its shape: the score has its size."""
    blocks = BLOCKS if can_write(BLOCKS, sys.stdout) else PLAIN_BLOCKS
    y = trace(curve, spaced(*typical_span(curve, typical), n))[row]
    if np.isnan(y).any():
        return "?" * n
    # What hardly moves looks so, and lies in the middle.
    reach, middle = max(np.ptp(y), 2 * NOTABLE), (y.max() + y.min()) / 2
    place = (y - middle) / reach + 0.5
    return "".join(blocks[i] for i in np.rint(place * (len(blocks) - 1)).astype(int))


def format_svg(
    curve: ResponseCurve, typical: TypicalRange | None, limit: float, rows: int = 5
) -> str:
    """Draw a curve, its spread paler, on its typical range, from -limit to limit."""
    low, high = shown_span(curve, typical)
    x = spaced(low, high, 41)
    y = trace(curve, x)[:rows]

    def at(values: FloatArray, effects: FloatArray) -> str:
        px = np.interp(values, x, np.linspace(1, 99, len(x)))
        py = np.clip(14 - 13 * effects / limit, 1, 27)
        return " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(px, py, strict=True))

    parts = []
    if typical is not None and typical.low < typical.high:
        left, right = np.interp(typical[:3:2], x, np.linspace(1, 99, len(x)))
        parts.append(
            f'<rect x="{left:.1f}" y="0" width="{right - left:.1f}" height="28" '
            'fill="currentColor" opacity="0.08"/>'
        )
    parts.append('<path d="M1 14H99" stroke="currentColor" opacity="0.4"/>')
    for k, line in enumerate(y):
        if np.isnan(line).any():
            continue
        if curve.spread is not None:
            s = spread_at(curve, x)[k]
            band = at(np.append(x, x[::-1]), np.append(line - s, (line + s)[::-1]))
            parts.append(
                f'<polygon points="{band}" fill="currentColor" opacity="0.2"/>'
            )
        parts.append(
            f'<polyline points="{at(x, line)}" fill="none" stroke="currentColor" '
            f'stroke-width="1.5" stroke-dasharray="{DASHES[k % len(DASHES)]}"/>'
        )
    told = escape(f"curve from {show_value(low)} to {show_value(high)}")
    return (
        f'<svg role="img" aria-label="{told}" width="100" height="28" '
        f'viewBox="0 0 100 28">{"".join(parts)}</svg>'
    )


def spread_at(curve: ResponseCurve, x: FloatArray) -> FloatArray:
    """Give the spread along the curve, of shape (n_outputs, n_values)."""
    if curve.spread is None:
        return np.zeros((len(curve.effects), len(x)))
    known = np.nan_to_num(curve.spread)
    return np.stack([np.interp(x, curve.values, row) for row in known])


def show_value(value: float) -> str:
    """Write a value of a column, to the digits that are read."""
    if 1000 <= abs(value) < 1e7 or (value == round(value) and abs(value) < 1e7):
        return f"{value:.0f}"
    return f"{value:.3g}"


def show_effect(effect: float) -> str:
    """Write an effect with its sign, to one decimal."""
    return "0" if abs(effect) < 0.05 else f"{round(effect, 1):+g}"


def show_unit(unit: str) -> str:
    """Write a unit after a number."""
    text = clean_text(unit, UNIT_WIDTH)
    return f" {text}" if text else ""


def tell_curve(curve: ResponseCurve, row: int = 0, *, is_class: bool) -> str:
    """Put one output of a curve, a class or a target, into a plain sentence."""
    values, effects = _known(curve, row)
    if not len(values):
        return "no opinion"
    parts = [tell_shape(curve, row), *_regions(values, effects, is_class)]
    unknown = curve.values[np.isnan(curve.effects[row])]
    if len(unknown):
        parts.append(f"no opinion at {', '.join(map(show_value, unknown))}")
    parts += [
        f"{show_value(code)} is a code of its own ({show_effect(found[row])})"
        for code, found in curve.special.items()
        if not np.isnan(found[row])
    ]
    return "; ".join(parts)


def tell_shape(curve: ResponseCurve, row: int) -> str:
    """Say where a curve rises and falls."""
    values, effects = _known(curve, row)
    moves = np.diff(effects)
    if not len(moves) or np.ptp(effects) < FLAT:
        return "hardly changes anything" if len(values) else "no opinion"
    is_level = np.abs(moves) <= FLAT_SHARE * np.ptp(effects)
    widths = np.diff(values) / np.ptp(values)
    # Two knots side by side are no plateau.
    kept = np.flatnonzero(~is_level | (widths >= LEVEL_WIDTH)).tolist()
    signs = np.where(is_level, 0, np.sign(moves)).astype(int).tolist()
    runs = [(sign, list(run)[-1]) for sign, run in groupby(kept, signs.__getitem__)]
    told = [f"{VERBS[sign]} to {show_value(values[i + 1])}" for sign, i in runs]
    if len(told) > MAX_TURNS:
        text = ", ".join(told[: MAX_TURNS - 1]) + " and so on"
    else:
        told[-1] = VERBS[runs[-1][0]]
        text = ", then ".join(filter(None, [", ".join(told[:-1]), told[-1]]))
    i = int(np.abs(moves).argmax())
    if abs(moves[i]) >= STEP_MOVE * np.abs(moves).sum() and widths[i] <= STEP_WIDTH:
        text += f"; most of it from {show_value(values[i])} to "
        text += show_value(values[i + 1])
    return text


def _known(curve: ResponseCurve, row: int) -> tuple[FloatArray, FloatArray]:
    """Give the knots with an opinion, and their effects."""
    is_known = ~np.isnan(curve.effects[row])
    return curve.values[is_known], curve.effects[row][is_known]


def _regions(values: FloatArray, effects: FloatArray, is_class: bool) -> list[str]:
    """Say where the effect is strong, or, where it is so nowhere, where it counts."""
    peak = np.abs(effects).max()
    if peak < NOTABLE or np.ptp(effects) < FLAT:
        return []
    least = STRONG if peak >= STRONG else NOTABLE
    x = np.unique([*values, *_crossings(values, effects, (least, -least))])
    # Between neighbours the curve lies on one side of the limits.
    middle = np.interp((x[:-1] + x[1:]) / 2, values, effects)
    sides = np.where(np.abs(middle) >= least, np.sign(middle), 0.0)
    words = ("less likely", "more likely") if is_class else ("lower", "higher")
    told = []
    for side, run in groupby(enumerate(sides), key=lambda item: item[1]):
        places = [i for i, _ in run]
        first, last = places[0], places[-1] + 1
        if not side:
            continue
        # A rounded place is a little off the limit.
        sizes = np.abs(np.interp(x[first : last + 1], values, effects)).clip(least)
        ends = sorted([side * sizes.min(), side * sizes.max()])
        weight = "strongly" if least == STRONG else "somewhat"
        told.append(
            f"{tell_place(x, first, last)} {weight} {words[int(side > 0)]} "
            f"({' to '.join(map(show_effect, ends))})"
        )
    return told


def tell_place(x: FloatArray, first: int, last: int) -> str:
    """Say which part of a curve a region is."""
    low, high = show_value(x[first]), show_value(x[last])
    is_last = last == len(x) - 1
    if first == 0:
        return "everywhere" if is_last else f"up to {high}"
    return f"from {low} on" if is_last else f"from {low} to {high}"


def _crossings(
    values: FloatArray, effects: FloatArray, levels: Sequence[float]
) -> list[float]:
    """Find where a curve passes some levels, to the digits that are read."""
    found = []
    for (a, low), (b, high) in pairwise(zip(values, effects, strict=True)):
        for level in levels:
            if min(low, high) < level < max(low, high):
                at = a + (b - a) * (level - low) / (high - low)
                rounded = round(at, 1 - math.floor(math.log10(b - a)))
                found.append(float(np.clip(rounded, a, b)))
    return found


def crossing(curve: ResponseCurve, row: int) -> tuple[float, bool] | None:
    """Find the one place where a curve changes its sign, and whether to plus."""
    values, effects = _known(curve, row)
    found = _crossings(values, effects, [0.0])
    is_one = len(found) == 1 and effects.all()
    return (found[0], bool(effects[-1] > 0)) if is_one else None
