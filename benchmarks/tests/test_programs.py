"""What the programs of the benchmarks have in common: start, end and options."""

from __future__ import annotations

import re

import pandas as pd
import pytest

from benchmarks.data.catalogue import HERE, UnknownCardError
from benchmarks.data.datasets import TableMismatchError, TableNotFoundError
from benchmarks.data.results import ResultFile, ResultFileError
from benchmarks.data.thinning import NoRuleError
from benchmarks.experiments.runner import add_fits, keep
from benchmarks.methods.registry import UnknownMethodError
from benchmarks.programs import RequestError, make_parser, report_failed, run_program
from benchmarks.reporting.pages import BlockError


def end(raised: BaseException, **more):
    """Run a program whose body raises."""

    def body(options):
        raise raised

    return run_program(body, make_parser("toy", "A toy."), [], **more)


@pytest.mark.parametrize(
    ("error", "base"),
    [
        (UnknownCardError, LookupError),
        (UnknownMethodError, LookupError),
        (NoRuleError, LookupError),
        (TableNotFoundError, LookupError),
        (TableMismatchError, ValueError),
        (ResultFileError, ValueError),
        (BlockError, ValueError),
    ],
)
def test_what_cannot_be_met(error, base, capsys):
    assert issubclass(error, RequestError) and issubclass(error, base)
    assert end(error("why not")) == 2
    assert capsys.readouterr().err == "error: why not\n"


def test_other_errors_are_not_hidden(capsys):
    with pytest.raises(ValueError, match="a fault"):
        end(ValueError("a fault"))
    assert end(FileNotFoundError("no file"), errors=(FileNotFoundError,)) == 2
    assert capsys.readouterr().err == "error: no file\n"


def test_stopped(capsys):
    assert end(KeyboardInterrupt()) == 130
    assert "goes on from here" in capsys.readouterr().err
    assert end(KeyboardInterrupt(), stopped="Stopped.") == 130
    assert capsys.readouterr().err == "Stopped.\n"


def test_failed_fits_are_told_by_their_reason(capsys):
    frame = pd.DataFrame({"method": ["a", "b", "a"], "error": ["x", "x", None]})
    assert report_failed(frame) == 1
    assert capsys.readouterr().err == "2 fits failed (a, b): x\n"
    assert report_failed(frame[2:]) == 0


def test_methods_only_where_they_can_be_chosen(capsys):
    parser = make_parser("toy", None)
    add_fits(parser, "toy.csv", 3, methods=["llmreg"])
    options = vars(parser.parse_args(["--jobs", "2"]))
    assert options.pop("out").name == "toy.csv"
    assert options == {
        "shots": None,
        "repetitions": 3,
        "methods": ["llmreg"],
        "seed": 0,
        "jobs": 2,
        "report": False,
    }
    parser = make_parser("toy", None)
    add_fits(parser, "toy.csv", 3)
    with pytest.raises(SystemExit):
        parser.parse_args(["--methods", "llmreg"])


def test_no_row_no_note(tmp_path):
    file = ResultFile(tmp_path / "toy.csv", ("n", "run"), ("n",))
    keep(file, [], {"seed": 0})
    assert not list(tmp_path.iterdir())
    keep(file, ({"n": n} for n in range(2)), {"seed": 0})
    assert file.read()["run"].tolist() == [0, 0]
    assert (tmp_path / "toy.json").exists()


ROOMS = ("data", "methods", "reporting", "experiments")


@pytest.mark.parametrize("number", range(len(ROOMS)), ids=ROOMS)
def test_rooms_import_one_way(number):
    later = "|".join(ROOMS[number + 1 :]) or "__main__"
    found = re.compile(rf"^ *from benchmarks\.({later})", re.MULTILINE)
    for path in (HERE.parent / ROOMS[number]).glob("*.py"):
        assert not found.search(path.read_text()), path.name
