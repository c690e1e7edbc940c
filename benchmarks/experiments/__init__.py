"""The experiments: what each is about, how it is started, what it writes.

An experiment is one entry of `EXPERIMENTS`, which names a program with a function
``main(arguments) -> int`` and the words to start it with. In these words ``{results}``
stands for the folder of the result files: the committed ones for the full size, another
one for the smoke size.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

#: Rows that every table of a smoke size has; the rest are run once, by "development".
_FEW = "--methods 'no prior, tuned' 'prior alone' 'default linear'"
_SMALL = "--shots 5 --repetitions 1"


@dataclass(frozen=True)
class Experiment:
    """An experiment that can be started by its name.

    `program` is the module whose `main` is called, with `full` or `smoke`, the file
    that it writes and, if `jobs`, the number of processes. The smoke size takes at most
    about a minute, and no table that a package does not ship. `takes` tells how long
    the smoke and the full size take. `writes` lists the files, that which it goes on
    from first, by what follows the name of the experiment. `report` is added to draw
    tables and plots again, and is empty where the experiment does nothing else. `data`
    says whether the full size needs tables that no package ships, `after` which
    experiments this one reads the results of.
    """

    name: str
    about: str
    program: str
    full: str
    smoke: str
    takes: tuple[str, str]
    writes: str = ".csv .json .md"
    jobs: bool = False
    report: str = "--report"
    data: bool = False
    after: tuple[str, ...] = ()

    @property
    def files(self) -> list[str]:
        """The names of the files that it writes."""
        return [f"{self.name}{end}" for end in self.writes.split()]


def _fewshot(
    name: str, about: str, cards: str, smoke: str, metric: str = "roc_auc", **more: Any
) -> Experiment:
    """Make an experiment of few shots on some tables."""
    return Experiment(
        name,
        about,
        "experiments.fewshot",
        f"--cards {cards}",
        f"--cards {smoke}",
        writes=f".csv .json .md -{metric}.csv -{metric}.png",
        jobs=True,
        **more,
    )


EXPERIMENTS = (
    _fewshot(
        "fewshot",
        "few shots: the paper's ten tables, llmreg beside its rivals",
        "paper --methods llmreg rivals",
        f"breast-cancer-wisconsin {_SMALL} {_FEW} rivals",
        takes=("20 s", "a day"),
        data=True,
    ),
    _fewshot(
        "multiclass",
        "the same on two tables of many classes (smoke: on one of two classes)",
        "multiclass --methods llmreg rivals",
        f"low-birth-weight {_SMALL} {_FEW}",
        takes=("5 s", "hours"),
        data=True,
    ),
    _fewshot(
        "regression",
        "the same on five regressions that packages ship",
        "regression --methods llmreg rivals",
        f"salaries {_SMALL} --methods llmreg",
        "r2",
        takes=("20 s", "hours"),
    ),
    _fewshot(
        "packaged",
        "outside the paper: four tables that packages ship, no download",
        "packaged --methods llmreg rivals",
        f"titanic {_SMALL} {_FEW}",
        takes=("5 s", "hours"),
    ),
    _fewshot(
        "development",
        "the tables to choose hyper-parameters on, regressions cut at the median",
        "development --methods llmreg rivals",
        f"carseats>median {_SMALL} --methods llmreg",
        takes=("20 s", "hours"),
    ),
    _fewshot(
        "thirds",
        "the tables to choose on for many classes, regressions cut into thirds",
        "thirds --methods llmreg",
        f"carseats>thirds {_SMALL} {_FEW}",
        takes=("5 s", "hours"),
    ),
    _fewshot(
        "field-choice",
        "whether trees are tuned where the field is compared, by one draw",
        "development --shots 25 100 --repetitions 1 --methods 'random forest' "
        "'random forest, tuned' XGBoost 'XGBoost, tuned' LightGBM 'LightGBM, tuned' "
        "CatBoost 'CatBoost, tuned' 'explainable boosting'",
        f"carseats>median {_SMALL} --methods 'random forest, tuned'",
        takes=("5 s", "10 min"),
    ),
    Experiment(
        "bounds",
        "the goals that were set for the default beforehand, met or not",
        "reporting.bounds",
        "--files {results}/fewshot.csv {results}/multiclass.csv "
        "{results}/regression.csv",
        "--files {results}/development.csv {results}/regression.csv",
        ("1 s", "10 s"),
        writes=".md",
        report="",
        after=("development", "regression"),
    ),
    Experiment(
        "ranks",
        "ranks of the methods over data sets, which differences mean something",
        "reporting.ranks_report",
        # At the sizes that the rivals are run at.
        "--file {results}/fewshot.csv --shots 1 5 10 50 "
        "--methods 'no prior, tuned' 'prior alone, exp' 'LAAT linear (reference)' "
        "'LAAT MLP (reference)' 'default linear' 'default MLP' rivals",
        "--file {results}/development.csv --draws 100",
        ("5 s", "1 min"),
        writes=".md .csv -effects.csv",
        report="",
        after=("development",),
    ),
    Experiment(
        "curves",
        "from how many rows on the prior no longer matters, the labels it saves",
        "reporting.curves",
        "--files {results}/fewshot.csv",
        "--files {results}/development.csv",
        ("5 s", "1 min"),
        writes=".csv .md .png",
        report="",
        after=("development",),
    ),
    Experiment(
        "bias",
        "biased rows: a part of a group is missing from those to train on",
        "experiments.bias",
        "",
        f"--cards titanic --repetitions 1 --delta 0 1 {_FEW}",
        ("10 s", "an hour"),
        jobs=True,
        data=True,
    ),
    Experiment(
        "ablations",
        "what each part is worth, changed alone",
        "experiments.ablations",
        "",
        "--cards low-birth-weight --tables noise scaler --repetitions 1",
        ("20 s", "an hour"),
        jobs=True,
        data=True,
    ),
    Experiment(
        "automl",
        "FLAML and AutoGluon, alone and with llmreg among their models",
        "experiments.automl",
        "",
        f"--cards titanic {_SMALL} --seconds 10",
        ("30 s", "hours"),
        data=True,
    ),
    Experiment(
        "disguised",
        "knowledge or memory: the paper's questionnaires asked in disguise",
        "experiments.disguised",
        "",
        # No package ships a table that was asked about in disguise.
        "--cards",
        ("5 s", "30 min"),
        writes=".csv .json .md .png -roc_auc.csv -roc_auc.png -alone.csv -alone.json"
        " -agreement.csv -swapped.csv -named.csv",
        jobs=True,
        data=True,
    ),
    Experiment(
        "elicitation",
        "the priors themselves: agreement, signs, what they are worth alone",
        "experiments.elicitation",
        "--cards all",
        "--cards titanic salaries",
        ("5 s", "5 min"),
        writes=".csv .json .md .png -alone.csv",
        data=True,
    ),
    Experiment(
        "knowledge",
        "response curves that were recorded: what they are worth with no training",
        "experiments.knowledge",
        "",
        "--cards titanic salaries",
        ("5 s", "1 min"),
        writes=".csv .json .md .png -said.csv -cards.csv",
        data=True,
    ),
    Experiment(
        "no-rows",
        "before the first row: what recorded knowledge predicts with no training",
        "experiments.no_rows",
        "",
        "--cards titanic salaries",
        ("5 s", "20 s"),
        data=True,
    ),
    Experiment(
        "memory-audit",
        "which tables the model knows by heart: what it said beside what is true",
        "experiments.memory_audit",
        "",
        "--cards titanic salaries",
        ("5 s", "30 s"),
        data=True,
    ),
    Experiment(
        "shapes",
        "trained on recorded curves: what was asked of it, and what was measured",
        "experiments.shapes",
        "",
        f"--cards titanic salaries {_SMALL} "
        "--methods 'default linear' curves 'misled curves'",
        ("15 s", "2 hours; 15 min with --repetitions 3"),
        jobs=True,
        data=True,
    ),
    Experiment(
        "elsewhere",
        "boosted trees that are given what a prior knows, or start at the curves",
        "experiments.elsewhere",
        "",
        "--cards titanic --shots 25 --repetitions 1",
        ("20 s", "15 min"),
        jobs=True,
    ),
    Experiment(
        "worlds",
        "tables that no model can have seen, the best of the field at every size",
        "experiments.worlds",
        "",
        f"--cards titanic salaries {_SMALL} --methods 'no prior, tuned, standardised' "
        "'prior alone' 'sum of the curves' 'random forest, tuned' CatBoost "
        "'default linear' 'default linear, curves'",
        ("10 s", "a day; an hour with --repetitions 2 --cards worlds"),
        writes=".csv .json .md .png",
        jobs=True,
        data=True,
    ),
    Experiment(
        "overview",
        "the picture of the first pages: said and learnt, and the few shots",
        "reporting.overview",
        "--files {results}/worlds.csv",
        "--files {results}/worlds.csv",
        ("1 s", "5 s"),
        writes=".png",
        report="",
        after=("worlds",),
    ),
    Experiment(
        "units",
        "rows in other units than the prior: how often it is seen, how often wrongly",
        "experiments.units",
        "",
        "--cards titanic salaries --repetitions 1",
        ("5 s", "2 min"),
        data=True,
    ),
    Experiment(
        "uncertainty",
        "how often intervals hold the outcomes, and the true probabilities",
        "experiments.uncertainty",
        "",
        "--cards titanic salaries --repetitions 1",
        ("5 s", "5 min"),
        data=True,
    ),
    Experiment(
        "labelling",
        "the labels that are needed, by who chooses the rows",
        "experiments.labelling",
        "",
        "--cards titanic salaries --repetitions 1",
        ("15 s", "10 min"),
        data=True,
    ),
    Experiment(
        "conformal",
        "conformal intervals and sets on sixty rows, and temperature scaling",
        "experiments.conformal",
        "",
        "--cards titanic salaries --repetitions 1",
        ("5 s", "10 min"),
    ),
    Experiment(
        "costs",
        "tokens of asking by table and way of asking, and their price",
        "experiments.costs",
        "",
        "--cards titanic",
        ("5 s", "20 s"),
    ),
    Experiment(
        "speed",
        "time of fits beside scikit-learn's and CatBoost's, memory of large fits",
        "experiments.speed",
        "",
        "--largest 10000 --patience 0.2",
        ("30 s", "25 min"),
    ),
    Experiment(
        "devices",
        "time of fits on a CUDA device and on the CPU beside it",
        "experiments.devices",
        "",
        "--sizes 1000x50",
        ("10 s", "5 min"),
    ),
    Experiment(
        "scale",
        "a search of 500 fits on one worker and on two, asked for once",
        "experiments.scale",
        "",
        "--kinds linear --backends none loky --candidates 4 --rounds 1",
        ("15 s", "20 min"),
    ),
    Experiment(
        "import-time",
        "what importing llmreg costs over importing skorch",
        "experiments.import_time",
        "",
        "--rounds 1",
        ("10 s", "1 min"),
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
    "worlds-make": Program(
        "make the tables of the worlds anew (--check: the same bits?)",
        "data.worlds.making",
    ),
    "local-priors": Program(
        "ask the small local model about the tables", "data.local_priors"
    ),
    "questionnaire": Program(
        "ask for curves in other forms, with a key; not run yet",
        "experiments.questionnaire",
    ),
    "disguised-priors": Program(
        "write the questionnaires in disguise, keep the answers",
        "data.disguise",
    ),
}
