"""`llmreg report` and `llmreg demo`: a page about a model, and some models at work."""

import argparse
import sys
from pathlib import Path
from typing import Any

from llmreg._utils._files import expand
from llmreg._utils._text import escape
from llmreg.cli._elicit import make_provider
from llmreg.cli._tables import check_columns, known_labels, read_table
from llmreg.exceptions import DataError


def add(commands: Any) -> None:
    """Describe the commands."""
    parser = commands.add_parser(
        "report",
        help="write a page about a saved model",
        description="Write one self-contained HTML page about a model that "
        "joblib.dump has saved: task, prior, what was sent to whom, alignment, trust, "
        "and, with --data, performance with the prior and without. Loading a model "
        "runs whatever code its file holds: open only files that you trust.",
    )
    parser.set_defaults(run=run_report)
    add = parser.add_argument
    add("model", type=expand, help="the file, which must be trusted")
    text = "where the page goes (default: %(default)s)"
    add("-o", "--output", type=expand, default=Path("report.html"), help=text)
    text = "a CSV file with a header, to measure the performance on by "
    text += "cross-validation; no provider is called"
    add("--data", type=expand, help=text)
    text = "the column that is predicted; once for each where there are several"
    add("--target", action="append", help=text)
    add("--title", help="the headline")
    add("--jobs", type=int, default=1, help="processes (default: %(default)s)")

    text = "compare models with and without a prior on few rows"
    parser = commands.add_parser("demo", help=text)
    parser.set_defaults(run=run_demo)
    add = parser.add_argument
    text = "where the prior comes from (default: recorded, no key needed)"
    choices = ["recorded", "anthropic"]
    add("--provider", choices=choices, default="recorded", help=text)
    add("--model", help="the model that a live provider asks")
    text = "where the plot goes (default: %(default)s)"
    add("--plot", type=expand, default=Path("llmreg-demo.png"), help=text)
    add("--no-plot", dest="plot", action="store_const", const=None, help="draw none")
    add("--jobs", type=int, default=-1, help="processes (default: one a core)")


def run_report(arguments: argparse.Namespace) -> None:
    """Run `llmreg report`."""
    if (arguments.data is None) != (not arguments.target):
        raise DataError("--data and --target go together; one of them is missing.")
    name = escape(str(arguments.model))
    sys.stderr.write(
        f"loading {name}, which runs the code that it holds: open only files that you "
        "trust\n"
    )
    model = load_model(arguments.model)
    X = y = None
    if arguments.data is not None:
        X, y = read_rows(arguments.data, arguments.target, model)
    from llmreg.inspection import write_report

    try:
        options = {"title": arguments.title, "n_jobs": arguments.jobs}
        write_report(model, arguments.output, X, y, **options)
    # The model is none, or not fitted, or its targets are of another type.
    except (TypeError, ValueError) as error:
        raise DataError(f"{str(arguments.model)!r}: {error}") from error
    sys.stdout.write(f"The report is in {escape(str(arguments.output))}.\n")


def load_model(path: Path) -> Any:
    """Load a model, which runs the code that its file holds."""
    import joblib

    try:
        return joblib.load(path)
    # A pickle may raise anything.
    except Exception as error:
        raise DataError(
            f"The model {str(path)!r} cannot be loaded: {type(error).__name__}: "
            f"{error}. It must be a file that joblib.dump has written, with the "
            "packages at hand that it was made with."
        ) from error


def read_rows(path: Path, targets: list[str], model: Any) -> tuple[Any, Any]:
    """Read the columns of a model, and its targets, from a table."""
    frame = read_table(path)
    known = getattr(model, "feature_names_in_", None)
    features = [c for c in frame if c not in targets] if known is None else list(known)
    check_columns(frame, [*features, *targets], path)
    frame = known_labels(frame, targets)
    y = frame[targets[0]] if len(targets) == 1 else frame[targets]
    return frame[features], y


def run_demo(arguments: argparse.Namespace) -> None:
    """Run `llmreg demo`; it stops at once where the provider has no key."""
    provider = None
    if arguments.provider != "recorded":
        provider = make_provider(arguments.provider, {"model": arguments.model})
        provider.check_ready()
    from llmreg.cli._demo import run_demo as compare

    compare(sys.stdout, provider, arguments.plot, n_jobs=arguments.jobs)
