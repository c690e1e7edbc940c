"""`llmreg show`, `diff`, `edit` and `new`: prior cards in terminal and browser."""

import argparse
import shlex
import shutil
import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from llmreg._utils._files import expand
from llmreg._utils._text import can_write, clean_text, escape, number
from llmreg.cli._changes import NAME_WIDTH, tell_changes
from llmreg.cli._tables import add_tables, read_table, read_tables
from llmreg.editing import PriorEditor
from llmreg.exceptions import DataError, PriorMismatchError
from llmreg.prior._feature_prior import SCORE_LIMIT, FeaturePrior
from llmreg.prior._formatting import (
    show_unit,
    show_value,
    sparkline,
    tell_curve,
    typical_span,
)
from llmreg.prior._scores import DEFAULT_OUTPUT
from llmreg.prior._task import Task

REASON_WIDTH = 60
HALF_BAR = 10
# Of a terminal, what a sentence about a curve has at least.
SENTENCE_WIDTH = 30


def add(commands: Any) -> None:
    """Describe the commands."""
    parser = commands.add_parser("show", help="show a prior card as a table with bars")
    parser.set_defaults(run=run_show)
    parser.add_argument("card", type=expand, help="the JSON file")
    text = "the most features to show, 0 for all (default: %(default)s)"
    parser.add_argument("--top", type=int, default=40, help=text)
    text = "list the scores and curves in which two prior cards differ"
    parser = commands.add_parser("diff", help=text)
    parser.set_defaults(run=run_diff)
    parser.add_argument("before", type=expand, help="a prior card")
    parser.add_argument("after", type=expand, help="another one")
    text = "differences up to this are none (default: %(default)s)"
    parser.add_argument("--tolerance", type=float, default=0.0, help=text)
    text = "exit with 1 if the cards differ"
    parser.add_argument("--exit-code", action="store_true", help=text)

    parser = commands.add_parser(
        "edit",
        help="edit a prior card in the browser",
        description="Open one HTML file in the browser, on which a prior card is "
        "edited: curves, scores, reasons, units, typical ranges and base rates. The "
        "page opens no connection, and saves a new card.",
    )
    parser.set_defaults(run=run_edit)
    parser.add_argument("card", type=expand, help="the JSON file")
    text = "a CSV file with a header, to draw histograms of its numeric columns under "
    text += "the curves; their counts stay in the HTML file"
    parser.add_argument("--data", type=expand, metavar="table", help=text)
    text = "write the HTML file here, and do not open it"
    parser.add_argument("-o", "--output", type=expand, help=text)
    text = "do not open the HTML file; it goes beside the card"
    parser.add_argument("--no-browser", action="store_true", help=text)

    parser = commands.add_parser(
        "new",
        help="write an empty prior card for a table, for an expert to fill in",
        description="Write a prior card with all columns and levels of a table, and "
        "no opinion on any of them. No model is asked, and the card holds no row.",
    )
    parser.set_defaults(run=run_new)
    add_tables(parser)


def run_show(arguments: argparse.Namespace) -> None:
    """Run `llmreg show`."""
    sys.stdout.write(draw(FeaturePrior.read(arguments.card), top=arguments.top))


def run_diff(arguments: argparse.Namespace) -> int:
    """Run `llmreg diff`."""
    before, after = map(FeaturePrior.read, (arguments.before, arguments.after))
    found = compare(before, after, arguments.tolerance)
    changes = tell_changes(before, after, arguments.tolerance)
    sys.stdout.write(_table(found, several=len(before.outputs) > 1))
    if changes:
        sys.stdout.write("\n" + "\n".join(changes) + "\n")
    return int(arguments.exit_code and not (found.empty and not changes))


def run_edit(arguments: argparse.Namespace) -> None:
    """Run `llmreg edit`."""
    prior = FeaturePrior.read(arguments.card)
    data = None if arguments.data is None else read_table(arguments.data)
    editor = PriorEditor(prior.to_json(), data, name=arguments.card.name)
    path: Path | None = arguments.output
    if path is None and not arguments.no_browser:
        path = editor.open()
    else:
        path = path or arguments.card.with_suffix(".html")
        editor.write(path)
    sys.stdout.write(
        f"The editor is in {escape(str(path))}, which a browser opens. It saves a new "
        "card, and leaves this one as it is.\n"
    )


def run_new(arguments: argparse.Namespace) -> None:
    """Run `llmreg new`."""
    tables = read_tables(arguments)
    if there := [str(table.card) for table in tables if table.card.exists()]:
        raise DataError(
            f"{there[0]!r} is there already, and an empty card would replace it. Name "
            "another file with --output, or delete this one."
        )
    for table in tables:
        make_empty(table.task).write(table.card)
        words = ["llmreg", "edit", str(table.card), "--data", str(table.path)]
        count = len(table.task.keys)
        sys.stdout.write(
            f"{escape(str(table.card))}: {count} feature{'s' * (count != 1)}, and no "
            f"opinion on any of them. Next: {escape(shlex.join(words))}\n"
        )


def make_empty(task: Task) -> FeaturePrior:
    """Make a prior for a task that has no opinion on anything."""
    texts = {f.key: f.level_description or f.description for f in task.features}
    return FeaturePrior(
        task.keys,
        np.full((len(task.outputs), len(task.keys)), np.nan),
        task.outputs,
        task=task.description,
        target=task.target,
        descriptions={key: text for key, text in texts.items() if text},
        provenance={"source": "an expert"},
    )


