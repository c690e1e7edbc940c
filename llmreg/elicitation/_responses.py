"""What a language model replied: read, checked, merged, and averaged into a prior."""

import json
import math
import re
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from numbers import Real
from typing import Any

import numpy as np

from llmreg._utils._text import clean_text, list_names, refuse_twins, repeated
from llmreg.elicitation._prompt import give_ids
from llmreg.exceptions import (
    IncompleteReplyError,
    PriorDisagreementWarning,
    PriorMismatchWarning,
    ProviderResponseError,
)
from llmreg.prior._curves import ResponseCurve, average_curves
from llmreg.prior._feature_prior import FeaturePrior
from llmreg.prior._scores import (
    BaseRate,
    FloatArray,
    TypicalRange,
    average_ranges,
    average_rates,
    mean,
)
from llmreg.prior._task import Task


@dataclass(frozen=True)
class Estimate:
    """What one reply says, or several that cover a task; NaN is no opinion.

    Scores go by output and feature key, reasons by feature key. `created` is a time in
    UTC, in ISO format, `usage` the tokens that it took. The rest is as in
    `FeaturePrior`.
    """

    scores: dict[str, dict[str, float]]
    reasons: dict[str, str]
    model: str = ""
    created: str = ""
    usage: Mapping[str, int] = field(default_factory=dict)
    curves: Mapping[str, ResponseCurve] = field(default_factory=dict)
    ranges: Mapping[str, TypicalRange] = field(default_factory=dict)
    base_rates: Mapping[str, BaseRate] = field(default_factory=dict)
    target_ranges: Mapping[str, TypicalRange] = field(default_factory=dict)


# What an estimate, and a prior, has beside scores, and how it is averaged.
AVERAGES: dict[str, Callable[[Sequence[Any]], Any]] = {
    "curves": average_curves,
    "ranges": average_ranges,
    "base_rates": average_rates,
    "target_ranges": average_ranges,
}


def average_by_name(answers: Sequence[Estimate | FeaturePrior]) -> dict[str, Any]:
    """Average curves, ranges and base rates, each over those that have it.

    What answers tell in different units has no average, and is left out.
    """
    apart = find_other_units(answers)
    moved = find_other_units(answers, "target_ranges")
    skipped = {"curves": apart, "ranges": apart, "target_ranges": moved}
    found: dict[str, Any] = {}
    for name, average in AVERAGES.items():
        each = [getattr(answer, name) for answer in answers]
        left_out = skipped.get(name, ())
        keys = dict.fromkeys(k for one in each for k in one if k not in left_out)
        found[name] = {k: average([one[k] for one in each if k in one]) for k in keys}
    return found


# Two answers are in different units if all that is usual in one is larger than all that
# is in the other, and the largest by this factor.
UNIT_FACTOR = 10.0


def find_other_units(
    answers: Sequence[Estimate | FeaturePrior], kind: str = "ranges"
) -> list[str]:
    """Name the features, or targets, that answers speak of in different units."""
    sizes: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for answer in answers:
        spans = dict(getattr(answer, kind))
        if kind == "ranges":
            ends = {
                k: np.quantile(c.values, [0, 0.5, 1]) for k, c in answer.curves.items()
            }
            spans = ends | spans
        for name, (low, middle, high, *_) in spans.items():
            sizes[name].append((max(abs(low), abs(high)), abs(middle)))
    ends_of = {name: (min(found)[0], *max(found)) for name, found in sizes.items()}
    return [
        name
        for name, (least, most, middle) in ends_of.items()
        if 0 < least < middle and most >= UNIT_FACTOR * least
    ]


def warn_of_units(who: str, answers: Sequence[Estimate | FeaturePrior]) -> None:
    """Warn that answers are in different units."""
    every = (find_other_units(answers, kind) for kind in ("ranges", "target_ranges"))
    if names := [name for found in every for name in found]:
        warnings.warn(
            f"The {who} speak of {list_names(names)} in different units, so that no "
            "more than the direction of their curves is used. Tell the unit: of a "
            "column in feature_descriptions, of the target in the task.",
            PriorDisagreementWarning,
            stacklevel=3,
        )


