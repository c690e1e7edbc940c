"""Asking for all that a model knows: response curves, typical ranges, base rates."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from llmreg._utils._text import clean_text
from llmreg.elicitation._prompt import PREAMBLE, give_ids, object_schema
from llmreg.elicitation._responses import UNIT_FACTOR, Estimate
from llmreg.exceptions import PriorScoreError, ProviderResponseError
from llmreg.prior._curves import (
    MAX_KNOTS,
    ResponseCurve,
    read_curve,
    read_special,
    stack_outputs,
)
from llmreg.prior._scores import (
    SCORE_LIMIT,
    BaseRate,
    FloatArray,
    TypicalRange,
    as_numbers,
    check_range,
    check_rate,
)
from llmreg.prior._task import Task

# The most curves of one question, and the most special values of one curve.
MAX_CURVES = 150
MAX_SPECIAL = 8
# The most features whose ids the schema of a reply lists: grammars of long lists are
# refused. Replies are checked against the whole list.
MAX_LISTED = 50
# A reply may leave out features, if it answers for this share of them.
LEAST_SHARE = 0.5
# How far base rates of all classes may be from 1 in all.
RATE_TOLERANCE = 0.2
MAX_MESSAGE = 300

CURVE_TEXT = f"""\
{PREAMBLE}
A feature with a level stands for having that level of a category; every other feature \
is a number. Where levels have an "order", their category has a natural order, and \
this is their place in it.

All effects share one scale from {-SCORE_LIMIT} to {SCORE_LIMIT} for the whole task: \
how much being at a value, or having a level, all else equal, raises (above 0) or \
lowers (below 0) the log-odds of the class, or the target, compared with an average \
case. {SCORE_LIMIT} is the strongest effect that any feature of the task has. Most \
effects lie from -3 to 3; what tells nothing has 0. Where the document has "columns", \
the table is asked about in several parts: keep to the scale of the whole table.

