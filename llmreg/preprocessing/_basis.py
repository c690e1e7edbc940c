"""Where the shapes of an additive model bend: the knots of a prior's curves, encoded.

A shape is what its steps sum up to: the step of a segment is taken in full by rows
beyond it, and in part by rows within. It is straight between knots and flat beyond.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.sparse import csr_array, hstack, issparse

from llmreg.exceptions import EncodingError
from llmreg.preprocessing._encoder import TableEncoder
from llmreg.preprocessing._sparse import SparseRows, to_dense
from llmreg.prior._feature_prior import FeaturePrior

#: Rows from which on shapes may bend between the knots of a curve too.
MANY_ROWS = 500
# Into how many parts of equal weight rows are cut then, and by how many rows.
_N_PARTS, _MOST_QUANTILE_ROWS = 4, 4_000
# A segment shorter than this, in typical ranges, is none.
_SHORTEST = 0.02
_EFFECT = 10.0
#: How far from a code encoded values are still that code: in double precision, and in
#: single. Of a column up to 1e9 the latter would take all up to 1,000 for a code of 0.
CODE_WIDTH, _SINGLE_WIDTH = 1e-9, 1e-6


@dataclass(frozen=True, eq=False)
class CurveBasis:
    """The segments of all curves, one after the other, in units of encoded columns.

    `curve_of` is the place among the curves that each segment belongs to, of shape
    (n_segments,); `columns` the encoded column of each curve. Steps are those of the
    prior, in tenths of the scale of effects, of shape (n_outputs, n_segments), and
    `effects`, (n_outputs, n_columns), those of columns without a curve. `widths` are in
    typical ranges. A code lies beside the curve: in `codes` are its place among the
    curves and its encoded value, in `code_steps`, (n_outputs, n_codes), its effect.
    """

    columns: np.ndarray
    curve_of: np.ndarray
    low: np.ndarray
    high: np.ndarray
    widths: np.ndarray
    steps: np.ndarray
    effects: np.ndarray
    # The height of each curve where its first segment begins, (n_outputs, n_curves).
    starts: np.ndarray
    # The feature that every column belongs to, numbered in order.
    feature_of: np.ndarray
    features: tuple[str, ...]
    codes: tuple[tuple[int, float], ...]
    code_steps: np.ndarray
    # How far an average case, beside which effects are told, may be from a target of
    # 0: a standard deviation, or None where nothing is known.
    bias_sd: float | None = None
    # The log-odds of two classes that are said to be those of the population.
    log_odds: float | None = None

    def design(self, X: Any, dtype: Any = np.float64) -> Any:
        """Return rows as segments, codes and other columns, in this order."""
        if issparse(X):
            own = replace(self, columns=np.arange(len(self.columns)))
            bent = own.design(to_dense(X[:, self.columns]), dtype)
            plain = np.setdiff1d(np.arange(X.shape[1]), self.columns)
            return SparseRows(hstack([csr_array(bent), X[:, plain].astype(dtype)]))
        plain = np.setdiff1d(np.arange(X.shape[1]), self.columns)
        ends = np.cumsum([len(self.low), len(self.codes), len(plain)])
        # A row of memory for each column, which is several times as fast.
        table = np.empty((ends[-1], len(X)), dtype)
        through, at_codes, rest = np.split(table, ends[:-1])
        self._fill(through, X)
        for row, (curve, code) in zip(at_codes, self.codes, strict=True):
            row[:] = is_code(X[:, self.columns[curve]], code)
            through[np.ix_(self.curve_of == curve, row > 0)] = 0.0
        rest[:] = X[:, plain].T
        return table.T

    def _fill(self, through: np.ndarray, X: np.ndarray) -> None:
        """Tell how far each row is through each segment, (n_segments, n_samples)."""
        for curve, column in enumerate(self.columns):
            own = slice(*np.searchsorted(self.curve_of, [curve, curve + 1]))
            low, length = self.low[own, None], (self.high - self.low)[own, None]
            part = through[own]
            # In one piece, and in the numbers of the table: the steps go over it often.
            values = X[:, column].astype(part.dtype)
            np.subtract(values, low.astype(part.dtype), out=part)
            part /= length
            np.clip(part, 0, 1, out=part)

    def mean_slopes(
        self, X: Any, row_weight: np.ndarray, steps: np.ndarray
    ) -> np.ndarray:
        """Return mean slopes of such steps over the rows, (n_outputs, n_curves)."""
        found = np.zeros((len(steps), len(self.columns)))
        columns = self.columns
        if issparse(X):
            X, columns = to_dense(X[:, columns]), np.arange(len(columns))
        for curve, column in enumerate(columns):
            own = slice(*np.searchsorted(self.curve_of, [curve, curve + 1]))
            bends = np.append(self.low[own], self.high[own][-1])
            values, weight = np.ascontiguousarray(X[:, column]), row_weight
            for at, code in self.codes:
                weight = weight * ~is_code(values, code) if at == curve else weight
            # Several times as fast as a search for the place of every value.
            beyond = [weight @ (values >= bend) for bend in bends[:-1]]
            inside = -np.diff([*beyond, weight @ (values > bends[-1])])
            slopes = steps[:, own] / (self.high - self.low)[own]
            found[:, curve] = slopes @ inside / row_weight.sum()
        return found


def is_code(values: Any, code: Any) -> Any:
    """Tell which encoded values are a code, but for rounding."""
    is_double = values.dtype.itemsize == 8
    return abs(values - code) <= (CODE_WIDTH if is_double else _SINGLE_WIDTH)


def scale_to_curves(encoder: TableEncoder, prior: FeaturePrior) -> None:
    """Scale columns with a curve by all of the curve, and by the training rows.

    Few rows show too narrow a range. Scalers of the user's own stay as they are.
    """
    ranges = encoder._ranges
    if ranges is None:
        return
    low, scale = ranges.low.copy(), ranges.scale.copy()
    for i, key in enumerate(numeric_keys(encoder, prior)):
        if (curve := prior.curves.get(key)) is None:
            continue
        values = [*curve.values, *curve.special, *prior.ranges.get(key, ())[:3], low[i]]
        if scale[i] > 0:
            values.append(low[i] + 1 / scale[i])
        low[i] = min(values)
        scale[i] = 1 / (max(values) - low[i])
    encoder._ranges = replace(ranges, low=low, scale=scale)
    encoder._scaler = None


def make_basis(
    encoder: TableEncoder, prior: FeaturePrior | None, X: Any, task: str
) -> CurveBasis | None:
    """Find the segments of an aligned prior's curves; None where there are none."""
    if prior is None:
        return None
    parts: list[tuple[Any, ...]] = []
    codes, code_steps, starts = [], [], []
    effects = np.nan_to_num(prior.scores) / _EFFECT
    feature_of: list[int] = []
    features: list[str] = []
    X = X.tocsc() if issparse(X) else X
    numeric = {key: i for i, key in enumerate(numeric_keys(encoder, prior))}
    for j, (column, key) in enumerate(
        zip(encoder.columns_, prior.features, strict=True)
    ):
        if column.level is None or not features or features[-1] != column.name:
            features.append(column.name)
        feature_of.append(len(features) - 1)
        if column.level is not None:
            continue
        curve = prior.curves.get(key)
        place = numeric[key]
        typical = prior.ranges.get(key)
        whole = () if curve is None else curve.values[[0, -1]]
        span = np.array(typical[:3:2] if typical else whole, dtype=np.float64)
        rows = to_dense(X[:, [j]] if issparse(X) else X[:, j]).ravel()
        rows = rows.astype(np.float64, copy=False)
        ends = np.array([rows.min(), rows.max()])
        said = _encode(encoder, place, span) if len(span) else ends
        width = said[-1] - said[0]
        if curve is None:
            # A score is the straight line over the typical range, or that of the rows.
            effects[:, j] *= 2 / width if width > 0 else 0.0
            continue
        effects[:, j] = 0.0
        knots = _encode(encoder, place, curve.values)
        if (np.diff(knots) < 0).any():
            raise EncodingError(
                f"The curve of {key!r} cannot be used with scaler={encoder.scaler!r}, "
                "which does not keep the order of values. Take another scaler, or a "
                "prior of scores."
            )
        if not width > 0:
            width = knots[-1] - knots[0]
        if not width > 0:
            # The scaler leaves nothing of a column that is constant in training.
            continue
        bends = _all_knots(knots, ends, rows, width)
        line = curve._between_knots(curve.values)
        shape = np.array([np.interp(bends, knots, row) for row in line]) / _EFFECT
        starts.append(shape[:, 0])
        for code, found in curve.special.items():
            at = _encode(encoder, place, np.array([code]))
            codes.append((len(parts), float(at[0])))
            code_steps.append(np.nan_to_num(found) / _EFFECT - shape[:, 0])
        lengths = np.diff(bends) / width
        parts.append((j, bends[:-1], bends[1:], lengths, np.diff(shape, axis=1)))
    if not parts:
        return None
    columns, low, high, widths, steps = zip(*parts, strict=True)
    return CurveBasis(
        columns=np.array(columns),
        curve_of=np.repeat(np.arange(len(parts)), [len(part) for part in low]),
        low=np.concatenate(low),
        high=np.concatenate(high),
        widths=np.concatenate(widths),
        steps=np.concatenate(steps, axis=1),
        effects=effects,
        starts=np.array(starts).T,
        feature_of=np.array(feature_of),
        features=tuple(features),
        codes=tuple(codes),
        code_steps=np.array(code_steps).reshape(len(codes), len(prior.outputs)).T,
        bias_sd=_bias_sd(prior, task),
    )


