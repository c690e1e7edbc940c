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

    Parameters
    ----------
    X : DataFrame or ndarray of shape (n_samples, n_features)
        The table.
    feature_names : sequence of str of length n_features, or mapping, default=None
        Names to use instead of the table's: all of them, or new ones by old ones.

    Returns
    -------
    ColumnNames
        The names; "x0", "x1" and so on, not `given`, where there are none.

    Raises
    ------
    FeatureNamesError
        If `feature_names` has another length, or renames columns that are not there.

    Examples
    --------
    >>> import numpy as np
    >>> from llmreg.prior._describe import column_names
    >>> column_names(np.zeros((1, 2)))
    ColumnNames(names=('x0', 'x1'), given=False)
    >>> column_names(np.zeros((1, 2)), ["age", "bmi"])
    ColumnNames(names=('age', 'bmi'), given=True)
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

    Parameters
    ----------
    columns : sequence of Feature
        Where each encoded column came from.
    descriptions : mapping or None
        Texts by feature name, and for levels by ``name=level``. Names are matched
        as those of a prior are: behind the prefix of a ColumnTransformer too. For a
        column also a mapping with a "description", a "unit", or both.

    Returns
    -------
    tuple of Feature
        The columns, described.

    Raises
    ------
    FeatureNamesError
        If a described feature is not in the table, or two columns fit one name.
    TypeError
        If a description is neither a text nor such a mapping.

    Examples
    --------
    >>> from llmreg.prior._describe import describe
    >>> from llmreg import Feature
    >>> (age,) = describe([Feature("num__age")], {"age": "at admission"})
    >>> age.name, age.description
    ('age', 'at admission')
    >>> told = {"age": {"description": "at admission", "unit": "years"}}
    >>> describe([Feature("age")], told)[0].unit
    'years'
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
    """Tell columns of the same name apart, where positions decide and not names.

    Parameters
    ----------
    columns : sequence of Feature
        Columns, some of which may have the same key.

    Returns
    -------
    tuple of Feature
        The columns; of twins, the later ones with a number behind their name.

    Examples
    --------
    >>> from llmreg.prior._describe import number_twins
    >>> from llmreg import Feature
    >>> [column.name for column in number_twins([Feature("a"), Feature("a")])]
    ['a', 'a.1']
    """
    seen: Counter[str] = Counter()
    numbered = []
    for column in columns:
        n_before = seen[column.key]
        seen[column.key] += 1
        name = f"{column.name}.{n_before}" if n_before else column.name
        numbered.append(replace(column, name=name))
    return tuple(numbered)
