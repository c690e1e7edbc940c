"""Response curves, and what answers with and without them make of a prior."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from llmreg.exceptions import PriorMismatchError, PriorScoreError
from llmreg.prior._scores import (
    SCORE_LIMIT,
    FloatArray,
    TypicalRange,
    as_numbers,
    check_by_name,
    check_change,
    check_range,
    check_scores,
    check_spread,
    mean,
    spread,
    stack,
)

#: The most knots of a curve; an average that has more is simplified.
MAX_KNOTS = 8
# Probabilities at which a curve is looked at within its typical range.
_LEVELS = np.linspace(0.05, 0.95, 37)


@dataclass(frozen=True, eq=False)
class ResponseCurve:
    """The effect of a numeric feature: straight between its knots, flat beyond them.

    Effects are on one scale from -10 to 10 for the whole task: how much a value, all
    else equal, raises or lowers the log-odds of a class, or the target, compared with
    an average case. Only differences along a curve count, not its height.

    Parameters
    ----------
    values : array-like of shape (n_knots,)
        The knots, 2 to 8, increasing, in the units of the column.
    effects : array-like of shape (n_knots,) or (n_outputs, n_knots)
        The effect at every knot. NaN is no opinion: the curve is straight from the
        knot before to the one after, and flat where there is none.
    spread : array-like, shaped like `effects`, default=None
        Standard deviation of the effects over the estimates.
    special : mapping of float to array-like of shape (n_outputs,), default={}
        Effects of values that are codes, such as 0 for "not measured". They lie
        beside the curve, which says nothing about them.

    Raises
    ------
    PriorScoreError
        If knots or effects are no numbers, out of order or out of range.

    Examples
    --------
    >>> from llmreg import ResponseCurve
    >>> glucose = ResponseCurve([70, 100, 126, 200], [-6, -3, 3, 9])
    >>> glucose([50, 113, 126])
    array([[-6.,  0.,  3.]])
    """

    values: FloatArray
    effects: FloatArray
    spread: FloatArray | None = None
    special: Mapping[float, FloatArray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check everything once, here, and freeze the arrays."""
        values = as_numbers(self.values, "The knots of a curve")
        effects = np.atleast_2d(as_numbers(self.effects, "The effects of a curve"))
        if values.ndim != 1 or not 2 <= len(values) <= MAX_KNOTS:
            raise PriorScoreError(
                f"A curve has 2 to {MAX_KNOTS} knots in increasing order; got "
                f"{values.tolist()!r}. A flat one has two with the same effect."
            )
        if not (np.isfinite(values).all() and (np.diff(values) > 0).all()):
            raise PriorScoreError(
                "The knots of a curve must be finite and increasing, each value once; "
                f"got {values.tolist()!r}."
            )
        if effects.ndim != 2 or effects.shape[1] != len(values):
            raise PriorScoreError(
                f"A curve of {len(values)} knots needs as many effects; got an array "
                f"of shape {effects.shape}."
            )
        codes = as_numbers([*self.special], "The special values of a curve")
        if codes.shape != (len(self.special),) or not np.isfinite(codes).all():
            raise PriorScoreError(
                f"The special values of a curve must be finite; got {[*self.special]}."
            )
        special = {
            code: np.atleast_1d(as_numbers(found, "The effects of special values"))
            for code, found in zip(codes.tolist(), self.special.values(), strict=True)
        }
        for found in (effects, *special.values()):
            if (np.abs(found) > SCORE_LIMIT).any():
                raise PriorScoreError(
                    f"The effects of a curve must lie from {-SCORE_LIMIT} to "
                    f"{SCORE_LIMIT}; got {found.tolist()!r}."
                )
            if len(found) != len(effects):
                raise PriorScoreError(
                    f"A special value needs {len(effects)} effect(s), one per output; "
                    f"got {found.tolist()!r}."
                )
        spreads = self.spread
        if spreads is not None:
            spreads = np.atleast_2d(as_numbers(spreads, "The spread of a curve"))
            check_spread(spreads, "a curve", effects.shape)
        for array in (values, effects, *special.values()):
            array.flags.writeable = False
        # The way around a frozen dataclass.
        fields = {"values": values, "effects": effects, "spread": spreads}
        vars(self).update(fields, special=special)

    @classmethod
    def from_points(cls, points: Any) -> ResponseCurve:
        """Make a curve of one output from a list of (value, effect) pairs.

        The values increase; an effect of None is no opinion.

        Raises
        ------
        PriorScoreError
            If this is no such list.

        Examples
        --------
        >>> from llmreg import ResponseCurve
        >>> ResponseCurve.from_points([(18, -2), (65, 4)]).values
        array([18., 65.])
        """
        lists = Sequence | np.ndarray
        pairs = points if isinstance(points, lists) else ()
        is_paired = all(isinstance(pair, lists) and len(pair) == 2 for pair in pairs)
        if isinstance(points, str) or not is_paired:
            raise PriorScoreError(
                "A curve is a list of (value, effect) pairs of numbers; got "
                f"{points!r}."
            )
        values, effects = zip(*pairs, strict=True) if len(pairs) else ((), ())
        return cls(values, effects)  # type: ignore[arg-type]

    def __call__(self, X: ArrayLike) -> FloatArray:
        """Give the effects of some values.

        Parameters
        ----------
        X : array-like of shape (n_samples,)
            Values of the column, in its units. NaN has an effect of NaN.

        Returns
        -------
        ndarray of shape (n_outputs, n_samples)
            The effects; 0 for an output without any opinion.
        """
        x = np.asarray(X, dtype=np.float64)
        found = self._between_knots(x)
        for code, at_code in self.special.items():
            found[:, x == code] = np.nan_to_num(at_code)[:, None]
        return found

    def _between_knots(self, x: FloatArray) -> FloatArray:
        """Give the effects of values of which none is a code."""
        found = np.zeros((len(self.effects), *x.shape))
        for k, effects in enumerate(self.effects):
            is_known = ~np.isnan(effects)
            if is_known.any():
                found[k] = np.interp(x, self.values[is_known], effects[is_known])
        return found

    def score(self, typical: TypicalRange | None = None) -> FloatArray:
        """Sum the curve up as the score of a straight line.

        Parameters
        ----------
        typical : TypicalRange or None, default=None
            Where most values lie; all of the curve where it is None.

        Returns
        -------
        ndarray of shape (n_outputs,)
            Half of what the best straight line rises over the typical range, to two
            decimals; NaN for an output without any opinion.
        """
        if typical is not None and typical.low < typical.high:
            low, _, high = typical[:3]
            x = np.interp(_LEVELS, [0.05, 0.5, 0.95], typical[:3])
        else:
            low, high = self.values[[0, -1]]
            x = np.linspace(low, high, len(_LEVELS))
        gap = x - x.mean()
        # The line is that of the curve: codes have no place on it.
        slope = self._between_knots(x) @ gap / (gap @ gap)
        score = np.clip(slope * (high - low) / 2, -SCORE_LIMIT, SCORE_LIMIT).round(2)
        return np.where(np.isnan(self.effects).all(axis=1), np.nan, score + 0.0)

    def rescale(self, factor: float, offset: float = 0.0) -> ResponseCurve:
        """Give the same curve in another unit: ``factor * value + offset``.

        The factor is not 0; a negative one turns the curve round.

        Examples
        --------
        >>> from llmreg import ResponseCurve
        >>> ResponseCurve([36, 40], [-1, 5]).rescale(1.8, 32).values.round(1)
        array([ 96.8, 104. ])
        """
        factor, offset = check_change((factor, offset))
        order = slice(None, None, 1 if factor > 0 else -1)
        return ResponseCurve(
            (factor * self.values + offset)[order],
            self.effects[:, order],
            None if self.spread is None else self.spread[:, order],
            {factor * code + offset: found for code, found in self.special.items()},
        )

    def take(self, rows: Sequence[int], sign: float = 1.0) -> ResponseCurve:
        """Give the curve of the outputs in some rows, its effects times `sign`."""
        rows = list(rows)
        if sign == 1 and rows == [*range(len(self.effects))]:
            return self
        return ResponseCurve(
            self.values,
            self.effects[rows] * sign,
            None if self.spread is None else self.spread[rows],
            {code: found[rows] * sign for code, found in self.special.items()},
        )

    def __repr__(self) -> str:
        points = ", ".join(f"{value:g}" for value in self.values)
        return f"ResponseCurve(values=[{points}], n_outputs={len(self.effects)})"


