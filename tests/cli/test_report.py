from __future__ import annotations

import joblib
import numpy as np
import pandas as pd
import pytest

from llmreg import LLMAttributionClassifier, LLMAttributionRegressor, cli
from llmreg.inspection import _comparison, _report


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Drawing, and many folds, take far longer than all the rest."""
    monkeypatch.setattr(_comparison, "N_FOLDS", 2)
    monkeypatch.setattr(_comparison, "N_REPEATS", 1)
    monkeypatch.setattr(_report, "draw", lambda make: [("light", "data:,", "1")])
    monkeypatch.setattr(_report, "draw_curve", lambda *_: [])


@pytest.fixture
def table(tmp_path):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(40, 3)), columns=[*"abc"]).round(3)
    frame["ill"] = np.where(frame["a"] > 0, "yes", "no")
    frame.to_csv(tmp_path / "table.csv", index=False)
    return frame


@pytest.fixture
def saved(tmp_path, table):
    model = LLMAttributionClassifier({"a": 5, "b": 1}).fit(table[["a", "b"]], table.ill)
    joblib.dump(model, tmp_path / "model.joblib")
    return tmp_path


def run(*words):
    return cli.main(["report", *map(str, words)])


def test_report_without_a_table(saved, capsys):
    page = saved / "page.html"
    assert run(saved / "model.joblib", "-o", page, "--title", "Who is ill") == 0
    out, err = capsys.readouterr()
    assert str(page) in out
    assert "model.joblib, which runs the code that it holds: open only files" in err
    text = page.read_text(encoding="utf-8")
    assert "<h1>Who is ill</h1>" in text
    assert "No table was given" in text


def test_report_with_a_table_that_has_more_columns(saved):
    page = saved / "page.html"
    data = ("--data", saved / "table.csv", "--target", "ill")
    assert run(saved / "model.joblib", "-o", page, *data) == 0
    assert "with the prior" in page.read_text(encoding="utf-8")


def test_several_targets(saved, table):
    model = LLMAttributionRegressor({"a": {"c": 1}, "b": {"c": 1}})
    joblib.dump(model.fit(table[["c"]], table[["a", "b"]]), saved / "two.joblib")
    page = saved / "page.html"
    data = ("--data", saved / "table.csv", "--target", "a", "--target", "b")
    assert run(saved / "two.joblib", "-o", page, *data) == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["none.joblib"], "none.joblib' cannot be loaded: FileNotFoundError"),
        (["table.csv"], "table.csv' cannot be loaded"),
        (["list.joblib"], "pipeline whose last step is one; got list"),
        (["model.joblib", "--target", "ill"], "--data and --target go together"),
        (["model.joblib", "--data", "table.csv"], "--data and --target go together"),
        (["raw.joblib"], "raw.joblib': This LLMAttributionClassifier instance is not"),
        (
            ["numbers.joblib", "--data", "table.csv", "--target", "ill"],
            "numbers.joblib': could not convert string to float",
        ),
        (
            ["model.joblib", "--data", "table.csv", "--target", "sick"],
            "has no column 'sick'",
        ),
        (
            ["model.joblib", "--data", "none.csv", "--target", "ill"],
            "none.csv' cannot be read",
        ),
    ],
)
def test_what_goes_wrong_is_said(saved, capsys, monkeypatch, words, said):
    monkeypatch.chdir(saved)
    joblib.dump([1], "list.joblib")
    joblib.dump(LLMAttributionClassifier({"a": 5}), "raw.joblib")
    X = pd.DataFrame({"a": [1.0, 2.0], "b": [3.0, 1.0]})
    joblib.dump(LLMAttributionRegressor({"a": 5}).fit(X, [1, 2]), "numbers.joblib")
    assert run(*words) == 1
    assert said in capsys.readouterr().err


def test_the_warning_comes_before_the_code_runs(saved, capsys):
    class Told:
        def __reduce__(self):
            return eval, ("__import__('sys').stderr.write('it has run')",)

    joblib.dump(Told(), saved / "told.joblib")
    assert run(saved / "told.joblib") == 1
    err = capsys.readouterr().err
    assert err.index("which runs the code") < err.index("it has run")


def test_the_help_warns_of_models_that_are_not_trusted(capsys):
    with pytest.raises(SystemExit):
        run("--help")
    told = " ".join(capsys.readouterr().out.split())
    assert "runs whatever code its file holds: open only files that you trust" in told
