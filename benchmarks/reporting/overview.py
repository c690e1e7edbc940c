"""The picture of the first pages: what was said and learnt, and the few shots.

On the left two columns of a table that nobody has published, fitted on most of its
rows; on the right means of result files, over such tables if they have every method.

    python -m benchmarks overview
    python -m benchmarks overview --files results/worlds.csv more.csv
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.data.catalogue import RESULTS
from benchmarks.data.datasets import load
from benchmarks.data.knowledge import recorded_knowledge
from benchmarks.data.results import ResultFile
from benchmarks.data.splits import Cell, draw
from benchmarks.programs import RequestError, make_parser, run_program
from benchmarks.reporting.tables import drawing, summarise
from benchmarks.reporting.worlds import TWO, draw_shots, places
from llmreg import LLMAttributionClassifier
from llmreg.inspection import ShapeDisplay

#: The table of the shapes, the share of it that is fitted, and the columns shown.
CARD, SHARE = "clinic_wait", 0.8
FEATURES = ("people_in_room", "recent_wait")
#: The lines: what they are called, their colours and markers. What was learnt is blue
#: on the left, too.
DRAWN = {
    "default linear, curves": ("llmreg, curves", "#0072B2", "o"),
    "default linear": ("llmreg, scores", "#56B4E9", "s"),
    "CatBoost": ("CatBoost", "#D55E00", "^"),
    "no prior, tuned, standardised": ("logistic regression", "#555555", "D"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program as `run_program` does."""
    return run_program(_run, _parser(), arguments)


def _run(options: argparse.Namespace) -> int:
    """Draw the picture."""
    frame = pd.concat([ResultFile(path).read() for path in options.files])
    frame = frame[frame["method"].isin(DRAWN)]
    # Of a fit that is in several files, the first file's row counts.
    frame = frame.drop_duplicates(["card", "shots", "repetition", "method"])
    found = [
        (where, rows)
        for kind, where, rows in places(frame)
        if kind == TWO and rows["method"].nunique() == len(DRAWN)
    ]
    if not found:
        raise RequestError(
            f"these files have no tables of two classes with all of {list(DRAWN)}."
        )
    with drawing(options.out, 9.6, 3.4) as figure:
        draw_all(figure, *found[0])
    return 0


def draw_all(figure: Figure, where: str, rows: pd.DataFrame) -> None:
    """Draw both halves of the picture."""
    left, right = figure.subfigures(1, 2, width_ratios=(1.35, 1))
    n_rows = draw_shapes(left.subplots(1, 2, sharey=True))
    panel = right.subplots()
    summary = summarise(rows, "roc_auc")
    count = summary.groupby("shots")["method"].transform("nunique")
    # A size that some method lacks would compare lines of different lengths.
    draw_shots(panel, where, summary[count == count.max()], DRAWN)
    panel.set_ylabel("ROC AUC, mean over tables")
    panel.legend(frameon=False, fontsize=8, loc="lower right")
    title = f"what a language model said, what {n_rows:,} rows made of it"
    left.suptitle(title, fontsize=10)
    right.suptitle("with few labelled rows", fontsize=10)


def draw_shapes(panels: Sequence[Axes]) -> int:
    """Draw what was said of columns, and what most rows of their table make of it.

    Returns how many rows these are.
    """
    data = load(CARD)
    train, _ = draw(data.y.to_numpy(), len(data.classes), Cell(CARD, SHARE, 0), 0)
    X, y = data.X.iloc[train], data.y.iloc[train]
    model = LLMAttributionClassifier(recorded_knowledge(CARD), random_state=0)
    model.fit(X, y)
    ShapeDisplay.from_estimator(model, X, features=FEATURES, ax=panels)
    panels[0].set_ylabel("log-odds of a long wait")
    panels[1].set_ylabel("")
    for panel in panels:
        panel.set_title(panel.get_title(loc="left"), fontsize=9, loc="left")
    return len(X)


def _parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = make_parser("overview", __doc__)
    add = parser.add_argument
    add(
        "--files",
        nargs="+",
        type=Path,
        default=[RESULTS / "worlds.csv"],
        metavar="FILE.csv",
        help="result files of few shots (results/worlds.csv)",
    )
    add("--out", type=Path, default=RESULTS / "overview.png", metavar="FILE.png")
    return parser