def read_json(text: str) -> Any:
    """Parse the one object of a reply, among thoughts or in a code fence if need be."""
    text = text.removeprefix("\ufeff")
    try:
        try:
            return _DECODER.decode(text)
        except ValueError:
            answer = _THOUGHTS_END.split(text)[-1]
            start = answer.find("{")
            if start < 0:
                raise
            reply, end = _DECODER.raw_decode(answer, start)
            if "{" in answer[end:]:
                raise
            return reply
    except (ValueError, RecursionError) as e:
        raise ProviderResponseError(
            f"The reply of the model is not valid JSON ({e}). It starts with "
            f"{clean_text(text, 80)!r}."
        ) from e


# What follows the last of these is no thought, whatever braces stood before it.
_THOUGHTS_END = re.compile(
    r"</(?:\w+:)?(?:think|thinking|thought|reasoning|analysis|reflection)\s*>"
    r"|\[/THINK\]|\u25c1/think\u25b7|<\|end_of_thought\|>|<\|channel\|>final<\|message\|>",
    re.IGNORECASE,
)
# Not strict: a line break inside of a text is a fault that leaves no doubt.
_DECODER = json.JSONDecoder(object_pairs_hook=refuse_twins, strict=False)


def check_reply(reply: Any, schema: Mapping[str, Any], name: str = "the reply") -> None:
    """Refuse a reply that does not follow its schema, naming all faults."""
    if faults := _find_faults(name, reply, schema):
        raise ProviderResponseError(
            "The reply of the model cannot be used: " + "; ".join(faults) + "."
        )


def _find_faults(name: str, value: Any, schema: Mapping[str, Any]) -> list[str]:
    """List what of a value does not follow its schema."""
    if "properties" in schema:
        parts = schema["properties"]
        if isinstance(value, dict) and set(value) == set(parts):
            return [
                fault
                for key, part in parts.items()
                for fault in _find_faults(f"{key} of {name}", value[key], part)
            ]
        expected = f"an object with {', '.join(parts)} and no more"
    elif "items" in schema:
        # Of lists of numbers only that they are lists; null is no opinion.
        is_plain = "properties" not in schema["items"]
        if is_plain and (value is None or isinstance(value, list)):
            return []
        if isinstance(value, list):
            return [
                fault
                for place, item in enumerate(value, start=1)
                for fault in _find_faults(f"entry {place}", item, schema["items"])
            ]
        expected = "a list"
    elif schema.get("type") == "number":
        if value is None or (isinstance(value, Real) and not isinstance(value, bool)):
            return []
        expected = "a number"
    elif "enum" in schema:
        # For Python, true is 1; that 3.0 is 3 is as good for a score.
        if not isinstance(value, bool) and value in schema["enum"]:
            return []
        expected = f"one of {list_names(schema['enum'])}"
    elif isinstance(value, str):
        return []
    else:
        expected = "text"
    return [f"{name} must be {expected}, but is {clean_text(repr(value), 80)}"]


def by_feature(
    entries: Sequence[dict[str, Any]], task: Task, share: float = 1.0
) -> dict[str, Any]:
    """Give checked entries by key; refuse several for one, and too few in all."""
    keys = give_ids("f", task.keys)
    by_key = {keys[entry["id"]]: entry for entry in entries}
    if twice := repeated(keys[entry["id"]] for entry in entries):
        raise ProviderResponseError(
            f"The reply of the model has features more than once: {twice!r}."
        )
    missing = [key for key in task.keys if key not in by_key]
    if len(by_key) < share * len(task.keys):
        raise IncompleteReplyError(
            f"The reply of the model leaves out {len(missing)} of {len(task.keys)} "
            f"features: {missing!r}."
        )
    return by_key


def merge(parts: Sequence[Estimate], task: Task | None = None) -> Estimate:
    """Put the answers to several questions together; NaN for the rest of a task."""
    scores: dict[str, dict[str, float]] = {}
    reasons: dict[str, str] = {}
    found: dict[str, dict[str, Any]] = {name: {} for name in AVERAGES}
    for part in parts:
        reasons |= part.reasons
        for name, items in found.items():
            # Of what every part tells of the task, the first one's is as good.
            for key, item in getattr(part, name).items():
                items.setdefault(key, item)
        for output, row in part.scores.items():
            scores.setdefault(output, {}).update(row)
    if task is not None:
        unscored = dict.fromkeys(task.keys, math.nan)
        scores = {output: unscored | scores.get(output, {}) for output in task.outputs}
    return Estimate(
        scores,
        reasons,
        ", ".join(dict.fromkeys(part.model for part in parts)),
        max((part.created for part in parts), default=now()),
        _add_up(parts),
        **found,
    )


