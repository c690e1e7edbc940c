"""The list of experiments, and the one command that runs them."""

import importlib

import pytest

from benchmarks import __main__ as program
from benchmarks.data.catalogue import DEVELOPMENT, PACKAGED, REGRESSION, THIRDS
from benchmarks.data.results import ResultFile
from benchmarks.experiments import EXPERIMENTS

NAMES = [each.name for each in EXPERIMENTS]


@pytest.fixture
def called(monkeypatch):
    """Programs that are only told of: name -> arguments, and what each returns."""
    calls, codes = {}, {}

    def call(experiment, arguments):
        calls[experiment.name] = list(arguments)
        return codes.get(experiment.name, 0)

    monkeypatch.setattr(program, "call", call)
    return calls, codes


class TestEntries:
    def test_every_name_is_there_once_and_no_command(self):
        assert len({*NAMES, program.ALL, program.REPORT}) == len(EXPERIMENTS) + 2

    @pytest.mark.parametrize("smoke", [False, True])
    @pytest.mark.parametrize("experiment", EXPERIMENTS, ids=NAMES)
    def test_its_program_takes_its_words(self, experiment, smoke, tmp_path):
        module = importlib.import_module(f"benchmarks.{experiment.program}")
        words = program.words(experiment, tmp_path, jobs=2, smoke=smoke)
        options = module._parser().parse_args(words)
        assert options.out == tmp_path / experiment.files[0]
        if smoke:
            free = {*PACKAGED, *REGRESSION, *DEVELOPMENT, *THIRDS}
            assert free.issuperset(getattr(options, "cards", ()))
        elif experiment.report:
            again = [*words, *experiment.report.split()]
            assert module._parser().parse_args(again).report

    def test_what_is_read_first_comes_first(self):
        for number, experiment in enumerate(EXPERIMENTS):
            assert set(experiment.after) <= set(NAMES[:number])

    def test_no_two_write_the_same_file(self):
        files = [file for each in EXPERIMENTS for file in each.files]
        assert len(set(files)) == len(files)
        assert "fewshot-roc_auc.png" in files and "bounds.md" in files


class TestProgram:
    def test_lists(self, capsys):
        assert program.main([]) == 0
        text = capsys.readouterr().out
        assert all(f"\n{name} " in text for name in NAMES)
        assert "needs LLMREG_DATA" in text and "writes speed.csv, .json, .md" in text

    def test_full_size(self, called, tmp_path, monkeypatch, capsys):
        monkeypatch.delenv("LLMREG_DATA", raising=False)
        words = [
            "fewshot",
            "--jobs",
            "2",
            "--into",
            str(tmp_path),
            "--shots",
            "5",
            "10",
        ]
        assert program.main(words) == 0
        (arguments,) = called[0].values()
        assert arguments[:2] == ["--cards", "paper"]
        assert arguments[-3:] == ["--shots", "5", "10"]
        assert arguments[arguments.index("--jobs") + 1] == "2"
        assert str(tmp_path / "fewshot.csv") in arguments
        assert "LLMREG_DATA is not set" in capsys.readouterr().err

    def test_results_are_committed_but_for_a_smoke_size(self, called):
        assert program.main(["speed"]) == 0
        assert str(program.RESULTS / "speed.csv") in called[0]["speed"]
        assert program.main(["speed", "--smoke"]) == 0
        assert str(program.RESULTS / "speed.csv") not in called[0]["speed"]

    def test_no_smoke_over_committed_results(self, called, capsys):
        assert program.main(["speed", "--smoke", "--into", str(program.RESULTS)]) == 2
        assert "committed results" in capsys.readouterr().err and not called[0]

    def test_smoke_of_all(self, called, capsys):
        called[1].update(bounds=1, speed=2)
        assert program.main(["all", "--smoke"]) == 2
        assert list(called[0]) == NAMES
        assert "speed: 0:00, returned 2" in capsys.readouterr().err

    def test_a_stop_stops_all(self, called):
        called[1].update(multiclass=130)
        assert program.main(["all", "--smoke"]) == 130
        assert list(called[0]) == NAMES[: NAMES.index("multiclass") + 1]

    def test_what_a_smoke_size_reads_is_made_where_it_is_not(self, called, tmp_path):
        (tmp_path / "regression.csv").touch()
        words = ["bounds", "--smoke", "--into", str(tmp_path), "--report", "x.csv"]
        assert program.main(words) == 0
        assert list(called[0]) == ["development", "bounds"]
        # There is nothing but a report, so nothing to ask for.
        assert called[0]["bounds"][-1] == "x.csv"
        assert "--report" not in called[0]["bounds"]
        assert "x.csv" not in called[0]["development"]

    def test_no_such_experiment(self, capsys):
        assert program.main(["fewshots"]) == 2
        assert "'fewshots': fewshot, " in capsys.readouterr().err

    def test_one_for_real(self, tmp_path, capsys):
        words = ["packaged", "--smoke", "--into", str(tmp_path)]
        assert program.main([*words, "--methods", "prior alone"]) == 0
        assert "| prior alone | " in capsys.readouterr().out
        assert len(ResultFile(tmp_path / "packaged.csv").read()) == 1

    def test_report(self, called, tmp_path):
        for name in ("fewshot.csv", "toy.md", "bounds.md"):
            (tmp_path / name).write_text("figures\n")
        page = tmp_path / "page.md"
        page.write_text("<!-- include toy.md -->\n<!-- end -->\n")
        assert program.main(["report", "--into", str(tmp_path), str(page)]) == 0
        assert list(called[0]) == ["fewshot", "bounds"]
        assert called[0]["fewshot"][-1] == "--report"
        assert "figures" in page.read_text()