def average_curves(curves: Sequence[ResponseCurve]) -> ResponseCurve:
    """Average curves at the knots of all, each of them where it has an opinion."""
    values = np.unique(np.concatenate([curve.values for curve in curves]))
    table = np.stack([_at(curve, values) for curve in curves])
    average = mean(table).round(3)
    kept = _strongest(values, average)
    codes = dict.fromkeys(code for curve in curves for code in curve.special)
    nothing = np.full(len(average), np.nan)
    special = {
        code: mean(np.stack([c.special.get(code, nothing) for c in curves])).round(3)
        for code in codes
    }
    own = [(c.values, c.spread) for c in curves if c.spread is not None]
    between = spread(table)
    if len(own) == len(curves):
        # Of averages of averages: what varies within and what between them.
        within = np.array([[np.interp(values, x, s) for s in rows] for x, rows in own])
        between = np.sqrt(between**2 + mean(within**2))
    return ResponseCurve(
        values[kept], average[:, kept], between[:, kept].round(3), special
    )


def line(
    score: FloatArray, typical: TypicalRange | None, span: FloatArray
) -> ResponseCurve:
    """Draw the scores of a feature as the curve whose score they are."""
    low, high = span if typical is None else (typical.low, typical.high)
    if not low < high:
        low, high = span
    return ResponseCurve(np.array([low, high]), np.stack([-score, score], axis=1))


