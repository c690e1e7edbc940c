"""Names of columns: as given, as described, and matched to the keys of a prior."""

import warnings
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal, InvalidOperation
from difflib import get_close_matches
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from llmreg._utils._text import escape, list_names
from llmreg.exceptions import (
    FeatureNamesError,
    PriorMismatchError,
    PriorMismatchWarning,
)
from llmreg.prior._scores import DEFAULT_OUTPUT, FloatArray
from llmreg.prior._task import Feature, Task


def column_names(
    X: Any, feature_names: Sequence[str] | Mapping[str, str] | None = None
) -> tuple[tuple[str, ...], bool]:
    """Give the names of the columns of a table, and whether the user gave them."""
    if isinstance(X, pd.DataFrame):
        names = tuple(map(str, X.columns))
        given = all(isinstance(name, str) for name in X.columns)
    else:
        names, given = tuple(f"x{i}" for i in range(X.shape[1])), False
    if feature_names is None:
        return names, given
    if isinstance(feature_names, pd.Series) and {*feature_names.index} == {*names}:
        feature_names = feature_names.to_dict()  # Its order says nothing.
    if isinstance(feature_names, Mapping):
        if unexpected := [name for name in feature_names if name not in names]:
            raise FeatureNamesError(
                f"feature_names renames columns that X does not have: {unexpected}. "
                f"The columns are {list(names)}."
            )
        return tuple(str(feature_names.get(n, n)) for n in names), given
    if len(feature_names) != len(names):
        raise FeatureNamesError(
            f"feature_names has {len(feature_names)} names, but X has {len(names)} "
            "columns."
        )
    return tuple(map(str, feature_names)), True


def describe(
    columns: Sequence[Feature],
    descriptions: Mapping[str, str | Mapping[str, str]] | None,
) -> tuple[Feature, ...]:
    """Attach descriptions, by column name or ``name=level``, to encoded columns."""
    if not descriptions:
        return tuple(columns)
    keys = list(descriptions)
    names = list(dict.fromkeys(column.name for column in columns))
    levels = [column for column in columns if column.level is not None]
    name_match = match(keys, [Feature(name) for name in names])
    level_match = match(keys, levels)
    # A described level that no row shows is no mistake while its feature is there.
    unknown = set(name_match.unknown) & set(level_match.unknown)
    unknown -= {*name_match.sources, *level_match.sources}
    if unknown:
        raise FeatureNamesError(
            f"feature_descriptions contains {len(unknown)} unexpected feature names: "
            f"{sorted(unknown)}. The columns are {names}."
        )
    by_name = dict(zip(names, name_match.sources, strict=True))
    by_level = dict(zip(levels, level_match.sources, strict=True))
    texts: dict[Any, tuple[str, str]] = {
        key: _description(key, value) for key, value in descriptions.items()
    }
    described = []
    for column in columns:
        name, level = by_name[column.name], column.level
        text, unit = texts.get(name, ("", ""))
        of_level, _ = texts.get(by_level.get(column), ("", ""))
        given = name or column.name, text, level, of_level, unit, column.order
        described.append(Feature(*given))
    return tuple(described)


def _description(name: str, value: object) -> tuple[str, str]:
    """Read a text, or a mapping, as a description and a unit."""
    given = value if isinstance(value, Mapping) else {"description": value}
    is_text = all(isinstance(text, str) for text in given.values())
    if set(given) <= {"description", "unit"} and is_text:
        return str(given.get("description", "")), str(given.get("unit", ""))
    raise TypeError(
        "A description must be a text, or a mapping of "
        f'"description" and "unit" to texts; got {value!r} for {name!r}.'
    )


def number_twins(columns: Sequence[Feature]) -> tuple[Feature, ...]:
    """Tell columns of the same name apart, where positions decide and not names."""
    n_seen: Counter[str] = Counter()
    numbered = []
    for column in columns:
        count = n_seen[column.key]
        n_seen[column.key] += 1
        name = f"{column.name}.{count}" if count else column.name
        numbered.append(replace(column, name=name))
    return tuple(numbered)


class Match(NamedTuple):
    """The columns of a table beside the keys of a prior."""

    # For each column the key whose score it takes; None where there is none.
    sources: tuple[str | None, ...]
    # Keys of features that the table does not have. A level that the table lacks does
    # not count while its feature is there: few rows rarely show every level.
    unknown: tuple[str, ...]


