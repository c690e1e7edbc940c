"""The other forms of the question for curves, with made-up answers."""

import pandas as pd
import pytest

from benchmarks.data.datasets import DATA_VARIABLE
from benchmarks.experiments import questionnaire
from llmreg import Feature, Task


def test_every_form_is_asked_and_measured(monkeypatch, tmp_path, capsys):
    monkeypatch.delenv(DATA_VARIABLE, raising=False)
    out = tmp_path / "out.csv"
    assert questionnaire.main(["--smoke", "--out", str(out)]) == 0
    found = pd.read_csv(out)
    assert list(found["form"]) == [*questionnaire.FORMS] * 2
    assert (found["requests"] == 1).all()
    assert found["value"].between(0, 1).all()
    assert "knots at percentiles" in capsys.readouterr().out


def test_without_a_key_it_says_so(monkeypatch, tmp_path, capsys):
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    monkeypatch.setenv("ANTHROPIC_CONFIG_DIR", str(tmp_path))
    monkeypatch.setenv("LLMREG_CACHE_DIR", str(tmp_path / "cache"))
    assert questionnaire.main(["--cards", "titanic"]) == 2
    assert "ANTHROPIC_API_KEY" in capsys.readouterr().err


@pytest.mark.parametrize("name", questionnaire.FORMS)
def test_forms_differ_in_order_and_in_words(name):
    task = Task((Feature("age"),), "ill", ("yes",), "classification", ("no", "yes"))
    asked = questionnaire.form(name)(task)
    order, says = questionnaire.FORMS[name]
    entry = asked.schema["properties"]["curves"]["items"]
    assert list(entry["properties"]) == entry["required"] == ["id", *order]
    assert asked.system.endswith(says)
    usual = questionnaire.CurveQuestionnaire(task)
    assert (asked.digest == usual.digest) == (name == "as it is")