def _add_up(estimates: Sequence[Estimate]) -> Counter[str]:
    """Add up what estimates took when they were asked for."""
    return sum((Counter(estimate.usage) for estimate in estimates), Counter())


def _tokens(estimates: Sequence[Estimate]) -> dict[str, str]:
    """Say what estimates took, if that is known."""
    used = _add_up(estimates).items()
    told = ", ".join(f"{n:,} {name.replace('_', ' ')}" for name, n in used)
    return {"tokens": told} if told else {}


def to_array(estimates: Sequence[Estimate]) -> FloatArray:
    """Give the scores, in shape (n_estimates, n_outputs, n_features)."""
    rows = [[list(row.values()) for row in e.scores.values()] for e in estimates]
    return np.array(rows, dtype=np.float64)


def combine(
    task: Task,
    estimates: Sequence[Estimate],
    provenance: Mapping[str, str],
    usage: Mapping[str, int],
) -> FeaturePrior:
    """Average estimates into a prior; warn where their signs disagree."""
    prior = FeaturePrior.from_estimates(
        [estimate.scores for estimate in estimates],
        task=task.description,
        target=task.target,
        descriptions={
            f.key: "; ".join(filter(None, (f.description, f.level_description)))
            for f in task.features
            if f.description or f.level_description
        },
        provenance={
            **{name: text for name, text in provenance.items() if text},
            "model": ", ".join(dict.fromkeys(e.model for e in estimates if e.model)),
            "created": max(estimate.created for estimate in estimates),
            **_tokens(estimates),
        },
        usage=dict(usage),
        rationale=nearest_reasons(
            task.keys, to_array(estimates), [e.reasons for e in estimates]
        ),
    )
    found = average_by_name(estimates)
    if any(found.values()):
        units = {f.key: f.unit for f in task.features if f.unit and f.level is None}
        prior = replace(prior, units=units, **found)
    warn_of_units(f"{len(estimates)} estimates", estimates)
    if names := find_disagreements(prior):
        warn_of_disagreement(f"{len(estimates)} estimates", names)
    return prior


def warn_of_silence(prior: FeaturePrior, asked: Collection[str]) -> None:
    """Warn of features that the model was asked about and has no opinion of."""
    silent = np.flatnonzero(np.isnan(prior.scores).all(axis=0))
    names = [prior.features[j] for j in silent if prior.features[j] in asked]
    if names:
        warnings.warn(
            f"The model has no opinion of {len(names)} of {len(asked)} features: "
            f"{list_names(names)}. They are left to the rows; a better description "
            "may help the model.",
            PriorMismatchWarning,
            stacklevel=3,
        )


def now() -> str:
    """Give the time in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def nearest_reasons(
    keys: Sequence[str], scores: FloatArray, reasons: Sequence[Mapping[str, str]]
) -> dict[str, str]:
    """Take each reason from the estimate nearest to the average that gives one."""
    distance = np.nan_to_num(np.abs(scores - mean(scores)), nan=np.inf).sum(axis=1)
    pairs = zip(keys, distance.argsort(axis=0, kind="stable").T, strict=True)
    given = {key: [reasons[i].get(key) or "" for i in order] for key, order in pairs}
    return {key: next(filter(None, each)) for key, each in given.items() if any(each)}


# Estimates disagree on a sign if more than this share of them is on the smaller side,
# and the scores are large enough for the sign to matter.
DISAGREEMENT_SHARE, DISAGREEMENT_SIZE = 0.25, 2.0


def warn_of_disagreement(who: str, names: Sequence[str]) -> None:
    """Warn that estimates contradict each other."""
    warnings.warn(
        f"The {who} disagree on the sign of {tuple(names)!r}. Look at the prior; a "
        "better description of these features may settle it.",
        PriorDisagreementWarning,
        stacklevel=3,
    )


def find_disagreements(prior: FeaturePrior) -> tuple[str, ...]:
    """Name the features whose sign the estimates do not agree on."""
    if prior.estimates is None:
        return ()
    scores = prior.estimates
    fewer = np.minimum((scores > 0).sum(axis=0), (scores < 0).sum(axis=0))
    is_large = mean(np.abs(scores)) >= DISAGREEMENT_SIZE
    # Who says nothing agrees with nobody.
    mask = (fewer > DISAGREEMENT_SHARE * np.isfinite(scores).sum(axis=0)) & is_large
    return tuple(prior.features[j] for j in np.flatnonzero(mask.any(axis=0)))