def draw(prior: FeaturePrior, *, top: int = 0) -> str:
    """Draw a prior as a table with a bar for every score, and with its curves."""
    marks = ("█", "│") if can_write("█│", sys.stdout) else ("#", "|")
    lines = _headline(prior)
    for k, output in enumerate(prior.outputs):
        lines.append("")
        if len(prior.outputs) > 1:
            lines.append(f"output {clean_text(output, NAME_WIDTH)!r}")
        lines += _block(prior, k, top, marks)
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
    for output, rate in prior.base_rates.items():
        name = clean_text(output, NAME_WIDTH)
        lines.append(f"base rate of {name!r}: {rate.rate:.3g}")
    for output, (low, middle, high, _) in prior.target_ranges.items():
        name = clean_text(output, NAME_WIDTH)
        lines.append(f"typical range of {name!r}: {low:g}, {middle:g}, {high:g}")
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
        bar, score = _bar(scores[j], marks), number(scores[j], "+.1f")
        line = f"{name:{width}}  {bar}  {score:>5}"
        if prior.spread is not None:
            line += f"  {number(prior.spread[k, j], '.1f'):>6}"
        if reason := prior.rationale.get(prior.features[j]):
            line += f"  {clean_text(reason, REASON_WIDTH)}"
        lines.append(line.rstrip())
        lines += _curve(prior, prior.features[j], k, width + 2)
    if len(shown) < len(order):
        lines.append(f"... {len(order) - len(shown)} more; --top 0 shows all")
    return lines


def _curve(prior: FeaturePrior, feature: str, k: int, indent: int) -> list[str]:
    """Draw the curve of a feature, and put it into a sentence."""
    curve, typical = prior.curves.get(feature), prior.ranges.get(feature)
    if curve is None:
        return []
    columns = shutil.get_terminal_size().columns
    start = " " * min(indent, max(2, columns - SENTENCE_WIDTH))
    low, high = map(show_value, typical_span(curve, typical))
    unit = show_unit(prior.units.get(feature, ""))
    blocks = sparkline(curve, typical, 2 * HALF_BAR + 1, k)
    # Whether outputs are classes, as well as a card can tell.
    targets = {DEFAULT_OUTPUT, prior.target, *prior.target.split(", ")}
    is_target = bool(prior.target_ranges) or targets.issuperset(prior.outputs)
    told = tell_curve(curve, k, is_class=bool(prior.base_rates) or not is_target)
    sentence = textwrap.wrap(told, max(columns - len(start), SENTENCE_WIDTH))
    each = [f"{blocks}  {low} to {high}{unit}", *sentence]
    return [f"{start}{line}" for line in each]


def _bar(score: float, marks: tuple[str, str]) -> str:
    """Draw a score as a bar to the left or to the right of zero."""
    block, axis = marks
    if np.isnan(score):
        return f"{'?':^{2 * HALF_BAR + 1}}"
    length = round(abs(score) / SCORE_LIMIT * HALF_BAR)
    left, right = (length, 0) if score < 0 else (0, length)
    return f"{block * left:>{HALF_BAR}}{axis}{block * right:<{HALF_BAR}}"


def compare(
    before: FeaturePrior, after: FeaturePrior, tolerance: float = 0.0
) -> pd.DataFrame:
    """List the scores in which two priors differ, by output and feature."""
    single = len(before.outputs) == len(after.outputs) == 1
    if not single and set(before.outputs) != set(after.outputs):
        raise PriorMismatchError(
            f"The cards score different outputs, {list(before.outputs)!r} and "
            f"{list(after.outputs)!r}, and cannot be compared."
        )
    features = list(dict.fromkeys([*before.features, *after.features]))
    old, new = (
        pd.DataFrame(prior.scores.T, prior.features, prior.outputs).reindex(features)
        for prior in (before, after)
    )
    # Single outputs may have other names.
    new = new.set_axis(old.columns, axis=1) if single else new[old.columns]
    table = pd.DataFrame({"before": old.unstack(), "after": new.unstack()})
    change = (table["after"] - table["before"]).abs()
    # To have no score is not the same as 0, but has its size.
    differs = (change > tolerance) | (table.isna().sum(axis=1) == 1)
    table["flips"] = table["before"] * table["after"] < 0
    table["size"] = (table["after"].fillna(0) - table["before"].fillna(0)).abs()
    return table[differs].sort_values(["flips", "size"], ascending=False)


def _table(found: pd.DataFrame, several: bool) -> str:
    """Write the differences as a table."""
    if found.empty:
        return "The scores are the same.\n"
    some = "score differs" if len(found) == 1 else "scores differ"
    names = [
        clean_text(f"{output}: " * several + feature, NAME_WIDTH)
        for output, feature in found.index
    ]
    width = max(map(len, [*names, "feature"]))
    lines = [
        f"{len(found)} {some}, {found['flips'].sum()} in sign",
        "",
        f"{'feature':{width}}  before   after  difference",
    ]
    for name, d in zip(names, found.itertuples(), strict=True):
        change = "" if np.isnan(d.before + d.after) else f"{d.after - d.before:+.1f}"
        note = "  sign flips" if d.flips else ""
        pair = "  ".join(f"{number(s, '+.1f'):>6}" for s in (d.before, d.after))
        lines.append(f"{name:{width}}  {pair}  {change:>10}{note}".rstrip())
    return "\n".join(lines) + "\n"