def stack_outputs(
    curves: Sequence[ResponseCurve | None], codes: Sequence[Mapping[float, Any]] = ()
) -> ResponseCurve:
    """Put outputs together, with effects of codes; None is one without an opinion."""
    known = [curve for curve in curves if curve is not None]
    values = np.unique(np.concatenate([curve.values for curve in known]))
    nothing = np.full((1, len(values)), np.nan)
    effects = np.concatenate([nothing if c is None else _at(c, values) for c in curves])
    kept = _strongest(values, effects)
    names = dict.fromkeys(code for each in codes for code in each)
    special: Any = {code: [each.get(code) for each in codes] for code in names}
    return ResponseCurve(values[kept], effects[:, kept].round(3), special=special)


def _at(curve: ResponseCurve, values: FloatArray) -> FloatArray:
    """Give the effects at knots of other curves; NaN in parts without an opinion."""
    # A line that ends in NaN is NaN itself, but for its other end.
    table = np.array([np.interp(values, curve.values, row) for row in curve.effects])
    place = np.searchsorted(curve.values, values).clip(max=len(curve.values) - 1)
    is_knot = curve.values[place] == values
    table[:, is_knot] = curve.effects[:, place[is_knot]]
    return table


def _strongest(values: FloatArray, effects: FloatArray) -> list[int]:
    """Choose the knots that a curve can least do without, no more than it may have."""
    kept = list(range(len(values)))
    table = np.nan_to_num(effects)
    while len(kept) > MAX_KNOTS:
        x, y = values[kept], table[:, kept]
        share = (x[1:-1] - x[:-2]) / (x[2:] - x[:-2])
        bend = np.abs(y[:, :-2] + share * (y[:, 2:] - y[:, :-2]) - y[:, 1:-1])
        # The area that goes with a knot, on a scale on which the curve is 1 wide.
        area = bend.max(axis=0) * (x[2:] - x[:-2])
        del kept[1 + int(np.argmin(area))]
    return kept


def average(
    estimates: Sequence[Mapping[str, Any]], ranges: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Make fields of a FeaturePrior of dicts of scores or curves, given its ranges."""
    features, outputs, table = stack(estimates)
    given = check_by_name({} if ranges is None else ranges, "ranges")
    checked = {name: check_range(found, name) for name, found in given.items()}
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
        # An answer is a curve if it is some list, and no number.
        drawn = {
            place: read_curve(cell, feature)
            for place, cell in np.ndenumerate(cells)
            if isinstance(cell, Sequence | np.ndarray) and not isinstance(cell, str)
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


def read_curve(cell: Any, feature: str) -> ResponseCurve:
    """Make a curve of an answer, naming the feature where it is none."""
    try:
        return ResponseCurve.from_points(cell)
    except PriorScoreError as e:
        raise PriorScoreError(f"{feature!r}: {e}") from None


def read_special(points: Any, feature: str) -> dict[float, float]:
    """Read a list of values that are codes, each once, with their effects."""
    if not points:
        return {}
    what = f"The special values of {feature!r}"
    table = as_numbers(points, what)
    is_paired = table.ndim == 2 and table.shape[1] == 2
    codes = table[:, 0].tolist() if is_paired else [np.nan]
    if len(set(codes)) < len(codes) or not np.isfinite(codes).all():
        raise PriorScoreError(
            f"{what} must be a list of [value, effect], each once; got {points!r}."
        )
    return dict(zip(codes, table[:, 1].tolist(), strict=True))


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
