"""`llmreg report`: a page about a saved model, for those who must sign it off."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from llmreg.cli._tables import known_labels, read_table
from llmreg.exceptions import DataError

PAGE = "report.html"


def add(commands: Any) -> None:
    """Describe the command."""
    parser = commands.add_parser(
        "report",
        help="write a page about a saved model",
        description="Write one self-contained HTML page about a model that "
        "joblib.dump has saved: task, prior, what was sent to whom, alignment, trust, "
        "and, with --data, performance with the prior and without. Loading a model "
        "runs whatever code its file holds: open only files that you trust.",
    )
    parser.set_defaults(run=run)
    parser.add_argument("model", type=Path, help="the file, which must be trusted")
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        default=Path(PAGE),
        help="where the page goes (default: %(default)s)",
    )
    parser.add_argument(
        "--data",
        type=Path,
        help="a CSV file with a header, to measure the performance on by "
        "cross-validation; nobody is asked for a prior",
    )
    parser.add_argument(
        "--target",
        action="append",
        help="the column that is predicted; once for each where there are several",
    )
    parser.add_argument("--title", help="the headline")
    parser.add_argument(
        "--jobs", type=int, default=1, help="processes (default: %(default)s)"
    )


def run(arguments: argparse.Namespace) -> None:
    """Run the command.

    Raises DataError if the model or the table cannot be read.
    """
    if (arguments.data is None) != (not arguments.target):
        raise DataError("--data and --target go together; one of them is missing.")
    model = load_model(arguments.model)
    X = y = None
    if arguments.data is not None:
        X, y = read_rows(arguments.data, arguments.target, model)
    from llmreg.inspection._report import write_report

    try:
        write_report(
            model,
            arguments.output,
            X,
            y,
            title=arguments.title,
            n_jobs=arguments.jobs,
        )
    except TypeError as error:
        raise DataError(f"{str(arguments.model)!r}: {error}") from error
    sys.stdout.write(f"The report is in {arguments.output}.\n")


def load_model(path: Path) -> Any:
    """Load a model, which runs the code that its file holds.

    Raises DataError if the file cannot be read.
    """
    import joblib

    try:
        return joblib.load(path)
    # What a pickle can go wrong with has no end.
    except Exception as error:
        raise DataError(
            f"The model {str(path)!r} cannot be loaded: {type(error).__name__}: "
            f"{error}. It must be a file that joblib.dump has written, with the "
            "packages at hand that it was made with."
        ) from error


def read_rows(path: Path, targets: list[str], model: Any) -> tuple[Any, Any]:
    """Read the columns of a model, and its targets, from a table.

    Raises DataError if the file cannot be read, lacks columns, or has no usable
    target.
    """
    frame = read_table(path)
    known = getattr(model, "feature_names_in_", None)
    features = [c for c in frame if c not in targets] if known is None else list(known)
    if absent := [name for name in [*features, *targets] if name not in frame]:
        raise DataError(
            f"{str(path)!r} has no column {absent[0]!r}; its columns are "
            f"{list(frame.columns)!r}."
        )
    frame = known_labels(frame, targets)
    y = frame[targets[0]] if len(targets) == 1 else frame[targets]
    return frame[features], y
