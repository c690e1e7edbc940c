"""From answers by name, scores and curves, to the fields of a prior."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llmreg.exceptions import PriorMismatchError, PriorScoreError
from llmreg.prior._curves import (
    ResponseCurve,
    average_curves,
    line,
    stack_outputs,
)
from llmreg.prior._ranges import TypicalRange, as_numbers, check_range
from llmreg.prior._scores import check_scores, mean, stack


def average(
    estimates: Sequence[Mapping[str, Any]], ranges: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Give the fields of a FeaturePrior that are made from dicts of scores or curves.

    `ranges` are the typical ranges of features, within which curves are summed up.
    """
    features, outputs, table = stack(estimates)
    checked = {name: check_range(found, name) for name, found in (ranges or {}).items()}
    scores, curves = split_curves(table, features, checked)
    each = check_scores(scores, features, outputs, ndim=3)
    return {
        "features": features,
        "scores": mean(each),
        "outputs": outputs,
        "estimates": each,
        "curves": curves,
        "ranges": checked,
    }


def split_curves(
    table: NDArray[np.object_],
    features: Sequence[str],
    ranges: Mapping[str, TypicalRange],
) -> tuple[NDArray[np.object_], dict[str, ResponseCurve]]:
    """Take curves out of a table of answers, their scores in their place.

    The table has shape (n_estimates, n_outputs, n_features). Where one answer has a
    score for a feature that another one has a curve for, it is the straight line.
    """
    scores, curves = table.copy(), {}
    for j, feature in enumerate(features):
        typical = ranges.get(feature)
        cells = table[:, :, j]
        drawn = {
            place: read_curve(cells[place], feature)
            for place in np.ndindex(cells.shape)
            if _is_drawn(cells[place])
        }
        if not drawn:
            continue
        span = np.concatenate([curve.values for curve in drawn.values()])
        ends = np.array([span.min(), span.max()])
        answers = []
        for i, row in enumerate(cells):
            each = [drawn.get((i, k)) for k in range(len(row))]
            for k, cell in enumerate(row):
                if each[k] is None and cell is not None and cell == cell:
                    each[k] = line(as_numbers([cell], "Scores"), typical, ends)
            if any(each):
                answers.append(stack_outputs(each))
                scores[i, :, j] = answers[-1].score(typical)
        curves[feature] = average_curves(answers)
    return scores, curves


def _is_drawn(cell: Any) -> bool:
    """Tell whether an answer is a curve: some list, and no number."""
    return isinstance(cell, Sequence | np.ndarray) and not isinstance(cell, str)


def read_curve(cell: Any, feature: str) -> ResponseCurve:
    """Make a curve of an answer, naming the feature where it is none."""
    try:
        return ResponseCurve.from_points(cell)
    except PriorScoreError as e:
        raise PriorScoreError(f"{feature!r}: {e}") from None


def sum_up(fields: Mapping[str, Any]) -> Any:
    """Give the scores of a prior, those of features with a curve from the curve."""
    curves, ranges = fields["curves"], fields["ranges"]
    if not curves:
        return fields["scores"]
    features, n_outputs = tuple(fields["features"]), len(fields["outputs"])
    if unknown := [name for name in curves if name not in features]:
        raise PriorMismatchError(
            f"There are curves for {unknown!r}, which are not among the features."
        )
    scores = np.array(fields["scores"], dtype=object)
    for name, curve in curves.items():
        if len(curve.effects) != n_outputs:
            raise PriorMismatchError(
                f"The curve of {name!r} has {len(curve.effects)} output(s); the prior "
                f"has {n_outputs}."
            )
        typical = check_range(ranges[name], repr(name)) if name in ranges else None
        scores[:, features.index(name)] = curve.score(typical)
    return scores
