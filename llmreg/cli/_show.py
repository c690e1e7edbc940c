"""`llmreg show`: a prior card as a table with bars."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np

from llmreg._utils._text import clean_text
from llmreg.prior._feature_prior import SCORE_LIMIT, FeaturePrior

NAME_WIDTH = 32
REASON_WIDTH = 60
HALF_BAR = 10


def add(commands: Any) -> None:
    """Describe the command."""
    parser = commands.add_parser("show", help="show a prior card as a table with bars")
    parser.set_defaults(run=run)
    parser.add_argument("card", type=Path, help="the JSON file")
    parser.add_argument(
        "--top",
        type=int,
        default=40,
        help="the most features to show, 0 for all (default: %(default)s)",
    )


def run(arguments: argparse.Namespace) -> None:
    """Run the command."""
    prior = FeaturePrior.read(arguments.card)
    sys.stdout.write(draw(prior, top=arguments.top, blocks=can_draw_blocks()))


def draw(prior: FeaturePrior, *, top: int = 0, blocks: bool = True) -> str:
    """Draw a prior as a table with a bar for every score."""
    lines = _headline(prior)
    for k, output in enumerate(prior.outputs):
        lines.append("")
        if len(prior.outputs) > 1:
            lines.append(f"output {clean_text(output, NAME_WIDTH)!r}")
        lines += _block(prior, k, top, ("█", "│") if blocks else ("#", "|"))
    return "\n".join(lines) + "\n"


def _headline(prior: FeaturePrior) -> list[str]:
    """Say what the prior is about and where it comes from."""
    names = ", ".join(repr(clean_text(name, NAME_WIDTH)) for name in prior.outputs)
    some = "s" * (len(prior.features) != 1)
    lines = [f"{len(prior.features)} feature{some}, output {names}"]
    if prior.estimates is not None:
        lines[0] += f", {len(prior.estimates)} estimates"
    told = {"task": prior.task, "target": prior.target, **prior.provenance}
    for name in ("task", "target", "provider", "model", "source", "created", "error"):
        if text := clean_text(str(told.get(name, "")), 4 * REASON_WIDTH):
            lines.append(f"{name}: {text}")
    return lines


def _block(prior: FeaturePrior, k: int, top: int, marks: tuple[str, str]) -> list[str]:
    """Draw the features of one output, the strongest first."""
    scores = prior.scores[k]
    order = np.argsort(-np.nan_to_num(np.abs(scores), nan=-1.0), kind="stable")
    shown = order[:top] if top > 0 else order
    names = [clean_text(prior.features[j], NAME_WIDTH) for j in shown]
    width = max(map(len, [*names, "feature"]))
    left, right = f"-{SCORE_LIMIT}", f"+{SCORE_LIMIT}"
    scale = f"{left}{'0':^{2 * HALF_BAR + 1 - 2 * len(left)}}{right}"
    header = f"{'feature':{width}}  {scale}  score"
    if prior.spread is not None:
        header += "  spread"
    lines = [header + ("  reason" if prior.rationale else "")]
    for name, j in zip(names, shown, strict=True):
        line = f"{name:{width}}  {_bar(scores[j], marks)}  {_number(scores[j], '+')}"
        if prior.spread is not None:
            line += f"  {_number(prior.spread[k, j], ''):>6}"
        if reason := prior.rationale.get(prior.features[j]):
            line += f"  {clean_text(reason, REASON_WIDTH)}"
        lines.append(line.rstrip())
    if len(shown) < len(order):
        lines.append(f"... {len(order) - len(shown)} more; --top 0 shows all")
    return lines


def _bar(score: float, marks: tuple[str, str]) -> str:
    """Draw a score as a bar to the left or to the right of zero."""
    block, axis = marks
    if np.isnan(score):
        return f"{'?':^{2 * HALF_BAR + 1}}"
    length = round(abs(score) / SCORE_LIMIT * HALF_BAR)
    left, right = (length, 0) if score < 0 else (0, length)
    return f"{block * left:>{HALF_BAR}}{axis}{block * right:<{HALF_BAR}}"


def _number(value: float, sign: str) -> str:
    """Write a number, or a dash where there is none."""
    return f"{'-':>5}" if np.isnan(value) else f"{value + 0.0:{sign}5.1f}"


def can_draw_blocks() -> bool:
    """Tell whether the terminal's encoding has block characters."""
    try:
        "█│".encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return False
    return True
