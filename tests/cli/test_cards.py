"""Prior cards in the terminal: `llmreg show` and `llmreg diff`."""

from __future__ import annotations

import io
import sys

import numpy as np
import pytest

from llmreg import BaseRate, FeaturePrior, cli
from llmreg.cli._cards import compare, draw


@pytest.fixture
def prior():
    return FeaturePrior.from_estimates(
        [{"age": -10, "bmi": 4, "shoe": 0}, {"age": -9, "bmi": 6, "shoe": 0}],
        rationale={"age": "Children first."},
        task="Who survives?",
        target="survived",
        provenance={"model": "m", "created": "2026-01-31"},
    )


def test_bars_point_to_the_sign(prior):
    lines = draw(prior).splitlines()
    assert lines[:3] == [
        "3 features, output 'target', 2 estimates",
        "task: Who survives?",
        "target: survived",
    ]
    age, bmi, shoe = lines[-3:]
    assert age == "age      ██████████│             -9.5     0.5  Children first."
    assert bmi == "bmi                │█████        +5.0     1.0"
    assert shoe == "shoe               │             +0.0     0.0"


def test_no_opinion_is_no_zero():
    prior = FeaturePrior(("age", "bmi"), np.array([[np.nan, 1.0]]))
    age = draw(prior).splitlines()[-1]
    assert age.split() == ["age", "?", "-"]


def test_every_output_has_its_block():
    prior = FeaturePrior.from_dict({"cat": {"legs": 1}, "bird": {"legs": -9}})
    text = draw(prior)
    assert "output 'cat'" in text
    assert "output 'bird'" in text


def test_long_cards_are_cut_and_say_so():
    prior = FeaturePrior.from_dict({f"x{i}": 1 for i in range(50)})
    assert "... 40 more; --top 0 shows all" in draw(prior, top=10)
    assert "more" not in draw(prior)


def test_names_cannot_move_the_cursor():
    prior = FeaturePrior.from_dict({"a\x1b[2Jb\nc": 1})
    assert "\x1b" not in draw(prior)
    assert draw(prior).splitlines()[-1].startswith("a[2Jb c")


@pytest.mark.parametrize(("encoding", "block"), [("ascii", "#"), ("utf-8", "█")])
def test_the_terminal_decides_the_blocks(prior, tmp_path, monkeypatch, encoding, block):
    path = tmp_path / "card.json"
    prior.write(path)
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding=encoding))
    assert cli.main(["show", str(path)]) == 0
    sys.stdout.flush()
    assert block * 10 in raw.getvalue().decode(encoding)


def test_a_card_that_is_none(tmp_path, capsys):
    path = tmp_path / "card.json"
    path.write_text("{}")
    assert cli.main(["show", str(path)]) == 1
    assert "not a prior card" in capsys.readouterr().err


@pytest.fixture
def card(tmp_path):
    def write(name, scores):
        path = tmp_path / name
        FeaturePrior.from_dict(scores).write(path)
        return str(path)

    return write


def test_one_difference_is_one(card, capsys):
    before, after = (
        card("a.json", {"age": 9, "bmi": 1}),
        card("b.json", {"age": 9, "bmi": 2}),
    )
    assert cli.main(["diff", before, after]) == 0
    assert capsys.readouterr().out.startswith("1 score differs, 0 in sign\n")


def test_sign_flips_come_first_then_size(card, capsys):
    before = card("a.json", {"age": 9, "bmi": 1, "sex": 2, "old": 3, "shoe": 1})
    after = card("b.json", {"sex": 2, "age": 3, "bmi": -1, "new": -4, "shoe": 2})
    assert cli.main(["diff", before, after]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "5 scores differ, 1 in sign"
    assert [line.split()[0] for line in lines[3:]] == [
        *("bmi", "age", "new", "old", "shoe")
    ]
    assert lines[3].split() == ["bmi", "+1.0", "-1.0", "-2.0", "sign", "flips"]
    assert lines[5].split() == ["new", "-", "-4.0"]


def test_the_exit_code_is_for_scripts(card, capsys):
    a, b = card("a.json", {"age": 3}), card("b.json", {"age": 4})
    assert cli.main(["diff", a, a, "--exit-code"]) == 0
    assert "the same" in capsys.readouterr().out
    assert cli.main(["diff", a, b, "--exit-code"]) == 1
    assert cli.main(["diff", a, b, "--exit-code", "--tolerance", "1"]) == 0


def test_outputs_are_matched_by_name():
    one = FeaturePrior.from_dict({"cat": {"legs": 1}, "bird": {"legs": -9}})
    two = FeaturePrior.from_dict({"bird": {"legs": -9}, "cat": {"legs": 5}})
    (found,) = compare(one, two).itertuples()
    assert found == (("cat", "legs"), 1, 5, False, 4)


def test_single_outputs_may_have_other_names():
    one = FeaturePrior.from_dict({"legs": 1}, output="yes")
    two = FeaturePrior.from_dict({"legs": 1}, output="target")
    assert compare(one, two).empty


def test_no_opinion_is_another_opinion_than_zero():
    none = FeaturePrior(("a", "b"), np.array([[np.nan, np.nan]]))
    zero = FeaturePrior(("a", "b"), np.array([[0.0, np.nan]]))
    (found,) = compare(none, zero).itertuples()
    assert found.Index == ("target", "a")
    assert not found.flips


def test_other_outputs_cannot_be_compared(card, capsys):
    a = card("a.json", {"cat": {"legs": 1}, "bird": {"legs": -9}})
    b = card("b.json", {"cat": {"legs": 1}, "fish": {"legs": -9}})
    assert cli.main(["diff", a, b]) == 1
    assert "fish" in capsys.readouterr().err


def curve_prior(**meta):
    return FeaturePrior.from_dict(
        {"glucose": [(70, -6), (100, -3), (126, 3), (200, 9)], "sex=f": 1},
        ranges={"glucose": (80, 110, 180)},
        units={"glucose": "mg/dL"},
        **meta,
    )


def test_curves_are_drawn_and_told(monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    lines = draw(curve_prior(base_rates={"ill": BaseRate(0.35)})).splitlines()
    assert lines[1] == "base rate of 'ill': 0.35"
    start = lines.index(next(line for line in lines if line.startswith("glucose")))
    assert lines[start + 1] == f"{'':9}▁▁▁▂▂▃▃▄▄▅▅▅▅▆▆▆▆▆▇▇▇  80 to 180 mg/dL"
    assert lines[start + 2].startswith(f"{'':9}rises; up to 100 strongly less likely")
    assert lines[start + 3].startswith("sex=f")


def test_targets_are_not_likely():
    assert "strongly higher" in draw(curve_prior())
    priced = curve_prior(output="price", target_ranges={"price": (1, 2, 3)})
    assert "typical range of 'price': 1, 2, 3" in draw(priced)
    assert "strongly higher" in draw(priced)
    assert "more likely" in draw(curve_prior(output="ill"))


@pytest.mark.parametrize("columns", ["1", "20", "60"])
def test_sentences_fit_narrow_terminals(monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", columns)
    text = draw(curve_prior())
    told = [line for line in text.splitlines() if "likely" in line or "higher" in line]
    assert told
    assert max(map(len, told)) <= max(int(columns), 32)


def test_hostile_curves_stay_on_their_lines():
    name = "a\x1b[2J\u202eb\nc"
    prior = FeaturePrior.from_dict(
        {name: {name: [(0, 1), (1, 2)]}, "b": {}},
        units={name: name},
        base_rates={name: BaseRate(0.1)},
    )
    assert draw(prior).replace("\n", "").isprintable()