def _bias_sd(prior: FeaturePrior, task: str) -> float | None:
    """Tell how well the intercept is known before a row is seen."""
    if task == "multiclass":
        return 1.0
    if task == "regression" and {*prior.outputs} <= {*prior.target_ranges}:
        return 0.5
    return None


def numeric_keys(encoder: TableEncoder, prior: FeaturePrior) -> list[str]:
    """List the keys of the numeric columns, as the prior spells them."""
    pairs = zip(encoder.columns_, prior.features, strict=True)
    return [key for column, key in pairs if column.level is None]


def _encode(encoder: TableEncoder, place: int, values: np.ndarray) -> np.ndarray:
    """Encode values of one numeric column, as the encoder does those of rows."""
    if (ranges := encoder._ranges) is not None:
        low, scale = ranges.low[place, None], ranges.scale[place, None]
        own = replace(ranges, low=low, scale=scale).transform(values[:, None])
        return np.asarray(own[:, 0])
    n_numeric = sum(column.level is None for column in encoder.columns_)
    table = np.zeros((len(values), n_numeric))
    table[:, place] = values
    return np.asarray(encoder._encode_numbers(table)[:, place])


def _all_knots(
    knots: np.ndarray, ends: np.ndarray, rows: np.ndarray, width: float
) -> np.ndarray:
    """Give the knots of a curve, the ends of the rows, and more where rows are many."""
    more = ends
    if len(rows) >= MANY_ROWS:
        # Some of very many rows do: knots need not be exactly there.
        some = rows[:: -(-len(rows) // _MOST_QUANTILE_ROWS)]
        parts = np.arange(1, _N_PARTS) / _N_PARTS * (len(some) - 1)
        # The quantiles; NumPy's own take five times as long.
        within = np.interp(parts, np.arange(len(some)), np.sort(some))
        more = np.array([ends[0], *within, ends[1]])
    kept = list(np.unique(knots))
    for knot in more:
        if np.abs(knot - np.array(kept)).min() > _SHORTEST * width:
            kept.append(knot)
    return np.sort(np.array(kept))
