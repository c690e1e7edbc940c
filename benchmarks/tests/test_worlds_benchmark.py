"""The field on tables that no model can have seen: draws, tables, the figure."""

import itertools

import pandas as pd
import pytest

from benchmarks import __main__ as program
from benchmarks.data.catalogue import MULTICLASS, PAPER, REGRESSION, WORLDS
from benchmarks.data.results import COLUMNS, ResultFile
from benchmarks.experiments import worlds as experiment
from benchmarks.methods.registry import in_order
from benchmarks.reporting import worlds as report
from benchmarks.reporting.worlds import MORE, NUMBER, PUBLIC, TWO, WORLD


def fits(cards, **measures):
    """Make rows of two methods, two sizes and two draws."""
    every = itertools.product(cards, ("5", "0.8"), (0, 1), report.DRAWN)
    return [
        {**dict.fromkeys(COLUMNS), "card": card, "shots": shots, "repetition": number}
        | {"method": method, "fit_seconds": 1.5, "n_train": 10, **measures}
        for card, shots, number, method in every
    ]


def test_every_method_is_known():
    assert {*report.COMPARED, *report.DRAWN} <= {*in_order()}
    assert {*report.ALWAYS, *report.DRAWN} <= {*report.COMPARED}
    assert len({*report.COMPARED}) == len(report.COMPARED)


@pytest.mark.parametrize(
    ("card", "found"),
    [
        ("clinic_wait", (TWO, WORLD)),
        ("demographic_history", (MORE, WORLD)),
        ("cell_capacity", (NUMBER, WORLD)),
        (PAPER[0], (TWO, PUBLIC)),
        (MULTICLASS[0], (MORE, PUBLIC)),
        (REGRESSION[0], (NUMBER, PUBLIC)),
    ],
)
def test_places(card, found):
    assert report.place(card) == found


def test_sizes_of_a_kind():
    cells = experiment.cells_of(["clinic_wait", "cell_capacity"], None, 1)
    sizes = {
        card: [cell.shots for cell in cells if cell.card == card] for card in WORLDS
    }
    assert sizes["clinic_wait"] == [1, 5, 10, 25, 50, 100, 400, 0.8]
    assert sorted(sizes["cell_capacity"]) == [0.8, 5, 10, 25, 50, 100, 200]
    cells = experiment.cells_of(["cell_capacity"], [1], 2)
    assert [cell.shots for cell in cells] == [1, 1]


def test_report(tmp_path):
    rows = fits(["clinic_wait", "adult"], roc_auc=0.8, log_loss=0.5)
    rows += fits(["cell_capacity"], r2=0.5)
    frame = pd.DataFrame([row for row in rows if row["method"] != "sum of the curves"])
    text = report.write(frame)
    assert f"## {TWO}: {WORLD}" in text and f"## {NUMBER}: {WORLD}" in text
    # AUC and log loss of two places, R2 of one: a row each, though nobody ran it.
    assert text.count("| sum of the curves | - | - |") == 5
    assert "| CatBoost | 1.50 | 1.50 |" in text
    report.draw(frame, tmp_path / "both.png")
    assert (tmp_path / "both.png").stat().st_size > 10_000
    report.draw(frame[frame["card"] == "cell_capacity"], tmp_path / "none.png")
    assert not (tmp_path / "none.png").exists()


def test_what_a_row_is_worth():
    means = {
        report.MARK: (0.6, 0.8),
        "default linear, curves": (0.85, 0.85),
        "default linear": (0.7, 0.9),
        "CatBoost": (0.5, 0.6),
    }
    rows = [
        {"card": "clinic_wait", "shots": shots, "repetition": draw, "method": method}
        | {"n_train": 2 * int(shots), "roc_auc": mean}
        for method, both in means.items()
        for shots, mean in zip(("1", "100"), both, strict=True)
        for draw in (0, 1)
    ]
    text = report.worth(pd.DataFrame(rows))
    assert "| clinic_wait | 100 | 0.800 | ≤ 1 | 10 | never | > 100 |" in text
    assert len(report.worth(pd.DataFrame(rows[:4])).splitlines()) == 2


def test_goes_on(tmp_path, capsys):
    words = ["worlds", "--into", str(tmp_path), "--cards", "cell_capacity"]
    words += ["--shots", "5", "--repetitions", "1", "--methods", "prior alone"]
    assert program.main(words) == 0
    assert program.main([*words, "sum of the curves"]) == 0
    assert "2 fits asked for, 1 to do" in capsys.readouterr().err
    assert len(ResultFile(tmp_path / "worlds.csv").read()) == 2
