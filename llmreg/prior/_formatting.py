"""A prior as a table for people: in a terminal and in a notebook."""

from __future__ import annotations

from collections.abc import Mapping, Sized
from html import escape
from typing import Any

import numpy as np

from llmreg._utils._text import list_names, number, shorten
from llmreg.prior._scores import spread

MAX_ROWS = 20
MAX_OUTPUTS = 5
NAME_WIDTH = 32
REASON_WIDTH = 48


def format_text(fields: Mapping[str, Any]) -> str:
    """Lay out the fields of a FeaturePrior for a terminal."""
    rows = _table(fields, NAME_WIDTH, REASON_WIDTH)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    numeric = range(1, len(widths) - bool(fields["rationale"]))
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
    header, *rows = _table(fields, 4 * NAME_WIDTH, 8 * REASON_WIDTH)
    head = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in header)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>"
        for row in rows
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


def _table(fields: Mapping[str, Any], name_width: int, width: int) -> list[list[str]]:
    """Build the header and a row per feature, the strongest first."""
    outputs, scores = fields["outputs"], fields["scores"]
    reasons, estimates = fields["rationale"], fields["estimates"]
    several = len(outputs) > 1
    shown = [shorten(name, NAME_WIDTH) for name in outputs[:MAX_OUTPUTS]]
    header = ["feature", *(shown if several else ["score"])]
    if estimates is not None:
        spreads = np.fmax.reduce(spread(estimates))
        header.append("max spread" if several else "spread")
    if reasons:
        header.append("reason")
    rows = []
    # Features without a score come last, as NaN does.
    for j in np.argsort(-np.fmax.reduce(np.abs(scores)), kind="stable"):
        feature = fields["features"][j]
        row = [shorten(feature, name_width, tail=name_width // 3)]
        row += [number(score, "+.1f") for score in scores[:MAX_OUTPUTS, j]]
        if estimates is not None:
            row.append(number(spreads[j], ".1f"))
        if reasons:
            row.append(shorten(reasons.get(feature, ""), width))
        rows.append(row)
    if len(rows) > MAX_ROWS:
        half = MAX_ROWS // 2
        gap = f"... {len(rows) - 2 * half} more ..."
        rows[half:-half] = [[gap, *[""] * (len(header) - 1)]]
    return [header, *rows]
