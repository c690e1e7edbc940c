"""Which score belongs to which column: by name, never by position."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from llmreg.exceptions import FeatureNamesError
from llmreg.task import Feature

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

    Parameters
    ----------
    keys : sequence of str
        The keys of the prior.
    features : sequence of Feature
        The columns of the table.
    aliases : bool, default=True
        Whether to look for prefixed and one-hot spelled names too.

    Returns
    -------
    Match
        The key of every column, and the keys without one.

    Raises
    ------
    FeatureNamesError
        If two columns fit one key, or two keys one column.

    Examples
    --------
    >>> from llmreg.matching import match
    >>> from llmreg.task import Feature
    >>> match(["age", "sex=female"], [Feature("cat__sex_female"), Feature("age")])
    Match(sources=('sex=female', 'age'), unknown=())
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
    """Drop the prefix that a ColumnTransformer puts before a column name.

    Parameters
    ----------
    name : str
        A column name.

    Returns
    -------
    str
        What follows the first double underscore, or the name itself.

    Examples
    --------
    >>> without_prefix("num__age"), without_prefix("age")
    ('age', 'age')
    """
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
