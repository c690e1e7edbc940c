"""Tables of scores: from dicts to checked arrays, and their statistics."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llmreg._utils._text import list_names
from llmreg.exceptions import (
    FeatureNamesError,
    PriorError,
    PriorMismatchError,
    PriorScoreError,
)

SCORE_LIMIT = 10
DEFAULT_OUTPUT = "target"

FloatArray = NDArray[np.float64]


def check_names(names: Sequence[object], what: str) -> tuple[str, ...]:
    """Check that names are strings, not empty, and each there once.

    Raises FeatureNamesError for features.

    Raises PriorMismatchError for outputs.
    """
    error = FeatureNamesError if what == "feature" else PriorMismatchError
    if isinstance(names, str):
        raise error(f"Expected a list of {what} names; got the text {names!r}.")
    if wrong := [name for name in names if not isinstance(name, str) or not name]:
        raise error(f"The {what} names of a prior must be text; got {wrong!r}.")
    counts = Counter(names)
    if twice := [name for name, count in counts.items() if count > 1]:
        raise error(f"A prior scores each {what} once; got {twice!r} more than once.")
    return tuple(str(name) for name in names)


def check_scores(
    values: object, features: tuple[str, ...], outputs: tuple[str, ...], ndim: int = 2
) -> FloatArray:
    """Turn scores into a read-only float64 array, or name those that are wrong.

    Shapes: values ([n_estimates,] n_outputs, n_features).

    Raises PriorMismatchError if the shape does not fit the names.

    Raises PriorScoreError if values are no numbers or are out of range: names all
    of them.
    """
    table = _as_table(values)
    expected = (len(outputs), len(features))
    if table.ndim != ndim or table.shape[-2:] != expected:
        axes = "(n_outputs, n_features)" if ndim == 2 else "(.., n_outputs, n_features)"
        raise PriorMismatchError(
            f"Scores of shape {axes} = {expected} were expected for outputs "
            f"{list_names(outputs)} and {len(features)} features; got shape "
            f"{table.shape}."
        )
    if wrong := _wrong(table):
        raise PriorScoreError(_describe(wrong, table, features, outputs))
    scores = np.array(table, dtype=np.float64)
    scores.flags.writeable = False
    return scores


def stack(
    estimates: Sequence[Mapping[str, Any]],
) -> tuple[tuple[str, ...], tuple[str, ...], NDArray[np.object_]]:
    """Lay dicts of scores over each other, by name.

    Raises PriorError if an estimate is no such mapping.
    """
    nested = [_by_output(estimate) for estimate in estimates]
    outputs = check_names(list({o: None for e in nested for o in e}), "output")
    names = {f: None for e in nested for row in e.values() for f in row}
    features = check_names(list(names), "feature")
    table = np.full((len(nested), len(outputs), len(features)), None, dtype=object)
    column = {feature: j for j, feature in enumerate(features)}
    for i, estimate in enumerate(nested):
        for k, output in enumerate(outputs):
            for feature, score in estimate.get(output, {}).items():
                table[i, k, column[feature]] = score
    return features, outputs, table


def mean(estimates: FloatArray) -> FloatArray:
    """Average over the first axis, leaving NaN out; NaN where nothing is left.

    Shapes: estimates (n_estimates, ...); returns (...).
    """
    known = ~np.isnan(estimates)
    total = np.where(known, estimates, 0.0).sum(axis=0)
    count = known.sum(axis=0)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def spread(estimates: FloatArray) -> FloatArray:
    """Give the standard deviation over the first axis, leaving NaN out.

    Shapes: estimates (n_estimates, ...); returns (...).
    """
    return np.sqrt(mean((estimates - mean(estimates)) ** 2))


def _as_table(values: object) -> NDArray[Any]:
    """Make an array of numbers where it is one already, of objects otherwise."""
    if isinstance(values, np.ndarray) and values.dtype.kind in "iuf":
        return values
    try:
        return np.array(values, dtype=object)
    except ValueError:
        raise PriorMismatchError("The rows of the scores differ in length.") from None


def _wrong(table: NDArray[Any]) -> list[tuple[int, ...]]:
    """List the places of the values that are no scores."""
    if table.dtype != object:
        return [tuple(place) for place in np.argwhere(np.abs(table) > SCORE_LIMIT)]
    return [place for place in np.ndindex(table.shape) if not _is_score(table[place])]


def _is_score(value: object) -> bool:
    """Tell whether a value is None, NaN or a number within the limit."""
    if value is None:
        return True
    if isinstance(value, bool | np.bool_) or not isinstance(value, Real):
        return False
    try:
        number = float(value)
    except OverflowError:
        return False
    return np.isnan(number) or abs(number) <= SCORE_LIMIT


def _describe(
    wrong: list[tuple[int, ...]],
    table: NDArray[Any],
    features: tuple[str, ...],
    outputs: tuple[str, ...],
) -> str:
    """Word the complaint about all wrong scores at once."""
    found: dict[str, None] = {}
    for index in wrong:
        output = f" for output {outputs[index[-2]]!r}" if len(outputs) > 1 else ""
        value = table[index]
        shown = value.item() if isinstance(value, np.generic) else value
        found[f"{features[index[-1]]!r} has {shown!r}{output}"] = None
    return (
        f"Scores must be numbers from {-SCORE_LIMIT} to {SCORE_LIMIT} (None or NaN: "
        f"no opinion), but {'; '.join(found)}."
    )


def _by_output(estimate: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
    """Give a flat dict of scores the name of its one output."""
    if not isinstance(estimate, Mapping):
        raise PriorError(
            "Scores must be a mapping from feature names to numbers; "
            f"got {type(estimate).__name__}."
        )
    kinds = {isinstance(value, Mapping) for value in estimate.values()}
    if len(kinds) > 1:
        flat = [name for name, v in estimate.items() if not isinstance(v, Mapping)]
        raise PriorError(
            "Scores must be {feature: score} or {output: {feature: score}} "
            f"throughout; {flat!r} mix the two."
        )
    return estimate if kinds == {True} else {DEFAULT_OUTPUT: estimate}