Look at all the features first and consider how each acts in the context of the \
others: which overlap, which only stand in for another, which say the most. Count \
nothing twice. Then give:
- of the task, for each output: its base rate, the probability of the class in the \
population that the task describes; or, of a target, [p5, p50, p95], its 5th, 50th and \
95th percentile, in its own unit.
- "curves", for each feature that is a number: a reason of at most 20 words; its \
"range" in that population, [p5, p50, p95], in the unit of the column and without \
special codes; and for each output a "curve" of 2 to {MAX_KNOTS} knots \
[value, effect], values increasing, in the same unit, over all values that are \
plausible. Between knots the effect is straight, beyond them flat. It need not be \
straight or monotone as a whole: set knots where an effect begins, turns or levels \
off, such as thresholds, plateaus and U shapes; two with the same effect make a flat \
one. Values that are codes and no quantities, such as 0 for not measured or 999 for \
never, go under "special" instead, as [value, effect]; mostly there are none. Leave a \
range or curve empty where you cannot tell.
- "levels", for each feature with a level: a reason of at most 20 words, and the \
effect of having the level for each output.
Answer for every feature exactly once, under its id."""


def count_curves(task: Task) -> int:
    """Count the curves that a task needs: of every number, for every output."""
    return len(task.outputs) * sum(f.level is None for f in task.features)


def reply_schema(task: Task, *, lists_ids: bool) -> dict[str, Any]:
    """Build the schema of a reply, of what vendors take: no alternatives, no bounds."""
    numbers = {"type": "array", "items": {"type": "number"}}
    points = {"type": "array", "items": numbers}

    def by_output(part: dict[str, Any]) -> dict[str, Any]:
        return object_schema(dict.fromkeys(give_ids("o", task.outputs), part))

    forms: dict[str, dict[str, Any]] = {
        "curves": {
            "range": numbers,
            "curve": by_output(points),
            "special": by_output(points),
        },
        "levels": {"effect": by_output({"type": "number"})},
    }
    about = by_output({"type": "number"} if task.kind == "classification" else numbers)
    schema = {_of_task(task): about}
    for name, form in forms.items():
        has_level = name == "levels"
        features = give_ids("f", task.features).items()
        ids = [i for i, f in features if (f.level is not None) == has_level]
        identity = {"type": "string", "enum": ids} if lists_ids else {"type": "string"}
        if ids:
            entry = {"id": identity, "reason": {"type": "string"}, **form}
            schema[name] = {"type": "array", "items": object_schema(entry)}
    return object_schema(schema)


def read_answers(
    task: Task, about: Mapping[str, Any], entries: Mapping[str, Any]
) -> Estimate:
    """Read checked entries by feature key, and what a reply tells of the task."""
    try:
        found = _read_task(task, about)
        curves: dict[str, ResponseCurve] = {}
        ranges: dict[str, TypicalRange] = {}
        scores = {output: dict.fromkeys(task.keys, math.nan) for output in task.outputs}
        for feature in task.features:
            key, entry = feature.key, entries.get(feature.key)
            if entry is None:
                continue
            if feature.level is not None:
                effects = [_effect(v, key) for v in _by_output(task, entry["effect"])]
            else:
                if entry["range"]:
                    ranges[key] = check_range(entry["range"], repr(key))
                curve = _read_curve(task, key, entry, ranges.get(key))
                if curve is None:
                    continue
                curves[key] = curve
                effects = curve.score(ranges.get(key)).tolist()
            for output, effect in zip(task.outputs, effects, strict=True):
                scores[output][key] = effect
    except ValueError as e:
        # Also of NumPy, over lists within lists.
        raise ProviderResponseError(
            f"The reply of the model cannot be used: {clean_text(str(e), MAX_MESSAGE)}"
        ) from None
    return Estimate(scores, {}, curves=curves, ranges=ranges, **found)


def _by_output(task: Task, told: Mapping[str, Any]) -> list[Any]:
    """Give what is told by the ids of outputs, in their order."""
    return [told[i] for i in give_ids("o", task.outputs)]


def _of_task(task: Task) -> str:
    """Name what is asked of the task itself."""
    return "base_rates" if task.kind == "classification" else "target_ranges"


def _effect(value: Any, key: str) -> float:
    """Check the effect of a level; NaN is no opinion."""
    effect = float(as_numbers(value, f"The effect of {key!r}"))
    if value is not None and not abs(effect) <= SCORE_LIMIT:
        raise PriorScoreError(
            f"The effect of {key!r} must lie from {-SCORE_LIMIT} to {SCORE_LIMIT}; got "
            f"{value!r}."
        )
    return effect


def _read_curve(
    task: Task, key: str, entry: Mapping[str, Any], typical: TypicalRange | None
) -> ResponseCurve | None:
    """Read the curves of all outputs; None where there is no opinion at all."""
    points = _by_output(task, entry["curve"])
    drawn = [read_curve(p, key) if p else None for p in points]
    special = [_read_special(p, key) for p in _by_output(task, entry["special"])]
    if not any(drawn):
        return None
    codes = {code for one in special for code in one}
    if quantities := [v for v in (typical or ())[:3] if v not in codes]:
        for curve in filter(None, drawn):
            _check_units(curve.values, key, quantities)
    return stack_outputs(drawn, special)


def _read_special(points: Any, key: str) -> dict[float, float]:
    """Read the effects of values that are codes."""
    found = read_special(points, key)
    if len(found) > MAX_SPECIAL:
        raise PriorScoreError(
            f"The special values of {key!r} must be up to {MAX_SPECIAL}; got "
            f"{[*found]!r}."
        )
    return found


def _check_units(values: FloatArray, key: str, quantities: Sequence[float]) -> None:
    """Refuse a curve in another unit than the typical range of the same reply."""
    low, high = quantities[0], quantities[-1]
    lies_beside = values[0] > high or values[-1] < low
    sizes = sorted([np.abs(values).max(), max(abs(low), abs(high))])
    if lies_beside and sizes[1] >= UNIT_FACTOR * sizes[0]:
        raise PriorScoreError(
            f"The curve of {key!r} runs from {values[0]:g} to {values[-1]:g}, but its "
            f"typical range from {low:g} to {high:g}: they are not in the same unit."
        )


def _read_task(task: Task, about: Mapping[str, Any]) -> dict[str, Any]:
    """Read base rates, with that of the class that is no output, or target ranges."""
    told = _by_output(task, about[_of_task(task)])
    values = dict(zip(task.outputs, told, strict=True))
    if task.kind == "regression":
        found = {n: check_range(v, repr(n)) for n, v in values.items() if v}
        return {"target_ranges": found}
    if None in values.values():
        return {}
    rates = {name: check_rate(v, repr(name)).rate for name, v in values.items()}
    others = [name for name in task.classes if name not in rates]
    total = sum(rates.values())
    if len(others) == len(rates) == 1:
        rates[others[0]] = 1.0 - total
    elif task.classes and not others:
        if abs(total - 1.0) > RATE_TOLERANCE:
            raise PriorScoreError(
                f"The base rates of all classes must add up to 1; got {total:g}."
            )
        rates = {name: rate / total for name, rate in rates.items()}
    return {"base_rates": {name: BaseRate(rate) for name, rate in rates.items()}}
