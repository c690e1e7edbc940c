"""The experiments: what each is about, how it is started, what it writes.

An experiment is one entry of `EXPERIMENTS`, which names a program of this folder with
a function ``main(arguments) -> int`` and the words to start it with. In these words

- ``{results}`` stands for the folder of the result files: the committed ones for the
  full size, another one for the smoke size;
- ``{jobs}`` stands for the number of processes; without it there is one.
"""

from __future__ import annotations

from dataclasses import dataclass

#: Rows that every table of a smoke size has; the rest are run once, by "development".
_FEW = "'no prior, tuned' 'prior alone' 'default linear'"
_FEWSHOT = ".csv .json .md -roc_auc.csv -roc_auc.png"
_SMALL = "--shots 5 --repetitions 1"


@dataclass(frozen=True)
class Experiment:
    """An experiment that can be started by its name.

    `program` is the module whose `main` is called, with `command` and `full` or
    `smoke`. The smoke size takes at most about a minute, and no table that a package
    does not ship. `takes` tells how long the smoke and the full size take. `writes`
    lists the files, that which it goes on from first, those with the experiment's own
    name by their ends alone. `report` is added to draw tables and plots again, and is
    empty where the experiment does nothing else. `data` says whether the full size
    needs tables that no package ships, `after` which experiments this one reads the
    results of.
    """

    name: str
    about: str
    program: str
    command: str
    full: str
    smoke: str
    takes: tuple[str, str]
    writes: str
    report: str = "--report"
    data: bool = False
    after: tuple[str, ...] = ()

    @property
    def files(self) -> list[str]:
        """The names of the files that it writes."""
        ends = self.writes.split()
        return [f"{self.name}{end}" if end[0] in ".-" else end for end in ends]


