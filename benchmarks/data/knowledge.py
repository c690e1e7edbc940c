"""Recorded answers to the questionnaire of curves, as priors.

``knowledge/NAME.json`` holds two estimates of what a language model knows about a card:
for every numeric feature a response curve and its 5th, 50th and 95th percentile, for
every other one an effect by level, for the task a base rate or the percentiles of the
target. Beside them lie the questionnaire, the task as it was asked, and the provenance.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.data.catalogue import path_of, read_card, task_of
from llmreg.prior import BaseRate, FeaturePrior, TypicalRange
from llmreg.prior._scores import average_ranges, average_rates

#: How the answers may write the two values of a column that is coded 0 and 1.
_CODES = {"False": 0.0, "True": 1.0}
#: What an effect on a number is worth for a low, a middle and a high one.
_TURNS = (-1.0, 0.0, 1.0)


def read_knowledge(name: str) -> dict[str, Any]:
    """Read what was recorded about a data set, as it was answered."""
    path = path_of("knowledge", read_card(name)["table"])
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def recorded_knowledge(
    name: str, estimates: Sequence[int] | None = None, weigh: bool = False
) -> FeaturePrior:
    """Make a prior with curves, typical ranges and base rates of recorded answers.

    Its outputs are those of `read_prior`, its features the inputs of the card. Of
    levels that were not asked about it has no opinion. Interactions are left out.

    Parameters
    ----------
    name : str
        A card, also one that ends in ``>median`` or ``>thirds``.
    estimates : sequence of int, default=None
        Which answers to average, counted from 0; all where it is None.
    weigh : bool, default=False
        Whether each curve is multiplied with the confidence that goes with it.
    """
    card, record = read_card(name), read_knowledge(name)
    every = record["estimates"]
    answers = every if estimates is None else [every[i] for i in estimates]
    task = task_of(card)
    is_regression = card["kind"] == "regression"
    outputs = ("target",) if is_regression else task.outputs
    prior = FeaturePrior.from_estimates(
        [_effects(answer, card, outputs, weigh) for answer in answers],
        ranges=_ranges(answers, card),
        base_rates=_base_rates(answers, card),
        target_ranges=_target_ranges(answers) if is_regression else {},
        task=card["task"],
        target=str(card["target"]),
        provenance={"source": record["provenance"]},
    )
    return prior.align(task.features, outputs)


def _effects(
    answer: Mapping[str, Any],
    card: Mapping[str, Any],
    outputs: Sequence[str],
    weigh: bool,
) -> dict[str, dict[str, Any]]:
    """Sort one answer by output and input: a list of points, or the effect of a level.

    Whatever way it was given, a column of numbers gets a curve, another one effects.
    """
    found: dict[str, dict[str, Any]] = {output: {} for output in outputs}
    for name, about in card["features"].items():
        said = answer["numeric"].get(name, {})
        weight = said.get("confidence", 1.0) if weigh else 1.0
        for number, output in enumerate(outputs):
            turn = weight * (_TURNS[number] if card["name"].endswith(">thirds") else 1)
            points = _points(said, answer["levels"].get(name, {}), output)
            if about["kind"] != "categorical":
                curve = sorted((_number(x), turn * effect) for x, effect in points)
                found[output][name] = curve
                continue
            for level in about["levels"]:
                if (effect := _at(points, level)) is not None:
                    found[output][f"{name}={level}"] = turn * effect
    return found


def _points(
    said: Mapping[str, Any], levels: Mapping[str, Any], output: str
) -> list[tuple[Any, float]]:
    """Give what was said of a feature as pairs of a value, or level, and an effect."""
    curve = said.get("curve")
    if curve is None:
        curve = list(levels.items())
    elif isinstance(curve, Mapping):
        curve = curve[output]
    return [
        (value, effect[output] if isinstance(effect, Mapping) else effect)
        for value, effect in curve
    ]


def _at(points: Sequence[tuple[Any, float]], level: str) -> float | None:
    """Give the effect of a level, from a curve if its name is a number."""
    by_name = {str(value): effect for value, effect in points}
    if level in by_name or any(isinstance(value, str) for value, _ in points):
        return by_name.get(level)
    values, effects = zip(*points, strict=True)
    return float(np.interp(_number(level), values, effects))


def _number(value: Any) -> float:
    """Read the value of a column of numbers."""
    return _CODES[value] if value in _CODES else float(value)


def _ranges(
    answers: Sequence[Mapping[str, Any]], card: Mapping[str, Any]
) -> dict[str, TypicalRange]:
    """Average the percentiles of the columns of numbers."""
    found = {}
    for name, about in card["features"].items():
        said = [answer["numeric"].get(name) for answer in answers]
        known = [_range(each) for each in said if each is not None]
        if known and about["kind"] != "categorical":
            found[name] = average_ranges(known)
    return found


def _target_ranges(answers: Sequence[Mapping[str, Any]]) -> dict[str, TypicalRange]:
    """Average the percentiles of the target."""
    return {"target": average_ranges([_range(each["target"]) for each in answers])}


def _range(said: Mapping[str, Any]) -> TypicalRange:
    """Read percentiles."""
    return TypicalRange(said["p5"], said["p50"], said["p95"])


def _base_rates(
    answers: Sequence[Mapping[str, Any]], card: Mapping[str, Any]
) -> dict[str, BaseRate]:
    """Average the base rates by class; classes of equal size are so by their making."""
    classes, positive = card.get("classes", ()), card["positive"]
    if card["kind"] == "regression":
        return {}
    if card["name"] != card["table"]:
        return {name: BaseRate(1 / len(classes)) for name in classes}
    if positive is not None:
        rate = average_rates([BaseRate(each["base_rate"]) for each in answers])
        other = next(name for name in classes if name != positive)
        return {positive: rate, other: BaseRate(1 - rate.rate, rate.spread)}
    return {
        name: average_rates([BaseRate(each["base_rate"][name]) for each in answers])
        for name in classes
    }
