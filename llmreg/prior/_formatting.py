"""A prior as a table for people: in a terminal and in a notebook."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sized
from html import escape
from typing import Any

import numpy as np

from llmreg._utils._text import list_names, number, shorten
from llmreg.prior._curve_formatting import (
    format_svg,
    show_unit,
    show_value,
    sparkline,
    typical_span,
)
from llmreg.prior._scores import spread

MAX_ROWS = 20
MAX_OUTPUTS = 5
NAME_WIDTH = 32
REASON_WIDTH = 48
# Blocks of a curve, and of each where there are several outputs.
CURVE_WIDTH, CURVE_WIDTH_EACH = 8, 5


def format_text(fields: Mapping[str, Any]) -> str:
    """Lay out the fields of a FeaturePrior for a terminal."""
    rows = _table(fields, NAME_WIDTH, REASON_WIDTH, _blocks(fields))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    n_texts = bool(fields["rationale"]) + bool(fields["curves"])
    numeric = range(1, len(widths) - n_texts)
    lines = [_headline(fields)]
    for row in rows:
        cells = (
            cell.rjust(width) if i in numeric else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def format_html(fields: Mapping[str, Any]) -> str:
    """Lay out the fields of a FeaturePrior for a notebook."""
    limit = curve_limit(fields)

    def draw(name: str) -> str:
        """Draw the curve of a feature between the ends of its typical range."""
        curve, typical = fields["curves"][name], fields["ranges"].get(name)
        low, high = map(show_value, typical_span(curve, typical))
        unit = escape(show_unit(fields["units"].get(name, "")))
        return f"{format_svg(curve, typical, limit, MAX_OUTPUTS)} {low} to {high}{unit}"

    header, *rows = _table(fields, 4 * NAME_WIDTH, 8 * REASON_WIDTH, draw, escape)
    head = "".join(f'<th scope="col">{cell}</th>' for cell in header)
    body = "".join(
        "<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows
    )
    return (
        f"<table><caption>{escape(_headline(fields))}</caption>"
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    )


def _headline(fields: Mapping[str, Any]) -> str:
    """Say in one line what the prior holds."""
    outputs = list_names(
        fields["outputs"], MAX_OUTPUTS, lambda name: repr(shorten(name, NAME_WIDTH))
    )
    parts = [_count(fields["features"], "feature"), f"output {outputs}"]
    if fields["estimates"] is not None:
        parts.append(_count(fields["estimates"], "estimate"))
    if error := fields["provenance"].get("error"):
        parts.append(f"not elicited ({shorten(error.partition(':')[0], NAME_WIDTH)})")
    parts += [f"{len(fields[n])} {n}" for n in ("missing", "unknown") if fields[n]]
    return "FeaturePrior: " + ", ".join(parts)


def _count(items: Sized, noun: str) -> str:
    return f"{len(items)} {noun}" + "s" * (len(items) != 1)


def curve_limit(fields: Mapping[str, Any]) -> float:
    """Give the largest effect of all curves, so that they can share a scale."""
    each = [curve.effects for curve in fields["curves"].values()]
    return max([1.0, *(float(np.nan_to_num(np.abs(e)).max()) for e in each)])


def _blocks(fields: Mapping[str, Any]) -> Callable[[str], str]:
    """Give what draws the curve of a feature over its typical range, in a column."""
    curves, ranges = fields["curves"], fields["ranges"]
    n_outputs = min(len(fields["outputs"]), MAX_OUTPUTS)
    spans = {name: typical_span(c, ranges.get(name)) for name, c in curves.items()}
    width = max([0, *(len(show_value(low)) for low, _ in spans.values())])

    def draw(name: str) -> str:
        low, high = map(show_value, spans[name])
        n = CURVE_WIDTH if n_outputs == 1 else CURVE_WIDTH_EACH
        lines = (
            sparkline(curves[name], ranges.get(name), n, row)
            for row in range(n_outputs)
        )
        unit = show_unit(fields["units"].get(name, ""))
        return f"{low:>{width}} {' '.join(lines)} {high}{unit}"

    return draw


def _table(
    fields: Mapping[str, Any],
    name_width: int,
    width: int,
    draw: Callable[[str], str],
    write: Callable[[str], str] = str,
) -> list[list[str]]:
    """Build the header and a row per feature, the strongest first.

    Texts pass through `write`; `draw` gives the curve of a feature as it is shown.
    """
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
            row.append(draw(feature) if feature in fields["curves"] else "")
        if reasons:
            row.append(write(shorten(reasons.get(feature, ""), width)))
        rows.append(row)
    if len(rows) > MAX_ROWS:
        half = MAX_ROWS // 2
        gap = f"... {len(rows) - 2 * half} more ..."
        rows[half:-half] = [[gap, *[""] * (len(header) - 1)]]
    return [header, *rows]