def match(
    keys: Sequence[str], features: Sequence[Feature], aliases: bool = True
) -> Match:
    """Find the key of every column.

    A column takes the key of its own name. With `aliases`, one that has none is also
    known by its name without the prefix of a ColumnTransformer (``num__age`` is
    ``age``) and by a OneHotEncoder's spelling of a level (``sex_female`` and
    ``cat__sex_female`` are ``sex=female``).
    """
    known = set(keys)
    sources = tuple(f.key if f.key in known else None for f in features)
    if aliases:
        # ``name_level`` cannot be taken apart, so that every key is put together.
        spelled = defaultdict(list)
        for key in keys:
            for name, level in _splits(key):
                spelled[f"{name}_{level}"].append(key)
        sources = tuple(_source(feature, known, spelled) for feature in features)
    columns = defaultdict(list)
    for source, feature in zip(sources, features, strict=True):
        if source is not None:
            columns[source].append(feature.key)
    shared = [f"{k!r} fits {c!r}" for k, c in columns.items() if len(c) > 1]
    if shared:
        raise FeatureNamesError(
            f"Several columns fit one key of the prior: {'; '.join(shared)}. Rename "
            "the columns, or give the prior a score for each of them under its full "
            "name."
        )
    left = [key for key in keys if key not in columns]
    return Match(sources, tuple(_unknown(left, features, columns)))


def without_prefix(name: str) -> str:
    """Drop the prefix that a ColumnTransformer puts before a column name."""
    _, mark, rest = name.partition("__")
    return rest if mark and rest else name


def _splits(key: str) -> Iterator[tuple[str, str]]:
    """Yield each way to read a key as name and level; either may hold the mark."""
    parts = key.split("=")
    for i in range(1, len(parts)):
        yield "=".join(parts[:i]), "=".join(parts[i:])


def _source(
    feature: Feature, known: set[str], spelled: Mapping[str, list[str]]
) -> str | None:
    """Find the one key that a column stands for, its own name first."""
    if feature.key in known:
        return feature.key
    bare = Feature(without_prefix(feature.name), level=feature.level)
    found = [bare.key] if bare.key in known else []
    if feature.level is None:
        found += spelled.get(feature.name, []) + spelled.get(bare.name, [])
    found = list(dict.fromkeys(found))
    if len(found) > 1:
        raise FeatureNamesError(
            f"The column {feature.key!r} fits several keys of the prior: {found!r}. "
            f"Give the prior a score for {feature.key!r} itself, or rename the column."
        )
    return found[0] if found else None


def _unknown(
    left: Iterable[str], features: Sequence[Feature], used: Iterable[str]
) -> Iterator[str]:
    """Yield the keys left over whose feature is not in the table either."""
    names = {feature.name for feature in features}
    names |= {without_prefix(name) for name in names}
    # A one-hot column shows its feature through the key that it matched, or through
    # the start of its name: enough to excuse a level, not to give it a score.
    names |= {name for key in used for name, _ in _splits(key)}
    for key in left:
        starts = [name for name, _ in _splits(key)]
        stems = tuple(f"{name}_" for name in starts)
        if names.isdisjoint(starts) and not any(n.startswith(stems) for n in names):
            yield key


def unheard(
    keys: Iterable[str], features: Sequence[Feature], unseen: Collection[str] = ()
) -> list[str]:
    """Say what scores find no column and no level of the rows, and what is nearest.

    `unseen` are the levels that only the prior has. A score of one is kept for rows to
    come, and nothing to tell of where the other levels all have theirs.
    """
    sources = match(tuple(keys), features).sources
    table = {f: s is not None for f, s in zip(features, sources, strict=True)}
    shown = {f: heard for f, heard in table.items() if f.key not in unseen}
    found = {s for f, s in zip(features, sources, strict=True) if f in shown}
    left = [key for key in keys if key not in found]
    return [text for key in left if (text := _nearest(key, shown))]


def _nearest(key: str, table: Mapping[Feature, bool]) -> str:
    """Name what is near a key; nothing where a level is just not among the rows."""
    if levels := _levels_of(key, table):
        some = (f"'{escape(f'{key}={level}')}': ..." for level in [*levels][:2])
        told = ", ".join(some)
        return f"{escape(key)} is a category: score its levels, as in {{{told}}}"
    for name, level in _splits(key):
        if levels := _levels_of(name, table):
            is_known = level.casefold() in map(str.casefold, levels)
            if all(levels.values()) and not is_known:
                return ""
            near = get_close_matches(level, levels) if len(levels) > 10 else []
            told = list_names(dict.fromkeys([*near, *levels]), 10, escape)
            return f"{escape(key)}: the levels are {told}"
        if any(name in (f.name, without_prefix(f.name)) for f in table):
            return (
                f"{escape(key)}: {name!r} is a column of numbers: score it as such, or "
                f"set feature_kinds={{{name!r}: 'categorical'}}"
            )
    names = dict.fromkeys(name for f in table for name in (f.key, f.name))
    near = get_close_matches(key.casefold(), set(map(str.casefold, names)))
    told = list_names([n for found in near for n in names if n.casefold() == found])
    return f"{escape(key)}: the nearest names are {told}" if near else ""


def _levels_of(name: str, table: Mapping[Feature, bool]) -> dict[str, bool]:
    """Give the levels of a column, or of its one-hot columns, and which are scored."""
    named, spelled = {}, {}
    for feature, heard in table.items():
        bare = without_prefix(feature.name)
        if feature.level is not None and name in (feature.name, bare):
            named[feature.level] = heard
        elif feature.level is None and bare.startswith(f"{name}_"):
            spelled[bare.removeprefix(f"{name}_")] = heard
    return named or (spelled if len(spelled) > 1 else {})


