"""`llmreg diff`: what changed of curves, in words."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from llmreg import BaseRate, FeaturePrior, ResponseCurve, cli
from llmreg.cli._changes import tell_changes

HOSTILE = "a\x1b[2J\u202eb\nc"
GLUCOSE = [(70, -6), (100, -3), (140, 3), (200, 9)]


def prior(curve, name="glucose", **meta):
    return FeaturePrior.from_dict({name: curve}, **meta)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (GLUCOSE, GLUCOSE, []),
        # The same curve at other knots is no other curve.
        ([(0, 0), (2, 2)], [(0, 0), (1, 1), (2, 2)], []),
        ([(0, 0), (2, 2)], [(0, 1), (2, 3)], ["everywhere higher by 1"]),
        (
            [(0, -1), (126, 1), (200, 1)],
            [(0, -1), (125, 1), (126, 3), (200, 3)],
            ["from 126 on higher, most at 126: +3 instead of +1"],
        ),
        (
            [(0, -2), (119, -2), (121, 2), (200, 2)],
            [(0, -2), (139, -2), (141, 2), (200, 2)],
            [
                "from 121 to 139 lower, most at 121: -2 instead of +2; "
                "it turns positive at 140 instead of 120"
            ],
        ),
        (
            [(0, 0), (5, 0), (10, 0)],
            [(0, 0), (5, 2), (10, 0)],
            [
                "at 5: +2 instead of 0; now: rises to 5, then "
                "falls; before: hardly changes anything"
            ],
        ),
        (
            [(0, 1), (1, 4)],
            [(0, 4), (1, 1)],
            [
                "at 0: +4 instead of +1; now: falls; before: rises",
            ],
        ),
        ([(0, None), (1, None)], [(0, 0), (1, 1)], ["a curve instead of no opinion"]),
        ([(0, 0), (1, 1)], [(0, None), (1, None)], ["no opinion instead of a curve"]),
        ([(0, 0), (1, 1)], 3, ["a score instead of a curve"]),
        (3, [(0, 0), (1, 1)], ["a curve instead of a score"]),
        (
            [(1e-30, -1), (1e30, 1)],
            [(1e-30, -1), (1e30, 5)],
            [
                "from 1e+30 on higher, most at 1e+30: +5 instead of +1; "
                "it turns positive at 2e+29 instead of 5e+29"
            ],
        ),
    ],
)
def test_changes_in_words(old, new, told):
    found = tell_changes(prior(old), prior(new))
    assert found == [f"glucose: {text}" for text in told]


def test_what_is_tolerated_is_none():
    pair = prior([(0, 0), (1, 1)]), prior([(0, 0), (1, 1.4)])
    assert tell_changes(*pair, tolerance=0.4) == []
    (told,) = tell_changes(*pair, tolerance=0.3)
    assert told == "glucose: from 1 on higher, most at 1: +1.4 instead of +1"


def test_a_change_too_small_for_a_decimal_is_shown():
    (told,) = tell_changes(prior([(0, 0), (1, 1)]), prior([(0, 0), (1, 1.02)]))
    assert told.endswith("+1.02 instead of +1")


def test_outputs_are_matched_by_name():
    one = FeaturePrior.from_dict({"a": {"x": [(0, 0), (1, 1)]}, "b": {"x": GLUCOSE}})
    two = FeaturePrior.from_dict({"b": {"x": GLUCOSE}, "a": {"x": [(0, 0), (1, 3)]}})
    (told,) = tell_changes(one, two)
    assert told == "x, a: from 1 on higher, most at 1: +3 instead of +1"


def test_codes():
    def with_codes(**special):
        codes = {float(k[1:]): v for k, v in special.items()}
        curve = ResponseCurve([1, 2], [0, 1], special=codes)
        return FeaturePrior(("x",), np.zeros((1, 1)), curves={"x": curve})

    one, two = with_codes(c0=[1.0], c9=[2.0]), with_codes(c0=[-1.0], c8=[3.0])
    assert tell_changes(one, two) == [
        "x: the code 0 has -1 instead of +1; the code 9 has none instead of +2; "
        "the code 8 has +3 instead of none"
    ]


def test_ranges_units_and_base_rates():
    old = prior(GLUCOSE, ranges={"glucose": (80, 110, 180)})
    new = replace(
        old,
        ranges={"glucose": (4.4, 6, 10)},
        units={"glucose": "mmol/L"},
        base_rates={"ill": BaseRate(0.3)},
        target_ranges={"price": (1, 2, 1e30)},
    )
    assert tell_changes(old, new) == [
        "glucose: the unit is mmol/L instead of none",
        "glucose: the typical range is 4.4, 6, 10 instead of 80, 110, 180",
        "the base rate of 'ill' is 0.3 instead of none",
        "the typical range of 'price' is 1, 2, 1e+30 instead of none",
    ]


def test_curves_in_different_units_are_not_compared():
    old = prior(GLUCOSE, units={"glucose": "mg/dL"})
    new = prior([(4, -6), (10, 9)], units={"glucose": "mmol/L"})
    assert tell_changes(old, new) == [
        "glucose: the unit is mmol/L instead of mg/dL",
        "glucose: curves in different units are not compared",
    ]


def test_names_cannot_move_the_cursor():
    old = prior(GLUCOSE, HOSTILE, units={HOSTILE: HOSTILE})
    new = prior([(0, 0), (1, 1)], HOSTILE, base_rates={HOSTILE: BaseRate(0.1)})
    text = "".join(tell_changes(old, new))
    assert text.isprintable()


def test_a_curve_counts_for_the_exit_code(tmp_path, capsys):
    cards = [tmp_path / "a.json", tmp_path / "b.json"]
    # The best straight line through both is the same.
    for card, middle in zip(cards, (0, 3), strict=True):
        prior([(0, -2), (1, middle), (2, 2)]).write(card)
    arguments = ["diff", *map(str, cards), "--exit-code"]
    assert cli.main(arguments) == 1
    told = capsys.readouterr().out
    assert told.startswith("The scores are the same.\n\nglucose: ")
    assert "at 1: +3 instead of 0" in told
    assert cli.main(["diff", str(cards[0]), str(cards[0]), "--exit-code"]) == 0


@pytest.mark.parametrize(
    ("outputs", "told"),
    [
        (("ill", "well"), ["the scores are of 'well' instead of 'ill'"]),
        (("ill", "ill"), []),
        (("ill", "target"), []),
        (("ill", "diagnosis"), []),
    ],
)
def test_scores_of_the_other_class_are_other_scores(outputs, told, tmp_path):
    cards = [replace(prior(3, output=output), target="diagnosis") for output in outputs]
    assert tell_changes(*cards) == told
    paths = [str(tmp_path / name) for name in ("before.json", "after.json")]
    for card, path in zip(cards, paths, strict=True):
        card.write(path)
    assert cli.main(["diff", *paths, "--exit-code"]) == bool(told)
