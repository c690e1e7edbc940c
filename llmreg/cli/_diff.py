"""`llmreg diff`: where two prior cards disagree."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from llmreg._utils._text import clean_text
from llmreg.exceptions import PriorMismatchError
from llmreg.prior._feature_prior import FeaturePrior

NAME_WIDTH = 40


class Difference(NamedTuple):
    """A score that differs; NaN where one of the cards has none.

    Parameters
    ----------
    output, feature : str
        What is scored.
    before, after : float
        The two scores.
    """

    output: str
    feature: str
    before: float
    after: float

    @property
    def flips(self) -> bool:
        """Whether the sign turns round."""
        return self.before * self.after < 0

    @property
    def size(self) -> float:
        """By how much the scores differ; a score that is absent counts as 0."""
        return float(abs(np.nan_to_num(self.after) - np.nan_to_num(self.before)))


def add(commands: Any) -> None:
    """Describe the command."""
    parser = commands.add_parser(
        "diff", help="list the scores in which two prior cards differ"
    )
    parser.set_defaults(run=run)
    parser.add_argument("before", type=Path, help="a prior card")
    parser.add_argument("after", type=Path, help="another one")
    parser.add_argument(
        "--tolerance",
        type=float,
        default=0.0,
        help="differences up to this are none (default: %(default)s)",
    )
    parser.add_argument(
        "--exit-code", action="store_true", help="exit with 1 if scores differ"
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    before = FeaturePrior.read(arguments.before)
    after = FeaturePrior.read(arguments.after)
    found = compare(before, after, arguments.tolerance)
    sys.stdout.write(_report(found, len(before.outputs) > 1))
    return int(bool(found) and arguments.exit_code)


def compare(
    before: FeaturePrior, after: FeaturePrior, tolerance: float = 0.0
) -> list[Difference]:
    """List the scores in which two priors differ.

    Raises PriorMismatchError if the priors score different outputs.
    """
    single = len(before.outputs) == len(after.outputs) == 1
    if not single and set(before.outputs) != set(after.outputs):
        raise PriorMismatchError(
            f"The cards score different outputs, {list(before.outputs)!r} and "
            f"{list(after.outputs)!r}, and cannot be compared."
        )
    found = []
    for k, output in enumerate(before.outputs):
        row = after.scores[0 if single else after.outputs.index(output)]
        old = dict(zip(before.features, before.scores[k], strict=True))
        new = dict(zip(after.features, row, strict=True))
        for feature in dict.fromkeys([*old, *new]):
            pair = old.get(feature, np.nan), new.get(feature, np.nan)
            if _differ(*pair, tolerance):
                found.append(Difference(output, feature, *map(float, pair)))
    return sorted(found, key=lambda d: (not d.flips, -d.size))


def _differ(before: float, after: float, tolerance: float) -> bool:
    """Tell whether two scores differ; to have none is another opinion than 0."""
    if np.isnan(before) or np.isnan(after):
        return bool(np.isnan(before) != np.isnan(after))
    return abs(after - before) > tolerance


def _report(found: list[Difference], several: bool) -> str:
    """Write the differences as a table."""
    if not found:
        return "The scores are the same.\n"
    flips = sum(d.flips for d in found)
    some = "s" * (len(found) != 1)
    names = [
        clean_text(f"{d.output}: " * several + d.feature, NAME_WIDTH) for d in found
    ]
    width = max(map(len, [*names, "feature"]))
    lines = [
        f"{len(found)} score{some} differ, {flips} in sign",
        "",
        f"{'feature':{width}}  before   after  difference",
    ]
    for name, d in zip(names, found, strict=True):
        change = "" if np.isnan(d.before + d.after) else f"{d.after - d.before:+.1f}"
        note = "  sign flips" if d.flips else ""
        lines.append(
            f"{name:{width}}  {_number(d.before):>6}  {_number(d.after):>6}  "
            f"{change:>10}{note}".rstrip()
        )
    return "\n".join(lines) + "\n"


def _number(score: float) -> str:
    """Write a score, or a dash where there is none."""
    return "-" if np.isnan(score) else f"{score + 0.0:+.1f}"