def take(table: FloatArray, rows: list[int], columns: list[int]) -> FloatArray:
    """Pick rows and columns of the two last axes; NaN for the column -1."""
    nothing = np.full((*table.shape[:-1], 1), np.nan)
    return np.concatenate([table, nothing], axis=-1)[..., rows, :][..., columns]


def rename(
    remarks: Mapping[Any, Any], sources: Mapping[str, str | None]
) -> dict[str, Any]:
    """Carry remarks by feature over to the names of the table."""
    return {key: remarks[s] for key, s in sources.items() if s in remarks}


def match_outputs(
    scored: tuple[str, ...], wanted: tuple[str, ...], negative: str | None
) -> tuple[list[int], float]:
    """Find the row of each wanted output, and its sign: -1 for the class `negative`."""
    rows = [_find(output, scored) for output in wanted]
    found = [row for row in rows if row is not None]
    if len(found) == len(wanted):
        return found, 1.0
    if len(wanted) == len(scored) == 1:
        is_other = negative is not None and _find(negative, scored) is not None
        return [0], -1.0 if is_other else 1.0
    raise PriorMismatchError(
        f"The model has the outputs {list(wanted)!r} and the prior scores "
        f"{list(scored)!r}. Rename the outputs of the prior, or give one that scores "
        "each of them."
    )


def name_by_number(
    scored: tuple[str, ...], task: Task, *, is_open: bool, names_last: bool
) -> tuple[str, ...]:
    """Name outputs as the labels are, where these are whole numbers from 0.

    `is_open` says that they may be numbers that a meta-estimator gives to sorted
    classes. With `names_last` a single name of two is that of the last class.
    """
    n_classes = len(task.classes)
    labels, codes = [*map(float, task.classes)], [*map(float, range(n_classes))]
    numbers = [_number(name) for name in scored]
    found = sorted(number for number in numbers if number is not None)
    if labels != codes:
        # Some of the classes: those of a fold, perhaps.
        is_known = not is_open or found == labels or max(labels) >= len(scored)
        is_known |= found == [*map(float, range(len(scored)))]
    elif n_classes == len(scored) == len(set(found)):
        # All of them are named: their order tells which is which.
        return tuple(
            str(found.index(number)) for number in numbers if number is not None
        )
    elif n_classes == 2 and len(scored) == 1:
        is_number = found in ([0.0], [1.0])
        is_known = (is_number and not is_open) or (names_last and found != [0.0])
    else:
        is_known = found[:n_classes] == codes and not (is_open and n_classes == 2)
    if is_known:
        return scored
    ways = "scores for every class by its number, in the sorted order of the labels: "
    ways += f"{{{', '.join(f'{code}: {{...}}' for code in range(n_classes))}}}"
    last = ", or scores without a class, {feature: score}, for the last in that order"
    ways += last * (n_classes == 2)
    raise PriorMismatchError(
        f"The prior names the classes {list(scored)!r}, but the labels are the numbers "
        f"{list(task.classes)!r}, which a meta-estimator such as VotingClassifier, or "
        "cross_val_predict, may have given to the classes: it cannot be known which is "
        f"which. Give {ways}."
    )


def warn_of_outputs(
    scored: tuple[str, ...], scores: FloatArray, target: str, task: Task
) -> None:
    """Warn where a prior's scores of two classes are ambiguous or not used."""
    if len(task.classes) != 2 or len(task.outputs) != 1:
        return
    (positive,) = task.outputs
    rows = [_find(name, scored) for name in task.classes]
    named = [row for row in rows if row is not None]
    unnamed = {DEFAULT_OUTPUT, target, task.target}
    if len(named) == 2 and not np.array_equal(
        scores[named[0]], -scores[named[1]], equal_nan=True
    ):
        message = (
            f"The prior scores both classes, and not alike. Those for {positive!r} "
            "are used and the others are not: leave them out."
        )
    elif len(scored) == 1 and not named and scored[0] not in unnamed:
        message = (
            f"The prior scores {scored[0]!r}, which is neither of the classes "
            f"{list(task.classes)!r}; its scores are used for {positive!r}. If they "
            "are meant for the other class, every score has the wrong sign. Name the "
            "class as the labels do."
        )
    else:
        return
    warnings.warn(message, PriorMismatchWarning, stacklevel=4)


def _find(name: str, names: tuple[str, ...]) -> int | None:
    """Find a name, or one of the same meaning: "0", "0.0", "False" and "no" have it."""
    if name in names:
        return names.index(name)
    number = _number(name)
    if number is None:
        return None
    return next((i for i, other in enumerate(names) if _number(other) == number), None)


_TRUTH = {"true": "1", "yes": "1", "false": "0", "no": "0"}


def _number(name: str) -> Decimal | None:
    """Read a name as a number, if it is one; yes and no are 1 and 0."""
    try:
        # To every digit: labels may be identifiers.
        number = Decimal(_TRUTH.get(name.lower(), name))
    except InvalidOperation:
        return None
    return None if number.is_nan() else number
