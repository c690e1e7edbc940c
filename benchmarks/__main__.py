"""Every experiment by its name.

    python -m benchmarks                                  lists them
    python -m benchmarks fewshot --jobs 2                 the full size; goes on where
                                                          it was stopped
    python -m benchmarks fewshot --smoke                  seconds, into a folder that
                                                          is removed at the end
    python -m benchmarks fewshot --report                 tables and plots again
    python -m benchmarks fewshot --cards adult --shots 5  options of its program
    python -m benchmarks fewshot --help                   all options of its program
    python -m benchmarks all --smoke                      every experiment, minutes
    python -m benchmarks report                           all tables, plots and pages
                                                          from the result files

The entries are in `experiments/__init__.py`.
"""

from __future__ import annotations

import argparse
import importlib
import os
import shlex
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import ModuleType

from benchmarks.data.catalogue import RESULTS
from benchmarks.data.datasets import DATA_VARIABLE
from benchmarks.experiments import EXPERIMENTS, PROGRAMS, Experiment
from benchmarks.programs import clock, echo, say

ALL, REPORT = "all", "report"
_STOPPED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """List the experiments, or run what was named.

    Returns 0, or the largest code that an experiment returned: 1 where a fit failed,
    2 where a request cannot be met, 130 where it was stopped.
    """
    given = sys.argv[1:] if arguments is None else list(arguments)
    by_name = {each.name: each for each in EXPERIMENTS}
    first, rest = "".join(given[:1]), given[1:]
    if first in PROGRAMS:
        return int(program_of(PROGRAMS[first].module).main(rest))
    if first in by_name and {"-h", "--help"} & set(rest):
        return call(by_name[first], ["--help"])
    options, more = _parser().parse_known_args(given)
    if options.name is None:
        echo(listing())
        return 0
    if options.name == REPORT:
        return report(options.into or RESULTS, more)
    if options.name != ALL and options.name not in by_name:
        say(f"error: no experiment is called {options.name!r}: {', '.join(by_name)}")
        return 2
    if options.smoke and options.into and options.into.resolve() == RESULTS.resolve():
        say("error: a smoke size is not to be written over the committed results.")
        return 2
    named = [by_name[options.name]] if options.name in by_name else []
    chosen: Sequence[Experiment] = named or EXPERIMENTS
    with ExitStack() as stack:
        folder = options.into or RESULTS
        if options.smoke and options.into is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        if options.smoke:
            chosen = _with_what_is_read(chosen, folder)
        return _run_all(chosen, folder, options, more)


def listing() -> str:
    """List the experiments: what each asks, takes, needs and writes."""
    wide = max(len(name) for name in [each.name for each in EXPERIMENTS] + [*PROGRAMS])
    lines = ["python -m benchmarks NAME [--smoke] [--jobs N] [--into FOLDER] ...", ""]
    for each in EXPERIMENTS:
        smoke, full = each.takes
        needs = f"needs {DATA_VARIABLE} or OpenML" if each.data else "no download"
        lines += [
            f"{each.name:{wide}}  {each.about}",
            f"{'':{wide}}  smoke {smoke}, full {full}; {needs}; "
            f"writes {each.name}{each.writes.replace(' ', ', ')}",
        ]
    lines += [
        f"{ALL:{wide}}  all of them, one after the other",
        f"{REPORT:{wide}}  tables, plots and pages again from the result files",
        *(f"{name:{wide}}  {each.about}" for name, each in PROGRAMS.items()),
    ]
    return "\n".join(lines)


def words(
    experiment: Experiment, folder: Path, jobs: int = 1, smoke: bool = False
) -> list[str]:
    """Return the arguments that the program of an experiment is called with."""
    size = experiment.smoke if smoke else experiment.full
    given = [word.format(results=folder) for word in shlex.split(size)]
    given += ["--out", str(folder / experiment.files[0])]
    return given + (["--jobs", str(jobs)] if experiment.jobs else [])


def program_of(module: str) -> ModuleType:
    """Import the module of a program: only now, since it may need what is optional."""
    return importlib.import_module(f"benchmarks.{module}")


def call(experiment: Experiment, arguments: Sequence[str]) -> int:
    """Call the program of an experiment in this process."""
    return int(program_of(experiment.program).main(arguments))


def report(folder: Path, more: Sequence[str]) -> int:
    """Draw all tables and plots again, then the pages, which take the other options."""
    code = 0
    for experiment in EXPERIMENTS:
        if (folder / experiment.files[0]).exists():
            arguments = [*words(experiment, folder), *shlex.split(experiment.report)]
            code = max(code, call(experiment, arguments))
    pages = program_of(PROGRAMS["pages"].module)
    return max(code, int(pages.main(["--results", str(folder), *more])))


def _with_what_is_read(
    chosen: Sequence[Experiment], folder: Path
) -> Sequence[Experiment]:
    """Put before experiments those whose results they read, where there are none."""
    wanted = {name for each in chosen for name in (each.name, *each.after)}
    asked = {each.name for each in chosen}
    return [
        each
        for each in EXPERIMENTS
        if each.name in asked
        or (each.name in wanted and not (folder / each.files[0]).exists())
    ]


def _run_all(
    chosen: Sequence[Experiment],
    folder: Path,
    options: argparse.Namespace,
    more: Sequence[str],
) -> int:
    """Run experiments one after the other; one that fails does not keep the next."""
    codes, summary = [], []
    for experiment in chosen:
        arguments = words(experiment, folder, options.jobs, options.smoke)
        # What was asked for besides is for the experiment that was named.
        if options.name in (ALL, experiment.name):
            arguments += more
        if not experiment.report and "--report" in arguments:
            arguments.remove("--report")
        if experiment.data and not (options.smoke or os.environ.get(DATA_VARIABLE)):
            say(
                f"{DATA_VARIABLE} is not set: tables that no package ships are fetched."
            )
        say(f"# {experiment.program} {shlex.join(arguments)}")
        start = time.monotonic()
        codes.append(call(experiment, arguments))
        gone = clock(time.monotonic() - start)
        summary.append(f"{experiment.name}: {gone}, returned {codes[-1]}")
        if codes[-1] == _STOPPED:
            break
    if len(summary) > 1:
        say("\n".join(summary))
    return max(codes)


def _parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="Further options are those of the experiment's program.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("name", nargs="?", metavar="NAME", help=f"experiment, {ALL!r} or {REPORT!r}")
    add("--smoke", action="store_true", help="the smallest size that runs all code")
    add("--jobs", type=int, default=1, metavar="N", help="processes, where it may (1)")
    add(
        "--into",
        type=Path,
        metavar="FOLDER",
        help="folder of the result files (the committed ones; for a smoke size, one "
        "that is removed at the end)",
    )
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
