"""Which score belongs to which column: by name, never by position."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from llmreg.exceptions import (
    FeatureNamesError,
    PriorMismatchError,
    PriorMismatchWarning,
)
from llmreg.prior._scores import DEFAULT_OUTPUT, FloatArray, check_names
from llmreg.prior._task import Feature, Task

if TYPE_CHECKING:
    from llmreg.prior._feature_prior import FeaturePrior


PREFIX_END = "__"
LEVEL_MARK = "="


@dataclass(frozen=True)
class Match:
    """The columns of a table beside the keys of a prior.

    Parameters
    ----------
    sources : tuple of (str or None)
        For each column, the key whose score it takes; None where there is none.
    unknown : tuple of str
        Keys of features that the table does not have. A level that the table
        lacks does not count while its feature is there: few rows rarely show
        every level.
    """

    sources: tuple[str | None, ...]
    unknown: tuple[str, ...]


def match(
    keys: Sequence[str], features: Sequence[Feature], aliases: bool = True
) -> Match:
    """Find the key of every column.

    A column takes the key of its own name. With `aliases`, a column that has none
    is also known by its name without the prefix of a ColumnTransformer
    (``num__age`` is ``age``) and, for keys of levels, by the spelling of a
    OneHotEncoder (``sex_female`` and ``cat__sex_female`` are ``sex=female``).
    The spellings are made from the keys, since a column name cannot be taken
    apart at its underscores.

    Raises FeatureNamesError if two columns fit one key, or two keys one column.
    """
    known = set(keys)
    spelled = _spellings(keys) if aliases else {}
    sources = tuple(
        feature.key
        if feature.key in known
        else _one_key(feature, _candidates(feature, known, spelled))
        if aliases
        else None
        for feature in features
    )
    _check_one_column_each(sources, features)
    return Match(sources, tuple(_unknown(keys, features, sources)))


def without_prefix(name: str) -> str:
    """Drop the prefix that a ColumnTransformer puts before a column name."""
    _, mark, rest = name.partition(PREFIX_END)
    return rest if mark and rest else name


def _spellings(keys: Iterable[str]) -> dict[str, list[str]]:
    """Map ``name_level`` to the keys ``name=level`` that are spelled so."""
    spelled: dict[str, list[str]] = {}
    for key in keys:
        for name, level in _splits(key):
            spelled.setdefault(f"{name}_{level}", []).append(key)
    return spelled


def _splits(key: str) -> Iterator[tuple[str, str]]:
    """Yield each way to read a key as name and level; either may hold the mark."""
    parts = key.split(LEVEL_MARK)
    for i in range(1, len(parts)):
        yield LEVEL_MARK.join(parts[:i]), LEVEL_MARK.join(parts[i:])


def _candidates(
    feature: Feature, known: set[str], spelled: dict[str, list[str]]
) -> list[str]:
    """List the keys that a column may stand for, other than its own name."""
    bare = Feature(without_prefix(feature.name), level=feature.level)
    found = [bare.key] if bare.key in known else []
    if feature.level is None:
        for name in (feature.name, bare.name):
            found += spelled.get(name, [])
    return list(dict.fromkeys(found))


def _one_key(feature: Feature, candidates: list[str]) -> str | None:
    """Give the only candidate, or None; refuse to choose between two."""
    if len(candidates) > 1:
        raise FeatureNamesError(
            f"The column {feature.key!r} fits several keys of the prior: "
            f"{candidates!r}. Give the prior a score for {feature.key!r} itself, or "
            "rename the column."
        )
    return candidates[0] if candidates else None


def _check_one_column_each(
    sources: Sequence[str | None], features: Sequence[Feature]
) -> None:
    """Refuse a key that would score two columns."""
    columns: dict[str, list[str]] = {}
    for source, feature in zip(sources, features, strict=True):
        if source is not None:
            columns.setdefault(source, []).append(feature.key)
    shared = {key: names for key, names in columns.items() if len(names) > 1}
    if shared:
        told = "; ".join(f"{key!r} fits {names!r}" for key, names in shared.items())
        raise FeatureNamesError(
            f"Several columns fit one key of the prior: {told}. Rename the columns, "
            "or give the prior a score for each of them under its full name."
        )


def _unknown(
    keys: Sequence[str], features: Sequence[Feature], sources: Sequence[str | None]
) -> Iterator[str]:
    """Yield the keys left over whose feature is not in the table either."""
    used = {source for source in sources if source is not None}
    names = {feature.name for feature in features}
    names |= {without_prefix(name) for name in names}
    # A one-hot column shows its feature through the key that it matched, or through
    # the start of its name: enough to excuse a level, not to give it a score.
    names |= {name for key in used for name, _ in _splits(key)}
    for key in keys:
        if key not in used and not any(
            name in names or any(other.startswith(f"{name}_") for other in names)
            for name, _ in _splits(key)
        ):
            yield key


_SAID = {"true": "1", "yes": "1", "false": "0", "no": "0"}


def align(
    prior: FeaturePrior,
    features: Sequence[Feature],
    outputs: Sequence[str],
    negative: str | None,
    aliases: bool,
) -> dict[str, Any]:
    """Work out what `FeaturePrior.align` changes; see there for the rules."""
    rows, sign = _rows(prior.outputs, tuple(outputs), negative)
    keys = check_names([feature.key for feature in features], "feature")
    found = match(prior.features, features, aliases)
    place = {key: column for column, key in enumerate(prior.features)}
    columns = [-1 if source is None else place[source] for source in found.sources]
    scores = _take(prior.scores, rows, columns) * sign
    sources = dict(zip(keys, found.sources, strict=True))
    changes: dict[str, Any] = {
        "features": keys,
        "outputs": tuple(outputs),
        "scores": scores,
        "rationale": _rename(prior.rationale, sources),
        "descriptions": _rename(prior.descriptions, sources),
        # Not those that are there without a score: somebody chose to have no opinion.
        "missing": tuple(key for key, source in sources.items() if source is None),
        "unknown": found.unknown,
    }
    if prior.estimates is not None:
        changes["estimates"] = _take(prior.estimates, rows, columns) * sign
    if sign < 0:
        note = f"the scores were given for the class {negative!r}"
        changes["provenance"] = {**prior.provenance, "negated": note}
    return changes


def warn_of_outputs(prior: FeaturePrior, task: Task) -> None:
    """Warn where what a prior says of two classes is ambiguous or not used."""
    if len(task.classes) != 2 or len(task.outputs) != 1:
        return
    (positive,) = task.outputs
    rows = [_find(name, prior.outputs) for name in task.classes]
    named = [row for row in rows if row is not None]
    if len(named) == 2:
        one, other = prior.scores[named]
        if not np.array_equal(one, -other, equal_nan=True):
            warnings.warn(
                f"The prior scores both classes, and not alike. Those for {positive!r} "
                "are taken, the others are not heard: of two classes the scores of one "
                "say it all.",
                PriorMismatchWarning,
                stacklevel=4,
            )
    unnamed = {DEFAULT_OUTPUT, prior.target, task.target}
    if len(prior.outputs) == 1 and not named and not unnamed & set(prior.outputs):
        warnings.warn(
            f"The prior speaks for {prior.outputs[0]!r}, which is neither of the "
            f"classes {list(task.classes)!r}: it is taken to speak for {positive!r}. "
            "If it speaks for the other one, every score has the wrong sign. Name the "
            "class as the labels do; where something in between has numbered them, as "
            "VotingClassifier does, name the number.",
            PriorMismatchWarning,
            stacklevel=4,
        )


def _rows(
    given: tuple[str, ...], wanted: tuple[str, ...], negative: str | None
) -> tuple[list[int], float]:
    """Find the row of each output, and the sign to take it with."""
    rows = [_find(output, given) for output in wanted]
    found = [row for row in rows if row is not None]
    if len(found) == len(wanted):
        return found, 1.0
    if len(wanted) == len(given) == 1:
        is_other = negative is not None and _find(negative, given) is not None
        return [0], -1.0 if is_other else 1.0
    raise PriorMismatchError(
        f"The model has the outputs {list(wanted)!r} and the prior scores "
        f"{list(given)!r}. Rename the outputs of the prior, or give one that scores "
        "each of them."
    )


def _find(name: str, names: tuple[str, ...]) -> int | None:
    """Find a name, or one that says the same: "0", "0.0", "False" and "no" do."""
    if name in names:
        return names.index(name)
    number = _number(name)
    if number is None:
        return None
    return next((i for i, other in enumerate(names) if _number(other) == number), None)


def _number(name: str) -> float | None:
    """Read a name as a number, if it is one; yes and no are 1 and 0."""
    try:
        number = float(_SAID.get(name.lower(), name))
    except ValueError:
        return None
    return None if np.isnan(number) else number


def _take(table: FloatArray, rows: list[int], columns: list[int]) -> FloatArray:
    """Pick rows and columns of the two last axes; NaN for the column -1."""
    nothing = np.full((*table.shape[:-1], 1), np.nan)
    return np.concatenate([table, nothing], axis=-1)[..., rows, :][..., columns]


def _rename(
    remarks: Mapping[str, str], sources: Mapping[str, str | None]
) -> dict[str, str]:
    """Carry remarks by feature over to the names of the table."""
    return {
        key: remarks[source]
        for key, source in sources.items()
        if source is not None and source in remarks
    }
