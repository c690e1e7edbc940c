"""A prior as a table for people: in a terminal and in a notebook."""

from __future__ import annotations

import html
from collections.abc import Sequence, Sized
from typing import TYPE_CHECKING

import numpy as np

from llmreg._utils._text import list_names, shorten
from llmreg.prior._scores import FloatArray

if TYPE_CHECKING:
    from llmreg.prior._feature_prior import FeaturePrior


MAX_ROWS = 20
MAX_OUTPUTS = 5
NAME_WIDTH = 32
REASON_WIDTH = 48

Row = list[str]


def format_text(prior: FeaturePrior) -> str:
    """Lay a prior out for a terminal."""
    header, rows = _table(prior, NAME_WIDTH, REASON_WIDTH)
    shown = _elide(rows)
    widths = [
        max(len(line[i]) for line in [header, *shown]) for i in range(len(header))
    ]
    numeric = range(1, len(header) - ("reason" in header))
    lines = [_headline(prior)]
    for row in [header, *shown]:
        cells = (
            cell.rjust(width) if i in numeric else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def format_html(prior: FeaturePrior) -> str:
    """Lay a prior out for a notebook."""
    header, rows = _table(prior, 4 * NAME_WIDTH, 8 * REASON_WIDTH)
    head = "".join(f'<th scope="col">{_escape(cell)}</th>' for cell in header)
    body = "".join(
        "<tr>" + "".join(f"<td>{_escape(cell)}</td>" for cell in row) + "</tr>"
        for row in _elide(rows)
    )
    return (
        f"<table><caption>{_escape(_headline(prior))}</caption>"
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    )


def _headline(prior: FeaturePrior) -> str:
    """Say in one line what the prior holds."""
    parts = [_count(prior.features, "feature"), f"output {_outputs(prior.outputs)}"]
    if prior.estimates is not None:
        parts.append(_count(prior.estimates, "estimate"))
    if error := prior.provenance.get("error"):
        parts.append(f"not elicited ({shorten(error.partition(':')[0], NAME_WIDTH)})")
    for name in ("missing", "unknown"):
        if keys := getattr(prior, name):
            parts.append(f"{len(keys)} {name}")
    return "FeaturePrior: " + ", ".join(parts)


def _count(items: Sized, noun: str) -> str:
    """Say how many there are."""
    return f"{len(items)} {noun}" + "s" * (len(items) != 1)


def _outputs(outputs: Sequence[str]) -> str:
    """Name the outputs that have a column."""
    return list_names(
        outputs, MAX_OUTPUTS, lambda name: repr(shorten(name, NAME_WIDTH))
    )


def _table(
    prior: FeaturePrior, name_width: int, text_width: int
) -> tuple[Row, list[Row]]:
    """Build the header and one row per feature, the strongest first."""
    several = len(prior.outputs) > 1
    outputs = [shorten(name, NAME_WIDTH) for name in prior.outputs[:MAX_OUTPUTS]]
    header = ["feature", *(outputs if several else ["score"])]
    spread = None if prior.spread is None else _worst(prior.spread)
    if spread is not None:
        header.append("max spread" if several else "spread")
    if prior.rationale:
        header.append("reason")
    rows = []
    strength = np.nan_to_num(_worst(prior.scores), nan=-1.0)
    for j in np.argsort(-strength, kind="stable"):
        feature = prior.features[j]
        row = [shorten(feature, name_width, tail=name_width // 3)]
        row += [_number(score, "+.1f") for score in prior.scores[:MAX_OUTPUTS, j]]
        if spread is not None:
            row.append(_number(spread[j], ".1f"))
        if prior.rationale:
            row.append(shorten(prior.rationale.get(feature, ""), text_width))
        rows.append(row)
    return header, rows


def _worst(values: FloatArray) -> FloatArray:
    """Give the largest size over the outputs; NaN where all are NaN."""
    size = np.where(np.isnan(values), -np.inf, np.abs(values)).max(axis=0)
    return np.where(np.isneginf(size), np.nan, size)


def _elide(rows: list[Row]) -> list[Row]:
    """Leave out the middle of a long table, saying how much."""
    if len(rows) <= MAX_ROWS:
        return rows
    half = MAX_ROWS // 2
    gap = [f"... {len(rows) - 2 * half} more ...", *[""] * (len(rows[0]) - 1)]
    return [*rows[:half], gap, *rows[-half:]]


def _number(value: float, spec: str) -> str:
    """Write a number, or a dash where there is none."""
    return "-" if np.isnan(value) else format(value + 0.0, spec)


def _escape(text: str) -> str:
    """Make a text harmless in HTML."""
    return html.escape(text, quote=True)
