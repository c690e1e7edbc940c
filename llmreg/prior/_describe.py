"""The columns of a table in words: their names and what they mean."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import pandas as pd

from llmreg.exceptions import FeatureNamesError
from llmreg.prior._names import match
from llmreg.prior._task import Feature


class ColumnNames(NamedTuple):
    """Names of the columns of a table, and whether anybody gave them."""

    names: tuple[str, ...]
    given: bool


def column_names(
    X: Any, feature_names: Sequence[str] | Mapping[str, str] | None = None
) -> ColumnNames:
    """Name the columns of a table.

    Shapes: X (n_samples, n_features).

    Raises FeatureNamesError if `feature_names` has another length, or renames
    columns that are not there.
    """
    if isinstance(X, pd.DataFrame):
        names = tuple(str(name) for name in X.columns)
        given = all(isinstance(name, str) for name in X.columns)
    else:
        names, given = tuple(f"x{i}" for i in range(X.shape[1])), False
    if feature_names is None:
        return ColumnNames(names, given)
    if isinstance(feature_names, Mapping):
        unexpected = [name for name in feature_names if name not in names]
        if unexpected:
            raise FeatureNamesError(
                f"feature_names renames columns that X does not have: {unexpected}. "
                f"The columns are {list(names)}."
            )
        names = tuple(str(feature_names.get(name, name)) for name in names)
        return ColumnNames(names, given)
    if len(feature_names) != len(names):
        raise FeatureNamesError(
            f"feature_names has {len(feature_names)} names, but X has {len(names)} "
            "columns."
        )
    return ColumnNames(tuple(str(name) for name in feature_names), True)


def describe(
    columns: Sequence[Feature],
    descriptions: Mapping[str, str | Mapping[str, str]] | None,
) -> tuple[Feature, ...]:
    """Attach descriptions to the columns of an encoded table.

    Raises FeatureNamesError if a described feature is not in the table, or two
    columns fit one name.

    Raises TypeError if a description is neither a text nor such a mapping.
    """
    if not descriptions:
        return tuple(columns)
    keys = list(descriptions)
    names = list(dict.fromkeys(column.name for column in columns))
    levels = [column for column in columns if column.level is not None]
    name_match = match(keys, [Feature(name) for name in names])
    level_match = match(keys, levels)
    used = {*name_match.sources, *level_match.sources}
    # A described level that no row shows is no mistake while its feature is there.
    unknown = set(name_match.unknown) & set(level_match.unknown) - used
    if unknown:
        raise FeatureNamesError(
            f"feature_descriptions contains {len(unknown)} unexpected feature names: "
            f"{sorted(unknown)}. The columns are {names}."
        )
    by_name = dict(zip(names, name_match.sources, strict=True))
    by_level = dict(zip(levels, level_match.sources, strict=True))
    told = {name: _told(name, value) for name, value in descriptions.items()}
    nothing = {"description": "", "unit": ""}
    return tuple(
        Feature(
            name=by_name[column.name] or column.name,
            level=column.level,
            level_description=told.get(by_level.get(column) or "", nothing)[
                "description"
            ],
            **told.get(by_name[column.name] or "", nothing),
        )
        for column in columns
    )


def _told(name: str, value: object) -> dict[str, str]:
    """Read what is said about a feature: a text, or a description with a unit."""
    given = value if isinstance(value, Mapping) else {"description": value}
    if set(given) <= {"description", "unit"} and all(
        isinstance(text, str) for text in given.values()
    ):
        return {part: str(given.get(part, "")) for part in ("description", "unit")}
    raise TypeError(
        'A description must be a text, or a mapping of "description" and "unit" to '
        f"texts; feature_descriptions has {value!r} for {name!r}."
    )


def number_twins(columns: Sequence[Feature]) -> tuple[Feature, ...]:
    """Tell columns of the same name apart, where positions decide and not names."""
    seen: Counter[str] = Counter()
    numbered = []
    for column in columns:
        n_before = seen[column.key]
        seen[column.key] += 1
        name = f"{column.name}.{n_before}" if n_before else column.name
        numbered.append(replace(column, name=name))
    return tuple(numbered)