EXPERIMENTS = (
    Experiment(
        name="fewshot",
        about="few shots: the paper's ten tables, llmreg beside its rivals",
        program="experiments.fewshot",
        command="--out {results}/fewshot.csv --jobs {jobs}",
        full="--cards paper --methods llmreg rivals",
        smoke=f"--cards breast-cancer-wisconsin {_SMALL} --methods {_FEW} rivals",
        takes=("20 s", "a day"),
        writes=_FEWSHOT,
        data=True,
    ),
    Experiment(
        name="multiclass",
        about="the same on two tables of many classes (smoke: on one of two classes)",
        program="experiments.fewshot",
        command="--out {results}/multiclass.csv --jobs {jobs}",
        full="--cards multiclass --methods llmreg rivals",
        smoke=f"--cards low-birth-weight {_SMALL} --methods {_FEW}",
        takes=("5 s", "hours"),
        writes=_FEWSHOT,
        data=True,
    ),
    Experiment(
        name="regression",
        about="the same on five regressions that packages ship",
        program="experiments.fewshot",
        command="--out {results}/regression.csv --jobs {jobs}",
        full="--cards regression --methods llmreg rivals",
        smoke=f"--cards salaries {_SMALL} --methods llmreg",
        takes=("20 s", "hours"),
        writes=_FEWSHOT.replace("roc_auc", "r2"),
    ),
    Experiment(
        name="packaged",
        about="outside the paper: four tables that packages ship, no download",
        program="experiments.fewshot",
        command="--out {results}/packaged.csv --jobs {jobs}",
        full="--cards packaged --methods llmreg rivals",
        smoke=f"--cards titanic {_SMALL} --methods {_FEW}",
        takes=("5 s", "hours"),
        writes=_FEWSHOT,
    ),
    Experiment(
        name="development",
        about="the tables to choose hyper-parameters on, regressions cut at the median",
        program="experiments.fewshot",
        command="--out {results}/development.csv --jobs {jobs}",
        full="--cards development --methods llmreg rivals",
        smoke=f"--cards carseats>median {_SMALL} --methods llmreg",
        takes=("20 s", "hours"),
        writes=_FEWSHOT,
    ),
    Experiment(
        name="thirds",
        about="the tables to choose on for many classes, regressions cut into thirds",
        program="experiments.fewshot",
        command="--out {results}/thirds.csv --jobs {jobs}",
        full="--cards thirds --methods llmreg",
        smoke=f"--cards carseats>thirds {_SMALL} --methods {_FEW}",
        takes=("5 s", "hours"),
        writes=_FEWSHOT,
    ),
    Experiment(
        name="bounds",
        about="the goals that were set for the default beforehand, met or not",
        program="reporting.bounds",
        command="--out {results}/bounds.md",
        full="--files {results}/fewshot.csv {results}/multiclass.csv "
        "{results}/regression.csv",
        smoke="--files {results}/development.csv {results}/regression.csv",
        takes=("1 s", "10 s"),
        writes=".md",
        report="",
        after=("development", "regression"),
    ),
    Experiment(
        name="ranks",
        about="ranks of the methods over data sets, which differences mean something",
        program="reporting.ranks_report",
        command="--out {results}/ranks.md",
        # At the sizes that the rivals are run at.
        full="--file {results}/fewshot.csv --shots 1 5 10 50 "
        "--methods 'no prior, tuned' 'prior alone, exp' 'LAAT linear (reference)' "
        "'LAAT MLP (reference)' 'default linear' 'default MLP' rivals",
        smoke="--file {results}/development.csv --draws 100",
        takes=("5 s", "1 min"),
        writes=".md .csv -effects.csv",
        report="",
        after=("development",),
    ),
    Experiment(
        name="curves",
        about="from how many rows on the prior no longer matters, the labels it saves",
        program="reporting.curves",
        command="--out {results}/curves.csv",
        full="--files {results}/fewshot.csv",
        smoke="--files {results}/development.csv",
        takes=("5 s", "1 min"),
        writes=".csv .md .png",
        report="",
        after=("development",),
    ),
    Experiment(
        name="bias",
        about="biased rows: a part of a group is missing from those to train on",
        program="experiments.bias",
        command="--out {results}/bias.csv --jobs {jobs}",
        full="",
        smoke=f"--cards titanic --repetitions 1 --delta 0 1 --methods {_FEW}",
        takes=("10 s", "an hour"),
        writes=".csv .json .md",
        data=True,
    ),
    Experiment(
        name="ablations",
        about="what each part is worth, changed alone",
        program="experiments.ablations",
        command="--out {results}/ablations.csv --jobs {jobs}",
        full="",
        smoke="--cards low-birth-weight --tables noise scaler --repetitions 1",
        takes=("20 s", "an hour"),
        writes=".csv .json .md",
        data=True,
    ),
    Experiment(
        name="automl",
        about="FLAML and AutoGluon, alone and with llmreg among their models",
        program="experiments.automl",
        command="--out {results}/automl.csv",
        full="",
        smoke="--cards titanic --shots 5 --repetitions 1 --seconds 10",
        takes=("30 s", "hours"),
        writes=".csv .json .md",
        data=True,
    ),
    Experiment(
        name="disguised",
        about="knowledge or memory: the paper's questionnaires asked in disguise",
        program="experiments.disguised",
        command="--out {results}/disguised.csv --jobs {jobs}",
        full="",
        # No package ships a table that was asked about in disguise.
        smoke="--cards",
        takes=("5 s", "30 min"),
        writes=".csv .json .md .png -roc_auc.csv -roc_auc.png -alone.csv -alone.json"
        " -agreement.csv -swapped.csv -named.csv",
        data=True,
    ),
    Experiment(
        name="elicitation",
        about="the priors themselves: agreement, signs, what they are worth alone",
        program="experiments.elicitation",
        command="--out {results}/elicitation.csv",
        full="--cards all",
        smoke="--cards titanic salaries",
        takes=("5 s", "5 min"),
        writes=".csv .json .md .png -alone.csv",
        data=True,
    ),
    Experiment(
        name="speed",
        about="time of fits and predictions beside scikit-learn",
        program="experiments.speed",
        command="--out {results}/speed.csv",
        full="",
        smoke="--sizes 10x8 --patience 0.2",
        takes=("10 s", "20 min"),
        writes=".csv .json .md",
    ),
    Experiment(
        name="memory",
        about="memory at the peak of a fit, and how time grows with the table",
        program="experiments.memory",
        command="--out {results}/memory.csv",
        full="",
        smoke="--largest 650000",
        takes=("10 s", "3 min"),
        writes=".csv .json .md",
    ),
    Experiment(
        name="scale",
        about="a search of 500 fits on one worker and on two, asked for once",
        program="experiments.scale",
        command="--out {results}/scale.csv",
        full="",
        smoke="--kinds linear --backends none loky --candidates 4 --rounds 1",
        takes=("15 s", "20 min"),
        writes=".csv .json .md",
    ),
    Experiment(
        name="import-time",
        about="what importing llmreg costs over importing skorch",
        program="experiments.import_time",
        command="--out {results}/import-time.csv",
        full="",
        smoke="--rounds 1",
        takes=("10 s", "1 min"),
        writes=".csv .json .md",
    ),
)


@dataclass(frozen=True)
class Program:
    """What is started by its name besides, and takes its own options."""

    about: str
    module: str


PROGRAMS = {
    "pages": Program(
        "fill the pages alone, or tell which are stale (--check)", "reporting.pages"
    ),
    "local-priors": Program(
        "ask the small local model about the tables", "data.local_priors"
    ),
    "disguised-priors": Program(
        "write the questionnaires in disguise, keep the answers",
        "data.disguise",
    ),
}
